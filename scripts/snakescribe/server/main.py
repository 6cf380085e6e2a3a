"""From the options to a listening server, and back to nothing."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import logging
import os
import shutil
import signal
import socket
import tempfile
from collections.abc import Coroutine, Iterator
from pathlib import Path

import uvicorn

from snakescribe.audio.decoder import ffmpeg_version
from snakescribe.config import Config
from snakescribe.errors import BusyError, ConfigError
from snakescribe.files import hold_lock
from snakescribe.server.app import create_app
from snakescribe.server.closing import Closing, patience
from snakescribe.server.intake import Intake
from snakescribe.server.job_ledger import JobLedger
from snakescribe.server.jobs import Jobs
from snakescribe.server.logs import to_stderr
from snakescribe.server.metrics import Metrics
from snakescribe.server.proof import Proof
from snakescribe.server.state import Server
from snakescribe.stopping import end_at_once

LOG = logging.getLogger(__name__)
KEY = "SNAKESCRIBE_API_KEY"
KEEP_ALIVE, MOST_KEPT = 75, 256
"""Seconds that a connection is kept for the next request (nginx keeps its own for 60), and connections up to which any
is; with more of them each answer says that it is the last."""


def serve(config: Config, threads: int) -> None:
    """Listen until told to stop.

    Raises:
        ConfigError: the address is none of this machine, or wider than loopback without a key.
        BusyError: another server uses the same state folder or address.
        ModelError: the model cannot be loaded.
        DeviceError: the device that was asked for is not there.
        InstallationError: there is no ffmpeg that works.
    """
    to_stderr()
    key = api_key(config)
    check_address(config, key)
    if config.server.folder and not Path(config.server.folder).is_dir():
        raise ConfigError(f"server.folder: {config.server.folder} is no folder; give one that is there")
    ffmpeg_version()
    state = Path(config.server.state)
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
    if os.environ.get(KEY):
        return _usable(os.environ[KEY], KEY)
    if config.server.key_file is None:
        return None
    try:
        text = Path(config.server.key_file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"server.key_file: {config.server.key_file} cannot be read ({error})") from None
    return _usable(text, f"server.key_file: {config.server.key_file}")


def _usable(text: str, where: str) -> str:
    key = text.strip()
    if not key:
        raise ConfigError(f"{where}: the key is empty; make one with `openssl rand -hex 24`")
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ConfigError(
            f"{where}: clients send only the characters ! to ~ in a key; make one with `openssl rand -hex 24`"
        )
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
        raise ConfigError(
            f"server.host: {host} lets others in; set an API key ({KEY} or server.key_file), or say --open"
        )
    LOG.warning("everybody who reaches %s can use this server; an API key (%s) would keep them out", host, KEY)


class _Listener(uvicorn.Server):
    """Uvicorn without its signal handlers: it raises a signal again in the end, before jobs are put back."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _serve(config: Config, threads: int, key: str | None, state: Path) -> None:
    told = _told_to_stop()
    seconds = patience(config, os.environ)
    metrics = Metrics()
    listening = _listen(config)
    intake = Intake(config, threads, state, metrics)
    try:
        if not await _before(told, intake.engine.start()):
            return
        ledger = await asyncio.to_thread(JobLedger, state / "jobs.sqlite")
        jobs = Jobs(ledger, intake, config, metrics, state / "uploads")
        proof = Proof(intake, config, metrics)
        closing = Closing()
        server = Server(config, intake, metrics, jobs, proof, closing, state / "uploads", key is not None)
        await jobs.start()
        proof.start()
        listener = _Listener(
            uvicorn.Config(
                create_app(server, key, lambda: len(listener.server_state.connections) > MOST_KEPT),
                log_config=None,
                access_log=False,
                server_header=False,
                lifespan="off",
                timeout_keep_alive=KEEP_ALIVE,
                timeout_graceful_shutdown=round(seconds) + 1,  # by then everybody has an answer
            )
        )
        ready = intake.engine.ready
        assert ready is not None
        LOG.info(
            "listening",
            extra={
                "url": _url(listening),
                "model": config.model,
                "engine": ready.engine,
                "device": ready.hardware.device,
                "compute_type": ready.hardware.compute_type,
                "key": key is not None,
            },
        )
        async with asyncio.TaskGroup() as group:
            group.create_task(listener.serve([listening]))
            await told.wait()
            LOG.info("stopping", extra={"seconds": seconds})
            listener.should_exit = True
            closing.begin(seconds)
            await proof.stop()
            await jobs.stop(seconds)
        ledger.close()
    finally:
        listening.close()
        await intake.stop()


def _told_to_stop() -> asyncio.Event:
    """Set by SIGTERM or Ctrl-C; another one after that ends the process at once."""
    loop, told = asyncio.get_running_loop(), asyncio.Event()

    def stop() -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
        signal.signal(signal.SIGTERM, end_at_once)
        told.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    return told


async def _before(told: asyncio.Event, work: Coroutine[None, None, None]) -> bool:
    """Whether ``work`` is done before the stop, which ends it."""
    working, stopped = asyncio.ensure_future(work), asyncio.ensure_future(told.wait())
    await asyncio.wait({working, stopped}, return_when=asyncio.FIRST_COMPLETED)
    done = working.done()
    if done:
        working.result()
    for task in (working, stopped):
        task.cancel()
    await asyncio.gather(working, stopped, return_exceptions=True)
    return done


def _listen(config: Config) -> socket.socket:
    host, port = config.server.host, config.server.port
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=1024)
    except OSError as error:
        why = error.strerror or str(error)
        failure = BusyError if error.errno == errno.EADDRINUSE else ConfigError
        raise failure(f"cannot listen on {host} port {port}: {why}; choose another with --host and --port") from None


def _url(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
