"""Connections: fewer than there are descriptors, and none that says, or takes, nothing for long.

Uvicorn's ``timeout_keep_alive`` ends a connection between two requests; its ``limit_concurrency`` refuses requests, not
connections, and in plain text.
"""

from __future__ import annotations

import asyncio
import resource
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD, STALLED = 30.0, 60.0
"""Seconds for a request's head; and between two looks at whether a client takes what it is sent."""
SLOWEST = 1000
"""Bytes that it must have taken per second by then, unless that was all."""
DESCRIPTORS = 8192
"""As many are asked for; half of them, with some 15 kB each, are for connections, the others for uploads and pipes."""
AT_ONCE, BACKLOG = 8, 1024
"""Connections that asyncio takes before it looks at the bound again, and those that the kernel holds meanwhile."""


class Connections:
    """What the connections of one server share; called, it makes one, as uvicorn does."""

    def __init__(self, request_seconds: float) -> None:
        """Ask for descriptors; nobody is waited for longer than ``request_seconds``."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        given = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, DESCRIPTORS)
        if soft != resource.RLIM_INFINITY and soft < given:
            resource.setrlimit(resource.RLIMIT_NOFILE, (given, hard))
        self.most = given // 2
        self.head, self.stalled = min(HEAD, request_seconds), min(STALLED, request_seconds)
        self.waiting: dict[Connection, None] = {}
        """Those without a request, the longest first."""

    def __call__(self, **given: Any) -> Connection:
        """One more."""
        return Connection(self, **given)


class Connection(H11Protocol):
    """Uvicorn's, with limits."""

    def __init__(self, shared: Connections, **given: Any) -> None:
        """``given`` by uvicorn."""
        super().__init__(**given)
        self._shared, self._unsent = shared, 0
        self._late: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """The head is awaited from now on; above the bound, whoever has waited longest makes room."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(0)  # writing is paused as long as anything is unsent
        self._shared.waiting[self] = None
        self._await_head()
        if len(self.connections) > self._shared.most:
            next(iter(self._shared.waiting))._abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is awaited any more."""
        self._attended()
        if self._stalled:
            self._stalled.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """The first bytes after an answer begin the next head (or are the rest of a body that nobody wants)."""
        if self in self._shared.waiting and not self._late:
            self._await_head()
        super().data_received(data)

    def handle_events(self) -> None:
        """A head may be complete."""
        super().handle_events()
        if self.cycle and not self.cycle.response_complete:
            self._attended()

    def on_response_complete(self) -> None:
        """The next request may be there already."""
        super().on_response_complete()
        if self.cycle.response_complete and not self.transport.is_closing():
            self._shared.waiting[self] = None

    def pause_writing(self) -> None:
        """The client has to take something."""
        super().pause_writing()
        self._await_taking()

    def resume_writing(self) -> None:
        """It has taken all."""
        super().resume_writing()
        if self._stalled:
            self._stalled.cancel()

    def _await_head(self) -> None:
        self._late = self.loop.call_later(self._shared.head, self._abort)

    def _attended(self) -> None:
        self._shared.waiting.pop(self, None)
        if self._late:
            self._late.cancel()
            self._late = None

    def _await_taking(self) -> None:
        self._unsent = self.transport.get_write_buffer_size()
        self._stalled = self.loop.call_later(self._shared.stalled, self._look)

    def _look(self) -> None:
        taken = self._unsent - self.transport.get_write_buffer_size()
        self._abort() if taken < SLOWEST * self._shared.stalled else self._await_taking()

    def _abort(self) -> None:
        self._attended()
        self.transport.abort()
