// The page of the caption tests: joins rooms under names, and tells what each of them was shown.
import { Greffier } from "@greffier/client";
import { useTranscriptions } from "@livekit/components-react";
import { Room, RoomEvent } from "livekit-client";
import { createRoot } from "react-dom/client";
import { MeetSubtitles } from "./meet.js";
import { Transcript } from "./transcript.js";

const joined = new Map();

// LiveKit's own component hook, and what it renders.
function Transcriptions({ room }) {
  return useTranscriptions({ room }).map(({ text, participantInfo, streamInfo }) => (
    <li
      key={streamInfo.id}
      data-segment={streamInfo.attributes["lk.segment_id"]}
      data-final={streamInfo.attributes["lk.transcription_final"]}
      data-speaker={participantInfo.identity}
    >
      {text}
    </li>
  ));
}

const shownIn = (list) =>
  Array.from(list.children, ({ dataset, textContent }) => ({
    segment: dataset.segment,
    speaker: dataset.speaker,
    text: textContent,
    final: dataset.final === "true",
  }));

// Rooms allow one handler a topic, so the hook has a room of its own.
function withHook(room) {
  const list = document.body.appendChild(document.createElement("ul"));
  const renderings = [];
  const last = new Map();
  new MutationObserver(() => {
    for (const shown of shownIn(list)) {
      const now = JSON.stringify(shown);
      if (last.get(shown.segment) !== now) renderings.push(shown);
      last.set(shown.segment, now);
    }
  }).observe(list, { subtree: true, childList: true, characterData: true, attributes: true });
  createRoot(list).render(<Transcriptions room={room} />);
  return {
    finals: () => shownIn(list).filter(({ final }) => final).length,
    state: () => ({ shown: shownIn(list), renderings }),
  };
}

function withClients(room) {
  const transcript = new Transcript(room);
  const meet = new MeetSubtitles();
  const legacy = [];
  const packets = [];
  room.on(RoomEvent.TranscriptionReceived, (segments, participant) => {
    legacy.push(segments.map(({ id, startTime, endTime, language }) => ({ id, startTime, endTime, language })));
    meet.receive(segments, participant);
  });
  room.on(RoomEvent.DataReceived, (payload, _participant, _kind, topic) => {
    if (!topic) packets.push(JSON.parse(new TextDecoder().decode(payload)));
  });
  return {
    heard: (kind) => transcript.notices.some(({ type }) => type === kind),
    finals: () => transcript.updates.filter(({ final }) => final).length,
    segments: () => transcript.segments.length,
    interims: () => transcript.interims.length,
    load: (limit) => transcript.load(limit),
    state: () => ({
      updates: transcript.updates,
      notices: transcript.notices,
      segments: transcript.segments,
      interims: transcript.interims,
      rows: meet.rows,
      legacy,
      packets,
      others: [...room.remoteParticipants.values()].map(({ identity, kind }) => ({ identity, kind })),
    }),
  };
}

// Our own module.
function withGreffier(room) {
  const { captions } = new Greffier(room);
  const now = () => captions.state.snapshot();
  return {
    segments: () => (now().complete ? now().segments.length : 0),
    corrected: () => now().segments.filter(({ correction }) => correction).length,
    correct: (segment, text) => captions.correct(segment, text),
    state: () => now().segments,
  };
}

const clients = { hook: withHook, client: withClients, greffier: withGreffier };

window.page = {
  async join(name, url, token, kind) {
    const room = new Room();
    const client = clients[kind](room);
    joined.set(name, { room, ...client });
    await room.connect(url, token);
  },
  state: (name) => joined.get(name).state(),
  // Wait until what a client counts is `least`, or is true.
  async until(name, what, least, ...given) {
    const deadline = performance.now() + 30_000;
    while (!(joined.get(name)[what](...given) >= least)) {
      if (performance.now() > deadline) {
        const now = joined.get(name)[what](...given);
        throw new Error(`${name}: ${what} is ${now} after 30 s, not ${least}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  },
  load: (name, limit) => joined.get(name).load(limit),
  correct: (name, segment, text) => joined.get(name).correct(segment, text),
  send: (name, topic, message) =>
    joined.get(name).room.localParticipant.publishData(
      new TextEncoder().encode(JSON.stringify(message)),
      { reliable: true, topic },
    ),
  async leave(...names) {
    for (const name of names) {
      await joined.get(name).room.disconnect();
      joined.delete(name);
    }
  },
};
