"""The generated files: they hold the defaults, and have not drifted from their sources."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml

from snakescribe import errors
from snakescribe.checkout import sources
from snakescribe.cli import main
from snakescribe.commands import config as command
from snakescribe.config import AskedConfig
from snakescribe.config.document import config_readme, config_schema, config_yaml, errors_document
from snakescribe.config.load import option_names

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", command.documents())
def test_no_generated_file_has_drifted(name: str) -> None:
    drifted = (ROOT / name).read_text(encoding="utf-8") != command.documents()[name]()
    assert not drifted, f"{name} has drifted; run `snakescribe config write`"


def test_config_yaml_holds_every_default_and_a_line_about_it() -> None:
    text = config_yaml()
    assert yaml.safe_load(text) == AskedConfig().model_dump()
    first = next(line for line in text.splitlines() if line and not line.startswith("#"))
    assert first == "recordings: recordings"
    lines = text.splitlines()
    options = [i for i, line in enumerate(lines) if line and not line.lstrip().startswith("#")]
    assert all(lines[i - 1].lstrip().startswith("# ") for i in options)
    assert max(map(len, lines)) <= 110


def test_the_readme_names_every_option() -> None:
    text = config_readme()
    groups = {"audio", "speech", "decoding", "subtitles", "batch", "cache", "container", "server"}
    assert re.findall(r"^\| `([\w.]+)` \|", text, re.MULTILINE) == [n for n in option_names() if n not in groups]
    assert "| `decoding.window` | number, at least 5, at most 28 | `24.0` |" in text
    assert "| `task` | `transcribe`, `translate` | `transcribe` |" in text
    assert "| `cache.mode` | `use`, `refresh`, `off` | `use` |" in text


def test_the_schema_takes_the_defaults_and_refuses_nonsense() -> None:
    schema = json.loads(config_schema())
    jsonschema.validate(yaml.safe_load(config_yaml()), schema)
    for bad in ({"modle": "base"}, {"audio": {"channels": "both"}}, {"batch": {"files": 0}}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(bad, schema)


def test_every_error_is_in_the_document() -> None:
    text = errors_document()
    recording = [name for name, thing in vars(errors).items() if _is_subclass(thing, errors.RecordingError)]
    assert re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE) == recording
    runs = [error.__name__ for error in errors.SnakescribeError.__subclasses__()]
    assert re.findall(r"^\| \d+ \| `(\w+)` \|", text, re.MULTILINE) == runs
    assert [int(code) for code in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)] == list(errors.EXIT_CODES)
    assert "``" not in text


@pytest.mark.parametrize("family", [errors.SnakescribeError, errors.RecordingError])
def test_a_family_of_errors_cannot_be_raised(family: type[Exception]) -> None:
    with pytest.raises(TypeError, match="is a family of errors"):
        raise family("something went wrong")
    with pytest.raises(family, match="something"):
        raise family.__subclasses__()[0]("something went wrong")


def test_every_error_has_a_code_of_its_own() -> None:
    runs = errors.SnakescribeError.__subclasses__()
    assert sorted(error.exit_code for error in runs) == [1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 75]
    recordings = errors.RecordingError.__subclasses__()
    assert len({error.http_code for error in recordings}) == len(recordings)
    assert all(400 <= error.http_status < 600 for error in [*runs, *recordings])


def _is_subclass(thing: object, of: type) -> bool:
    return isinstance(thing, type) and issubclass(thing, of) and thing is not of


def test_write_and_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    marker = tmp_path / "scripts/snakescribe/config/options.py"
    marker.parent.mkdir(parents=True)
    marker.touch()
    monkeypatch.chdir(tmp_path)
    assert main(["config", "write", "--check"]) == 1
    assert len(capsys.readouterr().err.splitlines()) == len(command.documents())
    assert main(["config", "write"]) == 0
    assert main(["config", "write", "--check"]) == 0
    written = tmp_path / "config/config.yaml"
    written.write_text(written.read_text().replace("model: base", "model: tiny"))
    assert main(["config", "write", "--check"]) == 1
    assert capsys.readouterr().err == (
        "config/config.yaml: is not what its source says; run `snakescribe config write`\n"
    )


def test_elsewhere_the_checkout_of_the_package_is_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert sources() == ROOT


def test_show_prints_what_is_in_force(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STT_DEVICE", "cpu")
    (tmp_path / "my.yaml").write_text("recordings: 녹음\naudio: {channels: split}\n")
    assert main(["config", "show", "--configfile", "my.yaml"]) == 0
    shown = yaml.safe_load(capsys.readouterr().out)
    assert (shown["recordings"], shown["device"]) == (str(tmp_path / "녹음"), "cpu")
    assert shown["audio"] == {**AskedConfig().audio.model_dump(), "channels": "split"}
    assert main(["config", "show"]) == 0
    assert yaml.safe_load(capsys.readouterr().out)["audio"]["channels"] == "mix"
    assert main(["config", "show", "--configfile", "none.yaml"]) == 2
