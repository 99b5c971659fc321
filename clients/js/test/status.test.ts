import assert from "node:assert/strict";
import { test } from "node:test";
import { client, RoomDouble, settled } from "./room_double.js";

const STATUS = {
  you: { role: "owner" },
  agents: [{ name: "transcriber", description: "", state: "running" }],
};
const OFF = { agents: [{ name: "transcriber", description: "", state: "off" }] };

const begin = async () => {
  const double = RoomDouble.withAgent();
  double.answers.set("agent.status", () => STATUS);
  const { agent, captions, status } = client(double);
  await double.greet();
  return { double, agent, captions, status, now: () => status.state.snapshot() };
};

test("what the agent says of itself is told, and what one may do", async () => {
  const { double, status, now } = await begin();
  let changes = 0;
  const stop = status.state.subscribe(() => (changes += 1));
  await double.notice({ type: "captions", state: "interrupted", reason: "late" });
  const { agent, captions, reply } = now();
  assert.deepEqual(
    [agent, captions.engine?.state, reply?.you.role, changes],
    ["agent", "interrupted", "owner", 1],
  );
  stop();
  await double.notice({ type: "captions", state: "resumed" });
  assert.equal(changes, 1);
});

test("each thing about the captions stands until something else is told of it", async () => {
  const { double, now } = await begin();
  await double.notice({ type: "captions", state: "interrupted", reason: "late" });
  await double.notice({ type: "captions", about: "journal", state: "not durable" });
  await double.notice({ type: "captions", about: "keeping", state: "not kept" });
  await double.notice({ type: "captions", about: "journal", state: "durable" });
  const { engine, journal, keeping } = now().captions;
  assert.deepEqual([engine?.state, journal?.state, keeping?.state], ["interrupted", "durable", "not kept"]);
});

test("whoever switches an agent sees it at once, and all others are told", async () => {
  const { double, status, now } = await begin();
  double.answers.set("agents.stop", () => OFF);
  await status.stop("transcriber");
  assert.deepEqual([now().reply?.agents[0]?.state, now().reply?.you.role], ["off", "owner"]);
  await double.notice({ type: "agent", agent: "transcriber", state: "running" });
  assert.equal(now().reply?.agents[0]?.state, "running");
});

test("an error in the metadata goes once it is mended, and one's role is asked for anew", async () => {
  const { double, now } = await begin();
  await double.notice({ type: "error", source: "metadata", message: "agents: ..." });
  assert.equal(now().error, "agents: ...");
  double.answers.set("agent.status", () => ({ ...STATUS, you: { role: "attendee" } }));
  await double.notice({ type: "error", source: "metadata", message: "" });
  assert.deepEqual([now().error, now().reply?.you.role], ["", "attendee"]);
});

test("what an agent told before it said that it answers counts, its predecessor's last words don't", async () => {
  const { double, now } = await begin();
  await double.notice({ type: "error", source: "metadata", message: "old" });
  double.join("agent-e2", { isAgent: true });
  const successor = { from: "agent-e2", agent: "agent-e2" };
  await double.notice({ type: "captions", state: "started" }, successor);
  await double.greet("agent-e2");
  await double.notice({ type: "captions", state: "stopped" });
  assert.deepEqual([now().agent, now().captions.engine?.state, now().error], ["agent-e2", "started", ""]);
});

test("an agent that leaves takes what it told, and its interims, along", async () => {
  const { double, agent, captions, now } = await begin();
  await double.notice({ type: "captions", state: "started" });
  await double.caption("a", "I was say", { final: false });
  double.leave("agent");
  assert.equal(agent.identity.snapshot(), undefined);
  assert.deepEqual(now(), { captions: {}, error: "" });
  assert.deepEqual(captions.state.snapshot().interims, []);
});

test("an agent that LiveKit tells of anew after a reconnect answers as before", async () => {
  const { double, now } = await begin();
  double.leave("agent");
  double.join("eve");
  assert.equal(now().agent, undefined);
  double.join("agent", { isAgent: true });
  await settled();
  assert.deepEqual([now().agent, now().reply?.you.role], ["agent", "owner"]);
});

test("one's own attributes may say another role", async () => {
  const { double, now } = await begin();
  double.answers.set("agent.status", () => ({ ...STATUS, you: { role: "moderator" } }));
  double.emit("participantAttributesChanged", {}, { identity: "ada" });
  await settled();
  assert.equal(now().reply?.you.role, "moderator");
});
