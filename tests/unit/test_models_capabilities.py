"""What a model can do is read from its dimensions, whatever it is called and wherever it lies."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from engine_run import Samples
from random_weights import TURBO, random_weights
from starlette.applications import Starlette
from starlette.requests import Request
from whisper.decoding import detect_language
from whisper.model import ModelDimensions, Whisper

from snakescribe.cli import main
from snakescribe.config import load_config
from snakescribe.engine.backend import Bucket, Search
from snakescribe.engine.engines import ENGINES
from snakescribe.engine.load import load_backend
from snakescribe.engine.log_mel import log_mel
from snakescribe.engine.tokens import prompt_tokens, tokenizer_for
from snakescribe.errors import ConfigError, ModelError
from snakescribe.estimate import core_seconds
from snakescribe.models import Store
from snakescribe.models.bare import Bare
from snakescribe.models.capabilities import capabilities
from snakescribe.models.catalog import catalog
from snakescribe.models.checkpoint import save_openai
from snakescribe.models.configured import check_options, configured_capabilities
from snakescribe.models.ct2 import open_ctranslate2
from snakescribe.models.prepare import import_path
from snakescribe.models.store import ENTRY, Imported, ModelEntry
from snakescribe.server.http_errors import HttpError
from snakescribe.server.intake import Intake, RequestOptions
from snakescribe.server.metrics import Metrics
from snakescribe.server.routes.common import check_asked
from snakescribe.server.routes.health import About, about
from snakescribe.server.state import Server
from snakescribe.workflow import begin


def test_a_plan_does_not_take_the_turbo_model_for_the_large_one() -> None:
    names = ("large-v3-turbo", "large-v3")
    turbo, large = (core_seconds(load_config({"model": name}, Path.cwd(), {})) for name in names)
    assert 0.4 < turbo / large < 0.6, "809 against 1550 million parameters"


@pytest.fixture(scope="module")
def like_turbo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with random weights of 128 mel bands, 100 languages and turbo's layers, but narrow."""
    folder = tmp_path_factory.mktemp("turbo")
    save_openai(random_weights((32, 4), **TURBO), folder / "narrow.pt")
    import_path(Store(folder / "store"), folder / "narrow.pt")
    return folder / "store"


@pytest.fixture
def imported(tmp_path: Path, models_root: Path) -> Any:
    """A store whose model of this name was imported from this path."""

    def make(name: str, path: Path) -> Path:
        store = tmp_path / "store"
        (store / name).mkdir(parents=True)
        for file in (models_root / name).iterdir():
            if file.name != ENTRY:
                (store / name / file.name).symlink_to(file)
        entry = ModelEntry.model_validate_json((models_root / name / ENTRY).read_bytes())
        entry = entry.model_copy(update={"imported": (Imported(path=str(path), size=1, mtime_ns=1),)})
        (store / name / ENTRY).write_text(entry.model_dump_json())
        return store

    return make


def asked_about(config: Any, tmp_path: Path) -> About:
    """The answer of ``/about``; the engine is not started for it."""
    app = Starlette()
    desk = Intake(config, 1, tmp_path / "state", Metrics())
    app.state.server = Server(config, desk, None, None, False)  # type: ignore[arg-type]
    return asyncio.run(about(Request({"type": "http", "app": app})))


def test_a_folder_called_turbo_says_nothing_about_the_model_in_it(tmp_path: Path, imported: Any) -> None:
    path = tmp_path / "turbo/base.pt"
    config = load_config({"models": str(imported("base", path)), "model": str(path)}, tmp_path, {})
    assert asked_about(config, tmp_path).tasks == ["transcribe", "translate"]


@pytest.mark.parametrize("name", sorted(catalog().models))
def test_the_models_of_the_catalog(name: str) -> None:
    dims = catalog().models[name].dims
    able = capabilities(dims)
    theirs = Bare(dims)
    assert (able.multilingual, able.language_tokens) == (theirs.is_multilingual, theirs.num_languages)
    assert able.parameters == sum(weights.numel() for weights in theirs.parameters())
    assert able.translates == (not name.endswith(".en") and "turbo" not in name)
    assert ("ko" in able.languages, "yue" in able.languages) == (not name.endswith(".en"), name.startswith("large-v3"))


@pytest.mark.parametrize(
    ("model", "options", "said"),
    [
        ("turbo", {"task": "translate"}, "use model: large-v3 or medium"),
        ("large-v3-turbo", {"task": "translate"}, "use model: large-v3 or medium"),
        ("tiny.en", {"task": "translate"}, "tiny.en knows only English and cannot translate; use model: tiny"),
        ("base.en", {"language": "ko"}, "language: base.en knows only English; use model: base"),
        ("base", {"language": "yue"}, "language: base does not know 'yue'; use model: large-v3"),
    ],
)
def test_what_a_model_cannot_do_is_refused(model: str, options: Any, said: str, tmp_path: Path) -> None:
    config = load_config({"model": model, "models": str(tmp_path)} | options, tmp_path, {})
    with pytest.raises(ConfigError, match=said) as caught:
        configured_capabilities(config)
    assert caught.value.exit_code == 2 and "\n" not in str(caught.value)


