// What La Suite Meet's page makes of Transcription packets: a row for each turn of a speaker. The
// first packet of a segment id wins, a packet with several segments is dropped, and so is one whose
// speaker is not in the room. `final`, language and times are not looked at.
export class MeetSubtitles {
  rows = [];
  #known = new Set();

  receive(segments, participant) {
    if (segments.length > 1 || !participant) return;
    const [{ id, text }] = segments;
    if (this.#known.has(id)) return;
    this.#known.add(id);
    const last = this.rows.at(-1);
    if (last?.speaker === participant.identity) last.texts.push(text);
    else this.rows.push({ speaker: participant.identity, texts: [text] });
  }
}
