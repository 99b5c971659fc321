import type { Room } from "livekit-client";

/** What of LiveKit's `Room` is used here; a test's double has no more. */
export type MeetingRoom = Pick<
  Room,
  | "on"
  | "off"
  | "registerTextStreamHandler"
  | "unregisterTextStreamHandler"
  | "registerRpcMethod"
  | "unregisterRpcMethod"
> & {
  readonly localParticipant: Pick<Room["localParticipant"], "identity" | "name" | "performRpc">;
  readonly remoteParticipants: ReadonlyMap<
    string,
    { readonly name?: string | undefined; readonly isAgent: boolean }
  >;
};

/** Takes a whole text stream: its text, its attributes, and whose it is. */
export type TakeText = (text: string, attributes: Readonly<Record<string, string>>, from: string) => void;

/**
 * Reads every text stream of a topic to its end, until `until` is aborted.
 *
 * A stream that breaks off is left out: what it brought comes again with the next history.
 */
export function readTexts(room: MeetingRoom, topic: string, take: TakeText, until: AbortSignal): void {
  room.registerTextStreamHandler(topic, (reader, { identity }) => {
    reader.readAll().then(
      (text) => until.aborted || take(text, reader.info.attributes ?? {}, identity),
      () => undefined,
    );
  });
  until.addEventListener("abort", () => room.unregisterTextStreamHandler(topic));
}

/** Returns the room's `on`, whose listeners are called until `until` is aborted. */
export function listening(room: MeetingRoom, until: AbortSignal): MeetingRoom["on"] {
  return (event, listener) => {
    until.addEventListener("abort", () => room.off(event, listener));
    return room.on(event, listener);
  };
}
