#!/usr/bin/env bash
# openai-whisper 20250625: BasicTextNormalizer, "keeping diacritics", makes a space of every vowel sign.
#
# Seen on Python 3.11: हिन्दी में बोलिए, three words, becomes ह न द म ब ल ए, and Thai ไม่ใช่ becomes ไม ใช, whichever tone it had. Turkish
# İstanbul becomes i stanbul, since lower() writes its dot as a mark of its own. All of category M goes, with symbols and punctuation
# (remove_symbols in normalizers/basic.py), so word error rates count fragments, and errors of vowels and tones count nothing.
# So evaluation/counts.py has a rule of its own.
# Expected: marks are kept unless they are to be removed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check regex==2026.11.15
"$work/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps openai-whisper==20250625
"$work/venv/bin/python" - <<'END'
import importlib.util
import site
from pathlib import Path

# the module alone: the package's __init__ would want torch
source = Path(site.getsitepackages()[0], "whisper", "normalizers", "basic.py")
spec = importlib.util.spec_from_file_location("basic", source)
basic = importlib.util.module_from_spec(spec)
spec.loader.exec_module(basic)
normal = basic.BasicTextNormalizer(remove_diacritics=False)
found = [normal(text).strip() for text in ("हिन्दी में बोलिए", "ไม่ใช่", "İstanbul")]
print(found)
assert found == ["ह न द म ब ल ए", "ไม ใช", "i stanbul"], found
END
echo "as seen: every mark is a space"
