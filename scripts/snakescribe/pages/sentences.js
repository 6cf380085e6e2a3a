/** What both pages say of a recording, in both languages: why a text is to be doubted, and what failed. */

export const FLAGS = {
  repetition: {
    en: "Repeats itself; the model may have been caught in a loop.",
    ko: "같은 말이 되풀이돼요. 모델이 반복 오류를 냈을 수 있어요.",
  },
  low_confidence: {
    en: "The model was not sure here; better listen to it.",
    ko: "모델이 확신하지 못한 부분이에요. 들어서 확인해 보세요.",
  },
  unfinished: {
    en: "Speech goes on after this text; something may be missing.",
    ko: "이 뒤로도 말이 이어져요. 빠진 말이 있을 수 있어요.",
  },
  invented: {
    en: "Probably nobody said this; the model makes up such phrases in silence.",
    ko: "아무도 하지 않은 말일 수 있어요. 모델이 조용한 곳에서 지어내곤 하는 말이에요.",
  },
  too_fast: {
    en: "Nobody can say this much so fast; the model may have made some of it up.",
    ko: "이렇게 짧은 시간에 다 말할 수 없는 글이에요. 모델이 지어낸 말이 섞였을 수 있어요.",
  },
  truncated: {
    en: "The file ends before it should; this is the text of what is there.",
    ko: "파일이 중간에 끊겨 있어요. 남아 있는 부분만 받아썼어요.",
  },
  incomplete: {
    en: "Part of this file could not be read; its words are missing here.",
    ko: "파일 일부를 읽지 못했어요. 그 부분의 말은 여기에 없어요.",
  },
  other_track: {
    en: "Nobody speaks on the file's default track; this is the text of another one.",
    ko: "기본 오디오 트랙에 말소리가 없어서 다른 트랙을 받아썼어요.",
  },
  inverted_channel: {
    en: "Two channels would have cancelled each other out; one was turned.",
    ko: "두 채널이 서로를 지우게 되어 있어서 한쪽을 뒤집어 들었어요.",
  },
  dead_channel: {
    en: "A channel on which nobody speaks was left out.",
    ko: "말소리가 없는 채널은 빼고 들었어요.",
  },
  narrowband: {
    en: "The voices came through a telephone; who speaks is less sure.",
    ko: "전화로 녹음된 목소리라 누가 말했는지 덜 확실해요.",
  },
  ghost_speaker: {
    en: "One of the speakers says next to nothing; perhaps there is nobody.",
    ko: "거의 말하지 않은 화자가 있어요. 실제로는 없는 사람일 수 있어요.",
  },
  speakers_unknown: {
    en: "The voices could not be told apart; the batch's log says why.",
    ko: "목소리를 구분하지 못했어요. 까닭은 로그에 있어요.",
  },
};

/** What went wrong in Korean, by the error's code; in English the server's own message says it. */
export const KOREAN_ERRORS = {
  unreadable_recording: "이 파일에서 소리를 읽을 수 없어요. 오디오나 동영상 파일이 맞는지 확인해 주세요.",
  no_audio_track: "이 동영상에는 소리가 없어요.",
  empty_recording: "파일에 소리가 들어 있지 않아요.",
  truncated_recording: "파일이 중간에 끊겨 있어요.",
  vanished_recording: "작업 중에 파일이 사라졌거나 바뀌었어요.",
  drive_failure: "읽는 중에 드라이브나 공유 폴더에 문제가 생겼어요.",
  out_of_memory: "메모리가 모자라서 받아쓰지 못했어요.",
  too_long: "녹음이 너무 길어요. 나누어서 올려 주세요.",
  too_large: "파일이 너무 커요.",
  timed_out: "시간이 너무 오래 걸려서 멈췄어요.",
  engine_failure: "받아쓰는 도중에 문제가 생겼어요.",
  internal_error: "서버에 문제가 생겼어요.",
};
