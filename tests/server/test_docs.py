"""The API's page in a real browser: same policy as the rest, nothing from elsewhere, and it can be tried out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect, sync_playwright

from tests.browser import Watch, launched, with_chromium
from tests.server.serving import Served, scratch, serving
from tests.server.test_page import HEARD, SAID

pytestmark = with_chromium


@contextmanager
def opened(served: Served) -> Iterator[Page]:
    """``/docs``; at the end nothing may have gone wrong (a violation of the policy is an error on the console)."""
    with sync_playwright() as playwright, launched(playwright) as browser:
        page = browser.new_page()
        watch = Watch(page, served.url)
        page.goto(f"{served.url}/docs")
        yield page
        assert watch.seen == []


@pytest.fixture
def page(served: Served) -> Iterator[Page]:
    """The page of a server without a key."""
    with opened(served) as page:
        yield page


def tried(page: Page, path: str) -> Locator:
    """The form of a POST route, open."""
    route = page.locator(".opblock-post", has=page.locator(f"[data-path='{path}']"))
    route.locator(".opblock-summary-control").click()
    route.get_by_role("button", name="Try it out").click()
    return route


def test_every_route_is_there(page: Page, served: Served) -> None:
    paths = served.http.get("/openapi.json").json()["paths"]
    expect(page.locator(".opblock")).to_have_count(sum(len(methods) for methods in paths.values()))
    for summary in page.locator(".opblock-summary-control").all():
        summary.click()
    expect(page.locator(".opblock.is-open")).to_have_count(page.locator(".opblock").count())
    expect(page.locator(".errors-wrapper")).to_have_count(0)


def test_transcription_with_a_key(models_root: Path, beckett: Path) -> None:
    with ExitStack() as stack:
        folder = stack.enter_context(scratch())
        guarded = stack.enter_context(serving(models_root, Path(folder), key="a-key-of-ours"))
        page = stack.enter_context(opened(guarded))
        page.get_by_role("button", name="Authorize").click()
        page.locator(".auth-container input").fill("a-key-of-ours")
        page.locator(".auth-container").get_by_role("button", name="Apply credentials").click()
        page.locator(".auth-container").get_by_role("button", name="Close").click()
        form = tried(page, "/v1/audio/transcriptions")
        form.locator("input[type=file]").set_input_files(beckett)
        form.get_by_role("button", name="Execute").click()
        answer = form.locator(".live-responses-table")
        expect(answer).to_contain_text(SAID, timeout=HEARD)
        expect(answer.locator(".response-col_status").nth(1)).to_have_text(re.compile("^200"))


def test_job_with_what_was_filled_in_and_nothing_else(page: Page, beckett: Path) -> None:
    form = tried(page, "/v1/jobs")
    form.locator("input[type=file]").set_input_files(beckett)
    form.get_by_role("button", name="Execute").click()
    expect(form.locator(".live-responses-table")).to_contain_text('"state": "queued"')
    sent = re.findall(r"-F '([^=]+)=", form.locator(".curl").text_content() or "")  # Chromium does not tell of a file
    assert sorted(sent) == ["file", "task", "temperature"]
