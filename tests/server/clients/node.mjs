// The npm clients against a server: node node.mjs URL RECORDING PACKAGES; what they said as JSON.
import fs from "node:fs";

const [url, recording, openai, ai, provided] = process.argv.slice(2);
const { default: OpenAI } = await import(openai);
const { experimental_transcribe, transcribe = experimental_transcribe } = await import(ai);
const { createOpenAI } = await import(provided);
const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "a-key", maxRetries: 0 });
const ask = (fields) => client.audio.transcriptions.create({ file: fs.createReadStream(recording), model: "whisper-1", ...fields });
const said = {};
said.text = (await ask({ language: "es-ES" })).text;
said.words = (await ask({ response_format: "verbose_json", timestamp_granularities: ["word"] })).words.length;
said.srt = await ask({ response_format: "srt" });
said.speakers = (await ask({ response_format: "diarized_json" })).segments.map((one) => one.speaker);
said.deltas = [];
for await (const event of await ask({ stream: true })) {
  if (event.type === "transcript.text.delta") said.deltas.push(event.delta);
}
const provider = createOpenAI({ baseURL: `${url}/v1`, apiKey: "a-key" });
for (const name of ["whisper-1", "gpt-4o-transcribe"]) {
  const audio = fs.readFileSync(recording);
  const model = provider.transcription(name);
  const asked = { model, audio, maxRetries: 0, providerOptions: { openai: {} } }; // without these it asks for json alone
  const { text, language, segments } = await transcribe(asked);
  said[name] = { text, language, segments: segments.length };
}
console.log(JSON.stringify(said));
