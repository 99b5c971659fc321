import assert from "node:assert/strict";
import { test } from "node:test";
import { approval, client, RoomDouble, settled } from "./room_double.js";

const list = (double: RoomDouble, ...approvals: object[]) =>
  double.answers.set("approval.list", () => ({ approvals }));

const begin = async () => {
  const double = RoomDouble.withAgent();
  const { approvals } = client(double);
  await double.greet();
  const open = () => approvals.state.snapshot().open.map(({ id }) => id);
  const current = () => approvals.state.snapshot().current?.id;
  return { double, approvals, open, current };
};

test("what the agent shows is acknowledged at once and is the dialog of the moment", async () => {
  const { double, approvals, current } = await begin();
  list(double, approval("1", { expires_at: "2026-01-01T00:02:00.000Z" }));
  assert.deepEqual(await double.invoke("approval.show", { approval: approval("1") }), { version: 1 });
  assert.equal(current(), "1");
  await settled();
  assert.ok(approvals.state.snapshot().current?.expires_at);
});

test("what a person shows is refused and opens no dialog", async () => {
  const { double, current } = await begin();
  double.join("eve");
  await assert.rejects(double.invoke("approval.show", { approval: approval("1") }, "eve"));
  assert.equal(current(), undefined);
});

test("a page that is loaded again has the dialog that was open", async () => {
  const double = RoomDouble.withAgent();
  list(double, approval("1"));
  const { approvals } = client(double);
  await double.greet();
  assert.equal(approvals.state.snapshot().current?.id, "1");
});

test("a notice that an approval changed has the list asked for anew", async () => {
  const { double, approvals, open, current } = await begin();
  await double.invoke("approval.show", { approval: approval("1") });
  await double.notice({ type: "approval", id: "1", state: "expired" });
  assert.deepEqual([open(), current()], [[], undefined]);
  assert.equal(approvals.state.snapshot().news?.state, "expired");
});

test("one's own are dialogs, one at a time: decisions before outcomes to tell of", async () => {
  const { double, open, current } = await begin();
  const [others, unknown] = [approval("1", { to: "bob" }), approval("2", { state: "unknown" })];
  const [third, fourth] = [approval("3", { state: "requested" }), approval("4", { state: "requested" })];
  list(double, others, unknown);
  await double.notice({ type: "approval", id: "2", state: "unknown" });
  assert.deepEqual([open(), current()], [["1", "2"], "2"]);
  list(double, others, unknown, third, fourth);
  await double.invoke("approval.show", { approval: third });
  await settled();
  assert.deepEqual([open(), current()], [["1", "2", "3", "4"], "3"]);
  list(double, others, unknown, fourth);
  await double.notice({ type: "approval", id: "3", state: "rejected" });
  assert.equal(current(), "4");
});

test("what the agent has put on the screen stays there until it is closed", async () => {
  const { double, current } = await begin();
  list(double, approval("1"), approval("2"));
  await double.invoke("approval.show", { approval: approval("2", { state: "requested" }) });
  await settled();
  assert.equal(current(), "2");
});

test("each decision is sent as it is meant, and the list is asked for after it", async () => {
  const { double, approvals } = await begin();
  const sent: object[] = [];
  double.answers.set("approval.resolve", ({ version: _, ...decision }) => {
    sent.push(decision);
    return { id: "1", state: "done" };
  });
  await approvals.approve("1");
  await approvals.reject("2", "No.");
  await approvals.modify("3", { title: "Better" });
  await approvals.settle("4", false);
  assert.deepEqual(sent, [
    { id: "1", decision: "approve" },
    { id: "2", decision: "reject", reason: "No." },
    { id: "3", decision: "modify", arguments: { title: "Better" } },
    { id: "4", decision: "did_not_happen" },
  ]);
  await settled();
  assert.equal(double.calls.at(-1)?.method, "approval.list");
});

test("a decision that comes too late says so, and takes the dialog away", async () => {
  const { double, approvals, current } = await begin();
  await double.invoke("approval.show", { approval: approval("1") });
  double.answers.set("approval.resolve", () => {
    throw Object.assign(new Error("Bob was first."), { code: 4090, data: '{"code": "already_decided"}' });
  });
  await assert.rejects(approvals.approve("1"), { problem: "already_decided", message: "Bob was first." });
  await settled();
  assert.equal(current(), undefined);
});

test("a page that shows no approvals neither answers for them nor asks for them", async () => {
  const double = RoomDouble.withAgent();
  client(double, { approvals: false });
  await double.greet();
  await double.notice({ type: "approval", id: "1", state: "shown" });
  double.emit("reconnected");
  await settled();
  assert.deepEqual([...double.methods.keys()], []);
  assert.ok(double.calls.length);
  assert.ok(double.calls.every(({ method }) => method !== "approval.list"));
});
