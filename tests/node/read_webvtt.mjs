// Prints as JSON what W3C's parser makes of the WebVTT file named on the command line:
// {errors: [...], cues: [{id, startMs, endMs, voice, text}]}, the voice as it is written.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
const { WebVTTParser } = require("webvtt-parser");
const entities = require("webvtt-parser/html-entities.json");

const textOf = (node) => node.value ?? node.children.map(textOf).join("");
const { cues, errors } = new WebVTTParser(entities).parse(readFileSync(process.argv[2], "utf8"));
const read = cues.map((cue) => ({
  id: cue.id,
  startMs: Math.round(cue.startTime * 1000),
  endMs: Math.round(cue.endTime * 1000),
  voice: cue.tree.children.map((span) => span.value).join("|"),
  text: cue.tree.children.flatMap((span) => span.children ?? [span]).map(textOf).join(""),
}));
process.stdout.write(JSON.stringify({ errors, cues: read }));
