#!/usr/bin/env bash
# pysubs2 1.8.1 writes everything after ten hours at 9:59:59.99 into ASS, and takes no escape for braces.
#
# Seen on Python 3.11: an event from 10:00:01 to 10:00:02 comes back as 9:59:59.99 to 9:59:59.99, with a RuntimeWarning;
# of "a \{b\} c" its own `plaintext` is "a \ c". So formats/notation.py writes the hours itself (ffmpeg and pysubs2 read
# them), and takes full-width braces.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check pysubs2==1.8.1
"$work/venv/bin/python" -W ignore - <<'END'
import pysubs2

subtitles = pysubs2.SSAFile()
subtitles.append(pysubs2.SSAEvent(start=36_001_000, end=36_002_000, text="late"))
written = subtitles.to_string("ass")
assert "9:59:59.99,9:59:59.99" in written, written
late = written.replace("9:59:59.99,9:59:59.99", "10:00:01.00,10:00:02.00")
assert pysubs2.SSAFile.from_string(late)[0].start == 36_001_000, "but it reads more hours"
assert pysubs2.SSAEvent(text=r"a \{b\} c").plaintext == "a \\ c"
END
echo "as seen: times end at 9:59:59.99, escaped braces are dropped"
