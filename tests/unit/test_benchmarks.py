"""The benchmark's own arithmetic: errors, turns, resuming, measuring, the document."""

import io
import json
import os
import struct
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from whisper.model import AudioEncoder, disable_sdpa
from whisper.tokenizer import get_encoding

from benchmarks import compare, encoder, machine, plot, records, scale, weights
from benchmarks.bench import Bench
from benchmarks.folder import BenchmarkError, Folder, Recording, read_folder
from benchmarks.measure import measured
from benchmarks.report import Result, document, ratios, result
from benchmarks.score import groups, score
from snakescribe import known_clip
from snakescribe.evaluation.counts import Errors
from snakescribe.files import hold_lock
from snakescribe.models import Store
from snakescribe.models.ct2 import open_ctranslate2


def recording(path: str, language: str, *references: str, kind: str = "read") -> Recording:
    return Recording(path, language, 10.0, kind, references)


def test_score_of_a_folder() -> None:
    found = score(
        [
            recording("a", "en", "seven o'clock", "7 o'clock"),
            recording("b", "en", "one", kind="digits"),
            recording("c", "ko", "가나다라"),
            recording("d", ""),
            recording("e", "de", "eins zwei"),
            replace(recording("f", "", kind="broken"), seconds=0.0),
        ],
        {"a": "7 o'clock", "b": "won", "c": "가나다", "d": "thank you", "f": "what is left of it"},
    )
    assert found["en"].total == 0 and found["en"].units == 2
    assert found["ko"] == Errors(deletions=1, units=4)
    assert found[""] == Errors(invented=2)
    pooled = groups(found)
    assert list(pooled) == ["en", "fr", "ko", "others", "all"]
    assert pooled["fr"].rate is None and pooled["ko"].rate == 0.25
    assert pooled["others"] == Errors(deletions=2, units=2, invented=2)
    assert pooled["all"] == Errors(deletions=3, units=8, invented=2)


def test_every_round_begins_with_another_system() -> None:
    assert list(records.turns(["a", "b"], 3)) == [(0, "a"), (0, "b"), (1, "b"), (1, "a"), (2, "a"), (2, "b")]


def test_one_benchmark_works_in_a_folder(tmp_path: Path) -> None:
    """The report, which only reads, is written meanwhile."""
    held = hold_lock(tmp_path / "lock", "")
    told = {}
    for verb in ("compare", "report"):
        command = [sys.executable, "-m", "benchmarks", verb, "--work", str(tmp_path), "--data", str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=machine.ROOT)
        told[verb] = done.stderr
        assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
    os.close(held)
    assert f"another benchmark works in {tmp_path}" in told["compare"]
    assert "has no manifest.tsv" in told["report"]


def row(name: str, number: int, **more: Any) -> dict[str, Any]:
    usual = {"kind": "compare", "name": name, "state": f"{name} 1", "round": number, "exit_code": 0}
    machine = {"cpu": "Zen", "flags": ["avx2"], "cores": 2, "memory_gb": 24, "system": "Linux"}
    usage = {"wall_s": 10.0 + number, "cpu_s": 20.0 + number, "peak_mb": 500.0, "other_cpu_s": 0.0}
    where = {
        "setting": {"machine": machine, "model": "base", "data": "x"},
        "date": "2026-11-23T00:00:00",
        "version": "1",
    }
    return usual | usage | where | more


def test_a_stopped_benchmark_goes_on_where_it_was(tmp_path: Path) -> None:
    raw = tmp_path / "raw.jsonl"
    records.append(raw, row("a", 0))
    records.append(raw, row("b", 0, exit_code=1))
    with raw.open("ab") as file:
        file.write(json.dumps(row("a", 1)).encode()[:40])  # the machine went down here
    records.append(raw, row("b", 1))
    states = {"a": "a 1", "b": "b 1"}
    assert records.pending(records.read_rows(raw), "compare", states, 2) == [(0, "b"), (1, "a")]
    assert records.pending(records.read_rows(raw), "compare", states | {"b": "b 2"}, 1) == [(0, "b")]
    assert records.pending(records.read_rows(raw), "scale", states, 1) == [(0, "a"), (0, "b")]


