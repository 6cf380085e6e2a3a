"""What every request passes: an id, the key, the limits of bytes and places, the headers, the log line, the counters.

Plain ASGI: it decides before a byte of the body is read, and a stream of events passes through unbuffered.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import re
import time
import uuid
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from snakescribe.server.http_errors import HttpError
from snakescribe.server.state import Server

LOG = logging.getLogger(__name__)
CLOSED = ("/v1", "/metrics", "/asr", "/detect-language")
"""Paths that begin so need the key. (A match of the whole path would miss ``/metrics%0A``, which the router takes.)"""
LINES = {"/v1/audio/": "text", "/asr": "text", "/detect-language": "text", "/v1/jobs": "job"}
"""Requests that stay a while, until their text is there or their file; ``server.queue`` of each kind at a time."""
FOLDERS = ("/page", "/swagger")
"""Files, where a slash at the end means something. Browsers ask for them anew each time, as for the page."""
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src blob:; "
    "connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "content-security-policy": PAGE_POLICY,
    "permissions-policy": "microphone=(self)",
}


class Middleware:
    """Wraps the application."""

    def __init__(
        self, app: ASGIApp, server: Server, key: str | None, crowded: Callable[[], bool] = lambda: False
    ) -> None:
        """``key`` None lets everybody in; when it is ``crowded``, no connection is kept for a caller's next request."""
        self._app, self._server, self._crowded = app, server, crowded
        self._key = key.encode() if key else None
        self._taken: Counter[str | None] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request through, or refuse it; count it, and write its line."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        server, metrics, last = self._server, self._server.intake.metrics, self._crowded()
        began, status, uploaded, got = time.perf_counter(), 0, False, 0
        deadline = asyncio.get_running_loop().time() + server.config.server.request_seconds
        given = Headers(scope=scope).get("x-request-id", "")
        known = given if re.fullmatch(r"[\w.-]{1,64}", given, re.ASCII) else f"req_{uuid.uuid4().hex}"
        # HEAD is GET without the body, which uvicorn leaves out; a slash too many is no other address.
        path = scope["path"] if scope["path"].startswith(FOLDERS) else scope["path"].rstrip("/") or "/"
        inner = {**scope, "path": path, "method": "GET" if scope["method"] == "HEAD" else scope["method"]}
        posted = scope["path"] if scope["method"] == "POST" else ""
        line = next((name for start, name in LINES.items() if posted.startswith(start)), None)

        async def limited() -> Message:
            nonlocal uploaded, got
            if uploaded:
                return await receive()
            async with server.closing.limit(deadline, HttpError(408, "the upload took too long", "timed_out")):
                message = await receive()
            uploaded = not message.get("more_body", False)
            got += len(message.get("body", b""))
            self._check_size(got)
            return message

        async def labelled(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = known
                headers.update({"connection": "close"} if last else {})
                page = path == "/" or path.startswith((*FOLDERS, "/docs"))
                for name, value in {**HEADERS, "cache-control": "no-cache" if page else "no-store"}.items():
                    headers.setdefault(name, value)
            await send(message)

        app = self._app
        try:
            self._check(scope, line)
        except HttpError as refusal:
            app = refusal.response()
        self._taken[line] += 1
        metrics.queue.set(self._taken["text"])
        try:
            async with AsyncExitStack() as ending:
                inner["state"] = {"request_id": known, "ending": ending}
                await app(inner, limited, labelled)
        finally:
            self._taken[line] -= 1
            metrics.queue.set(self._taken["text"])
            route, took = getattr(inner.get("route"), "path", "other"), time.perf_counter() - began
            metrics.requests.labels(route, str(status or "gone")).inc()
            metrics.request_seconds.labels(route).observe(took)
            told = {"request_id": known, "method": inner["method"], "path": path, "status": status or None}
            LOG.info("request", extra=told | {"seconds": round(took, 3), "received_bytes": got})

    def _check(self, scope: Scope, line: str | None) -> None:
        headers = Headers(scope=scope)
        if self._key and scope["path"].startswith(CLOSED):
            scheme, _, given = headers.get("authorization", "").partition(" ")
            if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode("latin-1"), self._key):
                message = "an API key is needed: Authorization: Bearer KEY" if not given else "the API key is wrong"
                raise HttpError(401, message, "invalid_api_key", headers={"WWW-Authenticate": "Bearer"})
        length = headers.get("content-length", "")
        self._check_size(int(length) if length.isdecimal() else 0)
        if line and self._taken[line] >= self._server.config.server.queue:
            message = f"{self._taken[line]} requests are waiting already; come back later"
            raise HttpError(429, message, "busy", headers={"Retry-After": "5"})

    def _check_size(self, size: int) -> None:
        if size > (most := self._server.config.server.max_upload_mb) * 1e6:
            message = f"the request is larger than {most:g} MB, which is the limit here"
            raise HttpError(413, message, "too_large", "file")
