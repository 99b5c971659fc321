import type { Agent } from "./agent.js";
import type { Problem } from "./errors.js";
import type { Approval, ResolveReply, ResolveRequest, ShowRequest } from "./messages.js";
import type { ApprovalNotice } from "./notices.js";
import { reload } from "./reload.js";
import type { MeetingRoom } from "./room.js";
import type { Senders } from "./senders.js";
import { State } from "./state.js";

const SHOW = "approval.show";

/** States of which one's own approvals need a dialog, the first first. */
const DIALOGS: readonly Approval["state"][] = ["shown", "requested", "unknown"];

/** What waits for a decision. */
export interface ApprovalsView {
  /** One's own and those that one asked for; a moderator and an owner see all. The oldest first. */
  readonly open: readonly Approval[];
  /** The dialog to show now: one's own, one at a time. */
  readonly current?: Approval | undefined;
  /** What was told last of one of them, such as that it is `done`. */
  readonly news?: ApprovalNotice | undefined;
  /** Why the list may be out of date. */
  readonly problem?: Problem | undefined;
}

/** What agents and people ask one to allow; kept by the agent, so a page that reloads has it again. */
export class Approvals {
  readonly state: State<ApprovalsView>;

  /** Asks the agent what is open. */
  readonly load: () => Promise<void>;

  readonly #room: MeetingRoom;
  readonly #agent: Agent;
  readonly #senders: Senders;
  readonly #until: AbortSignal;

  #dialog: string | undefined;

  /** Asks for nothing by itself before {@link begin}, nor once `until` is aborted. */
  constructor(room: MeetingRoom, agent: Agent, senders: Senders, until: AbortSignal) {
    this.state = new State<ApprovalsView>({ open: [] }, until);
    this.load = reload(() => this.#load(), until);
    this.#room = room;
    this.#agent = agent;
    this.#senders = senders;
    this.#until = until;
  }

  /** Takes the dialogs that the agent shows: from now on it counts on their being seen. */
  begin(): void {
    this.#room.registerRpcMethod(SHOW, async ({ callerIdentity, payload }) => {
      if (!(await this.#senders.isAgent(callerIdentity))) throw new Error("only an agent may ask");
      this.#shown((JSON.parse(payload) as ShowRequest).approval);
      return JSON.stringify({ version: 1 }); // At once: a person takes longer than a call may.
    });
    this.#until.addEventListener("abort", () => this.#room.unregisterRpcMethod(SHOW));
  }

  /** Allows it as it is. */
  approve(id: string): Promise<ResolveReply> {
    return this.#resolve({ id, decision: "approve" });
  }

  /** Allows it with other arguments, which the tool's schema must take. */
  modify(id: string, args: Approval["arguments"]): Promise<ResolveReply> {
    return this.#resolve({ id, decision: "modify", arguments: args });
  }

  /** Refuses it. */
  reject(id: string, reason = ""): Promise<ResolveReply> {
    return this.#resolve({ id, decision: "reject", reason });
  }

  /** Tells what became of one that is `unknown`: whether it happened. */
  settle(id: string, happened: boolean): Promise<ResolveReply> {
    return this.#resolve({ id, decision: happened ? "happened" : "did_not_happen" });
  }

  /**
   * Returns every approval there was, the oldest first, with what came of it.
   *
   * @throws {@link Problem} The agent can't be reached.
   */
  async all(): Promise<readonly Approval[]> {
    return (await this.#agent.read("approval.list", { open_only: false })).approvals;
  }

  /** Takes that an approval is open now, or is no longer. */
  notice(news: ApprovalNotice): void {
    this.state.set({ ...this.state.snapshot(), news });
    void this.load();
  }

  async #load(): Promise<void> {
    try {
      const { approvals } = await this.#agent.read("approval.list");
      this.#show(approvals);
    } catch (error) {
      this.state.set({ ...this.state.snapshot(), problem: error as Problem });
    }
  }

  async #resolve(request: ResolveRequest): Promise<ResolveReply> {
    try {
      return await this.#agent.call("approval.resolve", request);
    } finally {
      void this.load(); // Refused as well: then it is decided, or gone.
    }
  }

  #shown(approval: Approval): void {
    this.#dialog = approval.id;
    const { open } = this.state.snapshot();
    const known = open.some(({ id }) => id === approval.id);
    this.#show(known ? open.map((one) => (one.id === approval.id ? approval : one)) : [...open, approval]);
    void this.load(); // When it expires is known from now on.
  }

  // The agent shows one after the other; without its word the order is the one it goes by.
  #show(open: readonly Approval[]): void {
    const { news } = this.state.snapshot();
    const me = this.#room.localParticipant.identity;
    const mine = open.filter(({ to }) => to === me);
    const current =
      mine.find(({ id }) => id === this.#dialog) ??
      DIALOGS.map((wanted) => mine.find(({ state }) => state === wanted)).find(Boolean);
    this.#dialog = current?.id;
    this.state.set({ open, current, news });
  }
}