def test_the_report_takes_the_newest_version_on_the_newest_machine() -> None:
    elsewhere = {"setting": {"machine": "other"}}
    rows = [row("a", 0, **elsewhere), row("a", 0), row("b", 0), row("a", 0, state="a 2"), row("b", 1, exit_code=1)]
    found = records.current(rows, "compare")
    assert {name: [(r["state"], r["round"]) for r in some] for name, some in found.items()} == {
        "a": [("a 2", 0)],
        "b": [("b 1", 0)],
    }


def test_nothing_is_run_twice(models_root: Path, tmp_path: Path) -> None:
    folder = Folder(tmp_path, (recording("a.wav", "en", "one two"),), "x")
    bench = Bench(tmp_path, folder, Store(models_root), "tiny.en", 1, tmp_path)
    (ours,) = compare.systems(bench, ["ours"])
    records.append(bench.raw, row("ours", 0, state=ours.state))
    before = bench.raw.read_bytes()
    assert compare.run(bench, 1, ["ours"]) == 0
    assert bench.raw.read_bytes() == before
    other = Bench(tmp_path, folder, Store(models_root), "tiny.en", 2, tmp_path)
    assert compare.systems(other, ["ours"])[0].state != ours.state
    with pytest.raises(BenchmarkError, match="no system is called 'theirs'"):
        compare.run(bench, 1, ["theirs"])


TREE = """
import os, subprocess, sys, time
left = sys.argv[1]
burn = "import time\\nheld = bytearray(80_000_000)\\nwhile time.process_time() < 0.7: pass\\ntime.sleep(0.7)"
if os.fork():
    subprocess.run([sys.executable, "-c", burn])
    while not os.path.exists(left):
        time.sleep(0.01)
    sys.exit(3)
if sys.argv[2] == "in its own session":
    os.setsid()
while time.process_time() < 0.7: pass
open(left + ".part", "w").write(str(os.getpid()))
os.rename(left + ".part", left)
time.sleep(3600)
"""


@pytest.mark.parametrize("where", ["in the group", "in its own session"])
def test_measuring_counts_the_whole_tree_and_ends_what_is_left(tmp_path: Path, where: str) -> None:
    left = tmp_path / "left"
    with subprocess.Popen(["sleep", "60"]) as other:
        usage = measured([sys.executable, "-c", TREE, str(left), where], [0], tmp_path / "log")
        assert other.poll() is None
        other.kill()
    assert not psutil.pid_exists(int(left.read_text()))
    assert usage.exit_code == 3
    assert usage.cpu_s > 1.4 and usage.wall_s > 1.4
    assert usage.peak_mb > 80


def sums(name: str, wall: float, cpu: float, wrong: int, invented: int = 0) -> Result:
    errors = {group: Errors(wrong, units=100, invented=invented) for group in ("en", "fr", "ko", "others", "all")}
    return Result(name, "1", 3, (wall, wall, wall), (cpu, cpu, cpu), 500.0, errors, 0)


def test_ratios_are_a_peers_to_ours() -> None:
    table = ratios([sums("ours", 10, 20, 12, 1), sums("openai-greedy", 85, 230, 10, 6)])
    assert table.splitlines()[-1] == "| openai-greedy | 11.50 | 8.50 | 1.00 | -2 | +3 |"


def test_medians_and_the_errors_of_the_run_in_the_middle() -> None:
    rows = [row("a", 0, other_cpu_s=9.0), row("a", 4), row("a", 1)]
    scored = [{"en": Errors(insertions=count, units=10)} for count in (5, 1, 2)]
    found = result("a", rows, scored)
    assert (found.wall, found.cpu, found.disturbed) == ((11, 10, 14), (21, 20, 24), 1)
    assert found.errors["all"].insertions == 2


