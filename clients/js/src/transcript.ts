/**
 * What a meeting's captions come to: live updates and pages of history, merged. No LiveKit here.
 *
 * Live updates have no number, the lines of pages have. Every line is kept before it is shown, so a
 * page that was asked for after a live update is at least as new; one that was asked for before may
 * not be. Hence what came live counts, until a history that was begun later is complete.
 */

/** That a person, not a machine, said how a segment reads. */
export interface Correction {
  /** The person's identity. */
  readonly by: string;
  readonly name: string;
  /** UTC, ISO 8601. */
  readonly at: string;
}

/** What somebody says, or said. */
export interface Segment {
  readonly segment: string;
  /** The identity of who speaks. */
  readonly speaker: string;
  readonly name: string;
  readonly text: string;
  /** False while it may still change by itself; a person may correct it later. */
  readonly final: boolean;
  /** UTC, ISO 8601; only of what the history has told. */
  readonly start?: string | undefined;
  /** None where the text is the machine's. */
  readonly correction?: Correction | undefined;
}

/** A stretch of time in which speech may be missing: everybody's, or that of `speakers`. */
export interface Hole {
  readonly from: string;
  readonly to: string;
  readonly cause: string;
  readonly speakers: readonly string[];
  readonly reason: string;
}

/** Where a page ends. */
export interface Cursor {
  readonly epoch: number;
  readonly sequence: number;
}

/** A settled segment of a page. */
export interface KeptSegment extends Cursor {
  readonly segment: string;
  readonly speaker: string;
  readonly name: string;
  readonly text: string;
  readonly start: string;
  readonly correction?: Correction | undefined;
}

/** A page, as far as the transcript reads it. */
export interface Page {
  readonly segments: readonly KeptSegment[];
  readonly holes: readonly (Hole & Cursor)[];
  readonly interims: readonly Omit<Segment, "final">[];
}

/** Milliseconds for which an interim is shown that nothing follows: its agent is gone. */
export const INTERIM_LIFE = 30_000;

/** Milliseconds by which the times of one hole may differ: pages round them to the meeting. */
const SAME_TIME = 2;

export class Transcript {
  #kept = new Map<string, KeptSegment>();
  #live = new Map<string, Segment>();
  #interims = new Map<string, Segment & { readonly at: number }>();
  #holes: Hole[] = [];
  #last: Cursor | undefined;

  /** The last line that pages have brought: where the next history begins. */
  get last(): Cursor | undefined {
    return this.#last;
  }

  /** Settled segments, in the order in which they were kept; without those that were withdrawn. */
  get segments(): readonly Segment[] {
    const settled = new Map<string, Segment>();
    for (const [segment, { speaker, name, text, start, correction }] of this.#kept) {
      settled.set(segment, { segment, speaker, name, text, final: true, start, correction });
    }
    for (const [segment, live] of this.#live) {
      const start = settled.get(segment)?.start; // A key keeps its first place in a map.
      settled.set(segment, { ...live, start });
    }
    return [...settled.values()].filter(({ text }) => text.trim());
  }

  /** What is being said. */
  get interims(): readonly Segment[] {
    return [...this.#interims.values()]
      .filter(({ segment, text }) => text.trim() && !this.#isSettled(segment))
      .map(({ at: _, ...interim }) => interim);
  }

  get holes(): readonly Hole[] {
    return this.#holes;
  }

  /**
   * Takes a live update that came at `now`, in milliseconds of any clock that only goes forward.
   *
   * One in another speaker's name than the segment's is left out: only an agent may send in somebody
   * else's name, so whoever forges a caption can't put words into another's mouth. Who was first may
   * be the forger. So this returns whether two claim the segment, and the history is to say whose it
   * is. What a person corrected is replaced by nothing but another correction.
   */
  update(segment: Segment, now: number): boolean {
    const { segment: id, speaker } = segment;
    const known = this.#speakerOf(id);
    if (known !== undefined && known !== speaker) return !this.#kept.has(id);
    if (!segment.final) {
      this.#interims.set(id, { ...segment, at: now });
      return false;
    }
    this.#interims.delete(id);
    const corrected = this.#live.get(id)?.correction ?? this.#kept.get(id)?.correction;
    if (segment.correction || !corrected) this.#live.set(id, segment);
    return false;
  }

  /** Lets go of interims that nothing has followed; returns in how many milliseconds to come again. */
  expire(now: number): number | undefined {
    let next: number | undefined;
    for (const { segment, at } of this.#interims.values()) {
      const left = at + INTERIM_LIFE - now;
      if (left <= 0) this.#interims.delete(segment);
      else next = Math.min(left, next ?? left);
    }
    return next;
  }

  /** Takes that the agent is gone or another one writes: interims get no final. */
  agentChanged(): void {
    this.#interims.clear();
  }

  /** Takes a hole, live or of a page, once. */
  hole({ from, to, cause, speakers, reason }: Hole): void {
    const close = (one: string, other: string) => Math.abs(Date.parse(one) - Date.parse(other)) <= SAME_TIME;
    const known = this.#holes.some(
      (hole) =>
        hole.cause === cause &&
        close(hole.from, from) &&
        close(hole.to, to) &&
        hole.speakers.join("\n") === speakers.join("\n"),
    );
    if (!known) this.#holes = [...this.#holes, { from, to, cause, speakers, reason }];
  }

  /** Begins a history; returns what takes its pages, and is told that the last one was taken. */
  history(): { page(page: Page, now: number): void; complete(): void } {
    const older = new Map(this.#live);
    return {
      page: (page, now) => this.#page(page, now),
      complete: () => {
        for (const [segment, live] of older) {
          const same = this.#live.get(segment) === live;
          if (same && this.#kept.has(segment)) this.#live.delete(segment);
        }
      },
    };
  }

  #page(page: Page, now: number): void {
    for (const line of page.segments) {
      const known = this.#kept.get(line.segment);
      if (!known || isLater(line, known)) this.#kept.set(line.segment, line);
      this.#belongs(line);
      if (line.correction && !this.#live.get(line.segment)?.correction) this.#live.delete(line.segment);
      this.#reached(line);
    }
    for (const line of page.holes) {
      this.hole(line);
      this.#reached(line);
    }
    for (const interim of page.interims) {
      this.#belongs(interim);
      if (!this.#interims.has(interim.segment)) {
        this.#interims.set(interim.segment, { ...interim, final: false, at: now });
      }
    }
  }

  // What came live in another's name was forged.
  #belongs({ segment, speaker }: { readonly segment: string; readonly speaker: string }): void {
    for (const live of [this.#live, this.#interims]) {
      if (live.has(segment) && live.get(segment)?.speaker !== speaker) live.delete(segment);
    }
  }

  #reached({ epoch, sequence }: Cursor): void {
    const line = { epoch, sequence };
    if (!this.#last || isLater(line, this.#last)) this.#last = line;
  }

  #speakerOf(id: string): string | undefined {
    return (this.#kept.get(id) ?? this.#live.get(id) ?? this.#interims.get(id))?.speaker;
  }

  #isSettled(segment: string): boolean {
    return this.#kept.has(segment) || this.#live.has(segment);
  }
}

const isLater = (one: Cursor, other: Cursor): boolean =>
  one.epoch > other.epoch || (one.epoch === other.epoch && one.sequence > other.sequence);
