"""The report in a real browser, from a file, as people open it."""

from __future__ import annotations

import math
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

from snakescribe.config import read_resolved
from snakescribe.corrections import store
from snakescribe.corrections.store import Said
from snakescribe.layout import Results
from snakescribe.report.page import write_page
from tests.browser import launched, with_chromium
from tests.report.test_corrections import correction
from tests.unit.finished import finish, gap, row, segment

pytestmark = with_chromium
MANY = 3000
RIGHT_TO_LEFT = "\u202eabc</script><b>مرحبا\u202c"
REFERENCE = "잘 안 들려요. 구독과 좋아요! 환불 요청하려고요"
OF_ANOTHER = '"نعم</b>"'


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory, models_root: Path) -> Results:
    """Many recordings, three of them with something to look after; one has its sound."""
    root = tmp_path_factory.mktemp("보고서 folder")
    clip = root / "recordings/들리는 #1?.wav"
    clip.parent.mkdir()
    shutil.copy(models_root / "samples/beckett.wav", clip)
    unsure = segment(0, 4, "잘 안 들리는 말") | {"mean_logprob": math.log(0.45)}
    doubted = segment(4, 8, "구독과 좋아요") | {"flags": ["invented"], "mean_logprob": math.log(0.5)}
    heard = row(
        "들리는 #1?.wav",
        unsure,
        doubted,
        segment(8, 9, "환불 요청 하려고요") | {"speaker": "SPEAKER_00"},
        speakers=[{"speaker": "SPEAKER_00", "name": "김서연", "speech_seconds": 83.0}],
        duration=10.0,
        flags=["invented"],
        gaps=[gap(9, 10)],
        envelope="Zaz0" * 9 + "AAA",
    )
    many = [row(f"calls/{n:05d}.wav", segment(0, 3, f"통화 번호 {n}"), language="ko") for n in range(MANY)]
    unknown = segment(0, 2, RIGHT_TO_LEFT) | {"mean_logprob": math.nan}
    leftward = row(f"{RIGHT_TO_LEFT}.wav", unknown, segment(2, 3, "مرحبا بكم يا"), duration=math.inf, language="ar")
    rows = [heard, row("깨진.mp3", status="failed"), leftward, *many]
    references = {heard["recording_id"]: REFERENCE, leftward["recording_id"]: OF_ANOTHER}
    results = finish(root, {"b000001": rows}, known={key: {"reference": text} for key, text in references.items()})
    checked = {name: many[42][name] for name in ("recording_id", "sha256")}
    store.add(results, [correction(0, 3, "통화 번호 42", Said(start=0, end=3, text="통화 번호 42"), **checked)])
    write_page(results, read_resolved(results.config))
    return results


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright, launched(playwright) as browser:
        yield browser


@contextmanager
def opened(browser: Browser, results: Results, meant: str = "nothing", **options: object) -> Iterator[Page]:
    """The page; nothing may go wrong in it but what is ``meant``, and it may ask nobody for anything but sound."""
    wrong: list[str] = []
    with browser.new_context(**{"locale": "en-GB", **options}) as context:  # type: ignore[arg-type]
        page = context.new_page()
        page.on("console", lambda message: wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda request: request.url.startswith(("file:", "data:")) or wrong.append(request.url))
        page.goto(results.report.as_uri())
        page.locator("#list li").first.wait_for()
        yield page
        assert [line for line in wrong if meant not in line] == []


def test_only_what_is_in_view_is_drawn_and_the_rest_is_reached(browser: Browser, results: Results) -> None:
    with opened(browser, results) as page:
        rows = page.locator("#list li")
        expect(page.locator("#count")).to_contain_text("3,003 of 3,003")
        assert rows.count() < 60
        expect(rows.first).to_contain_text("깨진.mp3")
        expect(rows.first).to_contain_text("UnreadableRecording: not a media file")
        rows.first.get_by_role("button").focus()
        page.keyboard.press("End")
        last = page.locator(f'#list li[aria-posinset="{MANY + 3}"] button')
        expect(last).to_be_focused()
        assert rows.count() < 60


