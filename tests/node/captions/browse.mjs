// Opens the page in a headless browser and calls its functions: a JSON array [name, ...arguments]
// a line in, {"result"} or {"error"} a line out; ends with its input. Argument: the browser's path.
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { launch } from "../launch.mjs";

const bundle = await build({
  entryPoints: [fileURLToPath(new URL("page.jsx", import.meta.url))],
  bundle: true,
  format: "esm",
  jsx: "automatic",
  define: { "process.env.NODE_ENV": '"production"' },
  write: false,
  logLevel: "error",
});
const files = {
  "/": ["text/html", '<!doctype html><meta charset="utf-8"><body><script type="module" src="/page.js"></script>'],
  "/favicon.ico": ["image/svg+xml", "<svg/>"],
  "/page.js": ["text/javascript", bundle.outputFiles[0].text],
};
const server = createServer((request, response) => {
  const [type, body] = files[request.url] ?? ["text/plain", ""];
  response.writeHead(body ? 200 : 404, { "content-type": type }).end(body);
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));

const browser = await launch(process.argv[2], "--allow-loopback-in-peer-connection");
try {
  const page = await browser.newPage();
  page.on("pageerror", (error) => console.error("page:", error.message));
  page.on("console", (message) => {
    if (message.type() === "error") console.error("page:", message.text());
  });
  await page.goto(`http://127.0.0.1:${server.address().port}/`);
  await page.waitForFunction(() => window.page);
  const answer = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);
  answer({ result: "open" });
  for await (const line of createInterface({ input: process.stdin })) {
    try {
      const result = await page.evaluate(
        ([name, ...given]) => window.page[name](...given),
        JSON.parse(line),
      );
      answer({ result: result ?? null });
    } catch (error) {
      answer({ error: error.message });
    }
  }
} finally {
  await browser.close();
  server.close();
}
