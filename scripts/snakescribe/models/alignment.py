"""Which cross-attention heads follow time; word times are read from them."""

from __future__ import annotations

from itertools import product

from snakescribe.models.catalog import catalog


def alignment_heads(
    identity: str, name: str, dims: dict[str, int], own: tuple[tuple[int, int], ...] | None = None
) -> tuple[tuple[int, int], ...]:
    """(decoder layer, head) pairs for weights: OpenAI's own choice where it can be known.

    By identity, else what came with the weights (``own``), else by an official name of the same dimensions, else by
    dimensions alone, so that weights fine-tuned from an official model get its heads. large-v1 and large-v2 have the
    same dimensions: without one of these names large-v2 is taken. For any other shape, every head in the upper half of
    the decoder (openai/whisper ``model.py``).
    """
    models = catalog().models
    same_weights = [model for model in models.values() if model.identity == identity]
    same_shape = {official: model for official, model in models.items() if model.dims == dims}
    if same_weights:
        return same_weights[0].alignment_heads
    if own:
        return own
    if name in same_shape:
        return same_shape[name].alignment_heads
    if same_shape:
        return list(same_shape.values())[-1].alignment_heads  # large-v2 stands after large-v1
    layers, heads = dims["n_text_layer"], dims["n_text_head"]
    return tuple(product(range(layers // 2, layers), range(heads)))
