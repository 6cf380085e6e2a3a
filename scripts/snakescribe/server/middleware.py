"""What every request passes: an id, the key, the limits of bytes and places, the headers, the log line, the counters.

Plain ASGI: it decides before a byte of the body is read, and a stream of events passes through unbuffered. Between the
two classes lies what answers preflights, which come without the key and have a log line, too.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import re
import time
import uuid
from collections import Counter
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
GONE = 499
"""Nginx's number for a client that has gone before its answer was complete."""
ADDRESS = re.compile(r"(localhost|[\d.]+|\[[\da-f:.]+\])(:\d+)?", re.ASCII | re.IGNORECASE)
"""A server's own, and no name that might be anybody's."""
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
    """The outer one: it labels, limits the upload, and tells."""

    def __init__(self, app: ASGIApp, server: Server) -> None:
        """In front of everything."""
        self._app, self._server = app, server

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request through; count it, and write its line."""
        server, metrics = self._server, self._server.intake.metrics
        began, status, uploaded, got, over = time.perf_counter(), GONE, False, 0, False
        deadline = asyncio.get_running_loop().time() + server.config.server.request_seconds
        headers, most = Headers(scope=scope), server.config.server.max_upload_mb
        declared, given = int(headers.get("content-length", "0")), headers.get("x-request-id", "")
        known = given if re.fullmatch(r"[\w.-]{1,64}", given, re.ASCII) else f"req_{uuid.uuid4().hex}"
        # HEAD is GET without the body, which uvicorn leaves out; a slash too many is no other address.
        path = scope["path"] if scope["path"].startswith(FOLDERS) else scope["path"].rstrip("/") or "/"
        inner = {**scope, "path": path, "method": "GET" if scope["method"] == "HEAD" else scope["method"]}
        inner["state"] = {"request_id": known}

        async def limited() -> Message:
            nonlocal uploaded, got
            if uploaded:
                return await receive()
            if declared <= most * 1e6:
                late = HttpError(408, "the upload took too long", "timed_out")
                piece = await server.limit(receive(), deadline, late)
                uploaded = not piece.get("more_body", False)
                got += len(piece.get("body", b""))
                if got <= most * 1e6:
                    return piece
            message = f"the request is larger than {most:g} MB, which is the limit here"
            raise HttpError(413, message, "too_large", "file")

        async def labelled(message: Message) -> None:
            nonlocal status, over
            if message["type"] == "http.response.start":
                status = message["status"]
                told = MutableHeaders(scope=message)
                told["x-request-id"] = known
                page = path == "/" or path.startswith((*FOLDERS, "/docs"))
                for name, value in {**HEADERS, "cache-control": "no-cache" if page else "no-store"}.items():
                    told.setdefault(name, value)
            await send(message)
            over = message["type"] == "http.response.body" and not message.get("more_body", False)

        try:
            await self._app(inner, limited, labelled)
            status = status if over else GONE  # nothing else leaves an answer unfinished
        finally:
            route, took = getattr(inner.get("route"), "path", "other"), time.perf_counter() - began
            metrics.requests.labels(route, str(status)).inc()
            metrics.request_seconds.labels(route).observe(took)
            told = {"request_id": known, "method": scope["method"], "path": path, "status": status}
            LOG.info("request", extra=told | {"seconds": round(took, 3), "received_bytes": got})


class Gate:
    """The inner one: it wraps the application, and refuses."""

    def __init__(self, app: ASGIApp, server: Server, key: str | None) -> None:
        """``key`` None lets everybody in."""
        self._app, self._server = app, server
        self._key = key.encode() if key else None
        self._taken: Counter[str | None] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request through with a place, or refuse it."""
        posted = scope["path"] if scope["method"] == "POST" else ""
        line = next((name for start, name in LINES.items() if posted.startswith(start)), None)
        try:
            self._check(scope, line)
        except HttpError as refusal:
            await refusal.response()(scope, receive, send)
            return
        queue = self._server.intake.metrics.queue
        self._taken[line] += 1
        queue.set(self._taken["text"])
        try:
            async with AsyncExitStack() as ending:
                scope["state"]["ending"] = ending
                await self._app(scope, receive, send)
        finally:
            self._taken[line] -= 1
            queue.set(self._taken["text"])

    def _check(self, scope: Scope, line: str | None) -> None:
        headers, closed = Headers(scope=scope), scope["path"].startswith(CLOSED)
        asks_first = scope["method"] == "OPTIONS" and "origin" in headers  # a preflight, which never has a key
        if closed and self._key and not asks_first:
            scheme, _, given = headers.get("authorization", "").partition(" ")
            if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode("latin-1"), self._key):
                message = "an API key is needed: Authorization: Bearer KEY" if not given else "the API key is wrong"
                raise HttpError(401, message, "invalid_api_key", headers={"WWW-Authenticate": "Bearer"})
        elif closed:
            self._check_page(headers)
        if line and self._taken[line] >= self._server.config.server.queue:
            message = f"{self._taken[line]} requests are waiting already; come back later"
            raise HttpError(429, message, "busy", headers={"Retry-After": "5"})

    def _check_page(self, headers: Headers) -> None:
        """Refuse web pages that are not ours: without a key they would have this machine's visitors ask for them.

        Ours has the server's own address as its origin. A name that leads here may be anybody's (DNS rebinding):
        unless everybody may come in, that address is an IP address or ``localhost``.
        """
        origin, host, config = headers.get("origin", ""), headers.get("host", ""), self._server.config.server
        own = origin.partition("://")[2] == host and (config.open or ADDRESS.fullmatch(host))
        if "origin" in headers and origin not in config.origins and not own:
            message = f"pages of {origin} may not ask; add it to the option server.origins"
            raise HttpError(403, message, "origin_refused")
