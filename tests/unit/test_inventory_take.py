"""Inventories of real folders, one after the other: what becomes a batch, and what survives a kill."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet
from test_inventory_probe import crashing, speak
from test_inventory_walk import NAMES, configured, put

from snakescribe.commands import plan as plan_command
from snakescribe.config import Config, load_config
from snakescribe.errors import ResultsError
from snakescribe.files import write_atomically
from snakescribe.inventory import again, probe
from snakescribe.inventory import take as taking
from snakescribe.inventory.ledger import Ledger
from snakescribe.inventory.manifest import Manifest
from snakescribe.inventory.take import Taken, take
from snakescribe.inventory.walk import ask_for_retry, digest, walk
from snakescribe.keys import options_digest
from snakescribe.layout import Results
from snakescribe.models.configured import configured_model
from snakescribe.recording import Recording


@pytest.fixture
def config(tmp_path: Path) -> Config:
    for value, name in enumerate("abc"):
        speak(put(tmp_path / "in", f"{name}.wav"), value=value + 1)
    return configured(tmp_path)


def results(config: Config) -> Results:
    return Results(Path(config.results))


def manifests(config: Config) -> dict[str, list[Recording]]:
    folder = results(config).manifest("x").parent
    found = [Manifest.read(path) for path in sorted(folder.iterdir())]
    return {manifest.batch: list(manifest.recordings) for manifest in found}


def batches(config: Config) -> dict[str, list[tuple[str, int]]]:
    return {b: [(r.path, r.attempt) for r in recordings] for b, recordings in manifests(config).items()}


def counts(taken: Taken) -> tuple[int, int, int, int, int]:
    return taken.new, taken.changed, taken.retried, taken.plan.removed, taken.plan.duplicates


def test_the_first_inventory(config: Config) -> None:
    taken = take(config)
    assert counts(taken) == (3, 0, 0, 0, 0)
    assert batches(config) == {"b000001": [("a.wav", 1), ("b.wav", 1), ("c.wav", 1)]}
    plan = json.loads(results(config).plan.read_bytes())
    assert plan["batches"] == [{"batch": "b000001", "recordings": 3, "seconds": 1.5}]
    recording = manifests(config)["b000001"][0]
    assert (recording.duration, recording.codec, recording.sample_rate) == (0.5, "pcm_s16le", 8000)
    assert Path(recording.source(config.recordings)).is_file()


def test_any_name_comes_out_as_it_was(config: Config) -> None:
    for value, name in enumerate(NAMES):
        speak(Path(config.recordings) / os.fsdecode(name), value=100 + value)
    take(config)
    entries = manifests(config)["b000001"]
    assert [entry.path_bytes for entry in entries] == sorted([*NAMES, b"a.wav", b"b.wav", b"c.wav"])
    assert len({entry.recording_id for entry in entries}) == len(entries)
    assert r"not \xff\xfe utf-8.amr" in [entry.path for entry in entries]
    for entry in entries:
        with open(entry.source(config.recordings), "rb") as file:
            assert len(file.read()) == entry.size


def test_nothing_new_changes_nothing(config: Config) -> None:
    take(config)
    before = results(config).plan.read_bytes()
    assert counts(take(config)) == (0, 0, 0, 0, 0)
    assert results(config).plan.read_bytes() == before
    assert list(batches(config)) == ["b000001"]


def test_only_new_work_is_put_into_new_batches(config: Config, tmp_path: Path) -> None:
    take(config)
    folder = Path(config.recordings)
    speak(folder / "aa.wav", value=9)
    speak(folder / "b.wav", value=8)  # changed
    os.utime(folder / "c.wav", (1, 1))  # touched
    assert counts(take(configured(tmp_path, batch={"files": 1}))) == (1, 1, 0, 0, 0)
    assert batches(config) == {
        "b000001": [("a.wav", 1), ("b.wav", 1), ("c.wav", 1)],
        "b000002": [("aa.wav", 1)],
        "b000003": [("b.wav", 2)],
    }
    with Ledger.open(results(config).ledger, readonly=True) as ledger:
        assert sorted(ledger.current("b000001")) == sorted(
            r.recording_id for r in manifests(config)["b000001"] if r.path != "b.wav"
        )


def test_moved_removed_and_returned(config: Config) -> None:
    take(config)
    folder = Path(config.recordings)
    (folder / "a.wav").rename(folder / "z.wav")
    (folder / "b.wav").rename(folder.parent / "kept.wav")
    assert counts(take(config)) == (1, 0, 0, 2, 0)
    assert batches(config)["b000002"] == [("z.wav", 1)]
    (folder.parent / "kept.wav").rename(folder / "b.wav")
    shutil.copy(folder / "z.wav", folder / "a.wav")
    taken = take(config)
    assert counts(taken) == (0, 0, 0, 0, 1), "back again without new work; z is a's twin now"
    assert [batch.recordings for batch in taken.plan.batches] == [3, 1]
    with Ledger.open(results(config).ledger, readonly=True) as ledger:
        (twin,) = ledger.current("b000002").values()
        assert twin.duplicate_of == manifests(config)["b000001"][0].recording_id


def test_a_batch_without_current_recordings_leaves_the_plan(config: Config) -> None:
    take(config)
    for value, name in enumerate("abc"):
        speak(Path(config.recordings) / f"{name}.wav", value=50 + value)
    assert [batch.batch for batch in take(config).plan.batches] == ["b000002"]


def test_retries(config: Config) -> None:
    take(config)
    where = results(config)
    ids = [recording.recording_id for recording in manifests(config)["b000001"]]
    put(results(config).root, ".snakescribe/retries", b"1")
    assert counts(take(config)) == (0, 0, 0, 0, 0), "no tables yet, so nothing has failed"
    where.table("recordings", "parquet").parent.mkdir()
    rows = {"recording_id": ids, "status": ["failed", "ok", "failed"], "attempt": [1, 1, 1]}
    rows |= {"error_class": ["TimedOut", None, "TooLong"]}
    parquet.write_table(pa.table(rows), where.table("recordings", "parquet"))
    assert take(config).retried == 0, "the first request is dealt with"
    ask_for_retry(where, ["OutOfMemory", "UnreadableRecording"])
    assert take(config).retried == 0, "nothing has failed of that"
    (Path(config.recordings) / "c.wav").unlink()
    ask_for_retry(where, ["TimedOut", "TooLong"])
    assert take(config).retried == 1, "what is gone is not tried again"
    assert batches(config)["b000002"] == [("a.wav", 2)]
    ask_for_retry(where, [])
    assert take(config).retried == 0, "the tables do not know the new attempt yet"


def test_what_may_be_the_machines_fault_is_tried_again(config: Config) -> None:
    """Without a request, until it was tried ``attempts`` times; another content begins anew."""
    take(config)
    where, seen = results(config), digest(config, walk(config))
    ids = [recording.recording_id for recording in manifests(config)["b000001"]]
    again.leave(where, {ids[0]: 1, ids[2]: 7})
    assert digest(config, walk(config)) != seen, "so that the inventory is taken"
    assert (take(config).retried, batches(config)["b000002"]) == (1, [("a.wav", 2)])
    assert take(config).retried == 0, "the list is of another attempt"
    again.leave(where, {ids[0]: 2})
    assert (take(config).retried, batches(config)["b000003"]) == (1, [("a.wav", 3)])
    again.leave(where, {ids[0]: 3})
    assert take(config).retried == 0
    assert take(config.model_copy(update={"attempts": 4})).retried == 1
    speak(Path(config.recordings) / "a.wav", value=99)
    assert (take(config).changed, batches(config)["b000005"]) == (1, [("a.wav", 5)])
    again.leave(where, {ids[0]: 5})
    assert (take(config).retried, batches(config)["b000006"]) == (1, [("a.wav", 6)])
    again.leave(where, {})
    take(config)
    where.passing.write_bytes(b"{")
    with pytest.raises(ResultsError, match="delete it"):
        take(config)


def test_forgotten_recordings_stay_away(config: Config) -> None:
    take(config)
    with Ledger.open(results(config).ledger) as ledger:
        ledger.forget([manifests(config)["b000001"][0].recording_id])
    plan = take(config).plan
    assert (plan.recordings, plan.seconds) == (2, 1.0)
    os.utime(Path(config.recordings) / "a.wav", (1, 1))
    assert take(config).changed == 0
    speak(Path(config.recordings) / "a.wav", value=77)
    assert take(config).changed == 1


def test_a_sheet(config: Config, tmp_path: Path) -> None:
    sheet = tmp_path / "in/list.csv"
    text = "path,id,language,channels,reference,who\n{}.wav,call,{},left,words,{}\nb.wav,,,,,\n"
    sheet.write_text(text.format("a", "ko", "me"))
    config = configured(tmp_path, recordings="in/list.csv")
    plan = take(config).plan
    assert (plan.recordings, plan.columns) == (2, ("who",))
    first = manifests(config)["b000001"][0]
    assert (first.recording_id, first.language, first.channel_mode) == ("call", "ko", "left")
    sheet.write_text(text.format("a", "ko", "you"))
    assert counts(take(config)) == (0, 0, 0, 0, 0)
    with Ledger.open(results(config).ledger, readonly=True) as ledger:
        assert ledger.current("b000001")["call"].extras == {"who": "you"}
        assert ledger.current("b000001")["call"].reference == "words"
    sheet.write_text(text.format("a", "en", "you"))
    assert take(config).changed == 1
    sheet.write_text(text.format("c", "en", "you"))
    assert take(config).changed == 1
    assert [(b, r[0].path, r[0].attempt) for b, r in manifests(config).items()][1:] == [
        ("b000002", "a.wav", 2),
        ("b000003", "c.wav", 3),
    ]


def test_a_file_that_grows_while_it_is_read_waits(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    growing = Path(config.recordings) / "b.wav"
    real = probe.examine_all

    def meanwhile(*args: object, **kwargs: object) -> object:
        with growing.open("ab") as file:
            file.write(b"more")
        return real(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(taking, "examine_all", meanwhile)
    assert take(config).plan.skipped == {"unsettled": 1}
    monkeypatch.undo()
    assert take(config).new == 1
    assert batches(config)["b000002"] == [("b.wav", 1)]


def test_a_file_that_crashes_the_library_is_a_recording(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(40):
        speak(
            Path(config.recordings) / f"{'crash' if number % 9 == 4 else 'fine'} {number}.wav",
            value=number + 9,
        )
    monkeypatch.setattr(taking, "examine", crashing)
    assert take(config).new == 43
    entries = manifests(config)["b000001"]
    assert len(entries) == 43
    assert sorted(entry.path for entry in entries if entry.probe_error) == sorted(
        f"crash {number}.wav" for number in (4, 13, 22, 31)
    )
    assert all(entry.sha256 for entry in entries)


KILLED = """
import os, signal, sys
from pathlib import Path
from snakescribe.config import read_resolved
from snakescribe.inventory import ledger, manifest, take

