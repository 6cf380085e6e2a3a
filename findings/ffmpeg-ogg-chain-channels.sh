#!/usr/bin/env bash
# ffmpeg ends with exit code 0 where a chained Ogg file goes on with another number of channels, and the rest is missing.
#
# Seen with the ffmpeg 9.0.2 of imageio-ffmpeg 0.8.1. Two Ogg files one after the other, as RFC 3533 allows and as radio recorders write
# them (a moderator in mono, then music in stereo), 4 and 5 s, decoded to mono; seconds that come out:
#   mono, then mono:    Opus 9, Vorbis 9, FLAC 9
#   mono, then stereo:  Opus 4, Vorbis 4, FLAC 9, each with exit code 0; "Channel change is not supported" is an error in the log
# So audio/joined.py reads such a file link by link.
# Expected: 9 s, or an exit code that says that something is missing.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check imageio-ffmpeg==0.8.1
cd "$work"
ffmpeg=$("$work/venv/bin/python" -c 'import imageio_ffmpeg; print(imageio_ffmpeg.get_ffmpeg_exe())')

link() { # FILE SECONDS CHANNELS CODEC
  "$ffmpeg" -v error -f lavfi -i "sine=440:d=$2:r=48000" -ac "$3" -c:a "$4" -f ogg "$1"
}

seconds() { # of a file, decoded; an exit code other than 0 ends this script
  "$ffmpeg" -v fatal -i "$1" -f s16le -ar 16000 -ac 1 pipe:1 > samples
  wc -c < samples | awk '{ print int($1 / 32000 + 0.5) }'
}

seen=
for codec in libopus libvorbis flac; do
  link first 4 1 "$codec"
  link mono 5 1 "$codec"
  link stereo 5 2 "$codec"
  cat first mono > same.ogg
  cat first stereo > changed.ogg
  same=$(seconds same.ogg)
  changed=$(seconds changed.ogg)
  seen+="$codec $same $changed "
  rm first mono stereo
done
echo "seconds with and without the same channels: $seen"
[ "$seen" = 'libopus 9 4 libvorbis 9 4 flac 9 9 ' ]
