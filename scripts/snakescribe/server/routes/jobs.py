"""``/v1/jobs``: for long recordings and for callers who do not want to wait."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, File, Form, Request, UploadFile
from pydantic import BaseModel
from starlette.responses import JSONResponse, Response

from snakescribe.config import Config
from snakescribe.formats.registry import SERVED, ResponseFormat, ServedFormat
from snakescribe.server.http_errors import ErrorObject, HttpError, busy
from snakescribe.server.intake import RequestOptions, copied
from snakescribe.server.job_ledger import JobRow, State
from snakescribe.server.jobs import Jobs, new_id
from snakescribe.server.responses import TYPES, Diarized, Verbose, answer
from snakescribe.server.routes.common import (
    TheGranularities,
    TheLanguage,
    TheModel,
    ThePrompt,
    TheSpeakers,
    TheTemperature,
    TolerantRoute,
    check_asked,
    check_model,
    error_responses,
    transcript_responses,
    wanted,
)
from snakescribe.server.state import Server, server_of

MOST_NAME = 255
"""Characters of a file's name that are kept, for people."""

LOCATION = {"Location": {"description": "`links.self` of the job", "schema": {"type": "string"}}}
JobFormat = Literal[ServedFormat, "diarized_json"]
QUEUED: dict[int | str, dict[str, Any]] = {202: {"description": "the job, queued", "headers": LOCATION}}

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], route_class=TolerantRoute)


class JobProgress(BaseModel):
    """How far a running job is."""

    audio_seconds: float | None
    done_seconds: float
    remaining_seconds: float | None


class Job(BaseModel):
    """One job."""

    id: str
    object: Literal["job"] = "job"
    state: State
    name: str
    created_at: int
    finished_at: int | None
    position: int | None
    """Jobs before it, while it is queued."""
    progress: JobProgress | None
    error: ErrorObject | None
    links: dict[str, str]


@router.post(
    "",
    summary="Queue a job",
    status_code=202,
    response_model=Job,
    responses=error_responses(400, 401, 404, 408, 413, 429, 503) | QUEUED,
)
async def create(
    request: Request,
    file: Annotated[
        UploadFile | None, File(description="a recording of any container and codec that ffmpeg reads")
    ] = None,
    path: Annotated[
        str | None,
        Form(max_length=4096, description="or where one lies below the server's folder (option `server.folder`)"),
    ] = None,
    model: TheModel = None,
    language: TheLanguage = None,
    prompt: ThePrompt = None,
    task: Annotated[Literal["transcribe", "translate"], Form()] = "transcribe",
    temperature: TheTemperature = 0.0,
    timestamp_granularities: TheGranularities = None,
    speakers: TheSpeakers = None,
) -> Response:
    """Give a `file`, or the `path` of one below the server's folder; then ask for `links.self` now and then.

    A job outlives the server: one that was not finished is taken up again by the next start.
    """
    server = server_of(request)
    check_model(server.config, model)
    words = "word" in (timestamp_granularities or ())
    asked = RequestOptions(language, prompt, task, temperature, words, wanted(speakers or str(server.config.speakers)))
    check_asked(server.intake, asked)
    if (file is None) == (path is None):
        raise HttpError(400, "give either file or path", "invalid_value", "file")
    waiting = (await asyncio.to_thread(server.jobs.ledger.counts)).get("queued", 0)
    if waiting >= server.config.server.jobs:
        raise busy(f"{waiting} jobs are waiting already; come back later", 60)
    job_id = new_id()
    if file is not None:
        source = server.jobs.uploads / (job_id + server.config.audio.raw_suffix(file.filename or ""))
        try:
            await asyncio.to_thread(copied, file.file, source)
            row = await server.jobs.add(job_id, _shown_name(file.filename or ""), source, True, asked)
        except BaseException:
            source.unlink(missing_ok=True)
            raise
    else:
        source = await asyncio.to_thread(below, server.config, path or "")
        row = await server.jobs.add(job_id, _shown_name(path or ""), source, False, asked)
    job = await _shown(server, row)
    return JSONResponse(job.model_dump(), 202, {"Location": f"/v1/jobs/{job_id}"})


@router.get("/{job_id}", summary="How a job stands", responses=error_responses(401, 404))
async def one(request: Request, job_id: str) -> Job:
    """`queued` (with its `position`), `running` (with `progress`), `done` (with `links`), `failed`, `cancelled`."""
    server = server_of(request)
    return await _shown(server, await _found(server.jobs, job_id))


