"""How much memory this process may use, how much its control group used, and whom the kernel killed for it.

Files: docs.kernel.org, ``admin-guide/cgroup-v2.rst`` and ``cgroup-v1/memory.rst``; all in bytes.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

GROUPS = Path("/sys/fs/cgroup")
OWN_GROUP = Path("/proc/self/cgroup")
MACHINE = Path("/proc/vmstat")
UNLIMITED = 1 << 60
"""Version 1 has no word for it, only a number above any memory."""

Mark = tuple[str, int]
"""A control group, and the processes that the kernel had killed in it for want of memory."""


@dataclass(frozen=True)
class Memory:
    """What a control group says; None where it says nothing."""

    limit: int | None
    """Bytes; the least of the group's own and those of the groups above, as far as they can be seen."""
    used: int | None
    """Bytes, now."""
    peak: int | None
    """Bytes, at most so far."""
    kills: int | None
    """Processes that the kernel killed in it for want of memory; without such a count, in the whole machine."""
    group: str
    """Which group, and which start of the machine: counts of two cannot be compared."""

    @property
    def mark(self) -> Mark | None:
        """To be shown to :meth:`killed_since` later."""
        return None if self.kills is None else (self.group, self.kills)

    def killed_since(self, mark: Mark | None) -> bool:
        """Whether the kernel has killed a process for memory since then, for all we know."""
        return mark is not None and self.kills is not None and self.group == mark[0] and self.kills > mark[1]

    def __str__(self) -> str:
        """For people: ``limit 524 MB, used at most 524 MB``."""
        limit = f"limit {self.limit / 1e6:.0f} MB" if self.limit else "no limit"
        if self.peak:
            return f"{limit}, used at most {self.peak / 1e6:.0f} MB"
        return f"{limit}, used {self.used / 1e6:.0f} MB" if self.used else limit


def memory_here(groups: Path = GROUPS, own: Path = OWN_GROUP, machine: Path = MACHINE) -> Memory:
    """The memory of this process's control group.

    Args:
        groups: where control groups are mounted.
        own: ``/proc/PID/cgroup``.
        machine: ``/proc/vmstat``, whose ``oom_kill`` counts where the group does not.
    """
    paths = _own_paths(own)
    if (groups / "memory").is_dir():
        folder = _there(groups / "memory", paths.get("memory", "/"), "memory.usage_in_bytes")
        names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "memory.max_usage_in_bytes", "memory.oom_control")
    else:
        folder = _there(groups, paths.get("", "/"), "memory.current")
        names = ("memory.max", "memory.current", "memory.peak", "memory.events")
    above = [folder, *(parent for parent in folder.parents if parent.is_relative_to(groups))]
    limits = [limit for one in above if (limit := _number(one / names[0])) is not None and limit < UNLIMITED]
    kills = _entry(folder / names[3], "oom_kill")
    return Memory(
        min(limits, default=None),
        _number(folder / names[1]),
        _number(folder / names[2]),
        _entry(machine, "oom_kill") if kills is None else kills,
        f"{_read(Path('/proc/sys/kernel/random/boot_id')).strip()} {paths.get('memory', paths.get('', ''))}",
    )


def _own_paths(own: Path) -> dict[str, str]:
    """Paths of a process's groups by controller; of version 2 under the empty name."""
    lines = [line.split(":", 2) for line in _read(own).splitlines()]
    return {controller: path for _, controllers, path in lines for controller in controllers.split(",")}


def _there(mount: Path, path: str, name: str) -> Path:
    """The group's folder; in a container its path is the host's, and the mount is the group itself."""
    folder = mount / path.lstrip("/")
    return folder if (folder / name).exists() else mount


def _entry(path: Path, name: str) -> int | None:
    found = dict(line.partition(" ")[::2] for line in _read(path).splitlines())
    return int(found[name]) if name in found else None


def _number(path: Path) -> int | None:
    with contextlib.suppress(ValueError):  # `max`: no limit
        return int(_read(path))
    return None


def _read(path: Path) -> str:
    with contextlib.suppress(OSError):
        return path.read_text(encoding="ascii", errors="replace")
    return ""
