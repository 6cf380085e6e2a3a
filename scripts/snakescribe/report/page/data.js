/** The run's data: the list at once, texts by the block when somebody looks at them or searches them. */

/** What `name` holds; null when the page has no such block. */
async function unpacked(name) {
  const element = document.getElementById(name);
  if (!element) return null;
  const packed = await fetch(`data:application/octet-stream;base64,${element.textContent}`);
  return new Response(packed.body.pipeThrough(new DecompressionStream("gzip"))).json();
}

const CJK = /[\u1100-\u11ff\u3040-\u30ff\u3130-\u318f\u3400-\u9fff\uac00-\ud7af]/;

/** For comparing: composed, in small letters; where Korean, Japanese or Chinese is looked for, without any spaces. */
export function loosely(text, spaces) {
  const plain = text.normalize("NFC").toLowerCase();
  return spaces ? plain.replace(/\s+/g, " ") : plain.replace(/\s+/g, "");
}

export class Run {
  #blocks = new Map();
  #token;

  static async read() {
    const run = new Run();
    run.#token = await unpacked("review");
    const { recordings, ...facts } = await unpacked("index");
    Object.assign(run, facts);
    run.columns = recordings;
    run.size = recordings.id.length;
    return run;
  }

  /** Everything about recording `i` that the list needs. */
  line(i) {
    return Object.fromEntries(Object.entries(this.columns).map(([name, values]) => [name, values[i]]));
  }

  /** Whether a review serves the page, which takes corrections. */
  get reviewed() {
    return this.#token !== null;
  }

  #address(kind, i) {
    return `${kind}/${encodeURIComponent(this.columns.id[i])}?token=${encodeURIComponent(this.#token)}`;
  }

  /** Where the sound of recording `i` is. */
  sound(i) {
    return this.reviewed ? this.#address("sounds", i) : this.columns.href[i];
  }

  async #asked(i, options) {
    const answer = await fetch(this.#address("texts", i), options);
    if (!answer.ok) throw new Error(`${answer.status} ${(await answer.text()).slice(0, 200)}`);
    return answer.json();
  }

  /** The text of recording `i` as it is now: others may be putting it right, too. */
  latest(i) {
    return this.reviewed ? this.#asked(i) : this.text(i);
  }

  /** Sends a correction of recording `i`. */
  async putRight(i, said) {
    const answer = await this.#asked(i, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(said) });
    this.columns.corrected[i] = true;
    return answer;
  }

  #block(number) {
    if (!this.#blocks.has(number)) this.#blocks.set(number, unpacked(`block-${number}`));
    return this.#blocks.get(number);
  }

  /** Segments, gaps, envelope and facts of recording `i`; null when its text is not in the page. */
  async text(i) {
    const place = this.columns.place[i];
    return place === null ? null : (await this.#block(this.columns.block[i]))[place];
  }

  /**
   * Which of `candidates` have `query` in their name or text: a Map to the segment that has it, -1 for the name.
   * Rests between blocks; gives up (null) when `outdated()` says so.
   */
  async search(query, candidates, outdated, progress) {
    const spaces = !CJK.test(query.normalize("NFC"));
    const wanted = loosely(query.trim(), spaces);
    const found = new Map();
    let done = 0;
    for (const i of candidates) {
      if (outdated()) return null;
      if (loosely(this.columns.path[i], spaces).includes(wanted)) found.set(i, -1);
      else {
        const text = await this.text(i);
        const named = Object.values(text?.speakers ?? {}).some((name) => loosely(name, spaces).includes(wanted));
        const at = named ? -1 : text ? this.#inside(text.segments, wanted, spaces) : -1;
        if (named || at >= 0) found.set(i, at);
      }
      if (++done % 500 === 0) {
        progress(done / candidates.length);
        await new Promise((rest) => setTimeout(rest));
      }
    }
    return found;
  }

  /** Number of the segment in which what is wanted begins; it may go on in the next ones. */
  #inside(segments, wanted, spaces) {
    const starts = [];
    let whole = "";
    for (const [, , text] of segments) {
      starts.push(whole.length);
      whole += loosely(text, spaces) + (spaces ? " " : "");
    }
    const at = whole.indexOf(wanted);
    return at < 0 ? -1 : starts.findLastIndex((start) => start <= at);
  }
}
