"""From a mapping (Snakemake's merged ``config``, a YAML file) to one checked and resolved :class:`Config`."""

from __future__ import annotations

import contextlib
import copy
import difflib
import json
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from snakescribe import checkout
from snakescribe.config.options import AskedConfig, Config
from snakescribe.errors import ConfigError
from snakescribe.files import read_record

HOME_OF_MODELS = Path(".local/share/snakescribe/models")
STOP_TIMEOUT = "SNAKESCRIBE_STOP_TIMEOUT"
DOCKER_GIVES = 10.0
"""Seconds until a stop kills, where nothing else is said (docs.docker.com, ``docker stop``; podman's are the same)."""
TO_END = 5.0
"""Seconds of those for the last answers, the engine and the interpreter: half of one, but 3 on a machine with five
times as much to do as it has cores."""


def load_config(values: Mapping[str, Any], base: Path, environ: Mapping[str, str] = os.environ) -> Config:
    """Check what was asked for and resolve it: defaults, environment, absolute paths.

    Args:
        values: options as read from YAML; nested groups are mappings.
        base: folder that relative paths are meant from.
        environ: ``STT_DEVICE`` overrides ``device``, but ``auto`` there is no reason to give up an explicit ``cuda``;
            ``SNAKESCRIBE_MODELS``, ``XDG_CACHE_HOME`` and ``XDG_STATE_HOME`` give default folders, and
            ``SNAKESCRIBE_STOP_TIMEOUT`` the seconds after which whoever stops the server kills it (``docker run
            --stop-timeout``): ``server.shutdown_seconds`` is as much shorter as the end takes.

    Raises:
        ConfigError: one line, with the nearest valid name for an unknown one.
    """
    given = dict(values)
    source = "STT_DEVICE" if environ.get("STT_DEVICE") else None
    if source and (environ[source], given.get("device")) != ("auto", "cuda"):
        given["device"] = environ[source]
    try:
        if r"\u0000" in json.dumps(given, skipkeys=True, default=str):
            raise ConfigError("an option holds a NUL character, which no path or text may; take it out")
    except (ValueError, RecursionError):
        raise ConfigError("the options hold themselves or are nested too deeply; write each out once") from None
    try:
        asked = _validated(given)
    except ValidationError as error:
        raise ConfigError(_one_line(error, source)) from None
    home = Path(environ.get("HOME") or os.path.expanduser("~"))  # noqa: PTH111 (Path.home() fails without a name)
    usual = checkout.MODELS if checkout.MODELS.is_dir() else home / HOME_OF_MODELS
    models = asked.models or environ.get("SNAKESCRIBE_MODELS") or str(usual)
    cache = asked.cache.path or str(Path(environ.get("XDG_CACHE_HOME") or home / ".cache") / "snakescribe")
    state = asked.server.state or str(Path(environ.get("XDG_STATE_HOME") or home / ".local/state") / "snakescribe")

    def absolute(path: str) -> str:
        return os.path.abspath(base / at_home(path))  # noqa: PTH100 (resolve() would follow links)

    paths = {
        "recordings": absolute(asked.recordings),
        "results": absolute(asked.results),
        "models": absolute(models),
        "model": absolute(asked.model) if os.sep in asked.model else asked.model,
        "speaker_names": absolute(asked.speaker_names) if asked.speaker_names else None,
        "cache": {"path": absolute(cache)},
        "server": {
            "state": absolute(state),
            "shutdown_seconds": min(asked.server.shutdown_seconds, _until_killed(environ)),
            "folder": absolute(asked.server.folder) if asked.server.folder else None,
            "key_file": absolute(asked.server.key_file) if asked.server.key_file else None,
        },
    }
    return Config.model_validate(merged(asked.model_dump(), paths))


def _until_killed(environ: Mapping[str, str]) -> float:
    given = environ.get(STOP_TIMEOUT) or (DOCKER_GIVES if "SNAKESCRIBE_VARIANT" in environ else math.inf)
    try:
        killed_after = float(given)
    except ValueError:
        killed_after = math.nan
    if not killed_after >= 0:  # NaN is not, either
        message = f"{given!r} is no number of seconds; give that of --stop-timeout, or inf if nobody kills it"
        raise ConfigError(f"{STOP_TIMEOUT}: {message}")
    return max(killed_after - TO_END, 0.0)


def at_home(path: str) -> Path:
    """``~`` and ``~user`` as a shell has them: of somebody who is not known they stay as they are."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 (Path.expanduser() raises RuntimeError)


def changed(config: Config, **options: Any) -> Config:
    """A resolved configuration with other values of some options; nothing else is looked at.

    Raises:
        ConfigError: these values cannot go with the others.
    """
    try:
        return Config.model_validate(config.model_dump() | options)
    except ValidationError as error:
        raise ConfigError(_one_line(error)) from None


def read_resolved(path: Path) -> Config:
    """What the main process of a run has resolved and written down: final, whatever the environment says.

    Raises:
        ResultsError: it is missing, damaged or of another version.
    """
    return read_record(path, Config, "start the run again, which writes it anew")


def load_file(path: Path, base: Path | None = None) -> Config:
    """Read and resolve a person's YAML or JSON file; relative paths are meant from ``base`` (the current folder)."""
    return load_config(read_options(path), base or Path.cwd())


