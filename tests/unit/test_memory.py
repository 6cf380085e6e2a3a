"""What a control group says of memory: both versions of the kernel's files, nested groups, and no group at all."""

from __future__ import annotations

from pathlib import Path

from snakescribe.memory import Memory, memory_here


def files(folder: Path, **texts: str) -> None:
    """Files of a control group; ``memory__max`` is ``memory.max``."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / name.replace("__", ".")).write_text(text + "\n")


def test_version_1_as_docker_mounts_it(tmp_path: Path) -> None:
    """Inside, the group is the root of the mount, and its path is the host's."""
    files(
        tmp_path / "fs/memory",
        memory__limit_in_bytes="524288000",
        memory__usage_in_bytes="67928064",
        memory__max_usage_in_bytes="524288000",
        memory__oom_control="oom_kill_disable 0\nunder_oom 0\noom_kill 7",
    )
    files(tmp_path / "proc", cgroup="9:name=systemd:/docker/1f53\n6:memory:/docker/1f53\n3:cpu,cpuacct:/docker/1f53")
    found = memory_here(tmp_path / "fs", tmp_path / "proc/cgroup", tmp_path / "proc/vmstat")
    assert (found.limit, found.used, found.peak, found.kills) == (524288000, 67928064, 524288000, 7)
    assert str(found) == "limit 524 MB, used at most 524 MB"


def test_version_2_with_the_limit_of_a_group_above(tmp_path: Path) -> None:
    files(tmp_path / "fs/pods/one", memory__max="max", memory__current="1000000", memory__events="low 0\noom_kill 2")
    files(tmp_path / "fs/pods", memory__max="2147483648", memory__current="5")
    files(tmp_path / "fs", **{"cgroup__controllers": "cpu memory"})
    files(tmp_path / "proc", cgroup="0::/pods/one")
    found = memory_here(tmp_path / "fs", tmp_path / "proc/cgroup", tmp_path / "proc/vmstat")
    assert (found.limit, found.used, found.peak, found.kills) == (2147483648, 1000000, None, 2)
    assert str(found) == "limit 2147 MB, used 1 MB"


def test_version_1_without_a_limit(tmp_path: Path) -> None:
    files(tmp_path / "fs/memory", memory__limit_in_bytes="9223372036854771712", memory__usage_in_bytes="5000000")
    files(tmp_path / "proc", cgroup="6:memory:/", vmstat="pgfault 9\noom_kill 3")
    found = memory_here(tmp_path / "fs", tmp_path / "proc/cgroup", tmp_path / "proc/vmstat")
    assert (found.limit, found.kills) == (None, 3), "the machine's own count, where the group has none"
    assert str(found) == "no limit, used 5 MB"


def test_no_control_groups(tmp_path: Path) -> None:
    found = memory_here(tmp_path / "fs", tmp_path / "cgroup", tmp_path / "vmstat")
    assert found == Memory(None, None, None, None, found.group) and str(found) == "no limit"


def test_a_kill_since(tmp_path: Path) -> None:
    before, after, elsewhere = Memory(1, 1, 1, 4, "a"), Memory(1, 1, 1, 5, "a"), Memory(1, 1, 1, 9, "b")
    assert after.killed_since(before.mark) and not before.killed_since(before.mark)
    assert not elsewhere.killed_since(before.mark), "another group has a count of its own"
    assert not after.killed_since(None) and Memory(None, None, None, None, "a").mark is None


def test_this_machine_is_understood() -> None:
    found = memory_here()
    assert found.limit is None or found.limit > 0
    assert "limit" in str(found)
