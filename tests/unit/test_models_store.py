"""Finding prepared models by name and path, and saying what to run when they are not as they should be."""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from snakescribe.cli import main
from snakescribe.errors import ModelError
from snakescribe.models import Store, prepare
from snakescribe.models.checkpoint import Checkpoint, save_openai
from snakescribe.models.ct2 import open_ctranslate2
from snakescribe.models.fetch import fetch
from snakescribe.models.prepare import import_path
from snakescribe.models.store import CONVERSION, REPLACED


@pytest.fixture
def store(models_root: Path, tmp_path: Path) -> Store:
    """A store of one's own with tiny.en in it; its files are links: replaced, never written to."""
    root = tmp_path / "모델 store"
    for file in models_root.glob("tiny.en/**/*"):
        if file.is_file():
            target = root / file.relative_to(models_root)
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                target.hardlink_to(file)
            except OSError:
                shutil.copy(file, target)
    return Store(root)


def flip_a_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.unlink()
    path.write_bytes(data)


def fine_tuned(store: Store, path: Path) -> Path:
    """tiny.en with one other number, as somebody's own .pt file."""
    weights = open_ctranslate2(store.resolve("tiny.en").ctranslate2)
    tensors = dict(weights.tensors)
    tensors["decoder.ln.bias"] += 0.25
    path.parent.mkdir(parents=True, exist_ok=True)
    save_openai(Checkpoint(weights.dims, tensors), path)
    return path


def test_resolve_reads_no_weights_and_imports_no_torch(models_root: Path) -> None:
    code = f"""if True:
        import sys
        from pathlib import Path
        from snakescribe.models import Store
        store = Store(Path({str(models_root)!r}))
        print(store.resolve("base"))
        print(store.silero())
        assert not {{"torch", "ctranslate2", "numpy", "rich"}} & sys.modules.keys()
    """
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "multilingual=True" in shown and "silero_vad.onnx" in shown


def test_what_is_missing_is_said_with_the_command(store: Store) -> None:
    command = f"snakescribe models fetch large-v3-turbo --models {shlex.quote(str(store.root))}"
    with pytest.raises(ModelError) as caught:
        store.resolve("turbo")
    said = str(caught.value)
    assert said.startswith("model turbo is not prepared; run: ") and said.endswith(command)
    with pytest.raises(ModelError, match=r"did you mean 'tiny\.en'"):
        store.resolve("tiny-en")
    with pytest.raises(ModelError, match=r"^model /no/such\.pt: there is no such file or folder$"):
        store.resolve("/no/such.pt")
    with pytest.raises(ModelError, match=rf"run: .*snakescribe models import {Path(__file__)}"):
        store.resolve(__file__)
    with pytest.raises(ModelError, match="snakescribe models fetch silero"):
        store.silero()


def test_a_lost_or_cut_file_is_noticed_at_once(store: Store) -> None:
    model = store.resolve("tiny.en")
    vocabulary = model.ctranslate2 / "vocabulary.json"
    content = vocabulary.read_bytes()
    vocabulary.unlink()
    with pytest.raises(ModelError, match=r"vocabulary\.json is missing; run: \S*snakescribe models fetch tiny\.en"):
        store.resolve("tiny.en")
    vocabulary.write_bytes(content[:-1])
    with pytest.raises(ModelError, match=f"has {len(content) - 1} bytes instead of {len(content)}"):
        store.resolve("tiny.en")


def test_verify_names_the_file_and_both_sums(store: Store) -> None:
    store.verify("tiny.en")
    expected = store.entry("tiny.en").files["ctranslate2/model.bin"].sha256
    flip_a_byte(store.root / "tiny.en/ctranslate2/model.bin")
    store.resolve("tiny.en")  # the size is right
    with pytest.raises(ModelError) as caught:
        store.verify("tiny.en")
    told = str(caught.value)
    assert f"tiny.en/ctranslate2/model.bin: damaged: expected sha256 {expected}, found " in told
    assert told.endswith(f"fetch tiny.en --models {shlex.quote(str(store.root))}")


