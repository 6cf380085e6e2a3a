/** The page: what comes in (files, the microphone), the list of recordings, the language and the key. */

import { about, job, keyAccepted, onKeyNeeded, storeKey, storedKey } from "./api.js";
import { Card } from "./card.js";
import { canRecord, startRecording } from "./recorder.js";
import { chooseTongue, clock, currentTongue, languageName } from "./shared/tongue.js";
import { amount, say, translate } from "./words.js";

const FIRST_LANGUAGES = ["ko", "ja", "zh", "en"];
const STORED_JOBS = "snakescribe.jobs";
const MOST_STORED = 20;
const MEGABYTE = 1e6;

const $ = (id) => document.getElementById(id);
const cards = [];
let server = null;
let recording = null;
let entranceError = null;

/** What the cards ask of the page. */
const page = {
  announce: (text) => ($("status").textContent = text),
  remember({ id, name }) {
    const jobs = storedJobs();
    if (!jobs.some((job) => job.id === id)) storeJobs([{ id, name }, ...jobs].slice(0, MOST_STORED));
  },
  again(card) {
    forget(card.id);
    send(card);
  },
  remove(card) {
    if (card.id) job(card.id, "DELETE").catch(() => {}); // the server forgets it by itself, only later
    forget(card.id);
    drop(card);
    $("file").focus();
  },
};

function storedJobs() {
  return JSON.parse(localStorage.getItem(STORED_JOBS) ?? "[]");
}

function storeJobs(jobs) {
  localStorage.setItem(STORED_JOBS, JSON.stringify(jobs));
}

function forget(id) {
  storeJobs(storedJobs().filter((job) => job.id !== id));
}

/** Adds a card, the newest on top. */
function add(card, { last = false } = {}) {
  cards.push(card);
  $("cards")[last ? "append" : "prepend"](card.element);
  $("none").hidden = true;
}

function drop(card) {
  card.leave();
  cards.splice(cards.indexOf(card), 1);
  card.element.remove();
  $("none").hidden = cards.length > 0;
}

let uploads = Promise.resolve();

/** Uploads one after the other, so that the first one is not slowed down by the rest. */
function send(card) {
  uploads = uploads.then(card.queue());
}

/** Takes a recording in with what is chosen above the drop zone. */
function take(file, recorded = false) {
  if (server && file.size > server.max_upload_mb * MEGABYTE) {
    refuse("tooLarge", file.name, server.max_upload_mb);
    if (!recorded) return;
  }
  const chosen = { language: $("language").value, prompt: $("prompt").value.trim(), task: $("task").value };
  const fields = Object.fromEntries(Object.entries(chosen).filter(([, value]) => value));
  const card = new Card(page, file.name, { file, fields, recorded });
  add(card);
  send(card);
}

/** Tells below the drop zone why nothing came in. */
function refuse(...words) {
  entranceError = words;
  $("entrance-error").hidden = false;
  $("entrance-error").textContent = say(...words);
}

function accept() {
  entranceError = null;
  $("entrance-error").hidden = true;
}

function takeAll(files) {
  accept();
  for (const file of files) take(file);
}

function prepareDropping() {
  const zone = $("zone");
  $("file").onchange = (event) => {
    takeAll(event.target.files);
    event.target.value = "";
  };
  document.addEventListener("dragover", (event) => {
    if (!event.dataTransfer.types.includes("Files")) return;
    event.preventDefault();
    zone.classList.add("over");
  });
  document.addEventListener("dragleave", (event) => event.relatedTarget || zone.classList.remove("over"));
  document.addEventListener("drop", (event) => {
    zone.classList.remove("over");
    if (!event.dataTransfer.types.includes("Files")) return;
    event.preventDefault();
    const folder = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).find((entry) => entry?.isDirectory);
    if (folder) refuse("folder", folder.name);
    else takeAll(event.dataTransfer.files);
  });
}

function prepareRecording() {
  $("record").disabled = !canRecord();
  $("record-note").hidden = canRecord();
  $("record").onclick = record;
  $("stop").onclick = () => recording.stop();
  $("discard").onclick = () => {
    recording.discarded = true;
    recording.stop();
  };
}

