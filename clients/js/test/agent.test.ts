import assert from "node:assert/strict";
import { test } from "node:test";
import { Greffier, Problem } from "../src/index.js";
import { client, page, RoomDouble, settled } from "./room_double.js";

const refusal = (code: number, data: object) =>
  Object.assign(new Error("A sentence for people."), { code, data: JSON.stringify(data) });

test("a long answer of a hidden agent comes by a stream, before or after the reply", async () => {
  for (const early of [true, false]) {
    const double = RoomDouble.withAgent();
    const { agent, captions } = client(double);
    const text = JSON.stringify(page([{ segment: "a", text: "Long.", sequence: 1 }]));
    const bring = () => double.send("greffier.history", text, { "greffier.request": "s1" }, "");
    double.answers.set("transcript.history", async () => {
      if (early) await bring();
      return { version: 1, stream: "s1" };
    });
    await double.notice({ type: "history", method: "transcript.history" }, { from: "", agent: "hidden" });
    await (early ? settled() : bring());
    assert.equal(agent.identity.snapshot(), "hidden");
    assert.equal(captions.state.snapshot().segments[0]?.text, "Long.");
  }
});

test("a refusal is a problem with its name, its sentence and its data", async () => {
  const double = RoomDouble.withAgent();
  const { status } = client(double);
  await double.greet();
  double.answers.set("agents.stop", () => {
    throw refusal(4030, { code: "forbidden", role: "attendee" });
  });
  await assert.rejects(status.stop("transcriber"), (error: Problem) => {
    assert.deepEqual(
      [error.problem, error.code, error.message],
      ["forbidden", 4030, "A sentence for people."],
    );
    assert.equal(error.data.role, "attendee");
    return error instanceof Problem;
  });
});

test("LiveKit's own errors are one problem: the agent can't be reached", async () => {
  const double = RoomDouble.withAgent();
  const greffier = client(double);
  await double.greet();
  await assert.rejects(greffier.callTool("x", {}), { problem: "lost", code: 1400 });
});

test("who reads too often waits as long as the agent asks, then has the answer", async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const double = RoomDouble.withAgent();
  const greffier = client(double);
  await double.greet();
  let refusals = 1;
  double.answers.set("tools.list", () => {
    if (refusals--) throw refusal(4290, { code: "rate_limited", retry_after: 3 });
    return { tools: [] };
  });
  const answer = greffier.tools();
  await settled();
  context.mock.timers.tick(2_900);
  await settled();
  assert.equal(refusals, 0);
  context.mock.timers.tick(100);
  assert.deepEqual(await answer, { tools: [] });
});

test("a notice that a person forges is no notice", async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const double = RoomDouble.withAgent();
  const { agent, status } = client(double);
  double.join("eve");
  await double.notice({ type: "history", method: "transcript.history" }, { from: "eve", agent: "eve" });
  await double.notice({ type: "captions", state: "stopped" }, { from: "unlisted" });
  context.mock.timers.tick(3_000);
  await settled();
  assert.equal(agent.identity.snapshot(), undefined);
  assert.deepEqual(status.state.snapshot().captions, {});
});

test("an agent that joined just now is believed once LiveKit lists it", async () => {
  const double = RoomDouble.withAgent();
  const { agent } = client(double);
  await double.greet("agent-e2");
  assert.equal(agent.identity.snapshot(), undefined);
  double.join("agent-e2", { isAgent: true });
  await settled();
  assert.equal(agent.identity.snapshot(), "agent-e2");
});

test("a long answer that a person forges is no answer", async () => {
  const double = RoomDouble.withAgent();
  const greffier = client(double);
  await double.greet();
  double.join("eve");
  double.answers.set("tools.list", () => ({ version: 1, stream: "s1" }));
  const bring = (tools: string[], from: string) =>
    double.send("greffier.rpc", JSON.stringify({ tools }), { "greffier.request": "s1" }, from);
  await bring(["eve's"], "eve");
  const answer = greffier.tools();
  await bring(["ours"], "agent");
  assert.deepEqual(await answer, { tools: ["ours"] });
});

test("a long answer that nobody reads is let go", async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const double = RoomDouble.withAgent();
  const greffier = client(double);
  await double.greet();
  const bring = (tools: string[]) =>
    double.send("greffier.rpc", JSON.stringify({ tools }), { "greffier.request": "s1" });
  await bring(["old"]);
  context.mock.timers.tick(15_000);
  double.answers.set("tools.list", () => ({ version: 1, stream: "s1" }));
  const answer = greffier.tools();
  await settled();
  await bring(["new"]);
  assert.deepEqual(await answer, { tools: ["new"] });
});

test("a method that needs a request is not called without one", () => {
  const { agent } = client(RoomDouble.withAgent());
  assert.ok([
    () => agent.call("agent.status"),
    // @ts-expect-error The compiler refuses it.
    () => agent.call("transcript.correct"),
  ]);
});

test("after it is closed nothing is asked again, and no state changes", async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const double = RoomDouble.withAgent();
  double.answers.delete("transcript.history");
  const greffier = client(double);
  await double.greet();
  const asked = double.calls.length;
  const waiting = assert.rejects(greffier.tools(), { problem: "lost" });
  await settled();
  greffier.close();
  let changes = 0;
  greffier.captions.state.subscribe(() => (changes += 1));
  await waiting; // At once: the timers stand still.
  context.mock.timers.tick(60_000);
  await settled();
  assert.deepEqual([double.calls.length, changes], [asked + 1, 0]);
});

test("where somebody else has a topic already, those that were taken are given back", () => {
  const double = RoomDouble.withAgent();
  double.streams.set("lk.transcription", () => undefined);
  assert.throws(() => new Greffier(double.room), /lk.transcription is taken/);
  assert.deepEqual([double.streams.size, double.methods.size], [1, 0]);
});

test("closing gives every topic and method of the room back", () => {
  const double = RoomDouble.withAgent();
  new Greffier(double.room).close();
  assert.deepEqual([double.streams.size, double.methods.size], [0, 0]);
  assert.ok([...double.listeners.values()].every(({ size }) => size === 0));
});
