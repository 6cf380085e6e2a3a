/** The segments of a transcript beside the sound they came from. */

import { clock } from "./shared/tongue.js";
import { say } from "./words.js";

/** Seeking lands a little before the asked time in some formats. */
const SEEK_TOLERANCE = 0.05;

let playing = null;
let players = 0;

export class Player {
  #audio;
  #list;
  #rows = [];
  #current = -1;
  #prefix = `p${players++}`;

  /** `onUnplayable` is called when the browser cannot play the sound. */
  constructor(audio, list, onUnplayable) {
    this.#audio = audio;
    this.#list = list;
    audio.addEventListener("timeupdate", () => this.#mark());
    audio.addEventListener("play", () => {
      if (playing !== audio) playing?.pause();
      playing = audio;
    });
    audio.addEventListener("loadedmetadata", () => this.#findDuration(), { once: true });
    audio.addEventListener("error", () => {
      audio.hidden = true;
      this.#enable();
      onUnplayable();
    });
    list.addEventListener("keydown", (event) => this.#move(event));
  }

  /** Takes the sound; without it the segments are only read. */
  load(file) {
    this.#audio.src = URL.createObjectURL(file);
    this.#audio.hidden = false;
    this.#enable();
  }

  unload() {
    this.#audio.pause();
    URL.revokeObjectURL(this.#audio.src);
  }

  /** Shows `segments`, whose text is in the language `code`. */
  show(segments, code) {
    this.#list.lang = code;
    this.#rows = segments.map((segment, index) => this.#row(segment, index));
    this.#list.replaceChildren(...this.#rows.map(({ item }) => item));
    this.#enable();
    this.name();
  }

  /** Names the buttons in the page's language. */
  name() {
    this.#list.ariaLabel = say("segments");
    for (const { button, segment } of this.#rows) button.ariaLabel = say("hear", clock(segment.start));
  }

  #row(segment, index) {
    const item = document.createElement("li");
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = clock(segment.start);
    button.tabIndex = index ? -1 : 0;
    const words = document.createElement("div");
    words.id = `${this.#prefix}-${index}`;
    const text = document.createElement("span");
    text.dir = "auto";
    text.textContent = segment.text.trim();
    words.append(text);
    for (const flag of segment.flags) {
      const doubt = document.createElement("small");
      doubt.className = "doubt";
      doubt.dataset.word = flag;
      words.append(doubt);
    }
    button.setAttribute("aria-describedby", words.id);
    item.append(button, words);
    item.classList.toggle("doubtful", segment.flags.length > 0);
    item.addEventListener("click", (event) => {
      if (event.target === button || getSelection().isCollapsed) this.#hear(index);
    });
    return { item, button, segment };
  }

  #enable() {
    this.#list.classList.toggle("silent", this.#audio.hidden);
    for (const { button } of this.#rows) button.setAttribute("aria-disabled", this.#audio.hidden);
  }

  /** Plays from the segment on, or pauses when it is being played. */
  #hear(index) {
    if (this.#audio.hidden) return;
    this.#focusable(index);
    if (index === this.#current && !this.#audio.paused) {
      this.#audio.pause();
      return;
    }
    this.#audio.currentTime = this.#rows[index].segment.start;
    this.#mark(index);
    this.#audio.play().catch(() => {}); // Another click paused it again before it began.
  }

  #mark(index = this.#at(this.#audio.currentTime + SEEK_TOLERANCE)) {
    if (index === this.#current) return;
    for (const [row, current] of [[this.#current, false], [index, true]]) {
      this.#rows[row]?.item.classList.toggle("current", current);
      this.#rows[row]?.button.setAttribute("aria-current", current);
    }
    this.#current = index;
  }

  #at(seconds) {
    if (this.#audio.paused && seconds <= SEEK_TOLERANCE) return -1;
    return this.#rows.findLastIndex(({ segment }) => segment.start <= seconds && seconds < segment.end);
  }

  /** The list is one tab stop; arrows go from segment to segment. */
  #move(event) {
    const from = this.#rows.findIndex(({ button }) => button === document.activeElement);
    const last = this.#rows.length - 1;
    const to = { ArrowDown: from + 1, ArrowUp: from - 1, Home: 0, End: last }[event.key];
    if (from < 0 || to === undefined) return;
    event.preventDefault();
    const index = Math.min(last, Math.max(0, to));
    this.#focusable(index);
    this.#rows[index].button.focus();
  }

  #focusable(index) {
    for (const { button } of this.#rows) button.tabIndex = -1;
    this.#rows[index].button.tabIndex = 0;
  }

  /** A MediaRecorder's file does not say how long it is; the browser finds out when it is sent to the end. */
  #findDuration() {
    if (this.#audio.duration !== Infinity) return;
    this.#audio.addEventListener("durationchange", () => (this.#audio.currentTime = 0), { once: true });
    this.#audio.currentTime = Number.MAX_SAFE_INTEGER;
  }
}
