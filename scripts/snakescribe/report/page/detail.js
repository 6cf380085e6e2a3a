/** One recording: its text by segment, what is doubtful or missing in it, and its sound where it can be reached. */

import { Beside } from "./beside.js";
import { believed, element } from "./list.js";
import { clock, languageName, percent } from "./tongue.js";
import { decimal, explain, say } from "./words.js";

const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const DIGIT_SECONDS = 0.256;
const COLUMNS = 600;
const SVG = "http://www.w3.org/2000/svg";
const SURE = 0.8; // above, a segment has no shade

function svg(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

export class Detail {
  #run;
  #parts;
  #beside = new Beside();
  rows = [];
  shown = -1;
  #current = -1;
  #head = null;
  #asked = 0;

  /** `step(by)` goes to another recording, `closed()` is told when the window is gone. */
  constructor(run, { step, closed }) {
    this.#run = run;
    const ids = ["detail", "name", "state", "problem", "wave", "sound", "unheard", "segments", "facts", "before", "after", "close"];
    this.#parts = Object.fromEntries(ids.map((id) => [id, document.getElementById(id)]));
    const { detail, sound, segments, before, after, close } = this.#parts;
    before.onclick = () => step(-1);
    after.onclick = () => step(1);
    close.onclick = () => detail.close();
    detail.addEventListener("close", () => {
      this.#silence();
      closed();
    });
    detail.addEventListener("click", (event) => event.target === detail && detail.close());
    sound.addEventListener("timeupdate", () => this.#mark());
    sound.addEventListener("error", () => {
      if (!sound.hasAttribute("src")) return;
      sound.hidden = true;
      this.#say("unheard", say("unheard"));
    });
    // What lies over the page is printed on one sheet only, so a copy in its place is.
    addEventListener("beforeprint", () => {
      if (!detail.open) return;
      const printed = element("div");
      printed.id = "printed";
      printed.append(...[...detail.children].map((child) => child.cloneNode(true)));
      document.body.append(printed);
    });
    addEventListener("afterprint", () => document.getElementById("printed")?.remove());
    segments.addEventListener("keydown", (event) => this.#move(event));
  }

  /** Shows recording `i`, at its segment `at` if that is one. */
  async show(i, at = -1) {
    const asked = ++this.#asked;
    this.shown = i;
    const { detail, name, state, sound, segments, facts, wave } = this.#parts;
    const line = this.#run.line(i);
    this.#silence();
    name.textContent = line.path;
    state.textContent = [
      clock(line.duration),
      line.language && languageName(line.language),
      believed(line) && say("confidence", percent(line.confidence)),
      line.rate !== null && say("errors", percent(line.rate)),
      line.removed && say("removed"),
      line.corrected && `✓ ${say("corrected")}`,
    ].filter(Boolean).join(" · ");
    this.#say("problem", line.status === "failed" ? explain(line.error, line.message) : "");
    this.#say("unheard", "");
    segments.replaceChildren();
    facts.replaceChildren();
    wave.hidden = true;
    this.#beside.show(null);
    if (!detail.open) detail.showModal();
    detail.scrollTop = 0;
    name.focus();

    const text = await this.#run.latest(i);
    if (asked !== this.#asked) return;
    sound.hidden = line.status === "failed" || line.removed;
    if (!sound.hidden) sound.src = this.#run.sound(i);
    if (text?.envelope) this.#wave(text, line.duration);
    this.#segments(line, text);
    this.#beside.show(text?.beside);
    for (const [key, value] of Object.entries(text?.facts ?? {})) facts.append(element("dt", "", say(key)), element("dd", "", String(value)));
    if (at >= 0) this.focus(this.rows.findIndex(({ number }) => number === at));
  }

  /** The recording's text as it is after a correction; the place that begins at `seconds` is looked at. */
  again(text, seconds) {
    const line = this.#run.line(this.shown);
    if (text.envelope) this.#wave(text, line.duration);
    this.#segments(line, text);
    this.#beside.show(text.beside);
    this.focus(Math.max(0, this.rows.findLastIndex(({ start }) => start <= seconds + 0.01)));
  }

  /** Says what went wrong, or nothing. */
  tell(text) {
    this.#say("problem", text);
  }

  /** Says something that is no problem. */
  note(text) {
    this.#say("unheard", text);
  }

  /** Whether somebody is at a row, or has just been. */
  get entered() {
    return this.rows.some(({ button }) => button === document.activeElement) || document.activeElement?.closest("#tools");
  }

  /** The row that somebody is at. */
  get focused() {
    return this.rows.find(({ button }) => button === document.activeElement) ?? this.rows.find(({ button }) => button.tabIndex === 0);
  }

  /** Plays a row, or pauses. */
  toggle(row) {
    if (row) this.#hear(this.rows.indexOf(row));
  }

  /** Plays from so many seconds further on, or back. */
  seek(seconds) {
    this.#play(Math.max(0, this.#parts.sound.currentTime + seconds));
  }

  #silence() {
    const { sound } = this.#parts;
    sound.pause();
    sound.removeAttribute("src");
    sound.load();
  }

  #say(part, text) {
    this.#parts[part].textContent = text;
    this.#parts[part].hidden = !text;
  }

  #segments(line, text) {
    const { segments } = this.#parts;
    segments.ariaLabel = say("segments");
    segments.lang = line.language ?? "";
    this.#current = -1;
    this.speakers = text?.speakers ?? {}; // names by label
    document.querySelector("#tools [data-tool=speaker]")?.toggleAttribute("hidden", !Object.keys(this.speakers).length);
    const told = new Set(text?.segments.flatMap(([, , , , flags]) => flags)); // by the segments themselves
    const flags = (text?.flags ?? line.flags).filter((flag) => !told.has(flag)).map((flag) => this.#note(`⚠ ${say(flag)}`));
    if (!text || !(text.segments.length || text.gaps.length)) {
      this.rows = [];
      const why = text ? (line.status === "empty" ? "silent" : "") : "noText";
      segments.replaceChildren(...flags, ...(why ? [this.#note(say(why))] : []));
      return;
    }
    const rows = [
      ...text.segments.map((segment, number) => this.#segment(segment, number)),
      ...text.gaps.map(([start, end, channel]) => this.#gap(start, end, channel)),
    ].sort((a, b) => a.start - b.start);
    this.rows = rows;
    rows.forEach(({ button }, index) => {
      button.tabIndex = index ? -1 : 0;
      button.onclick = () => this.#hear(index);
    });
    segments.replaceChildren(...flags, ...rows.map(({ item }) => item));
  }

  #note(text) {
    return element("li", "note", text);
  }

  #line(start, end, channel, words, className, speaker = channel) {
    const item = element("li", className);
    const button = element("button", "", clock(start));
    button.type = "button";
    button.ariaLabel = say("hear", clock(start));
    if (speaker) words.prepend(element("b", "channel", speaker));
    item.append(button, words);
    return { item, button, words, start, end, channel };
  }

  #segment(segment, number) {
    const [start, end, said, confidence, flags, channel, corrected, speaker] = segment;
    const words = element("div");
    const text = element("span", "", said.trim());
    text.dir = "auto";
    words.append(text);
    if (corrected) words.append(" ", element("small", "sure", `✓ ${say("corrected")}`));
    if (confidence === null || confidence < SURE) words.append(" ", element("small", "sure", percent(confidence)));
    for (const flag of flags) words.append(element("small", "doubt", say(flag)));
    const line = this.#line(start, end, channel, words, flags.length ? "doubtful" : "", this.speakers[speaker] ?? speaker ?? channel);
    line.item.style.setProperty("--doubt-share", `${Math.round(Math.max(0, SURE - (confidence ?? SURE)) * 100)}%`);
    return { ...line, number, segment };
  }

  #gap(start, end, channel) {
    const words = element("div");
    words.append(element("span", "doubt", say("gapHere", `${decimal(end === null || start === null ? null : end - start)} s`)));
    return this.#line(start, end, channel, words, "gap");
  }

  /** The loudness over time, from what is stored of it; a click goes there. */
  #wave({ envelope, gaps }, duration) {
    const { wave } = this.#parts;
    const per = Math.max(1, Math.ceil(envelope.length / COLUMNS));
    const columns = Math.ceil(envelope.length / per);
    const all = duration || envelope.length * DIGIT_SECONDS;
    const picture = svg("svg", { viewBox: `0 0 ${columns} 64`, preserveAspectRatio: "none", role: "img", "aria-label": say("wave") });
    for (const [start, end] of gaps) {
      picture.append(svg("rect", { class: "gap", x: (start / all) * columns, y: 0, width: ((end - start) / all) * columns, height: 64 }));
    }
    let path = "";
    for (let column = 0; column < columns; column++) {
      const piece = [...envelope.slice(column * per, (column + 1) * per)];
      const level = Math.max(...piece.map((digit) => DIGITS.indexOf(digit)));
      const half = Math.max(0.5, ((level - 13) / 50) * 31); // from -50 dB on: below there is only noise
      path += `M${column + 0.5} ${32 - half}V${32 + half}`;
    }
    this.#head = svg("line", { class: "head", x1: 0, x2: 0, y1: 0, y2: 64 });
    picture.append(svg("path", { d: path }), this.#head);
    picture.onclick = (event) => {
      const box = picture.getBoundingClientRect();
      this.#play(((event.clientX - box.left) / box.width) * all);
    };
    this.#head.seconds = (seconds) => this.#head.setAttribute("transform", `translate(${(seconds / all) * columns} 0)`);
    wave.replaceChildren(picture);
    wave.hidden = false;
  }

  #play(seconds) {
    const { sound } = this.#parts;
    if (sound.hidden) return;
    sound.currentTime = seconds;
    sound.play().catch(() => {}); // it cannot be played, which the page says, or it was paused before it began
  }

  #hear(index) {
    this.focus(index);
    const { sound } = this.#parts;
    if (index === this.#current && !sound.paused) sound.pause();
    else this.#play(this.rows[index].start);
  }

  #mark() {
    const seconds = this.#parts.sound.currentTime + 0.05;
    this.#head?.seconds(seconds);
    const index = this.rows.findLastIndex(({ start, end }) => start <= seconds && seconds < end);
    if (index === this.#current) return;
    this.rows[this.#current]?.item.classList.remove("current");
    this.rows[index]?.item.classList.add("current");
    this.#current = index;
  }

  #move(event) {
    const from = this.rows.findIndex(({ button }) => button === document.activeElement);
    const to = { ArrowDown: from + 1, ArrowUp: from - 1, Home: 0, End: this.rows.length - 1 }[event.key];
    if (from < 0 || to === undefined) return;
    event.preventDefault();
    this.focus(Math.min(this.rows.length - 1, Math.max(0, to)));
  }

  /** Goes to a row. */
  focus(index) {
    if (index < 0) return;
    for (const { button } of this.rows) button.tabIndex = -1;
    const { button } = this.rows[index];
    button.tabIndex = 0;
    button.focus();
    button.scrollIntoView({ block: "nearest" });
  }
}
