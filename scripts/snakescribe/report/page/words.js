/** Every string of the report, in both languages, and the formats that depend on the language. */

import { FLAGS, KOREAN_ERRORS } from "./sentences.js";
import { currentTongue, locale, UNKNOWN } from "./tongue.js";

const WORDS = {
  title: { en: "Transcription report", ko: "받아쓰기 보고서" },
  made: { en: (when, version) => `Made ${when} by snakescribe ${version}`, ko: (when, version) => `${when}, snakescribe ${version}` },
  glance: { en: "At a glance", ko: "한눈에 보기" },
  recordings: { en: "Recordings", ko: "녹음" },
  damaged: {
    en: "This page is damaged or not complete; make it again with `snakescribe report`.",
    ko: "페이지가 손상됐거나 덜 만들어졌어요. `snakescribe report`로 다시 만들어 주세요.",
  },

  audio: { en: "of audio", ko: "총 길이" },
  speed: { en: "× real time", ko: "배 처리 속도(실시간 대비)" },
  gap: { en: "of speech without text", ko: "글이 없는 말소리" },
  ok: { en: "with text", ko: "받아쓴 녹음" },
  empty: { en: "without speech", ko: "말소리 없음" },
  failed: { en: "failed", ko: "실패" },
  removed: { en: "no longer in the folder", ko: "폴더에서 사라짐" },

  failures: { en: "What failed, and what to do", ko: "실패한 녹음과 해결 방법" },
  doubts: { en: "What to look at", ko: "확인이 필요한 녹음" },
  languages: { en: "Languages", ko: "언어" },
  rates: { en: "Errors beside references", ko: "정답 원고와 비교한 오류율" },
  madeBy: { en: "Made by", ko: "사용한 모델" },
  reason: { en: "Why", ko: "이유" },
  advice: { en: "What to do", ko: "해결 방법" },
  meaning: { en: "What it says", ko: "뜻" },
  number: { en: "Recordings", ko: "녹음 수" },
  hours: { en: "Audio", ko: "분량" },
  rate: { en: "Error rate", ko: "오류율" },
  interval: { en: "95 % interval", ko: "95% 구간" },
  words: { en: "words", ko: "단어" },
  characters: { en: "characters", ko: "글자" },
  without_text: {
    en: "Some speech has no text; its places are shown in the recording.",
    ko: "말소리인데 글이 없는 곳이 있어요. 녹음을 열면 위치가 보여요.",
  },

  plotDuration: { en: "Recordings by length, in minutes", ko: "녹음 길이 분포(분)" },
  plotConfidence: { en: "Recordings by the model’s confidence, 0 to 1", ko: "모델 확신도 분포(0~1)" },
  plotSpeed: { en: "Recordings by speed, × real time", ko: "처리 속도 분포(실시간 대비 배속)" },
  plotRate: { en: "Recordings by error rate (1 is 100 %)", ko: "오류율 분포(1은 100%)" },
  spread: {
    en: (low, middle, high) => `half of them between ${low} and ${high}, the middle one ${middle}`,
    ko: (low, middle, high) => `가운데 절반 ${low}~${high}, 중앙값 ${middle}`,
  },

  search: { en: "Search names and texts", ko: "이름과 글에서 찾기" },
  show: { en: "Show", ko: "상태" },
  language: { en: "Language", ko: "언어" },
  all: { en: "all", ko: "전체" },
  shown: {
    en: (count, all) => `${count} of ${all} recordings, those with the most to look after first`,
    ko: (count, all) => count === "0" ? "찾은 녹음이 없어요" : `녹음 ${all}개 중 ${count}개, 확인이 시급한 순`,
  },
  searching: { en: (share) => `Searching, ${share}`, ko: (share) => `찾는 중, ${share}` },
  unlisted: {
    en: (listed, all) => `The ${listed} with the most to look after; tables/recordings.tsv has all ${all}.`,
    ko: (listed, all) => `확인이 필요한 ${listed}개예요. 전체 ${all}개는 tables/recordings.tsv에 있어요.`,
  },

  before: { en: "Recording before", ko: "이전 녹음" },
  after: { en: "Next recording", ko: "다음 녹음" },
  close: { en: "Close", ko: "닫기" },
  confidence: { en: (share) => `confidence ${share}`, ko: (share) => `확신도 ${share}` },
  errors: { en: (share) => `${share} errors`, ko: (share) => `오류 ${share}` },
  gapHere: { en: (time) => `${time} of speech without text`, ko: (time) => `글이 없는 말소리 ${time}` },
  corrected: { en: "checked", ko: "확인함" },
  correctedKind: { en: "checked by somebody", ko: "사람이 확인함" },
  space: { en: "Space", ko: "스페이스" },
  silent: { en: "Nobody speaks in this recording.", ko: "이 녹음에는 말소리가 없어요." },
  noText: {
    en: "The text is not in this page, which holds only those with the most to look after. It is in transcripts/.",
    ko: "이 페이지에는 확인이 필요한 글만 들어 있어요. 이 글은 transcripts/에 있어요.",
  },
  wave: { en: "Loudness; places without text are marked", ko: "소리 크기. 글이 없는 곳은 표시했어요" },
  unheard: {
    en: "The sound cannot be played here: the recording is not where it was, the page lies elsewhere, or the browser does not know the format.",
    ko: "여기서는 소리를 들을 수 없어요. 녹음이나 이 페이지를 옮겼거나, 브라우저가 지원하지 않는 형식이에요.",
  },
  segments: { en: "Segments; arrow keys move, Enter plays", ko: "문장 목록, 화살표 키로 이동하고 Enter 키로 들어요" },
  hear: { en: (time) => `Hear from ${time}`, ko: (time) => `${time}부터 듣기` },

  beside: { en: "Beside the reference", ko: "정답 원고와 비교" },
  strange: { en: "the reference of another recording?", ko: "다른 녹음의 원고?" },
  strangeReference: {
    en: "More than 150 % errors: this is probably the reference of another recording.",
    ko: "오류율이 150%를 넘어요. 다른 녹음의 원고일 수 있어요.",
  },
  counts: {
    en: (name, rate, substituted, missing, added, all, unit) => `${name} ${rate}: ${substituted} substituted, ${missing} missing, ${added} added; ${unit} in the reference: ${all}`,
    ko: (name, rate, substituted, missing, added, all, unit) => `${name} ${rate}: 바뀜 ${substituted}, 빠짐 ${missing}, 더함 ${added}, 원고의 ${unit} 수 ${all}`,
  },
  del: { en: "only in the reference", ko: "원고에만 있음" },
  ins: { en: "only heard", ko: "받아쓴 글에만 있음" },
  besideWords: {
    en: "One beside the other: a substitution. Words stand as they are written, those that are compared in another form (don’t as do not) in that form. Capitals, punctuation and what is in brackets are not compared.",
    ko: "둘이 나란히 있으면 바뀐 말이에요. 글은 적힌 대로 보여 주고, 다른 꼴로 바꿔 비교한 말은 그 꼴로 보여 줘요. 대소문자, 문장 부호, 괄호 안의 글은 비교하지 않아요.",
  },
  besideCharacters: {
    en: "One beside the other: a substitution. Spaces, punctuation and what is in brackets are not compared.",
    ko: "둘이 나란히 있으면 바뀐 글자예요. 띄어쓰기, 문장 부호, 괄호 안의 글은 비교하지 않아요.",
  },
  besideKorean: { en: "The CER counts no spaces.", ko: "CER에서는 띄어쓰기를 세지 않아요." },
  folded: { en: "Korean numbers that are spelt out count as digits.", ko: "한글로 적은 수는 숫자로 바꿔 비교했어요." },

  how: {
    en: "On a segment: e edits, r says that it is right, j joins it with the next, s gives it to the next speaker, n goes to the next doubtful one, Space plays, b goes back 2 s. While editing: Enter keeps, Alt+Enter cuts, Escape leaves.",
    ko: "문장을 고른 뒤 e 고치기 · r 맞음 · j 다음과 합치기 · s 다음 화자 · n 다음 확인할 곳 · 스페이스 듣기 · b 2초 뒤로. 고치는 중: Enter 저장, Alt+Enter 나누기, Esc 취소.",
  },
  edit: { en: "Edit", ko: "고치기" },
  right: { en: "This is right", ko: "맞음" },
  join: { en: "Join with the next", ko: "다음과 합치기" },
  speaker: { en: "Next speaker", ko: "다음 화자" },
  next: { en: "Next doubtful", ko: "다음 확인할 곳" },
  back: { en: "Back 2 s", ko: "2초 뒤로" },
  play: { en: "Play", ko: "듣기" },
  said: { en: (time) => `What is said from ${time}`, ko: (time) => `${time}에 시작하는 문장` },
  conflict: {
    en: "Somebody else had changed this place. Both are kept, yours counts.",
    ko: "다른 사람이 먼저 고친 곳이에요. 둘 다 남아 있고, 지금 고친 글이 쓰여요.",
  },
  unkept: { en: (why) => `This was not kept: ${why}`, ko: (why) => `저장하지 못했어요: ${why}` },
  allHeard: { en: "Nothing doubtful is left.", ko: "확인할 곳이 더 없어요." },

  codec: { en: "codec", ko: "코덱" },
  sample_rate: { en: "sample rate, Hz", ko: "샘플레이트(Hz)" },
  channels: { en: "channels", ko: "채널 수" },
  audio_track: { en: "audio track", ko: "오디오 트랙" },
  audio_tracks: { en: "audio tracks", ko: "오디오 트랙 수" },
  speakers: { en: "speakers", ko: "화자" },
  model: { en: "model", ko: "모델" },
  engine: { en: "engine", ko: "엔진" },
  device: { en: "device", ko: "장치" },
  batch: { en: "batch", ko: "묶음" },
  ...FLAGS,
};

