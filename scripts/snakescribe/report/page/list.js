/** The list of recordings, of which only those in view are drawn. */

import { clock, languageName, percent } from "./tongue.js";
import { decimal, explain, say } from "./words.js";

const MORE = 10; // rows drawn above and below the view
const PRINTED = 300;

/** An element with a class and a text. */
export function element(name, className = "", text = "") {
  const made = document.createElement(name);
  if (className) made.className = className;
  made.textContent = text;
  return made;
}

/** Whether there is a text whose confidence is to be told, if only by a dash: of what people have put right there is none. */
export function believed(line) {
  return line.status === "ok" && !(line.corrected && line.confidence === null);
}

export class List {
  #run;
  #list;
  #open;
  #drawn = new Map();
  #height = 0;
  #found = new Map();
  #focused = -1;

  /** `open(position)` is called when somebody chooses a recording. */
  constructor(run, list, open) {
    this.#run = run;
    this.#list = list;
    this.#open = open;
    this.shown = [];
    addEventListener("scroll", () => this.#draw(), { passive: true });
    addEventListener("resize", () => this.#redraw());
    addEventListener("beforeprint", () => this.#draw(0, PRINTED));
    addEventListener("afterprint", () => this.#draw());
    list.addEventListener("keydown", (event) => this.#move(event));
  }

  /** Shows recordings by number, in this order; `found` has the segment that a search met in some. */
  show(shown, found = new Map()) {
    this.shown = shown;
    this.#found = found;
    this.#focused = -1;
    this.#redraw();
  }

  /** Goes to the recording at `position` of what is shown. */
  focus(position) {
    if (!this.shown.length) return;
    this.#focused = Math.max(0, Math.min(position, this.shown.length - 1));
    const top = this.#list.getBoundingClientRect().top + scrollY + this.#focused * this.#height;
    if (top < scrollY + this.#height) scrollTo(0, top - this.#height);
    else if (top + 2 * this.#height > scrollY + innerHeight) scrollTo(0, top + 2 * this.#height - innerHeight);
    this.#draw();
    this.#drawn.get(this.#focused)?.querySelector("button").focus();
  }

  #redraw() {
    for (const row of this.#drawn.values()) row.remove();
    this.#drawn.clear();
    this.#height = parseFloat(getComputedStyle(this.#list).getPropertyValue("--row")) * parseFloat(getComputedStyle(document.documentElement).fontSize);
    this.#list.style.height = `${this.shown.length * this.#height}px`;
    this.#draw();
  }

  #draw(first, last) {
    const above = -this.#list.getBoundingClientRect().top;
    first ??= Math.max(0, Math.floor(above / this.#height) - MORE);
    last ??= Math.max(0, Math.ceil((above + innerHeight) / this.#height)) + MORE;
    last = Math.min(this.shown.length, last);
    for (const [position, row] of this.#drawn) {
      const kept = position === this.#focused && row.contains(document.activeElement);
      if ((position < first || position >= last) && !kept) {
        row.remove();
        this.#drawn.delete(position);
      }
    }
    for (let position = first; position < last; position++) {
      if (this.#drawn.has(position)) continue;
      const row = this.#row(position);
      this.#drawn.set(position, row);
      this.#list.append(row);
    }
  }

  #row(position) {
    const i = this.shown[position];
    const line = this.#run.line(i);
    const row = element("li", line.removed ? "removed" : line.status);
    row.style.top = `${position * this.#height}px`;
    row.setAttribute("aria-setsize", this.shown.length);
    row.setAttribute("aria-posinset", position + 1);
    const button = element("button");
    button.type = "button";
    button.tabIndex = position === Math.max(0, this.#focused) ? 0 : -1;
    const name = element("span", "path", line.path);
    name.dir = "auto";
    const facts = element("span", "facts");
    facts.append(...this.#facts(line));
    button.append(name, facts);
    button.onclick = () => this.#open(position, this.#found.get(i) ?? -1);
    row.append(button);
    if (this.#found.get(i) >= 0) this.#quote(i, facts);
    return row;
  }

  #facts(line) {
    if (line.status === "failed") return [element("b", "bad", explain(line.error, line.message))];
    const facts = [element("span", "", clock(line.duration))];
    if (line.language) facts.push(element("span", "", languageName(line.language)));
    if (line.removed) facts.push(element("b", "", say("removed")));
    if (line.status === "empty") facts.push(element("b", "", say("empty")));
    if (line.corrected) facts.push(element("b", "", `✓ ${say("corrected")}`));
    const sure = line.confidence ?? 1;
    if (believed(line)) facts.push(element("span", sure < 0.6 ? "doubt" : "", say("confidence", percent(line.confidence))));
    if (line.rate !== null) facts.push(element("b", line.rate > 0.3 ? "bad" : "", say("errors", percent(line.rate))));
    if (line.gap) facts.push(element("b", "doubt", say("gapHere", `${decimal(line.gap)} s`)));
    for (const flag of line.flags) facts.push(element("b", "doubt", flag));
    return facts;
  }

  /** In a search the text that was found takes the place of the facts. */
  async #quote(i, facts) {
    const [start, , text] = (await this.#run.text(i)).segments[this.#found.get(i)];
    const quoted = element("q", "", text);
    quoted.dir = "auto";
    facts.replaceChildren(element("span", "", clock(start)), quoted);
  }

  #move(event) {
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -Infinity, End: Infinity }[event.key];
    if (!step) return;
    event.preventDefault();
    const from = [...this.#drawn].find(([, row]) => row.contains(document.activeElement))?.[0] ?? 0;
    this.focus(from + step);
  }
}