def test_import_of_a_pt_is_found_by_path_and_name(store: Store, tmp_path: Path) -> None:
    path = fine_tuned(store, tmp_path / "내 'weights {1}.pt")
    entry = import_path(store, path, "ours")
    model = store.resolve(str(path))
    assert model == store.resolve("ours")
    assert model.identity == entry.identity != store.resolve("tiny.en").identity
    assert model.alignment_heads == store.resolve("tiny.en").alignment_heads  # by its dimensions
    assert not model.capabilities.multilingual
    store.verify("ours")
    assert prepare.open_weights(model.ctranslate2).identity() == prepare.open_weights(path).identity()

    os.utime(path, ns=(1, 1))
    with pytest.raises(ModelError, match=r"has changed since it was imported; run: \S*snakescribe models import"):
        store.resolve(str(path))
    import_path(store, path, "ours")
    assert store.resolve(str(path)) == model
    path.unlink()
    assert store.resolve(str(path)) == model  # the store has its own copy


def test_import_of_a_folder_with_a_name_of_bytes(store: Store, tmp_path: Path) -> None:
    source = store.resolve("tiny.en").ctranslate2
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\n"))
    shutil.copytree(source, folder)
    with pytest.raises(ModelError, match="cannot name a model; choose a plain name with --name"):
        import_path(store, folder)
    entry = import_path(store, folder, "tiny.en")  # the same weights: nothing is made twice
    assert len(entry.imported) == 1
    assert store.resolve(os.fsdecode(os.fsencode(folder))) == store.resolve("tiny.en")


def test_official_and_taken_names_are_not_given_to_other_weights(store: Store, tmp_path: Path) -> None:
    path = fine_tuned(store, tmp_path / "mine.pt")
    with pytest.raises(
        ModelError, match=r"large-v1 is the name of OpenAI's model; .*--name \(expected sha256 e4b87e7e"
    ):
        import_path(store, path, "large-v1")
    import_path(store, path)
    other = fine_tuned(store, tmp_path / "elsewhere/mine.pt")
    saved = torch.load(other)
    saved["model_state_dict"]["decoder.ln.bias"] += 0.25
    torch.save(saved, other)
    with pytest.raises(ModelError, match=r"the name mine is taken by weights from .*/mine\.pt"):
        import_path(store, other)
    shared = ("silero", "silero_vad.onnx", "speakers", "campplus.pt")
    for name in ("samples", ".hidden", "-x", "a/b", "two\nlines", "x" * 201, *shared):
        with pytest.raises(ModelError, match="--name"):
            import_path(store, other, name)
    assert sorted(entry.name for entry in store.entries()) == ["mine", "tiny.en"]


def test_only_a_model_is_replaced(store: Store, tmp_path: Path) -> None:
    """Whoever puts a folder of weights into the store and imports it keeps it."""
    mine = store.root / "mine"
    shutil.copytree(store.resolve("tiny.en").ctranslate2, mine)
    (store.root / "notes").mkdir()
    (store.root / "list").symlink_to("nowhere")
    for path, name in ((mine, None), (mine, "notes"), (mine, "list")):
        with pytest.raises(ModelError, match="is in the way, and no model of this store; choose another name"):
            import_path(store, path, name)
    assert sorted(path.name for path in store.root.iterdir()) == ["list", "mine", "notes", "tiny.en"]
    assert import_path(store, mine, "ours").identity == store.entry("tiny.en").identity
    assert (mine / "model.bin").exists()


def test_importing_again_mends_a_damaged_model(store: Store, tmp_path: Path) -> None:
    path = fine_tuned(store, tmp_path / "ours.pt")
    import_path(store, path)
    flip_a_byte(store.root / "ours/ctranslate2/model.bin")
    (store.root / "ours/openvino/encoder.bin").unlink()
    with pytest.raises(ModelError, match=r"models import \S+ours\.pt"):
        store.verify("ours")
    import_path(store, path)
    store.verify("ours")
    before = (store.root / "ours/ctranslate2").stat().st_ino
    import_path(store, path)
    assert (store.root / "ours/ctranslate2").stat().st_ino == before  # nothing is made twice


def test_a_model_whose_replacing_was_killed_is_put_back(store: Store) -> None:
    left = store.root / ".part-killed"
    left.mkdir()
    (store.root / "tiny.en").rename(left / REPLACED)
    with store.writing():
        store.verify("tiny.en")
    assert not left.exists()


