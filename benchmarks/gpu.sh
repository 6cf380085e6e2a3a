#!/usr/bin/env bash
# The GPU path, proved on a machine with a card, torch and no network (README.md here, "A machine with a card"):
#
#   benchmarks/gpu.sh pack DIR          here: pieces of at most 60 MB in DIR, with their sums and this script
#   DIR/gpu.sh unpack DIR INTO          there: the checkout in INTO, its packages, the model, recordings
#   INTO/benchmarks/gpu.sh run OUT      there: eight minutes; OUT/table.md; exit code 0 if everything is proved
#   benchmarks/gpu.sh run OUT --device cpu --data FOLDER --models .models       the same, small, on any machine
#
# PYTHON  for pack: of the minor version that is there; for unpack: the one that has torch (default: python3)
# HAS     for pack: a file of packages that are there already (`pip freeze`), which are left out
# DATA    for pack: recordings, best with a manifest.tsv (default: .models/samples)
# MODELS  for pack: the model store, of which `base` goes along (default: .models)
# CUBLAS  for pack: 1 takes cuBLAS 12 along (0.6 GB), for CTranslate2 where torch was built for another CUDA
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python=${PYTHON:-python3}

# Requirements with their hashes, but for torch and what only it needs, OpenVINO (nothing for a card), and what is there.
wanted() {
  awk -v has="${HAS:-/dev/null}" '
    function plain(name) { sub(/[=<> @].*/, "", name); gsub(/_/, "-", name); return tolower(name) }
    BEGIN { while ((getline line < has) > 0) there[plain(line)] = 1 }
    /^[A-Za-z0-9]/ { keep = !(plain($1) in there) && $1 !~ /^(torch|openvino|pywhispercpp)=/ }
    !/^#/ && keep' "$@"
}

pack() {
  mkdir -p "$1"
  work=$(mktemp -d "$1/work.XXXX")
  trap 'rm -rf "$work"' EXIT
  local carried=$work/tree/.bench/gpu
  mkdir -p "$carried/weights" "$carried/wheels"
  git -C "$root" archive HEAD | tar -x -C "$work/tree"
  git -C "$root" describe --always > "$carried/commit"
  cp -rL "${DATA:-$root/.models/samples}" "$carried/recordings"
  cp -L "${MODELS:-$root/.models}/silero_vad.onnx" "$carried/weights"
  cp -rL "${MODELS:-$root/.models}/base/ctranslate2" "$carried/weights/base"
  wanted "$root"/requirements/{runtime,no-deps,bench}.txt > "$work/locked.txt"
  printf '%s\n' transformers safetensors > "$work/more.txt"
  [[ ${CUBLAS:-} != 1 ]] || echo nvidia-cublas-cu12 >> "$work/more.txt"
  wanted "$work/more.txt" > "$work/unlocked.txt"
  for list in locked unlocked; do
    [[ ! -s $work/$list.txt ]] || "$python" -m pip wheel -q --no-deps -r "$work/$list.txt" -w "$carried/wheels"
  done
  rm -f "$1"/piece.*
  tar -c -C "$work/tree" . | split -b 60000000 -a 3 -d - "$1/piece."
  cp "$root/benchmarks/gpu.sh" "$1"
  (cd "$1" && sha256sum gpu.sh piece.* > SHA256SUMS && ls -l piece.*)
}

unpack() {
  local named
  named=$(sed -n 's/^[0-9a-f]\{64\}  piece/piece/p' "$1/SHA256SUMS")
  if [[ $named != "$(cd "$1" && ls piece.*)" || $named != "$(seq -f piece.%03g 0 $(($(wc -l <<< "$named") - 1)))" ]]; then
    echo "$1: the pieces there are not those that SHA256SUMS names, or one is missing; carry all of it again" >&2
    return 1
  fi
  (cd "$1" && sha256sum --check --quiet --strict SHA256SUMS)
  if ! "$python" -c 'import torch, pip' 2> /dev/null; then
    echo "$python: no Python that has torch and pip; name the one that has with PYTHON=" >&2
    return 1
  fi
  mkdir -p "$2"
  cat "$1"/piece.* | tar -x -C "$2"
  local carried here
  carried=$(cd "$2/.bench/gpu" && pwd)
  here=$carried/python
  # Not --system-site-packages: where PYTHON is itself of an environment, that would pass by the one that has torch.
  "$python" -m venv --without-pip "$here"
  { "$python" -c 'import sys; print(*(path for path in sys.path if path.endswith("-packages")), sep="\n")'
    (cd "$2/scripts" && pwd); } > "$("$here/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/there.pth"
  "$python" -m pip --python "$here/bin/python" install -q --no-index --no-deps --no-compile "$carried"/wheels/*.whl
  printf '#!/bin/sh\nexec "$(dirname "$0")/python" -m snakescribe "$@"\n' > "$here/bin/snakescribe"  # the workflow calls it
  chmod +x "$here/bin/snakescribe"
  rm -r "$carried/wheels"
  mkdir -p "$carried/models"
  cp "$carried/weights/silero_vad.onnx" "$carried/models"
  "$here/bin/python" -m snakescribe models import "$carried/weights/base" --models "$carried/models"
  echo "next: $2/benchmarks/gpu.sh run OUT"
}

run() {
  local out=$1 carried=$root/.bench/gpu
  shift
  [[ -x $carried/python/bin/python ]] || carried=$root
  local here=$carried/python/bin/python
  [[ -x $here ]] || here=${PYTHON:-$root/.venv/bin/python}
  local cublas
  cublas=$("$here" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/nvidia/cublas/lib
  [[ ! -d $cublas ]] || export LD_LIBRARY_PATH=$cublas${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
  export PATH=$(dirname "$here"):$PATH PYTHONPATH=$root:$root/scripts:$root/.venv/bench${PYTHONPATH:+:$PYTHONPATH}
  exec "$here" -m benchmarks.gpu --out "$out" --data "$carried/recordings" --models "$carried/models" "$@"
}

usage() { sed -n '2,/^set/{/^#/p}' "$0" >&2; }

case ${1:-}/$# in
  pack/2) pack "$2" ;;
  unpack/3) unpack "$2" "$3" ;;
  run/*) [[ $# -gt 1 && $2 != -* ]] || { usage; exit 2; }
    run "${@:2}" ;;
  *) usage; exit 2 ;;
esac
