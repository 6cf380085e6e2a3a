"""Silero's voice activity model: a probability of speech for every 32 ms.

The weights are faster-whisper's ``silero_vad_v6.onnx`` (github.com/snakers4/silero-vad, MIT), whose graph
runs a whole sequence at once. Tensors: ``input`` (chunks, 576) is 64 samples of what came before and 512 new
ones, -1 to 1; ``h`` and ``c`` (1, 1, 128) are the memory handed from one call to the next; the output is
(chunks,).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime

from snakescribe.audio.samples import release
from snakescribe.errors import ModelError
from snakescribe.vad import CHUNK

CONTEXT = 64
"""Samples of the chunk before that the model looks at again."""
BLOCK = 625
"""Chunks given to the model at once (20 s): as fast as longer ones, and little memory."""


class SpeechDetector:
    """The model, loaded once; can be used for any number of recordings."""

    def __init__(self, onnx: Path, threads: int = 1) -> None:
        """Load the weights.

        Raises:
            ModelError: they are missing or damaged.
        """
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.enable_cpu_mem_arena = False  # it never gives memory back
        options.log_severity_level = 4
        try:
            data = onnx.read_bytes()
            self._session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        except OSError as error:
            raise ModelError(f"{onnx}: {error.strerror}; run `snakescribe models prepare`") from None
        except Exception as error:  # onnxruntime's own classes have no public base
            raise ModelError(f"{onnx} is damaged ({type(error).__name__}); fetch it again") from None

    def probabilities(
        self, samples: npt.NDArray[np.int16], block: int = BLOCK, gain: float = 1.0
    ) -> npt.NDArray[np.float32]:
        """Probability of speech per chunk, shape (ceil(n / 512),), for samples of shape (n,) at 16 kHz times ``gain``.

        Reads ``samples`` block by block, so a recording mapped from disk needs little memory; how many chunks
        are in a ``block`` does not change the result.
        """
        result = np.zeros(-(-len(samples) // CHUNK), np.float32)
        memory = np.zeros((1, 1, 128), np.float32)
        cell = memory
        for first in range(0, len(result), block):
            chunks = _with_context(samples, first, min(block, len(result) - first))
            if gain != 1.0:
                chunks = np.clip(chunks * np.float32(gain), -1.0, 1.0)
            found, memory, cell = self._session.run(None, {"input": chunks, "h": memory, "c": cell})
            result[first : first + len(chunks)] = found.reshape(-1)
            release(samples)
        return result


def _with_context(samples: npt.NDArray[np.int16], first: int, count: int) -> npt.NDArray[np.float32]:
    """Chunks ``first`` to ``first + count`` with what came before each, shape (count, 576)."""
    start = first * CHUNK - CONTEXT
    piece = samples[max(0, start) : (first + count) * CHUNK]
    line = np.zeros(CONTEXT + count * CHUNK, np.float32)
    skipped = max(0, -start)
    line[skipped : skipped + len(piece)] = piece
    line /= 32768.0
    return np.ascontiguousarray(np.lib.stride_tricks.sliding_window_view(line, CONTEXT + CHUNK)[::CHUNK])
