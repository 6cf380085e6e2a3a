"""The files that are made from the options and errors, so that no default and no meaning is written twice."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

import yaml
from pydantic import BaseModel

from snakescribe.config.options import AskedConfig
from snakescribe.errors import EXIT_CODES, RecordingError, SnakescribeError

_WIDTH = 110

_YAML_HEAD = """\
# Every option with its default. Change values here, or on the command line (config/README.md says how).
# Generated from scripts/snakescribe/config/options.py by `snakescribe config write`, which keeps no changes.

"""

_README_HEAD = """\
<!-- Generated from scripts/snakescribe/config/options.py by `snakescribe config write`; edit that. -->

# Options

`config.yaml` holds every option with its default. An unknown option, a wrong type or a pair that cannot work
stops the run before it starts, with one line that says what is valid and exit code 2.

Ways to set one, the later over the earlier:

1. a line in `config/config.yaml`;
2. a file of your own with only what differs: `--configfile my.yaml`;
3. the command line: `--config model=small language=ko`, a list in quotes: `--config outputs='[txt, vtt]'`. An
   option of a group is `--config audio.channels=split` for `snakescribe run`; plain Snakemake takes only
   `--config "audio={'channels': 'split'}"`;
4. for `device`, the environment: `STT_DEVICE=cpu` or `STT_DEVICE=cuda` overrides the option; `auto` in the
   environment never turns an explicit `cuda` into the CPU.

```sh
.venv/bin/snakescribe run --configfile my.yaml --config language=ko audio.channels=split
STT_DEVICE=cpu .venv/bin/snakemake --cores all --configfile my.yaml --config language=ko "audio={'channels': 'split'}"
```

Relative paths are meant from the folder in which you start the run. `.venv/bin/snakescribe config show
--configfile my.yaml` prints all options that a file comes to, with paths and `STT_DEVICE` applied. Wherever
`snakescribe` stands alone on this page, `.venv/bin/` belongs in front of it, unless the environment is active.
"""


def config_yaml() -> str:
    """``config/config.yaml``: every option with its default and its meaning."""
    return _YAML_HEAD + "".join(_yaml(AskedConfig(), ""))


def config_readme() -> str:
    """``config/README.md``: the reference of all options."""
    schema = AskedConfig.model_json_schema()
    groups = {name: group for name, group in _defaults(AskedConfig()) if isinstance(group, BaseModel)}
    parts = [_README_HEAD, "\n## General\n", _table(AskedConfig(), schema, "")]
    for name, group in groups.items():
        title, _, rest = (type(group).__doc__ or "").partition("\n")
        definition = schema["$defs"][type(group).__name__]
        parts += [f"\n## {name}\n\n{title}{rest}\n", _table(group, definition, f"{name}.")]
    return "".join(parts)


def config_schema() -> str:
    """``workflow/schemas/config.schema.json``, for editors and other tools."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema"} | AskedConfig.model_json_schema()
    return json.dumps(schema | {"title": "snakescribe"}, ensure_ascii=False, indent=2) + "\n"


def errors_document() -> str:
    """``docs/errors.md``: exit codes and what can become of a recording."""
    names = {cls.exit_code: f"`{cls.__name__}`" for cls in SnakescribeError.__subclasses__()}
    codes = "".join(f"| {n} | {names.get(n, '')} | {text.replace('``', '`')} |\n" for n, text in EXIT_CODES.items())
    classes = "".join(
        f"| `{c.__name__}` | {_first_line(c)} | {c.advice} | {'yes' * c.passing} | {c.http_status} `{c.http_code}` |\n"
        for c in RecordingError.__subclasses__()
    )
    return f"""\
<!-- Generated from scripts/snakescribe/errors.py by `snakescribe config write`; edit that. -->

# When something fails

## Exit codes

Of `snakescribe` and its steps. The message is one line and says what to do.
`snakescribe find` ends with 0 without a hit, too.

| code | class | meaning |
|---|---|---|
{codes}
## Recordings that fail

A bad recording is a row, not a crash: the others finish. The tables have `status` = `failed`, one of these
names in `error_class` and the reason in `error_message`. `on_error: fail` (the default) makes the run end
with exit code 1 after everything else is done, `on_error: report` with 0. The server answers with the status
and `code` of the last column ([server.md](server.md)).

Where the fault may be the machine's, the next runs try again by themselves, `attempts` times in all (3); of the others
`snakescribe run --retry-failed`, or a change of the file.

| class | meaning | what to do | tried again | over HTTP |
|---|---|---|---|---|
{classes}"""


def _yaml(options: BaseModel, indent: str) -> Iterator[str]:
    for name, value in _defaults(options):
        if isinstance(value, BaseModel):
            yield f"\n{indent}# {_first_line(type(value))}\n{indent}{name}:\n"
            yield from _yaml(value, indent + "  ")
        else:
            field = type(options).model_fields[name]
            margin = f"{indent}# "
            choices = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
            text = f"one of {', '.join(choices)}: {field.description}" if choices else field.description or ""
            comment = textwrap.wrap(text, _WIDTH, initial_indent=margin, subsequent_indent=margin)
            yield "\n".join([*comment, f"{indent}{name}: {_written(value)}\n"])


def _defaults(options: BaseModel) -> Iterator[tuple[str, Any]]:
    return ((name, getattr(options, name)) for name in type(options).model_fields)


def _table(options: BaseModel, schema: dict[str, Any], prefix: str) -> str:
    rows = "".join(
        f"| `{prefix}{name}` | {_kind(schema['properties'][name])} | {_code(_written(value))} |"
        f" {type(options).model_fields[name].description} |\n"
        for name, value in _defaults(options)
        if not isinstance(value, BaseModel)
    )
    return f"\n| option | type | default | meaning |\n|---|---|---|---|\n{rows}"


def _kind(schema: dict[str, Any]) -> str:
    """The type of an option for people, from its JSON schema."""
    if "anyOf" in schema:
        return "; or ".join(map(_kind, schema["anyOf"]))
    if "enum" in schema:
        return ", ".join(_code(str(value)) for value in schema["enum"])
    match schema["type"]:
        case "array":
            return f"list of {_kind(schema['items'])}"
        case "object":
            return "texts and settings" if "$ref" in schema["additionalProperties"] else "pairs of texts"
        case "integer" | "number" as kind:
            words = {"minimum": "at least", "exclusiveMinimum": "more than", "maximum": "at most"}
            words["exclusiveMaximum"] = "less than"
            limits = [f"{phrase} {schema[key]:g}" for key, phrase in words.items() if key in schema]
            return ", ".join(["whole number" if kind == "integer" else "number", *limits])
    return {"string": "text", "boolean": "true or false", "null": "null"}[schema["type"]]


def _written(value: object) -> str:
    """A value as YAML, on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10_000)
    return text.removesuffix("...\n").strip()


def _code(text: str) -> str:
    return f"`{text}`"


def _first_line(thing: type) -> str:
    return (thing.__doc__ or "").split("\n", maxsplit=1)[0].replace("``", "`")
