"""Show the options in force, or write the files that are generated from them.

`show` prints every option after defaults, paths and STT_DEVICE have been applied. `write` makes
config/config.yaml, config/README.md, the JSON schema, docs/tables.md, docs/errors.md and docs/commands.md anew;
`write --check` changes nothing and exits 1 when one of them has drifted.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from snakescribe.checkout import sources
from snakescribe.config import load_config, load_file
from snakescribe.config.document import config_readme, config_schema, config_yaml, errors_document


def register(parser: argparse.ArgumentParser) -> None:
    """Add the two actions."""
    actions = parser.add_subparsers(required=True, dest="action", metavar="ACTION")

    def action(name: str, meaning: str) -> argparse.ArgumentParser:
        return actions.add_parser(name, help=meaning, description=meaning)

    show = action("show", "print the options in force as YAML")
    show.add_argument(
        "--configfile",
        type=Path,
        metavar="FILE",
        help="your options (default: config/config.yaml, if there is one)",
    )
    write = action("write", "write the generated files of a checkout")
    write.add_argument("--check", action="store_true", help="only compare; exit 1 when one has drifted")


def run(args: argparse.Namespace) -> int:
    """Show, write or compare."""
    if args.action == "show":
        return _show(args.configfile)
    return _compare(sources()) if args.check else _write(sources())


def documents() -> dict[str, Callable[[], str]]:
    """Every generated file (path in the repository) and what makes its text."""
    from snakescribe.commands.document import commands_document  # imports every command, this one too
    from snakescribe.tables.document import tables_document

    return {
        "config/config.yaml": config_yaml,
        "config/README.md": config_readme,
        "workflow/schemas/config.schema.json": config_schema,
        "docs/tables.md": tables_document,
        "docs/errors.md": errors_document,
        "docs/commands.md": commands_document,
    }


def _show(configfile: Path | None) -> int:
    import yaml

    usual = Path("config/config.yaml")
    if configfile is None and usual.is_file():
        configfile = usual
    config = load_file(configfile) if configfile else load_config({}, Path.cwd())
    sys.stdout.write(yaml.safe_dump(config.model_dump(), allow_unicode=True, sort_keys=False))
    return 0


def _write(root: Path) -> int:
    for name, text in documents().items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text(), encoding="utf-8")
    return 0


def _compare(root: Path) -> int:
    drifted = [name for name, text in documents().items() if _read(root / name) != text()]
    for name in drifted:
        print(f"{name}: is not what its source says; run `snakescribe config write`", file=sys.stderr)
    return 1 if drifted else 0


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None
