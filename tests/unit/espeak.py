"""Speech in other languages than the samples', from espeak-ng: a machine's voice, but one that Whisper understands."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from functools import cache
from pathlib import Path

import espeakng_loader
import numpy as np
import numpy.typing as npt

SYNCHRONOUS, UTF8, RATE = 2, 1, 1
WORDS_PER_MINUTE = 140
"""Slower than usual: Whisper was trained on people."""
Heard = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


def _library() -> tuple[ctypes.CDLL, int]:
    library = ctypes.CDLL(espeakng_loader.get_library_path())
    data = str(Path(espeakng_loader.get_data_path()).parent).encode()
    rate = library.espeak_Initialize(SYNCHRONOUS, 0, data, 0)
    assert rate > 0
    library.espeak_SetParameter(RATE, WORDS_PER_MINUTE, 0)
    return library, rate


@cache
def say(text: str, voice: str) -> npt.NDArray[np.int16]:
    """``text`` at 16 kHz, spoken by espeak-ng's ``voice`` (fr, de, ko, …).

    In a process of its own: how it says something depends on what it said before.
    """
    spoken = subprocess.run([sys.executable, __file__, voice, text], stdout=subprocess.PIPE, check=True).stdout
    return np.frombuffer(spoken, np.int16)


def _say(text: str, voice: str) -> npt.NDArray[np.int16]:
    library, rate = _library()
    parts: list[npt.NDArray[np.int16]] = []

    @Heard
    def heard(samples: ctypes._Pointer[ctypes.c_short], count: int, _events: int) -> int:
        if samples and count:
            parts.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0

    data = text.encode() + b"\0"
    library.espeak_SetSynthCallback(heard)
    assert library.espeak_SetVoiceByName(voice.encode()) == 0
    assert library.espeak_Synth(data, len(data), 0, 0, 0, UTF8, None, None) == 0
    spoken = np.concatenate(parts)
    at = np.arange(len(spoken) * 16_000 // rate) * (rate / 16_000)
    return np.interp(at, np.arange(len(spoken)), spoken).astype(np.int16)


if __name__ == "__main__":
    sys.stdout.buffer.write(_say(sys.argv[2], sys.argv[1]).tobytes())
