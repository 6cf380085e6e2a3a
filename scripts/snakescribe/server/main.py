"""From the options to a listening server, and back to nothing."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import logging
import os
import re
import shutil
import signal
import socket
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, cast

import uvicorn

from snakescribe.audio.decoder import ffmpeg_version
from snakescribe.config import Config
from snakescribe.errors import BusyError, ConfigError, ResultsError
from snakescribe.files import hold_lock
from snakescribe.server.app import create_app
from snakescribe.server.connections import STALLED, Connection, Connections
from snakescribe.server.intake import Intake
from snakescribe.server.jobs import Jobs
from snakescribe.server.logs import to_stderr
from snakescribe.server.metrics import Metrics
from snakescribe.server.routes.health import Proof
from snakescribe.server.state import Server, before
from snakescribe.stopping import end_at_once

LOG = logging.getLogger(__name__)
KEY = "SNAKESCRIBE_API_KEY"
KEEP_ALIVE = 75
"""Seconds that a connection is kept for the next request (nginx keeps its own for 60)."""


def serve(config: Config, threads: int) -> None:
    """Listen until told to stop.

    Raises:
        ConfigError: the address is none of this machine, or wider than loopback without a key.
        BusyError: another server uses the same state folder or address.
        ModelError: the model cannot be loaded.
        DeviceError: the device that was asked for is not there.
        InstallationError: there is no ffmpeg that works.
        ResultsError: the state folder is that of another version.
    """
    to_stderr()
    key = api_key(config)
    check_address(config, key)
    if config.server.folder and not Path(config.server.folder).is_dir():
        raise ConfigError(f"server.folder: {config.server.folder} is no folder; give one that is there")
    ffmpeg_version()
    state = Path(config.server.state)
    if (old := state / "jobs.sqlite").exists():
        remedy = "use that version, or move it away and start again (the jobs in it are lost)"
        raise ResultsError(f"{old}: written by another version of snakescribe; {remedy}")
    uploads = state / "uploads"
    uploads.mkdir(parents=True, exist_ok=True)
    lock = hold_lock(state / "lock", f"another server uses {state}; stop it or choose another server.state")
    tempfile.tempdir = str(uploads)  # parts of a form that is being received; they have no name there
    for left in uploads.glob("request-*"):  # of a server that was killed
        shutil.rmtree(left)
    try:
        asyncio.run(_serve(config, threads, key, state))
    finally:
        os.close(lock)


def api_key(config: Config) -> str | None:
    """The key from the environment or the file; None when there is none.

    Raises:
        ConfigError: the file cannot be read or is empty.
    """
    where, text = KEY, os.environ.get(KEY)
    if not text and config.server.key_file is None:
        return None
    if not text:
        where = f"server.key_file: {config.server.key_file}"
        try:
            text = Path(config.server.key_file or "").read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{where} cannot be read ({error})") from None
    key = text.strip()
    if not re.fullmatch("[!-~]+", key):
        why = "clients send only the characters ! to ~ in a key" if key else "the key is empty"
        raise ConfigError(f"{where}: {why}; make one with `openssl rand -hex 24`")
    return key


def check_address(config: Config, key: str | None) -> None:
    """Refuse to listen to others without a key, unless that is wanted.

    Raises:
        ConfigError: what to do about it.
    """
    host = config.server.host
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = host == "localhost"
    if "*" in config.server.origins and not key:
        raise ConfigError(f"server.origins: `*` lets every web page in; set an API key ({KEY}), or name the pages")
    if loopback or key:
        return
    if not config.server.open:
        remedy = f"set an API key ({KEY} or server.key_file), or say --open"
        raise ConfigError(f"server.host: {host} lets others in; {remedy}")
    LOG.warning("everybody who reaches %s can use this server; an API key (%s) would keep them out", host, KEY)


class _Listener(uvicorn.Server):
    """Uvicorn without its signal handlers: it raises a signal again in the end, before jobs are put back."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _serve(config: Config, threads: int, key: str | None, state: Path) -> None:
    told = _told_to_stop()
    seconds = config.server.shutdown_seconds
    listening, connections = _listen(config), Connections(config.server.request_seconds)
    intake = Intake(config, threads, state, Metrics())
    try:
        started = await before(intake.engine.start(), told.wait())
        if started is None:
            return
        started.result()
        jobs, proof = Jobs(intake, state / "jobs", state / "uploads"), Proof(intake)
        server = Server(config, intake, jobs, proof, key is not None)
        await jobs.start()
        proving = asyncio.create_task(proof.run(), name="proof")
        listener = _Listener(
            uvicorn.Config(
                create_app(server, key),
                http=cast(Any, partial(Connection, connections)),
                backlog=connections.most // 8,  # asyncio takes as many before it counts one, too
                log_config=None,
                access_log=False,
                server_header=False,
                lifespan="off",
                ws="none",
                timeout_keep_alive=KEEP_ALIVE,
                timeout_graceful_shutdown=round(seconds) + 1,  # by then everybody has an answer
            )
        )
        host, port = listening.getsockname()[:2]
        host, ready = f"[{host}]" if ":" in host else host, intake.engine.ready
        assert ready is not None
        here = {"url": f"http://{host}:{port}", "model": config.model, "engine": ready.engine, "key": key is not None}
        here |= {"device": ready.hardware.device, "compute_type": ready.hardware.compute_type}
        LOG.info("listening", extra=here)
        async with asyncio.TaskGroup() as group:
            group.create_task(listener.serve([listening]))
            await told.wait()
            again = "a second signal ends it at once; jobs go on with the next start"
            LOG.info("stopping", extra={"seconds": seconds, "hint": again})
            listener.should_exit = True
            asyncio.get_running_loop().call_later(seconds, server.over.set)
            proving.cancel()
            await jobs.stop(seconds)
    finally:
        listening.close()
        await intake.stop()


def _told_to_stop() -> asyncio.Event:
    """Set by SIGTERM or Ctrl-C; another one after that ends the process at once."""
    loop, told = asyncio.get_running_loop(), asyncio.Event()

    def stop() -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
            signal.signal(number, end_at_once)
        told.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    return told


def _listen(config: Config) -> socket.socket:
    host, port = config.server.host, config.server.port
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listening = socket.create_server((host, port), family=family)
    except OSError as error:
        failure = BusyError if error.errno == errno.EADDRINUSE else ConfigError
        why = f"{error.strerror or error}; choose another with --host and --port"
        raise failure(f"cannot listen on {host} port {port}: {why}") from None
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # its connections have it from it; others than Linux have none
        milliseconds = round(min(STALLED, config.server.request_seconds) * 1000)
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)
    return listening
