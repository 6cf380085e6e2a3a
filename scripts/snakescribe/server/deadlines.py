"""A caller waits for a text: not for ever, and not when the caller has gone."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

from fastapi import Request

from snakescribe.errors import RecordingError, SnakescribeError
from snakescribe.server.http_errors import NO_RETRY, HttpError, client_gone, of_failure, of_recording
from snakescribe.server.intake import Said
from snakescribe.server.state import Server

LOG = logging.getLogger(__name__)
Done = TypeVar("Done")


async def in_time(server: Server, work: Coroutine[Any, Any, Done]) -> Done:
    """The result, or the refusal that says why there is none in time."""
    limit = server.config.server.request_seconds
    late = HttpError(504, f"not finished within {limit:g} seconds; use /v1/jobs", "timed_out", headers=NO_RETRY)
    try:
        async with server.closing.limit(asyncio.get_running_loop().time() + limit, late):
            return await work
    except RecordingError as error:
        server.metrics.errors.labels(type(error).__name__).inc()
        raise of_recording(error, server.config) from None
    except SnakescribeError as error:
        server.metrics.errors.labels(type(error).__name__).inc()
        raise of_failure(error) from None


async def while_wanted(request: Request, work: Coroutine[Any, Any, Done]) -> Done:
    """The result of ``work``, which ends when the client goes away."""
    working = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({working, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise client_gone()
        return working.result()
    finally:
        for task in (working, gone):
            if not task.done():
                task.cancel()
        await asyncio.gather(working, gone, return_exceptions=True)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def log_text(request: Request, server: Server, entry: Said) -> None:
    """Write the text into the log, if that is wanted."""
    if server.config.server.log_text:
        LOG.info("transcript", extra={"request_id": request.state.request_id, "text": entry.transcript.text})
