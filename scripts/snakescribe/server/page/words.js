/** Every string of the page, in both languages, and the formats that depend on the language. */

import { FLAGS, KOREAN_ERRORS } from "./shared/sentences.js";
import { currentTongue, locale } from "./shared/tongue.js";

const WORDS = {
  tagline: { en: "Recordings to text", ko: "녹음을 글로 옮겨요" },
  newRecording: { en: "New recording", ko: "새 녹음" },
  transcripts: { en: "Transcripts", ko: "받아쓴 글" },
  noneYet: { en: "Nothing here yet.", ko: "아직 받아쓴 글이 없어요." },
  docs: { en: "API documentation", ko: "API 문서" },
  about: {
    en: (about) => `snakescribe ${about.version}, model ${about.model}`,
    ko: (about) => `snakescribe ${about.version}, 모델 ${about.model}`,
  },

  language: { en: "Spoken language", ko: "녹음 언어" },
  auto: { en: "Detect automatically", ko: "자동 감지" },
  mixed: { en: "Several languages", ko: "여러 언어" },
  task: { en: "Task", ko: "작업" },
  transcribe: { en: "Transcribe", ko: "받아쓰기" },
  translate: { en: "Translate into English", ko: "영어로 번역하기" },
  prompt: { en: "Context (optional)", ko: "참고 단어(선택)" },
  promptNote: {
    en: "Names and terms that occur, for example: Seo-yeon Kim, Kubernetes",
    ko: "녹음에 나오는 이름이나 용어를 적어 주세요. 예: 김서연, 쿠버네티스",
  },

  choose: { en: "Drop recordings here, or choose files", ko: "녹음 파일을 여기에 놓거나 눌러서 고르세요" },
  limits: {
    en: (megabytes, minutes) => `Audio or video, up to ${megabytes} MB and ${minutes}`,
    ko: (megabytes, minutes) => `오디오나 동영상, 파일마다 최대 ${megabytes}MB, ${minutes}`,
  },
  tooLarge: {
    en: (name, megabytes) => `“${name}” is larger than ${megabytes} MB, the most this server takes.`,
    ko: (name, megabytes) => `‘${name}’ 파일이 너무 커요. 이 서버는 ${megabytes}MB까지 받아요.`,
  },
  folder: {
    en: (name) => `“${name}” is a folder. Drop the files in it instead.`,
    ko: (name) => `‘${name}’ 항목은 폴더예요. 폴더 안의 파일을 끌어다 놓아 주세요.`,
  },

  record: { en: "Record with the microphone", ko: "마이크로 녹음하기" },
  recording: { en: "Recording", ko: "녹음하고 있어요" },
  level: { en: "Microphone level", ko: "마이크 소리 크기" },
  stop: { en: "Finish", ko: "녹음 마치기" },
  discard: { en: "Discard", ko: "버리기" },
  recordingName: { en: "Recording", ko: "녹음" },
  keepRecording: { en: "Save the recording", ko: "녹음 파일 저장" },
  microphoneNeedsHttps: {
    en: "The browser gives the microphone only to pages served over https or from this machine.",
    ko: "브라우저는 https로 열었거나 이 컴퓨터에서 연 페이지에서만 마이크를 쓰게 해 줘요.",
  },
  microphoneRefused: {
    en: "The browser did not allow the microphone. Allow it for this page and try again.",
    ko: "브라우저에서 마이크를 쓸 수 없게 되어 있어요. 이 페이지에 마이크를 허용한 뒤 다시 눌러 주세요.",
  },
  microphoneMissing: {
    en: "No microphone was found, or another program holds it.",
    ko: "마이크를 찾지 못했거나 다른 프로그램이 쓰고 있어요.",
  },

  found: { en: "Asking the server", ko: "서버에 확인하고 있어요" },
  waiting: { en: "Waiting to upload", ko: "업로드 차례를 기다리고 있어요" },
  uploading: { en: (share) => `Uploading, ${share}`, ko: (share) => `업로드하고 있어요 (${share})` },
  checking: { en: "The server is checking the file", ko: "서버가 파일을 확인하고 있어요" },
  full: {
    en: (wait) => `The server is busy. Trying again in ${wait}.`,
    ko: (wait) => `서버가 바빠요. ${wait} 뒤에 다시 보낼게요.`,
  },
  queued: {
    en: (ahead) => ["Next in the queue", "One recording is before this one"][ahead] ?? `${ahead} recordings are before this one`,
    ko: (ahead) => (ahead ? `앞에 녹음 ${ahead}개가 있어요` : "다음 차례예요"),
  },
  starting: { en: "Reading the recording", ko: "녹음을 읽고 있어요" },
  running: { en: (done, all) => `${done} of ${all} transcribed`, ko: (done, all) => `${all} 중 ${done}까지 옮겼어요` },
  left: { en: (time) => `, about ${time} left`, ko: (time) => `, 약 ${time} 남았어요` },
  done: { en: "Done", ko: "다 됐어요" },
  failed: { en: "This did not work", ko: "받아쓰지 못했어요" },
  cancelled: { en: "Cancelled", ko: "취소했어요" },
  gone: { en: "The server no longer has this one", ko: "서버에 더 이상 남아 있지 않아요" },
  lost: {
    en: "The server does not answer. Trying again.",
    ko: "서버가 응답하지 않아요. 계속 다시 확인할게요.",
  },
  unsent: {
    en: "The upload broke off. Look whether the server can be reached and the file is still there.",
    ko: "업로드가 끊겼어요. 서버에 연결되는지, 파일이 그대로 있는지 확인해 주세요.",
  },

  unreachable: { en: "The server does not answer.", ko: "서버가 응답하지 않아요." },

  cancel: { en: "Cancel", ko: "취소" },
  again: { en: "Try again", ko: "다시 시도" },
  remove: { en: "Delete", ko: "삭제" },
  removeName: { en: (name) => `Delete ${name}`, ko: (name) => `${name} 삭제` },
  cancelName: { en: (name) => `Cancel ${name}`, ko: (name) => `${name} 취소` },
  copy: { en: "Copy the text", ko: "글 복사" },
  copied: { en: "Copied", ko: "복사했어요" },
  downloads: { en: "Download", ko: "내려받기" },
  download: { en: (format) => `Download as ${format}`, ko: (format) => `${format} 형식으로 내려받기` },
  sound: { en: (name) => `Sound of ${name}`, ko: (name) => `${name} 소리` },

  segments: {
    en: "Segments; arrow keys move, Enter plays",
    ko: "문장 목록, 화살표 키로 이동하고 Enter 키로 들어요",
  },
  hear: { en: (time) => `Hear from ${time}`, ko: (time) => `${time}부터 듣기` },
  unheard: {
    en: "The sound is not on this page any more, so segments cannot be played. Drop the file again to hear them.",
    ko: "페이지를 새로 열어서 소리가 남아 있지 않아요. 들으려면 파일을 다시 놓아 주세요.",
  },
  unplayable: {
    en: "This browser cannot play this kind of file. The text is complete all the same.",
    ko: "이 브라우저에서는 이 파일을 재생할 수 없어요. 받아쓰기 결과에는 영향이 없어요.",
  },
  silent: { en: "Nobody speaks in this recording.", ko: "이 녹음에는 말소리가 없어요." },
  ...FLAGS,

  key: { en: "API key", ko: "API 키" },
  keyNote: {
    en: "This server asks for a key. It stays in this tab until you close it.",
    ko: "이 서버를 쓰려면 키가 필요해요. 키는 이 탭을 닫을 때까지만 보관돼요.",
  },
  useKey: { en: "Use this key", ko: "키 적용" },
  changeKey: { en: "Change the API key", ko: "API 키 바꾸기" },
  wrongKey: { en: "The server does not accept this key.", ko: "서버가 이 키를 받아들이지 않아요." },
};

/** The words for `key` in the page's language; `values` fill those that have places for them. */
export function say(key, ...values) {
  const words = WORDS[key][currentTongue()];
  return typeof words === "function" ? words(...values) : words;
}

/** Writes the words of every element below `root` that names some in `data-word`. */
export function translate(root) {
  for (const element of root.querySelectorAll("[data-word]")) element.textContent = say(element.dataset.word);
}

/** The error for people: the server's message, in Korean with a plain sentence before it. */
export function explain({ code, message }) {
  const plain = currentTongue() === "ko" && KOREAN_ERRORS[code];
  return plain ? `${plain} (${message})` : message.charAt(0).toUpperCase() + message.slice(1);
}

/** A count of minutes, or with `unit` of seconds, in words. */
export function amount(count, unit = "minute") {
  return new Intl.NumberFormat(locale(), { style: "unit", unit, unitDisplay: "long" }).format(count);
}

/** A remaining time, as roughly as it is known. */
export function roughly(seconds) {
  return seconds < 55 ? amount(Math.max(5, Math.ceil(seconds / 5) * 5), "second") : amount(Math.ceil(seconds / 60));
}
