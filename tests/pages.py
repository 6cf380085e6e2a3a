"""The commands of README.md and of docs/operations, as a reader would copy them."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = {path.name: path for path in (ROOT / "README.md", *(ROOT / "docs/operations").glob("*.md"))}


def commands(page: str) -> list[str]:
    """Every command of a page's shell blocks, a here-document and continued lines with it, without its comment."""
    found: list[str] = []
    for block in re.findall(r"^```sh\n(.*?)^```$", PAGES[page].read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
        for match in re.finditer(r"(?:[^\n]*<< 'END'\n.*?\nEND|(?:[^\n]*\\\n)*[^\n]+)", block, re.DOTALL):
            command = match[0] if "<<" in match[0] else re.sub(r"\s+#.*", "", match[0])
            if command.strip():
                found.append(command)
    return found


def said(page: str, begin: str) -> str:
    """The command of a page that begins like this; the first of several."""
    return next(command for command in commands(page) if command.startswith(begin))


def run(command: str, cwd: Path, code: int = 0, **instead: str) -> str:
    """Run a page's command in a shell, with other words in the place of some; what it printed."""
    for old, new in instead.items():
        assert old in command, command
        command = command.replace(old, new)
    paths = f"{ROOT / '.venv/bin'}{os.pathsep}{os.environ['PATH']}"
    script = command.replace(".venv/bin/", "")
    done = subprocess.run(
        ["bash", "-euc", script], cwd=cwd, env=os.environ | {"PATH": paths}, capture_output=True, text=True
    )
    assert done.returncode == code, f"{script}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr
