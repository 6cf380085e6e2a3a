#!/usr/bin/env bash
# torch 2.13.0: torch._int_mm, int8 x int8 -> int32, gives wrong integers on a CPU that has AVX2 and no VNNI.
#
# Seen with oneDNN held to AVX2 by its own switch (ONEDNN_MAX_CPU_ISA) on an AMD EPYC Zen 4, which by itself is exact:
# a row of 64 times 127 by a column of 64 times 127 is 1032256, and comes out as 8160. Signed inputs get 128 added, and two
# products are added in 16 bits: 2 * 255 * 127 = 64770 becomes 32767, without a warning; 32 * 32767 - 64 * 128 * 127 = 8160.
# oneDNN tells of it in its notes on int8 on AVX2; torch's function promises an int32 accumulator.
# So engine/int8_linear.py has weights of seven bits, with which no sum can saturate.
# Expected: 1032256 on every CPU.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy==2.4.6
cat > "$work/product.py" <<'END'
import torch

inputs = torch.full((32, 64), 127, dtype=torch.int8)
weights = torch.full((64, 32), 127, dtype=torch.int8)
print(torch._int_mm(inputs, weights)[0, 0].item())
END
exact=$("$work/venv/bin/python" -c 'print(64 * 127 * 127)')
found=$(ONEDNN_MAX_CPU_ISA=AVX2 "$work/venv/bin/python" "$work/product.py")
echo "64 * 127 * 127 = $exact; _int_mm with AVX2: $found; with all that this CPU has: $("$work/venv/bin/python" "$work/product.py")"
[ "$found" != "$exact" ]
echo "as seen: the sums saturate"
