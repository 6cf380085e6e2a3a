#!/usr/bin/env bash
# onnxruntime 1.32.0 for Linux: `import onnxruntime` alone gives the user a device id and keeps a file of events to be sent.
#
# Seen on Python 3.11 with the wheels of Linux. Their first import in an empty home folder makes, without a word,
#   ~/.cache/Microsoft/DeveloperTools/.onnxruntime/deviceid and onnxruntime.db
# of which the second names the distribution and the path of the Python, and grows with every process as long as nothing can be sent
# (32,768 bytes after 4 imports without network, 40,960 after 12). 1.28.0 makes neither; 1.29.0, 1.30.0 and 1.31.0 make both.
# With ORT_DISABLE_TELEMETRY=1 there is nothing.
# So snakescribe/__init__.py sets that. (faster-whisper brings onnxruntime, too.)
# Expected: nothing, as from the Linux wheels until 1.28.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"

made() { # VERSION [NAME=VALUE]: files in an empty home folder after an import
  "$work/venv/bin/pip" install --quiet --disable-pip-version-check "onnxruntime==$1"
  mkdir "$work/home"
  env -u XDG_CACHE_HOME -u CI HOME="$work/home" "${@:2}" "$work/venv/bin/python" -c 'import onnxruntime'
  find "$work/home" -type f -printf '%f\n' | sort | xargs
  rm -r "$work/home"
}

seen="1.28.0: $(made 1.28.0); 1.32.0: $(made 1.32.0); told not to: $(made 1.32.0 ORT_DISABLE_TELEMETRY=1)"
echo "$seen"
[ "$seen" = '1.28.0: ; 1.32.0: deviceid onnxruntime.db; told not to: ' ]
