"""The glossary changes words of a finished transcript, and says which."""

from __future__ import annotations

from snakescribe import glossary
from snakescribe.transcript import Segment, Transcript, Word


def test_glossary_replaces_longest_first_and_says_so() -> None:
    word = Word(start=0, end=1, text="스네이크가", probability=1)
    segment = Segment(
        start=0,
        end=1,
        text="스네이크가 스네이크스크라이브를 만났다",
        words=(word,),
        mean_logprob=-0.1,
        no_speech_probability=0.0,
        compression_ratio=1.0,
        temperature=0.0,
    )
    transcript = Transcript(duration=1, speech_seconds=1, language="ko", language_probability=1, segments=(segment,))
    done = glossary.apply(transcript, {"스네이크": "뱀", "스네이크스크라이브": "snakescribe"})
    assert done.text == "뱀가 snakescribe를 만났다" and done.segments[0].words[0].text == "뱀가"
    assert done.replacements == ("스네이크→뱀 ×1", "스네이크스크라이브→snakescribe ×1")
    assert glossary.apply(transcript, {}) is transcript
