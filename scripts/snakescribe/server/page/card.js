/** One recording on the page, from its upload to its transcript. */

import { job, transcript, upload } from "./api.js";
import { Player } from "./player.js";
import { clock, languageName, moment, percent } from "./shared/tongue.js";
import { amount, explain, roughly, say, translate } from "./words.js";

const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 3000;

const UNSENT = ["waiting", "uploading", "checking", "full"];
const ENDED = ["done", "failed", "cancelled", "gone"];
/** Flags of a whole recording, the first one counts. */
const OF_THE_FILE = ["truncated", "incomplete", "other_track", "inverted_channel", "dead_channel"];

/** Resolves after `milliseconds`, rejects with the signal's reason when aborted. */
function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => (clearTimeout(timer), reject(signal.reason)), { once: true });
  });
}

/** Hands `blob` to the browser's downloads as `name`. */
function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** Copies also where the browser has no clipboard for pages (plain http from another machine). */
async function copy(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const field = document.createElement("textarea");
  field.value = text;
  document.body.append(field);
  field.select();
  document.execCommand("copy");
  field.remove();
}

export class Card {
  #page;
  #parts;
  #player;
  #control = new AbortController();
  #now;

  /**
   * `file` is the sound when the page has it, `recorded` tells that nobody else has. The page gets to hear of things
   * by `page.announce(text)`, `page.remember({ id, name })`, `page.again(card)` and `page.remove(card)`.
   */
  constructor(page, name, { file = null, fields = {}, recorded = false } = {}) {
    this.#page = page;
    this.name = name;
    this.file = file;
    this.fields = fields;
    this.recorded = recorded;
    this.element = document.getElementById("card").content.firstElementChild.cloneNode(true);
    this.#parts = Object.fromEntries([...this.element.querySelectorAll("[data-part]")].map((part) => [part.dataset.part, part]));
    const { audio, segments, cancel, again, keep, remove, copy: copying } = this.#parts;

    this.#player = new Player(audio, segments, () => this.#update({ hint: "unplayable" }));
    cancel.onclick = () => this.#cancel();
    again.onclick = () => page.again(this);
    keep.onclick = () => save(this.file, this.name);
    remove.onclick = () => page.remove(this);
    copying.onclick = () => this.#try(() => this.#copy(copying));
    this.#reset("found");
  }

  get id() {
    return this.#now.job?.id;
  }

  /** Whether leaving the page now would lose the recording's upload. */
  get unsent() {
    return UNSENT.includes(this.#now.state);
  }

  get #ended() {
    return ENDED.includes(this.#now.state);
  }

  /** Makes the card ready to be sent (again). What comes back uploads the file and resolves when that is over. */
  queue() {
    this.#control = new AbortController();
    const { signal } = this.#control;
    this.#reset("waiting");
    return async () => {
      if (signal.aborted) return;
      try {
        this.#follow(await this.#upload(signal), signal);
      } catch (error) {
        this.#end(error, signal);
      }
    };
  }

  /** Shows the job `id` of an earlier visit; false when the server has forgotten it. */
  async restore(id) {
    const { signal } = this.#control;
    try {
      this.#follow(await this.#patiently(() => job(id), signal), signal);
      return true;
    } catch (refusal) {
      return refusal.status !== 404;
    }
  }

  /** Stops everything for the card without asking the server. */
  leave() {
    this.#control.abort();
    this.#player.unload();
  }

  async #upload(signal) {
    for (;;) {
      try {
        const onProgress = (share) => this.#update({ state: share < 1 ? "uploading" : "checking", share });
        return await upload(this.file, this.fields, onProgress, signal);
      } catch (refusal) {
        if (refusal.status !== 429) throw refusal;
        this.#update({ state: "full", wait: refusal.retryAfter });
        await pause(refusal.retryAfter * 1000, signal);
      }
    }
  }

  /** Asks for the job until it has ended, seldomer as time goes by. */
  async #follow(first, signal) {
    this.#page.remember({ id: first.id, name: this.name });
    this.#show(first);
    try {
      for (let rest = FIRST_PAUSE; !this.#ended; rest = Math.min(rest * 1.3, LONGEST_PAUSE)) {
        await pause(rest, signal);
        this.#show(await this.#patiently(() => job(first.id), signal));
      }
      if (this.#now.state === "done") await this.#result(signal);
    } catch (error) {
      this.#end(error, signal);
    }
  }