def test_a_folder_that_was_renamed_is_what_it_is_called(store: Store) -> None:
    (store.root / "tiny.en").rename(store.root / "other")
    assert store.resolve("other").ctranslate2 == store.root / "other/ctranslate2"
    flip_a_byte(store.root / "other/ctranslate2/model.bin")
    with pytest.raises(ModelError, match=r"other/ctranslate2/model\.bin: damaged"):
        store.verify("other")


def test_prepare_follows_the_libraries(store: Store) -> None:
    assert not prepare.prepare(store, "tiny.en")
    path = store.root / "tiny.en/model.json"
    entry = json.loads(path.read_text())
    entry["made_with"]["openvino"] = "2026.0.0"
    path.unlink()
    path.write_text(json.dumps(entry))
    before = store.resolve("tiny.en")
    assert prepare.prepare(store, "tiny.en")
    assert store.resolve("tiny.en") == before
    assert store.entry("tiny.en").made_with == prepare.libraries()
    assert not prepare.prepare(store, "tiny.en")


def test_forms_of_another_version_are_refused_until_they_are_made_anew(store: Store) -> None:
    """The engine would give them what they do not take. Before the fourth conversion there was OpenAI's form, too."""
    before = store.resolve("tiny.en")
    save_openai(open_ctranslate2(before.ctranslate2), store.root / "tiny.en/openai.pt")
    path = store.root / "tiny.en/model.json"
    entry = json.loads(path.read_text())
    entry["made_with"]["conversion"] = "3"
    entry["files"] = {"openai.pt": prepare._seal(store.root / "tiny.en/openai.pt").model_dump()}
    path.unlink()
    path.write_text(json.dumps(entry))
    with pytest.raises(ModelError, match=r"prepared by another version .*; run: .* models prepare tiny\.en"):
        store.resolve("tiny.en")
    assert prepare.prepare(store, "tiny.en")
    assert store.resolve("tiny.en") == before and not (store.root / "tiny.en/openai.pt").exists()


def test_fetch_prepares_anew_what_another_version_prepared(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    path = store.root / "tiny.en/model.json"
    entry = path.read_text().replace(f'"conversion": "{CONVERSION}"', '"conversion": "3"')
    path.unlink()
    path.write_text(entry)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    assert fetch(store, "tiny.en")
    assert store.resolve("tiny.en").identity == json.loads(entry)["identity"]
    assert fetch(store, "tiny.en") is None


def test_without_openvino_there_is_the_other_form(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = fine_tuned(store, tmp_path / "ours.pt")
    installed = prepare.libraries()
    without = {name: version for name, version in installed.items() if name != "openvino"}
    monkeypatch.setattr(prepare, "libraries", lambda: without)
    import_path(store, path)
    assert not prepare.prepare(store, "ours")
    assert store.resolve("ours").openvino is None
    monkeypatch.setattr(prepare, "libraries", lambda: installed)
    assert prepare.prepare(store, "ours")
    assert store.resolve("ours").openvino


def test_commands_and_exit_codes(store: Store, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    where = ["--models", str(store.root)]
    assert main(["models", "path", "tiny.en", *where]) == 0
    assert capfdbinary.readouterr().out == os.fsencode(store.root / "tiny.en") + b"\n"
    assert main(["models", "list", *where]) == 0
    lines = capfdbinary.readouterr().out.decode().splitlines()
    assert [line.split()[:2] for line in lines if "yes" in line] == [["tiny.en", "yes"]]
    assert main(["models", "verify", "tiny.en", *where]) == 0
    assert main(["models", "path", "base", *where]) == 5
    assert b"models fetch base" in capfdbinary.readouterr().err
    assert main(["models", "import", "/dev/null/x.pt", *where]) == 5
    assert main(["models", "fetch", "nonsense", *where]) == 5
    assert not list(store.root.glob(".part-*"))


def test_a_list_that_nobody_reads_to_its_end(store: Store) -> None:
    """``snakescribe models list | head -1``: no error, as little as there is one in `ls | head -1`."""
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "snakescribe", "models", "list", "--models", str(store.root)]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, b"")


def test_two_writers_keep_out_of_each_others_way(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    left = store.root / ".part-of a killed fetch"
    left.mkdir()
    command = ["models", "prepare", "tiny.en", "--models", str(store.root)]
    with store.writing():
        assert not left.exists()
        assert main(command) == 75
    assert "another `snakescribe models` fills" in capsys.readouterr().err
    assert main(command) == 0
