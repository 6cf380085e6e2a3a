"""The application: routes, the page, the documents; everything passes the gate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import Depends, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.security import HTTPBearer
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect
from starlette.responses import FileResponse
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from snakescribe import __version__
from snakescribe.errors import RecordingError, SnakescribeError
from snakescribe.pages import SHARED
from snakescribe.server.http_errors import answered
from snakescribe.server.middleware import Gate, Middleware
from snakescribe.server.routes import health, jobs, openai, webservice
from snakescribe.server.routes.common import FORM_LIMITS, SAID
from snakescribe.server.state import Server

PAGE = Path(__file__).parent / "page"
ABOUT = """
Recordings in, text out, with Whisper.

- **OpenAI's audio API**: its clients work unchanged, with this server as their `base_url`.
- **Jobs**: for long recordings and for callers who do not want to wait.
- **whisper-asr-webservice's API**: for Bazarr, and for other programs that know it.

Every answer has an `x-request-id`, which the server's log has too. An answer that is no success is OpenAI's object
`{"error": {"message", "type", "param", "code"}}` (but for preflights and parts of files, which browsers ask for); any
request may be answered with 405 (`Allow` tells the methods), 413 (too many bytes) or 500 (a failure of ours; the log
has it).
"""
TAGS = [
    {"name": "OpenAI's audio API", "description": "For requests that wait for their text."},
    {"name": "jobs", "description": "Queue a recording, look after it, fetch its transcript."},
    {"name": "whisper-asr-webservice's API", "description": "For programs that were made for it."},
    {"name": "health", "description": "For machines that watch, and for the page."},
]
FAILURES = (RequestValidationError, HTTPException, ClientDisconnect, RecordingError, SnakescribeError, Exception)
NO_TELEMETRY: Any = {"tracing": False, "metrics": False, "logs": False}


def create_app(server: Server, key: str | None) -> ASGIApp:
    """The ASGI application of one server."""
    app = FastAPI(
        title="snakescribe",
        version=__version__,
        description=ABOUT,
        openapi_tags=TAGS,
        generate_unique_id_function=lambda route: route.name,
        docs_url=None,
        redoc_url=None,
        telemetry=NO_TELEMETRY,
        form_limits=FORM_LIMITS,
        redirect_slashes=False,
        exception_handlers=dict.fromkeys(FAILURES, answered),
    )
    app.state.server = server
    closed = [Depends(HTTPBearer(auto_error=False, description="the server's API key"))] if key else []
    for router in (openai.router, jobs.router, webservice.router, health.figures):
        app.include_router(router, dependencies=closed)
    app.include_router(health.router)

    app.add_route("/", lambda request: FileResponse(PAGE / "index.html"), include_in_schema=False)
    app.add_route("/docs", lambda request: FileResponse(PAGE / "docs.html"), include_in_schema=False)
    app.mount("/page/shared", StaticFiles(directory=SHARED), name="shared")
    app.mount("/page", StaticFiles(directory=PAGE), name="page")
    app.mount("/swagger", StaticFiles(packages=[("fastapi_offline", "static")]), name="swagger")
    _correct(app.openapi())
    guarded = Gate(app, server, key)
    if not server.config.server.origins:
        return Middleware(guarded, server)
    cors = CORSMiddleware(  # outside: a preflight comes without the key
        guarded,
        allow_origins=server.config.server.origins,
        allow_methods=("GET", "HEAD", "POST", "DELETE"),
        allow_headers=("*",),
        allow_private_network=True,
        expose_headers=("x-request-id", "location", "retry-after", *SAID),
    )

    async def asked(scope: Scope, receive: Receive, send: Send) -> None:
        known = cors.is_allowed_origin(Headers(scope=scope).get("origin", ""))
        await (cors if known else guarded)(scope, receive, send)  # starlette has headers for unknown origins, too

    return Middleware(asked, server)


def _correct(document: dict[str, Any]) -> None:
    """Take out of an OpenAPI document that fields that are wrong are answered with 422 (here: 400)."""
    for operation in (operation for path in document["paths"].values() for operation in path.values()):
        if "HTTPValidationError" in str(operation["responses"].get("422")):
            del operation["responses"]["422"]
    for name in ("HTTPValidationError", "ValidationError"):
        del document["components"]["schemas"][name]
