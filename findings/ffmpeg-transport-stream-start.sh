#!/usr/bin/env bash
# Whether sound in an MPEG transport stream begins late depends on what else ffmpeg decodes from it.
#
# Seen with the ffmpeg 9.0.2 of imageio-ffmpeg 0.8.1. A video of 8 s whose tone of 4 s begins after 2.5 s; the tone is
# decoded with `aresample=async=1:first_pts=0`, which puts silence before a late start:
#   MPEG-TS, the sound alone (-map 0:a):             4 s come out, the late start is lost
#   MPEG-TS, the picture decoded too (a second output): 6 s
#   Matroska, either way:                            6 s
# In formats with discontinuous time stamps ffmpeg counts from the first stream that is used ("Correcting start time" with
# -v verbose), in all others from the first of the file. Expected: the same start, whatever else is decoded.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check imageio-ffmpeg==0.8.1
cd "$work"
ffmpeg=$("$work/venv/bin/python" -c 'import imageio_ffmpeg; print(imageio_ffmpeg.get_ffmpeg_exe())')

seconds() { # FILE [another output]
  "$ffmpeg" -v error -i "$1" -map 0:a -af aresample=async=1:first_pts=0 -f s16le -ar 16000 -ac 1 pipe:1 "${@:2}" \
    | wc -c | awk '{ print int($1 / 32000) }'
}

"$ffmpeg" -v error -f lavfi -t 8 -i color=s=32x32:r=5 -itsoffset 2.5 -f lavfi -t 4 -i sine=440:r=48000 \
  -map 0:v -map 1:a -c:v mpeg2video -c:a mp2 late.ts
"$ffmpeg" -v error -i late.ts -c copy late.mkv
seen="$(seconds late.ts) $(seconds late.ts -map 0:v -f null -) $(seconds late.mkv) $(seconds late.mkv -map 0:v -f null -)"
echo "seconds: $seen"
[ "$seen" = '4 6 6 6' ]
