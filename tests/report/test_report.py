"""The report of made-up runs: what is counted, what comes first, what the file holds."""

from __future__ import annotations

import base64
import gzip
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from snakescribe.cli import main
from snakescribe.config import read_resolved
from snakescribe.layout import Results
from snakescribe.report import page
from snakescribe.report.terminal import overview_of, tell
from snakescribe.tables.write import write_tables
from tests.unit.finished import finish, gap, row, segment

HOSTILE = '</script><img src=x onerror=alert(1)>"\u202e안녕\n'


def no_number(text: str) -> float:
    """A browser's parser takes no NaN."""
    raise ValueError(text)


def written(results: Results) -> dict[str, Any]:
    """What the page holds, by block, when it is written now."""
    page.write_page(results, read_resolved(results.config))
    return read(results)


def read(results: Results) -> dict[str, Any]:
    """What it holds."""
    text = results.report.read_text(encoding="utf-8")
    blocks = re.findall(r'<script type="text/plain" id="([\w-]+)">([\w+/=]*)</script>', text)
    assert text.count("</script") == len(blocks) + 1, "no text ends an element"
    data = {name: gzip.decompress(base64.b64decode(packed)) for name, packed in blocks}
    return {name: json.loads(packed, parse_constant=no_number) for name, packed in data.items()}


def doubtful(text: str, mean_logprob: float, *flags: str) -> dict[str, Any]:
    return segment(0, 10, text) | {"mean_logprob": mean_logprob, "flags": list(flags)}


@pytest.fixture
def results(tmp_path: Path) -> Results:
    """Two batches with one of everything."""
    failed = row("깨진.mp3", status="failed")
    gone, known = row("gone.wav", segment(0, 5, "네")), row("known.wav", segment(0, 5, "커피 한잔 주세요"))
    batches = {
        "b000001": [
            row("sure.wav", segment(0, 60, "안녕하세요"), envelope="AZaz09+/"),
            row(f"{HOSTILE}.wav", doubtful(HOSTILE, -0.1)),
            row("loop.wav", doubtful("네 네 네 네", -0.2, "repetition"), flags=["repetition"]),
            failed,
        ],
        "b000002": [
            row("half.wav", segment(0, 10, "반만"), gaps=[gap(10, 40)]),
            row("silence.wav", speech_seconds=0.0),
            row("cut.wav", segment(0, 60, "끝이 없는"), flags=["truncated"]),
            gone,
            known,
        ],
    }
    more = {gone["recording_id"]: {"state": "removed"}, known["recording_id"]: {"reference": "커피 한 잔 주세용"}}
    return finish(tmp_path, batches, known=more)


def test_what_is_counted(results: Results) -> None:
    overview = written(results)["index"]["overview"]
    assert overview["status"] == {"ok": 6, "failed": 1, "empty": 1, "removed": 1}
    assert (overview["recordings"], overview["failures"]) == (8, {"UnreadableRecording": 1})
    assert overview["seconds"]["audio"] == 7 * 60
    assert overview["speed"] == pytest.approx(10)
    assert overview["flags"] == {"repetition": 1, "truncated": 1}
    assert (overview["without_text"], overview["seconds"]["gap"]) == (1, 30)
    assert overview["languages"] == [["ko", 6, 360.0]]
    (rate,) = overview["rates"]
    assert (rate["language"], rate["unit"], rate["recordings"]) == ("ko", "characters", 1)
    assert rate["rate"] == pytest.approx(1 / 7)


def test_the_worst_comes_first(results: Results) -> None:
    recordings = written(results)["index"]["recordings"]
    names = [Path(path).stem for path in recordings["path"]]
    assert names[:4] == ["깨진", "loop", "half", "cut"]
    assert names[-1] == "gone" and recordings["removed"][-1]
    assert recordings["doubt"] == sorted(recordings["doubt"], reverse=True)


def test_a_line_opens_its_text(results: Results) -> None:
    found = written(results)
    index = found["index"]["recordings"]
    for name, text in (("sure.wav", "안녕하세요"), (f"{HOSTILE}.wav", HOSTILE)):
        i = index["path"].index(name)
        opened = found[f"block-{index['block'][i]}"][index["place"][i]]
        assert [said for _, _, said, *_ in opened["segments"]] == [text]
    assert opened["envelope"] is None
    i = index["path"].index("sure.wav")
    assert found[f"block-{index['block'][i]}"][index["place"][i]]["envelope"] == "AZaz09+/"
    assert index["href"][i] == "recordings/sure.wav"


def beside(found: dict[str, Any], path: str) -> dict[str, Any] | None:
    """What the page holds of a recording and its reference."""
    index = found["index"]["recordings"]
    i = index["path"].index(path)
    made: dict[str, Any] | None = found[f"block-{index['block'][i]}"][index["place"][i]].get("beside")
    return made


