"""From the words of a command line to the command, and from its failure to an exit code."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from pathlib import Path

from snakescribe.commands.parser import COMMANDS, parser
from snakescribe.errors import CrashError, InstallationError, SnakescribeError
from snakescribe.failures import in_vain, leave_note, report, withdraw_note
from snakescribe.files import disk_error
from snakescribe.layout import Results


def dispatch(argv: list[str]) -> int:
    """Run one command; a failure a user can cause is one line on stderr and its own exit code."""
    os.umask(0o077)  # transcripts are private by default
    named = [name for name in argv[:1] if name in COMMANDS]
    args, unknown = parser(named or COMMANDS).parse_known_args(argv)
    if unknown:
        hint = "; options of config/README.md go like this: --config language=ko" if "recordings" in args else ""
        args.parser.error(f"unrecognized arguments: {' '.join(unknown)}{hint}")
    results, step = Results(Path.cwd()), "-".join([*argv[:1], *filter(None, [getattr(args, "batch", None)])])
    if earlier := in_vain(results, step):
        print(f"snakescribe: {earlier['class']}: {earlier['message']}", file=sys.stderr)
        return int(earlier["exit_code"])
    try:
        code = int(args.run(args) or 0)
        sys.stdout.flush()
        withdraw_note(results, step)
        return code
    except SnakescribeError as error:
        return _failed(error, results, step)
    except BrokenPipeError:  # who read our output has heard enough (`… | head`)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the interpreter flushes once more
        return 128 + signal.SIGPIPE
    except OSError as error:
        known = disk_error(error)
        return _failed(known, results, step) if known else _crashed()
    except KeyboardInterrupt:
        return 130
    except ModuleNotFoundError as error:
        name = (error.name or "").partition(".")[0]
        if name in ("", "snakescribe"):
            return _crashed()
        what = f"the package {name.replace('_', '-')} is missing; `snakescribe doctor` says what else is"
        return _failed(InstallationError(f"{what}, docs/operations/mend-an-image.md how to mend it"), results, step)
    except Exception:
        return _crashed()


def _failed(error: SnakescribeError, results: Results, step: str) -> int:
    """Tell the person who waits, and ``snakescribe run`` when this is one of its steps (in the results folder)."""
    leave_note(error, results, step)
    return report(error)


def _crashed() -> int:
    """Tell what a failure of ours was; Python's 1 would say that only recordings failed."""
    traceback.print_exc()
    return CrashError.exit_code
