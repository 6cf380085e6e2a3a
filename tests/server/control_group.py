"""A real control group for tests, where root may make one: a server in it, and a limit that comes later."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

ROOT = Path("/sys/fs/cgroup")


class ControlGroup:
    """One group, of version 1 or 2."""

    def __init__(self, mount: Path) -> None:
        self._folder, self._mount = mount / f"snakescribe-test-{os.getpid()}", mount
        first = mount == ROOT / "memory"
        self._limit = self._folder / ("memory.limit_in_bytes" if first else "memory.max")
        self._unlimited, self._anonymous = ("-1", "rss") if first else ("max", "anon")
        self.remove()  # of a test before, whose last process was slow to die
        self._folder.mkdir()
        if not self._limit.exists():
            self._folder.rmdir()
            raise OSError("memory is not controlled here")

    @contextmanager
    def joined(self) -> Iterator[None]:
        """What is started in the block is in the group, and so is what that starts."""
        before = next(
            line.split(":", 2)[2]
            for line in Path("/proc/self/cgroup").read_text().splitlines()
            if line.split(":")[1] in ("memory", "")
        )
        (self._folder / "cgroup.procs").write_text(str(os.getpid()))
        try:
            yield
        finally:
            (self._mount / before.lstrip("/") / "cgroup.procs").write_text(str(os.getpid()))

    def leave_only(self, more: int) -> None:
        """Limit it to what it holds now, less what the kernel can take back, and ``more`` bytes."""
        stat = dict(line.split() for line in (self._folder / "memory.stat").read_text().splitlines())
        self._limit.write_text(str(int(stat[self._anonymous]) + more))

    def unlimit(self) -> None:
        """As much as there is."""
        self._limit.write_text(self._unlimited)

    def remove(self) -> None:
        """When nobody is left in it."""
        with suppress(OSError):
            self._folder.rmdir()


@contextmanager
def control_group() -> Iterator[ControlGroup]:
    """A new group."""
    try:
        group = ControlGroup(ROOT / "memory" if (ROOT / "memory").is_dir() else ROOT)
    except OSError as error:
        pytest.skip(f"no control group can be made here: {error}")
    try:
        yield group
    finally:
        group.remove()
