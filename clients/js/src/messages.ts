// Generated from docs/rpc.schema.json by `npm run generate`.

/**
 * From the least to the most trusted; an agent stands apart and is no person.
 */
export type Role = "stranger" | "attendee" | "moderator" | "owner" | "agent";

/**
 * Request and reply of each method.
 */
export interface Methods {
  /**
   * Tells which agents run, and what the caller may do.
   */
  "agent.status": {
    request: StatusRequest;
    reply: StatusReply;
  };
  /**
   * Starts an agent in this meeting.
   */
  "agents.start": {
    request: AgentRequest;
    reply: AgentsReply;
  };
  /**
   * Stops an agent in this meeting.
   */
  "agents.stop": {
    request: AgentRequest;
    reply: AgentsReply;
  };
  /**
   * Tells what was said so far, page by page.
   */
  "transcript.history": {
    request: HistoryRequest;
    reply: HistoryReply;
  };
  /**
   * Corrects a segment: attendees their own, moderators and owners any.
   */
  "transcript.correct": {
    request: CorrectRequest;
    reply: CorrectReply;
  };
  /**
   * Tells what the caller is asked to approve.
   */
  "approval.list": {
    request: ApprovalListRequest;
    reply: ApprovalListReply;
  };
  /**
   * Decides an approval that is put to the caller.
   */
  "approval.resolve": {
    request: ResolveRequest;
    reply: ResolveReply;
  };
  /**
   * Tells which tools there are.
   */
  "tools.list": {
    request: ToolsListRequest;
    reply: ToolsListReply;
  };
  /**
   * Runs a tool without effects, or asks somebody to approve one that has some.
   */
  "tools.call": {
    request: ToolsCallRequest;
    reply: ToolsCallReply;
  };
  /**
   * Has a browser ask its person; the agent calls it.
   */
  "approval.show": {
    request: ShowRequest;
    reply: ShowReply;
  };
}
/**
 * Payload of `agent.status`.
 */
export interface StatusRequest {
  version?: 1;
}
/**
 * Answer of `agent.status`.
 */
export interface StatusReply {
  version: 1;
  meeting: string;
  room: string;
  /**
   * Grows with every job that serves the meeting.
   */
  epoch: number;
  /**
   * UTC, ISO 8601 with milliseconds.
   */
  started_at: string;
  language: string;
  /**
   * False while what is said is in no journal.
   */
  durable: boolean;
  /**
   * False where nothing of this meeting is kept.
   */
  kept: boolean;
  agents: AgentState[];
  you: You;
}
/**
 * One agent of the worker, such as the transcriber.
 */
export interface AgentState {
  name: string;
  description: string;
  state: "running" | "off" | "failed";
}
/**
 * Who the caller is to the agent.
 */
export interface You {
  identity: string;
  role: Role;
  /**
   * Methods that the caller's role may call.
   */
  may_call: (
    | "agent.status"
    | "agents.start"
    | "agents.stop"
    | "approval.list"
    | "approval.resolve"
    | "tools.call"
    | "tools.list"
    | "transcript.correct"
    | "transcript.history"
  )[];
}
/**
 * Payload of `agents.start` and `agents.stop`.
 */
export interface AgentRequest {
  version?: 1;
  /**
   * Name as in the room's metadata under `agents`.
   */
  agent: string;
}
/**
 * Answer of `agents.start` and `agents.stop`.
 */
export interface AgentsReply {
  version: 1;
  agents: AgentState[];
}
/**
 * Payload of `transcript.history`.
 */
export interface HistoryRequest {
  version?: 1;
  /**
   * `next` of the page before.
   */
  after?: After | null;
  /**
   * Most segments in the page.
   */
  limit?: number;
}
/**
 * The last line that the reader has.
 */
export interface After {
  epoch: number;
  sequence: number;
}
/**
 * Answer of `transcript.history`: a page.
 */
export interface HistoryReply {
  version: 1;
  meeting: string;
  segments: HistorySegment[];
  holes: HistoryHole[];
  /**
   * Ask again after it; null on the last page.
   */
  next: After | null;
  /**
   * With the last page only.
   */
  interims: HistoryInterim[];
}
/**
 * A final caption, as it reads now; of several with one `segment` the later one counts.
 *
 * A segment comes again in the place of its correction, and of a new revision by the machine.
 */
export interface HistorySegment {
  epoch: number;
  sequence: number;
  segment: string;
  revision: number;
  speaker: string;
  name: string;
  text: string;
  start_ms: number;
  end_ms: number;
  track: string;
  language: string;
  /**
   * UTC, ISO 8601 with milliseconds.
   */
  start: string;
  /**
   * Who corrected the text; null where nobody did.
   */
  correction: HistoryCorrection | null;
}
/**
 * That a person, not a machine, said how a segment reads.
 */
export interface HistoryCorrection {
  by: Corrector;
  /**
   * UTC, ISO 8601 with milliseconds.
   */
  at: string;
  /**
   * What the machine had settled.
   */
  original: string;
}
/**
 * Who corrected a segment.
 */
export interface Corrector {
  identity: string;
  name: string;
}
/**
 * Speech that may be missing.
 */
