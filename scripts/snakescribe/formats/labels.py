"""Text with times: labels for Audacity, and transcripts for programs of qualitative analysis."""

from __future__ import annotations

from snakescribe.formats.spoken import Spoken, clock, plain, speaker_of


def audacity(said: Spoken) -> str:
    """A label per segment, start and end in seconds before it; ``[agent] `` in front of its text if that is known."""
    lines = []
    for segment in said.segments:
        if text := plain(segment["text"]):
            speaker = speaker_of(segment)
            shown = f"[{speaker}] {text}" if speaker else text
            lines.append(f"{segment['start']:.6f}\t{max(segment['end'], segment['start']):.6f}\t{shown}\n")
    return "".join(lines)


def timed(said: Spoken) -> str:
    """A paragraph per turn: ``[00:01:02]``, a tab, ``agent: `` if that is known, text.

    For MAXQDA, ATLAS.ti and NVivo, the last of which wants the same number of tabs in each line, times in order, and
    allows the brackets (https://help-nv8-en.qsrinternational.com/Importing_Transcripts.htm).
    """
    return "".join(
        f"[{clock(start)}]\t{speaker}: {text}\n" if speaker else f"[{clock(start)}]\t{text}\n"
        for start, speaker, text in said.turns()
    )
