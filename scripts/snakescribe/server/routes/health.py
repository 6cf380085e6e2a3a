"""For machines that watch: ``/livez``, ``/readyz`` (by a clip whose text is known), ``/metrics``; ``/about``."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from dataclasses import replace
from typing import get_args

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from pydantic import BaseModel
from starlette.responses import Response

from snakescribe import __version__, known_clip
from snakescribe.server.http_errors import HttpError
from snakescribe.server.intake import Intake, RequestOptions, hashed
from snakescribe.server.jobs import State
from snakescribe.server.routes.common import error_responses
from snakescribe.server.state import server_of

LOG = logging.getLogger(__name__)
LATE = 3
"""Times ``server.proof_minutes`` after which a proof that does not come counts as none."""
RETRY = 5.0
"""Seconds after a proof that failed."""
ASKED = RequestOptions(known_clip.LANGUAGE, "", "transcribe", head=60.0)
"""All of it; but no cache has it, and under a name of its own no journal."""

router = APIRouter(tags=["health"])
figures = APIRouter(tags=["health"])
"""What needs the key."""


class Ready(BaseModel):
    """The engine heard the known clip right."""

    status: str = "ready"
    model: str
    engine: str
    device: str
    compute_type: str


class About(BaseModel):
    """What a caller may ask for."""

    version: str
    model: str
    needs_key: bool
    max_upload_mb: float
    max_minutes: float
    languages: list[str]
    tasks: list[str]
    language: str
    """The server's own choice where a caller makes none."""
    task: str


class Proof:
    """Proves one server, again and again."""

    def __init__(self, intake: Intake) -> None:
        """Nothing is proved yet."""
        self._intake = intake
        self._every = intake.config.server.proof_minutes * 60
        self._failure = "the known clip was not heard yet"
        self._proved: float | None = None
        self._life = 0

    def failure(self) -> str | None:
        """Why the server is not ready; None when it is."""
        if self._intake.engine.ready is None:
            return self._intake.engine.absence
        if self._proved is None:
            return self._failure
        if self._life != self._intake.engine.restarts:
            return "the known clip was not heard yet since the engine was started again"
        age = time.monotonic() - self._proved
        return f"the known clip was last heard {age:.0f} s ago" if age > LATE * self._every else None

    async def run(self) -> None:
        """Prove it now, and then every ``server.proof_minutes``."""
        while True:
            try:
                clip = replace(hashed(known_clip.PATH), sha256=f"proof {time.time()}")
                text = (await self._intake.transcribe(clip, ASKED))[0].transcript.text
                failure = None if known_clip.matches(text) else f"the known clip was heard as {text!r}"
            except Exception as error:  # whatever it is, the next one may come true
                failure = str(error)
            if failure:
                LOG.error("the proof failed: %s", failure)
                self._proved, self._failure = None, failure
            else:
                self._proved, self._life = time.monotonic(), self._intake.engine.restarts
                self._intake.metrics.proved.set_to_current_time()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._intake.engine.restarted.wait(), RETRY if failure else self._every)
            self._intake.engine.restarted.clear()


@router.get("/livez", summary="Alive?")
@router.get("/health", name="health", summary="Alive?")
async def livez() -> dict[str, str]:
    """Whether the server answers at all; clients of other servers know it as `/health`."""
    return {"status": "alive"}


@router.get("/readyz", summary="Ready?", responses=error_responses(503))
async def readyz(request: Request) -> Ready:
    """Whether the known clip was transcribed lately on this device, and the text was right."""
    server = server_of(request)
    loaded, failure = server.intake.engine.ready, server.proof.failure()
    if failure or loaded is None:
        raise HttpError(503, failure or "", "not_ready", headers={"Retry-After": "5"})
    here = vars(loaded.hardware) | {"device": f"{loaded.hardware.device} ({loaded.hardware.device_name})"}
    return Ready(model=server.config.model, engine=loaded.engine, **here)


@figures.get(
    "/metrics",
    summary="Figures",
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}, **error_responses(401)},
    response_class=Response,
)
async def metrics(request: Request) -> Response:
    """Figures for Prometheus."""
    server, figures = server_of(request), server_of(request).intake.metrics
    counts = server.jobs.counts()
    for state in get_args(State):
        figures.jobs.labels(state).set(counts[state])
    figures.engine_ready.set(server.intake.engine.ready is not None)
    figures.engine_restarts.set(server.intake.engine.restarts)
    return Response(generate_latest(figures.registry), media_type=CONTENT_TYPE_PLAIN_0_0_4)


@router.get("/about", summary="What there is")
async def about(request: Request) -> About:
    """What this server has, for the page."""
    server = server_of(request)
    able, config = server.intake.prepared.capabilities, server.config
    tasks = ["transcribe", "translate"] if able.translates else ["transcribe"]
    told = {"version": __version__, "needs_key": server.needs_key, "languages": list(able.languages), "tasks": tasks}
    return About(**dict(config.server) | dict(config) | told)
