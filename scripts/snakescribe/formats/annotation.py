"""For annotation tools: Praat's TextGrid, and ELAN's .eaf, with a tier for each speaker and one for the words."""

from __future__ import annotations

import mimetypes
from datetime import datetime

from snakescribe.formats.spoken import Spoken


def textgrid(said: Spoken) -> str:
    """Praat's long text form; silence is an interval without text, as Praat wants it."""
    from praatio.utilities.textgrid_io import getTextgridAsStr

    whole = {"xmin": 0, "xmax": said.length / 1000}
    tiers = [
        {
            "class": "IntervalTier",
            "name": tier.name,
            "entries": [(span.start / 1000, span.end / 1000, span.text) for span in tier.spans],
            **whole,
        }
        for tier in said.tiers
    ]
    return str(getTextgridAsStr({**whole, "tiers": tiers}, "long_textgrid", includeBlankSpaces=True))


def eaf(said: Spoken) -> str:
    """ELAN's XML (EAF 2.8). The recording is named without its folder: ELAN asks where it lies.

    pympi 1.71 would number time slots in the order in which annotations are made, where ELAN wants them by time, and
    dates the file by the clock, with minutes of the time zone in seconds; so both are set here.
    """
    from pympi.Elan import Eaf, to_string

    made = Eaf(author="snakescribe")
    made.adocument["DATE"] = _date(said.row["finished_at"])
    made.remove_tier("default")
    kind = mimetypes.guess_type(said.name)[0] or "unknown"
    made.add_linked_file(f"file:///{said.name}", f"./{said.name}", kind)
    for tier in said.tiers:
        made.add_tier(tier.name, part=tier.speaker or None)
    edges = sorted(
        (time, is_start, number, tier.name)
        for tier in said.tiers
        for number, span in enumerate(tier.spans)
        for is_start, time in ((False, span.end), (True, span.start))
    )
    slots = {(name, number, is_start): made.generate_ts_id(time) for time, is_start, number, name in edges}
    for tier in said.tiers:
        made.tiers[tier.name][0].update(
            (made.generate_annotation_id(), (slots[tier.name, i, True], slots[tier.name, i, False], span.text, None))
            for i, span in enumerate(tier.spans)
        )
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{to_string(made)}\n'


def _date(finished: datetime | None) -> str:
    return (finished or datetime(1970, 1, 1)).strftime("%Y-%m-%dT%H:%M:%S+00:00")
