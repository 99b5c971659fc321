import assert from "node:assert/strict";
import { test } from "node:test";
import { client, page, RoomDouble, settled } from "./room_double.js";

const begin = () => {
  const double = RoomDouble.withAgent();
  const { captions } = client(double);
  const texts = () => captions.state.snapshot().segments.map(({ segment, text }) => `${segment}: ${text}`);
  return { double, captions, texts };
};

test("a newcomer has what was said before, page by page, and then what is said", async () => {
  const { double, captions, texts } = begin();
  double.answers.set("transcript.history", ({ after }) =>
    after
      ? page([{ segment: "b", text: "Two.", sequence: 2 }])
      : page([{ segment: "a", text: "One.", sequence: 1 }], { epoch: 1, sequence: 1 }),
  );
  await double.caption("c", "Three.");
  assert.equal(captions.state.snapshot().complete, false);
  await double.greet();
  assert.deepEqual(texts(), ["a: One.", "b: Two.", "c: Three."]);
  assert.equal(captions.state.snapshot().complete, true);
  assert.equal(captions.state.snapshot().segments[2]?.name, "bob"); // Not in the room any more.
});

test("what came live while the history was asked for counts, what came before does not", async () => {
  const { double, texts } = begin();
  await double.caption("a", "Old a");
  let reply: (page: object) => void = () => undefined;
  double.answers.set("transcript.history", () => new Promise((resolve) => (reply = resolve)));
  await double.greet();
  await double.caption("b", "New b");
  reply(
    page([
      { segment: "a", text: "Kept a", sequence: 1 },
      { segment: "b", text: "Kept b", sequence: 2 },
    ]),
  );
  await settled();
  assert.deepEqual(texts(), ["a: Kept a", "b: New b"]);
});

test("of a segment that comes twice in a history the later one counts, in the first one's place", async () => {
  const { double, texts } = begin();
  double.answers.set("transcript.history", () =>
    page([
      { segment: "a", text: "I scream", sequence: 1 },
      { segment: "b", text: "Yes.", sequence: 2 },
      { segment: "a", text: "Ice cream", sequence: 3 },
    ]),
  );
  await double.greet();
  assert.deepEqual(texts(), ["a: Ice cream", "b: Yes."]);
});

test("after a reconnect only what was missed is asked for", async () => {
  const { double, texts } = begin();
  double.answers.set("transcript.history", () => page([{ segment: "a", text: "One.", sequence: 7 }]));
  await double.greet();
  double.answers.set("transcript.history", () => page([{ segment: "b", text: "Missed.", sequence: 8 }]));
  double.emit("reconnected");
  await settled();
  const { request } = double.calls.filter(({ method }) => method === "transcript.history").at(-1)!;
  assert.deepEqual(request.after, { epoch: 1, sequence: 7 });
  assert.deepEqual(texts(), ["a: One.", "b: Missed."]);
});

test("an interim is shown until its final, and a withdrawn segment not at all", async () => {
  const { double, captions, texts } = begin();
  await double.caption("a", "Bon", { final: false });
  await double.caption("b", "uh", { final: false });
  assert.deepEqual(
    captions.state.snapshot().interims.map(({ text }) => text),
    ["Bon", "uh"],
  );
  await double.caption("a", "Bonjour.");
  await double.caption("b", " ");
  assert.deepEqual(captions.state.snapshot().interims, []);
  assert.deepEqual(texts(), ["a: Bonjour."]);
});

test("interims of an agent that died go with it, and its successor's history is asked for", async () => {
  const { double, captions, texts } = begin();
  await double.greet();
  await double.caption("a", "I was say", { final: false });
  double.join("agent-e2", { isAgent: true });
  double.answers.set("transcript.history", () => page([{ segment: "b", text: "Kept.", sequence: 1 }]));
  await double.greet("agent-e2");
  assert.deepEqual(captions.state.snapshot().interims, []);
  assert.deepEqual(texts(), ["b: Kept."]);
  assert.equal(double.calls.at(-1)?.to, "agent-e2");
});

test("a hole is shown once, told live and in the history", async () => {
  const { double, captions } = begin();
  const hole = { cause: "restart", speakers: ["bob"], reason: "" };
  await double.notice({
    type: "hole",
    from: "2026-01-01T00:00:01.500Z",
    to: "2026-01-01T00:00:03.000Z",
    ...hole,
  });
  const kept = {
    epoch: 1,
    sequence: 2,
    start_ms: 1500,
    end_ms: 3000,
    start: "2026-01-01T00:00:01.501Z",
    ...hole,
  };
  double.answers.set("transcript.history", () => page([], null, { holes: [kept] }));
  await double.greet();
  const { holes } = captions.state.snapshot();
  assert.deepEqual(
    holes.map(({ from, to }) => [from, to]),
    [["2026-01-01T00:00:01.500Z", "2026-01-01T00:00:03.000Z"]],
  );
});

test("a caption in another person's name does not replace what somebody said", async () => {
  const { double, texts } = begin();
  await double.caption("a", "I never said that.");
  await double.caption("a", "I did it!", { from: "eve" });
  assert.deepEqual(texts(), ["a: I never said that."]);
});

