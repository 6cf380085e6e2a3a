"""A transcript as server-sent events, while it is made."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.sse import KEEPALIVE_COMMENT

from snakescribe.config import Config
from snakescribe.server.deadlines import in_time, log_text, while_wanted
from snakescribe.server.http_errors import HttpError
from snakescribe.server.intake import HashedFile, RequestOptions, Ticket
from snakescribe.server.responses import by_speaker, delta, done, event, texts
from snakescribe.server.state import Server
from snakescribe.transcript import Segment

QUIET = 15.0
"""Seconds after which a comment says that the connection lives; proxies hang up after 30 or 60."""


class Events:
    """A transcript as server-sent events: text in order as it comes, and the whole of it at the end."""

    def __init__(
        self,
        request: Request,
        server: Server,
        config: Config,
        source: Path,
        content: HashedFile,
        asked: RequestOptions,
        diarized: bool,
    ) -> None:
        self._request, self._server, self._config, self._diarized = request, server, config, diarized
        self._ticket: Ticket | None = None
        self._work = asyncio.ensure_future(
            in_time(server, server.intake.transcribe(source, content, asked, self._watch))
        )

    def _watch(self, ticket: Ticket) -> None:
        self._ticket = ticket

    async def end(self) -> None:
        """Stop the work, if it is not done."""
        self._work.cancel()
        await asyncio.gather(self._work, return_exceptions=True)

    async def begin(self) -> None:
        """Wait until it is decoded, so that a file that is no recording still gets a proper refusal.

        Not for longer than a proxy waits for the first byte.
        """
        until = asyncio.get_running_loop().time() + QUIET

        async def decoded() -> None:
            while not self._work.done() and not (self._ticket and self._ticket.audio_seconds is not None):
                if asyncio.get_running_loop().time() > until:
                    return
                await self._news()
            if self._work.done():
                self._work.result()

        await while_wanted(self._request, decoded())

    async def all(self) -> AsyncIterator[bytes]:
        """The events."""
        told, space, finished = 0, "", False
        while not finished:
            finished = self._work.done()
            segments = self._segments()
            for text in texts(segments[told:], self._config):
                yield delta(space + text)
                space = " "
            told = len(segments)
            if not finished and not await self._news():
                yield KEEPALIVE_COMMENT
        try:
            entry, _ = self._work.result()
        except HttpError as refusal:
            yield event({"error": refusal.error.model_dump()})
            return
        log_text(self._request, self._server, entry)
        for segment in by_speaker(entry, self._config) if self._diarized else ():
            yield event(segment.model_dump())
        yield done(entry, self._config)

    def _segments(self) -> Sequence[Segment]:
        """Those whose text is there."""
        if self._ticket and self._ticket.segments:
            return tuple(self._ticket.segments)
        finished = self._work.done() and not self._work.exception()  # from the cache, or all at once
        return self._work.result()[0].transcript.segments if finished else ()

    async def _news(self) -> bool:
        """Until something may have changed; whether it was not quiet for so long that a proxy would hang up."""
        waits: set[asyncio.Future[Any]] = {self._work}
        changed = asyncio.ensure_future(self._ticket.changed.wait()) if self._ticket else None
        if changed:
            waits.add(changed)
        timeout = 0.2 if changed is None else QUIET
        done, _ = await asyncio.wait(waits, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        if changed:
            changed.cancel()
        return bool(done) or changed is None
