"""The proof of the GPU path (benchmarks/gpu.sh), tried on the CPU: the same steps, with less of everything."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import torch
from whisper.model import ModelDimensions, Whisper

from benchmarks.gpu import __main__ as proof
from benchmarks.gpu import memory, milliseconds, proofs, speed
from benchmarks.gpu.common import Row, Run, read, samples
from benchmarks.gpu.weights import hugging_face_names, random_model
from benchmarks.machine import ROOT
from snakescribe import known_clip
from snakescribe.models.ct2 import open_ctranslate2

DIMS = {"n_mels": 80, "n_audio_ctx": 1500, "n_vocab": 51865, "n_text_ctx": 448} | speed.TRIAL


@pytest.fixture
def run(tmp_path: Path, models_root: Path) -> Iterator[Run]:
    """A folder with the known clip alone, and what is said in it."""
    data = tmp_path / "data"
    data.mkdir()
    (data / "clip.flac").write_bytes(known_clip.PATH.read_bytes())
    manifest = f"path\tlanguage\tduration_s\tkind\treference\nclip.flac\ten\t4.9\tread\t{known_clip.TEXT}\n"
    (data / "manifest.tsv").write_text(manifest, encoding="utf-8")
    yield Run("cpu", tmp_path / "out", data, models_root, "tiny.en", 1, str(tmp_path))


def proved(rows: list[Row]) -> set[bool | None]:
    return {row.proved for row in rows}


def test_every_precision_hears_the_clip_or_says_why_it_cannot_run(run: Run) -> None:
    rows = list(proofs.texts(run))
    assert proved(rows) == {True, None}
    assert rows[0].found.startswith("0 errors in 13 words") and "1 recordings" in rows[0].found
    told = {row.what: row.found for row in rows}
    assert told["cpu ctranslate2 float32"] == "0 errors, 0 texts differ"
    assert "needs CUDA" in told["cpu torch_whisper float16"]


def test_without_references_the_first_text_is_one(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A word that differs is no failure of a precision, other words are."""
    (run.data / "manifest.tsv").unlink()
    heard = iter(("one two three four", "one two three for", "nothing of it at all"))
    monkeypatch.setattr(proofs, "read", lambda *_: {"clip.flac": next(heard)})
    monkeypatch.setattr(proofs, "precisions", lambda: [("ctranslate2", "float32"), ("ctranslate2", "int8_float32")])
    first, *others = proofs.texts(run)
    assert first.found.startswith("no references: its 4 words")
    assert [(row.found, row.proved) for row in others] == [
        ("1 errors, 1 texts differ", True),
        ("5 errors, 1 texts differ", False),
    ]


def test_a_clip_that_was_not_tried_is_not_proved(run: Run) -> None:
    """Without weights the doctor only warns of it."""
    found = {row.what: row for row in proofs.facts(replace(run, models=run.data))}
    assert found["doctor, known clip"] == Row(
        "doctor, known clip", "it was not transcribed: mend the rest first", False
    )