def read_options(path: Path) -> dict[str, Any]:
    """The options in a YAML or JSON file, not checked yet."""
    try:
        text = path.read_text(encoding="utf-8")
        # YAML 1.1 takes JSON's 1e-05 for a word.
        values = (json.loads if path.suffix == ".json" else yaml.safe_load)(text) or {}
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; give an existing file with --configfile") from None
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: holds no options; expected lines like `model: base`")
    return values


def merged(values: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """``over`` laid over ``values``; groups are merged key by key, as Snakemake does.

    >>> merged({"model": "base", "audio": {"channels": "mix", "highpass": 80}}, {"audio": {"channels": "split"}})
    {'model': 'base', 'audio': {'channels': 'split', 'highpass': 80}}
    """
    result = dict(values)
    for name, value in over.items():
        both = isinstance(value, Mapping) and isinstance(result.get(name), Mapping)
        result[name] = merged(result[name], value) if both else value
    return result


def option_names(model: type[BaseModel] = AskedConfig, prefix: str = "") -> Iterator[str]:
    """Every valid option as a dotted name, groups too."""
    for name, field in model.model_fields.items():
        yield prefix + name
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from option_names(field.annotation, f"{prefix}{name}.")


def _validated(values: Mapping[str, Any]) -> AskedConfig:
    """Check ``values``; text that should be a number, a yes or a no is read as YAML first.

    Snakemake hands on what stands inside ``--config "batch={'files': 1}"`` as text.
    """
    try:
        return AskedConfig.model_validate(values)
    except ValidationError as error:
        mended = copy.deepcopy(dict(values))
        for wrong in error.errors():
            if wrong["type"] in ("int_type", "float_type", "bool_type") and isinstance(wrong["input"], str):
                *way, last = wrong["loc"]
                holder: Any = mended
                for step in way:
                    holder = holder[step]
                with contextlib.suppress(yaml.YAMLError):
                    holder[last] = yaml.safe_load(wrong["input"])
        return AskedConfig.model_validate(mended)


_EXPECTED = {
    "bool_type": "should be true or false",
    "string_type": "should be text (in quotes, if it looks like something else)",
    "int_type": "should be a whole number",
    "float_type": "should be a number",
    "list_type": "should be a list like [a, b]",
    "dict_type": "should be pairs like {{a: b}}",
    "model_type": "should be a group of options like {where}: {{{example}: …}}",
    "literal_error": "should be {expected}",
    "greater_than": "should be more than {gt:g}",
    "greater_than_equal": "should be at least {ge:g}",
    "less_than": "should be less than {lt:g}",
    "less_than_equal": "should be at most {le:g}",
    "too_short": "should have at least {min_length} item",
}
"""What is said about pydantic's kinds of error, in the words of YAML."""


def _one_line(error: ValidationError, device_source: str | None = None) -> str:
    first = error.errors()[0]
    if first["type"] == "invalid_key":
        return f"unknown option {first['input']!r}; names of options are words"
    names = [part for part in first["loc"] if isinstance(part, str)]
    where = ".".join(names)
    if first["type"] == "extra_forbidden":
        return f"unknown option {where!r}{_nearest(where)}"
    if first["type"] == "value_error":
        said = first["msg"].removeprefix("Value error, ")
        return f"option {where}: {said}" if where else said
    example = next((n.rpartition(".")[2] for n in option_names() if n.startswith(f"{where}.")), "")
    known = _EXPECTED.get(first["type"], first["msg"].replace("{", "{{").replace("}", "}}"))
    expected = known.format(where=where, example=example, **first.get("ctx", {}))
    items = "".join(f", item {part + 1}" for part in first["loc"] if isinstance(part, int))
    shown = device_source if where == "device" and device_source else f"option {where}"
    given = json.dumps(first["input"], ensure_ascii=False, default=str)
    return f"{shown}{items}: {expected}, not {given if len(given) <= 80 else given[:80] + '…'}"


def _nearest(name: str) -> str:
    group, _, leaf = name.rpartition(".")
    names = list(option_names())
    here = {n.rpartition(".")[2]: n for n in names if n.rpartition(".")[0] == group}
    anywhere = {n.rpartition(".")[2]: n for n in reversed(names)}
    exact = [anywhere[leaf]] if leaf in anywhere else []
    similar = [
        known[match]
        for known in (here, anywhere)
        for match in difflib.get_close_matches(leaf.lower(), known, n=1, cutoff=0.6)
    ]
    for found in exact + similar:
        return f"; did you mean {found!r}?"
    return f"; valid here: {', '.join(here)}"
