"""Say what is wrong with this installation, image, driver or model, and what to do, in one line first.

Looks at Python and the packages, ffmpeg, the GPU and its driver, what torch and CTranslate2 were built for, the
checksums of the weights, free disk; then transcribes a sentence whose text is known, on the device and with the model
of your options. STT_DEVICE and --device count as in a run. Exit code 0 when all is well, else that of what was found.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from snakescribe.commands.common import asked_options, register_options
from snakescribe.config import load_config

if TYPE_CHECKING:
    from snakescribe.doctor.diagnose import Diagnosis

COLOURS = {"ok": "green", "warn": "yellow", "bad": "bold red"}
WIDTH = 160
"""Columns where there is no terminal."""


def register(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    register_options(parser)
    parser.add_argument("--json", action="store_true", help="print verdict, checks and all facts as JSON")
    parser.add_argument("--image", metavar="REF", help="examine this image instead, with the GPUs of this machine")
    parser.add_argument("--tool", choices=["podman", "docker"], help="for --image: the first of them that is here")


def run(args: argparse.Namespace) -> int:
    """Look, judge, tell."""
    if args.image:
        return _image(args)
    from snakescribe.doctor.cuda import load_variants
    from snakescribe.doctor.diagnose import diagnose
    from snakescribe.doctor.gather import gather
    from snakescribe.images.look import container_tools

    config = load_config(asked_options(args), Path.cwd())
    variants = load_variants()
    facts = gather(config, variants).model_copy(update={"container_tools": container_tools()})
    verdict = diagnose(facts, variants)
    if args.json:
        json.dump(verdict.model_dump() | {"facts": facts.model_dump()}, sys.stdout, ensure_ascii=False, indent=1)
        print()
    else:
        print(verdict.line)
        _table(verdict)
    return verdict.exit_code


def _image(args: argparse.Namespace) -> int:
    """The doctor of the image, in a container without network that sees the GPUs a container can see here."""
    from snakescribe.images.tool import find_tool

    tool = find_tool(args.tool, args.image)
    tool.need_ours(args.image)
    options = ["--env", f"STT_DEVICE={args.device or os.environ.get('STT_DEVICE') or 'auto'}"]
    if Path("/dev/nvidia0").exists() or Path("/dev/dxg").exists():
        options += tool.gpus()
    return tool.exit_code(args.image, ["doctor", *(["--json"] if args.json else [])], *options)


def _table(verdict: Diagnosis) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, show_header=False)
    for check in verdict.checks:
        table.add_row(check.name, Text(check.state, COLOURS[check.state]), Text(check.says))  # Text: [x] is no markup
    terminal = sys.stdout.isatty()
    Console(width=None if terminal else WIDTH, highlight=False).print(table)
