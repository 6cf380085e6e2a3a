/** Recording from the microphone. */

const KINDS = [
  ["audio/webm;codecs=opus", "webm"],
  ["audio/mp4", "m4a"],
  ["audio/ogg;codecs=opus", "ogg"],
];

/** Speech needs no more than this; an hour is 22 MB. */
const BITS_PER_SECOND = 48_000;

/** Whether the page may ask for the microphone at all. */
export function canRecord() {
  return Boolean(navigator.mediaDevices?.getUserMedia && window.MediaRecorder);
}

/**
 * Starts recording. `onTick` gets the seconds so far and the level, 0 (-60 dB and below) to 1, ten times a second.
 * The result has `stop()` and `sound`, a promise of `{ blob, suffix }` that also settles when the microphone goes away.
 */
export async function startRecording(onTick) {
  const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
  const [mimeType, suffix] = KINDS.find(([type]) => MediaRecorder.isTypeSupported(type)) ?? [undefined, "webm"];
  const recorder = new MediaRecorder(stream, { mimeType, audioBitsPerSecond: BITS_PER_SECOND });
  const context = new AudioContext();
  const analyser = context.createAnalyser();
  context.createMediaStreamSource(stream).connect(analyser);

  const wave = new Float32Array(analyser.fftSize);
  const began = performance.now();
  const timer = setInterval(() => {
    analyser.getFloatTimeDomainData(wave);
    const power = wave.reduce((sum, sample) => sum + sample * sample, 0) / wave.length;
    const decibels = 10 * Math.log10(power + 1e-9);
    onTick((performance.now() - began) / 1000, Math.min(1, Math.max(0, 1 + decibels / 60)));
  }, 100);

  const pieces = [];
  recorder.ondataavailable = (event) => pieces.push(event.data);
  const sound = new Promise((resolve) => {
    recorder.onstop = () => {
      clearInterval(timer);
      context.close();
      for (const track of stream.getTracks()) track.stop();
      resolve({ blob: new Blob(pieces, { type: recorder.mimeType }), suffix });
    };
  });
  recorder.start(1000);
  return { sound, stop: () => recorder.state === "inactive" || recorder.stop() };
}
