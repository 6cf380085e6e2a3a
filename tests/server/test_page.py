"""The page in a real browser, against the real server."""

from __future__ import annotations

import base64
import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import (
    Browser,
    Locator,
    Page,
    Playwright,
    Route,
    expect,
    sync_playwright,
)

from snakescribe.formats.registry import SERVED
from tests.browser import Watch, launched, with_chromium
from tests.server.serving import Served, scratch, serving

pytestmark = with_chromium

HEARD = 600_000
"""Milliseconds that a few seconds of speech may take on a busy machine."""
SHOWN = 120_000
"""Milliseconds that anything else on the page may take there."""
expect.set_options(timeout=SHOWN)
SAID = re.compile("fail better", re.IGNORECASE)
"""The clip is Beckett's line."""
DROP = """([bytes, name]) => {
    const data = new DataTransfer();
    data.items.add(new File([Uint8Array.from(atob(bytes), (byte) => byte.charCodeAt(0))], name));
    return data;
}"""
PLAYING = "audio => ({ at: audio.currentTime, paused: audio.paused })"


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="module")
def browser(playwright: Playwright) -> Iterator[Browser]:
    with launched(playwright) as browser:
        yield browser


@contextmanager
def visit(browser: Browser, served: Served, locale: str = "en-GB") -> Iterator[tuple[Page, Watch]]:
    """The page as somebody sees it who opens it for the first time; at the end nothing may have gone wrong."""
    with browser.new_context(locale=locale, permissions=["clipboard-read", "clipboard-write"]) as context:
        context.set_default_timeout(SHOWN)
        page = context.new_page()
        watch = Watch(page, served.url)
        page.on("filechooser", lambda _: None)  # Chromium hands choosers over from now on; asked for late it races
        page.goto(served.url)
        page.locator("#language option").last.wait_for(state="attached")
        yield page, watch
        assert watch.seen == []


@pytest.fixture
def page(browser: Browser, served: Served) -> Iterator[Page]:
    """The page in English."""
    with visit(browser, served) as (page, _):
        yield page


def drop(page: Page, file: Path, name: str) -> Locator:
    """Drop ``file`` under another name; its card."""
    data = page.evaluate_handle(DROP, [base64.b64encode(file.read_bytes()).decode(), name])
    page.dispatch_event("#zone", "dragover", {"dataTransfer": data})
    page.dispatch_event("#zone", "drop", {"dataTransfer": data})
    return page.locator(".card", has=page.get_by_role("heading", name=name, exact=True))


def played(card: Locator) -> tuple[float, bool]:
    """Where the card's sound is, in seconds, and whether it is playing."""
    state = card.locator("audio").evaluate(PLAYING)
    return state["at"], not state["paused"]


def test_dropped_recording_becomes_text_to_hear_and_to_take_along(page: Page, two_cities: Path) -> None:
    card = drop(page, two_cities, "두 도시 이야기 (낭독).wav")
    expect(card.locator(".segments")).to_contain_text("best of times", timeout=HEARD)
    expect(card.get_by_text(re.compile("^Done · English · 0:44"))).to_be_visible()
    expect(card.locator(".segments")).to_have_attribute("lang", "en")

    last = card.locator(".segments li").last
    start = last.get_by_role("button").text_content() or ""
    minutes, seconds = start.split(":")
    last.click()
    expect(last).to_have_class(re.compile("current"))
    expect(last.get_by_role("button")).to_have_attribute("aria-current", "true")
    at, playing = played(card)
    assert playing
    assert 0 <= at - (int(minutes) * 60 + int(seconds)) < 3  # the time shown is rounded down
    last.get_by_role("button").click()
    assert not played(card)[1]

    texts = {}
    buttons = card.get_by_role("group", name="Download").get_by_role("button")
    assert buttons.all_text_contents() == [form.upper() for form in SERVED]
    for form in SERVED:
        with page.expect_download() as download:
            card.get_by_role("button", name=f"Download as {form.upper()}").click()
        assert download.value.suggested_filename == f"두 도시 이야기 (낭독).{form}"
        texts[form] = download.value.path().read_text(encoding="utf-8")
        assert re.search(r"best\s+of\s+times", texts[form])
    assert texts["srt"].startswith("1\n00:00:0")
    assert texts["vtt"].startswith("WEBVTT")

    card.get_by_role("button", name="Copy the text").click()
    expect(page.get_by_role("status")).to_have_text("Copied")
    assert "best of times" in page.evaluate("navigator.clipboard.readText()")


