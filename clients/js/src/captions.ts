import type { Agent } from "./agent.js";
import type { Problem } from "./errors.js";
import type { CorrectReply, HistoryHole, HistorySegment } from "./messages.js";
import { reload } from "./reload.js";
import { type MeetingRoom, readTexts } from "./room.js";
import { State } from "./state.js";
import { type Hole, type Segment, Transcript } from "./transcript.js";

type Timer = ReturnType<typeof setTimeout>;

const TOPIC = "lk.transcription";
const CORRECTED_BY = "greffier.corrected_by";
const CORRECTED_AT = "greffier.corrected_at";

/** Most segments of a page: an answer of some 70 KB takes about 70 ms. */
const PAGE = 500;

/** Milliseconds until the history is asked whose a segment is that two claim: once for all till then. */
const CONTESTED = 1_000;

/** Everything that was said, and is being said. */
export interface CaptionsView {
  /** What is settled, in the order in which it was kept. */
  readonly segments: readonly Segment[];
  /** What is being said at the moment. */
  readonly interims: readonly Segment[];
  /** Stretches of time in which speech may be missing. */
  readonly holes: readonly Hole[];
  /** Whether all that was said before one came is there. */
  readonly complete: boolean;
  /** Why it is not. */
  readonly problem?: Problem | undefined;
}

/** Captions as they come, after those that came before: the latter are asked for. */
export class Captions {
  readonly state: State<CaptionsView>;

  /** Asks for what was said and is not here. */
  readonly load: () => Promise<void>;

  readonly #room: MeetingRoom;
  readonly #agent: Agent;
  #transcript = new Transcript();
  #meeting: string | undefined;
  #expiring: Timer | undefined;
  #asking: Timer | undefined;

  /** Takes captions until `until` is aborted. */
  constructor(room: MeetingRoom, agent: Agent, until: AbortSignal) {
    this.state = new State<CaptionsView>({ segments: [], interims: [], holes: [], complete: false }, until);
    this.load = reload(() => this.#load(), until);
    this.#room = room;
    this.#agent = agent;
    readTexts(room, TOPIC, (text, attributes, speaker) => this.#update(text, attributes, speaker), until);
    until.addEventListener("abort", () => {
      clearTimeout(this.#expiring);
      clearTimeout(this.#asking);
    });
  }

  /**
   * Says how a segment should read. People may correct their own, moderators and owners any.
   *
   * @throws {@link Problem} It was refused, or the agent can't be reached.
   */
  correct(segment: string, text: string): Promise<CorrectReply> {
    return this.#agent.call("transcript.correct", { segment, text });
  }

  /** Takes that another job writes the captions from now on. */
  agentChanged(): void {
    this.#transcript.agentChanged();
    void this.load();
  }

  /** Takes that nobody writes the captions at the moment. */
  agentLeft(): void {
    this.#transcript.agentChanged();
    this.#show();
  }

  /** Takes a hole that the agent tells of. */
  hole(hole: Hole): void {
    this.#transcript.hole(hole);
    this.#show();
  }

  async #load(): Promise<void> {
    const history = this.#transcript.history();
    try {
      let after = this.#transcript.last ?? null;
      do {
        const page = await this.#agent.read("transcript.history", { after, limit: PAGE });
        if (page.meeting !== (this.#meeting ??= page.meeting)) return await this.#begin(page.meeting);
        const [segments, holes] = [page.segments.map(segmentOf), page.holes.map(holeOf)];
        history.page({ ...page, segments, holes }, performance.now());
        this.#show({ complete: false });
        after = page.next;
      } while (after);
      history.complete();
      this.#show({ complete: true, problem: undefined });
    } catch (error) {
      this.#show({ complete: false, problem: error as Problem });
    }
  }

  // The next meeting in the same room must not see this one's. Its history has what came live so far.
  #begin(meeting: string): Promise<void> {
    this.#meeting = meeting;
    this.#transcript = new Transcript();
    this.#show({ complete: false });
    return this.#load();
  }

  #update(text: string, attributes: Readonly<Record<string, string>>, speaker: string): void {
    const segment = attributes["lk.segment_id"];
    if (!segment) return; // Another agent's, which writes no segments.
    const final = attributes["lk.transcription_final"] === "true";
    const name = this.#nameOf(speaker);
    const by = attributes[CORRECTED_BY];
    const correction = by ? { by, name: this.#nameOf(by), at: attributes[CORRECTED_AT] ?? "" } : undefined;
    const update = { segment, speaker, name, text, final, correction };
    if (this.#transcript.update(update, performance.now())) {
      this.#asking ??= setTimeout(() => {
        this.#asking = undefined;
        void this.load();
      }, CONTESTED);
    }
    this.#show();
  }

  #expire(): void {
    this.#expiring = undefined;
    this.#show();
  }

  #nameOf(identity: string): string {
    const { localParticipant, remoteParticipants } = this.#room;
    const who = identity === localParticipant.identity ? localParticipant : remoteParticipants.get(identity);
    return who?.name || identity;
  }

  #show(more: Partial<CaptionsView> = {}): void {
    const wait = this.#transcript.expire(performance.now());
    if (wait !== undefined) this.#expiring ??= setTimeout(() => this.#expire(), wait);
    const { segments, interims, holes } = this.#transcript;
    this.state.set({ ...this.state.snapshot(), segments, interims, holes, ...more });
  }
}

function segmentOf({ correction, ...segment }: HistorySegment) {
  if (!correction) return segment;
  const { by, at } = correction;
  return { ...segment, correction: { by: by.identity, name: by.name, at } };
}

function holeOf({ start, start_ms, end_ms, ...hole }: HistoryHole) {
  const to = new Date(Date.parse(start) + end_ms - start_ms).toISOString();
  return { ...hole, from: start, to };
}
