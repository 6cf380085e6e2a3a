#!/usr/bin/env bash
# faster-whisper 1.2.1: max_new_tokens=100 gives 51 tokens without a prompt, 82 with one of 62 words, 101 with one of 186.
#
# Seen on Python 3.11 with ctranslate2 4.8.5 and a small network of random weights that never ends by itself. The sum of the prompt's
# tokens and max_new_tokens goes to CTranslate2 as max_length, which Whisper.generate halves (or cuts by the prompt, where that leaves
# less; src/models/whisper.cc). So a limit that is right with a prompt cuts the text in half without one, and segments tell nothing of it.
# So engine/ctranslate2.py asks for the limit and, at least as many again, for the prompt.
# Expected: 100 each time ("maximum number of new tokens to generate per-chunk"), or so many at most, whatever stands before them.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check faster-whisper==1.2.1 ctranslate2==4.8.5 tokenizers==0.23.3 numpy==2.4.6
cat > limit.py <<'END'
import ctranslate2
import numpy as np
from ctranslate2.specs import WhisperSpec
from faster_whisper import WhisperModel
from tokenizers import Tokenizer, models

WIDTH = 8
SPECIAL = ["<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>"]
SPECIAL += ["<|nospeech|>", "<|notimestamps|>", *(f"<|{0.02 * step:.2f}|>" for step in range(1501))]
WORDS = [*(f"w{number}" for number in range(32)), *SPECIAL]
random = np.random.default_rng(0)


def normal(*shape):
    return random.normal(size=shape).astype(np.float32)


def product(layer, *shape):
    layer.weight, layer.bias = normal(*shape), np.zeros(shape[0], np.float32)


def norm(layer):
    layer.gamma, layer.beta = np.ones(WIDTH, np.float32), np.zeros(WIDTH, np.float32)


def attention(layer, sizes):
    norm(layer.layer_norm)
    for linear, size in zip(layer.linear, sizes, strict=True):
        product(linear, size * WIDTH, WIDTH)


spec = WhisperSpec(1, 2, 1, 2)
product(spec.encoder.conv1, WIDTH, 80, 3)
product(spec.encoder.conv2, WIDTH, WIDTH, 3)
spec.encoder.position_encodings.encodings = normal(1500, WIDTH)
spec.decoder.position_encodings.encodings = normal(448, WIDTH)
spec.decoder.embeddings.weight = normal(len(WORDS), WIDTH)
for stack in (spec.encoder, spec.decoder):
    norm(stack.layer_norm)
    for one in stack.layer:
        attention(one.self_attention, (3, 1))
        if stack is spec.decoder:
            attention(one.attention, (1, 2, 1))
        norm(one.ffn.layer_norm)
        product(one.ffn.linear_0, 16, WIDTH)
        product(one.ffn.linear_1, WIDTH, 16)
product(spec.decoder.projection, len(WORDS), WIDTH)
spec.register_vocabulary(WORDS)
spec.config.suppress_ids = [WORDS.index("<|endoftext|>")]
spec.config.suppress_ids_begin, spec.config.alignment_heads = [], [(0, 0)]
spec.config.lang_ids = [WORDS.index("<|en|>")]
spec.validate()
spec.save("model")
Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="w0")).save("model/tokenizer.json")

model = WhisperModel("model", device="cpu", compute_type="float32")
sound = normal(16000 * 10) / 10
options = {"language": "en", "temperature": 0, "without_timestamps": True, "suppress_tokens": list(range(32, len(WORDS)))}
options |= dict.fromkeys(("compression_ratio_threshold", "log_prob_threshold", "no_speech_threshold"))
for words in (0, 62, 186):
    segments, _ = model.transcribe(sound, max_new_tokens=100, initial_prompt=[1] * words or None, **options)
    print(*(len(one.tokens) for one in segments))
END
mkdir model
seen=$(venv/bin/python limit.py | xargs)
echo "tokens: $seen"
[ "$seen" = '51 82 101' ]
