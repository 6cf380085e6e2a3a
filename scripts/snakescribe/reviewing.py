"""A page on this machine on which people hear what is doubtful and put it right; every correction is kept at once."""

from __future__ import annotations

import getpass
import logging
import secrets
import signal
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

import uvicorn
from fastapi import Depends, FastAPI, HTTPException, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, PlainTextResponse, Response
from pydantic import Field
from starlette.middleware.trustedhost import TrustedHostMiddleware

from snakescribe.config import Config
from snakescribe.correcting import bring, pending
from snakescribe.corrections import store
from snakescribe.corrections.apply import applied, apply
from snakescribe.corrections.store import LONGEST, Correction, Said, Seconds
from snakescribe.errors import BusyError, RecordingError, SnakescribeError
from snakescribe.files import disk_error
from snakescribe.inventory.ledger import Ledger
from snakescribe.inventory.walk import recordings_root
from snakescribe.layout import Results
from snakescribe.playing import Sounds
from snakescribe.records import Frozen
from snakescribe.report.entries import References
from snakescribe.report.page import opened, write_page
from snakescribe.tables.batch import read_batch

OWN_HOSTS = ["127.0.0.1", "localhost"]
"""Nobody else's page can ask this one by another name."""
GRACE = 2
"""Seconds after Ctrl-C in which answers may end: a browser takes no more of a sound that is paused."""


class PutRight(Frozen):
    """What the page sends: a stretch of one channel, what stood there, and what was said."""

    channel: str | None = None
    start: Seconds
    end: Seconds
    old: Annotated[str, Field(max_length=LONGEST)]
    new: Annotated[tuple[Said, ...], Field(max_length=100)]

    def sensible(self, row: Mapping[str, Any]) -> bool:
        """Whether it can be of this recording."""
        spans = [(self.start, self.end), *((said.start, said.end) for said in self.new)]
        last = (row["duration"] or 0.0) + 1.0
        texts = "".join([self.old, *(said.text for said in self.new)])
        labels = {None, *(speaker["speaker"] for speaker in row.get("speakers") or ())}
        channels = {piece["channel"] for piece in [*(row["segments"] or ()), *(row["gaps"] or ())]}
        return (
            row["status"] != "failed"
            and all(start <= end <= last for start, end in spans)
            and self.channel in channels
            and labels.issuperset(said.speaker for said in self.new)
            and texts.encode("utf-8", "replace").decode() == texts
        )


class Review:
    """The recordings of one results folder, as they are put right."""

    def __init__(self, results: Results, config: Config, who: str) -> None:
        self.results, self.config, self.who = results, config, who
        self.changed = False
        """Whether something was put right."""
        self.row = lru_cache(64)(self._row)
        self.sounds = Sounds(results.sounds, config.audio)
        self._references = References(results, Path(recordings_root(config)))

    def _row(self, recording_id: str) -> dict[str, Any]:
        with Ledger.open(self.results.ledger, readonly=True) as ledger:
            batch = ledger.batch_of(recording_id)
            current = ledger.current(batch) if batch else {}
        rows = read_batch(self.results.rows(batch)) if batch else iter(())
        for row in rows:
            if row["recording_id"] == recording_id:
                return {**row, "reference": current[recording_id].reference}
        raise HTTPException(404, "there is no such recording")

    def text(self, recording_id: str) -> dict[str, Any]:
        """What the page shows of a recording, as everybody has put it right so far."""
        row = self.row(recording_id)
        return self._opened(apply(row, store.by_content(self.results).get(row["sha256"], ())))

    def _opened(self, row: dict[str, Any]) -> dict[str, Any]:
        return opened(row, self._references.beside(row, row["reference"]))

    def put_right(self, recording_id: str, said: PutRight) -> dict[str, Any]:
        """Keep a correction; its recording as it is now, and whether somebody else had changed the place."""
        row = self.row(recording_id)
        if not said.sensible(row):
            raise HTTPException(422, "this is not of this recording")
        one = Correction(
            recording_id=recording_id, sha256=row["sha256"], who=self.who, when=datetime.now(UTC), **dict(said)
        )
        try:
            store.add(self.results, [one])
        except OSError as error:
            known = disk_error(error)
            raise HTTPException(507, str(known or error)) from None
        self.changed = True
        mine = store.by_content(self.results)[row["sha256"]]
        right, odd = applied(row, mine)
        return {"text": self._opened(right), "conflict": mine[-1] in odd}

    def sound(self, recording_id: str) -> tuple[Path, str]:
        """The recording, or what a browser can play of it, and its media type."""
        row = self.row(recording_id)
        with Ledger.open(self.results.ledger, readonly=True) as ledger:
            recording = next(r for r in ledger.manifest(row["batch"]).recordings if r.recording_id == recording_id)
        source = Path(recording.source(recordings_root(self.config)))
        if not source.is_file():
            raise HTTPException(404, "the recording is not there any more")
        try:
            return self.sounds.of(recording, row, source)
        except (RecordingError, SnakescribeError) as error:
            raise HTTPException(error.http_status, str(error)) from None
        except OSError as error:
            raise HTTPException(500, str(disk_error(error) or error)) from None


