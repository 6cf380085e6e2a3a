"""Errors as OpenAI's clients read them: ``{"error": {message, type, param, code}}`` with the right status."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.routing import Match, Mount

from snakescribe import errors
from snakescribe.config import Config

INVALID = "invalid_request_error"
SERVER = "server_error"
NO_RETRY = {"x-should-retry": "false"}
"""Has OpenAI's clients not try again at once what would take as long, and end as badly."""


class ErrorObject(BaseModel):
    """Why there is no answer."""

    message: str
    type: str
    param: str | None = None
    code: str | None = None


class ErrorAnswer(BaseModel):
    """The body of every answer that is not a success."""

    error: ErrorObject


class HttpError(HTTPException):
    """An answer that is an error. (An ``HTTPException``, because the framework lets those through everywhere.)"""

    def __init__(
        self,
        status: int,
        message: str,
        code: str,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """``code`` names the error for programs, ``message`` for people."""
        super().__init__(status, message, headers)
        kind = {401: "authentication_error", 429: "rate_limit_error"}.get(status)
        self.error = ErrorObject(
            message=message, type=kind or (INVALID if status < 500 else SERVER), param=param, code=code
        )

    def response(self) -> JSONResponse:
        """As it is sent."""
        return JSONResponse({"error": self.error.model_dump()}, self.status_code, self.headers)


def client_gone() -> HttpError:
    """Nobody reads it; the log has nginx's number for it."""
    return HttpError(499, "the client has gone", "client_gone")


def of_recording(error: errors.RecordingError, config: Config) -> HttpError:
    """Why a recording has no transcript."""
    message = str(error)
    if isinstance(error, errors.TooLong):
        message = f"the recording is longer than {config.server.max_minutes:g} minutes, which is the limit here"
    return HttpError(error.http_status, message, error.http_code, "file", NO_RETRY)


def of_failure(error: errors.SnakescribeError) -> HttpError:
    """Why a request failed that is not to blame."""
    headers = {"Retry-After": "10"} if error.http_status == 503 else NO_RETRY
    return HttpError(error.http_status, str(error), error.http_code, headers=headers)


def too_large(config: Config) -> HttpError:
    """More bytes than the server takes."""
    limit = f"{config.server.max_upload_mb:g} MB"
    return HttpError(413, f"the request is larger than {limit}, which is the limit here", "too_large", "file")


def busy(message: str, seconds: int) -> HttpError:
    """Come back later."""
    return HttpError(429, message, "busy", headers={"Retry-After": str(seconds)})


async def on_invalid(request: Request, error: Exception) -> JSONResponse:
    """Answer a request whose fields are missing or of the wrong kind."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    param = next((part for part in reversed(first["loc"]) if isinstance(part, str)), None)
    return HttpError(400, f"{param}: {_said(param, first)}", "invalid_value", param).response()


def _said(param: str | None, wrong: Mapping[str, Any]) -> str:
    """What is wrong with a field, in words for people."""
    if param == "file":
        return "a recording is needed, as a file of a form: curl -F file=@call.mp3 …"
    if param in ("language", "languages[]"):
        return f"{wrong['input']!r} is no language that Whisper knows; use auto, mixed or a code like ko, en, ja, zh"
    return str(wrong["msg"])


async def on_http(request: Request, error: Exception) -> JSONResponse:
    """Answer what we refuse, or the framework: no such path, wrong method, a form that is none."""
    assert isinstance(error, HTTPException)
    if isinstance(error, HttpError):
        return error.response()
    if error.status_code == 404:
        return HttpError(404, f"there is nothing at {request.url.path}", "not_found").response()
    if error.status_code == 405:
        allowed = _allowed(request, (error.headers or {}).get("Allow", ""))
        message = f"{request.url.path} takes {allowed}, not {request.method}"
        return HttpError(405, message, "method_not_allowed", headers={"Allow": allowed}).response()
    if error.status_code == 400:
        if _disk_is_full(error.__cause__):  # the framework blames the form that it cannot put down
            return _disk_full().response()
        message = f"{error.detail.rstrip('.')}; send one recording, as a file of a form: curl -F file=@call.mp3 …"
        return HttpError(400, message, "invalid_form").response()
    return HttpError(error.status_code, str(error.detail), "bad_request", headers=error.headers).response()


def _allowed(request: Request, told: str) -> str:
    """The methods that a path takes; the framework tells (``told``) those of the first of its routes."""
    routes = [route for route in request.app.routes if not isinstance(route, Mount)]
    asked = [(method, {**request.scope, "method": method}) for method in ("GET", "POST", "DELETE")]
    found = {method for method, scope in asked if any(route.matches(scope)[0] is Match.FULL for route in routes)}
    return ", ".join(sorted(found.union(told.split(", "))))


async def on_gone(request: Request, error: Exception) -> JSONResponse:
    """Note that an upload was broken off."""
    return client_gone().response()


async def on_failure(request: Request, error: Exception) -> JSONResponse:
    """Answer a failure of ours; the log has the traceback."""
    if _disk_is_full(error):
        return _disk_full().response()
    return HttpError(500, "the server failed; its log says why", "internal_error").response()


def _disk_is_full(error: BaseException | None) -> bool:
    full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)
    return full or getattr(error, "sqlite_errorname", "") == "SQLITE_FULL"


def _disk_full() -> HttpError:
    return HttpError(500, "the server's disk is full; try again when there is room", "internal_error")
