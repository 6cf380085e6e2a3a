"""A review by real keys in a real browser, from the printed address to the tables."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect, sync_playwright

from snakescribe.audio.decoder import ffmpeg_path
from snakescribe.config import load_config, read_resolved
from snakescribe.corrections import marker, store
from snakescribe.errors import BusyError
from snakescribe.files import write_atomically
from snakescribe.formats.export import export_batch
from snakescribe.inventory.take import take
from snakescribe.layout import Results
from snakescribe.report.page import write_page
from snakescribe.tables.batch import write_batch
from snakescribe.tables.write import write_tables
from snakescribe.workflow import prepare_results
from tests.browser import launched, with_chromium
from tests.unit.finished import finish, gap, row, segment

SAID = [f"문장 {number}" for number in range(8)]


@pytest.fixture
def results(tmp_path: Path, models_root: Path) -> Results:
    """A call of ten seconds with eight segments, all of them doubtful, and one place without text; and a good one."""
    recording = tmp_path / "recordings/통화 #1.wav"
    recording.parent.mkdir()
    shutil.copy(models_root / "samples/beckett.wav", recording)
    doubted = {"flags": ["low_confidence"], "mean_logprob": -1.2}
    segments = [segment(number, number + 1, text) | doubted for number, text in enumerate(SAID)]
    segments[0]["speaker"] = "SPEAKER_00"
    nobody = {"channel": None, "speech_seconds": 4.0, "turns": 1, "first_start": 0.0}
    names = {"SPEAKER_00": None, "SPEAKER_01": "이준"}
    speakers = [{"speaker": label, "name": name} | nobody for label, name in names.items()]
    call = row(recording.name, *segments, flags=["low_confidence"], duration=10.0, gaps=[gap(8, 10)], speakers=speakers)
    reference = {call["recording_id"]: {"reference": "문장 0 환불 요청이요"}}
    results = finish(tmp_path, {"b000001": [call, row("good.wav", segment(0, 5, "네"))]}, known=reference)
    export_batch(results, ["json", "txt"], "b000001")
    write_tables(results)
    write_page(results, read_resolved(results.config))
    return results


@contextmanager
def reviewed(results: Results, who: str = "김서연") -> Iterator[str]:
    """The address that a review prints; at the end it is stopped as people stop it."""
    command = [sys.executable, "-m", "snakescribe.cli", "review", "--results", str(results.root), "--who", who]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr
    try:
        found = re.search(r"http://\S+", process.stderr.readline())
        assert found
        yield found[0]
    finally:
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=120)[1]
    assert process.returncode in (0, 130), said
    assert "Traceback" not in said


@contextmanager
def visited(address: str) -> Iterator[Page]:
    wrong: list[str] = []
    with sync_playwright() as playwright, launched(playwright) as browser:
        page = browser.new_page(locale="en-GB")
        page.on("console", lambda message: wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(address)
        page.locator("#list li").first.wait_for()
        yield page
        assert wrong == []


def kept(page: Page, number: int) -> None:
    """So many segments are marked as put right."""
    expect(page.get_by_text("✓ checked")).to_have_count(number)


@with_chromium
def test_ten_segments_are_put_right_by_keys_alone(results: Results) -> None:
    with reviewed(results) as address, visited(address) as page:
        expect(page.locator("#list li").first).to_contain_text("통화 #1.wav")
        page.locator("#list button").first.focus()
        keys = page.keyboard
        keys.press("Enter")
        segments = page.locator("#segments li")
        expect(segments).to_have_count(9)
        assert Axe().run(page).violations_count == 0
        keys.press("n")  # from the title, where one is after Enter

        keys.press("r")  # 1: this is right
        kept(page, 1)
        expect(segments.nth(0)).to_contain_text("SPEAKER_00")
        keys.press("s")  # but somebody else said it
        expect(segments.nth(0)).to_contain_text("이준")
        keys.press("n")  # 2: other words
        keys.press("e")
        expect(page.get_by_role("textbox", name="What is said from 0:01")).to_be_focused()
        keys.press("Control+a")
        keys.type("환불 요청이요")
        keys.press("Enter")
        kept(page, 2)
        expect(page.locator("#beside summary")).to_contain_text("CER 200%")  # its 9 letters have 18 more behind them
        keys.press("n")  # 3: given up
        keys.press("e")
        keys.type("아니")
        keys.press("Escape")
        expect(page.get_by_role("dialog")).to_be_visible()
        keys.press("r")  # 3
        kept(page, 3)
        keys.press("n")  # 4 and 5: one sentence
        keys.press("j")
        kept(page, 4)
        expect(segments).to_have_count(8)
        expect(segments.nth(3)).to_contain_text("문장 3 문장 4")
        keys.press("n")  # 6: two sentences
        keys.press("e")
        keys.press("Home")
        for _ in "문장":
            keys.press("ArrowRight")
        keys.press("Alt+Enter")
        kept(page, 6)
        expect(segments).to_have_count(9)
        keys.press("n")  # 7: nobody says this
        keys.press("e")
        keys.press("Control+a")
        keys.press("Delete")
        keys.press("Enter")
        expect(segments).to_have_count(8)
        keys.press("n")  # 8
        keys.press(" ")
        expect(page.locator("#sound")).to_have_js_property("paused", False)
        keys.press("b")
        keys.press("r")
        kept(page, 7)
        keys.press("n")  # 9: what was missing
        expect(segments.last).to_contain_text("speech without text")
        keys.press("e")
        keys.type("네 끊을게요")
        keys.press("Enter")
        kept(page, 8)
        keys.press("n")
        expect(page.locator("#name")).to_contain_text("good.wav")  # the next one, if only a little doubtful

    corrections = store.read(results)
    assert len(corrections) == 9 and {one.who for one in corrections} == {"김서연"}
    (call, good) = pq.read_table(results.table("recordings", "parquet")).to_pylist()
    said = "문장 0 환불 요청이요 문장 2 문장 3 문장 4 문장 5 문장 7 네 끊을게요"
    assert (call["text"], call["corrected"], call["flags"], call["gaps"]) == (said, True, [], [])
    assert (good["text"], good["corrected"]) == ("네", False)
    text = (results.transcripts / "통화 #1.wav.txt").read_text(encoding="utf-8")
    assert text.split("\n")[4:6] == ["문장", "5"], "cut"
    assert text.startswith("[이준] 문장 0\n")
    assert not (results.state / "review.html").exists()


@with_chromium
def test_two_at_one_place_are_both_kept_and_told(results: Results) -> None:
    with reviewed(results) as address, visited(address) as page:
        page.locator("#list button").first.click()
        first = page.locator("#segments li").first
        expect(first).to_contain_text("문장 0")
        there = {"channel": None, "start": 0, "end": 1, "old": "문장 0"}
        (key,) = {
            one["recording_id"] for one in pq.read_table(results.batch("b000001")).to_pylist() if "#1" in one["path"]
        }
        post(address, key, {**there, "new": [{"start": 0, "end": 1, "text": "누가 먼저"}]})
        first.get_by_role("button").focus()
        page.keyboard.press("r")
        expect(page.locator("#problem")).to_contain_text("Somebody else had changed this place")
    assert [one.new[0].text for one in store.read(results)] == ["누가 먼저", "문장 0"]


KINDS = {
    "narrow.amr": ("amr_nb", ["-ar", "8000", "-c:a", "libopencore_amrnb"]),
    "memo.wma": ("wmav2", ["-c:a", "wmav2"]),
    "pbx.wav": ("adpcm_g726", ["-ar", "8000", "-c:a", "g726"]),
    "pbx.ulaw": ("pcm_mulaw", ["-ar", "8000", "-f", "mulaw"]),
    "film.mp4": ("aac", ["-map", "0", "-map", "1"]),
    "plain.mp3": ("mp3", ["-c:a", "libmp3lame"]),
}
"""Codec, and how ffmpeg makes it, of what browsers do not play; but the last."""


@pytest.fixture
def unheard(tmp_path: Path, models_root: Path) -> Results:
    """A finished run over :data:`KINDS`."""
    folder, speech = tmp_path / "통화", str(models_root / "samples/beckett.wav")
    folder.mkdir()
    rows = []
    for name, (codec, how) in KINDS.items():
        read = [ffmpeg_path(), "-v", "error", "-i", speech, "-f", "lavfi", "-i", "anullsrc"]
        subprocess.run([*read, "-ac", "1", "-t", "3", *how, folder / name], check=True)
        tracks = {"audio_tracks": how.count("-map") or 1, "audio_track": 1}
        content = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        rows.append(
            row(name, segment(0, 2, "네"), sha256=content, codec=codec, duration=3.0, batch="b000001", **tracks)
        )
    results = Results(tmp_path / "out")
    config = load_config({"recordings": str(folder), "results": str(results.root)}, tmp_path)
    take(config)
    write_atomically(results.config, config.model_dump_json().encode())
    write_batch(results.batch("b000001"), rows)
    return results


@with_chromium
def test_what_no_browser_plays_is_heard(unheard: Results, tmp_path: Path) -> None:
    keys = {one["path"]: one["recording_id"] for one in pq.read_table(unheard.batch("b000001")).to_pylist()}
    with reviewed(unheard) as address, visited(address) as page:
        for name, key in keys.items():
            sound = address.replace("/?", f"/sounds/{key}?")
            seconds = """address => new Promise(done => {
                const sound = new Audio(address);
                sound.onloadedmetadata = () => done(sound.duration);
                sound.onerror = () => done(sound.error.message);
            })"""
            assert page.evaluate(seconds, sound) == pytest.approx(3, abs=0.2), name
            part = urllib.request.Request(sound, headers={"Range": "bytes=0-99"})
            with urllib.request.urlopen(part) as answer:
                assert answer.status == 206
                kind, head = answer.headers["Content-Type"], answer.read()
            if name == "plain.mp3":
                assert (kind, head) == ("audio/mpeg", (tmp_path / "통화" / name).read_bytes()[:100])
            else:
                assert (kind, head[:4]) == ("audio/wav", b"RIFF")
        assert len(list(unheard.sounds.iterdir())) == len(KINDS) - 1
    assert not unheard.sounds.exists()


def test_what_cannot_be_heard_says_why(unheard: Results, tmp_path: Path) -> None:
    keys = {one["path"]: one["recording_id"] for one in pq.read_table(unheard.batch("b000001")).to_pylist()}
    (tmp_path / "통화/memo.wma").write_bytes(b"something else")
    (tmp_path / "통화/narrow.amr").unlink()
    told = {}
    with (tmp_path / "통화/plain.mp3").open("r+b") as file:
        file.truncate(64 << 20)
    with reviewed(unheard) as address:
        paused = urllib.request.urlopen(address.replace("/?", f"/sounds/{keys['plain.mp3']}?"))  # nor does Ctrl-C wait
        for name in ("memo.wma", "narrow.amr"):
            with pytest.raises(urllib.error.HTTPError) as error:
                urllib.request.urlopen(address.replace("/?", f"/sounds/{keys[name]}?"))
            told[name] = (error.value.code, json.loads(error.value.read())["detail"])
    assert told["memo.wma"][0] == 422 and told["memo.wma"][1].startswith("the file has changed since")
    paused.close()
    assert told["narrow.amr"] == (404, "the recording is not there any more")


def post(address: str, key: str, said: object) -> int:
    root, _, query = address.partition("?")
    body = json.dumps(said).encode()
    request = urllib.request.Request(f"{root}texts/{key}?{query}", body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_only_who_has_the_address_gets_in(results: Results) -> None:
    def asked(address: str, host: str | None = None) -> int:
        request = urllib.request.Request(address, headers={"Host": host} if host else {})
        try:
            with urllib.request.urlopen(request) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    with reviewed(results) as address:
        root = address.partition("?")[0]
        assert asked(address) == 200
        for path in ("", "texts/x", "sounds/x", "?token=wrong", "docs", "openapi.json"):
            assert asked(root + path) in (403, 404), path
        assert asked(address, "evil.example") == 400
        assert asked(address.replace("/?", "/sounds/..%2f..%2fetc%2fpasswd?")) == 404
        key = "0" * 16
        assert post(address, key, {"start": 0, "end": 1, "old": "", "new": []}) == 404
        (call, _) = pq.read_table(results.batch("b000001")).to_pylist()
        there = {"start": 0, "end": 1, "old": "문장 0"}
        for odd in (
            {"start": "NaN"},
            {"end": -1},
            {"end": 99},
            {"channel": "left"},
            {"new": [{"start": float("nan"), "end": 1, "text": ""}]},
            {"new": [{"start": 1, "end": 0, "text": ""}]},
            {"new": [{"start": 0, "end": 1, "text": "\ud800"}]},
        ):
            assert post(address, call["recording_id"], {"new": []} | there | odd) == 422, odd
    assert store.read(results) == []


def test_a_killed_review_loses_nothing(results: Results) -> None:
    (key,) = {one["recording_id"] for one in pq.read_table(results.batch("b000001")).to_pylist() if "#1" in one["path"]}
    command = [sys.executable, "-m", "snakescribe.cli", "review", "--results", str(results.root)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr
    address = process.stderr.readline().split()[1]
    said = {"start": 0, "end": 1, "old": "문장 0", "new": [{"start": 0, "end": 1, "text": "네"}]}
    assert post(address, key, said) == 200
    busy = subprocess.run(command, capture_output=True, text=True)
    assert busy.returncode == 75
    held = f"BusyError: `snakescribe review` works on {results.root}; wait for it to end and try again (process "
    assert held + str(process.pid) in busy.stderr and busy.stderr.count("\n") == 1
    with pytest.raises(BusyError, match=r"^`snakescribe review` works on .*; wait for it, or choose another folder"):
        prepare_results(results)
    process.kill()
    process.wait()
    assert not marker.are_in_files(results)
    apply = [sys.executable, "-m", "snakescribe.cli", "corrections", "apply", "--results", str(results.root)]
    assert subprocess.run(apply).returncode == 0
    assert pq.read_table(results.table("recordings", "parquet")).to_pylist()[0]["text"].startswith("네 문장 1")
    assert marker.are_in_files(results)
