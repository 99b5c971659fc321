// Opens a page in headless browsers, each apart from the others, and calls its functions: a JSON
// array [who, name, ...arguments] a line in, {"result"} or {"error"} a line out; ends with its input.
// Whoever is called for the first time has the page opened; "reload" loads it again. Arguments: the
// browser's path, the page's source.
import { createServer } from "node:http";
import { resolve } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { launch } from "./launch.mjs";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const [browserPath, source] = process.argv.slice(2);
const bundle = await build({
  entryPoints: [resolve(source)],
  bundle: true,
  format: "esm",
  jsx: "automatic",
  alias: {
    "@greffier/client": here("../../clients/js/dist/index.js"),
    "livekit-client": here("node_modules/livekit-client"), // One for the page and for our module.
  },
  define: { "process.env.NODE_ENV": '"production"' },
  write: false,
  logLevel: "error",
});
const files = {
  "/": [
    "text/html",
    '<!doctype html><meta charset="utf-8"><body><script type="module" src="/page.js"></script>',
  ],
  "/favicon.ico": ["image/svg+xml", "<svg/>"],
  "/page.js": ["text/javascript", bundle.outputFiles[0].text],
};
const server = createServer((request, response) => {
  const [type, body] = files[request.url] ?? ["text/plain", ""];
  response.writeHead(body ? 200 : 404, { "content-type": type }).end(body);
});
await new Promise((done) => server.listen(0, "127.0.0.1", done));

const browser = await launch(browserPath, "--allow-loopback-in-peer-connection");
const pages = new Map();

async function open(who) {
  const page = await (await browser.newContext()).newPage();
  page.on("pageerror", (error) => console.error(`${who}:`, error.message));
  page.on("console", (message) => {
    if (message.type() === "error") console.error(`${who}:`, message.text());
  });
  pages.set(who, page);
  await page.goto(`http://127.0.0.1:${server.address().port}/`);
  await page.waitForFunction(() => window.page);
  return page;
}

async function call(who, name, ...given) {
  const page = pages.get(who) ?? (await open(who));
  if (name === "reload") {
    await page.reload();
    await page.waitForFunction(() => window.page);
    return null;
  }
  return page.evaluate(([name, ...given]) => window.page[name](...given), [name, ...given]);
}

try {
  const answer = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);
  answer({ result: "ready" });
  for await (const line of createInterface({ input: process.stdin })) {
    try {
      answer({ result: (await call(...JSON.parse(line))) ?? null });
    } catch (error) {
      answer({ error: error.message });
    }
  }
} finally {
  await browser.close();
  server.close();
}
