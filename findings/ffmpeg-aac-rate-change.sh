#!/usr/bin/env bash
# After raw AAC changes its sample rate, ffmpeg's time stamps go on counting by the first rate.
#
# Seen with the ffmpeg 9.0.2 of imageio-ffmpeg 0.8.1. An ADTS file of 2 s at 22,050 Hz and 4 s at 44,100 Hz, one after
# the other as recorders write them: the decoder follows the change, and all sound is there (6 s of samples). But the time
# stamps after it advance by 46 ms a frame of 1024 samples, although such a frame lasts 23 ms now:
#   samples, without looking at time stamps:          6 s
#   with `aresample=async=1`, which fills gaps:      10 s - every frame is followed by as much silence
# Expected: 6 s both ways.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check imageio-ffmpeg==0.8.1
cd "$work"
ffmpeg=$("$work/venv/bin/python" -c 'import imageio_ffmpeg; print(imageio_ffmpeg.get_ffmpeg_exe())')

"$ffmpeg" -v error -f lavfi -i sine=440:d=2:r=22050 -c:a aac first.aac
"$ffmpeg" -v error -f lavfi -i sine=440:d=4:r=44100 -c:a aac second.aac
cat first.aac second.aac > joined.aac
seconds() {
  "$ffmpeg" -v error -i joined.aac "$@" -f s16le -ar 16000 -ac 1 pipe:1 2> /dev/null | wc -c | awk '{ print int($1 / 32000) }'
}
seen="$(seconds) $(seconds -af aresample=async=1)"
echo "seconds: $seen"
[ "$seen" = '6 10' ]
