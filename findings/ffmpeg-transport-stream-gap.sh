#!/usr/bin/env bash
# ffmpeg closes a gap of more than ten seconds in an MPEG transport stream, even when it is asked to fill gaps.
#
# Seen with the ffmpeg 9.0.2 of imageio-ffmpeg 0.8.1. 20 s of a tone, whose time stamps jump by 8 or 15 s in the middle,
# are decoded with `aresample=async=1`, which puts silence into gaps:
#   Matroska, 8 s: 28 s come out; 15 s: 35 s
#   MPEG-TS,  8 s: 28 s come out; 15 s: 20 s - the gap is gone, and all that follows is 15 s early
#   MPEG-TS, 15 s, with -dts_delta_threshold 3600: 35 s
# A long gap counts as a new clock there (also in Ogg and others with discontinuous time stamps), and the limit is 10 s.
# Expected: the same length from both containers.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check imageio-ffmpeg==0.8.1
cd "$work"
ffmpeg=$("$work/venv/bin/python" -c 'import imageio_ffmpeg; print(imageio_ffmpeg.get_ffmpeg_exe())')

make() { # FILE HOLE
  local later="if(gte(PTS*TB\,10)\,PTS+$2/TB\,PTS)"
  "$ffmpeg" -v error -y -i tone.mkv -c copy -bsf:a "setts=pts=$later:dts=$later" "$1"
}

seconds() { # of what is decoded, whole ones
  "$ffmpeg" -v error "$@" -af aresample=async=1 -f s16le -ar 16000 -ac 1 pipe:1 | wc -c | awk '{ print int($1 / 32000) }'
}

"$ffmpeg" -v error -f lavfi -i sine=440:d=20:r=48000 -c:a aac tone.mkv
for hole in 8 15; do
  make "$hole.mkv" "$hole"
  make "$hole.ts" "$hole"
done
seen="$(seconds -i 8.mkv) $(seconds -i 15.mkv) $(seconds -i 8.ts) $(seconds -i 15.ts) $(seconds -dts_delta_threshold 3600 -i 15.ts)"
echo "seconds: $seen"
[ "$seen" = '28 35 28 20 35' ]
