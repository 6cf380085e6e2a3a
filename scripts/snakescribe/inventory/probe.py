"""What is in a file: its SHA-256, and the audio that its header declares.

Files are hostile. Each is examined in a child process with a time limit, so that one that crashes or hangs
ffmpeg's libraries costs its own row and nothing else.
"""

from __future__ import annotations

import hashlib
import math
import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import wait
from typing import Any, NamedTuple

from snakescribe.inventory.ledger import FileContent
from snakescribe.media.magic import has_header, head_of
from snakescribe.media.raw import EXTENSIONS, RawFormat, extension
from snakescribe.recording import Header

BLOCK = 1 << 20  # bytes
PROBE_SECONDS = 30.0
SLOWEST_READ = 1e6
"""Bytes per second; a file is given :data:`PROBE_SECONDS` and the time to be hashed at this speed."""

BUNDLE_FILES, BUNDLE_BYTES = 16, 1_000_000
"""What a child is given at a time: asking it costs more than a small file does."""
WINDOW = 4
"""Bundles handed out ahead, per child."""
LINKS = 65_536
"""Files with other names (hard links) that are remembered, so that each is examined once."""

LEAST_RATE = 10.0
"""Bytes per second of audio (digital silence in FLAC at 8 kHz needs about 25). A header that claims more than
a minute beyond this is not believed."""

Examine = Callable[[str, bool], FileContent]


def workers() -> int:
    """As many as this process may use processors, at most 8."""
    return min(8, len(os.sched_getaffinity(0)))


def examine(path: str, hashing: bool = True, raw: Callable[[str], RawFormat | None] = EXTENSIONS.get) -> FileContent:
    """Hash and probe one file in this process; what cannot be read is said in ``probe_error``.

    Args:
        path: absolute, in ``os.fsdecode`` form.
        hashing: read the whole file for its SHA-256.
        raw: what is in files without a header, by extension.

    Raises:
        OSError: it is gone.
    """
    content = _hashed(path, hashing)
    if content.header.probe_error:
        return content
    try:
        format_ = raw(extension(path))
        if format_ and content.size and not has_header(head_of(path)):
            return content._replace(header=_by_size(format_, content.size))
        return content._replace(header=_probed(path, content.size))
    except Exception as error:  # whatever a hostile file makes a library say
        return content._replace(header=Header(probe_error=_one_line(error)))


def examine_all(
    files: Iterable[tuple[bytes, str, int]],
    hashing: bool = True,
    how: Examine = examine,
    seconds: float = PROBE_SECONDS,
    waiting: Callable[[], None] = lambda: None,
) -> Iterator[tuple[bytes, FileContent | None]]:
    """Examine files in child processes; results come in the order of ``files``. Hard links are examined once.

    Args:
        files: key, absolute path (``os.fsdecode`` form) and size of each.
        hashing: read the whole file for its SHA-256.
        how: what the children run.
        seconds: time limit of one file, beside the reading.
        waiting: called about every second while nothing is finished.

    Yields:
        Key and content; None for a file that is gone.
    """
    from pebble import ProcessExpired, ProcessPool

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "av"])
    count = workers()
    with ProcessPool(count, initializer=_prepare_child, context=context) as pool:

        def ask(todo: Sequence[_File]) -> Any:
            if not todo:
                return None
            limit = seconds + sum(file.size for file in todo) / SLOWEST_READ
            return pool.schedule(_several, (how, [file.path for file in todo], hashing, limit), timeout=limit)

        def answers(todo: Sequence[_File], future: Any) -> Iterator[FileContent | None]:
            while not future.done() and not wait([future], timeout=1).done:
                waiting()
            try:
                yield from future.result()
                return
            except TimeoutError:
                problem = "examining it took too long"
            except ProcessExpired as error:
                problem = f"examining it crashed (exit code {error.exitcode})"
            if len(todo) == 1:
                yield _only_hashed(todo[0].path, hashing, problem)
            else:  # one of them is to blame
                for file, alone in [(file, ask([file])) for file in todo]:
                    yield from answers([file], alone)

        def collect(bundle: Sequence[_File], future: Any) -> Iterator[tuple[bytes, FileContent | None]]:
            todo = [file for file in bundle if file.first]
            for file, content in zip(todo, answers(todo, future) if todo else (), strict=True):
                file.content.append(content)
            yield from ((file.key, file.content[0]) for file in bundle)

        queue: deque[tuple[Sequence[_File], Any]] = deque()
        try:
            for bundle in _bundles(files):
                queue.append((bundle, ask([file for file in bundle if file.first])))
                if len(queue) >= WINDOW * count:
                    yield from collect(*queue.popleft())
            while queue:
                yield from collect(*queue.popleft())
        except BaseException:
            pool.stop()  # type: ignore[no-untyped-call]
            raise


