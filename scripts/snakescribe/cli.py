"""The command line: ``snakescribe COMMAND …``; the rules of the workflow call the same commands."""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import sys
import traceback
from pathlib import Path
from types import ModuleType

from snakescribe import __version__
from snakescribe.errors import EXIT_CODES, CrashError, SnakescribeError
from snakescribe.failures import leave_note, report, withdraw_note
from snakescribe.files import disk_error
from snakescribe.layout import Results

COMMANDS = (
    # for people
    "run",
    "plan",
    "models",
    "forget",
    "export",
    "config",
    "doctor",
    "bench",
    "serve",
    "image",
    "bundle",
    "selftest",
    # steps of the workflow
    "inventory",
    "normalise",
    "transcribe",
    "tables",
    "check",
)


def main(argv: list[str] | None = None) -> int:
    """Run one command; a failure a user can cause is one line on stderr and its own exit code."""
    os.umask(0o077)  # transcripts are private by default
    argv = sys.argv[1:] if argv is None else argv
    named = [name for name in argv[:1] if name in COMMANDS]
    args, unknown = _parser(named or list(COMMANDS)).parse_known_args(argv)
    if unknown:
        hint = "; options of config/README.md go like this: --config language=ko" if "recordings" in args else ""
        args.parser.error(f"unrecognized arguments: {' '.join(unknown)}{hint}")
    step = "-".join([*argv[:1], *filter(None, [getattr(args, "batch", None)])])
    try:
        code = int(args.run(args) or 0)
        sys.stdout.flush()
        withdraw_note(Results(Path.cwd()), step)
        return code
    except SnakescribeError as error:
        return _failed(error, step)
    except BrokenPipeError:  # who read our output has heard enough (`… | head`)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the interpreter flushes once more
        return 128 + signal.SIGPIPE
    except OSError as error:
        known = disk_error(error)
        return _failed(known, step) if known else _crashed()
    except KeyboardInterrupt:
        return 130
    except Exception:
        return _crashed()


def _failed(error: SnakescribeError, step: str) -> int:
    """Tell the person who waits, and ``snakescribe run`` when this is one of its steps (in the results folder)."""
    leave_note(error, Results(Path.cwd()), step)
    return report(error)


def _crashed() -> int:
    """Tell what a failure of ours was; Python's 1 would say that only recordings failed."""
    traceback.print_exc()
    return CrashError.exit_code


def _parser(commands: list[str]) -> argparse.ArgumentParser:
    codes = "\n".join(f"  {code}  {meaning.replace('``', '')}" for code, meaning in EXIT_CODES.items())
    parser = argparse.ArgumentParser(
        prog="snakescribe",
        description="Folders of recordings in, transcripts and tables out.",
        epilog=f"exit codes:\n{codes}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"snakescribe {__version__}")
    sub = parser.add_subparsers(required=True, metavar="COMMAND")
    for name in commands:
        module = _command(name)
        doc = (module.__doc__ or "").strip()
        summary = doc.split("\n", maxsplit=1)[0]
        command = sub.add_parser(
            name, help=summary, description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        module.register(command)
        command.set_defaults(run=module.run, parser=command)
    return parser


def _command(name: str) -> ModuleType:
    return importlib.import_module(f"snakescribe.commands.{name}")


if __name__ == "__main__":
    sys.exit(main())