def at(owner, name, count):
    real, left = getattr(owner, name), [count]
    def wrapped(*args, **kwargs):
        left[0] -= 1
        if left[0] < 0:
            print("killed in", name, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **kwargs)
    setattr(owner, name, wrapped)

if __name__ == "__main__":
    take.KEEP_EVERY = 0
    where, name, count = sys.argv[2:]
    at({"Ledger": ledger.Ledger, "Manifest": manifest.Manifest, "Plan": take.Plan}[where], name, int(count))
    take.take(read_resolved(Path(sys.argv[1])))
"""


@pytest.mark.parametrize(
    ("where", "name", "count"),
    [
        ("Ledger", "add_contents", 0),
        ("Ledger", "add_contents", 17),
        ("Ledger", "commit", 0),
        ("Manifest", "write", 0),
        ("Manifest", "write", 3),
        ("Plan", "write", 0),
    ],
)
def test_killed_and_started_again(tmp_path: Path, where: str, name: str, count: int) -> None:
    for number in range(30):
        speak(put(tmp_path / "in", f"{number}.wav"), 0.1 * (number % 5 + 1), value=number)
    options = {"recordings": str(tmp_path / "in"), "batch": {"minutes": 0.025}}
    program = tmp_path / "program.py"
    program.write_text(KILLED)
    for run in ("disturbed", "quiet"):
        resolved = load_config(options | {"results": run}, tmp_path)
        (tmp_path / f"{run}.json").write_text(resolved.model_dump_json())
    arguments = [sys.executable, str(program), str(tmp_path / "disturbed.json"), where, name, str(count)]
    killed = subprocess.run(arguments, capture_output=True, text=True)
    assert (killed.returncode, killed.stdout) == (-signal.SIGKILL, f"killed in {name}\n"), killed.stderr
    for run in ("disturbed", "quiet"):
        command = [
            sys.executable,
            "-m",
            "snakescribe",
            "inventory",
            "--config",
            str(tmp_path / f"{run}.json"),
        ]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert "30 recordings" in done.stderr

    def written(run: str) -> dict[str, bytes]:
        folder = tmp_path / run / "inventory"
        return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*.json"))}

    assert len(written("quiet")) > 4
    assert written("disturbed") == written("quiet")


PEAK = """
import re, sys
from pathlib import Path
from snakescribe.config import read_resolved
from snakescribe.inventory.take import take
if __name__ == "__main__":
    take(read_resolved(Path(sys.argv[1])))
    print(int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024)
