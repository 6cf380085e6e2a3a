"""Prove an installation: packages, device, server with an upload, workflow, and the text of a known clip.

An image is only finished when this passes in it; `snakescribe image verify` and the bundle's `install.sh` run it again.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from snakescribe.stopping import ends_tidily


def register(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write what was tried into a file")


def run(args: argparse.Namespace) -> int:
    """Try everything, a line for each step."""
    from snakescribe.doctor.selftest import selftest

    with ends_tidily():  # the server and the workflow that it has started
        proof = selftest(lambda step: print(f"ok  {step.name:<9} {step.seconds:5.1f} s  {step.found}", flush=True))
    if args.json:
        args.json.write_text(proof.model_dump_json(indent=1), encoding="utf-8")
    print("proved: everything works")
    return 0
