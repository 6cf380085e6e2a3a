/** The page: the first screen, the filters, and what they show. */

import { Run } from "./data.js";
import { Detail } from "./detail.js";
import { Editor } from "./editor.js";
import { element, List } from "./list.js";
import { chooseTongue, currentTongue, languageName, moment, percent } from "./tongue.js";
import { advise, count, decimal, length, say } from "./words.js";

const $ = (id) => document.getElementById(id);
const PAUSE = 250; // milliseconds without a key before a search begins

/** A table with a heading; cells are texts or elements. */
function table(heading, columns, rows) {
  const section = element("section", "panel");
  const made = element("table");
  const head = element("tr");
  for (const column of columns) {
    const cell = element("th", "", say(column));
    cell.scope = "col";
    head.append(cell);
  }
  made.append(element("thead"), element("tbody"));
  made.tHead.append(head);
  for (const cells of rows) {
    const row = element("tr");
    for (const cell of cells) {
      const made = element("td");
      made.append(cell);
      row.append(made);
    }
    made.tBodies[0].append(row);
  }
  section.append(element("h3", "", say(heading)), made);
  return section;
}

/** The quarters of sorted values. */
function quarters(values) {
  return [0.25, 0.5, 0.75].map((share) => values[Math.min(values.length - 1, Math.floor(share * values.length))]);
}

class Page {
  #run;
  #list;
  #detail;
  #editor;
  #position = -1;
  #searched = 0;