async function record() {
  accept();
  try {
    recording = await startRecording((seconds, level) => {
      $("elapsed").textContent = clock(seconds);
      $("level").value = level;
      if (server && seconds > server.max_minutes * 60 - 1) recording.stop();
    });
  } catch (error) {
    refuse(error.name === "NotAllowedError" ? "microphoneRefused" : "microphoneMissing");
    return;
  }
  showRecording(true);
  const { blob, suffix } = await recording.sound;
  const { discarded } = recording;
  recording = null;
  showRecording(false);
  if (!discarded) take(new File([blob], `${say("recordingName")} ${stamp()}.${suffix}`, { type: blob.type }), true);
}

function showRecording(on) {
  $("elapsed").textContent = clock(0);
  $("recording").hidden = !on;
  $("entrance").hidden = on;
  $(on ? "stop" : "record").focus();
  if (on) page.announce(say("recording"));
}

/** The local time as it may stand in a file's name. */
function stamp() {
  const now = new Date();
  const local = new Date(now - now.getTimezoneOffset() * 60_000).toISOString();
  return `${local.slice(0, 10)} ${local.slice(11, 19).replaceAll(":", ".")}`;
}

function prepareKey() {
  const form = $("key-form");
  let asking = null;
  let given;

  const ask = (refused) => {
    asking ??= new Promise((resolve) => (given = resolve));
    showError(Boolean(refused));
    form.hidden = false;
    $("change-key").hidden = true;
    $("key").focus();
    return asking;
  };
  const showError = (wrong) => {
    $("key-error").hidden = !wrong;
    $("key-error").textContent = wrong ? say("wrongKey") : "";
  };
  form.onsubmit = async (event) => {
    event.preventDefault();
    storeKey($("key").value);
    const accepted = await keyAccepted();
    showError(!accepted);
    if (!accepted) return $("key").select();
    form.hidden = true;
    $("key").value = "";
    $("change-key").hidden = false;
    $("file").focus();
    given?.();
    asking = null;
  };
  $("change-key").onclick = () => ask();
  onKeyNeeded(ask);
  return ask;
}

function fillChoices() {
  const choices = (codes) => codes.map((code) => [code, languageName(code)]);
  const first = choices(FIRST_LANGUAGES.filter((code) => server.languages.includes(code)));
  const others = choices(server.languages.filter((code) => !FIRST_LANGUAGES.includes(code)));
  others.sort(([, one], [, other]) => one.localeCompare(other, currentTongue()));
  const any = server.languages.length > 1 ? ["auto", "mixed"] : ["auto"];
  fill($("language"), [...any.map((code) => [code, say(code)]), ...first, ...others], server.language);
  fill($("task"), server.tasks.map((task) => [task, say(task)]), server.task);
}

/** Keeps what was chosen; at first that is the server's own choice. */
function fill(select, choices, usual) {
  const value = select.value || usual;
  select.replaceChildren(...choices.map(([code, name]) => new Option(name, code, false, code === value)));
}

/** Writes everything that depends on the page's language or on what the server told about itself. */
function render() {
  document.documentElement.lang = currentTongue();
  translate(document);
  for (const button of document.querySelectorAll("[data-tongue]")) {
    button.setAttribute("aria-pressed", button.dataset.tongue === currentTongue());
  }
  if (!$("key-error").hidden) $("key-error").textContent = say("wrongKey");
  if (entranceError) refuse(...entranceError);
  if (server) {
    fillChoices();
    $("limits").textContent = say("limits", server.max_upload_mb, amount(server.max_minutes));
    $("about").textContent = say("about", server);
  }
  for (const card of cards) card.render();
}

/** Shows the jobs of earlier visits that the server still has. */
function restore() {
  for (const { id, name } of storedJobs()) {
    const card = new Card(page, name);
    add(card, { last: true });
    card.restore(id).then((known) => {
      if (known) return;
      forget(id);
      drop(card);
    });
  }
}

async function meet() {
  for (;;) {
    try {
      server = await about();
      break;
    } catch {
      page.announce(say("lost"));
      await new Promise((resolve) => setTimeout(resolve, 3000));
    }
  }
  render();
}

for (const button of document.querySelectorAll("[data-tongue]")) {
  button.onclick = () => {
    chooseTongue(button.dataset.tongue);
    render();
  };
}
window.addEventListener("beforeunload", (event) => {
  if (recording || cards.some((card) => card.unsent)) event.preventDefault();
});
prepareDropping();
prepareRecording();
const ask = prepareKey();
render();
await meet();
if (server.needs_key) {
  if (storedKey() === null) ask();
  else $("change-key").hidden = false;
}
restore();
