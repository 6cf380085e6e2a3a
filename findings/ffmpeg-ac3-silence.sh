#!/usr/bin/env bash
# Digital silence is not silence any more once it was AC-3.
#
# Seen with the ffmpeg 9.0.2 of imageio-ffmpeg 0.8.1. 3 s of zeros are encoded and decoded to 32-bit float:
#   AAC:  every sample is 0
#   AC-3: no sample is 0; the peak is 7.3e-06 (-103 dB)
# The decoder fills bands without bits with noise. So "all samples are 0" does not tell an unused track of a film or a
# camera, and amplifying what is very quiet makes a loud hiss of it. Expected: 0, as from AAC.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check imageio-ffmpeg==0.8.1
cd "$work"
ffmpeg=$("$work/venv/bin/python" -c 'import imageio_ffmpeg; print(imageio_ffmpeg.get_ffmpeg_exe())')

for codec in aac ac3; do
  "$ffmpeg" -v error -f lavfi -t 3 -i anullsrc=r=48000:cl=mono -c:a "$codec" "silence.$codec"
  "$ffmpeg" -v error -i "silence.$codec" -f f32le "$codec.f32"
done
python3 - <<'END'
from array import array
from pathlib import Path

aac, ac3 = (array("f", Path(f"{codec}.f32").read_bytes()) for codec in ("aac", "ac3"))
print(f"peaks: AAC {max(map(abs, aac))}, AC-3 {max(map(abs, ac3)):.1e}; zeros in AC-3: {ac3.count(0)}")
assert max(map(abs, aac)) == 0 and 1e-6 < max(map(abs, ac3)) < 1e-4 and ac3.count(0) == 0
END
