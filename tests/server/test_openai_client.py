"""The official ``openai`` client, unchanged but for ``base_url`` and key; and the batch, which must say the same."""

from __future__ import annotations

import asyncio
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pysubs2
import pytest
import webvtt
from openai.types.audio import TranscriptionTextDeltaEvent, TranscriptionTextDoneEvent

from tests.server.serving import Served, scratch, serving
from tests.unit.audio_files import tone, write_wav
from tests.unit.espeak import say
from tests.workflow.runs import Site, cut

pytestmark = pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")  # of a constant in the client
BECKETT = re.compile(r"try again\W+fail again\W+fail better", re.IGNORECASE)


@pytest.fixture(scope="module")
def client(served: Served) -> Iterator[openai.OpenAI]:
    """What a user has after changing one line."""
    with openai.OpenAI(base_url=f"{served.url}/v1", api_key="any", max_retries=0) as client:
        yield client


@pytest.fixture
def strict(closed: Served) -> Iterator[openai.OpenAI]:
    """A client of the server that has a key and narrow limits."""
    with openai.OpenAI(base_url=f"{closed.url}/v1", api_key=closed.key, max_retries=0) as client:
        yield client


def flat(text: str) -> str:
    """Words, one space between."""
    return " ".join(text.split())


def test_json_and_text(client: openai.OpenAI, beckett: Path) -> None:
    answer = client.audio.transcriptions.create(file=beckett, model="whisper-1")
    assert BECKETT.search(answer.text)
    assert answer.usage is not None and answer.usage.type == "duration" and answer.usage.seconds == 10
    text = client.audio.transcriptions.create(file=beckett, model="base", response_format="text")
    assert isinstance(text, str) and flat(text) == answer.text


def test_subtitles_are_read_by_others(client: openai.OpenAI, two_cities: Path) -> None:
    whole = client.audio.transcriptions.create(file=two_cities, model="whisper-1").text
    srt = client.audio.transcriptions.create(file=two_cities, model="whisper-1", response_format="srt")
    shown = list(pysubs2.SSAFile.from_string(srt, format_="srt"))
    assert len(shown) > 8 and all(0 <= cue.start < cue.end <= 44_500 for cue in shown)
    assert flat(" ".join(cue.plaintext for cue in shown)) == whole
    vtt = client.audio.transcriptions.create(file=two_cities, model="whisper-1", response_format="vtt")
    cues = list(webvtt.from_string(vtt))
    assert flat(" ".join(cue.text for cue in cues)) == whole
    assert [pysubs2.time.timestamp_to_ms(cue.start.replace(".", ":").split(":")) for cue in cues] == [
        cue.start for cue in shown
    ]


def test_segments_and_words(client: openai.OpenAI, beckett: Path) -> None:
    plain = client.audio.transcriptions.create(file=beckett, model="whisper-1", response_format="verbose_json")
    assert plain.language == "english" and plain.duration == pytest.approx(9.96, abs=0.01)
    assert plain.segments and plain.words is None
    assert [segment.id for segment in plain.segments] == list(range(len(plain.segments)))
    assert flat(" ".join(segment.text for segment in plain.segments)) == plain.text
    assert all(0 <= segment.start < segment.end <= plain.duration for segment in plain.segments)

    both = client.audio.transcriptions.create(
        file=beckett,
        model="whisper-1",
        response_format="verbose_json",
        timestamp_granularities=["segment", "word"],
    )
    assert both.segments and both.words and both.text == plain.text
    assert flat(" ".join(word.word for word in both.words)) == plain.text
    starts = [word.start for word in both.words]
    assert starts == sorted(starts) and both.words[-1].end <= plain.duration

    words = client.audio.transcriptions.create(
        file=beckett, model="whisper-1", response_format="verbose_json", timestamp_granularities=["word"]
    )
    assert words.segments is None and words.words == both.words
    bare = client.audio.transcriptions.create(
        file=beckett,
        model="whisper-1",
        response_format="verbose_json",
        extra_body={"timestamp_granularities": "word"},  # without brackets
    )
    assert bare.words == both.words


def told(stream: openai.Stream[Any]) -> tuple[list[str], str]:
    """The pieces of a stream, and the text of its last event."""
    *pieces, last = list(stream)
    assert all(isinstance(piece, TranscriptionTextDeltaEvent) for piece in pieces)
    assert isinstance(last, TranscriptionTextDoneEvent)
    return [piece.delta for piece in pieces], last.text


def test_streaming_from_the_engine_and_from_the_cache(
    client: openai.OpenAI, served: Served, two_cities: Path, tmp_path: Path
) -> None:
    piece = tmp_path / "piece.wav"
    cut(two_cities, piece, 3, 40)
    before = served.figure("audio_seconds_total")
    for computed in (40, 0):
        with client.audio.transcriptions.create(file=piece, model="whisper-1", stream=True) as stream:
            deltas, text = told(stream)
        assert len(deltas) > 3 and "".join(deltas) == text and "worst of times" in text
        assert served.figure("audio_seconds_total") - before == pytest.approx(computed, abs=0.1)
        before = served.figure("audio_seconds_total")
    assert text == client.audio.transcriptions.create(file=piece, model="whisper-1").text


