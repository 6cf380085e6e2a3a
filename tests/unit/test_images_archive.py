"""Archives that are not what they should be: what `image load` and `image save` say of them."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from snakescribe.errors import ImageError
from snakescribe.images.archive import check, load, save
from snakescribe.images.tool import Tool

WHOLE = gzip.compress(bytes(1 << 16), mtime=0)  # the time of now would give every process other names of tests
DOCKER = Tool("docker")


@pytest.mark.parametrize("text", [b"", b"\xff\xfe", b"<html>"])
def test_a_sum_that_is_none(tmp_path: Path, text: bytes) -> None:
    archive = tmp_path / "a.tar.gz"
    archive.write_bytes(WHOLE)
    (tmp_path / "a.tar.gz.sha256").write_bytes(text)
    with pytest.raises(ImageError, match=r"^a\.tar\.gz\.sha256 holds no SHA-256; copy it again$"):
        check(archive)


@pytest.mark.parametrize(
    "content", [b"plain", WHOLE[:-20], WHOLE[:12] + b"\xff" + WHOLE[13:]], ids=["no gzip", "cut", "damaged"]
)
def test_what_is_no_whole_archive_though_its_sum_is_right(
    program: Callable[[str, str], None], tmp_path: Path, content: bytes
) -> None:
    program("docker", "cat > /dev/null; echo 'Loaded image: x'")
    archive = tmp_path / "a.tar.gz"
    archive.write_bytes(content)
    (tmp_path / "a.tar.gz.sha256").write_text(f"{hashlib.sha256(content).hexdigest()}  a.tar.gz\n")
    with pytest.raises(
        ImageError, match=r"^a\.tar\.gz is no whole gzipped archive \(.*\); make it anew: `image save`$"
    ):
        load(DOCKER, archive)


def test_a_tool_that_gives_up_while_it_saves(program: Callable[[str, str], None], tmp_path: Path) -> None:
    program("docker", """case "$1" in image) echo 5;; *) echo 'no space left' >&2; exit 1;; esac""")
    with pytest.raises(ImageError, match=r"^`docker save x` ended too early; see"):
        save(DOCKER, "x", "cpu", tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())
