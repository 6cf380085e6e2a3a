#!/usr/bin/env bash
# budoux 0.10.1 ends a Japanese phrase inside a number.
#
# Seen on Python 3.11 with the default Japanese model: "人は2026年に増えた。" -> 人は | 202 | 6年に | 増えた。
# So formats/wrap.py takes no end of a phrase after a digit.
# Expected: 2026年に in one piece.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check budoux==0.10.1
"$work/venv/bin/python" - <<'END'
import budoux

pieces = budoux.load_default_japanese_parser().parse("Snakemakeを使う人は2026年に増えた。")
print(pieces)
assert pieces[-3:] == ["202", "6年に", "増えた。"]
END
echo "as seen: a number is torn apart"
