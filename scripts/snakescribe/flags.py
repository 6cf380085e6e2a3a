"""Why a text is to be doubted: every flag of a segment or a recording, with what it says."""

from __future__ import annotations

from typing import Literal, get_args

SegmentFlag = Literal["repetition", "low_confidence", "unfinished", "invented", "too_fast"]
"""Found by the guards of the engine, window by window."""
DecodingFlag = Literal["truncated", "incomplete", "inverted_channel", "dead_channel", "other_track"]
"""Found while decoding a recording."""
SpeakerFlag = Literal["narrowband", "ghost_speaker", "speakers_unknown"]
"""Found while telling voices apart."""
RecordingFlag = Literal[DecodingFlag, SpeakerFlag]
Flag = Literal[SegmentFlag, RecordingFlag]
"""A recording has those of its segments too."""

MEANING: dict[Flag, str] = {
    "repetition": "it repeats itself as a model does that is caught in a loop",
    "low_confidence": "the model was not sure",
    "unfinished": "speech follows after the text",
    "invented": "a phrase that Whisper makes up where nobody speaks",
    "too_fast": "more text than anybody can say in its time",
    "truncated": "the file ends before its header says",
    "incomplete": "part of the file could not be decoded",
    "inverted_channel": "channels with the same sound and opposite signs were turned before the mix",
    "dead_channel": "a channel on which nobody speaks was left out of the mix",
    "other_track": "nobody speaks on the track that was asked for; another one was taken",
    "narrowband": "voices came through a telephone: who speaks is less sure",
    "ghost_speaker": "a speaker has less than 2 % of the speech and never speaks for 2 s: perhaps there is none",
    "speakers_unknown": "its voices could not be told apart",
}
"""The page has its own sentences, in its two languages (pages/sentences.js)."""
SEGMENT_FLAGS: tuple[SegmentFlag, ...] = get_args(SegmentFlag)
RECORDING_FLAGS: tuple[RecordingFlag, ...] = get_args(RecordingFlag)


def explained(flags: tuple[Flag, ...] = tuple(MEANING)) -> str:
    """Flags in Markdown, each with its meaning.

    >>> explained(("unfinished", "truncated"))
    '`unfinished` (speech follows after the text), `truncated` (the file ends before its header says)'
    """
    return ", ".join(f"`{flag}` ({MEANING[flag]})" for flag in flags)