class _File(NamedTuple):
    key: bytes
    path: str
    size: int
    content: list[FileContent | None]
    """What it comes to; shared with the other names of the same file."""
    first: bool
    """The name by which it is examined."""


def _bundles(files: Iterable[tuple[bytes, str, int]]) -> Iterator[list[_File]]:
    links: dict[object, list[FileContent | None]] = {}
    bundle: list[_File] = []
    filled = 0
    for key, path, size in files:
        content: list[FileContent | None] = []
        shared = content
        if link := _link(path):
            if len(links) >= LINKS:
                links.clear()
            shared = links.setdefault(link, content)
        bundle.append(_File(key, path, size, shared, shared is content))
        filled += size if shared is content else 0
        if len(bundle) >= BUNDLE_FILES or filled >= BUNDLE_BYTES:
            yield bundle
            bundle, filled = [], 0
    if bundle:
        yield bundle


def _link(path: str) -> object:
    """Equal for names of one file that are examined in the same way; None for a file with a single name."""
    try:
        status = os.stat(path)  # noqa: PTH116
    except OSError:
        return None
    if status.st_nlink == 1:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, os.path.splitext(path)[1]  # noqa: PTH122


def _prepare_child() -> None:
    import av

    av.logging.set_level(None)


def _several(how: Examine, paths: Sequence[str], hashing: bool, seconds: float) -> list[FileContent | None]:
    """What is in each; None for a file that is gone."""
    found: list[FileContent | None] = []
    for path in paths:
        try:
            found.append(_limited(how, path, hashing, seconds))
        except OSError:
            found.append(None)
    return found


def _limited(how: Examine, path: str, hashing: bool, seconds: float) -> FileContent:
    signal.alarm(math.ceil(seconds) + 5)  # a hung child whose parent was killed ends by itself
    try:
        return how(path, hashing)
    finally:
        signal.alarm(0)


def _hashed(path: str, hashing: bool) -> FileContent:
    status = os.stat(path)  # noqa: PTH116
    content = FileContent(status.st_size, status.st_mtime_ns, "")
    try:
        with open(path, "rb", buffering=0) as file:
            if not hashing:
                return content
            sha256 = hashlib.sha256()
            block = bytearray(BLOCK)
            while count := file.readinto(block):
                sha256.update(memoryview(block)[:count])
            status = os.fstat(file.fileno())
    except FileNotFoundError:
        raise
    except OSError as error:
        return content._replace(header=Header(probe_error=_one_line(error)))
    return FileContent(status.st_size, status.st_mtime_ns, sha256.hexdigest())


def _only_hashed(path: str, hashing: bool, error: str) -> FileContent | None:
    try:
        return _hashed(path, hashing)._replace(header=Header(probe_error=error))
    except OSError:
        return None


def _probed(path: str, size: int) -> Header:
    import av

    from snakescribe.media import ALLOWED_DEMUXERS, PROTOCOLS

    options = {"protocol_whitelist": PROTOCOLS, "format_whitelist": ALLOWED_DEMUXERS}
    with av.open(f"file:{path}", options=options, metadata_errors="replace") as container:
        stream = container.streams.best("audio")
        if not isinstance(stream, av.AudioStream):
            return Header(probe_error="no audio track")
        if container.duration is not None:
            duration = container.duration / av.time_base
        elif stream.duration is not None and stream.time_base is not None:
            duration = float(stream.duration * stream.time_base)
        else:
            duration = math.nan
        codec = stream.codec_context
        return Header(
            duration=duration if 0 < duration < 60 + size / LEAST_RATE else None,
            codec=codec.codec.canonical_name if codec else None,
            sample_rate=codec.sample_rate or None if codec else None,
            channels=codec.channels or None if codec else None,
        )


def _by_size(raw: RawFormat, size: int) -> Header:
    return Header(raw.seconds(size), raw.name, raw.rate, raw.channels)


def _one_line(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(text).split())[:200]