def test_the_document() -> None:
    folder = Folder(Path(), (recording("a", "en", "x"), recording("b", "ko", "x")), "x")
    software = {"kind": "software", "software": {"python": "3.11.7", "zzz": "1", "commit": "abc"}}
    speed = {
        "flops": 8e10,
        "peaks": {"float32": 8e10},
        "encoders": [{"engine": "e", "compute_type": "t", "seconds": 2.0}],
    }
    point = {"kind": "scale", "series": "count", "seconds": 3.6}
    rows = [
        software,
        row("ours", 0),
        row("encoder", 0, kind="encoder", **speed),
        row("10", 0, count=10, cpu_s=10.0, **point),
        row("100", 0, count=100, cpu_s=19.0, **point),
    ]
    text = document(
        folder, rows, [sums("ours", 5, 20, 12), sums("openai-greedy", 85, 230, 10), sums("ours x", 1, 2, 3)]
    )
    assert "Zen, 2 cores" in text and "commit abc" in text and "languages en, ko" in text
    assert "| ours | 3 | 5.0 (5.0–5.0) | 20.0 (20.0–20.0) | 500 | 4.0 | 12 / 0 / 0 | 0 | 0.120 |" in text
    assert text.index("## Our variants") < text.index("| ours x |")
    assert "| e t | 2.000 | 40 | 50% |" in text
    assert "| 100 | 3.6 | 1 | 6.0 | 10.0 | 19.0 | 500 | 190 | 100 |" in text
    with pytest.raises(BenchmarkError, match="nothing has been measured"):
        document(folder, [software], [])


def test_the_curve_is_what_no_other_beats() -> None:
    spots = [plot.Spot(name, cost, rate, True) for name, cost, rate in (("a", 3, 0.1), ("b", 1, 0.2), ("c", 2, 0.3))]
    assert [spot.name for spot in plot.frontier(spots)] == ["b", "a"]


def test_the_encoders_operations_are_those_that_torch_counts() -> None:
    dims = {"n_mels": 80, "n_audio_state": 64, "n_audio_layer": 2}
    with FlopCounterMode(display=False) as counter, torch.inference_mode(), disable_sdpa():
        AudioEncoder(80, 1500, 64, 2, 2)(torch.zeros(1, 80, 3000))
    assert encoder.flops(dims) == counter.get_total_flops()


def test_scale_series_hold_the_same_audio_in_ever_longer_recordings() -> None:
    lengths = [point for point in scale.points(1) if point.series == "length"]
    assert [(point.count, point.seconds) for point in lengths] == [(3600, 1), (360, 10), (60, 60), (6, 600), (1, 3600)]
    assert [(p.count, p.seconds) for p in scale.points(1) if p.series == "count"] == [
        (10, 3.6),
        (100, 3.6),
        (1000, 3.6),
    ]
    assert max(point.count * point.seconds for point in scale.points(0.05)) <= 180


def test_no_recording_repeats_another(tmp_path: Path) -> None:
    speech = np.random.default_rng(0).integers(-9000, 9000, 16_000 * 7 + 5, np.int16)
    scale.cut(speech, scale.Point("length", 300, 1.0), tmp_path / "cuts")
    cuts = [path.read_bytes() for path in (tmp_path / "cuts").iterdir()]
    assert len(cuts) == len(set(cuts)) == 300 and {len(cut) for cut in cuts} == {44 + 32_000}


def test_merges_build_every_token() -> None:
    ranks = get_encoding("multilingual", 99)._mergeable_ranks
    longer = [token for token in ranks if len(token) > 1]
    for token in longer[::7]:
        left, right = weights._halves(token, ranks)
        assert left + right == token and max(ranks[left], ranks[right]) < ranks[token]


def test_whisper_cpps_file_holds_the_same_weights(models_root: Path) -> None:
    model = Store(models_root).resolve("tiny.en")
    out = io.BytesIO()
    checkpoint = open_ctranslate2(model.ctranslate2)
    weights.write_ggml(checkpoint, out)
    data = memoryview(out.getvalue())
    assert struct.unpack_from("<12i", data) == (0x67676D6C, *(model.dims[n] for n in weights.HYPERPARAMETERS), 1)
    mels, bins, at = *struct.unpack_from("<2i", data, 48), 56
    assert (mels, bins) == (80, 201)
    at += 4 * mels * bins
    (tokens,) = struct.unpack_from("<i", data, at)
    at += 4
    for _ in range(tokens):
        at += 4 + struct.unpack_from("<i", data, at)[0]
    for name, tensor in checkpoint.tensors.items():
        count, length, half = struct.unpack_from("<3i", data, at)
        shape = struct.unpack_from(f"<{count}i", data, at + 12)[::-1]
        at += 12 + 4 * count
        assert bytes(data[at : at + length]) == name.encode()
        kind = np.dtype("<f2" if half else "<f4")
        found = np.frombuffer(data, kind, int(np.prod(shape)), at + length)
        np.testing.assert_array_equal(found, tensor.float().numpy().ravel())
        at += length + found.nbytes
    assert at == len(data)


