import { RoomEvent } from "livekit-client";
import { Agent } from "./agent.js";
import { Approvals } from "./approvals.js";
import { Captions } from "./captions.js";
import type { ToolsCallReply, ToolsCallRequest, ToolsListReply } from "./messages.js";
import type { Notice } from "./notices.js";
import { listening, type MeetingRoom, readTexts, type TakeText } from "./room.js";
import { Senders } from "./senders.js";
import { Status } from "./status.js";

const TOPIC = "greffier.status";
const AGENT = "greffier.agent";

/** What a page leaves to others. */
export interface GreffierOptions {
  /**
   * False where the page shows no approvals, or shows them in another way: then `approval.show` is
   * left alone, and nothing is listed. The agent takes whoever answers it to see the dialog.
   */
  readonly approvals?: boolean;
}

/**
 * One person's side of a meeting with Greffier.
 *
 * Make it before the room connects, so that nothing is missed, and close it with the room. It takes
 * the room's text stream topics `lk.transcription`, `greffier.status`, `greffier.history` and
 * `greffier.rpc`, and the RPC method `approval.show`: LiveKit allows one handler each. Where one is
 * taken this throws, and gives back those that it had taken.
 */
export class Greffier {
  readonly captions: Captions;
  readonly approvals: Approvals;
  readonly status: Status;
  /** For whatever has no method here; {@link Agent.call} takes every method of docs/rpc.md. */
  readonly agent: Agent;

  readonly #room: MeetingRoom;
  readonly #senders: Senders;
  readonly #showsApprovals: boolean;
  readonly #closing = new AbortController(); // Its signal has the undo of all that was taken.
  #lastAgent: string | undefined;

  constructor(room: MeetingRoom, { approvals = true }: GreffierOptions = {}) {
    const { signal } = this.#closing;
    this.#room = room;
    this.#senders = new Senders(room, signal);
    this.#showsApprovals = approvals;
    try {
      this.agent = new Agent(room, this.#senders, signal);
      this.captions = new Captions(room, this.agent, signal);
      this.approvals = new Approvals(room, this.agent, this.#senders, signal);
      this.status = new Status(this.agent, signal);
      const take: TakeText = (text, attributes, from) => void this.#notice(text, attributes[AGENT], from);
      readTexts(room, TOPIC, take, signal);
      if (approvals) this.approvals.begin();
      this.#follow(signal);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /**
   * Tells which tools there are.
   *
   * @throws {@link Problem} The agent can't be reached.
   */
  tools(): Promise<ToolsListReply> {
    return this.agent.read("tools.list");
  }

  /**
   * Runs a tool, or has somebody asked to approve it: oneself where `to` names nobody.
   *
   * @throws {@link Problem} It was refused, or the agent can't be reached.
   */
  callTool(
    tool: string,
    args: NonNullable<ToolsCallRequest["arguments"]>,
    more: Pick<ToolsCallRequest, "to" | "reason"> = {},
  ): Promise<ToolsCallReply> {
    return this.agent.call("tools.call", { tool, arguments: args, ...more });
  }

  /**
   * Gives the room's topics and method back and asks for nothing more; states stay as they are. The
   * room itself is not disconnected.
   */
  close(): void {
    this.#closing.abort();
  }

  #follow(until: AbortSignal): void {
    const on = listening(this.#room, until);
    on(RoomEvent.Reconnected, () => this.#load());
    on(RoomEvent.Disconnected, () => this.#left());
    on(RoomEvent.ParticipantDisconnected, ({ identity }) => {
      if (identity === this.agent.identity.snapshot()) this.#left();
    });
    // LiveKit tells of everybody anew after some reconnects.
    on(RoomEvent.ParticipantConnected, ({ identity, isAgent }) => {
      if (isAgent && identity === this.#lastAgent) this.#answers(identity);
    });
    on(RoomEvent.ParticipantAttributesChanged, (_, { identity }) => {
      const isMine = identity === this.#room.localParticipant.identity;
      if (isMine) void this.status.load(); // One's role may be there.
    });
  }

  async #notice(text: string, agent: string | undefined, from: string): Promise<void> {
    if (!agent || !(await this.#senders.isAgent(from))) return;
    const notice = JSON.parse(text) as Notice;
    switch (notice.type) {
      case "history": // Told by the agent that answers, when it begins and to whoever joins.
        this.#answers(agent);
        break;
      case "hole":
        this.captions.hole(notice);
        break;
      case "approval":
        if (this.#showsApprovals) this.approvals.notice(notice);
        break;
      default:
        this.status.notice(notice, agent);
    }
  }

  #answers(agent: string): void {
    this.#lastAgent = agent;
    this.agent.heard(agent);
    this.captions.agentChanged();
    this.status.agentChanged(agent);
    if (this.#showsApprovals) void this.approvals.load();
  }

  #left(): void {
    this.agent.left();
    this.captions.agentLeft();
    this.status.agentLeft();
  }

  #load(): void {
    void this.captions.load();
    if (this.#showsApprovals) void this.approvals.load();
    void this.status.load();
  }
}
