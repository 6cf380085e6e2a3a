"""The command line: ``snakescribe COMMAND …``; the rules of the workflow call the same commands."""

from __future__ import annotations

import sys

from snakescribe.stopping import ends_at_once


def main(argv: list[str] | None = None) -> int:
    """Run one command; what it needs is imported when SIGTERM is listened to."""
    with ends_at_once():
        from snakescribe.commands.dispatch import dispatch

        return dispatch(sys.argv[1:] if argv is None else argv)


if __name__ == "__main__":
    sys.exit(main())
