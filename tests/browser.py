"""A real browser, and what must not happen in it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Playwright, Request

CHROMIUM = shutil.which("chromium")
with_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no `chromium` on the PATH (Debian: apt install chromium)")


@contextmanager
def launched(playwright: Playwright, *arguments: str) -> Iterator[Browser]:
    """A browser; ``--no-sandbox`` because the tests may run as root."""
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", *arguments])
    with browser:
        yield browser


class Watch:
    """What must not happen on a page: errors and CSP violations in the console, requests to other hosts."""

    def __init__(self, page: Page, url: str) -> None:
        self._host = urlsplit(url).netloc
        self.seen: list[str] = []
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.seen.append(str(error)))
        page.on("request", self._request)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.seen.append(message.text)

    def _request(self, request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme not in ("blob", "data") and address.netloc != self._host:
            self.seen.append(request.url)

    def forgive(self, text: str) -> None:
        """Take out what a test meant to cause; it must have happened."""
        assert any(text in line for line in self.seen), self.seen
        self.seen = [line for line in self.seen if text not in line]
