import { setMaxListeners } from "node:events";
import { after } from "node:test";
import { Greffier, type GreffierOptions, type MeetingRoom } from "../src/index.js";

setMaxListeners(0); // Node warns of more than ten listeners of a signal; browsers don't.

const opened: Greffier[] = [];
after(() => opened.forEach((greffier) => greffier.close())); // Or its timers hold up the process.

/** A client that is closed when the file's tests have ended. */
export const client = (double: RoomDouble, options?: GreffierOptions): Greffier => {
  const greffier = new Greffier(double.room, options);
  opened.push(greffier);
  return greffier;
};

type Handler = Parameters<MeetingRoom["registerTextStreamHandler"]>[1];
type Answer = (request: Record<string, unknown>) => unknown;

/** A room without LiveKit: what is sent is heard at once, and `answers` are the agent's. */
export class RoomDouble {
  readonly streams = new Map<string, Handler>();
  readonly methods = new Map<string, (data: never) => Promise<string>>();
  readonly listeners = new Map<string, Set<(...values: unknown[]) => void>>();
  readonly remoteParticipants = new Map<string, { identity: string; name: string; isAgent: boolean }>();
  readonly answers = new Map<string, Answer>();
  readonly calls: { to: string; method: string; request: Record<string, unknown> }[] = [];

  readonly localParticipant = {
    identity: "ada",
    name: "Ada",
    performRpc: async (call: { destinationIdentity: string; method: string; payload: string }) => {
      const request = JSON.parse(call.payload) as Record<string, unknown>;
      this.calls.push({ to: call.destinationIdentity, method: call.method, request });
      const answer = this.answers.get(call.method);
      if (!answer) throw Object.assign(new Error("Method not supported"), { code: 1400 });
      return JSON.stringify(await answer(request));
    },
  };

  static withAgent(): RoomDouble {
    const room = new RoomDouble();
    room.join("agent", { isAgent: true });
    room.answers.set("transcript.history", () => page([]));
    room.answers.set("approval.list", () => ({ approvals: [] }));
    room.answers.set("agent.status", () => ({ agents: [] }));
    return room;
  }

  /** The room as our module takes it. */
  get room(): MeetingRoom {
    return this as unknown as MeetingRoom;
  }

  join(identity: string, { isAgent = false } = {}): void {
    const who = { identity, name: identity.toUpperCase(), isAgent };
    this.remoteParticipants.set(identity, who);
    this.emit("participantConnected", who);
  }

  leave(identity: string): void {
    const who = this.remoteParticipants.get(identity);
    this.remoteParticipants.delete(identity);
    this.emit("participantDisconnected", who);
  }

  /** Somebody sends a text stream. */
  async send(topic: string, text: string, attributes: Record<string, string>, from = "agent"): Promise<void> {
    const reader = { readAll: async () => text, info: { attributes } };
    await this.streams.get(topic)?.(reader as never, { identity: from });
    await settled();
  }

  async notice(fields: Record<string, unknown>, { from = "agent", agent = "agent" } = {}): Promise<void> {
    await this.send("greffier.status", JSON.stringify(fields), { "greffier.agent": agent }, from);
  }

  async greet(agent = "agent"): Promise<void> {
    await this.notice({ type: "history", method: "transcript.history" }, { from: agent, agent });
  }

  async caption(
    segment: string,
    text: string,
    { final = true, from = "bob", more = {} }: { final?: boolean; from?: string; more?: object } = {},
  ): Promise<void> {
    const attributes = { "lk.segment_id": segment, "lk.transcription_final": String(final), ...more };
    await this.send("lk.transcription", text, attributes, from);
  }

  /** The agent, or whoever says so, calls a method of this browser. */
  async invoke(method: string, request: unknown, callerIdentity = "agent"): Promise<unknown> {
    const handler = this.methods.get(method);
    if (!handler) throw new Error(`no ${method}`);
    const answer = await handler({ callerIdentity, payload: JSON.stringify(request) } as never);
    return JSON.parse(answer);
  }

  emit(event: string, ...values: unknown[]): void {
    for (const listener of [...(this.listeners.get(event) ?? [])]) listener(...values);
  }

  on(event: string, listener: (...values: unknown[]) => void): void {
    this.listeners.set(event, (this.listeners.get(event) ?? new Set()).add(listener));
  }

  off(event: string, listener: (...values: unknown[]) => void): void {
    this.listeners.get(event)?.delete(listener);
  }

  registerTextStreamHandler(topic: string, handler: Handler): void {
    if (this.streams.has(topic)) throw new Error(`${topic} is taken`);
    this.streams.set(topic, handler);
  }

  unregisterTextStreamHandler(topic: string): void {
    this.streams.delete(topic);
  }

  registerRpcMethod(method: string, handler: (data: never) => Promise<string>): void {
    if (this.methods.has(method)) throw new Error(`${method} is taken`);
    this.methods.set(method, handler);
  }

  unregisterRpcMethod(method: string): void {
    this.methods.delete(method);
  }
}

/** Lets everything that waits for nothing but promises come to its end. */
export const settled = () => new Promise<void>((resolve) => setImmediate(resolve));

export interface Kept {
  segment: string;
  text: string;
  sequence: number;
  correction?: object;
}

/** A page of history. */
export function page(segments: Kept[], next: unknown = null, more: object = {}): Record<string, unknown> {
  return {
    meeting: "m",
    segments: segments.map((one) => ({
      ...{ epoch: 1, revision: 0, speaker: "bob", name: "Bob", start: "2026-01-01T00:00:00.000Z" },
      ...{ start_ms: 0, end_ms: 0, track: "", language: "en" },
      ...one,
    })),
    holes: [],
    interims: [],
    next,
    ...more,
  };
}

/** An approval that is put to Ada. */
export const approval = (id: string, more: object = {}) => ({
  ...{
    id,
    state: "shown",
    tool: "create_calendar_event",
    title: "Plan",
    description: "",
    effects: "idempotent",
  },
  ...{
    arguments: { title: "Plan" },
    arguments_schema: {},
    asked_by: "bob",
    to: "ada",
    name: "Ada",
    reason: "",
  },
  ...{ requested_at: "2026-01-01T00:00:00.000Z", expires_at: null, result: null },
  ...more,
});
