// People in a room, each in a page of one browser, with or without end-to-end encryption.
//
// Argument: JSON {browser, wav}; who speaks plays the WAV file. Each line of stdin is a list of who
// is there from now on, [{name, url, token, key, speaks}]; an empty key is no encryption. Prints a
// JSON line for whatever somebody receives: {who, event: "joined" | "caption" | "status" |
// "attributes", ...}, and {who, event: "packet", packet} for all that LiveKit sent on a data
// channel, in base64. Ends when stdin does.
import { createReadStream } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { join, dirname } from "node:path";
import { createInterface } from "node:readline";
import { launch } from "./launch.mjs";

const config = JSON.parse(process.argv[2]);
const dist = dirname(createRequire(import.meta.url).resolve("livekit-client"));
const files = {
  "/client.js": "livekit-client.umd.js",
  "/worker.js": "livekit-client.e2ee.worker.js",
};
const server = createServer((request, response) => {
  if (files[request.url]) {
    response.setHeader("Content-Type", "text/javascript");
    createReadStream(join(dist, files[request.url])).pipe(response);
  } else {
    response.setHeader("Content-Type", "text/html");
    response.end('<!doctype html><script src="/client.js"></script>');
  }
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const address = `http://127.0.0.1:${server.address().port}/`;

const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

// Runs in the page before anything else: no byte on a data channel escapes it.
function keepPackets() {
  const keep = (channel) => {
    channel.addEventListener("message", async ({ data }) => {
      const bytes = new Uint8Array(data instanceof Blob ? await data.arrayBuffer() : data);
      window.say({ event: "packet", packet: btoa(String.fromCharCode(...bytes)) });
    });
    return channel;
  };
  const Plain = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends Plain {
    constructor(...args) {
      super(...args);
      this.addEventListener("datachannel", ({ channel }) => keep(channel));
    }
    createDataChannel(...args) {
      return keep(super.createDataChannel(...args));
    }
  };
}

// Runs in the page.
async function takePart({ url, token, key, speaks }) {
  const { ExternalE2EEKeyProvider, Room, RoomEvent } = window.LivekitClient;
  const keyProvider = new ExternalE2EEKeyProvider();
  const encryption = key ? { keyProvider, worker: new Worker("/worker.js") } : undefined;
  const room = new Room({ encryption });
  const read = (topic, event) =>
    room.registerTextStreamHandler(topic, async (reader, from) => {
      const text = await reader.readAll();
      const { attributes } = reader.info;
      window.say({ event, text, sender: from.identity, attributes });
    });
  read("lk.transcription", "caption");
  read("greffier.status", "status");
  room.on(RoomEvent.ParticipantAttributesChanged, (attributes, { identity }) =>
    window.say({ event: "attributes", attributes, sender: identity }),
  );
  if (key) {
    await keyProvider.setKey(key);
    await room.setE2EEEnabled(true);
  }
  await room.connect(url, token);
  window.say({ event: "joined" });
  if (speaks) {
    const plain = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
    await room.localParticipant.setMicrophoneEnabled(true, plain);
  }
  window.leave = () => room.disconnect();
}

const browser = await launch(
  config.browser,
  "--use-fake-ui-for-media-stream",
  "--use-fake-device-for-media-stream",
  `--use-file-for-fake-audio-capture=${config.wav}`,
);
try {
  let pages = [];
  for await (const line of createInterface({ input: process.stdin })) {
    for (const page of pages) {
      await page.evaluate(() => window.leave());
      await page.context().close();
    }
    pages = [];
    for (const { name, ...person } of JSON.parse(line)) {
      const context = await browser.newContext({ permissions: ["microphone"] });
      const page = await context.newPage();
      page.on("pageerror", (error) => console.error(name, error));
      await page.exposeFunction("say", (fact) => say({ who: name, ...fact }));
      await page.addInitScript(keepPackets);
      await page.goto(address);
      await page.evaluate(takePart, person);
      pages.push(page);
    }
  }
} finally {
  await browser.close();
  server.close();
}