def test_a_folder_that_cannot_be_scored_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="make bench DATA="):
        read_folder(tmp_path)
    manifest = tmp_path / "manifest.tsv"
    manifest.write_text("path\tlanguage\tduration_s\tkind\treference\na.wav\ten\t1.5\tread\t\n")
    with pytest.raises(BenchmarkError, match=r"a\.wav, which is not there"):
        read_folder(tmp_path)
    (tmp_path / "a.wav").write_bytes(b"x")
    with pytest.raises(BenchmarkError, match="no row has a reference"):
        read_folder(tmp_path)
    manifest.write_text(manifest.read_text().replace("read\t", 'read\tsaid "so'))
    manifest.write_bytes(b"\xef\xbb\xbf" + manifest.read_bytes().replace(b"\na.wav", b"\n.//a.wav"))  # of a spreadsheet
    assert read_folder(tmp_path).recordings == (Recording("a.wav", "en", 1.5, "read", ('said "so',)),)


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ("a.wav\ten\t1\tread\tx\n./a.wav\ten\t1\tread\tx", "same recording twice, a.wav and a.wav"),
        ("a.wav\ten\t1\tread\tx\ncopy.wav\ten\t1\tread\tx", "same recording twice, a.wav and copy.wav"),
        ("../a.wav\ten\t1\tread\tx", "line 2: ../a.wav is not a path inside"),
        ("/a.wav\ten\t1\tread\tx", "line 2: /a.wav is not a path inside"),
        ("a.wav\ten\tnan\tread\tx", "line 2: duration_s 'nan' is no number"),
        ("a.wav\ten\t0\tread\tx", "duration_s '0' is no number"),
        ("a.wav\ten\t-1\tread\tx", "duration_s '-1' is no number"),
        ("a.wav\ten\tinf\tread\tx", "duration_s 'inf' is no number"),
        ("a.wav\ten\tlong\tread\tx", "duration_s 'long' is no number"),
        ("\na.wav\ten\t1\tread", "line 3: the cell of 'reference' is missing"),
        ("a.wav\ten\t1\tread\tx\ty", "line 2: there are more cells than columns"),
        ("a.wav\ten\t1\tread\t\xe9", "no table in UTF-8"),
    ],
)
def test_a_row_that_cannot_be_right_is_refused(tmp_path: Path, rows: str, told: str) -> None:
    for name in ("a.wav", "copy.wav"):
        (tmp_path / name).write_bytes(b"x")
    text = f"path\tlanguage\tduration_s\tkind\treference\n{rows}\n"
    (tmp_path / "manifest.tsv").write_bytes(text.encode("latin-1"))
    with pytest.raises(BenchmarkError) as error:
        read_folder(tmp_path)
    assert told in str(error.value) and "\n" not in str(error.value)


def test_ours_reads_what_the_manifest_names_and_nothing_else(models_root: Path, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    (folder / "en, more").mkdir(parents=True)
    (folder / "en, more/clip.flac").write_bytes(known_clip.PATH.read_bytes())
    (folder / "other.flac").write_bytes(known_clip.PATH.read_bytes() + b"another")
    row = f"./en, more/clip.flac\ten\t4.9\tread\t{known_clip.TEXT}"
    (folder / "manifest.tsv").write_text(f"path\tlanguage\tduration_s\tkind\treference\n{row}\n")
    bench = Bench(tmp_path / "work", read_folder(folder), Store(models_root), "tiny.en", 1, tmp_path)
    bench.work.mkdir()
    assert compare.run(bench, 1, ["ours"]) == 0
    heard = compare.texts(bench, records.read_rows(bench.raw)[0])
    assert list(heard) == ["en, more/clip.flac"] and known_clip.matches(heard["en, more/clip.flac"])
