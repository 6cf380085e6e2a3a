"""``/v1/jobs``: for long recordings and for callers who do not want to wait."""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, File, Request, UploadFile
from pydantic import BaseModel, Field
from starlette.responses import JSONResponse, Response

from snakescribe.config import Config
from snakescribe.formats.registry import SERVED, ResponseFormat, ServedFormat
from snakescribe.inventory.sheet import spellings
from snakescribe.server.http_errors import HttpError
from snakescribe.server.intake import RequestOptions, Ticket, copied
from snakescribe.server.jobs import JobState, StoredJob
from snakescribe.server.responses import TYPES, Diarized, Verbose, answer
from snakescribe.server.routes import common
from snakescribe.server.state import Server, server_of

JobFormat = Literal[ServedFormat, "diarized_json"]
LOCATION = {"description": "`links.self` of the job", "schema": {"type": "string"}}
QUEUED: Any = {202: {"description": "the job, queued", "headers": {"Location": LOCATION}}}

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], route_class=common.FormOrJson)


class QueuedJob(common.SpokenFields, common.Upload):
    """The form of a job."""

    file: UploadFile | common.Nothing = File(
        None, description="a recording of any container and codec that ffmpeg reads"
    )
    path: Annotated[str, Field(max_length=4096)] | common.Nothing = Field(
        None, description="or where one lies below the server's folder (option `server.folder`)"
    )
    task: Literal["transcribe", "translate"] = "transcribe"


class JobProgress(BaseModel):
    """How far a running job is."""

    audio_seconds: float | None
    done_seconds: float
    remaining_seconds: float | None


class Job(JobState):
    """One job."""

    position: int | None
    """Jobs before it, while it is queued."""
    progress: JobProgress | None
    links: dict[str, str]


@router.post(
    "",
    summary="Queue a job",
    status_code=202,
    response_model=Job,
    responses=common.error_responses(400, 401, 404, 408, 413, 429, 503) | QUEUED,
)
async def create(request: Request, form: Annotated[QueuedJob, common.AsForm]) -> Response:
    """Give a `file`, or the `path` of one below the server's folder; then ask for `links.self` now and then.

    A job outlives the server: one that was not finished is taken up again by the next start.
    """
    server = server_of(request)
    common.check_model(server.config, form.model)
    speakers = form.speakers or str(server.config.speakers)
    asked = RequestOptions(
        *(*form.spoken(server.config), form.task, form.temperature, "word" in form.timestamp_granularities),
        speakers=None if speakers == "off" else speakers,
    )
    common.check_asked(server.intake, asked)
    if (form.file is None) == (form.path is None):
        raise HttpError(400, "give either file or path", "invalid_value", "file")
    waiting = server.jobs.counts()["queued"] + server.jobs.coming
    if waiting >= server.config.server.jobs:
        message = f"{waiting} jobs are waiting already; come back later"
        raise HttpError(429, message, "busy", headers={"Retry-After": "60"})
    job_id = f"job_{secrets.token_hex(12)}"
    name = (form.file.filename if form.file else form.path) or ""
    server.jobs.coming += 1
    try:
        if form.file:
            source = server.jobs.uploads / (job_id + server.config.audio.raw_suffix(name))
            await asyncio.to_thread(copied, form.file.file, source)
        else:
            source = await asyncio.to_thread(below, server.config, name)
        here: dict[str, Any] = {"source": os.fsencode(source), "uploaded": form.file is not None, "asked": asked}
        now = {"number": time.time_ns(), "created_at": int(time.time())}
        job = StoredJob(id=job_id, name=_shown_name(name), **here, **now)
        await server.jobs.add(job)
    except BaseException:
        if form.file:
            source.unlink(missing_ok=True)
        raise
    finally:
        server.jobs.coming -= 1
    shown = _shown(server, job)
    return JSONResponse(shown.model_dump(), 202, {"Location": shown.links["self"], **form.headers(server.config)})


@router.get("/{job_id}", summary="How a job stands", responses=common.error_responses(401, 404))
async def one(request: Request, job_id: str) -> Job:
    """`queued` (with its `position`), `running` (with `progress`), `done` (with `links`), `failed`, `cancelled`."""
    server = server_of(request)
    return _shown(server, _found(server, job_id))


