"""CTranslate2: int8 on any CPU, float16 on recent GPUs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

import ctranslate2
import numpy as np
import numpy.typing as npt
import torch

from snakescribe.engine.backend import Alignment, Bucket, Encoded, Hardware, Hypothesis
from snakescribe.engine.torch_whisper import SAMPLES_PER_WINDOW
from snakescribe.models.store import Prepared


class CTranslate2Whisper:
    """Whisper through CTranslate2's own encoder and decoder."""

    name = "ctranslate2"

    def __init__(self, prepared: Prepared, hardware: Hardware, index: int, max_rows: int, threads: int) -> None:
        """Load ``prepared.ctranslate2`` onto the device; ``threads`` is for the CPU."""
        self.hardware = hardware
        self.max_rows = max_rows
        self._load: Callable[[], ctranslate2.models.Whisper] = partial(
            ctranslate2.models.Whisper,
            str(prepared.ctranslate2),
            device=hardware.device,
            device_index=index,
            compute_type=hardware.compute_type,
            intra_threads=threads,
            inter_threads=1,
        )
        self._model = self._load()
        self._sampler: tuple[int, ctranslate2.models.Whisper] | None = None
        self.n_mels = int(self._model.n_mels)
        self.multilingual = bool(self._model.is_multilingual)

    def encode(self, log_mel: torch.Tensor) -> Encoded:
        """Encode at the input's own length."""
        return self._model.encode(_view(log_mel.numpy()))

    def detect_language(self, encoded: Encoded) -> list[dict[str, float]]:
        """Probabilities of all languages."""
        rows = self._model.detect_language(encoded)
        return [{token[2:-2]: probability for token, probability in row} for row in rows]

    def decode(self, buckets: Iterable[Bucket]) -> Iterator[tuple[int, Hypothesis]]:
        """Decode each bucket as one batch."""
        for bucket in buckets:
            search, prompt = bucket.search, len(bucket.prompts[0])
            sampling = search.temperature > 0
            model = self._seeded(search.seed) if sampling else self._model
            results = model.generate(
                bucket.encoded,
                [list(p) for p in bucket.prompts],
                beam_size=1 if sampling else search.beam_size,
                patience=search.patience,
                num_hypotheses=SAMPLES_PER_WINDOW if sampling else 1,
                sampling_topk=0 if sampling else 1,
                sampling_temperature=search.temperature or 1.0,
                max_length=prompt + bucket.max_tokens,
                return_scores=True,
                return_no_speech_prob=True,
            )
            for key, result in zip(bucket.ids, results, strict=True):
                tokens = tuple(result.sequences_ids[0])
                yield (
                    key,
                    Hypothesis(
                        tokens=tokens,
                        # the score is a mean over the tokens without the end token
                        mean_logprob=result.scores[0] * len(tokens) / (len(tokens) + 1),
                        no_speech_probability=result.no_speech_prob,
                        temperature=search.temperature,
                    ),
                )

    def _seeded(self, seed: int) -> ctranslate2.models.Whisper:
        """A model whose sampling starts from ``seed``.

        CTranslate2 seeds a generator once, in the thread that runs a model; only a new model samples anew. It
        takes a fraction of a second for the few windows that come to this.
        """
        if self._sampler is None or self._sampler[0] != seed:
            self._sampler = None  # frees the earlier one first
            ctranslate2.set_random_seed(max(1, seed))
            self._sampler = (seed, self._load())
        return self._sampler[1]

    def align(
        self,
        encoded: Encoded,
        rows: Sequence[int],
        starts: Sequence[tuple[int, ...]],
        tokens: Sequence[Sequence[int]],
        frames: Sequence[int],
    ) -> list[Alignment]:
        """CTranslate2's own alignment with the heads named in the model's ``config.json``."""
        features = np.array(encoded.to_device(ctranslate2.Device.cpu))
        found: dict[int, Alignment] = {}
        for start in sorted(set(starts)):
            members = [i for i, other in enumerate(starts) if other == start]
            results = self._model.align(
                _view(features[[rows[i] for i in members]]),
                list(start),
                [list(tokens[i]) for i in members],
                [frames[i] for i in members],
            )
            for i, result in zip(members, results, strict=True):
                found[i] = Alignment(
                    token_indices=np.array([pair[0] for pair in result.alignments], np.int64),
                    positions=np.array([pair[1] for pair in result.alignments], np.int64),
                    probabilities=tuple(result.text_token_probs),
                )
        return [found[i] for i in range(len(starts))]


def _view(array: npt.NDArray[np.float32]) -> ctranslate2.StorageView:
    return ctranslate2.StorageView.from_array(np.ascontiguousarray(array, np.float32))
