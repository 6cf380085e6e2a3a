"""What `make demo` does, with every engine: real speech through plain `snakemake`, then read as a user would."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import duckdb
import jiwer
import pandas as pd
import pysubs2
import pytest
import webvtt

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ("beckett.wav", "endgame_nagg_nell.wav", "two_cities.wav")

TWO_CITIES = """
It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness, it was
the epoch of belief, it was the epoch of incredulity, it was the season of Light, it was the season of Darkness, it was
the spring of hope, it was the winter of despair, we had everything before us, we had nothing before us, we were all
going direct to Heaven, we were all going direct the other way – in short, the period was so far like the present
period, that some of its noisiest authorities insisted on its being received, for good or for evil, in the superlative
degree of comparison only.
"""
"""Dickens, A Tale of Two Cities (1859), from the first word on; the recording reads all of it."""

HEARD = {
    "beckett.wav": {"failed", "no", "matter", "try", "again", "better"},
    "endgame_nagg_nell.wav": {"laugh", "heartily", "story", "pain", "ditch"},
}
"""Words that are said in the other two."""


@dataclass(frozen=True)
class Demo:
    """A finished run."""

    engine: str
    results: Path
    command: list[str]
    env: dict[str, str]


@pytest.fixture(scope="module", params=["openvino", "ctranslate2", "torch_whisper"])
def demo(request: pytest.FixtureRequest, models_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """The sample recordings, run once per engine."""
    folder = tmp_path_factory.mktemp("demo")
    command = [str(Path(sys.executable).with_name("snakemake")), "--cores", "all", "--config"]
    command += [f"recordings={models_root / 'samples'}", f"results={folder / 'results'}"]
    command += [f"engine={request.param}", "device=cpu", "words=true"]
    if request.param == "torch_whisper":
        command += ["compute_type=float32"]  # in int8, with AVX2 alone, it misses two of the words
    env = os.environ | {"XDG_CACHE_HOME": str(folder / "cache"), "SNAKESCRIBE_MODELS": str(models_root)}
    ran = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return Demo(request.param, folder / "results", command, env)


def words(text: str) -> list[str]:
    """Lower case, without punctuation."""
    return re.findall(r"[a-z']+", text.lower())


def clock(text: str) -> float:
    """Seconds of ``00:01:02.345``; webvtt's own ``start_in_seconds`` are whole ones."""
    hours, minutes, seconds = text.split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


def test_the_books_are_heard(demo: Demo) -> None:
    recordings = pd.read_parquet(demo.results / "tables/recordings.parquet").set_index("path")
    assert sorted(recordings.index) == sorted(SAMPLES)
    assert set(recordings.status) == {"ok"}
    assert set(recordings.language) == {"en"}
    assert set(recordings.engine) == {demo.engine}
    heard = words(recordings.text["two_cities.wav"])
    assert jiwer.wer(" ".join(words(TWO_CITIES)), " ".join(heard)) < 0.1
    for path, expected in HEARD.items():
        assert expected <= set(words(recordings.text[path])), recordings.text[path]


def test_duckdb_joins_the_tables(demo: Demo) -> None:
    tables = demo.results / "tables"
    rows = duckdb.sql(f"""
        SELECT path, duration, recordings.text, list(segments.text ORDER BY segments.segment), min(start), max("end")
        FROM '{tables}/recordings.parquet' AS recordings
        JOIN '{tables}/segments.parquet' AS segments USING (recording_id, path)
        GROUP BY ALL ORDER BY path
    """).fetchall()
    assert [path for path, *_ in rows] == sorted(SAMPLES)
    for _, duration, text, said, first, last in rows:
        assert words(" ".join(said)) == words(text)
        assert 0 <= first < last <= duration + 0.1
    spoken = dict(
        duckdb.sql(f"""
            SELECT path, count(*) FROM '{tables}/words.parquet' WHERE "end" >= start AND probability > 0.5 GROUP BY path
        """).fetchall()
    )
    assert spoken["two_cities.wav"] > 0.8 * len(words(TWO_CITIES))


def test_the_tsv_tables_say_the_same(demo: Demo) -> None:
    for name in ("recordings", "segments", "words"):
        parquet = pd.read_parquet(demo.results / f"tables/{name}.parquet")
        tsv = pd.read_csv(demo.results / f"tables/{name}.tsv", sep="\t", keep_default_na=False, na_values=[""])
        assert list(tsv.columns) == [column for column in parquet.columns if column != "path_bytes"]
        assert list(tsv.text) == list(parquet.text)


@pytest.mark.parametrize("name", SAMPLES)
def test_the_subtitles_are_read_by_others(demo: Demo, name: str) -> None:
    transcript = demo.results / "transcripts" / name
    plain = words(transcript.with_name(f"{name}.txt").read_text(encoding="utf-8"))
    srt = pysubs2.load(f"{transcript}.srt")
    vtt = webvtt.read(f"{transcript}.vtt")
    assert words(" ".join(cue.plaintext for cue in srt)) == plain
    assert words(" ".join(cue.text for cue in vtt)) == plain
    for cues in ([(c.start, c.end) for c in srt], [(clock(c.start), clock(c.end)) for c in vtt]):
        assert all(start < end for start, end in cues)
        assert all(before[1] <= after[0] for before, after in itertools.pairwise(cues))


def test_a_second_run_has_nothing_to_do(demo: Demo) -> None:
    again = subprocess.run(demo.command, cwd=ROOT, env=demo.env, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert "Nothing to be done" in again.stdout + again.stderr


def test_the_report_has_what_was_heard_and_snakemake_takes_it_into_its_own(demo: Demo, tmp_path: Path) -> None:
    page = (demo.results / "report.html").read_text(encoding="utf-8")
    assert all(f'id="{block}"' in page for block in ("block-0", "index"))
    own = subprocess.run(
        [*demo.command, "--report", str(tmp_path / "own.html")], cwd=ROOT, env=demo.env, capture_output=True, text=True
    )
    assert own.returncode == 0, own.stderr
    assert "Adding report.html" in own.stderr
