"""Where speech is: Silero's probabilities, made into spans, packed into windows for the model."""

CHUNK = 512
"""Samples (32 ms at 16 kHz) that one probability of speech stands for, fixed by Silero's model."""
