"""One job, and a quick one: rows of a batch with who said it, from what was heard of the voices."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

from snakescribe.config import Config
from snakescribe.config.options import Speakers
from snakescribe.errors import ResultsError
from snakescribe.inventory.ledger import Ledger
from snakescribe.layout import Results
from snakescribe.models.catalog import catalog
from snakescribe.speakers.called import Names, named, packed
from snakescribe.speakers.crosstalk import without_crosstalk
from snakescribe.speakers.heard import Heard, read_heard, unpacked
from snakescribe.speakers.names import known_names, label_of
from snakescribe.speakers.settings import asked_speakers
from snakescribe.speakers.turns import Turn, likenesses, overlap_seconds, turns
from snakescribe.speakers.words import Turns, told
from snakescribe.tables.batch import read_batch, write_batch

PAUSE = 1.0
"""Seconds: after a longer pause a speaker has another turn."""
GHOST_SHARE, GHOST_TURN = 0.02, 2.0
"""Share of the speech, and seconds of the longest turn, below which a speaker may be none at all."""


def tell_batch(config: Config, results: Results, batch: str, log: Callable[[str], None]) -> None:
    """Write ``speakers/BATCH.parquet``.

    Raises:
        ResultsError: the batch file or the voices are missing or damaged.
        InputError: the names cannot be read.
    """
    # Labels of a whole folder, and the names that go with them, are given when all its voices are known.
    names = Names([] if config.speakers_across else known_names(config, results))
    heard = {entry.recording_id: entry for entry in read_heard(results.voices(batch))}
    with Ledger.open(results.ledger, readonly=True) as ledger:
        current = ledger.current(batch)

    def row_of(row: Mapping[str, Any]) -> dict[str, Any]:
        key = row["recording_id"]
        own = current[key].extras.get("speakers", "").strip() if key in current else ""
        try:
            asked = asked_speakers(own) if own else config.speakers
        except ValueError:  # a cell of a line that the sheet has no more
            asked = config.speakers
        if asked == "off" or row["status"] == "failed" or not row["segments"]:
            return dict(row)
        entry = heard.get(key)
        try:
            found = unpacked(entry.heard) if entry and entry.heard is not None else None
        except ValueError as error:
            raise ResultsError(f"{results.voices(batch)}: {error}; delete it and run again") from None
        if found is None:
            why = f"{entry.error_class}: {entry.error_message}" if entry else "not heard"
            log(f"{key} {row['path']!r}: {why}")
            return {**row, "flags": sorted({*row["flags"], "speakers_unknown"})}
        done = with_speakers(row, found, asked, config)
        called = names.of(done)
        for one in names.about(row):
            if one.name and one.name not in called.values():
                log(f"{key} {row['path']!r}: {one.name!r} is said to be {one.label}, whom it has not")
        return named(done, called)

    write_batch(results.speakers(batch), map(row_of, read_batch(results.batch(batch))))


def with_speakers(row: Mapping[str, Any], heard: Heard, asked: Speakers, config: Config) -> dict[str, Any]:
    """A row with turns, speakers, and who says each word."""
    count = asked if isinstance(asked, int) else None
    heard = without_crosstalk(heard)
    by_channel = {
        channel: turns(voices, count if len(heard) == 1 else None, config.speakers_min, config.speakers_max)
        for channel, voices in heard.items()
    }
    order = sorted(
        {
            (channel, turn.speaker): turn.start
            for channel, found in reversed(by_channel.items())
            for turn in found[::-1]
        }.items(),
        key=lambda one: one[1],
    )
    labels = {who: label_of(number) for number, (who, _) in enumerate(order)}
    vectors = {
        (channel, number): packed(one)
        for channel, found in by_channel.items()
        for number, one in enumerate(likenesses(heard[channel], found))
    }
    speakers = [_speaker(by_channel[channel], channel, number, labels[channel, number]) for channel, number in labels]
    segments = [
        piece
        for segment in row["segments"]
        for piece in told(
            segment,
            Turns(by_channel.get(segment["channel"], [])),
            {number: label for (channel, number), label in labels.items() if channel == segment["channel"]},
        )
    ]
    segments.sort(key=lambda segment: (segment["start"], segment["end"]))
    flags = {*row["flags"]}
    if any(voices.narrow for voices in heard.values()):
        flags.add("narrowband")
    if any(segment["speaker"] is None for segment in segments):  # too short or too soft for the networks
        flags.add("speakers_unknown")
    speech = sum(one["speech_seconds"] for one in speakers)
    if any(_is_ghost(one, by_channel[one["channel"]], labels, speech) for one in speakers):
        flags.add("ghost_speaker")
    done = {
        **row,
        "segments": segments,
        "flags": sorted(flags),
        "speakers": speakers,
        "voice_vectors": [vectors[who] for who in labels],
        "turns": sorted(
            (
                {"start": turn.start, "end": turn.end, "channel": channel, "speaker": labels[channel, turn.speaker]}
                for channel, found in by_channel.items()
                for turn in found
            ),
            key=lambda turn: (turn["start"], turn["end"]),
        ),
        "speakers_found": len(speakers),
        "speakers_given": str(asked),
        "overlap_seconds": round(sum(overlap_seconds(found) for found in by_channel.values()), 3),
        "speaker_model_sha256": catalog().speakers.members[0].sha256,
    }
    return named(done, {})


def _speaker(found: list[Turn], channel: str | None, number: int, label: str) -> dict[str, Any]:
    own = [turn for turn in found if turn.speaker == number]
    return {
        "speaker": label,
        "name": None,
        "channel": channel,
        "speech_seconds": round(sum(turn.end - turn.start for turn in own), 3),
        "turns": 1 + sum(later.start - turn.end > PAUSE for turn, later in pairwise(own)),
        "first_start": own[0].start,
    }


def _is_ghost(
    speaker: Mapping[str, Any], found: list[Turn], labels: Mapping[tuple[str | None, int], str], speech: float
) -> bool:
    own = [turn.end - turn.start for turn in found if labels[speaker["channel"], turn.speaker] == speaker["speaker"]]
    return bool(speaker["speech_seconds"] < GHOST_SHARE * speech and max(own) < GHOST_TURN)