  constructor(run) {
    this.#run = run;
    this.#list = new List(run, $("list"), (position, at) => this.#open(position, at));
    this.#detail = new Detail(run, {
      step: (by) => this.#open(Math.max(0, Math.min(this.#list.shown.length - 1, this.#position + by))),
      closed: () => {
        history.replaceState(null, "", location.pathname + location.search);
        this.#list.focus(this.#position);
      },
    });
    if (run.reviewed) this.#editor = new Editor(run, this.#detail, () => this.#further());
    for (const button of document.querySelectorAll("[data-tongue]")) {
      button.onclick = () => {
        chooseTongue(button.dataset.tongue);
        this.#speak();
      };
    }
    let waiting;
    $("query").oninput = () => {
      clearTimeout(waiting);
      waiting = setTimeout(() => this.#filter(), PAUSE);
    };
    $("kind").onchange = $("spoken").onchange = () => this.#filter();
    $("filters").onsubmit = async (event) => {
      event.preventDefault();
      clearTimeout(waiting);
      await this.#filter();
      this.#list.focus(0);
    };
    $("query").onkeydown = (event) => {
      if (event.key !== "ArrowDown") return;
      event.preventDefault();
      this.#list.focus(0);
    };
    addEventListener("keydown", (event) => {
      if (event.key !== "/" || event.target.matches("input, select, textarea") || $("detail").open) return;
      event.preventDefault();
      $("query").focus();
    });
    this.#speak();
    const wanted = run.columns.id.indexOf(decodeURIComponent(location.hash.slice(1)));
    if (wanted >= 0) this.#open(this.#list.shown.indexOf(wanted));
  }

  /** Everything again in the chosen language. */
  #speak() {
    document.documentElement.lang = currentTongue();
    for (const button of document.querySelectorAll("[data-tongue]")) button.setAttribute("aria-pressed", button.dataset.tongue === currentTongue());
    for (const one of document.querySelectorAll("[data-word]")) one.textContent = say(one.dataset.word);
    for (const one of document.querySelectorAll("[data-label]")) one.ariaLabel = one.title = say(one.dataset.label);
    $("made").textContent = say("made", moment(this.#run.made), this.#run.version);
    this.#editor?.speak();
    this.#figures();
    this.#tables();
    this.#plots();
    this.#choices();
    const { recordings } = this.#run.overview;
    const all = recordings + (this.#run.overview.status.removed ?? 0);
    $("unlisted").hidden = all <= this.#run.size;
    $("unlisted").textContent = say("unlisted", count(this.#run.size), count(all));
    this.#filter();
  }

  #figures() {
    const { status, seconds, speed, recordings } = this.#run.overview;
    const figures = [[count(recordings), "recordings"], [length(seconds.audio ?? 0), "audio"]];
    if (speed) figures.push([count(speed), "speed"]);
    for (const state of ["ok", "empty", "failed", "removed"]) if (status[state]) figures.push([count(status[state]), state]);
    if (seconds.gap) figures.push([length(seconds.gap), "gap"]);
    $("figures").replaceChildren(
      ...figures.map(([value, key]) => {
        const figure = element("div", `figure ${key}`);
        figure.append(element("dt", "", say(key)), element("dd", "", value));
        return figure;
      }),
    );
  }

  /** A button that shows only recordings of a kind. */
  #kind(kind, text) {
    const button = element("button", "plain", text);
    button.type = "button";
    button.onclick = () => {
      $("kind").value = kind;
      this.#filter();
      $("all-recordings").scrollIntoView();
    };
    return button;
  }

  #tables() {
    const { failures, flags, without_text, languages, rates, made_by } = this.#run.overview;
    const tables = [];
    const failed = Object.entries(failures);
    if (failed.length) {
      tables.push(table("failures", ["number", "reason", "advice"], failed.map(([name, number]) => [count(number), this.#kind(name, name), advise(name)])));
    }
    const doubts = Object.entries(flags).map(([flag, number]) => [count(number), this.#kind(flag, flag), say(flag)]);
    if (without_text) doubts.unshift([count(without_text), this.#kind("gap", say("gap")), say("without_text")]);
    if (doubts.length) tables.push(table("doubts", ["number", "reason", "meaning"], doubts));
    if (rates.length) {
      tables.push(
        table("rates", ["language", "rate", "interval", "number"], rates.map(({ language, unit, rate, interval, recordings }) => [
          language ? `${languageName(language)} (${say(unit)})` : say(unit),
          percent(rate, 1),
          interval ? interval.map((end) => percent(end, 1)).join(" – ") : "–",
          count(recordings),
        ])),
      );
    }
    if (languages.length) {
      tables.push(table("languages", ["language", "number", "hours"], languages.map(([code, number, seconds]) => [languageName(code), count(number), length(seconds)])));
    }
    if (made_by.length) tables.push(table("madeBy", ["model", "number"], made_by.map(([what, number]) => [what, count(number)])));
    $("tables").replaceChildren(...tables);
    for (const wide of tables.filter((one) => one.scrollWidth > one.clientWidth)) wide.tabIndex = 0; // scrolled by keys, too
  }

  #plots() {
    for (const figure of document.querySelectorAll("[data-plot]")) {
      const name = figure.dataset.plot;
      figure.hidden = !figure.querySelector("svg");
      if (figure.hidden) continue;
      const values = this.#run.columns[name].filter((value) => value !== null).sort((a, b) => a - b);
      const [low, middle, high] = quarters(values).map((value) => (name === "duration" ? decimal(value / 60) : decimal(value)));
      const title = say(`plot${name[0].toUpperCase()}${name.slice(1)}`);
      figure.querySelector("figcaption").textContent = `${title}: ${say("spread", low, middle, high)}`;
    }
  }

  #choices() {
    const { status, failures, flags, languages, without_text, corrected } = this.#run.overview;
    const kinds = ["ok", "empty", "failed", "removed"].filter((state) => status[state]).map((state) => [state, say(state)]);
    if (without_text) kinds.push(["gap", say("gap")]);
    if (corrected || this.#run.reviewed) kinds.push(["corrected", say("correctedKind")]);
    for (const name of [...Object.keys(failures), ...Object.keys(flags)]) kinds.push([name, name]);
    this.#fill($("kind"), kinds);
    this.#fill($("spoken"), languages.map(([code]) => [code, languageName(code)]));
  }

  #fill(select, choices) {
    const chosen = select.value;
    select.replaceChildren(...[["", say("all")], ...choices].map(([value, text]) => new Option(text, value)));
    select.value = chosen;
  }

  async #filter() {
    const search = ++this.#searched;
    const { columns, size } = this.#run;
    const [kind, spoken, query] = [$("kind").value, $("spoken").value, $("query").value.trim()];
    const right = (i) =>
      (!spoken || columns.language[i] === spoken) &&
      (!kind ||
        (kind === "removed" ? columns.removed[i] : !columns.removed[i]) &&
        (kind === "removed" || columns.status[i] === kind || columns.error[i] === kind || columns.flags[i].includes(kind) || (kind === "gap" && columns.gap[i] > 0) || (kind === "corrected" && columns.corrected[i])));
    let shown = Array.from({ length: size }, (_, i) => i).filter(right);
    let found;
    if (query) {
      $("count").textContent = say("searching", percent(0));
      found = await this.#run.search(query, shown, () => search !== this.#searched, (share) => ($("count").textContent = say("searching", percent(share))));
      if (!found) return;
      shown = [...found.keys()];
    }
    this.#list.show(shown, found);
    $("count").textContent = say("shown", count(shown.length), count(size));
  }

  /** The next recording with something to look after. */
  #further() {
    const { doubt, removed, status } = this.#run.columns;
    const next = this.#list.shown.findIndex((i, position) => position > this.#position && doubt[i] > 0 && !removed[i] && status[i] !== "failed");
    if (next >= 0) this.#open(next);
    else this.#detail.note(say("allHeard"));
  }

  #open(position, at) {
    this.#position = position;
    const i = this.#list.shown[position];
    history.replaceState(null, "", `#${encodeURIComponent(this.#run.columns.id[i])}`);
    this.#detail.show(i, at);
  }
}

try {
  new Page(await Run.read());
} catch (error) {
  $("trouble").textContent = say("damaged");
  $("trouble").hidden = false;
  throw error;
}
