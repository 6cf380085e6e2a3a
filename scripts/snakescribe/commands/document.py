"""``docs/commands.md``: every command, its actions and what they take, read from the parsers.

It is formatted here and not by argparse, whose text depends on the terminal's width and on the version of Python.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator

from snakescribe.commands.parser import COMMANDS, FOR_PEOPLE, parser

_HEAD = """\
<!-- Generated from scripts/snakescribe/commands/ by `snakescribe config write`; edit that. -->

# Commands

In a checkout `snakescribe` is `.venv/bin/snakescribe`. `snakescribe --help` lists the commands, and
`snakescribe COMMAND --help` prints what stands here. Exit codes: [errors.md](errors.md). Options of the
configuration (`--config OPTION=VALUE`): [config/README.md](../config/README.md).
"""


def commands_document() -> str:
    """The reference of all commands."""
    commands = actions_of(parser())
    steps = [name for name in COMMANDS if name not in FOR_PEOPLE]
    parts = [_HEAD]
    for title, names in (("For people", FOR_PEOPLE), ("Steps of the workflow", steps)):
        rows = ((f"[`{name}`](#snakescribe-{name})", _first_line(commands[name])) for name in names)
        parts.append(f"\n{title}:\n\n{_table('command', rows)}")
    parts += (part for command in commands.values() for part in _section(command, "##"))
    return "".join(parts)


def actions_of(command: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The parsers below a parser, by name; empty if it has none."""
    found = (action for action in command._actions if isinstance(action, argparse._SubParsersAction))
    return {name: below for action in found for name, below in action.choices.items()}


def arguments_of(command: argparse.ArgumentParser) -> list[argparse.Action]:
    """What a command takes by itself, without ``--help``."""
    passed_over = (argparse._HelpAction, argparse._SubParsersAction)
    return [action for action in command._actions if not isinstance(action, passed_over)]


def _section(command: argparse.ArgumentParser, level: str) -> Iterator[str]:
    text = (command.description or "").strip().replace("``", "`")
    yield f"\n{level} {command.prog}\n\n{text[:1].upper()}{text[1:]}\n"
    if arguments := arguments_of(command):
        yield f"\n{_table('argument', ((f'`{_written(one)}`', _meaning(one)) for one in arguments))}"
    for action in actions_of(command).values():
        yield from _section(action, level + "#")


def _table(head: str, rows: Iterable[tuple[str, str]]) -> str:
    return f"| {head} | meaning |\n|---|---|\n" + "".join(f"| {left} | {right} |\n" for left, right in rows)


def _written(argument: argparse.Action) -> str:
    """How it is typed: ``--cores N``, ``--device {auto,cpu,cuda}``, ``name...``."""
    choices = "{" + ",".join(map(str, argument.choices or ())) + "}" if argument.choices else None
    name = argument.dest.upper() if argument.option_strings else argument.dest
    value = str(argument.metavar or choices or name)
    match argument.nargs:
        case 0:
            value = ""
        case "?":
            value = f"[{value}]"
        case "+" | argparse.REMAINDER:
            value += "..."
        case "*":
            value = f"[{value}...]"
    return " ".join([", ".join(argument.option_strings), value]).strip()


def _meaning(argument: argparse.Action) -> str:
    required = " (required)" if argument.option_strings and argument.required else ""
    return f"{argument.help}{required}".replace("|", "\\|")


def _first_line(command: argparse.ArgumentParser) -> str:
    return (command.description or "").split("\n", maxsplit=1)[0].replace("``", "`")