test("who forges a segment before it is said silences nobody: the history is asked whose it is", async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const { double, captions, texts } = begin();
  await double.greet();
  await double.caption("a", "Eve was here", { from: "eve" });
  await double.caption("b", "And h", { from: "eve", final: false });
  await double.caption("a", "Bob's words.");
  await double.caption("b", "Bob's next", { final: false });
  await double.caption("a", "Bob's words.");
  const interims = [{ segment: "b", speaker: "bob", name: "Bob", text: "Bob's next" }];
  double.answers.set("transcript.history", () =>
    page([{ segment: "a", text: "Bob's words.", sequence: 1 }], null, { interims }),
  );
  const before = double.calls.length;
  context.mock.timers.tick(1_000);
  await settled();
  assert.equal(double.calls.length, before + 1); // Once for all.
  assert.deepEqual(texts(), ["a: Bob's words."]);
  assert.deepEqual(
    captions.state.snapshot().interims.map(({ speaker, text }) => [speaker, text]),
    [["bob", "Bob's next"]],
  );
  await double.caption("a", "Eve again", { from: "eve" });
  context.mock.timers.tick(1_000);
  await settled();
  assert.deepEqual([texts(), double.calls.length], [["a: Bob's words."], before + 1]);
});

test("what somebody forges while the history is asked for goes with its answer", async () => {
  const { double, texts } = begin();
  let reply: (page: object) => void = () => undefined;
  double.answers.set("transcript.history", () => new Promise((resolve) => (reply = resolve)));
  await double.greet();
  await double.caption("a", "Eve was here", { from: "eve" });
  reply(page([{ segment: "a", text: "Bob's words.", sequence: 1 }]));
  await settled();
  assert.deepEqual(texts(), ["a: Bob's words."]);
});

test("an interim that nothing follows is gone after a while", async (context) => {
  let now = 0;
  context.mock.timers.enable({ apis: ["setTimeout"] });
  context.mock.method(performance, "now", () => now);
  const pass = (milliseconds: number) => {
    now += milliseconds;
    context.mock.timers.tick(milliseconds);
  };
  const { double, captions } = begin();
  const interims = () => captions.state.snapshot().interims.map(({ text }) => text);
  await double.caption("a", "I was say", { final: false });
  pass(20_000);
  await double.caption("b", "So", { final: false });
  pass(10_000);
  assert.deepEqual(interims(), ["So"]);
  pass(20_000);
  assert.deepEqual(interims(), []);
});

test("another meeting in the same room begins with nothing of the one before", async () => {
  const { double, captions, texts } = begin();
  const hole = { cause: "restart", speakers: [], reason: "", epoch: 1, sequence: 6, start_ms: 0, end_ms: 9 };
  const holes = [{ ...hole, start: "2026-01-01T00:00:00.000Z" }];
  double.answers.set("transcript.history", () =>
    page([{ segment: "a", text: "Last week.", sequence: 7 }], null, { holes }),
  );
  await double.greet();
  await double.caption("b", "Bye.");
  double.answers.set("transcript.history", ({ after }) =>
    page(after ? [] : [{ segment: "c", text: "This week.", sequence: 1 }], null, { meeting: "n" }),
  );
  await double.greet();
  assert.deepEqual(texts(), ["c: This week."]);
  assert.deepEqual(captions.state.snapshot().holes, []);
  assert.equal(captions.state.snapshot().complete, true);
});

test("what a person has corrected is replaced by another correction only", async () => {
  const { double, texts } = begin();
  const correction = { by: { identity: "carol", name: "Carol" }, at: "2026-01-01T00:00:05.000Z", original: "" };
  double.answers.set("transcript.history", () =>
    page([{ segment: "a", text: "Kept.", sequence: 1, correction }]),
  );
  await double.greet();
  await double.caption("a", "The machine's.");
  assert.deepEqual(texts(), ["a: Kept."]);
  const by = { more: { "greffier.corrected_by": "ada", "greffier.corrected_at": "2026-01-01T00:00:01.000Z" } };
  await double.caption("a", "Later, by a clock that is late.", by);
  await double.caption("a", "The machine's again.");
  assert.deepEqual(texts(), ["a: Later, by a clock that is late."]);
});

test("a person's correction is shown as theirs, live and in the history", async () => {
  const { double, captions } = begin();
  const first = () => captions.state.snapshot().segments[0];
  await double.caption("a", "I scream.");
  const at = "2026-01-01T00:00:05.000Z";
  const live = { "greffier.corrected_by": "ada", "greffier.corrected_at": at };
  await double.caption("a", "Ice cream.", { more: live });
  assert.equal(first()?.text, "Ice cream.");
  assert.deepEqual(first()?.correction, { by: "ada", name: "Ada", at });
  const correction = { by: { identity: "carol", name: "Carol" }, at, original: "I scream." };
  double.answers.set("transcript.history", () =>
    page([{ segment: "a", text: "Ice creams.", sequence: 1, correction }]),
  );
  await double.greet();
  assert.equal(first()?.text, "Ice creams.");
  assert.deepEqual(first()?.correction, { by: "carol", name: "Carol", at });
});

test("what one corrects is sent as it was typed", async () => {
  const { double, captions } = begin();
  await double.greet();
  double.answers.set("transcript.correct", ({ segment, text }) => ({ segment, text, by: "ada" }));
  const { segment, text } = await captions.correct("a", "Ice cream.");
  assert.deepEqual([segment, text], ["a", "Ice cream."]);
});