def test_silence_is_a_text_of_nothing(client: openai.OpenAI, tmp_path: Path) -> None:
    silence = tmp_path / "silence.wav"
    write_wav(silence, tone(440, 2, amplitude=0))
    assert client.audio.transcriptions.create(file=silence, model="whisper-1").text == ""
    with client.audio.transcriptions.create(file=silence, model="whisper-1", stream=True) as stream:
        assert told(stream) == ([], "")
    for form in ("srt", "vtt", "verbose_json", "text"):
        client.audio.transcriptions.create(file=silence, model="whisper-1", response_format=form)


def test_language_prompt_and_temperature(client: openai.OpenAI, beckett: Path) -> None:
    def said(**fields: Any) -> str:
        return client.audio.transcriptions.create(file=beckett, model="whisper-1", **fields).text

    german = client.audio.transcriptions.create(
        file=beckett, model="whisper-1", language="de", response_format="verbose_json"
    )
    assert german.language == "german"
    plain = said()
    assert said(prompt="NO CAPITALS? ALL CAPITALS. EVER TRIED. EVER FAILED.") != plain
    assert said(temperature=0.4) == plain  # no guard failed, so nothing was sampled


def test_what_openai_knows_besides_changes_nothing(client: openai.OpenAI, beckett: Path) -> None:
    answer = client.audio.transcriptions.create(
        file=beckett, model="whisper-1", chunking_strategy="auto", include=["logprobs"]
    )
    assert BECKETT.search(answer.text)


def test_translation_is_english(client: openai.OpenAI, tmp_path: Path) -> None:
    source = tmp_path / "안녕하세요.wav"
    write_wav(source, say("Buenos días. Hoy vamos a hablar de la música. Mi hermano trabaja en la ciudad.", "es"))
    heard = client.audio.transcriptions.create(file=source, model="whisper-1", response_format="verbose_json")
    assert heard.language == "spanish"
    answer = client.audio.translations.create(file=source, model="whisper-1")
    assert re.search("good morning.+my brother works", answer.text, re.IGNORECASE), answer.text
    verbose = client.audio.translations.create(file=source, model="whisper-1", response_format="verbose_json")
    assert verbose.text == answer.text and verbose.segments and verbose.duration > 3
    assert "-->" in client.audio.translations.create(file=source, model="whisper-1", response_format="srt")


def test_files_of_every_kind(client: openai.OpenAI, beckett: Path) -> None:
    data = beckett.read_bytes()
    with beckett.open("rb") as opened:
        for file in (
            ("회의 녹음 😀.wav", data),
            ("x.mp3", data, "audio/mpeg"),
            io.BytesIO(data),
            data,
            opened,
            beckett,
        ):
            assert BECKETT.search(client.audio.transcriptions.create(file=file, model="whisper-1").text)


def test_the_async_client(served: Served, beckett: Path, two_cities: Path) -> None:
    async def all_at_once() -> list[str]:
        async with openai.AsyncOpenAI(base_url=f"{served.url}/v1", api_key="any", max_retries=0) as client:

            async def streamed() -> str:
                stream = await client.audio.transcriptions.create(file=two_cities, model="whisper-1", stream=True)
                return "".join([event.delta async for event in stream if event.type == "transcript.text.delta"])

            plain = client.audio.transcriptions.create(file=beckett, model="whisper-1", response_format="text")
            return list(await asyncio.gather(plain, streamed()))

    short, long = asyncio.run(all_at_once())
    assert BECKETT.search(short) and "best of times" in long


def test_models(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["base", "whisper-1"]
    assert client.models.retrieve("whisper-1").id == "whisper-1"
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("gpt-4o/transcribe")
    assert caught.value.code == "model_not_found"


def test_wrong_fields_are_bad_requests(client: openai.OpenAI, beckett: Path) -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"language": "klingon"}, "language"),
        ({"temperature": 7}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"timestamp_granularities": ["word"]}, "timestamp_granularities[]"),
        ({"timestamp_granularities": ["letter"], "response_format": "verbose_json"}, "timestamp_granularities[]"),
        ({"prompt": "가" * 10_001}, "prompt"),
        ({"extra_body": {"file": "no file"}, "file": openai.omit}, "file"),
        ({"file": openai.omit}, "file"),
    ]
    for fields, param in wrong:
        with pytest.raises(openai.BadRequestError) as caught:
            client.audio.transcriptions.create(**({"file": beckett, "model": "whisper-1"} | fields))
        error = caught.value
        assert (error.param, error.code, error.type) == (param, "invalid_value", "invalid_request_error"), fields
        assert error.request_id and len(str(error.body["message"])) > 10  # type: ignore[index]


