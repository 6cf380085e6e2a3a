"""For machines that watch: ``/livez``, ``/readyz``, ``/metrics``; and ``/about`` for the page."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import Response

from snakescribe import __version__
from snakescribe.server.http_errors import HttpError
from snakescribe.server.routes.common import error_responses
from snakescribe.server.state import server_of

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"

router = APIRouter(tags=["health"])
figures = APIRouter(tags=["health"])
"""What needs the key."""


class Alive(BaseModel):
    """The event loop runs."""

    status: str = "alive"


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


@router.get("/livez", summary="Alive?")
async def livez() -> Alive:
    """Whether the server answers at all."""
    return Alive()


@router.get("/health", summary="Alive?")
async def health() -> Alive:
    """`/livez`, under the name that clients of other servers know."""
    return Alive()


@router.get("/readyz", summary="Ready?", responses=error_responses(503))
async def readyz(request: Request) -> Ready:
    """Whether the known clip was transcribed lately on this device, and the text was right."""
    server = server_of(request)
    loaded = server.intake.engine.ready
    failure = server.proof.failure()
    if failure or loaded is None:
        raise HttpError(503, failure or "the engine is being started again", "not_ready", headers={"Retry-After": "5"})
    hardware = loaded.hardware
    return Ready(
        model=server.config.model,
        engine=loaded.engine,
        device=f"{hardware.device} ({hardware.device_name})",
        compute_type=hardware.compute_type,
    )


@figures.get(
    "/metrics",
    summary="Figures",
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}, **error_responses(401)},
    response_class=Response,
)
async def metrics(request: Request) -> Response:
    """Figures for Prometheus."""
    server = server_of(request)
    counts = await asyncio.to_thread(server.jobs.ledger.counts)
    for state in ("queued", "running", "done", "failed", "cancelled"):
        server.metrics.jobs.labels(state).set(counts.get(state, 0))
    server.metrics.engine_ready.set(server.intake.engine.ready is not None)
    server.metrics.engine_restarts.set(server.intake.engine.restarts)
    return Response(server.metrics.text(), media_type=METRICS_TYPE)


@router.get("/about", summary="What there is")
async def about(request: Request) -> About:
    """What this server has, for the page."""
    server = server_of(request)
    able = server.intake.prepared.capabilities
    return About(
        version=__version__,
        model=server.config.model,
        needs_key=server.needs_key,
        max_upload_mb=server.config.server.max_upload_mb,
        max_minutes=server.config.server.max_minutes,
        languages=list(able.languages),
        tasks=["transcribe", "translate"] if able.translates else ["transcribe"],
        language=server.config.language,
        task=server.config.task,
    )