def application(review: Review, token: str) -> FastAPI:
    """The page, its texts and sounds, for whoever has the ``token``."""

    def allowed(token_given: Annotated[str, Query(alias="token")] = "") -> None:
        if not secrets.compare_digest(token_given.encode(), token.encode()):
            raise HTTPException(403, "open the address that `snakescribe review` has printed")

    async def wrong(_request: Request, _error: Any) -> Response:
        """Without what was sent, which the framework's own answer would repeat."""
        return PlainTextResponse("this is no correction", 422)

    app = FastAPI(dependencies=[Depends(allowed)], openapi_url=None, exception_handlers={RequestValidationError: wrong})
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=OWN_HOSTS)
    page = review.results.review
    write_page(review.results, review.config, page, review=token)

    @app.get("/")
    def _page() -> FileResponse:
        return FileResponse(page, headers={"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"})

    @app.get("/texts/{recording_id}")
    def _text(recording_id: str) -> dict[str, Any]:
        return review.text(recording_id)

    @app.post("/texts/{recording_id}")
    def _put_right(recording_id: str, said: PutRight) -> dict[str, Any]:
        return review.put_right(recording_id, said)

    @app.get("/sounds/{recording_id}")
    def _sound(recording_id: str) -> FileResponse:
        path, kind = review.sound(recording_id)
        return FileResponse(path, media_type=kind)

    return app


def serve(results: Results, config: Config, who: str | None, port: int) -> None:
    """Serve the page until it is stopped; then tables, transcripts and report say what was put right.

    Raises:
        BusyError: the port is taken.
    """
    review = Review(results, config, who or getpass.getuser())
    token = secrets.token_urlsafe(16)
    with _listening(port) as (listener, where):
        app = application(review, token)
        print(f"review: http://127.0.0.1:{where}/?token={token}\nCtrl-C ends it", file=sys.stderr, flush=True)
        server = _Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=GRACE))

        def stop(*_: object) -> None:
            server.should_exit = True
            review.sounds.end()
            logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # answers that are cut off are no news

        for one in (signal.SIGINT, signal.SIGTERM):
            signal.signal(one, stop)  # a second one, too
        try:
            server.run(sockets=[listener])
        finally:
            results.review.unlink(missing_ok=True)
            review.sounds.clear()
    if review.changed:
        print("review: tables, transcripts and report are made anew", file=sys.stderr)
        bring(results, config, pending(results))
        print(f"review: they are in {results.root}", file=sys.stderr)


class _Server(uvicorn.Server):
    """One that does not raise the signal that ended it once more: there is work left."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Ours are set already."""
        yield


@contextmanager
def _listening(port: int) -> Iterator[tuple[socket.socket, int]]:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
            listener.listen()  # whoever opens the address before the server is there waits for it
        except OSError as error:
            raise BusyError(f"port {port} cannot be had ({error.strerror}); give another one with --port") from None
        yield listener, listener.getsockname()[1]
