"""How a recording of any kind becomes 16 kHz mono: ffmpeg, kept on a short leash."""

SAMPLE_RATE = 16_000
"""Samples per second of everything after normalising: what Whisper and the voice activity were trained on."""
