#!/usr/bin/env bash
# faster-whisper 1.2.1 reads a recording without its clock: a late start and gaps are taken out, and all times after them are early.
#
# Seen on Python 3.11 with PyAV 18.1.0; files by the ffmpeg 9.0.2 of imageio-ffmpeg 0.8.1. Seconds that decode_audio gives, and the end
# by a player's clock:
#   a video of 8 s whose tone of 4 s begins after 2.5 s (MP4, Matroska):  4     6.5
#   a tone of 20 s that pauses for 5 s in the middle (Matroska):          20    25
# Subtitles of the first are 2.5 s early, those of the second 5 s after the pause. Time stamps are set to none before resampling
# (_group_frames in audio.py).
# So audio/clock.py puts what a track is late, and what it leaves out, where the clock has it.
# Expected: silence where the file has none, as ffmpeg's aresample=async=1:first_pts=0 puts.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check faster-whisper==1.2.1 av==18.1.0 ctranslate2==4.8.5 imageio-ffmpeg==0.8.1
cd "$work"
ffmpeg=$("$work/venv/bin/python" -c 'import imageio_ffmpeg; print(imageio_ffmpeg.get_ffmpeg_exe())')
picture=(-f lavfi -i testsrc2=size=160x120:rate=25:duration=8)
"$ffmpeg" -v error "${picture[@]}" -itsoffset 2.5 -f lavfi -i sine=440:d=4:r=48000 -map 0:v -map 1:a -c:v mpeg4 -c:a aac late.mp4
"$ffmpeg" -v error -i late.mp4 -c copy late.mkv
"$ffmpeg" -v error -f lavfi -i sine=440:d=20:r=48000 -c:a aac whole.mkv
later='if(gte(PTS*TB\,10)\,PTS+5/TB\,PTS)'
"$ffmpeg" -v error -i whole.mkv -c copy -bsf:a "setts=pts=$later:dts=$later" gap.mkv
"$work/venv/bin/python" - "$ffmpeg" late.mp4 late.mkv gap.mkv <<'END'
import subprocess
import sys

from faster_whisper import decode_audio

ffmpeg, *files = sys.argv[1:]
seen = []
for name in files:
    clock = [ffmpeg, "-v", "error", "-i", name, "-af", "aresample=async=1:first_pts=0", *"-f s16le -ac 1 -ar 16000 -".split()]
    by_clock = len(subprocess.run(clock, check=True, capture_output=True).stdout) / 2 / 16000
    seen.append((len(decode_audio(name)) / 16000, by_clock))
    print(f"{name}: {seen[-1][0]:.2f} s from faster-whisper, {seen[-1][1]:.2f} s by the clock")
for (read, by_clock), lost in zip(seen, (2.5, 2.5, 5), strict=True):
    assert abs(by_clock - read - lost) < 0.2, (read, by_clock)
END
echo "as seen: the clock is lost"
