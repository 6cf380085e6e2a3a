"""One server: its parts, and how long a request may take, until a stop at the latest."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from starlette.requests import ClientDisconnect, Request

from snakescribe.config import Config
from snakescribe.errors import RecordingError, SnakescribeError
from snakescribe.server.http_errors import NO_RETRY, HttpError
from snakescribe.server.intake import Intake

if TYPE_CHECKING:
    from snakescribe.server.jobs import Jobs
    from snakescribe.server.routes.health import Proof

Done = TypeVar("Done")


@dataclass
class Server:
    """One server."""

    config: Config
    intake: Intake
    jobs: Jobs
    proof: Proof
    needs_key: bool
    over: asyncio.Event = field(default_factory=asyncio.Event)
    """The end of a stop's patience, which nobody's request outlives."""

    async def limit(self, work: Awaitable[Done], when: float, late: HttpError) -> Done:
        """The result of what must be over at ``when`` (the event loop's clock).

        Raises:
            HttpError: ``late``, or that the server is being stopped.
        """
        try:
            async with asyncio.timeout_at(when):
                done = await before(work, self.over.wait())
        except TimeoutError:
            raise late from None
        if done:
            return done.result()
        message = "the server is being stopped; try again in a moment, or queue a job: it goes on after a restart"
        raise HttpError(503, message, "stopping", headers={"Retry-After": "30"})  # a container is up again by then


def server_of(request: Request) -> Server:
    """The server that a request came to."""
    server: Server = request.app.state.server
    return server


async def in_time(server: Server, work: Awaitable[Done]) -> Done:
    """The result, or the refusal that says why there is none in time."""
    limit = server.config.server.request_seconds
    late = HttpError(504, f"not finished within {limit:g} seconds; use /v1/jobs", "timed_out", headers=NO_RETRY)
    try:
        return await server.limit(work, asyncio.get_running_loop().time() + limit, late)
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