  /** Repeats `attempt` while the server is away; its jobs survive a restart. */
  async #patiently(attempt, signal) {
    for (;;) {
      try {
        const result = await attempt();
        this.#update({ lost: false });
        return result;
      } catch (refusal) {
        if (!refusal.passing) throw refusal;
        this.#update({ lost: true });
        await pause(LONGEST_PAUSE, signal);
      }
    }
  }

  #show(shown) {
    // An answer that was under way while the job was cancelled is older than the cancelling.
    if (this.#now.state !== "cancelled") this.#update({ job: shown, state: shown.state, error: shown.error });
  }

  async #result(signal) {
    const answer = await this.#patiently(() => transcript(this.id, "json"), signal);
    const made = await answer.json();
    this.#player.show(made.segments, made.task === "translate" ? "en" : (made.language_code ?? ""));
    if (this.file && made.segments.length) this.#player.load(this.file);
    const { self: _, ...formats } = this.#now.job.links;
    this.#parts.downloads.replaceChildren(...Object.keys(formats).map((format) => this.#downloadButton(format)));
    this.#update({ transcript: made, hint: this.file || !made.segments.length ? null : "unheard" });
  }

  async #copy(button) {
    await copy(this.#now.transcript.text);
    this.#page.announce(say("copied"));
    button.textContent = say("copied");
    setTimeout(() => (button.textContent = say("copy")), 2000);
  }

  #downloadButton(format) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = format.toUpperCase();
    button.onclick = () => this.#try(() => this.#download(format));
    return button;
  }

  async #download(format) {
    const answer = await transcript(this.id, format);
    save(await answer.blob(), `${this.name.replace(/(?<=.)\.[^.]*$/, "")}.${format}`);
  }

  #cancel() {
    if (this.id) return this.#try(async () => this.#show(await job(this.id, "DELETE")));
    this.#control.abort();
    this.#update({ state: "cancelled" });
  }

  /** Does what a button asks for, or shows why not. */
  async #try(action) {
    try {
      this.#update({ error: null });
      await action();
    } catch (error) {
      this.#update({ error });
    }
  }

  #end(error, signal) {
    if (signal.aborted) return;
    if (error.status === 404) this.#update({ state: "gone" });
    else this.#update({ state: "failed", error });
  }

  #reset(state) {
    this.#now = { state, job: null, transcript: null, error: null, hint: null, lost: false, share: 0, wait: 0 };
    this.render();
  }

  #update(changes) {
    const { state } = this.#now;
    Object.assign(this.#now, changes);
    this.render();
    const news = this.#now.state !== state && state !== "found" && this.#now.state !== "uploading";
    if (news) this.#page.announce(`${this.name}: ${this.#stateWords()}`);
  }

  /** Writes everything that depends on the state or on the page's language. */
  render() {
    translate(this.element);
    const { name, state, error, cancel, again, keep, remove } = this.#parts;
    const now = this.#now;
    name.textContent = this.name;
    state.textContent = this.#stateWords();
    this.#renderProgress();
    error.hidden = !now.error;
    error.textContent = now.error && this.#errorWords(now.error);
    again.hidden = !(this.file && this.#ended && now.state !== "done" && now.error?.passing !== false);
    keep.hidden = !this.recorded;
    remove.hidden = !this.#ended && now.state !== "found";
    remove.ariaLabel = say("removeName", this.name);
    cancel.hidden = !remove.hidden;
    cancel.ariaLabel = say("cancelName", this.name);
    this.#renderResult();
  }

  #renderProgress() {
    const { progress } = this.#parts;
    const { state, share, job: running } = this.#now;
    const { audio_seconds: all, done_seconds: done } = running?.progress ?? {};
    progress.hidden = this.#ended;
    progress.ariaLabel = this.#stateWords();
    if (state === "uploading") progress.value = share;
    else if (state === "running" && all) progress.value = done / all;
    else progress.removeAttribute("value");
  }

  #renderResult() {
    const { result, copy: copying, downloads, hint, doubt, audio } = this.#parts;
    const { transcript: made, hint: hinted } = this.#now;
    result.hidden = copying.hidden = downloads.hidden = !made;
    if (!made) return;
    const doubts = made.segments.length ? OF_THE_FILE.find((flag) => made.flags.includes(flag)) : "silent";
    for (const [part, word] of [[hint, hinted], [doubt, doubts]]) {
      part.hidden = !word;
      part.textContent = word ? say(word) : "";
    }
    this.#player.name();
    audio.ariaLabel = say("sound", this.name);
    downloads.ariaLabel = say("downloads");
    for (const button of downloads.children) button.ariaLabel = say("download", button.textContent);
  }

  #errorWords(error) {
    if (error.status === 0) return say(this.id ? "unreachable" : "unsent");
    return explain(error);
  }

  #stateWords() {
    const { state, lost, job: shown, share, wait } = this.#now;
    if (lost) return say("lost");
    switch (state) {
      case "uploading":
        return say(state, percent(share));
      case "full":
        return say(state, amount(wait, "second"));
      case "queued":
        return say(state, shown.position ?? 0);
      case "running":
        return this.#runningWords(shown.progress);
      case "done":
        return [say(state), ...this.#facts()].join(" · ");
      default:
        return say(state);
    }
  }

  #runningWords(progress) {
    if (!progress?.audio_seconds) return say("starting");
    const { audio_seconds: all, done_seconds: done, remaining_seconds: left } = progress;
    return say("running", clock(done), clock(all)) + (left === null ? "" : say("left", roughly(left)));
  }

  #facts() {
    const { language_code: spoken, duration } = this.#now.transcript ?? {};
    const { finished_at: finished } = this.#now.job;
    return [spoken && languageName(spoken), duration && clock(duration), finished && moment(finished * 1000)].filter(Boolean);
  }
}
