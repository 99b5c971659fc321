import { Problem, type ProblemName, problemOf } from "./errors.js";
import type { Methods } from "./messages.js";
import { type MeetingRoom, readTexts, type TakeText } from "./room.js";
import type { Senders } from "./senders.js";
import { State } from "./state.js";

/** Topics on which a hidden agent sends a reply that is too long for one, and its attribute. */
const TOPICS = ["greffier.history", "greffier.rpc"];
const REQUEST = "greffier.request";

/** Milliseconds that an answer may take, and the stream that brings a long one. */
const ANSWER_WITHIN = 15_000;

/** Milliseconds that a call waits for an agent to be there at all. */
const AGENT_WITHIN = 10_000;

/** Seconds until a reading call is tried again, each time one more. */
const AGAIN = [0.5, 1, 2, 4];

/** What is tried again: the agent is away or asks to wait. */
const TEMPORARY: readonly ProblemName[] = ["lost", "unavailable", "rate_limited"];

type Method = Exclude<keyof Methods, "approval.show">;

/** The request of a method; may be left out where nothing of it is required. */
type Given<M extends Method> =
  Partial<Methods[M]["request"]> extends Methods[M]["request"]
    ? [request?: Methods[M]["request"]]
    : [request: Methods[M]["request"]];

/** A long answer, until it was read or `ANSWER_WITHIN` is over. */
interface Answer {
  readonly text: Promise<string>;
  readonly take: (text: string) => void;
  readonly forget: () => void;
}

/**
 * The agent that answers calls: found by its notices, as a hidden one is in no list.
 *
 * Who it is changes when another job takes the meeting over; calls go to the latest.
 */
export class Agent {
  /** The identity to call; none before an agent has told it, and after it left. */
  readonly identity: State<string | undefined>;

  readonly #room: MeetingRoom;
  readonly #senders: Senders;
  readonly #until: AbortSignal;
  readonly #answers = new Map<string, Answer>();

  /** Nothing is asked any more once `until` is aborted. */
  constructor(room: MeetingRoom, senders: Senders, until: AbortSignal) {
    this.identity = new State<string | undefined>(undefined, until);
    this.#room = room;
    this.#senders = senders;
    this.#until = until;
    const take: TakeText = (text, attributes, from) => void this.#came(text, attributes[REQUEST], from);
    for (const topic of TOPICS) readTexts(room, topic, take, until);
    until.addEventListener("abort", () => {
      for (const { forget } of this.#answers.values()) forget();
    });
  }

  /** Takes that `identity` is the agent. */
  heard(identity: string): void {
    if (identity !== this.identity.snapshot()) this.identity.set(identity);
  }

  /** Takes that the agent is gone: calls wait for the next one. */
  left(): void {
    this.identity.set(undefined);
  }

  /**
   * Calls a method of the agent, once.
   *
   * @throws {@link Problem} The agent refuses, or can't be reached.
   */
  async call<M extends Method>(method: M, ...[request]: Given<M>): Promise<Methods[M]["reply"]> {
    const destinationIdentity = await this.#present();
    try {
      const reply = await this.#room.localParticipant.performRpc({
        destinationIdentity,
        method,
        payload: JSON.stringify({ version: 1, ...request }),
        responseTimeout: ANSWER_WITHIN,
      });
      return await this.#whole(reply);
    } catch (error) {
      throw problemOf(error);
    }
  }

  /**
   * Calls a method that only reads; tries again while the agent is away or asks to wait.
   *
   * @throws {@link Problem} The agent refuses, or can't be reached for too long.
   */
  async read<M extends Method>(method: M, ...given: Given<M>): Promise<Methods[M]["reply"]> {
    for (const seconds of AGAIN) {
      try {
        return await this.call(method, ...given);
      } catch (error) {
        const { problem, data } = error as Problem;
        if (!TEMPORARY.includes(problem) || this.#until.aborted) throw error;
        const asked = typeof data.retry_after === "number" ? data.retry_after : 0;
        await this.#pause(1000 * Math.max(asked, seconds));
      }
    }
    return this.call(method, ...given);
  }

  #pause(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const end = () => {
        clearTimeout(timer);
        this.#until.removeEventListener("abort", end);
        resolve();
      };
      const timer = setTimeout(end, milliseconds);
      this.#until.addEventListener("abort", end);
    });
  }

  #present(): Promise<string> {
    return new Promise((resolve, reject) => {
      const end = () => {
        clearTimeout(timer);
        stop();
        this.#until.removeEventListener("abort", fail);
      };
      const fail = () => {
        end();
        reject(new Problem("lost", 0, "There is no agent in this meeting that answers."));
      };
      const look = () => {
        const identity = this.identity.snapshot();
        if (identity === undefined) return;
        end();
        resolve(identity);
      };
      const stop = this.identity.subscribe(look);
      const timer = setTimeout(fail, AGENT_WITHIN);
      this.#until.addEventListener("abort", fail);
      if (this.#until.aborted) fail();
      else look();
    });
  }

  async #whole<R>(reply: string): Promise<R> {
    const { stream } = JSON.parse(reply) as { stream?: unknown };
    if (typeof stream !== "string") return JSON.parse(reply) as R;
    const answer = this.#answer(stream);
    const text = await answer.text;
    answer.forget();
    return JSON.parse(text) as R;
  }

  // Only an agent's counts: people may send on the topic too.
  async #came(text: string, request: string | undefined, from: string): Promise<void> {
    if (request && (await this.#senders.isAgent(from))) this.#answer(request).take(text);
  }

  // The stream may be here before the reply that names it, and either may never come.
  #answer(request: string): Answer {
    const known = this.#answers.get(request);
    if (known) return known;
    let take!: (text: string) => void;
    let forget!: () => void;
    const text = new Promise<string>((resolve, reject) => {
      take = resolve;
      forget = () => {
        clearTimeout(timer);
        this.#answers.delete(request);
        reject(new Error("the answer's stream did not come"));
      };
      const timer = setTimeout(() => forget(), ANSWER_WITHIN);
    });
    text.catch(() => undefined); // Nobody waits for a stream whose reply was lost.
    const answer = { text, take, forget };
    this.#answers.set(request, answer);
    return answer;
  }
}