@router.delete("/{job_id}", summary="Cancel or erase a job", responses=error_responses(401, 404))
async def cancel(request: Request, job_id: str) -> Job:
    """One that waits or runs is cancelled; one that has ended is erased with its transcript (not the cache's)."""
    server = server_of(request)
    row = await _found(server.jobs, job_id)
    shown = await _shown(server, row)
    if await server.jobs.cancel(row):
        return await _shown(server, await _found(server.jobs, job_id))
    await asyncio.to_thread(server.jobs.ledger.erase, job_id)
    return shown


@router.get(
    "/{job_id}/transcript.{form}",
    summary="A job's transcript",
    responses=transcript_responses(Verbose | Diarized) | error_responses(400, 401, 404, 409),
    response_class=Response,
)
async def transcript(request: Request, job_id: str, form: JobFormat) -> Response:
    """What was said; `json` is OpenAI's `verbose_json`, `diarized_json` needs a job that was given `speakers`."""
    server = server_of(request)
    row = await _found(server.jobs, job_id)
    entry = await asyncio.to_thread(server.jobs.ledger.entry, job_id)
    if entry is None:
        row = await _found(server.jobs, job_id)  # again: it has failed if its transcript is damaged
        raise HttpError(409, f"the job is {row.state}; it has no transcript", "not_done")
    if form == "diarized_json" and not row.asked.speakers:
        raise HttpError(409, "speakers were not asked for; queue it again with speakers=auto", "no_speakers")
    config = row.asked.config(server.config)
    parts = ("segment", "word") if row.asked.words or config.words else ("segment",)
    kind: ResponseFormat = "diarized_json" if form == "diarized_json" else SERVED[form].response
    body = answer(entry, config, kind, parts)
    name = f"{row.name.rpartition('.')[0] or row.name}.{form.replace('_', '.')}"
    disposition = f"attachment; filename*=UTF-8''{quote(name, safe='')}"
    return Response(body, media_type=TYPES[kind], headers={"Content-Disposition": disposition})


def _shown_name(given: str) -> str:
    """The last part of a path, as it can be written anywhere."""
    name = given.replace("\\", "/").rstrip("/").rpartition("/")[2][:MOST_NAME] or "recording"
    return name.encode("utf-8", "backslashreplace").decode()


def below(config: Config, path: str) -> Path:
    """The recording that a job names, links followed and checked.

    Raises:
        HttpError: there is no folder for this, or no such file in it.
    """
    if config.server.folder is None:
        raise HttpError(400, "this server has no folder of recordings (option server.folder)", "no_folder", "path")
    root = os.path.realpath(config.server.folder)
    missing = HttpError(404, "there is no such recording below the server's folder", "not_found", "path")
    try:
        found = os.path.realpath(Path(root, path))
        inside = os.path.commonpath([root, found]) == root and Path(found).is_file()
    except (ValueError, OSError):  # a null byte, a name too long
        raise missing from None
    if not inside:
        raise missing
    return Path(found)


async def _found(jobs: Jobs, job_id: str) -> JobRow:
    row = await asyncio.to_thread(jobs.ledger.get, job_id)
    if row is None:
        raise HttpError(404, "there is no such job; finished ones are forgotten after a while", "not_found", "id")
    return row


async def _shown(server: Server, row: JobRow) -> Job:
    position = await asyncio.to_thread(server.jobs.ledger.position, row.number) if row.state == "queued" else None
    here = f"/v1/jobs/{row.id}"
    links: dict[str, Any] = {"self": here}
    if row.state == "done":
        forms = [*SERVED, *(["diarized_json"] if row.asked.speakers else [])]
        links |= {form: f"{here}/transcript.{form}" for form in forms}
    return Job(
        id=row.id,
        state=row.state,
        name=row.name,
        created_at=int(row.created),
        finished_at=int(row.finished) if row.finished else None,
        position=position,
        progress=_progress(server, row) if row.state == "running" else None,
        error=row.error,
        links=links,
    )


def _progress(server: Server, row: JobRow) -> JobProgress:
    ticket = server.jobs.ticket(row.id)
    if ticket is None or ticket.audio_seconds is None:
        return JobProgress(audio_seconds=None, done_seconds=0.0, remaining_seconds=None)
    total, remaining = ticket.audio_seconds, None
    if ticket.done > 0:
        took = time.monotonic() - ticket.submitted
        remaining = round(took / ticket.done * (1 - ticket.done), 1)
    return JobProgress(
        audio_seconds=round(total, 1), done_seconds=round(total * ticket.done, 1), remaining_seconds=remaining
    )
