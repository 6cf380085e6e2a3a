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
from collections.abc import Callable, MutableMapping
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from snakescribe.config import Config
from snakescribe.server import http_errors
from snakescribe.server.closing import Closing
from snakescribe.server.metrics import Metrics

LOG = logging.getLogger(__name__)
CLOSED = ("/v1", "/metrics", "/asr", "/detect-language")
"""Paths that begin so need the key. (A match of the whole path would miss ``/metrics%0A``, which the router takes.)"""
LINES = {"/v1/audio/": "text", "/asr": "text", "/detect-language": "text", "/v1/jobs": "job"}
"""Requests that stay a while, until their text is there or their file; ``server.queue`` of each kind at a time."""
FOLDERS = ("/page", "/swagger")
"""Files, where a slash at the end means something."""
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src blob:; "
    "connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "content-security-policy": PAGE_POLICY,
    "permissions-policy": "microphone=(self)",
}


class Middleware:
    """Wraps the application."""

    def __init__(
        self,
        app: ASGIApp,
        config: Config,
        key: str | None,
        metrics: Metrics,
        closing: Closing,
        crowded: Callable[[], bool] = lambda: False,
    ) -> None:
        """``key`` None lets everybody in; when it is ``crowded``, no connection is kept for a caller's next request."""
        self._app, self._config, self._metrics, self._closing, self._crowded = app, config, metrics, closing, crowded
        self._key = key.encode() if key else None
        self._taken: Counter[str | None] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request through, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # HEAD is GET without the body, which uvicorn leaves out; a slash too many is no other address.
        path = scope["path"] if scope["path"].startswith(FOLDERS) else scope["path"].rstrip("/") or "/"
        inner = {**scope, "path": path, "method": "GET" if scope["method"] == "HEAD" else scope["method"]}
        request = _Request(inner, receive, send, self._config, self._closing, self._crowded())
        posted = scope["path"] if scope["method"] == "POST" else ""
        line = next((name for start, name in LINES.items() if posted.startswith(start)), None)
        refusal = self._refusal(scope, line)
        self._taken[line] += 1
        self._metrics.queue.set(self._taken["text"])
        try:
            if refusal:
                await refusal.response()(scope, receive, request.send)
            else:
                await self._app(inner, request.receive, request.send)
        finally:
            self._taken[line] -= 1
            self._metrics.queue.set(self._taken["text"])
            request.finish(self._metrics)

    def _refusal(self, scope: Scope, line: str | None) -> http_errors.HttpError | None:
        headers, server = Headers(scope=scope), self._config.server
        if self._key and scope["path"].startswith(CLOSED):
            scheme, _, given = headers.get("authorization", "").partition(" ")
            if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode("latin-1"), self._key):
                message = "an API key is needed: Authorization: Bearer KEY" if not given else "the API key is wrong"
                return http_errors.HttpError(401, message, "invalid_api_key", headers={"WWW-Authenticate": "Bearer"})
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length) > server.max_upload_mb * 1e6:
            return http_errors.too_large(self._config)
        if line and self._taken[line] >= server.queue:
            return http_errors.busy(f"{self._taken[line]} requests are waiting already; come back later", 5)
        return None


class _Request:
    """One request on its way."""

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, config: Config, closing: Closing, last: bool
    ) -> None:
        self._scope, self._receive, self._send, self._last = scope, receive, send, last
        self._closing = closing
        self._most = config.server.max_upload_mb * 1e6
        self._config = config
        self._bytes = 0
        self._uploaded = False
        self._deadline = asyncio.get_running_loop().time() + config.server.request_seconds
        self._began = time.perf_counter()
        self._status = 0
        given = Headers(scope=scope).get("x-request-id", "")
        self._id = given if re.fullmatch(r"[\w.-]{1,64}", given, re.ASCII) else f"req_{uuid.uuid4().hex}"
        state: MutableMapping[str, Any] = scope.setdefault("state", {})
        state["request_id"] = self._id

    async def receive(self) -> Message:
        if self._uploaded:
            return await self._receive()
        late = http_errors.HttpError(408, "the upload took too long", "timed_out")
        async with self._closing.limit(self._deadline, late):
            message = await self._receive()
        self._uploaded = not message.get("more_body", False)
        self._bytes += len(message.get("body", b""))
        if self._bytes > self._most:
            raise http_errors.too_large(self._config)
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            headers = MutableHeaders(scope=message)
            headers["x-request-id"] = self._id
            if self._last:
                headers["connection"] = "close"
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        await self._send(message)

    def finish(self, metrics: Metrics) -> None:
        route = self._scope.get("route")
        path = getattr(route, "path", "other")
        took = time.perf_counter() - self._began
        metrics.requests.labels(path, str(self._status or "gone")).inc()
        metrics.request_seconds.labels(path).observe(took)
        LOG.info(
            "request",
            extra={
                "request_id": self._id,
                "method": self._scope["method"],
                "path": self._scope["path"],
                "status": self._status or None,
                "seconds": round(took, 3),
                "received_bytes": self._bytes,
            },
        )
