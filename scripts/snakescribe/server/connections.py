"""Connections: fewer than there are descriptors, and no request whose head never ends.

Uvicorn's ``timeout_keep_alive`` ends a connection between two requests; its ``limit_concurrency`` refuses requests, not
connections, and in plain text. Who takes nothing of an answer is let go by the kernel (``STALLED``).
"""

from __future__ import annotations

import asyncio
import resource
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD, STALLED = 30.0, 600.0
"""Seconds for a request's head; and those after which a window that stays shut ends a connection."""
DESCRIPTORS = 8192
"""As many are asked for; half of them, with some 15 kB each, are for connections, the others for uploads and pipes."""


class Connections:
    """What the connections of one server share."""

    def __init__(self, request_seconds: float) -> None:
        """Ask for descriptors; nobody is waited for longer than ``request_seconds``."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        given = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, DESCRIPTORS)
        if soft != resource.RLIM_INFINITY and soft < given:
            resource.setrlimit(resource.RLIMIT_NOFILE, (given, hard))
        self.most = given // 2
        self.head = min(HEAD, request_seconds)
        self.open: dict[Connection, None] = {}
        """Those that said something last at the end."""


class Connection(H11Protocol):
    """Uvicorn's, with limits."""

    def __init__(self, shared: Connections, **given: Any) -> None:
        """``given`` by uvicorn, which takes it for a class without ``shared``."""
        super().__init__(**given)
        self._shared = shared
        self._late: asyncio.TimerHandle | None = None

    @property
    def _idle(self) -> bool:
        return not self.cycle or self.cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """The head is awaited from now on; above the bound, who is silent for longest without a request makes room."""
        super().connection_made(transport)
        self._shared.open[self] = None
        self._await_head()
        if len(self._shared.open) > self._shared.most:
            oldest = next(one for one in self._shared.open if one._idle and not one.transport.get_write_buffer_size())
            del self._shared.open[oldest]  # now, or the next one would end it again
            oldest.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is awaited any more."""
        self._shared.open.pop(self, None)
        if self._late:
            self._late.cancel()
        super().connection_lost(exc)

    def handle_events(self) -> None:
        """A head may have begun or ended (or it is the rest of a body that nobody wants)."""
        super().handle_events()
        if self._shared.open.pop(self, 0) is None:
            self._shared.open[self] = None
        self._await_head()

    def _await_head(self) -> None:
        partial = not self.cycle or self.conn.their_state is not h11.IDLE or self.conn.trailing_data[0]
        if not (self._idle and partial):
            if self._late:
                self._late.cancel()
                self._late = None
        elif not self._late:
            self._late = self.loop.call_later(self._shared.head, self.transport.abort)
