"""What went wrong in the story, and what may: one file of the image exchanged, and the image says what is wrong."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from snakescribe.images.tool import Tool

ROOT = Path(__file__).resolve().parents[2]
INSTALLED = "/opt/snakescribe"
"""Where the checkout is in the image."""


@pytest.fixture
def run(tool: Tool, image: str, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a command in the image, with other bytes in one of its files."""

    def ran(
        *arguments: str,
        file: str = "README.md",
        source: Path = ROOT,
        change: Callable[[bytes], bytes] = bytes,
        **env: str,
    ) -> subprocess.CompletedProcess[str]:
        before = (source / file).read_bytes()
        after = change(before)
        assert (after != before) == (change is not bytes), f"{file} is not what this test expects"
        other = tmp_path / "other"
        other.write_bytes(after)
        other.chmod(0o755)
        where = f"{INSTALLED}/{'.models/' if source != ROOT else ''}{file}"
        options = [word for key, value in env.items() for word in ("--env", f"{key}={value}")]
        command = [tool.name, "run", "--rm", "--network", "none", "--read-only", "--volume", f"{other}:{where}:ro"]
        return subprocess.run([*command, *options, image, *arguments], capture_output=True, text=True, timeout=300)

    return ran


def test_an_import_that_the_server_lacks(run: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    line = b"from starlette.staticfiles import StaticFiles\n"
    done = run("selftest", file="scripts/snakescribe/server/app.py", change=lambda code: code.replace(line, b""))
    assert done.returncode == 8
    assert "the server does not start" in done.stderr and "StaticFiles" in done.stderr


def test_weights_with_one_byte_changed(run: Callable[..., subprocess.CompletedProcess[str]], models_root: Path) -> None:
    def flipped(weights: bytes) -> bytes:
        return weights[:50_000_000] + bytes([weights[50_000_000] ^ 1]) + weights[50_000_001:]

    done = run("doctor", file="base/ctranslate2/model.bin", source=models_root, change=flipped)
    assert done.returncode == 5
    assert "model.bin" in done.stdout.splitlines()[0]


def test_cuda_where_there_is_none(run: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    done = run("doctor", STT_DEVICE="cuda")
    assert done.returncode == 6
    assert "STT_DEVICE=cpu" in done.stdout.splitlines()[0]


def test_an_engine_that_hears_nothing(run: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    def deaf(code: bytes) -> bytes:
        return code.replace(b"    return [\n", b"    return []\n    return [\n", 1)

    done = run("doctor", file="scripts/snakescribe/engine/tokens.py", change=deaf)
    assert done.returncode == 8
    assert "hears nothing in a clear sentence" in done.stdout.splitlines()[0]
