/** Putting a recording right, on a page that a review serves: what is said in a segment, where it is cut, that it is right. */

import { element } from "./list.js";
import { clock } from "./tongue.js";
import { say } from "./words.js";

const DOUBTFUL = 0.7; // confidence below which a segment is to be heard

/** Keys, by where they are: with Hangul on, the key of e gives ㄷ. And what the buttons above say of them. */
const KEYS = { KeyE: "edit", KeyR: "right", KeyJ: "join", KeyS: "speaker", KeyN: "next", KeyB: "back", Space: "play" };

export class Editor {
  #run;
  #detail;
  #tools;

  /** `further(i)` opens the next recording with something doubtful after `i`, and says whether there is one. */
  constructor(run, detail, further) {
    this.#run = run;
    this.#detail = detail;
    this.further = further;
    this.#tools = document.getElementById("tools");
    this.#tools.hidden = false;
    for (const [key, name] of Object.entries(KEYS)) {
      const button = element("button");
      button.type = "button";
      button.dataset.tool = name;
      button.dataset.key = key.replace("Key", "").toLowerCase();
      button.onclick = () => this.#do(name);
      this.#tools.append(button);
    }
    document.getElementById("detail").addEventListener("keydown", (event) => {
      if (event.target.matches("textarea, audio") || event.ctrlKey || event.metaKey || event.altKey || !(event.code in KEYS)) return;
      if (event.code === "Space" && event.target.matches("button, summary") && !event.target.closest("#segments")) return; // presses it
      event.preventDefault();
      this.#do(KEYS[event.code]);
    });
    this.speak();
  }

  /** Names the buttons in the page's language. */
  speak() {
    for (const button of this.#tools.querySelectorAll("button")) button.textContent = `${say(button.dataset.tool)} (${button.dataset.key === "space" ? say("space") : button.dataset.key})`;
    document.getElementById("how").textContent = say("how");
  }

  #do(name) {
    const row = this.#detail.focused;
    if (name === "play") this.#detail.toggle(row);
    else if (name === "back") this.#detail.seek(-2);
    else if (name === "next") this.#next(row);
    else if (row?.segment) this[`_${name}`](row);
    else if (row && name === "edit") this.#open(row, "", (said) => this.#save(row, "", said)); // speech without text
  }

  /** The next segment that is flagged, unsure or missing and that nobody has put right, here or in another recording. */
  #next(from) {
    const rows = this.#detail.rows;
    const start = this.#detail.entered ? rows.indexOf(from) + 1 : 0;
    const at = rows.findIndex((row, index) => {
      if (index < start) return false;
      if (!row.segment) return true;
      const [, , , confidence, flags, , corrected] = row.segment;
      return !corrected && (flags.length > 0 || confidence < DOUBTFUL);
    });
    if (at >= 0) this.#detail.focus(at);
    else this.further();
  }

  _edit(row) {
    const [start, end, text] = row.segment;
    this.#open(row, text.trim(), (said) => this.#save(row, text, said), (before, after) => {
      // The time is where the letters are, until somebody hears better.
      const middle = start + ((end - start) * before.length) / Math.max(1, before.length + after.length);
      return this.#send(row, start, end, text, [[start, middle, before], [middle, end, after]]);
    });
  }

  _right(row) {
    const [start, end, text] = row.segment;
    this.#send(row, start, end, text, [[start, end, text]]);
  }

  _join(row) {
    const rows = this.#detail.rows;
    const next = rows.slice(rows.indexOf(row) + 1).find(({ segment }) => segment?.[5] === row.segment[5]);
    if (!next) return;
    const [[start, , text], [, end, more]] = [row.segment, next.segment];
    this.#send(row, start, end, `${text} ${more}`, [[start, end, `${text.trim()} ${more.trim()}`]]);
  }

  /** Whoever speaks after the one who is said to: the last one is followed by the first. */
  _speaker(row) {
    const [start, end, text, , , , , speaker] = row.segment;
    const known = Object.keys(this.#detail.speakers);
    const other = known[(known.indexOf(speaker) + 1) % known.length];
    if (other && other !== speaker) this.#send(row, start, end, text, [[start, end, text, other]]);
  }

  #save(row, old, said) {
    return this.#send(row, row.start, row.end, old, said ? [[row.start, row.end, said]] : []);
  }

  /** A field in the place of the text: Enter keeps, Alt+Enter cuts, Escape leaves it as it was. */
  #open(row, text, keep, cut) {
    const field = element("textarea");
    field.value = text;
    field.lang = document.getElementById("segments").lang;
    field.ariaLabel = say("said", clock(row.start));
    field.rows = Math.max(1, Math.ceil(text.length / 60));
    const shown = row.words;
    shown.hidden = true;
    row.item.append(field);
    field.focus();
    let done = false;
    const leave = () => {
      done = true;
      field.remove();
      shown.hidden = false;
      row.button.focus();
    };
    field.onkeydown = async (event) => {
      event.stopPropagation();
      if (event.isComposing || done) return; // Hangul that is being put together ends with Enter, too
      if (event.key === "Escape") {
        event.preventDefault(); // it would close the whole recording
        leave();
      } else if (event.key === "Enter" && event.altKey && cut) {
        event.preventDefault();
        const [before, after] = [field.value.slice(0, field.selectionStart).trim(), field.value.slice(field.selectionStart).trim()];
        if (before && after && (await cut(before, after))) done = true;
      } else if (event.key === "Enter" && !event.shiftKey) {
        event.preventDefault();
        const said = field.value.trim().replace(/\s+/g, " ");
        if (said === text && row.segment) leave();
        else if (await keep(said)) done = true;
      }
    };
  }

  /** Sends a correction and shows what became of it; false when it was not kept, and the field stays as it is. */
  async #send(row, start, end, old, pieces) {
    const channel = row.channel ?? null;
    const said = { channel, start, end, old, new: pieces.map(([from, to, text, speaker = null]) => ({ start: from, end: to, text, speaker })) };
    const i = this.#detail.shown;
    try {
      const { text, conflict } = await this.#run.putRight(i, said);
      if (i !== this.#detail.shown) return true;
      this.#detail.again(text, start);
      this.#detail.tell(conflict ? say("conflict") : "");
      return true;
    } catch (error) {
      this.#detail.tell(say("unkept", error.message));
      return false;
    }
  }
}
