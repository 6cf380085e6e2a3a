"""The reference of commands: complete, with a meaning for everything, the same wherever it is made."""

from __future__ import annotations

import re

import pytest

from snakescribe.commands.document import actions_of, arguments_of, commands_document
from snakescribe.commands.parser import COMMANDS, parser


def test_every_command_action_and_argument_has_a_meaning() -> None:
    text = commands_document()
    sections = dict(re.findall(r"^##+ snakescribe ([\w ]+)\n\n(\w.+)", text, re.MULTILINE))
    commands = actions_of(parser())
    assert tuple(commands) == COMMANDS
    actions = {f"{name} {action}": below for name in COMMANDS for action, below in actions_of(commands[name]).items()}
    assert {"models fetch", "config write", "image build", "bundle verify"} <= actions.keys()
    assert sections.keys() == {*COMMANDS, *actions}
    for name, below in (commands | actions).items():
        assert all(argument.help for argument in arguments_of(below)), f"{name}: an argument without help"


def test_the_reference_of_commands_does_not_depend_on_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    narrow = commands_document()
    monkeypatch.setenv("COLUMNS", "200")
    assert commands_document() == narrow
