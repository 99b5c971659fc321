import type { Agent } from "./agent.js";
import type { AgentsReply, StatusReply } from "./messages.js";
import type { CaptionsNotice, CaptionsTopic, Notice } from "./notices.js";
import { reload } from "./reload.js";
import { State } from "./state.js";

/** What an agent has told of itself. */
interface Told {
  /** What the agent told last of each thing about its captions. */
  readonly captions: Readonly<Partial<Record<CaptionsTopic, CaptionsNotice>>>;
  /** What is wrong with the room's metadata; empty where nothing is. */
  readonly error: string;
}

/** How the meeting's agents are. */
export interface StatusView extends Told {
  /** The identity of the agent that answers; none while there is none. */
  readonly agent?: string | undefined;
  /** Answer of `agent.status`: which agents run, and what one may do. */
  readonly reply?: StatusReply | undefined;
}

const NOTHING: Told = { captions: {}, error: "" };

/** What the agent says of itself. */
export class Status {
  readonly state: State<StatusView>;

  /** Asks which agents run and what one may do. */
  readonly load: () => Promise<void>;

  readonly #agent: Agent;
  readonly #told = new Map<string, Told>(); // Of a successor too, which may tell before it answers.

  /** Says nothing new once `until` is aborted. */
  constructor(agent: Agent, until: AbortSignal) {
    this.state = new State<StatusView>(NOTHING, until);
    this.load = reload(() => this.#load(), until);
    this.#agent = agent;
  }

  /**
   * Starts an agent, such as `transcriber`; a moderator or the owner may.
   *
   * @throws {@link Problem} It was refused, or the agent can't be reached.
   */
  start(agent: string): Promise<AgentsReply> {
    return this.#switch("agents.start", agent);
  }

  /**
   * Stops an agent; a moderator or the owner may.
   *
   * @throws {@link Problem} It was refused, or the agent can't be reached.
   */
  stop(agent: string): Promise<AgentsReply> {
    return this.#switch("agents.stop", agent);
  }

  /** Takes a notice of the agent with the identity `by`. */
  notice(notice: Notice, by: string): void {
    const told = this.#told.get(by) ?? NOTHING;
    if (notice.type === "captions") {
      const captions = { ...told.captions, [notice.about ?? "engine"]: notice };
      this.#told.set(by, { ...told, captions });
    }
    if (notice.type === "error") this.#told.set(by, { ...told, error: notice.message });
    const { agent } = this.state.snapshot();
    if (by !== agent) return; // A predecessor's last words, or a successor's first.
    this.#set(this.#told.get(by));
    if (notice.type === "agent" || notice.type === "error") void this.load();
  }

  /** Takes that `agent` answers from now on. */
  agentChanged(agent: string): void {
    const told = this.#told.get(agent) ?? NOTHING;
    this.#told.clear();
    this.#told.set(agent, told);
    this.#set({ agent, ...told });
    void this.load();
  }

  /** Takes that the agent is gone. */
  agentLeft(): void {
    this.#told.clear();
    this.state.set(NOTHING);
  }

  async #load(): Promise<void> {
    const reply = await this.#agent.read("agent.status").catch(() => undefined);
    this.#set({ reply });
  }

  async #switch(method: "agents.start" | "agents.stop", agent: string): Promise<AgentsReply> {
    const now = await this.#agent.call(method, { agent });
    const { reply } = this.state.snapshot();
    if (reply) this.#set({ reply: { ...reply, agents: now.agents } });
    return now;
  }

  #set(more: Partial<StatusView> = {}): void {
    this.state.set({ ...this.state.snapshot(), ...more });
  }
}
