// The page of the approval tests: a person's browser with our client module, or one that knows
// MeetAI's approval only.
import { Greffier } from "@greffier/client";
import { Room } from "livekit-client";

const PATIENCE = 30_000;

let greffier;
let room;
const chat = [];
const asked = []; // Calls of `approveCalendarEvent`.

async function until(what, look) {
  const deadline = performance.now() + PATIENCE;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (performance.now() > deadline) throw new Error(`${what}: not within ${PATIENCE / 1000} s`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

// A refusal of the agent's is an answer here.
const answered = (promise) =>
  promise.catch((error) => {
    if (!error.problem) throw error;
    return { problem: error.problem, message: error.message };
  });

const current = () => greffier.approvals.state.snapshot().current;

window.page = {
  async join(url, token) {
    room = new Room();
    greffier = new Greffier(room);
    room.registerTextStreamHandler("lk.chat", async (reader) => chat.push(await reader.readAll()));
    await room.connect(url, token);
    await until("the agent", () => greffier.status.state.snapshot().reply);
  },
  async joinAsMeetai(url, token, answer) {
    room = new Room();
    room.registerRpcMethod("approveCalendarEvent", async ({ payload }) => {
      asked.push(JSON.parse(payload));
      return JSON.stringify(answer);
    });
    await room.connect(url, token);
  },
  asked: () => asked,
  leave: () => room.disconnect(),
  say: (text) => room.localParticipant.sendText(text, { topic: "lk.chat" }),
  reads: (number) => until("a message", () => chat[number - 1]),
  request: (tool, given, more) => answered(greffier.callTool(tool, given, more)),
  requestOften: (times, tool, given, more) =>
    Promise.all(Array.from({ length: times }, () => answered(greffier.callTool(tool, given, more)))),
  decide: (how, ...given) => answered(greffier.approvals[how](...given)),
  dialog: () => until("a dialog", current),
  dialogIsAfter: (id) => until("another dialog", () => current()?.id !== id && current()),
  hasDialog: () => Boolean(current()),
  closed: () => until("no dialog", () => !current()),
  // What came of an approval, once that is known.
  became: (id) =>
    until("an end", async () => {
      const one = (await greffier.approvals.all()).find((one) => one.id === id);
      return ["done", "failed", "rejected", "expired", "unknown"].includes(one?.state) && one;
    }),
};
