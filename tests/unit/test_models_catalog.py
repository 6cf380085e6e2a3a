"""The catalogue says what OpenAI's own package says, and alignment heads follow the weights."""

import base64
import gzip
from itertools import product

import numpy as np
import pytest
import whisper

from snakescribe.models.alignment import alignment_heads
from snakescribe.models.catalog import catalog


@pytest.mark.parametrize("name", sorted(whisper._MODELS))
def test_urls_and_heads_are_openais(name: str) -> None:
    model = catalog().models[catalog().canonical(name)]
    shape = model.dims["n_text_layer"], model.dims["n_text_head"]
    dumped = gzip.decompress(base64.b85decode(whisper._ALIGNMENT_HEADS[name]))
    heads = np.argwhere(np.frombuffer(dumped, dtype=bool).reshape(shape))
    assert model.url == whisper._MODELS[name]
    assert model.sha256 in model.url and len(model.sha256) == 64
    assert model.alignment_heads == tuple(map(tuple, heads.tolist()))


def test_every_official_model_is_listed() -> None:
    assert catalog().models.keys() | catalog().aliases.keys() == whisper._MODELS.keys()


def test_heads_by_identity_before_name_before_dimensions() -> None:
    models = catalog().models
    base, small = models["base"], models["small"]
    assert base.identity
    assert alignment_heads(base.identity, "small", small.dims) == base.alignment_heads
    assert alignment_heads("?", "large-v1", models["large-v1"].dims) == models["large-v1"].alignment_heads
    assert alignment_heads("?", "ours", models["large-v1"].dims) == models["large-v2"].alignment_heads
    for name in ("tiny", "tiny.en", "medium.en", "large-v3", "large-v3-turbo"):
        assert alignment_heads("?", "ours", models[name].dims) == models[name].alignment_heads
    # an official name does not help weights of another shape
    assert alignment_heads("?", "base", small.dims) == small.alignment_heads


def test_heads_of_an_unknown_shape_are_the_upper_half() -> None:
    dims = catalog().models["large-v3"].dims | {"n_text_layer": 3, "n_text_head": 5}
    assert alignment_heads("?", "distilled", dims) == tuple(product((1, 2), range(5)))