export interface HistoryHole {
  epoch: number;
  sequence: number;
  start_ms: number;
  end_ms: number;
  cause: string;
  speakers: string[];
  reason: string;
  /**
   * UTC, ISO 8601 with milliseconds.
   */
  start: string;
}
/**
 * What is being said at the moment.
 */
export interface HistoryInterim {
  segment: string;
  speaker: string;
  name: string;
  text: string;
  /**
   * UTC, ISO 8601 with milliseconds.
   */
  start: string;
  track: string;
}
/**
 * Payload of `transcript.correct`.
 */
export interface CorrectRequest {
  version?: 1;
  /**
   * Id of the segment, as captions and history tell it.
   */
  segment: string;
  /**
   * What was said.
   */
  text: string;
}
/**
 * Answer of `transcript.correct`: the correction as it is kept.
 */
export interface CorrectReply {
  version: 1;
  segment: string;
  text: string;
  by: string;
  name: string;
  /**
   * UTC, ISO 8601 with milliseconds.
   */
  at: string;
}
/**
 * Payload of `approval.list`.
 */
export interface ApprovalListRequest {
  version?: 1;
  /**
   * Only those that wait for a decision.
   */
  open_only?: boolean;
}
/**
 * Answer of `approval.list`: one's own; a moderator and an owner see all.
 */
export interface ApprovalListReply {
  version: 1;
  approvals: Approval[];
}
/**
 * What somebody is asked to approve.
 */
export interface Approval {
  id: string;
  state:
    | "requested"
    | "shown"
    | "approved"
    | "modified"
    | "rejected"
    | "expired"
    | "withdrawn"
    | "started"
    | "done"
    | "failed"
    | "unknown"
    | "settled";
  tool: string;
  title: string;
  description: string;
  /**
   * As the tool's schema says.
   */
  arguments: {
    [k: string]: unknown;
  };
  /**
   * JSON Schema of `arguments`; empty for whom it is not put to.
   */
  arguments_schema: {
    [k: string]: unknown;
  };
  effects: "none" | "idempotent" | "at_most_once";
  /**
   * Identity of a participant, or `agent:` and the name of an agent.
   */
  asked_by: string;
  /**
   * Identity of the person who decides.
   */
  to: string;
  /**
   * Display name of that person.
   */
  name: string;
  /**
   * Why it is asked, or why it ended as it did.
   */
  reason: string;
  /**
   * UTC, ISO 8601 with milliseconds.
   */
  requested_at: string;
  /**
   * Null until it is shown.
   */
  expires_at: string | null;
  result: unknown;
}
/**
 * Payload of `approval.resolve`.
 */
export interface ResolveRequest {
  version?: 1;
  id: string;
  /**
   * The last two settle an approval whose outcome is `unknown`.
   */
  decision: "approve" | "reject" | "modify" | "happened" | "did_not_happen";
  /**
   * With `modify` only.
   */
  arguments?: {
    [k: string]: unknown;
  } | null;
  reason?: string;
}
/**
 * Answer of `approval.resolve`.
 */
export interface ResolveReply {
  version: 1;
  id: string;
  state:
    | "requested"
    | "shown"
    | "approved"
    | "modified"
    | "rejected"
    | "expired"
    | "withdrawn"
    | "started"
    | "done"
    | "failed"
    | "unknown"
    | "settled";
}
/**
 * Payload of `tools.list`.
 */
export interface ToolsListRequest {
  version?: 1;
}
/**
 * Answer of `tools.list`.
 */
export interface ToolsListReply {
  version: 1;
  tools: ToolInfo[];
}
/**
 * A tool that may be called.
 */
export interface ToolInfo {
  name: string;
  title: string;
  description: string;
  effects: "none" | "idempotent" | "at_most_once";
  /**
   * JSON Schema of its arguments.
   */
  arguments_schema: {
    [k: string]: unknown;
  };
}
/**
 * Payload of `tools.call`.
 */
export interface ToolsCallRequest {
  version?: 1;
  tool: string;
  /**
   * As the tool's schema says.
   */
  arguments?: {
    [k: string]: unknown;
  };
  /**
   * Who approves, by identity or name; the caller, where nobody is named.
   *
   * @maxItems 20
   */
  to?: string[];
  /**
   * More of them, each with arguments of their own.
   *
   * @maxItems 20
   */
  targets?: ToolsCallTarget[];
  reason?: string;
}
/**
 * One of several people who are asked, each for something of their own.
 */
export interface ToolsCallTarget {
  /**
   * Identity or name.
   */
  to: string;
  /**
   * As the tool's schema says.
   */
  arguments: {
    [k: string]: unknown;
  };
}
/**
 * Answer of `tools.call`: at once; what comes of approvals is told by notices.
 */
export interface ToolsCallReply {
  version: 1;
  state: "done" | "pending" | "refused";
  result: unknown;
  /**
   * Ids, where `pending`.
   */
  approvals: string[];
  reason: string;
}
/**
 * Payload of `approval.show`, which the agent calls on the addressee's browser.
 */
export interface ShowRequest {
  version: 1;
  approval: Approval;
}
/**
 * Answer of `approval.show`, at once: the dialog is open or waits its turn.
 */
export interface ShowReply {
  version?: 1;
  seen?: boolean;
}
