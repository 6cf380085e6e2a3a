"""CTranslate2: int8 on any CPU, float16 on recent GPUs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import cached_property, partial

import ctranslate2
import numpy as np
import torch

from snakescribe.audio import CONTEXT_TOKENS
from snakescribe.engine.backend import Bucket, Hardware, Hypothesis
from snakescribe.engine.beam_search import SAMPLES_PER_WINDOW
from snakescribe.engine.malloc import trim
from snakescribe.models.store import Prepared

SPARE = 32
"""Token limits are rounded up to a multiple of this, so that windows of about one length go together."""


class CTranslate2Whisper:
    """Whisper through CTranslate2's own encoder and decoder."""

    name = "ctranslate2"

    def __init__(self, prepared: Prepared, hardware: Hardware, index: int, rows: int, workers: int) -> None:
        """Load ``prepared.ctranslate2`` onto the device; on a CPU each of the ``workers`` has one thread."""
        self.hardware, self.rows, self.workers = hardware, rows, workers
        self._load: Callable[..., ctranslate2.models.Whisper] = partial(
            ctranslate2.models.Whisper,
            str(prepared.ctranslate2),
            device=hardware.device,
            device_index=index,
            compute_type=hardware.compute_type,
            intra_threads=1,
        )
        self.n_mels = int(self._model.n_mels)
        self.multilingual = bool(self._model.is_multilingual)

    @cached_property
    def _model(self) -> ctranslate2.models.Whisper:
        """What reads; loaded again where sampling let it go and did not get its own."""
        return self._load(inter_threads=self.workers)

    def encode(self, log_mels: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Encode windows of one length together, each at its own length."""
        encoded: dict[int, torch.Tensor] = {}
        for rows in _alike([log_mel.shape[1] for log_mel in log_mels]):
            found = self._model.encode(_view(torch.stack([log_mels[row] for row in rows])))
            array = np.array(found.to_device(ctranslate2.Device.cpu))
            encoded |= zip(rows, torch.from_numpy(array), strict=True)
        return [encoded[row] for row in range(len(log_mels))]

    def detect_language(self, encoded: list[torch.Tensor]) -> list[dict[str, float]]:
        """Probabilities of all languages."""
        found: dict[int, dict[str, float]] = {}
        for rows in _alike([len(window) for window in encoded]):
            results = self._model.detect_language(_view(torch.stack([encoded[row] for row in rows])))
            for row, result in zip(rows, results, strict=True):
                found[row] = {token[2:-2]: probability for token, probability in result}
        return [found[row] for row in range(len(encoded))]

    def decode(self, bucket: Bucket) -> list[Hypothesis]:
        """Decode windows of one length and about one token limit together: CTranslate2 knows no padding."""
        found: dict[int, Hypothesis] = {}
        limits = [-(-limit // SPARE) * SPARE for limit in bucket.limits]
        lengths = [len(bucket.encoded[row]) for row in bucket.rows]
        for members in _alike(list(zip(lengths, limits, bucket.searches, strict=True))):
            features = _view(torch.stack([bucket.encoded[bucket.rows[i]] for i in members]))
            most = max(bucket.limits[i] for i in members) if len(members) == 1 else limits[members[0]]
            found |= zip(members, self._decode(bucket, members, features, most), strict=True)
        return [found[i] for i in range(len(bucket.rows))]

    def _decode(
        self, bucket: Bucket, members: list[int], features: ctranslate2.StorageView, most: int
    ) -> list[Hypothesis]:
        search, prompts = bucket.searches[members[0]], [list(bucket.prompts[i]) for i in members]
        sampling = search.temperature > 0
        model = self._seeded(search.seed) if sampling else self._model
        results = model.generate(
            features,
            prompts,
            beam_size=1 if sampling else search.beam_size,
            patience=search.patience,
            num_hypotheses=SAMPLES_PER_WINDOW if sampling else 1,
            sampling_topk=0 if sampling else 1,
            sampling_temperature=search.temperature or 1.0,
            max_length=min(CONTEXT_TOKENS, most + max(most, len(prompts[0]))),  # half of it is for the prompt
            return_scores=True,
            return_no_speech_prob=True,
        )
        texts = [result.sequences_ids[0] for result in results]
        aligned = self._align(features, prompts, texts, [bucket.frames[i] for i in members])
        return [
            Hypothesis(
                tokens=tuple(text),
                logprobs=logprobs,
                starts=starts,
                # the score is a mean over the tokens without the end token
                mean_logprob=result.scores[0] * len(text) / (len(text) + 1),
                no_speech_probability=result.no_speech_prob,
                temperature=search.temperature,
            )
            for result, text, (logprobs, starts) in zip(results, texts, aligned, strict=True)
        ]

    def _align(
        self, features: ctranslate2.StorageView, prompts: list[list[int]], texts: list[list[int]], frames: list[int]
    ) -> list[tuple[tuple[float, ...], tuple[int, ...]]]:
        """CTranslate2's own alignment: probabilities of the tokens, and where they start."""
        found: list[tuple[tuple[float, ...], tuple[int, ...]]] = [((), (0,))] * len(texts)
        array = torch.from_numpy(np.array(features.to_device(ctranslate2.Device.cpu)))
        starts = [tuple(prompt[-4:-1] if len(prompt) > 2 else prompt[-2:-1]) for prompt in prompts]
        for members in _alike(starts):
            members = [i for i in members if texts[i]]
            if not members:
                continue
            results = self._model.align(
                _view(array[members]),
                list(starts[members[0]]),
                [texts[i] for i in members],
                [frames[i] for i in members],
            )
            for i, result in zip(members, results, strict=True):
                logprobs = np.log(np.maximum(result.text_token_probs, 1e-10))
                first = dict(reversed(result.alignments))
                last = max(first.values(), default=0)
                # tokens whose column was never entered begin where the next one does
                starts_of = [first.get(token, last) for token in range(len(texts[i]) + 1)]
                found[i] = (tuple(logprobs.tolist()), tuple(np.maximum.accumulate(starts_of).tolist()))
        return found

    def _seeded(self, seed: int) -> ctranslate2.models.Whisper:
        """A model whose sampling starts from ``seed``.

        CTranslate2 seeds a generator once, in the thread that runs a model; only a new model samples anew. It
        takes a fraction of a second for the few windows that come to this. On a CPU a single worker, as there is after
        a death for want of memory, exchanges its model: two of them need more than anything else it does.
        """
        ctranslate2.set_random_seed(max(1, seed))
        if self.workers > 1 or self.hardware.device != "cpu":
            return self._load(inter_threads=1)
        del self._model  # `unload_model` does nothing if the thread that has just read is not at rest yet
        trim()
        self._model = self._load(inter_threads=1)
        return self._model


def _alike(keys: Sequence[object]) -> list[list[int]]:
    """Places with equal keys, together."""
    groups: dict[object, list[int]] = defaultdict(list)
    for place, key in enumerate(keys):
        groups[key].append(place)
    return list(groups.values())


def _view(rows: torch.Tensor) -> ctranslate2.StorageView:
    return ctranslate2.StorageView.from_array(np.ascontiguousarray(rows.numpy(), np.float32))