def test_a_precision_that_hears_otherwise_is_not_proved(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = iter(range(99))
    monkeypatch.setattr(proofs, "read", lambda *_: {"clip.flac": known_clip.TEXT if not next(calls) else "nothing"})
    monkeypatch.setattr(proofs, "precisions", lambda: [("ctranslate2", "float32")])
    assert [row.proved for row in proofs.texts(run)] == [None, False]


def test_the_way_back_when_memory_runs_out(run: Run) -> None:
    """In a process of its own: what it may map is limited, really."""
    code = "from pathlib import Path\nfrom benchmarks.gpu.common import Run\nfrom benchmarks.gpu import memory\n"
    code += f"paths = [Path(text) for text in {[str(run.out), str(run.data), str(run.models)]!r}]\n"
    code += "print(*memory.memory(Run('cpu', *paths, 'tiny.en', 1)), sep='\\n')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    lines = done.stdout.splitlines()
    assert len(lines) == 2 and all("proved=True" in line for line in lines), done.stdout + done.stderr
    assert "they go one by one" in lines[1] and "0 texts differ" in lines[1]


def test_windows_of_noise_get_as_many_tokens_as_they_may(run: Run) -> None:
    prepared = random_model("large-v3", DIMS, run.scratch("random"), "cpu")
    for engine in ("torch_whisper", "ctranslate2"):
        backend = run.backend(prepared, engine=engine)
        assert speed._windows(backend, prepared, windows=2, tokens=32)
    assert not speed._windows(backend, prepared, windows=2, tokens=40)  # CTranslate2 went on
    halves = dict(open_ctranslate2(prepared.ctranslate2).tensors)
    model = Whisper(ModelDimensions(**DIMS))
    model.load_state_dict(halves)
    assert halves["encoder.blocks.0.attn.query.weight"].std() == pytest.approx(0.02, rel=0.1)


def test_the_parts_are_measured_beside_the_machine(run: Run) -> None:
    prepared = random_model("large-v3", DIMS, run.scratch("random"), "cpu")
    told = {row.what.rpartition(": ")[2]: row.found for row in milliseconds.milliseconds(run, prepared)}
    assert next(iter(told)) == "matrix product, copy" and "TFLOP/s" in told["matrix product, copy"]
    assert "ms a window" in told["encoder, 2 windows"]
    assert "ms, " in told["step of 2 windows, 8 hypotheses"]


def test_operations_of_keys_are_those_that_torch_counts(run: Run) -> None:
    from torch.utils.flop_counter import FlopCounterMode

    from benchmarks.encoder import flops

    prepared = random_model("large-v3", DIMS, run.scratch("random"), "cpu")
    backend = run.backend(prepared, engine="torch_whisper", compute_type="float32")
    with FlopCounterMode(display=False) as counter, torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        backend.encode([torch.zeros(80, 3000)])
    assert counter.get_total_flops() == flops(DIMS) + milliseconds.keys_flops(DIMS)


def test_bytes_of_a_step_are_its_weights_and_keys(run: Run) -> None:
    prepared = random_model("large-v3", DIMS, run.scratch("random"), "cpu")
    backend = run.backend(prepared, engine="torch_whisper", compute_type="float32")
    memory_ = backend.encode([torch.zeros(80, 3000)])
    state = open_ctranslate2(prepared.ctranslate2).tensors
    read_ = [w for name, w in state.items() if name.startswith("decoder.") and "positional" not in name]
    unread = [w for name, w in state.items() if "cross_attn.key" in name or "cross_attn.value" in name]
    numbers = sum(w.numel() for w in read_) - sum(w.numel() for w in unread)
    keys, own = 2 * 2 * 1500 * 128, 2 * 2 * milliseconds.BEAM * 14 * 128
    assert milliseconds.step_bytes(backend, memory_, 20) == 4 * (numbers + keys + own)  # type: ignore[arg-type]


def test_names_of_hugging_face_are_whole(models_root: Path) -> None:
    state = open_ctranslate2(models_root / "tiny.en/ctranslate2").tensors
    names = hugging_face_names(state)
    assert len(names) == len(state) + 1
    for name in (
        "model.encoder.layers.0.self_attn.q_proj.weight",
        "model.decoder.layers.3.encoder_attn_layer_norm.bias",
        "model.decoder.layers.3.final_layer_norm.bias",
        "model.encoder.layer_norm.weight",
        "model.decoder.layer_norm.weight",
        "model.decoder.embed_positions.weight",
        "model.encoder.layers.1.fc2.bias",
        "proj_out.weight",
    ):
        assert name in names


def test_a_step_that_fails_is_told_and_the_next_one_runs(run: Run) -> None:
    """Nothing is there that could be proved: exit code 1, and every step has its line. All paths are relative."""
    (run.data / "manifest.tsv").unlink()
    (run.data / "clip.flac").unlink()
    others = run.out.with_name("out-scratch")
    others.mkdir()
    command = [str(ROOT / "benchmarks/gpu.sh"), "run", "out", "--device", "cpu", "--model", "tiny.en", "--data", "data"]
    command += ["--models", os.path.relpath(run.models, run.out.parent), "--only", "turns", "texts"]
    here = os.environ | {"PYTHON": os.path.relpath(sys.executable, run.out.parent)}
    done = subprocess.run(command, capture_output=True, text=True, env=here, cwd=run.out.parent)
    assert done.returncode == 1, done.stderr
    assert {path.name for path in run.out.iterdir()} == {"log.txt", "rows.jsonl", "table.md"} and others.is_dir()
    rows = [json.loads(line) for line in (run.out / "rows.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if row["what"] == "ended"] == ["turns", "texts"]
    table = (run.out / "table.md").read_text()
    assert "- turns, three runs: need three recordings" in table and "| texts | ended |" in table
    assert "- texts, cpu torch_whisper float32: nothing is heard in 0 recordings" in table


def test_what_is_there_and_torch_are_not_carried(tmp_path: Path) -> None:
    """With the hashes of all that is."""
    (tmp_path / "there.txt").write_text("NumPy==2.5.2\npydantic_core @ file:///x.whl\n")
    script = f'source <(sed -n "/^wanted/,/^}}/p" {ROOT}/benchmarks/gpu.sh); wanted {ROOT}/requirements/runtime.txt'
    has = os.environ | {"HAS": str(tmp_path / "there.txt")}
    lines = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, env=has, check=True
    ).stdout.splitlines()
    names = {line.partition("==")[0] for line in lines if not line.startswith(" ")}
    locked = (ROOT / "requirements/runtime.txt").read_text().splitlines()
    every = {line.partition("==")[0] for line in locked if line[:1].isalnum()}
    assert every - names == {"numpy", "pydantic-core", "torch"} and {"ctranslate2", "pydantic"} < names
    assert lines[0].startswith("annotated-doc==") and "--hash=sha256:" in lines[1]


@pytest.mark.parametrize(
    ("there", "named", "told"),
    [
        ([0, 1], {0: "", 1: ""}, ""),
        ([0, 1], {0: "", 1: "f" * 64}, "piece.001: FAILED"),
        ([0, 1, 2], {0: "", 1: ""}, "not those that SHA256SUMS names"),
        ([0, 1], {0: "", 1: "f"}, "not those that SHA256SUMS names"),
        ([0, 1], {0: ""}, "not those that SHA256SUMS names"),
        ([0, 2], {0: "", 2: ""}, "or one is missing"),
        ([0], {0: "", 1: ""}, "not those that SHA256SUMS names"),
    ],
)
def test_pieces_are_unpacked_when_each_has_its_sum(
    tmp_path: Path, there: list[int], named: dict[int, str], told: str
) -> None:
    (tmp_path / "file").write_bytes(b"x" * 9000)
    whole = subprocess.run(["tar", "-c", "-C", str(tmp_path), "file"], capture_output=True, check=True).stdout
    parts = {number: whole[number * 6000 : (number + 1) * 6000] for number in range(3)}
    for number in there:
        (tmp_path / f"piece.{number:03}").write_bytes(parts[number])
    sums = {number: wrong or hashlib.sha256(parts[number]).hexdigest() for number, wrong in named.items()}
    (tmp_path / "SHA256SUMS").write_text("".join(f"{sum_}  piece.{number:03}\n" for number, sum_ in sums.items()))
    command = [str(ROOT / "benchmarks/gpu.sh"), "unpack", str(tmp_path), str(tmp_path / "into")]
    here = os.environ | {"PYTHON": sys.executable}
    done = subprocess.run(command, capture_output=True, text=True, env=here)
    assert done.returncode and told in done.stdout + done.stderr  # there is no checkout in it
    assert (tmp_path / "into/file").exists() == (not told)


def test_a_step_that_hangs_is_ended(run: Run) -> None:
    run.out.mkdir()
    row = proof._ended(run, "facts", 0.1, [])
    assert row.proved is False and row.found == "not within 0 s; see log.txt"


def test_a_step_without_a_proof_is_not_proved(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run.out.mkdir()
    monkeypatch.setattr(proof.sys, "executable", shutil.which("true"))
    row = proof._ended(run, "facts", 60, [])
    assert row.proved is False and row.found.endswith(" s, and proved nothing")


@pytest.mark.parametrize(("how", "code"), [(signal.SIGTERM, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_a_run_that_is_ended_ends_its_step(run: Run, how: signal.Signals, code: int) -> None:
    command = [sys.executable, "-m", "benchmarks.gpu", "--device", "cpu", "--only", "large-v3", "--out", str(run.out)]
    command += ["--data", str(run.data), "--models", str(run.models), "--model", "tiny.en"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) as process:
        steps: list[psutil.Process] = []
        while not any("--step" in step.cmdline() for step in steps):
            assert process.poll() is None
            steps = psutil.Process(process.pid).children()
        process.send_signal(how)
    assert process.returncode == code
    assert psutil.wait_procs(steps, timeout=2)[1] == []
    if how == signal.SIGTERM:
        assert "- large-v3, ended: stopped from outside" in (run.out / "table.md").read_text()
        assert not list(run.out.glob("scratch-*"))


def test_a_machine_without_a_card_is_told_in_a_line(run: Run) -> None:
    command = [str(ROOT / "benchmarks/gpu.sh"), "run", str(run.out), "--data", str(run.data)]
    here = os.environ | {"PYTHON": sys.executable, "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, capture_output=True, text=True, env=here)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1) and "--device cpu tries this script" in done.stderr
    assert not run.out.exists()
    without_out = subprocess.run([command[0], "run", "--device", "cpu"], capture_output=True, text=True)
    assert without_out.returncode == 2 and "run OUT" in without_out.stderr


def test_a_folder_that_is_not_there_is_told_in_a_line(run: Run) -> None:
    command = [sys.executable, "-m", "benchmarks.gpu", "--device", "cpu", "--out", str(run.out), "--data", "nowhere"]
    done = subprocess.run([*command, "--models", str(run.models)], capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1) and "nowhere: there is no such folder" in done.stderr
    assert not run.out.exists()


def test_recordings_without_a_manifest_are_measured_by_their_sound(run: Run) -> None:
    (run.data / "manifest.tsv").unlink()
    (run.data / "not sound.txt").write_text("x")
    (one,) = run.recordings(60)
    assert (one.path, one.references) == ("clip.flac", ()) and one.seconds == pytest.approx(4.88, abs=0.01)
    heard = read(run.open(), run.config(), {"": samples(run.data / one.path)}, "en")
    assert known_clip.matches(heard[""])


def test_the_peak_is_what_was_held() -> None:
    before = memory.in_use("cpu")
    held = torch.ones(30_000_000)
    assert 100e6 < memory.peak("cpu") - before < 200e6
    del held
