// A page's transcript: everything said before it came, by RPC, and everything said since, live.
//
// Make it before the room connects, so that nothing falls between the two. What came live counts:
// a revision that the history has, too, was either sent before the page came or is on its way.
const TRANSCRIPTION = "lk.transcription";
const HISTORY = "greffier.history";
const STATUS = "greffier.status";

export class Transcript {
  updates = []; // every live update, in order of arrival
  notices = [];
  #history = new Map(); // segment -> {segment, speaker, text, revision}, in order of keeping
  #live = new Map(); // segment -> {segment, speaker, text}, finals in order of arrival
  #interims = new Map();
  #pages = new Map(); // request -> its promise
  #agent = Promise.withResolvers();

  constructor(room) {
    this.room = room;
    const on = (topic, receive) =>
      room.registerTextStreamHandler(topic, async (reader, { identity }) =>
        receive(await reader.readAll(), reader.info.attributes ?? {}, identity),
      );
    on(TRANSCRIPTION, (text, attributes, sender) => this.#update(text, attributes, sender));
    on(HISTORY, (text, attributes) => this.#page(attributes["greffier.request"]).resolve(text));
    on(STATUS, (text, attributes) => {
      const agent = attributes["greffier.agent"];
      this.notices.push({ agent, ...JSON.parse(text) });
      this.#agent.resolve(agent); // A hidden agent is in no list, and its streams have no sender.
    });
  }

  // Load what was said so far, `limit` segments at a time; returns figures.
  async load(limit) {
    const agent = await this.#agent.promise;
    const began = performance.now();
    const figures = { segments: 0, pages: 0, streams: 0, characters: 0, interims: 0 };
    let after;
    do {
      const reply = await this.room.localParticipant.performRpc({
        destinationIdentity: agent,
        method: "transcript.history",
        payload: JSON.stringify({ after, limit }),
      });
      let page = JSON.parse(reply);
      figures.characters += reply.length;
      if (page.stream) {
        const text = await this.#page(page.stream).promise;
        this.#pages.delete(page.stream);
        page = JSON.parse(text);
        figures.characters += text.length;
        figures.streams += 1;
      }
      this.#merge(page);
      figures.pages += 1;
      figures.segments += page.segments.length;
      figures.interims += page.interims.length;
      after = page.next;
    } while (after);
    return { ...figures, ms: performance.now() - began };
  }

  // What a reader is shown: settled segments in order, without those that were withdrawn.
  get segments() {
    const settled = new Map([...this.#history, ...this.#live]); // A key keeps its first place.
    return Array.from(settled.values())
      .filter(({ text }) => text.trim())
      .map(({ segment, speaker, text }) => ({ segment, speaker, text }));
  }

  get interims() {
    return Array.from(this.#interims.values()).filter(({ segment }) => !this.#isSettled(segment));
  }

  #isSettled(segment) {
    return this.#history.has(segment) || this.#live.has(segment);
  }

  #page(request) {
    // The stream may be here before the reply that names it.
    if (!this.#pages.has(request)) this.#pages.set(request, Promise.withResolvers());
    return this.#pages.get(request);
  }

  #update(text, attributes, speaker) {
    const segment = attributes["lk.segment_id"];
    const final = attributes["lk.transcription_final"] === "true";
    const track = attributes["lk.transcribed_track_id"];
    this.updates.push({ segment, speaker, text, final, track });
    (final ? this.#live : this.#interims).set(segment, { segment, speaker, text });
  }

  #merge(page) {
    for (const { segment, speaker, text, revision } of page.segments) {
      if (!(this.#history.get(segment)?.revision > revision)) {
        this.#history.set(segment, { segment, speaker, text, revision });
      }
    }
    for (const { segment, speaker, text } of page.interims) {
      if (!this.#interims.has(segment)) this.#interims.set(segment, { segment, speaker, text });
    }
  }
}
