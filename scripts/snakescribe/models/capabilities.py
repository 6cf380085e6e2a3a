"""What a Whisper model can do: read from its dimensions, so that it holds for models of any name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from snakescribe.config.languages import DETECTED, LANGUAGES
from snakescribe.models.catalog import catalog

ENGLISH_TOKENS = 51864
"""Tokens that an English-only model knows; the others know more (openai/whisper ``model.py`` ``is_multilingual``)."""
NOT_LANGUAGES = 51765
"""Tokens of a model that are no languages; multilingual ones have one more (the same file, ``num_languages``)."""


@dataclass(frozen=True)
class Capabilities:
    """What a model can do."""

    multilingual: bool
    translates: bool
    """Whether it was trained to translate into English."""
    language_tokens: int
    """Languages that its tokenizer has a token for; an English-only model has them too."""
    n_mels: int
    """Mel bands of its input."""
    parameters: int

    @property
    def languages(self) -> tuple[str, ...]:
        """Codes of the languages that it knows."""
        return tuple(LANGUAGES)[: self.language_tokens] if self.multilingual else ("en",)

    def missing_language(self, asked: str | None) -> str | None:
        """What to say about a language that it does not know; None if it does, or is to detect it."""
        if asked is None or asked in DETECTED or asked in self.languages:
            return None
        return f"does not know {asked!r}" if self.multilingual else f"knows only English, not {asked!r}"


def is_multilingual(n_vocab: int) -> bool:
    """Whether a model with so many tokens knows more than English."""
    return n_vocab > ENGLISH_TOKENS


def language_tokens(n_vocab: int) -> int:
    """How many languages a model with so many tokens has a token for."""
    return n_vocab - NOT_LANGUAGES - is_multilingual(n_vocab)


def has_tokenizer(n_vocab: int) -> bool:
    """Whether one of openai-whisper's tokenizers knows so many tokens: 99 languages, or 100 (with ``yue``)."""
    return 99 <= language_tokens(n_vocab) <= len(LANGUAGES)


def capabilities(dims: Mapping[str, int]) -> Capabilities:
    """What a model of these dimensions (``whisper.model.ModelDimensions``) can do."""
    multilingual = is_multilingual(dims["n_vocab"])
    return Capabilities(
        multilingual=multilingual,
        translates=multilingual and not _is_turbo(dims),
        language_tokens=language_tokens(dims["n_vocab"]),
        n_mels=dims["n_mels"],
        parameters=parameters(dims),
    )


def parameters(dims: Mapping[str, int]) -> int:
    """Weights of a model (openai/whisper ``model.py``); the encoder's positions are computed and do not count.

    >>> [round(parameters(catalog().models[name].dims) / 1e6) for name in ("base", "large-v3", "large-v3-turbo")]
    [72, 1542, 807]
    """
    audio, text = dims["n_audio_state"], dims["n_text_state"]
    convolutions = 3 * dims["n_mels"] * audio + audio + 3 * audio**2 + audio
    encoder = convolutions + dims["n_audio_layer"] * 12 * (audio**2 + audio) + 2 * audio
    embeddings = (dims["n_vocab"] + dims["n_text_ctx"]) * text
    decoder = embeddings + dims["n_text_layer"] * (16 * text**2 + 17 * text) + 2 * text
    return encoder + decoder


def _is_turbo(dims: Mapping[str, int]) -> bool:
    """Whether it has the layers of OpenAI's turbo model, which was trained without translations."""
    turbo = catalog().models["large-v3-turbo"].dims
    return all(dims[layers] == turbo[layers] for layers in ("n_audio_layer", "n_text_layer"))