def test_keyboard_is_enough(page: Page, beckett: Path) -> None:
    focused = "document.activeElement.id || document.activeElement.dataset.tongue"
    order = []
    for _ in range(7):
        page.keyboard.press("Tab")
        order.append(page.evaluate(focused))
    assert order == ["ko", "en", "language", "task", "prompt", "file", "record"]
    page.keyboard.press("Shift+Tab")
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files(beckett)
    segments = page.locator(".segments")
    expect(segments).to_contain_text(SAID, timeout=HEARD)

    while page.evaluate("!document.activeElement.closest('.segments')"):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement !== document.body"), "went past the segments"
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    expect(segments.locator("li").last).to_have_class(re.compile("current"))
    assert played(page.locator(".card"))[1]


def test_korean_and_english(browser: Browser, served: Served) -> None:
    with visit(browser, served, "ko-KR") as (page, _):
        assert page.locator("html").get_attribute("lang") == "ko"
        expect(page.get_by_role("button", name="마이크로 녹음하기")).to_be_visible()
        languages = page.locator("#language option").all_text_contents()
        assert languages[:6] == ["자동 감지", "여러 언어", "한국어", "일본어", "중국어", "영어"]
        page.get_by_label("작업", exact=True).select_option("translate")

        page.get_by_role("button", name="English").click()
        assert page.locator("html").get_attribute("lang") == "en"
        expect(page.get_by_role("button", name="Record with the microphone")).to_be_visible()
        assert page.get_by_label("Task").input_value() == "translate"
        page.reload()
        expect(page.get_by_role("button", name="Record with the microphone")).to_be_visible()


def test_reloaded_page_finds_its_jobs_again(page: Page, beckett: Path) -> None:
    card = drop(page, beckett, "메모.wav")
    expect(card.locator(".segments")).to_contain_text(SAID, timeout=HEARD)
    page.reload()
    expect(card.locator(".segments")).to_contain_text(SAID)
    expect(card.get_by_text("The sound is not on this page any more")).to_be_visible()
    expect(card.locator(".segments button").first).to_have_attribute("aria-disabled", "true")
    card.get_by_role("button", name="Delete 메모.wav").click()
    expect(page.get_by_text("Nothing here yet.")).to_be_visible()
    page.reload()
    expect(page.get_by_text("Nothing here yet.")).to_be_visible()


def test_long_recording_shows_how_far_it_is_and_can_be_cancelled(
    page: Page, served: Served, two_cities: Path, tmp_path: Path
) -> None:
    long = tmp_path / "long.flac"
    loop = ["ffmpeg", "-v", "error", "-stream_loop", "7", "-i", str(two_cities), "-ar", "16000", str(long)]
    subprocess.run(loop, check=True)
    card = drop(page, long, "long.flac")
    expect(card.get_by_text(re.compile(r"\d:\d\d of 5:5\d transcribed, about .+ left"))).to_be_visible(timeout=HEARD)
    expect(card.get_by_role("progressbar")).to_have_attribute("value", re.compile(r"^0\.\d"))
    card.get_by_role("button", name="Cancel long.flac").click()
    expect(card.get_by_text("Cancelled")).to_be_visible()
    expect(page.get_by_role("status")).to_have_text("long.flac: Cancelled")
    job = page.evaluate("JSON.parse(localStorage.getItem('snakescribe.jobs'))[0].id")
    assert served.http.get(f"/v1/jobs/{job}").json()["state"] == "cancelled"


def test_refused_file_says_why(browser: Browser, served: Served, tmp_path: Path) -> None:
    letter = tmp_path / "letter.wav"
    letter.write_text("This is a letter.", encoding="utf-8")
    with visit(browser, served, "ko-KR") as (page, _):
        card = drop(page, letter, "편지.wav")
        expect(card.locator(".error")).to_contain_text("소리를 읽을 수 없어요", timeout=HEARD)
        page.get_by_role("button", name="English").click()
        expect(card.locator(".error")).not_to_contain_text("소리를")


