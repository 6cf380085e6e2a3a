"""The end of a server: how long may take what runs, and whoever it takes too long for is told so."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator, Mapping

from snakescribe.config import Config
from snakescribe.errors import ConfigError
from snakescribe.server.http_errors import HttpError

STOP_TIMEOUT = "SNAKESCRIBE_STOP_TIMEOUT"
"""Environment variable: seconds after which whoever stops the server kills it, as in ``docker run --stop-timeout``."""
DOCKER_GIVES = 10.0
"""Seconds, where nothing else is said (docs.docker.com, ``docker stop``; podman's are the same)."""
TO_END = 5.0
"""Seconds of those for the last answers, the engine and the interpreter: half of one, but 3 on a machine with five
times as much to do as it has cores."""
COME_BACK = 30
"""Seconds after which a client may try again: a container is up again by then, its model loaded."""


def patience(config: Config, environ: Mapping[str, str]) -> float:
    """Seconds that requests and jobs have when the server is told to stop.

    Raises:
        ConfigError: the environment gives no number of seconds.
    """
    given = environ.get(STOP_TIMEOUT) or (DOCKER_GIVES if "SNAKESCRIBE_VARIANT" in environ else math.inf)
    try:
        killed_after = float(given)
    except ValueError:
        killed_after = math.nan
    if not killed_after >= 0:  # NaN is not, either
        message = f"{given!r} is no number of seconds; give that of --stop-timeout, or inf if nobody kills it"
        raise ConfigError(f"{STOP_TIMEOUT}: {message}")
    return min(config.server.shutdown_seconds, max(killed_after - TO_END, 0.0))


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