/** What to do about a failed recording, by its class in docs/errors.md. */
const ADVICE = {
  VanishedRecording: { en: "It went away or changed while the run was at work; the next run looks again.", ko: "작업 중에 사라졌거나 바뀌었어요. 다음 실행 때 다시 확인해요." },
  DriveFailure: { en: "The drive or share failed while it was read; look after it. The next run tries again.", ko: "읽는 중에 드라이브나 공유 폴더에 문제가 생겼어요. 점검해 주세요. 다음 실행 때 다시 시도해요." },
  UnreadableRecording: { en: "No media file, damaged, or no permission: play it, or copy it again from where it came.", ko: "미디어 파일이 아니거나, 손상되었거나, 읽을 권한이 없어요. 재생해 보거나 다시 복사해 주세요." },
  EmptyRecording: { en: "There is no sound in it: copy it again if there should be.", ko: "소리가 들어 있지 않아요. 있어야 한다면 다시 복사해 주세요." },
  NoAudioTrack: { en: "A video without sound; there is nothing to transcribe.", ko: "소리가 없는 동영상이라 받아쓸 말이 없어요." },
  TruncatedRecording: { en: "It ends before its header says: copy it again, or take what there is with audio.truncated=keep.", ko: "파일이 중간에 끊겼어요. 다시 복사하거나, audio.truncated=keep으로 남은 부분만 받아쓰세요." },
  TooLong: { en: "Longer than audio.max_hours: raise that, or cut the recording.", ko: "audio.max_hours보다 길어요. 값을 늘리거나 녹음을 나눠 주세요." },
  TimedOut: { en: "Reading it took too long; the next run tries again. If it stays so, the file is damaged.", ko: "읽는 데 너무 오래 걸렸어요. 다음 실행 때 다시 시도해요. 계속 그러면 손상된 파일이에요." },
  EngineFailure: { en: "The engine failed on it; the next run tries again. The log of its batch says more.", ko: "엔진에 문제가 생겼어요. 다음 실행 때 다시 시도해요. 배치 로그에 자세한 내용이 있어요." },
  OutOfMemory: { en: "Not enough memory, even with small pieces: free some, or choose a smaller model.", ko: "메모리가 모자라요. 메모리를 늘리거나 더 작은 모델을 쓰세요." },
};

