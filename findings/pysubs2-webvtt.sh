#!/usr/bin/env bash
# pysubs2 1.8.1 loses and changes ordinary text on its way into WebVTT.
#
# Seen on Python 3.11. Plain cue texts, saved with `to_string("vtt")`:
#   "set {a, b} of two"   -> "set  of two"        braces and all between them are dropped, as if they were SSA tags
#   "in C:\New folder"    -> "in C:" and "ew folder" on two lines: \N counts as SSA's line break
#   "R&D <now>"           -> "R&D <now>"          neither & nor < is escaped, which WebVTT asks for
# and every cue gets its number in front as an identifier. SRT keeps braces with keep_ssa_tags=True; WebVTT has no such way.
# Expected: plain text comes back as it was put in, with &amp; and &lt; in the file.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check pysubs2==1.8.1
cd "$work"
"$work/venv/bin/python" - <<'END'
import pysubs2

texts = ["set {a, b} of two", r"in C:\New folder", "R&D <now>"]
subtitles = pysubs2.SSAFile()
for number, text in enumerate(texts):
    subtitles.append(pysubs2.SSAEvent(start=number * 1000, end=number * 1000 + 900, text=text))
written = subtitles.to_string("vtt")
print(written)
assert "set  of two" in written and "{a, b}" not in written
assert "in C:\new folder" in written
assert "R&D <now>" in written and "&amp;" not in written
assert "\n1\n00:00:00.000 --> 00:00:00.900\n" in written
END
echo 'as seen: braces are dropped, \N breaks a line, & and < stand as they are'
