"""A whole run for other programs: tasks for Label Studio, an ``audiofolder`` for Hugging Face's ``datasets``.

Rows are read and written one after the other; nothing is held for all recordings.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

from snakescribe.config import Config
from snakescribe.corrections.apply import apply
from snakescribe.corrections.store import by_content
from snakescribe.errors import ResultsError
from snakescribe.files import atomic_file, write_atomically
from snakescribe.formats.spoken import named, plain, speaker_of
from snakescribe.inventory.ledger import Ledger
from snakescribe.inventory.plan import Plan
from snakescribe.inventory.sheet import is_sheet
from snakescribe.inventory.walk import recordings_root
from snakescribe.layout import Results
from snakescribe.tables.batch import read_batch

Kind = Literal["label-studio", "audiofolder"]

_COLUMNS = (
    *("recording_id", "path", "path_bytes", "status", "text", "duration", "size", "language", "model", "segments"),
    *("sha256", "flags", "gaps", "turns", "speakers"),  # for the corrections, and names
)
_EXTENSION = re.compile(r"\.[A-Za-z0-9]{1,8}\Z")
_LABELLING = """\
<View>
  <Labels name="speaker" toName="audio">
{labels}  </Labels>
  <AudioPlus name="audio" value="$audio"/>
  <TextArea name="transcription" toName="audio" perRegion="true" editable="true" rows="2" displayMode="region-list"/>
</View>
"""
"""Label Studio's labelling interface (https://labelstud.io/templates/transcribe_audio)."""


@dataclass
class Handed:
    """What was handed over, in recordings."""

    recordings: int = 0
    without_text: int = 0
    gone: int = 0
    """Not there any more, or another file than the one that was heard."""


def handover(results: Results, config: Config, kind: Kind, target: Path) -> Handed:
    """Write a finished run's recordings into an empty or new folder.

    Raises:
        ResultsError: the folder is not empty, cannot be made or written, or lies among the recordings or in a folder
            of the results; a batch file is missing or damaged.
    """
    root = Path(recordings_root(config))
    inside = Path(os.path.realpath(target)).is_relative_to
    if ours := next((folder for folder in results.folders if inside(folder.resolve())), None):
        raise ResultsError(f"{target} lies in {ours}, which is the run's own; name another folder")
    if not is_sheet(config.recordings) and inside(root.resolve()) and not inside(results.root.resolve()):
        raise ResultsError(f"{target} lies among the recordings, where it would be transcribed; name another folder")
    try:
        target.mkdir(parents=True, exist_ok=True)
        if any(target.iterdir()):
            raise ResultsError(f"{target} is there and not empty; name a new folder")
        tempfile.TemporaryFile(dir=target).close()
    except (FileExistsError, NotADirectoryError):
        raise ResultsError(f"{target}: a file stands where the folder should be; name a new folder") from None
    except OSError as error:
        raise ResultsError(f"{target} cannot be written ({error.strerror}); name another folder") from None
    write = {"label-studio": _label_studio, "audiofolder": _audiofolder}[kind]
    return write(_rows(results), root, target)


def _rows(results: Results) -> Iterator[dict[str, Any]]:
    """The newest row of every recording that did not fail and is still in the recordings folder."""
    corrections = by_content(results)
    with Ledger.open(results.ledger, readonly=True) as ledger:
        for planned in Plan.read(results.plan).batches:
            current = ledger.current(planned.batch)
            for row in read_batch(results.rows(planned.batch), _COLUMNS):
                known = current.get(row["recording_id"])
                if known and known.source_state == "present" and row["status"] != "failed":
                    yield apply(row, corrections.get(row["sha256"], ()))


def _label_studio(rows: Iterator[dict[str, Any]], root: Path, target: Path) -> Handed:
    """``tasks.json`` with a prediction for each recording, and ``labels.xml``, the interface that shows it."""
    done, speakers = Handed(), dict[str, None]()
    with atomic_file(target / "tasks.json") as file:
        for row in rows:
            file.write(b",\n" if done.recordings else b"[\n")
            file.write(json.dumps(_task(row), ensure_ascii=False).encode())
            speakers |= dict.fromkeys(_label(segment) for segment in named(row))
            done.recordings += 1
        file.write(b"\n]\n" if done.recordings else b"[]\n")
    labels = "".join(f"    <Label value={quoteattr(name)}/>\n" for name in speakers or {"speech": None})
    write_atomically(target / "labels.xml", _LABELLING.format(labels=labels).encode())
    return done


def _task(row: Mapping[str, Any]) -> dict[str, Any]:
    """A recording as Label Studio imports it (https://labelstud.io/guide/predictions), for its local file storage."""
    found = []
    for number, segment in enumerate(named(row)):
        place = {"start": segment["start"], "end": max(segment["end"], segment["start"] + 0.001)}
        region = {"id": f"{row['recording_id']}-{number}", "to_name": "audio", "original_length": row["duration"]}
        shown = {"type": "labels", "from_name": "speaker", "value": place | {"labels": [_label(segment)]}}
        text = {"type": "textarea", "from_name": "transcription", "value": place | {"text": [plain(segment["text"])]}}
        found += [region | shown, region | text]
    return {
        "data": {
            "audio": f"/data/local-files/?d={quote(row['path_bytes'])}",
            **{name: row[name] for name in ("recording_id", "path", "language", "duration")},
        },
        "predictions": [{"model_version": row["model"], "result": found}],
    }


def _label(segment: Mapping[str, Any]) -> str:
    return speaker_of(segment) or "speech"


def _audiofolder(rows: Iterator[dict[str, Any]], root: Path, target: Path) -> Handed:
    """Recordings with text below ``audio``, and ``metadata.csv`` (https://huggingface.co/docs/datasets/audio_dataset).

    They are called by their ids: names of folders and files like ``test`` would make ``datasets`` split them.
    """
    done = Handed()
    (target / "audio").mkdir()
    with atomic_file(target / "metadata.csv") as file:
        file.write(_csv("file_name", "transcription", "language", "duration", "recording_id", "path"))
        for row in rows:
            said = plain(row["text"] or "")
            source = os.path.join(root, os.fsdecode(row["path_bytes"]))  # noqa: PTH118 (bytes that are no text)
            extension = _EXTENSION.search(row["path"])
            name = f"audio/{row['recording_id']}{extension[0] if extension else ''}"
            if not said:
                done.without_text += 1
            elif not _taken(Path(source), row["size"], target / name):
                done.gone += 1
            else:
                about = (row[column] for column in ("language", "duration", "recording_id", "path"))
                file.write(_csv(name, said, *about))
                done.recordings += 1
    return done


def _csv(*cells: object) -> bytes:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue().encode()


def _taken(source: Path, size: int | None, target: Path) -> bool:
    """Link or else copy a recording; whether it is still the one that was heard, as far as its size says."""
    try:
        source = source.resolve(strict=True)
        if size is not None and source.stat().st_size != size:
            return False
    except OSError:
        return False
    try:
        target.hardlink_to(source)
    except OSError:  # another file system, or none with links
        shutil.copyfile(source, target)
    return True
