"""The way of the data is the order of the rooms: no room imports from one that comes after it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2] / "scripts/snakescribe"

FLOORS = """
characters errors flags media memory records stopping units
checkout devices files known_clip pages schema transcript
config glossary layout
models recording
keys
corrections estimate failures inventory
audio tables
evaluation search
formats vad
engine
doctor
cluster images report transcribe
speakers
correcting ending forgetting playing pruning server speed unfinished
naming reviewing workflow
commands
cli
__main__
""".strip().splitlines()
"""Rooms (modules and folders of the package) from the ground up; those on one line know nothing of each other."""


def imports(path: Path) -> Iterator[str]:
    """Rooms that a module imports, those inside functions and for type checking too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == "snakescribe":
            yield from (alias.name for alias in node.names if alias.name != "__version__")
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("snakescribe."):
            yield (node.module or "").split(".")[1]
        elif isinstance(node, ast.Import):
            yield from (a.name.split(".")[1] for a in node.names if a.name.startswith("snakescribe."))


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def arrows() -> set[tuple[str, str]]:
    """(importing room, imported room)."""
    found = {
        (room_of(path), imported)
        for path in PACKAGE.rglob("*.py")
        if path != PACKAGE / "__init__.py"
        for imported in imports(path)
    }
    return {(room, imported) for room, imported in found if room != imported}


def test_no_arrow_runs_back_up() -> None:
    floor = {room: number for number, line in enumerate(FLOORS) for room in line.split()}
    assert {room_of(path) for path in PACKAGE.rglob("*.py")} - {"__init__"} == floor.keys()
    assert [f"{room} -> {imported}" for room, imported in sorted(arrows()) if floor[imported] >= floor[room]] == []
    assert len(arrows()) > 100  # it did read the imports