def test_what_evaluate_read_in_a_folder_is_in_the_report_until_it_is_asked_again(
    results: Results, tmp_path: Path
) -> None:
    found = written(results)
    made = beside(found, "known.wav")
    assert made and made["words"] == [2, 1, 0, 4] and made["characters"] == [1, 0, 0, 7]
    assert made["pieces"] == ["커피", ["한", "한잔"], ["잔", "주세요"], ["주세용", ""]]
    assert beside(found, "sure.wav") is None
    write_tables(results)
    references = tmp_path / "references"
    references.mkdir()
    (references / "known.txt").write_text('스무 살\t\\n"입니다')
    (references / "sure.srt").write_text("1\n00:00:00,000 --> 00:00:01,000\n안녕하세요, 네\n")
    asked = ["evaluate", "--results", str(results.root)]
    assert main([*asked, "--references", str(references), "--fold-numbers"]) == 0
    for path in references.iterdir():
        path.unlink()
    for found in (read(results), written(results)):  # as `evaluate` and as a later run have written it
        made = beside(found, "known.wav")
        assert made and made["folded"] and made["pieces"] == [["스무 살", "커피"], ["n", "한잔"], ["입니다", "주세요"]]
        made = beside(found, "sure.wav")
        assert made and made["pieces"] == ["안녕하세요", ["네", ""]]
        assert found["index"]["overview"]["rates"][0]["recordings"] == 2
    assert main(asked) == 0
    assert beside(read(results), "sure.wav") is None
    assert main([*asked, "--corrected"]) == 3 and results.evaluation.exists()
    results.evaluation.write_text("saved by another program;\n")
    assert beside(written(results), "sure.wav") is None


def test_the_reference_of_another_recording_is_told(tmp_path: Path) -> None:
    odd = row("odd.wav", segment(0, 5, "to be or not"), language="en")
    results = finish(tmp_path, {"b000001": [odd]}, known={odd["recording_id"]: {"reference": "five"}})
    made = beside(written(results), "odd.wav")
    assert made and made["strange"]


@pytest.mark.parametrize("unknown", [float("nan"), float("inf"), -float("inf"), None])
def test_figures_that_are_no_numbers_are_left_out(tmp_path: Path, unknown: float | None) -> None:
    names = ("duration", "speech_seconds", "text_seconds", "gap_seconds", "wall_seconds", "real_time_factor")
    time = 0.0 if unknown is None else unknown  # of a segment there is one
    said = segment(time, 5, "네") | {"mean_logprob": unknown}
    odd = row("odd.wav", said, gaps=[gap(5, time or 6)], **dict.fromkeys(names, unknown))
    results = finish(tmp_path, {"b000001": [odd, row("even.wav", segment(0, 5, "네"))]})
    write_tables(results)
    found = written(results)
    index, (opened, _) = found["index"]["recordings"], found["block-0"]
    i = index["path"].index("odd.wav")
    assert [index[name][i] for name in ("duration", "confidence", "speed")] == [None, None, None]
    start, end = (0, 6) if unknown is None else (None, None)
    assert (opened["segments"][0][:4], opened["gaps"]) == ([start, 5, "네", None], [[5, end, None]])
    assert found["index"]["overview"]["seconds"]["audio"] == 60


def test_of_too_many_the_worst_are_listed_and_of_those_the_worst_have_their_text(
    results: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = written(results)["index"]["recordings"]
    monkeypatch.setattr(page, "LISTED", 4)
    monkeypatch.setattr(page, "TEXTS", 500)
    found = written(results)
    index = found["index"]["recordings"]
    assert index["path"] == whole["path"][:4]
    assert index["place"][0] is not None and index["place"][-1] is None
    assert sum(len(texts) for name, texts in found.items() if name != "index") == sum(
        p is not None for p in index["place"]
    )
    assert found["index"]["overview"]["recordings"] == 8


def test_the_same_run_gives_the_same_page_but_for_its_time(results: Results) -> None:
    first = written(results)
    second = written(results)
    first["index"].pop("made"), second["index"].pop("made")
    assert first == second


@pytest.mark.parametrize("rows", [[], [row("a.mp3", status="failed")], [row("a.wav")]], ids=["none", "failed", "empty"])
def test_nothing_to_show(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    results = finish(tmp_path, {"b000001": rows})
    assert len(written(results)["index"]["recordings"]["id"]) == len(rows)
    out = io.StringIO()
    tell(overview_of(results, read_resolved(results.config)), Console(file=out))
    assert f"{len(rows)} recording" in out.getvalue()


def test_the_first_screen_in_the_terminal(results: Results) -> None:
    out = io.StringIO()
    tell(overview_of(results, read_resolved(results.config)), Console(file=out, width=120))
    said = out.getvalue()
    assert "8 recordings: 6 ok, 1 empty, 1 failed, 1 removed since; 7.0 min of audio" in said
    assert "UnreadableRecording" in said and "copy it again from where it came" in said
    assert "30 s of speech without text" in said
    assert "14.3%" in said
    assert "\x1b" not in said


def test_the_scripts_are_one_module_without_imports() -> None:
    script = page.script()
    assert not re.search(r"^\s*(import|export)\b", script, re.MULTILINE)
    declared = re.findall(r"^(?:function|class|const|let|async function) (\w+)", script, re.MULTILINE)
    assert len(declared) == len(set(declared)), "two modules declare the same name"
