"""Which device is really there, and whose it is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from snakescribe import devices
from snakescribe.errors import DeviceError


def test_cpu_is_named_and_cuda_is_never_silently_replaced() -> None:
    assert devices.resolve("cpu").kind == "cpu" and devices.resolve("cpu").name
    if torch.cuda.is_available():
        assert devices.resolve("cuda").driver
        return
    with pytest.raises(DeviceError, match=r"device cuda was asked for, but .+; use device: cpu"):
        devices.resolve("cuda")
    assert devices.resolve("auto").kind == "cpu"


def test_a_gpu_is_leased_once_and_free_again_when_its_process_is_killed(tmp_path: Path) -> None:
    lease = "import snakescribe.devices as d, time; i, lock = d.lease_gpu(2); print(i, flush=True); time.sleep(3600)"
    environment = os.environ | {"TMPDIR": str(tmp_path), "CUDA_VISIBLE_DEVICES": ""}

    def start() -> tuple[subprocess.Popen[str], str]:
        process = subprocess.Popen([sys.executable, "-c", lease], stdout=subprocess.PIPE, text=True, env=environment)
        assert process.stdout
        return process, process.stdout.readline().strip()

    first, second = start(), start()
    assert (first[1], second[1]) == ("0", "1")
    first[0].kill()
    first[0].wait()
    third = start()
    assert third[1] == "0"
    for process in (second[0], third[0]):
        process.kill()
        process.wait()


def test_a_second_model_goes_where_the_first_one_is(tmp_path: Path) -> None:
    """A process that waited for its own lease would wait for ever."""
    twice = """
import torch
from snakescribe.devices import Device
from snakescribe.engine.load import _gpu_index
torch.cuda.device_count = lambda: 1
print([_gpu_index(Device("cuda", "a card")) for _ in range(2)])
"""
    environment = os.environ | {"TMPDIR": str(tmp_path), "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-c", twice]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    assert done.stdout == "[0, 0]\n", done.stderr