def test_a_search_in_names_and_texts_ignores_korean_spaces(browser: Browser, results: Results) -> None:
    with opened(browser, results) as page:
        page.keyboard.press("/")
        page.keyboard.type("환불요청")
        expect(page.locator("#count")).to_contain_text("1 of 3,003")
        expect(page.locator("#list li")).to_contain_text("환불 요청 하려고요")
        page.fill("#query", "통화 번호 17")
        expect(page.locator("#count")).to_contain_text("111 of 3,003")  # 17, 170 to 179, 1700 to 1799
        page.fill("#query", "00042.WAV")
        expect(page.locator("#count")).to_contain_text("1 of 3,003")
        page.fill("#query", "김 서연")  # who speaks
        expect(page.locator("#count")).to_contain_text("1 of 3,003")
        page.fill("#query", "\u1112\u116a\u11ab\u1107\u116e\u11af")  # 환불 as macOS writes it
        expect(page.locator("#count")).to_contain_text("1 of 3,003")
        page.fill("#query", "")
        page.select_option("#kind", "failed")
        expect(page.locator("#count")).to_contain_text("1 of 3,003")


def test_a_recording_is_read_and_heard_by_keys(browser: Browser, results: Results) -> None:
    with opened(browser, results) as page:
        page.fill("#query", "들리는 #1")
        expect(page.locator("#count")).to_contain_text("1 of 3,003")
        page.locator("#list button").focus()
        page.keyboard.press("Enter")
        detail = page.get_by_role("dialog")
        expect(detail.get_by_role("heading")).to_be_focused()
        segments = page.locator("#segments li")
        expect(segments).to_have_count(4)
        expect(segments.nth(0)).to_contain_text("45%")
        expect(segments.nth(1)).to_have_class("doubtful")
        expect(segments.nth(1)).to_contain_text("Probably nobody said this")
        expect(segments.nth(2)).to_contain_text("김서연환불 요청")
        expect(segments.nth(3)).to_contain_text("1 s of speech without text")
        expect(page.locator("#wave svg")).to_be_visible()
        segments.nth(0).get_by_role("button").focus()
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        page.wait_for_function(
            "!document.getElementById('sound').paused && document.getElementById('sound').currentTime >= 8"
        )
        expect(segments.nth(2)).to_have_class("current")
        page.keyboard.press("Escape")
        expect(detail).to_be_hidden()
        expect(page.locator("#list button")).to_be_focused()


def test_a_recording_that_is_elsewhere_says_so(browser: Browser, results: Results) -> None:
    with opened(browser, results, meant="ERR_FILE_NOT_FOUND") as page:
        page.fill("#query", "calls/00007.wav")
        expect(page.locator("#count")).to_contain_text("1 of 3,003")
        page.locator("#list button").click()
        page.locator("#sound").evaluate("sound => sound.load() || sound.play().catch(() => {})")
        expect(page.locator("#unheard")).to_contain_text("The sound cannot be played here")


def test_what_was_said_is_text_and_nothing_else(browser: Browser, results: Results) -> None:
    with opened(browser, results) as page:
        page.fill("#query", "abc</script>")
        expect(page.locator("#count")).to_contain_text("1 of 3,003")
        page.locator("#list button").click()
        expect(page.locator("#segments span").first).to_have_text(RIGHT_TO_LEFT)
        expect(page.locator("#name")).to_have_attribute("dir", "auto")
        expect(page.locator("#state")).to_contain_text("– · Arabic")  # its duration is no number
        expect(page.locator("#segments li").first).to_contain_text("–")  # nor is its confidence
        page.locator("#beside summary").click()
        expect(page.locator("#beside .error")).to_contain_text("probably the reference of another recording")
        expect(page.locator(".aligned")).to_have_attribute("dir", "rtl")
        shown = page.locator(".aligned bdi").all_text_contents()
        assert "</script><b>" in "".join(shown) and OF_ANOTHER in "".join(shown)
        assert page.locator("dialog b").count() == 0


