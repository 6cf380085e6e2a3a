"""litellm against a server: URL RECORDING; what it said as JSON."""

import json
import sys

import litellm

url, recording = sys.argv[1:]
said = {}
for name, more in {
    "json": {},
    "verbose": {"response_format": "verbose_json", "timestamp_granularities": ["word"]},
    "both": {"response_format": "verbose_json", "stream": True},
}.items():
    with open(recording, "rb") as file:
        answer = litellm.transcription(
            model="openai/whisper-1", file=file, api_base=f"{url}/v1", api_key="a-key", max_retries=0, **more
        )
    said[name] = {"text": answer.text, "words": len(getattr(answer, "words", None) or ())}
print(json.dumps(said))
