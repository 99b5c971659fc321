// Prints as JSON the cues that a browser finds in the <track> of a page:
// [{id, startMs, endMs, voice, text, tags}]. Arguments: the browser's path, the page's address.
import { launch } from "./launch.mjs";

const [executablePath, address] = process.argv.slice(2);
const browser = await launch(executablePath);
try {
  const page = await browser.newPage();
  await page.goto(address);
  const cues = await page.evaluate(async () => {
    const element = document.querySelector("track");
    await new Promise((resolve, reject) => {
      element.addEventListener("load", resolve);
      element.addEventListener("error", () => reject(new Error("the browser refuses the track")));
      element.track.mode = "hidden"; // Loading starts here.
    });
    return Array.from(element.track.cues, (cue) => {
      const shown = cue.getCueAsHTML();
      const tags = Array.from(shown.querySelectorAll("*"));
      return {
        id: cue.id,
        startMs: Math.round(cue.startTime * 1000),
        endMs: Math.round(cue.endTime * 1000),
        voice: tags.map((tag) => tag.title).join("|"),
        text: shown.textContent,
        tags: tags.map((tag) => tag.localName),
      };
    });
  });
  process.stdout.write(JSON.stringify(cues));
} finally {
  await browser.close();
}
