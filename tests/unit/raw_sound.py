"""What ffmpeg does not write: sound without a header, and headers of other programs."""

from __future__ import annotations

import struct
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

_STEPS = np.floor(16 * 1.1 ** np.arange(49)).astype(int)
_INDEX = (-1, -1, -1, -1, 2, 4, 6, 8)


def dialogic_adpcm(samples: npt.NDArray[np.int16]) -> bytes:
    """Dialogic's ADPCM (OKI), 4 bits per sample, the first one in the high bits."""
    codes, last, index = [], 0, 0
    for sample in samples:
        step = int(_STEPS[index])
        difference = (int(sample) >> 4) - last
        code = 8 if difference < 0 else 0
        left = abs(difference)
        for bit, part in ((4, step), (2, step >> 1), (1, step >> 2)):
            if left >= part:
                code |= bit
                left -= part
        change = (2 * (code & 7) + 1) * step >> 3
        last = max(-2048, min(2047, last + (-change if code & 8 else change)))
        index = max(0, min(48, index + _INDEX[code & 7]))
        codes.append(code)
    return bytes(high << 4 | low for high, low in zip(codes[::2], codes[1::2], strict=False))


def sphere(data: bytes, coding: str, rate: int, channels: int = 1, width: int = 2, order: str = "01") -> bytes:
    """A SPHERE file of NIST."""
    fields = {"channel_count": channels, "sample_count": len(data) // (channels * width), "sample_rate": rate}
    lines = [f"{name} -i {value}" for name, value in (fields | {"sample_n_bytes": width}).items()]
    lines += [f"sample_byte_format -s{len(order)} {order}", f"sample_coding -s{len(coding)} {coding}", "end_head"]
    return ("NIST_1A\n   1024\n" + "\n".join(lines) + "\n").encode().ljust(1024) + data


def wav(data: bytes, size: int, rate: int = 16_000) -> bytes:
    """A WAV file of 16 bits, mono, whose header claims a size."""
    form = struct.pack("<HHIIHH", 1, 1, rate, rate * 2, 2, 16)
    riff = min(size + 36, 0xFFFFFFFF)
    return (
        struct.pack("<4sI4s4sI", b"RIFF", riff, b"WAVE", b"fmt ", 16) + form + struct.pack("<4sI", b"data", size) + data
    )


def wav_data(content: bytes) -> bytes:
    """What stands in the data chunk of a WAV file."""
    at = content.index(b"data")
    return content[at + 8 : at + 8 + int.from_bytes(content[at + 4 : at + 8], "little")]


def asterisk_g723(frames: Iterable[bytes]) -> bytes:
    """G.723.1 as Asterisk writes it: a time and the size in front of each frame."""
    return b"".join(struct.pack(">IH", 0, len(frame)) + frame for frame in frames)