def test_recordings_without_a_text(client: openai.OpenAI, tmp_path: Path) -> None:
    with pytest.raises(openai.UnprocessableEntityError) as empty:
        client.audio.transcriptions.create(file=("empty.wav", b""), model="whisper-1")
    assert (empty.value.code, empty.value.param) == ("empty_recording", "file")
    with pytest.raises(openai.APIStatusError) as unreadable:
        client.audio.transcriptions.create(file=("x.mp3", b"no audio at all"), model="whisper-1", stream=True)
    assert (unreadable.value.status_code, unreadable.value.code) == (415, "unreadable_recording")


def test_a_wrong_model_or_key(strict: openai.OpenAI, closed: Served, beckett: Path) -> None:
    with pytest.raises(openai.NotFoundError) as missing:
        strict.audio.transcriptions.create(file=beckett, model="gpt-4o-transcribe")
    assert missing.value.param == "model" and "whisper-1" in missing.value.message
    with pytest.raises(openai.BadRequestError, match="cannot translate"):
        strict.audio.translations.create(file=beckett, model="whisper-1")
    with pytest.raises(openai.BadRequestError, match="only English"):
        strict.audio.transcriptions.create(file=beckett, model="whisper-1", language="ko")
    for key in ("nobody's", f"{closed.key}x", "x" * 5000):
        with pytest.raises(openai.AuthenticationError) as stranger:
            strict.with_options(api_key=key).audio.transcriptions.create(file=beckett, model="whisper-1")
        assert stranger.value.code == "invalid_api_key" and stranger.value.body["message"] == "the API key is wrong"
    assert BECKETT.search(strict.audio.transcriptions.create(file=beckett, model="tiny.en").text)


def test_too_much(strict: openai.OpenAI, closed: Served, beckett: Path, tmp_path: Path) -> None:
    with pytest.raises(openai.APIStatusError) as large:
        strict.audio.transcriptions.create(file=("large.wav", bytes(3_000_000)), model="whisper-1")
    assert (large.value.status_code, large.value.code) == (413, "too_large") and "2 MB" in large.value.message
    long = tmp_path / "long.wav"
    write_wav(long, tone(440, 61, rate=8000), rate=8000)
    with pytest.raises(openai.UnprocessableEntityError, match="longer than 1 minutes") as too_long:
        strict.audio.transcriptions.create(file=long, model="whisper-1")
    assert too_long.value.code == "too_long"
    with closed.places_taken(2), pytest.raises(openai.RateLimitError) as busy:
        strict.audio.transcriptions.create(file=beckett, model="whisper-1")
    assert busy.value.code == "busy" and int(busy.value.response.headers["retry-after"]) > 0
    patient = strict.with_options(max_retries=1)
    assert BECKETT.search(patient.audio.transcriptions.create(file=beckett, model="whisper-1").text)


def test_the_batch_and_the_server_say_the_same(models_root: Path, beckett: Path, two_cities: Path) -> None:
    """Each computes it without the other; then each takes from the cache what the other put there."""
    with scratch() as name:
        folder = Path(name)
        alone, together = Site(folder / "alone", models_root), Site(folder / "together", models_root)
        first, second = (site.recordings / "두 도시.wav" for site in (alone, together))
        cut(two_cities, first, 0, 25)
        alone.run(**{"cache.mode": "off"})
        cache = together.cache / "snakescribe"
        with serving(models_root, folder, options={"cache.path": str(cache)}) as server:
            computed = server.post(first, response_format="verbose_json").json()
            assert server.figure("audio_seconds_total") == pytest.approx(25, abs=0.1)
            same(alone.rows("segments"), computed)

            cut(two_cities, second, 0, 25)
            cut(beckett, together.recordings / "beckett.wav", 0, 9)
            together.run()
            rows = {row["path"]: row for row in together.rows()}
            assert {name: row["cached"] for name, row in rows.items()} == {"두 도시.wav": True, "beckett.wav": False}
            for name, row in rows.items():
                answer = server.post(together.recordings / name, response_format="verbose_json").json()
                assert (row["text"], row["language"], row["duration"]) == (
                    answer["text"],
                    answer["language_code"],
                    answer["duration"],
                )
                segments = together.rows("segments")
                same([segment for segment in segments if segment["recording_id"] == row["recording_id"]], answer)
            assert server.figure("audio_seconds_total") == pytest.approx(25, abs=0.1)


def same(rows: list[dict[str, Any]], answer: dict[str, Any]) -> None:
    """Segments of a table have the texts and times of an answer."""
    assert [(row["start"], row["end"], row["text"]) for row in rows] == [
        (segment["start"], segment["end"], segment["text"]) for segment in answer["segments"]
    ]
    assert len(rows) > 2