def test_a_text_beside_its_reference(browser: Browser, results: Results) -> None:
    with opened(browser, results) as page:
        page.fill("#query", "들리는 #1")
        expect(page.locator("#count")).to_contain_text("1 of 3,003")
        page.locator("#list button").click()
        expect(page.locator("#beside summary")).to_have_text("Beside the reference: WER 57.1% · CER 15.8%")
        assert page.locator("#beside bdi").count() == 0, "drawn when it is opened"
        page.locator("#beside summary").focus()
        page.keyboard.press("Enter")
        expect(page.locator("#beside")).to_contain_text("WER 57.1%")
        said = page.locator(".aligned")
        expect(said.locator("del")).to_have_text(
            ["only in the reference: 들려요.", "only in the reference: 요청하려고요"]
        )
        heard = [f"only heard: {word}" for word in ("들리는", "말", "요청", "하려고요")]
        expect(said.locator("ins")).to_have_text(heard)
        assert "".join(said.locator("> bdi").all_text_contents()) == "잘 안구독과 좋아요 환불"
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert page.locator("#printed #segments li").count() == page.locator("dialog #segments li").count() > 0
        page.evaluate("dispatchEvent(new Event('afterprint'))")
        assert page.locator("#printed").count() == 0


def test_who_looks_for_what_people_have_put_right_finds_it(browser: Browser, results: Results) -> None:
    with opened(browser, results, locale="ko-KR") as page:
        page.select_option("#kind", label="사람이 확인함")
        expect(page.locator("#count")).to_contain_text("3,003개 중 1개")
        expect(page.locator("#list li")).to_contain_text("calls/00042.wav")
        expect(page.locator("#list li")).to_contain_text("✓ 확인함")


def test_an_address_leads_to_a_recording(browser: Browser, results: Results) -> None:
    with opened(browser, results) as page:
        page.locator("#list button").nth(1).click()
        name = page.locator("#name").text_content()
        address = page.url
        assert re.search("#[0-9a-f]{16}$", address)
        again = page.context.new_page()
        again.goto(address)
        expect(again.locator("#name")).to_have_text(name or "")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("locale", ["ko-KR", "en-GB"])
def test_everybody_can_use_it(browser: Browser, results: Results, scheme: str, locale: str) -> None:
    with opened(browser, results, color_scheme=scheme, locale=locale, viewport={"width": 390, "height": 844}) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        expect(page.locator("html")).to_have_attribute("lang", locale[:2])
        heading = "받아쓰기 보고서" if locale == "ko-KR" else "Transcription report"
        expect(page.get_by_role("heading", level=1)).to_have_text(heading)
        wrong = Axe().run(page)
        assert wrong.violations_count == 0, wrong.generate_report()
        page.locator("#list button", has_text="들리는").click()
        page.locator("#beside summary").click()
        expect(page.locator("#beside ins").last).to_be_visible()
        wrong = Axe().run(page)
        assert wrong.violations_count == 0, wrong.generate_report()


def test_printed_it_is_the_worst_ones_on_paper(browser: Browser, results: Results) -> None:
    with opened(browser, results) as page:
        page.emulate_media(media="print")
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert page.locator("#list li").count() == 300
        assert page.pdf().startswith(b"%PDF")


def test_cut_short_it_says_that_it_is_damaged(browser: Browser, results: Results, tmp_path: Path) -> None:
    half = tmp_path / "report.html"
    whole = results.report.read_text(encoding="utf-8")
    half.write_text(re.sub('(?<=id="index">).{100}', "", whole), encoding="utf-8")
    page = browser.new_page(locale="en-GB")
    page.goto(half.as_uri())
    expect(page.get_by_role("alert")).to_contain_text("damaged or not complete")
    page.close()