"""
"""Its own peak; that of ``getrusage`` begins with the one of the process that started it."""


def test_a_name_costs_little_memory(tmp_path: Path) -> None:
    """The first inventory and the next one look up what is known, and keep only what they walked over."""
    program = tmp_path / "program.py"
    program.write_text(PEAK)
    peaks = []
    for folders in (1, 30):
        top = tmp_path / str(folders)
        first = speak(put(top / "in", "0/0.wav"))
        for folder in range(folders):
            (top / f"in/{folder}").mkdir(exist_ok=True)
            for number in range(folder == 0, 1000):
                os.link(first, top / f"in/{folder}/{number}.wav")
        config = load_config({"recordings": "in", "results": "out"}, top)
        (top / "c.json").write_text(config.model_dump_json())
        command = [sys.executable, str(program), str(top / "c.json")]
        peaks.append([int(subprocess.run(command, capture_output=True, check=True).stdout) for _ in range(2)])
    each = [(large - small) / 29_000 for small, large in zip(*peaks, strict=True)]
    print(f"{each[0]:.0f} bytes per name, {each[1]:.0f} when nothing is new")
    assert each[0] < 1000 and each[1] < 1000, peaks


def test_an_error_is_one_line_and_its_exit_code(tmp_path: Path) -> None:
    config = load_config({"recordings": "none", "results": "out"}, tmp_path)
    (tmp_path / "c.json").write_text(config.model_dump_json())
    command = [sys.executable, "-m", "snakescribe", "inventory", "--config", str(tmp_path / "c.json")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 3
    assert done.stderr.startswith("snakescribe: InputError: recordings: ")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def planned(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    (tmp_path / "c.yaml").write_text(f"recordings: {tmp_path}/in\nresults: {tmp_path}/out\n")
    parser = argparse.ArgumentParser()
    plan_command.register(parser)
    assert plan_command.run(parser.parse_args(["--configfile", str(tmp_path / "c.yaml")])) == 0
    return dict(line.split(": ", 1) for line in capsys.readouterr().out.splitlines())


def test_planning_says_what_a_run_would_do_and_writes_nothing(
    config: Config,
    models_root: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SNAKESCRIBE_MODELS", str(models_root))
    config = configured(tmp_path, models=str(models_root))
    put(tmp_path / "in", "notes.txt")
    lines = planned(tmp_path, capsys)
    assert lines["to do"] == "3 recordings, 2 s, in 1 batch"
    assert lines["new"] == "3 new, 0 changed, 0 to be retried"
    assert lines["skipped"] == "1 other file, taken for no recordings: 1 .txt (notes.txt)"
    assert "no measurement yet, assuming" in lines["basis"]
    assert not (tmp_path / "out").exists()

    take(config)
    where = results(config)
    put(where.root, "batches/b000001.parquet")
    finished = {"options": options_digest(config, configured_model(config))}
    write_atomically(where.progress("b000001"), json.dumps(finished).encode())
    where.table("recordings", "parquet").parent.mkdir()
    rows = {
        "model": ["base", "base", "tiny"],
        "cached": [False, True, False],
        "wall_seconds": [5.0, 0.0, 1.0],
        "duration": [10.0, 10.0, 10.0],
    }
    parquet.write_table(pa.table(rows), where.table("recordings", "parquet"))
    speak(tmp_path / "in/d.wav", seconds=360)
    before = sorted((path, path.stat().st_mtime_ns) for path in where.root.rglob("*"))
    lines = planned(tmp_path, capsys)
    assert lines["done"].startswith("3 recordings")
    assert lines["to do"] == "1 recording, 6.0 min, in 1 batch"
    assert lines["time"].startswith("about 3.2 min")  # 15 s of them beside the audio
    assert "0.500 s per second of audio, median of 1 recording done" in lines["basis"]
    assert lines["disk"].startswith("up to 0.01 GB")
    assert sorted((path, path.stat().st_mtime_ns) for path in where.root.rglob("*")) == before


def test_what_goes_away_meanwhile_was_not_seen(config: Config, tmp_path: Path) -> None:
    """A share that is gone for a moment: when the file is back, there is something to do."""
    walked, path, away = walk(config), Path(config.recordings) / "c.wav", tmp_path / "away"
    path.rename(away)
    assert take(config, walked).new == 2
    assert results(config).seen.read_text() == digest(config, walk(config))
    away.rename(path)
    assert results(config).seen.read_text() != digest(config, walk(config))
    assert take(config).new == 1


def test_a_name_that_tells_nothing_and_cannot_be_read_is_looked_at_again(config: Config) -> None:
    (Path(config.recordings) / "call").symlink_to("/proc/self/mem")  # a regular file that answers EIO
    assert take(config).new == 3
    assert results(config).seen.read_text() != digest(config, walk(config)), "the next run looks at it"
    (Path(config.recordings) / "call").unlink()
    speak(Path(config.recordings) / "d.wav", value=4).rename(Path(config.recordings) / "call")
    assert take(config).new == 1
