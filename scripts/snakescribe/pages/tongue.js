/** The language of a page, which people choose, and what is written by it: times, shares, names of languages. */

const STORED = "snakescribe.tongue";
const TONGUES = ["en", "ko"];
export const UNKNOWN = "–";
let tongue = remembered() ?? (navigator.language.startsWith("ko") ? "ko" : "en");
if (!TONGUES.includes(tongue)) tongue = "en";

/** A page from a file may have no storage. */
function remembered() {
  try {
    return localStorage.getItem(STORED);
  } catch {
    return null;
  }
}

/** The page's language, `en` or `ko`. */
export function currentTongue() {
  return tongue;
}

export function chooseTongue(chosen) {
  tongue = chosen;
  try {
    localStorage.setItem(STORED, chosen);
  } catch {
    // The choice holds until the page is closed.
  }
}

/** The reader's own variety of the page's language, for dates and numbers. */
export function locale() {
  return navigator.languages.find((one) => one.split("-")[0] === tongue) ?? tongue;
}

/** Seconds as `m:ss` or `h:mm:ss`; a dash where they are not known. */
export function clock(seconds) {
  if (seconds === null) return UNKNOWN;
  const whole = Math.floor(seconds);
  const hours = Math.floor(whole / 3600);
  const minutes = String(Math.floor(whole / 60) % 60).padStart(hours ? 2 : 1, "0");
  return `${hours ? `${hours}:` : ""}${minutes}:${String(whole % 60).padStart(2, "0")}`;
}

/** A share of one, or a dash. */
export function percent(share, digits = 0) {
  if (share === null) return UNKNOWN;
  return new Intl.NumberFormat(locale(), { style: "percent", maximumFractionDigits: digits }).format(share);
}

/** The name of a language that Whisper knows by `code`. */
export function languageName(code) {
  try {
    return new Intl.DisplayNames(locale(), { type: "language" }).of(code);
  } catch {
    return code;
  }
}

/** A point in time, of whatever `Date` takes. */
export function moment(when) {
  return new Intl.DateTimeFormat(locale(), { dateStyle: "medium", timeStyle: "short" }).format(new Date(when));
}
