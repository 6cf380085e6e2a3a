"""Folders of recordings in, trustworthy transcripts and tables out.

The rooms follow the way of the data: ``config`` → ``inventory`` → ``audio`` → ``speech`` → ``engine`` →
``transcript`` → ``tables``/``formats``. Nothing here imports torch until an engine is asked for.
"""

import os
import sys

__version__ = "0.1.0"

# OpenVINO would tell its maker of every import, wherever that package happens to be installed; ONNX Runtime since 1.29
# of its use (findings/onnxruntime-device-id.sh; seen with strace: a connection to the resolver).
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