/** The words for `key` in the page's language; `values` fill those that have places for them. */
export function say(key, ...values) {
  const words = WORDS[key]?.[currentTongue()] ?? key;
  return typeof words === "function" ? words(...values) : words;
}

/** What to do about a failed recording. */
export function advise(errorClass) {
  return ADVICE[errorClass]?.[currentTongue()] ?? "";
}

/** Why it failed: the message, in Korean with a plain sentence before it. */
export function explain(errorClass, message) {
  const code = errorClass.replace(/(?<!^)(?=[A-Z])/g, "_").toLowerCase();
  const plain = currentTongue() === "ko" && KOREAN_ERRORS[code];
  return plain ? `${plain} (${message})` : `${errorClass}: ${message}`;
}

/** A length of audio: seconds, minutes or hours, whatever reads best. */
export function length(seconds) {
  const [count, unit] = seconds < 60 ? [seconds, "second"] : seconds < 3600 ? [seconds / 60, "minute"] : [seconds / 3600, "hour"];
  return new Intl.NumberFormat(locale(), { style: "unit", unit, unitDisplay: "short", maximumFractionDigits: 1 }).format(count);
}

export function count(number) {
  return new Intl.NumberFormat(locale(), { maximumFractionDigits: number < 10 ? 1 : 0 }).format(number);
}

export function decimal(number) {
  if (number === null) return UNKNOWN;
  return new Intl.NumberFormat(locale(), { maximumSignificantDigits: 2 }).format(number);
}
