"""How a recording of any kind becomes 16 kHz mono: ffmpeg, kept on a short leash.

Here are also the sizes of what Whisper reads and writes, derived from one another as in openai/whisper ``audio.py``
(a test compares them with its own).
"""

SAMPLE_RATE = 16_000
"""Samples per second (Hz) of everything after normalising: what Whisper and the voice activity were trained on."""
SAMPLE_BYTES = 2
"""Bytes per sample (s16le)."""
MILLISECOND = SAMPLE_RATE // 1000
"""Samples."""

FFT_SAMPLES = 400
"""Samples (25 ms) that one mel frame is computed from."""
FRAME_SAMPLES = 160
"""Samples from one mel frame to the next (10 ms)."""
FRAMES_PER_SECOND = SAMPLE_RATE // FRAME_SAMPLES
WINDOW_SECONDS = 30
"""Length of the windows that Whisper was trained on."""
WINDOW_FRAMES = WINDOW_SECONDS * FRAMES_PER_SECOND
"""Mel frames of such a window (3000)."""

FRAMES_PER_POSITION = 2
"""Mel frames per encoder position: the second convolution has stride 2."""
WINDOW_POSITIONS = WINDOW_FRAMES // FRAMES_PER_POSITION
"""Encoder positions of a window (1500)."""
POSITION_SECONDS = FRAMES_PER_POSITION * FRAME_SAMPLES / SAMPLE_RATE
"""Seconds that one encoder position stands for (0.02); times of words are multiples of it."""

CONTEXT_TOKENS = 448
"""Tokens that the decoder can hold, prompt included."""