@router.delete("/{job_id}", summary="Cancel or erase a job", responses=common.error_responses(401, 404))
async def cancel(request: Request, job_id: str) -> Job:
    """One that waits or runs is cancelled; one that has ended is erased with its transcript (not the cache's)."""
    server = server_of(request)
    job = _found(server, job_id)
    if await server.jobs.cancel(job):
        return _shown(server, _found(server, job_id))
    await server.jobs.erase(job)
    return _shown(server, job)


@router.get(
    "/{job_id}/transcript.{form}",
    summary="A job's transcript",
    responses=common.transcript_responses(Verbose | Diarized) | common.error_responses(400, 401, 404, 409, 500),
    response_class=Response,
)
async def transcript(request: Request, job_id: str, form: JobFormat) -> Response:
    """What was said; `json` is OpenAI's `verbose_json`, `diarized_json` needs a job that was given `speakers`."""
    server = server_of(request)
    job = _found(server, job_id)
    if job.state != "done":
        raise HttpError(409, f"the job is {job.state}; it has no transcript", "not_done")
    if form == "diarized_json" and not job.asked.speakers:
        raise HttpError(409, "speakers were not asked for; queue it again with speakers=auto", "no_speakers")
    entry, config = await server.jobs.transcript(job), job.asked.config(server.config)
    parts = ("segment", "word") if job.asked.words or config.words else ("segment",)
    kind: ResponseFormat = "diarized_json" if form == "diarized_json" else SERVED[form].response
    body = answer(entry, config, kind, parts)
    name = f"{job.name.rpartition('.')[0] or job.name}.{form.replace('_', '.')}"
    disposition = f"attachment; filename*=UTF-8''{quote(name, safe='')}"
    return Response(body, media_type=TYPES[kind], headers={"Content-Disposition": disposition})


def _shown_name(given: str) -> str:
    """The last part of a path, as it can be written anywhere."""
    name = given.replace("\\", "/").rstrip("/").rpartition("/")[2][:255] or "recording"
    return name.encode("utf-8", "backslashreplace").decode()


def below(config: Config, path: str) -> Path:
    """The recording that a job names, links followed and checked.

    Raises:
        HttpError: there is no folder for this, or no such file in it.
    """
    if config.server.folder is None:
        raise HttpError(400, "this server has no folder of recordings (option server.folder)", "no_folder", "path")
    root = Path(config.server.folder).resolve()
    with suppress(ValueError, OSError, RuntimeError):  # a null byte, a name too long, links in a ring
        for spelled in spellings(path):
            found = (root / os.fsdecode(spelled)).resolve()
            if found.is_relative_to(root) and found.is_file():
                return found
    raise HttpError(404, "there is no such recording below the server's folder", "not_found", "path")


def _found(server: Server, job_id: str) -> StoredJob:
    if job := server.jobs.known.get(job_id):
        return job
    raise HttpError(404, "there is no such job; finished ones are forgotten after a while", "not_found", "id")


def _shown(server: Server, job: StoredJob) -> Job:
    here = f"/v1/jobs/{job.id}"
    forms = [*SERVED, *(["diarized_json"] if job.asked.speakers else [])] if job.state == "done" else []
    return Job(
        **dict(job),
        position=server.jobs.position(job) if job.state == "queued" else None,
        progress=progress_of(server.jobs.tickets.get(job.id)) if job.state == "running" else None,
        links={"self": here} | {form: f"{here}/transcript.{form}" for form in forms},
    )


def progress_of(ticket: Ticket | None) -> JobProgress:
    """How far it is, and what remains at the speed between the first step that it told and the last."""
    if ticket is None or ticket.audio_seconds is None:
        return JobProgress(audio_seconds=None, done_seconds=0.0, remaining_seconds=None)
    remaining = None
    if len(ticket.steps) > 1:  # the first step may be what an earlier process had read
        (began, before), (now, done) = ticket.steps
        rest = (now - began) / (done - before) * (1 - done)
        remaining = max(0.0, round(rest - (time.monotonic() - now), 1))
    heard = round(ticket.audio_seconds * ticket.done, 1)
    return JobProgress(audio_seconds=round(ticket.audio_seconds, 1), done_seconds=heard, remaining_seconds=remaining)
