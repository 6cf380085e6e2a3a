"""The parser of the command line: every command's name, and the options that its module registers."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Iterable

from snakescribe import __version__
from snakescribe.errors import EXIT_CODES

FOR_PEOPLE = (
    "run",
    "plan",
    "models",
    "forget",
    "prune",
    "export",
    "report",
    "review",
    "corrections",
    "speakers",
    "handover",
    "evaluate",
    "compare",
    "find",
    "config",
    "doctor",
    "bench",
    "serve",
    "image",
    "bundle",
    "selftest",
)
STEPS = (
    "inventory",
    "normalise",
    "transcribe",
    "voices",
    "assign",
    "across",
    "tables",
    "check",
)
"""Called by the rules of the workflow."""
COMMANDS = FOR_PEOPLE + STEPS


def parser(commands: Iterable[str] = COMMANDS) -> argparse.ArgumentParser:
    """The parser of these commands; only their modules are imported."""
    codes = "\n".join(f"  {code}  {meaning.replace('``', '')}" for code, meaning in EXIT_CODES.items())
    whole = argparse.ArgumentParser(
        prog="snakescribe",
        description="Folders of recordings in, transcripts and tables out.",
        epilog=f"exit codes:\n{codes}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    whole.add_argument("--version", action="version", version=f"snakescribe {__version__}")
    sub = whole.add_subparsers(required=True, metavar="COMMAND")
    for name in commands:
        module = importlib.import_module(f"snakescribe.commands.{name}")
        doc = (module.__doc__ or "").strip()
        summary = doc.split("\n", maxsplit=1)[0]
        command = sub.add_parser(
            name, help=summary, description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        module.register(command)
        command.set_defaults(run=module.run, parser=command)
    return whole
