"""Errors as OpenAI's clients read them: ``{"error": {message, type, param, code}}`` with the right status."""

from __future__ import annotations

import errno
import logging
from collections.abc import Mapping

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.routing import Match, Mount

from snakescribe.errors import RecordingError, SnakescribeError

LOG = logging.getLogger(__name__)
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
        self, status: int, message: str, code: str, param: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        """``code`` names the error for programs, ``message`` for people."""
        super().__init__(status, message, headers)
        kinds = {401: "authentication_error", 429: "rate_limit_error"}
        kind = kinds.get(status, "invalid_request_error" if status < 500 else "server_error")
        self.error = ErrorObject(message=message, type=kind, param=param, code=code)

    def response(self) -> JSONResponse:
        """As it is sent."""
        return JSONResponse({"error": self.error.model_dump()}, self.status_code, self.headers)


def refusal(error: BaseException | None) -> HttpError:
    """What a failure is to whoever asked; of those that are ours, the log has more."""
    match error:
        case HttpError():
            return error
        case ClientDisconnect():  # nobody reads it; the log has nginx's number for it
            return HttpError(499, "the client has gone", "client_gone")
        case RecordingError():
            return HttpError(error.http_status, str(error), error.http_code, "file", NO_RETRY)
        case SnakescribeError():
            headers = {"Retry-After": "10"} if error.http_status == 503 else NO_RETRY
            return HttpError(error.http_status, str(error), error.http_code, headers=headers)
        case OSError(errno=errno.ENOSPC | errno.EDQUOT):
            return HttpError(500, "the server's disk is full; try again when there is room", "internal_error")
    return HttpError(500, "the server failed; its log says why", "internal_error", headers=NO_RETRY)


async def answered(request: Request, error: Exception) -> JSONResponse:
    """The answer to what we refuse, to what the framework refuses, and to a failure."""
    path, found = request.url.path, refusal(error)
    match error:
        case HttpError():
            pass
        case RequestValidationError():
            first = error.errors()[0]
            param = next(map(str, first["loc"][1:]), None)
            said = str(first["msg"]).removeprefix("Value error, ")
            if param in ("file", "audio_file"):
                said = f"a recording is needed, as a file of a form: curl -F {param}=@call.mp3 …"
            found = HttpError(400, f"{param}: {said}" if param else said, "invalid_value", param)
        case HTTPException(status_code=404):
            found = HttpError(404, f"there is nothing at {path}", "not_found")
        case HTTPException(status_code=405):
            allowed = _allowed(request, (error.headers or {}).get("Allow", ""))
            message = f"{path} takes {allowed}, not {request.method}"
            found = HttpError(405, message, "method_not_allowed", headers={"Allow": allowed})
        case HTTPException(status_code=400, __cause__=(ClientDisconnect() | OSError()) as cause):
            found = refusal(cause)  # the framework blames the form
            if isinstance(cause, OSError):
                LOG.error("an upload could not be written: %s", cause)
        case HTTPException(status_code=400):
            message = f"{error.detail.rstrip('.')}; send one recording, as a file of a form: curl -F file=@call.mp3 …"
            found = HttpError(400, message, "invalid_form")
        case HTTPException():
            found = HttpError(error.status_code, str(error.detail), "bad_request", headers=error.headers)
    return found.response()


def _allowed(request: Request, told: str) -> str:
    """The methods that a path takes; the framework tells (``told``) those of the first of its routes."""
    routes = [route for route in request.app.routes if not isinstance(route, Mount)]
    asked = [(method, {**request.scope, "method": method}) for method in ("GET", "POST", "DELETE")]
    found = {method for method, scope in asked if any(route.matches(scope)[0] is Match.FULL for route in routes)}
    return ", ".join(sorted(found.union(told.split(", "))))
