"""The model that a configuration names, and whether it can do what the configuration asks for."""

from __future__ import annotations

from pathlib import Path

from snakescribe.config import Config
from snakescribe.errors import ConfigError
from snakescribe.models.capabilities import Capabilities, capabilities
from snakescribe.models.catalog import catalog
from snakescribe.models.store import Prepared, Store


def configured_store(config: Config) -> Store:
    """The folder of models."""
    return Store(Path(config.models))


def configured_model(config: Config) -> Prepared:
    """The prepared model; reads no weights.

    Raises:
        ModelError: it is not prepared, or incomplete; says what to run.
        ConfigError: it cannot do what the options ask for.
    """
    prepared = configured_store(config).resolve(config.model)
    check_options(prepared.capabilities, config)
    return prepared


def configured_capabilities(config: Config) -> Capabilities:
    """What the model can do; one of OpenAI's need not be prepared for this.

    Raises:
        ModelError: nothing is known of it; says what to run.
        ConfigError: it cannot do what the options ask for.
    """
    able = capabilities(configured_store(config).dims(config.model))
    check_options(able, config)
    return able


def check_options(able: Capabilities, config: Config) -> None:
    """Refuse what the model cannot do, before anything runs.

    Raises:
        ConfigError: the option, and which model could.
    """
    name = Path(config.model).name.removesuffix(".pt")
    if config.task == "translate" and not able.multilingual:
        raise ConfigError(f"task: {name} knows only English and cannot translate; use model: {_multilingual(name)}")
    if config.task == "translate" and not able.translates:
        raise ConfigError("task: the turbo model was not trained to translate; use model: large-v3 or medium")
    if able.missing_language(config.language):
        if able.multilingual:
            raise ConfigError(f"language: {name} does not know {config.language!r}; use model: large-v3")
        raise ConfigError(f"language: {name} knows only English; use model: {_multilingual(name)}")


def _multilingual(name: str) -> str:
    """The model to use instead of an English-only one: that of its size, where OpenAI has one."""
    counterpart = name.removesuffix(".en")
    return counterpart if counterpart in catalog().models else "base"
