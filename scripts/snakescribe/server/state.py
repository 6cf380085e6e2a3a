"""One server: its parts, and how long a request may take, until a stop at the latest."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from starlette.requests import ClientDisconnect, Request

from snakescribe.config import Config
from snakescribe.errors import RecordingError, SnakescribeError
from snakescribe.server.http_errors import NO_RETRY, HttpError
from snakescribe.server.intake import Intake

if TYPE_CHECKING:
    from snakescribe.server.jobs import Jobs
    from snakescribe.server.routes.health import Proof

COME_BACK = 30
"""Seconds after which a client may try again: a container is up again by then, its model loaded."""
Done = TypeVar("Done")


class Closing:
    """Limits of time that a stop brings forward; lives in the event loop."""

    def __init__(self) -> None:
        """Nothing ends yet."""
        self._end = math.inf
        self._open: set[asyncio.Timeout] = set()

    def begin(self, seconds: float) -> None:
        """Whatever runs under a limit has so many seconds left."""
        self._end = asyncio.get_running_loop().time() + seconds
        for timeout in self._open:
            timeout.reschedule(min(timeout.when() or math.inf, self._end))

    @contextlib.asynccontextmanager
    async def limit(self, when: float, late: HttpError) -> AsyncIterator[None]:
        """A block that must be over at ``when`` (the event loop's clock).

        Raises:
            HttpError: ``late``, or that the server is being stopped.
        """
        try:
            async with asyncio.timeout_at(min(when, self._end)) as timeout:
                self._open.add(timeout)
                try:
                    yield
                finally:
                    self._open.discard(timeout)
        except TimeoutError:
            if asyncio.get_running_loop().time() < self._end:
                raise late from None
            message = "the server is being stopped; try again in a moment, or queue a job: it goes on after a restart"
            raise HttpError(503, message, "stopping", headers={"Retry-After": str(COME_BACK)}) from None


@dataclass
class Server:
    """One server."""

    config: Config
    intake: Intake
    jobs: Jobs
    proof: Proof
    closing: Closing
    needs_key: bool


def server_of(request: Request) -> Server:
    """The server that a request came to."""
    server: Server = request.app.state.server
    return server


async def in_time(server: Server, work: Awaitable[Done]) -> Done:
    """The result, or the refusal that says why there is none in time."""
    limit = server.config.server.request_seconds
    late = HttpError(504, f"not finished within {limit:g} seconds; use /v1/jobs", "timed_out", headers=NO_RETRY)
    try:
        async with server.closing.limit(asyncio.get_running_loop().time() + limit, late):
            return await work
    except (RecordingError, SnakescribeError) as error:
        server.intake.metrics.errors.labels(type(error).__name__).inc()
        raise


async def before(work: Awaitable[Done], end: Awaitable[Any]) -> asyncio.Future[Done] | None:
    """``work`` when it is done (well or not); None when it was cancelled, because the ``end`` has come first."""
    working, ending = asyncio.ensure_future(work), asyncio.ensure_future(end)
    try:
        await asyncio.wait({working, ending}, return_when=asyncio.FIRST_COMPLETED)
        return working if working.done() else None
    finally:
        working.cancel()
        ending.cancel()
        await asyncio.gather(working, ending, return_exceptions=True)


async def while_wanted(request: Request, work: Awaitable[Done]) -> Done:
    """The result of ``work``, which ends when the client goes away.

    Raises:
        ClientDisconnect: it has gone.
    """

    async def gone() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    if done := await before(work, gone()):
        return done.result()
    raise ClientDisconnect
