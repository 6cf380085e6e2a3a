"""What a wrong configuration is told: one line that says what is valid."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from snakemake.cli import parse_config
from whisper.tokenizer import LANGUAGES as WHISPER_LANGUAGES

from snakescribe.commands.common import asked_options, register_options
from snakescribe.config import Config, load_config, load_file, read_resolved
from snakescribe.config.languages import LANGUAGES
from snakescribe.config.load import changed
from snakescribe.errors import ConfigError, ResultsError


def refused(values: Any, **environ: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(values, Path("/base"), environ)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 400
    return message


def from_yaml(text: str) -> Config:
    return load_config(yaml.safe_load(text), Path("/base"), {})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"modle": "base"}, "unknown option 'modle'; did you mean 'model'?"),
        ({"Device": "cpu"}, "unknown option 'Device'; did you mean 'device'?"),
        ({"audio": {"chanels": "split"}}, "unknown option 'audio.chanels'; did you mean 'audio.channels'?"),
        ({"beam_size": 3}, "unknown option 'beam_size'; did you mean 'decoding.beam_size'?"),
        ({"audio": {"beam_size": 3}}, "unknown option 'audio.beam_size'; did you mean 'decoding.beam_size'?"),
        ({"cache": {"zzz": 3}}, "unknown option 'cache.zzz'; valid here: path, mode, max_gb"),
        ({3: 4}, "unknown option 3; names of options are words"),
    ],
)
def test_unknown_options(values: Any, message: str) -> None:
    assert refused(values) == message


def test_an_option_like_no_other_is_told_all_names() -> None:
    message = refused({"zzz": 1})
    assert message.startswith("unknown option 'zzz'; valid here: recordings, results, models, model, ")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"words": "maybe"}, 'option words: should be true or false, not "maybe"'),
        (
            {"prompt": 2026},
            "option prompt: should be text (in quotes, if it looks like something else), not 2026",
        ),
        ({"batch": {"files": "some"}}, 'option batch.files: should be a whole number, not "some"'),
        ({"settle": "5 s"}, 'option settle: should be a number, not "5 s"'),
        ({"outputs": "srt"}, 'option outputs: should be a list like [a, b], not "srt"'),
        (
            {"outputs": ["srt", "doc"]},
            "option outputs, item 2: should be 'json', 'txt', 'srt', 'vtt', 'ass', 'docx', 'timed', 'textgrid', 'eaf', "
            "'chat', 'audacity', 'ctm', 'stm', 'rttm' or 'openai', not \"doc\"",
        ),
        ({"glossary": "a"}, 'option glossary: should be pairs like {a: b}, not "a"'),
        ({"batch": 3}, "option batch: should be a group of options like batch: {minutes: …}, not 3"),
        ({"device": "gpu"}, "option device: should be 'auto', 'cpu' or 'cuda', not \"gpu\""),
        ({"batch": {"files": 0}}, "option batch.files: should be at least 1, not 0"),
        ({"batch": {"minutes": 0}}, "option batch.minutes: should be more than 0, not 0"),
        ({"decoding": {"window": 40}}, "option decoding.window: should be at most 28, not 40"),
        ({"decoding": {"mean_logprob": 0.5}}, "option decoding.mean_logprob: should be less than 0, not 0.5"),
        (
            {"decoding": {"temperatures": []}},
            "option decoding.temperatures: should have at least 1 item, not []",
        ),
        (
            {"recordings": None},
            "option recordings: should be text (in quotes, if it looks like something else), not null",
        ),
        ({"audio": {"channel_names": {"left": 3}}}, "option audio.channel_names.left: should be text"),
    ],
)
def test_wrong_values(values: Any, message: str) -> None:
    assert refused(values).startswith(message)


def test_a_wrong_language_is_said_once() -> None:
    message = refused({"language": "kor"})
    assert message == (
        "option language: 'kor' is no language code of Whisper; use auto, mixed or a code like ko, en, ja, zh"
    )


def test_a_long_wrong_value_is_cut() -> None:
    assert refused({"model": ["x" * 500]}).endswith("…")


@pytest.mark.parametrize(
    ("values", "part"),
    [
        ({"subtitles": {"highlight": True}}, "subtitles.highlight: highlights words by their times; set words: true"),
        ({"engine": "openvino", "compute_type": "bfloat16"}, "use int8_bfloat16, or engine: auto"),
        ({"engine": "ctranslate2", "compute_type": "bfloat16", "device": "cpu"}, "no bfloat16 on the CPU"),
        ({"compute_type": "float16", "device": "cpu"}, "float16 needs CUDA"),
    ],
)
def test_pairs_that_cannot_work(values: Any, part: str) -> None:
    assert part in refused(values)


def test_stt_device_overrides_and_is_named_when_wrong() -> None:
    assert load_config({"device": "cuda"}, Path("/base"), {"STT_DEVICE": "cpu"}).device == "cpu"
    assert load_config({"device": "cuda"}, Path("/base"), {"STT_DEVICE": ""}).device == "cuda"
    assert refused({}, STT_DEVICE="gpu") == "STT_DEVICE: should be 'auto', 'cpu' or 'cuda', not \"gpu\""
    assert "float16 needs CUDA" in refused({"compute_type": "float16"}, STT_DEVICE="cpu")


def test_snakemakes_command_line() -> None:
    given = [
        "audio={'channels': 'split', 'loudness': -23}",
        "batch={'files': 1}",
        "language=no",
        "words=true",
    ]
    given += ["decoding={'temperatures': [0.0, 0.4], 'no_speech': null}", "settle=5", "cache={mode: off}"]
    config = load_config(parse_config(given), Path("/base"), {})
    assert (config.audio.channels, config.audio.loudness, config.batch.files) == ("split", -23, 1)
    assert (config.language, config.words, config.settle, config.cache.mode) == ("no", True, 5, "off")
    assert (config.decoding.temperatures, config.decoding.no_speech) == ([0.0, 0.4], None)


def test_words_that_yaml_takes_for_false() -> None:
    assert from_yaml("language: no").language == "no"
    assert from_yaml("cache: {mode: off}").cache.mode == "off"


def test_the_languages_are_whispers() -> None:
    assert list(WHISPER_LANGUAGES.items()) == list(LANGUAGES.items())


def test_paths_become_absolute_from_the_given_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("snakescribe.checkout.MODELS", tmp_path / ".models")
    environ = {"HOME": "/home/me", "XDG_CACHE_HOME": "/fast/cache"}
    config = load_config({"recordings": "녹음 1", "model": "w/my.pt", "results": "/r"}, Path("/base"), environ)
    assert (config.recordings, config.model, config.results) == ("/base/녹음 1", "/base/w/my.pt", "/r")
    assert (config.models, config.cache.path) == (
        "/home/me/.local/share/snakescribe/models",
        "/fast/cache/snakescribe",
    )
    assert load_config({}, Path("/base"), environ).model == "base"
    assert load_config({}, Path("/b"), environ | {"SNAKESCRIBE_MODELS": "/m"}).models == "/m"
    (tmp_path / ".models").mkdir()
    assert load_config({}, Path("/b"), environ).models == str(tmp_path / ".models")
    assert load_config({}, Path("/b"), environ | {"SNAKESCRIBE_MODELS": "/m"}).models == "/m"


def test_a_tilde_of_nobody_is_a_name_like_any_other(tmp_path: Path) -> None:
    """As a shell has it; Path.expanduser() raises RuntimeError."""
    config = load_config({"recordings": "~nobody-we-know/x", "results": "~"}, tmp_path)
    assert config.recordings == str(tmp_path / "~nobody-we-know/x")
    assert config.results == os.path.expanduser("~")  # noqa: PTH111


def test_a_track_is_asked_for_as_files_name_its_language(tmp_path: Path) -> None:
    for asked, code in (("eng", "en"), ("ko-KR", "ko"), ("ger", "de"), ("all", "all")):
        assert load_config({"audio": {"track": asked}}, tmp_path).audio.track == code


def test_options_that_nothing_can_be_made_of(tmp_path: Path) -> None:
    itself: dict[str, Any] = {}
    itself["channels"] = itself
    deep: Any = "x"
    for _ in range(100_000):
        deep = {"audio": deep}
    for values, said in (({"recordings": "a\0b"}, "NUL"), ({"audio": itself}, "hold themselves"), (deep, "too deeply")):
        with pytest.raises(ConfigError, match=said):
            load_config(values, tmp_path)


def test_files_that_are_no_options(tmp_path: Path) -> None:
    path = tmp_path / "my.yaml"
    with pytest.raises(ConfigError, match="give an existing file with --configfile"):
        load_file(path)
    for content, said in (("model: [", "not valid YAML"), ("just words", "holds no options")):
        path.write_text(content)
        with pytest.raises(ConfigError, match=said) as caught:
            load_file(path)
        assert "\n" not in str(caught.value)
    path.write_bytes(b"model: \xff")
    with pytest.raises(ConfigError, match="not valid YAML"):
        load_file(path)
    path.write_text("")
    assert load_file(path, tmp_path).results == str(tmp_path / "results")


def test_what_was_resolved_is_final(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {"decoding": {"mean_logprob": -1e-05}, "glossary": {"가": "나"}, "device": "cuda"}
    config = load_config(asked, tmp_path, {"HOME": "/home/me"})
    path = tmp_path / "config.json"
    path.write_text(config.model_dump_json(), encoding="utf-8")
    for name, value in (("STT_DEVICE", "auto"), ("SNAKESCRIBE_MODELS", "/elsewhere"), ("HOME", "/root")):
        monkeypatch.setenv(name, value)
    monkeypatch.chdir("/")
    assert read_resolved(path) == config


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"recordings": "녹음"}, "recordings: Value error, '녹음' is not absolute"),
        ({"models": None}, "models: Input should be a valid string"),
        ({"modle": "base"}, "modle: Extra inputs are not permitted"),
    ],
)
def test_a_resolved_file_that_cannot_be_one_of_ours(change: dict[str, object], said: str, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(load_config({}, tmp_path, {"HOME": "/root"}).model_dump() | change))
    with pytest.raises(ResultsError, match="start the run again, which writes it anew") as caught:
        read_resolved(path)
    assert str(caught.value).startswith(f"{path} is damaged, or written by another version of snakescribe ({said}")


def test_other_values_in_what_was_resolved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STT_DEVICE", "cpu")
    config = load_config({"engine": "openvino"}, tmp_path, {})
    assert changed(config, model="tiny") == config.model_copy(update={"model": "tiny"})
    with pytest.raises(ConfigError, match="openvino runs on the CPU"):
        changed(config, device="cuda")


def test_single_options_reach_into_groups() -> None:
    parser = argparse.ArgumentParser()
    register_options(parser)
    asked = asked_options(parser.parse_args(["--config", "audio.channels=split", "words=true", "--device", "cpu"]))
    assert (asked["audio"]["channels"], asked["audio"]["truncated"]) == ("split", "keep")
    assert asked["words"] is True and asked["device"] == "cpu"
    with pytest.raises(ConfigError, match="--config words: expected OPTION=VALUE"):
        asked_options(parser.parse_args(["--config", "words"]))


@pytest.mark.parametrize(
    ("asked", "environment", "device"),
    [("cuda", "auto", "cuda"), ("cuda", "cpu", "cpu"), ("auto", "cuda", "cuda"), ("cpu", "auto", "auto")],
)
def test_auto_in_the_environment_does_not_weaken_cuda(asked: str, environment: str, device: str) -> None:
    assert load_config({"device": asked}, Path("/base"), {"STT_DEVICE": environment}).device == device
