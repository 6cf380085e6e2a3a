/** A text beside its reference: what was counted, and every difference in its place. */

import { percent } from "./tongue.js";
import { element } from "./list.js";
import { count, say } from "./words.js";

const LEFTWARD = new Set(["ar", "fa", "he", "ps", "sd", "ur", "yi"]); // Whisper's languages from right to left
/** Errors per unit of the reference. */
const share = ([substituted, missing, added, all]) => (all ? (substituted + missing + added) / all : null);

/** A piece of text that ends where it ends, whatever marks of direction are in it. */
function isolated(text) {
  return element("bdi", "", text);
}

/** What is missing (`del`) or added (`ins`), `told` to those who do not see it, too. */
function changed(name, text, told = `${say(name)}: `) {
  const made = element(name);
  const unseen = element("span", "unseen", told);
  unseen.lang = document.documentElement.lang;
  made.append(unseen, isolated(text));
  return made;
}

/** `pieces` as elements: what both say, and errors as [of the reference, heard]. */
function drawn(pieces, between) {
  const all = document.createDocumentFragment();
  for (const piece of pieces) {
    if (typeof piece === "string") all.append(isolated(piece));
    else {
      const [wanted, heard] = piece;
      const both = element("span", "error-place");
      if (wanted) both.append(changed("del", wanted));
      if (heard) both.append(changed("ins", heard));
      all.append(both);
    }
    all.append(between);
  }
  return all;
}

export class Beside {
  #whole = document.getElementById("beside");
  #found;
  #drawn;

  constructor() {
    this.#whole.addEventListener("toggle", () => this.#draw());
  }

  /** Shows what there is of a recording's text and its reference; the differences when somebody opens them. */
  show(found) {
    this.#found = found;
    this.#drawn = null;
    this.#whole.hidden = !found;
    this.#draw();
  }

  #draw() {
    if (!this.#found) return;
    const { words, characters, strange, folded, language, pieces } = this.#found;
    const [summary, ...rest] = this.#whole.children;
    const rates = [words && `WER ${percent(share(words), 1)}`, `CER ${percent(share(characters), 1)}`].filter(Boolean);
    summary.textContent = `${say("beside")}: ${rates.join(" · ")}${strange ? ` · ⚠ ${say("strange")}` : ""}`;
    if (!this.#whole.open || this.#drawn === pieces) return;
    this.#drawn = pieces;
    for (const one of rest) one.remove();
    const counted = [["WER", words, "words"], ["CER", characters, "characters"]].filter(([, counts]) => counts);
    const text = element("p", "aligned");
    text.lang = language;
    text.dir = LEFTWARD.has(language) ? "rtl" : "ltr";
    text.append(drawn(pieces, words ? " " : ""));
    const legend = element("p", "note");
    legend.append(changed("del", say("del"), ""), " ", changed("ins", say("ins"), ""), " ", say(words ? "besideWords" : "besideCharacters"));
    if (language === "ko") legend.append(" ", say("besideKorean"));
    if (folded) legend.append(" ", say("folded"));
    this.#whole.append(
      ...counted.map(([name, counts, unit]) => element("p", "", say("counts", name, percent(share(counts), 1), ...counts.map(count), say(unit)))),
      ...(strange ? [element("p", "error", say("strangeReference"))] : []),
      legend,
      text,
    );
  }
}
