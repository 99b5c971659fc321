import { RoomEvent } from "livekit-client";
import type { MeetingRoom } from "./room.js";

/** Milliseconds until somebody who sends is to be in the list of participants, which comes late. */
const LISTED_WITHIN = 3_000;

/**
 * Tells an agent from the people who could say that they are one.
 *
 * LiveKit vouches for who sent a stream or made a call, and for a participant's kind, which only the
 * server's keys give. A hidden agent is in no list, and its streams come in nobody's name; whatever
 * a person sends comes in theirs.
 */
export class Senders {
  readonly #room: MeetingRoom;
  readonly #until: AbortSignal;

  /** Believes nobody that comes late once `until` is aborted. */
  constructor(room: MeetingRoom, until: AbortSignal) {
    this.#room = room;
    this.#until = until;
  }

  /** Tells whether `identity`, as LiveKit told it, is an agent; waits for one that just joined. */
  async isAgent(identity: string): Promise<boolean> {
    if (!identity) return true;
    const kind = () => this.#room.remoteParticipants.get(identity)?.isAgent;
    return kind() ?? (await this.#listed(identity, kind));
  }

  #listed(identity: string, kind: () => boolean | undefined): Promise<boolean> {
    return new Promise((resolve) => {
      const end = () => {
        clearTimeout(timer);
        this.#room.off(RoomEvent.ParticipantConnected, look);
        this.#until.removeEventListener("abort", end);
        resolve(kind() ?? false);
      };
      const look = (participant: { readonly identity: string }) => {
        if (participant.identity === identity) end();
      };
      const timer = setTimeout(end, LISTED_WITHIN);
      this.#room.on(RoomEvent.ParticipantConnected, look);
      this.#until.addEventListener("abort", end);
    });
  }
}