@pytest.mark.parametrize("command", ["plan", "run", "bench"])
def test_the_commands_end_with_2_before_they_do_anything(
    command: str, models_root: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    options = [f"models={models_root}", f"results={tmp_path / 'results'}", "model=tiny.en", "language=ko"]
    assert main([command, "--recordings", str(models_root / "samples"), "--config", *options]) == 2
    assert "language: tiny.en knows only English; use model: tiny" in capfd.readouterr().err
    assert not list(tmp_path.iterdir())


def test_the_workflow_ends_with_2_when_it_is_parsed(
    models_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    values = {"recordings": str(models_root / "samples"), "results": str(tmp_path / "results")}
    values |= {"models": str(models_root), "model": "tiny.en", "task": "translate"}
    how: dict[str, Any] = dict.fromkeys(("moves", "main_process", "dry_run", "local"), True)
    how |= {"gpus": False, "apptainer": False, "logs": ()}
    with pytest.raises(SystemExit) as caught:
        begin(values, executes=True, **how)
    assert caught.value.code == 2 and "cannot translate; use model: tiny" in capfd.readouterr().err
    begin(values, executes=False, **how)  # --lint needs no model


def test_a_model_of_ones_own_is_judged_by_its_dimensions() -> None:
    english, turbo = (capabilities(catalog().models[name].dims) for name in ("small.en", "large-v3-turbo"))
    translating = load_config({"model": "w/회의.pt", "task": "translate"}, Path("/base"), {})
    with pytest.raises(ConfigError, match="회의 knows only English and cannot translate; use model: base"):
        check_options(english, translating)
    with pytest.raises(ConfigError, match="not trained to translate"):
        check_options(turbo, translating)
    check_options(turbo, load_config({"model": "turbo.en", "language": "ko"}, Path("/base"), {}))


@pytest.mark.parametrize("engine", ENGINES)
def test_every_engine_hears_128_mel_bands_and_100_languages(like_turbo: Path, beckett: Samples, engine: str) -> None:
    """What large-v3 and turbo have; `yue` is the language that the others lack."""
    precision = "int8_float32" if engine == "openvino" else "float32"
    asked = {"models": str(like_turbo), "model": "narrow", "engine": engine, "compute_type": precision, "device": "cpu"}
    backend = load_backend(load_config(asked, like_turbo, {}), Store(like_turbo).resolve("narrow"), 1)
    mel = log_mel(beckett, backend.n_mels, 1000)
    assert mel.shape == (128, 1000) and backend.multilingual
    encoded = backend.encode([mel])
    (languages,) = backend.detect_language(encoded)
    assert len(languages) == 100 and "yue" in languages and sum(languages.values()) == pytest.approx(1, abs=1e-3)

    weights = open_ctranslate2(like_turbo / "narrow/ctranslate2")
    official = Whisper(ModelDimensions(**weights.dims))
    official.load_state_dict(dict(weights.tensors))
    official.encoder.positional_embedding = official.encoder.positional_embedding[:500]
    _, expected = detect_language(official, mel)
    exact = precision == "float32"
    assert max(abs(languages[code] - expected[code]) for code in expected) < (1e-4 if exact else 5e-3)

    tokenizer = tokenizer_for(Store(like_turbo).resolve("narrow"), "yue", "transcribe")
    prompt = prompt_tokens(tokenizer, "")
    assert prompt[1] == tokenizer.sot + 100, "yue is the last of the languages"
    bucket = Bucket(encoded, (0,), (prompt,), (12,), (1000,), (Search(beam_size=1),))
    (hypothesis,) = backend.decode(bucket)
    assert hypothesis.tokens and max(hypothesis.tokens) < 51866


def test_turbos_layers_are_not_asked_to_translate(like_turbo: Path, tmp_path: Path) -> None:
    asked = {"models": str(like_turbo), "model": "narrow", "task": "translate"}
    with pytest.raises(ConfigError, match="not trained to translate; use model: large-v3 or medium"):
        configured_capabilities(load_config(asked, tmp_path, {}))
    configured_capabilities(load_config(asked | {"task": "transcribe", "language": "yue"}, tmp_path, {}))


def test_a_model_that_nobody_knows_is_an_error(tmp_path: Path) -> None:
    for model in ("bse", str(tmp_path / "my.pt")):
        with pytest.raises(ModelError):
            configured_capabilities(load_config({"model": model, "models": str(tmp_path)}, tmp_path, {}))


def test_a_request_for_what_the_model_cannot_do(models_root: Path, tmp_path: Path) -> None:
    def refused(model: str, asked: RequestOptions) -> str:
        given = {"models": str(models_root), "model": model}
        intake = Intake(load_config(given, tmp_path, {}), 1, tmp_path / "state", Metrics())
        with pytest.raises(HttpError) as caught:
            check_asked(intake, asked)
        assert caught.value.status_code == 400
        return str(caught.value.detail)

    assert "tiny.en cannot translate" in refused("tiny.en", RequestOptions(task="translate"))
    assert "tiny.en knows only English, not 'ko'" in refused("tiny.en", RequestOptions(language="ko"))
    assert "base does not know 'yue'" in refused("base", RequestOptions(language="yue"))