def test_microphone(playwright: Playwright, served: Served, beckett: Path, tmp_path: Path) -> None:
    speech = tmp_path / "microphone.wav"  # Chromium plays it in a loop
    subprocess.run(["ffmpeg", "-v", "error", "-i", str(beckett), "-ar", "48000", str(speech)], check=True)
    fake = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
    with ExitStack() as stack:
        browser = stack.enter_context(launched(playwright, *fake, f"--use-file-for-fake-audio-capture={speech}"))
        page, _ = stack.enter_context(visit(browser, served))
        page.get_by_role("button", name="Record with the microphone").click()
        expect(page.get_by_role("timer")).to_have_text("0:12", timeout=HEARD)
        page.get_by_role("button", name="Finish").click()
        card = page.locator(".card")
        expect(card.locator(".segments")).to_contain_text(re.compile("better|matter|again"), timeout=HEARD)
        card.locator(".segments li").last.click()
        assert played(card)[1]
        with page.expect_download() as download:
            card.get_by_role("button", name="Save the recording").click()
        assert re.fullmatch(r"Recording [\d-]+ [\d.]+\.webm", download.value.suggested_filename)


def test_server_with_a_key_asks_for_it(browser: Browser, models_root: Path, beckett: Path) -> None:
    with ExitStack() as stack:
        folder = stack.enter_context(scratch())
        guarded = stack.enter_context(serving(models_root, Path(folder), key="a-key-of-ours"))
        page, watch = stack.enter_context(visit(browser, guarded))
        card = drop(page, beckett, "beckett.wav")
        page.get_by_label("API key").fill("another")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_have_text("The server does not accept this key.")
        watch.forgive("401")
        page.get_by_label("API key").fill(guarded.key or "")
        page.keyboard.press("Enter")
        expect(page.get_by_label("API key")).to_be_hidden()
        expect(card.locator(".segments")).to_contain_text(SAID, timeout=HEARD)
        with page.expect_download() as download:
            card.get_by_role("button", name="Download as TXT").click()
        assert SAID.search(download.value.path().read_text(encoding="utf-8"))
        page.reload()
        expect(card.locator(".segments")).to_contain_text(SAID)


def test_uploads_wait_for_each_other_and_can_be_cancelled_and_tried_again(
    browser: Browser, served: Served, beckett: Path
) -> None:
    with visit(browser, served) as (page, _):
        sent: list[Route] = []

        def hold_first(route: Route) -> None:
            sent.append(route)
            if len(sent) > 1:
                route.continue_()

        page.route("**/v1/jobs", hold_first)
        first, second = drop(page, beckett, "first.wav"), drop(page, beckett, "second.wav")
        expect(second.get_by_text("Waiting to upload")).to_be_visible()
        second.get_by_role("button", name="Cancel second.wav").click()
        expect(second.get_by_text("Cancelled")).to_be_visible()
        second.get_by_role("button", name="Try again").click()
        expect(second.get_by_text("Waiting to upload")).to_be_visible()
        first.get_by_role("button", name="Cancel first.wav").click()
        expect(first.get_by_text("Cancelled")).to_be_visible()
        expect(second.locator(".segments")).to_contain_text(SAID, timeout=HEARD)
        assert len(sent) == 2


def test_busy_server_is_asked_again(browser: Browser, served: Served, beckett: Path) -> None:
    with visit(browser, served) as (page, watch):
        busy = {"error": {"message": "come back later", "type": "rate_limit_error", "param": None, "code": "busy"}}
        page.route(
            "**/v1/jobs", lambda route: route.fulfill(status=429, headers={"Retry-After": "2"}, json=busy), times=1
        )
        card = drop(page, beckett, "beckett.wav")
        expect(card.get_by_text("The server is busy. Trying again in 2 seconds.")).to_be_visible()
        expect(card.locator(".segments")).to_contain_text(SAID, timeout=HEARD)
        watch.forgive("429")
