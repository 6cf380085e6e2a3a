"""Hand a finished run over to another program, in a folder of its own.

`label-studio`: `tasks.json`, every recording with its segments as predictions, to be imported into a project whose
labelling interface is `labels.xml`. Label Studio reads the recordings from its local storage: start it with
LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true and LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT=<the recordings folder>.

`audiofolder`: a data set that Hugging Face's `load_dataset("audiofolder", data_dir=DIR)` reads: recordings with text in
`audio/` (hard links where the file system has them, else copies) and `metadata.csv` with `file_name`, `transcription`,
`language`, `duration`, `recording_id` and `path`.

Recordings that failed or have left the recordings folder are left out.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from snakescribe.commands.common import finished_run, register_results
from snakescribe.config import read_resolved
from snakescribe.units import counted


def register(parser: argparse.ArgumentParser) -> None:
    """Which run, for what program, and where to."""
    register_results(parser)
    parser.add_argument("--as", dest="kind", choices=["label-studio", "audiofolder"], required=True, help="for what")
    parser.add_argument("target", type=Path, metavar="DIR", help="an empty folder, or one that is not there yet")


def run(args: argparse.Namespace) -> int:
    """Write it and say how many recordings are in it."""
    from snakescribe.formats.handover import handover

    with finished_run(args) as results:
        done = handover(results, read_resolved(results.config), args.kind, args.target)
    left_out = [f"{counted(done.without_text, 'recording')} without text"] * bool(done.without_text)
    left_out += [f"{counted(done.gone, 'recording')} whose file is gone or another one now"] * bool(done.gone)
    said = [counted(done.recordings, "recording"), *(["left out: " + ", ".join(left_out)] if left_out else [])]
    print(f"{args.target}: {'; '.join(said)}")
    return 0
