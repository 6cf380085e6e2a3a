"""What the commands share: options given by people, and the resolved ones that the steps read."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from snakescribe import __version__
from snakescribe.checkout import CALLER, ROOT
from snakescribe.config import Config, load_file, read_resolved
from snakescribe.config.load import merged, read_options
from snakescribe.errors import ConfigError, InputError, InstallationError, ResultsError
from snakescribe.files import die_with_parent, hold_lock
from snakescribe.layout import Results

if TYPE_CHECKING:
    from snakescribe.inventory.ledger import Found


def register_options(parser: argparse.ArgumentParser) -> None:
    """Add what people choose: the two paths, the device, a file of options, single options."""
    parser.add_argument("--recordings", metavar="PATH", help="folder or CSV/TSV sheet (option `recordings`)")
    parser.add_argument("--results", metavar="DIR", help="where everything is written (option `results`)")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], help="option `device`")
    parser.add_argument("--configfile", type=Path, metavar="FILE", help="options over those of config/config.yaml")
    parser.add_argument(
        "--config",
        nargs="+",
        action="extend",
        default=[],
        metavar="OPTION=VALUE",
        help="single options, e.g. model=small language=ko audio.channels=split",
    )


def from_one_on(text: str) -> int:
    """The type of an argument that counts something."""
    if text.isdecimal() and 0 < len(text) < 10 and int(text):
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 on")


def asked_options(args: argparse.Namespace) -> dict[str, Any]:
    """config/config.yaml, then ``--configfile``, then single options, groups merged key by key."""
    values = read_options(ROOT / "config/config.yaml")
    if args.configfile:
        values = merged(values, read_options(args.configfile))
    for item in args.config:
        name, equals, text = item.partition("=")
        if not equals:
            raise ConfigError(f"--config {item}: expected OPTION=VALUE, e.g. model=small")
        try:
            values = merged(values, _nested(name, yaml.safe_load(text)))
        except yaml.YAMLError:
            raise ConfigError(f"--config {item}: {text!r} is no valid YAML value; quote it") from None
    single = {name: getattr(args, name) for name in ("recordings", "results", "device")}
    return merged(values, {name: value for name, value in single.items() if value is not None})


def _nested(name: str, value: object) -> Mapping[str, object]:
    """``audio.channels=split`` as ``{audio: {channels: split}}``."""
    group, dot, rest = name.partition(".")
    return {group: _nested(rest, value)} if dot else {name: value}


def register_results(parser: argparse.ArgumentParser) -> argparse._MutuallyExclusiveGroup:
    """Add the two ways to say which finished run is meant."""
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--results", type=Path, metavar="DIR", help="the results folder (default: results)")
    where.add_argument("--configfile", type=Path, metavar="FILE", help="your options; only `results` is taken from it")
    return where


def results_of(args: argparse.Namespace) -> Results:
    """The results folder of :func:`register_results`.

    Raises:
        ResultsError: no run has been there.
    """
    results = Results((args.results or Path("results")).absolute())
    if args.configfile:
        results = Results(Path(load_file(args.configfile).results))
    if not results.config.exists():
        raise ResultsError(f"no run in {results.root}; give its folder with --results")
    return results


@contextmanager
def finished_run(args: argparse.Namespace) -> Iterator[Results]:
    """The results folder of :func:`register_results`; no run, and no other such command, works there during the block.

    Raises:
        ResultsError: no run has been there.
        BusyError: one works there now.
    """
    results = results_of(args)
    lock = hold_lock(
        results.lock, f"works on {results.root}; wait for it to end and try again", f"`{args.parser.prog}`"
    )
    if not results.plan.exists():
        os.close(lock)
        raise ResultsError(f"the run in {results.root} was stopped or failed at its beginning; finish it first")
    try:
        yield results
    finally:
        os.close(lock)


def recording_of(results: Results, text: str) -> Found:
    """The recording that somebody has named by its id or path.

    Raises:
        InputError: there is none, or more than one.
    """
    from snakescribe.inventory.ledger import Ledger

    with Ledger.open(results.ledger, readonly=True) as ledger:
        found = ledger.find(text)
    if not found:
        table = results.table("recordings", "tsv")
        raise InputError(f"no recording {text!r}; give a recording_id or a path from {table}")
    if len(found) > 1:
        ids = ", ".join(one.recording_id for one in found)
        raise InputError(f"{text!r} is the path of {len(found)} recordings; give an id of theirs: {ids}")
    return found[0]


def register_config(parser: argparse.ArgumentParser) -> None:
    """Add ``--config``, the resolved options of the run."""
    parser.add_argument(
        "--config",
        type=Path,
        required=True,
        metavar="FILE",
        help="resolved options of the run (results/.snakescribe/config.json)",
    )


def register_batch(parser: argparse.ArgumentParser, threads: str) -> None:
    """Add ``--config``, ``--batch`` and ``--threads``; ``threads`` says what they are for."""
    register_config(parser)
    parser.add_argument("--batch", required=True, metavar="ID", help="which batch, e.g. b000001")
    parser.add_argument("--threads", type=int, default=1, help=threads)


def resolved(args: argparse.Namespace) -> tuple[Config, Results]:
    """The run's options and where its files lie; from here on the step dies with the Snakemake that started it."""
    die_with_parent()
    caller = os.environ.get(CALLER, __version__)
    if caller != __version__:
        raise InstallationError(
            f"this step is snakescribe {__version__} and the Snakefile {caller}; build or load the image of {caller}"
        )
    config = read_resolved(args.config)
    return config, Results(Path(config.results))
