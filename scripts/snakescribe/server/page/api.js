/** Requests to the server. Addresses are relative, so the page also works below a path of a reverse proxy. */

const STORED = "snakescribe.key";

/** An answer that is not 2xx; `status` is 0 when there was none. */
export class Refusal extends Error {
  constructor(status, body, retryAfter) {
    let error = null;
    try {
      error = JSON.parse(body).error;
    } catch {
      // A proxy's own error page: the status has to do.
    }
    super(error?.message ?? `HTTP ${status}`);
    this.status = status;
    this.code = error?.code;
    this.retryAfter = Number(retryAfter) || 5;
  }

  /** Whether asking again later can help. */
  get passing() {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

let keyNeeded = false;
let askForKey;

/** `ask` shows the key's field and resolves when another key has been stored. */
export function onKeyNeeded(ask) {
  askForKey = ask;
}

export function storedKey() {
  return sessionStorage.getItem(STORED);
}

export function storeKey(key) {
  sessionStorage.setItem(STORED, key);
}

function headers() {
  const key = storedKey();
  return key ? { Authorization: `Bearer ${key}` } : {};
}

/** Never resolves; rejects with the signal's reason when aborted. */
function aborted(signal) {
  return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason), { once: true }));
}

/** Makes `attempt` with the stored key, and again with another one while the server refuses it. */
async function withKey(attempt, signal = new AbortController().signal) {
  for (;;) {
    const used = storedKey();
    if (keyNeeded && used === null) {
      await Promise.race([askForKey(), aborted(signal)]);
      continue;
    }
    try {
      return await attempt();
    } catch (refusal) {
      if (refusal.status !== 401) throw refusal;
      if (storedKey() === used) await Promise.race([askForKey(refusal.message), aborted(signal)]);
    }
  }
}

async function once(path, method = "GET") {
  let response;
  try {
    response = await fetch(path, { method, headers: headers() });
  } catch {
    throw new Refusal(0, "");
  }
  if (!response.ok) throw new Refusal(response.status, await response.text(), response.headers.get("Retry-After"));
  return response;
}

/** The response of a request without a body. Throws a `Refusal`. */
export function request(path, method) {
  return withKey(() => once(path, method));
}

/** Whether the server accepts the stored key. */
export async function keyAccepted() {
  try {
    await once("v1/models");
  } catch (refusal) {
    return refusal.status !== 401;
  }
  return true;
}

/** What the server can do. */
export async function about() {
  const answer = await (await once("about")).json();
  keyNeeded = answer.needs_key;
  return answer;
}

export function job(id, method) {
  return request(`v1/jobs/${id}`, method).then((response) => response.json());
}

/** The transcript in `format` as a response. */
export function transcript(id, format) {
  return request(`v1/jobs/${id}/transcript.${format}`);
}

/**
 * Sends a recording and returns its job. Throws a `Refusal`, or the signal's reason when aborted.
 * `onProgress` gets the share of the bytes that went out, 0 to 1 (`fetch` does not tell it).
 */
export function upload(file, fields, onProgress, signal) {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  form.append("file", file, file.name);
  return withKey(
    () =>
      new Promise((resolve, reject) => {
        signal.throwIfAborted();
        const sent = new XMLHttpRequest();
        sent.open("POST", "v1/jobs");
        for (const [name, value] of Object.entries(headers())) sent.setRequestHeader(name, value);
        sent.upload.onprogress = (event) => onProgress(event.total ? event.loaded / event.total : 0);
        sent.onload = () =>
          sent.status < 300
            ? resolve(JSON.parse(sent.responseText))
            : reject(new Refusal(sent.status, sent.responseText, sent.getResponseHeader("Retry-After")));
        sent.onerror = () => reject(new Refusal(0, ""));
        sent.onabort = () => reject(signal.reason);
        signal.addEventListener("abort", () => sent.abort(), { once: true });
        onProgress(0);
        sent.send(form);
      }),
    signal,
  );
}
