"""What the Snakefile does while it is parsed: check everything that can be checked before a DAG is built.

The main process validates, takes the lock, looks at the recordings (a stat per file) and writes the resolved
configuration; every job reads that file, on this machine or another. Nothing here imports torch.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shlex
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from shutil import which
from typing import Any

from snakescribe import __version__, devices
from snakescribe.checkout import CALLER
from snakescribe.cluster import orphans
from snakescribe.config import Config, load_config, read_resolved
from snakescribe.config.load import at_home, changed
from snakescribe.config.options import ContainerOptions
from snakescribe.errors import ConfigError, InstallationError, ResultsError, SnakescribeError
from snakescribe.estimate import decoding, listening, runtime
from snakescribe.failures import report
from snakescribe.files import disk_error, hold_lock, write_atomically
from snakescribe.inventory.ledger import Ledger
from snakescribe.inventory.plan import Plan
from snakescribe.inventory.walk import Walk, recordings_root, walk
from snakescribe.inventory.walk import digest as inventory_digest
from snakescribe.keys import options_digest
from snakescribe.layout import Results
from snakescribe.models.configured import configured_capabilities, configured_model, configured_store
from snakescribe.speakers.settings import speakers_digest, voices_digest, without_effect
from snakescribe.unfinished import bring_back, put_aside_unfinished

LOCK_FD = "SNAKESCRIBE_LOCK_FD"
"""``snakescribe run`` hands its lock to Snakemake as this open descriptor."""


RUN = "another run"
"""What others are told that works here."""


@dataclass(frozen=True)
class Run:
    """A checked run, as the rules see it."""

    config: Config
    files: Results
    """What the rules call their files: without the results folder where that is the working directory, else with it as
    the option `results` names it, relative or absolute."""
    seen: str
    """Digest of the recordings folder as it is now; a change runs the inventory again."""
    options: str
    """Digest of everything that changes a batch's result; a change transcribes again (from the cache if known)."""
    memory_mb: int
    """What a transcribe job needs."""
    voices: str = ""
    """Digest of what the voices of a batch depend on beside its recordings."""
    speakers: str = ""
    """Digest of how many speakers there are and who they are."""

    def rows(self, batch: str) -> Path:
        """What tables and transcripts of a batch are made of."""
        return self.files.batch(batch) if self.config.speakers == "off" else self.files.speakers(batch)

    @property
    def across(self) -> list[Path]:
        """What must be there before anything tells who speaks: labels of whole folders, if they are wanted."""
        return [self.files.across] if self.config.speakers_across else []

    @property
    def tables(self) -> list[Path]:
        """All tables of this run."""
        return self.files.tables + (self.files.speaker_tables if self.config.speakers != "off" else [])

    def voices_minutes(self, batch: str, threads: int, attempt: int) -> int:
        """How long listening to voices may take on a cluster."""
        return listening(_seconds(Path(self.config.results), batch), threads, attempt)

    def transcribe_minutes(self, batch: str, threads: int, attempt: int) -> int:
        """How long transcribing may take on a cluster."""
        return runtime(self.config, _seconds(Path(self.config.results), batch), threads, attempt)

    def normalise_minutes(self, batch: str, attempt: int) -> int:
        """How long normalising may take on a cluster."""
        return decoding(_seconds(Path(self.config.results), batch), attempt)

    def step(self, command: str, *options: str) -> str:
        """The shell command of a rule: one of ours with the run's configuration; what it says goes to the log too."""
        config = shlex.quote(str(self.files.config))
        return " ".join(["exec snakescribe", command, "--config", config, *options, "2> >(tee {log:q} >&2)"])


def _seconds(results: Path, batch: str) -> float:
    """Of audio in a planned batch."""
    plan = Results(results).plan
    return _planned(plan, plan.stat().st_mtime_ns).get(batch, 0.0)


@lru_cache(1)
def _planned(plan: Path, _changed: int) -> dict[str, float]:
    return {one.batch: one.seconds for one in Plan.read(plan).batches}


_BEGUN: dict[Path, Run] = {}
"""By results folder: a module is parsed again for each `use rule … with:`."""


def begin(
    values: Mapping[str, Any],
    moves: bool,
    executes: bool,
    main_process: bool,
    dry_run: bool,
    gpus: bool,
    apptainer: bool,
    local: bool,
    logs: Sequence[str],
) -> Run:
    """Check the configuration and prepare the results folder; exits with the failure's own code.

    Args:
        values: Snakemake's merged ``config``, or that of the `module` statement.
        moves: the Snakefile makes the results folder the working directory; false as a module of another workflow.
        executes: false for ``--lint`` and the like, which must work without any recordings.
        main_process: false inside a job that Snakemake runs by calling itself (clusters).
        dry_run: look, but neither lock nor write.
        gpus: some were given with ``--resources gpu=N`` or a profile; then ``device: auto`` means CUDA.
        apptainer: the rules run in ``config.container.image``, if there is one (``--sdm apptainer``).
        local: jobs run on this machine, so that a missing GPU or ffmpeg is seen now.
        logs: files that Snakemake itself writes.
    """
    _put_our_commands_on_path()
    try:
        config = load_config(values, Path.cwd())
        if gpus and config.device == "auto":
            config = changed(config, device="cuda")
        results = Results(Path(config.results))
        files = _named(values.get("results", config.results), results, moves)
        if files.root == Path():
            os.umask(0o077)  # a larger workflow keeps its own
        if not main_process:
            config = read_resolved(results.config)
            _show_to_container(config, files)
            return _run(config, files, None)
        if not executes:
            return Run(_with_an_image(config), files, "", "", 0)
        configured_capabilities(config)
        if results.root in _BEGUN:
            if _BEGUN[results.root].config != config:
                raise ConfigError(f"two modules write into {results.root}; give each its own `results`")
            return _BEGUN[results.root]
        if config.speakers != "off":
            configured_store(config).speakers()
        walked = walk(config)
        checked = _BEGUN[results.root] = _run(config, files, walked)
        plan = Plan.read(results.plan) if results.plan.exists() else None
        for hint in without_effect(config, walked):
            print(f"snakescribe: {hint}", file=sys.stderr)
        if local and not dry_run:
            devices.expect(config.device)
            if config.container.image is None:
                from snakescribe.audio.decoder import ffmpeg_version  # beside an image there need not be ffmpeg-python

                ffmpeg_version()
        if apptainer and config.container.image is not None and not (which("apptainer") or which("singularity")):
            raise InstallationError(
                "apptainer is not installed here, and --sdm apptainer (profiles/apptainer) runs the steps with it;"
                " install it, or run without that profile"
            )
        elsewhere = _elsewhere(results, files)
        prepare_results(results, dry_run)
        _show_to_container(config, files)
        if not dry_run:
            if LOCK_FD not in os.environ:  # `snakescribe run` has done it
                orphans.settle(results, os.environ.get(orphans.ORPHANS) or "wait")
            if not local:
                orphans.remember(results, logs)
            _write_missing_manifests(results, plan)
            bring_back(results)
            put_aside_unfinished(results, checked.seen, checked.options, config)
            if config.cache.mode != "off" or config.container.image is not None:
                _make_folder(Path(config.cache.path), "cache.path")  # what is not there cannot be bound
            write_atomically(results.config, config.model_dump_json(indent=1).encode())
            if elsewhere:
                write_atomically(results.elsewhere, os.fsencode(elsewhere))
        return checked
    except SnakescribeError as error:
        raise SystemExit(report(error)) from None
    except OSError as error:
        known = disk_error(error)
        if known is None:
            raise
        raise SystemExit(report(known)) from None


def prepare_results(results: Results, dry_run: bool = False) -> int | None:
    """Make the results folder, see that it can be written, and take its lock for the life of this process.

    Returns:
        The lock's open descriptor, None for a dry run or when ``snakescribe run`` holds it for us.

    Raises:
        ResultsError: it cannot be written.
        BusyError: another run works there.
    """
    try:
        _make_folder(results.root, "--results", mode=0o700)
        if dry_run:
            return None
        results.state.mkdir(mode=0o700, exist_ok=True)
        lock = None
        if LOCK_FD not in os.environ:
            busy = f"works on {results.root}; wait for it, or choose another folder with --results"
            lock = hold_lock(results.lock, busy, RUN)
            _sweep(results)
        shutil.rmtree(results.failures, ignore_errors=True)
        results.failures.mkdir()
        return lock
    except OSError as error:
        known = disk_error(error)
        if known is None:
            raise
        raise known from None


def _make_folder(folder: Path, option: str, mode: int = 0o777) -> None:
    try:
        folder.mkdir(mode, parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise ResultsError(f"{folder} is not a folder; choose another one with {option}") from None
    except OSError as error:
        # Parents are made, so what is not found is a file system that takes no new folder.
        closed = option != "--results" and error.errno in (errno.EACCES, errno.EPERM, errno.EROFS)
        if not closed and error.errno != errno.ENOENT:
            raise
        raise ResultsError(f"{folder} cannot be made ({error.strerror}); choose another folder with {option}") from None


def _sweep(results: Results) -> None:
    """Remove what killed steps left half-written; a file that has not grown for an hour is written by no one."""
    for path in results.half_written():
        with contextlib.suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > 3600:
                path.unlink()


def _write_missing_manifests(results: Results, plan: Plan | None) -> None:
    """Snakemake asks for the manifest of every batch, and one that was damaged has been deleted."""
    missing = [one.batch for one in plan.batches if not results.manifest(one.batch).exists()] if plan else []
    if missing:
        with Ledger.open(results.ledger, readonly=True) as ledger:
            for batch in missing:
                ledger.manifest(batch).write(results.manifest(batch))


def _named(written: str, results: Results, moves: bool) -> Results:
    """See :attr:`Run.files`."""
    if moves or (results.root.exists() and results.root.samefile(Path.cwd())):
        return Results(Path())
    if set(written) & set("{}<>"):
        raise ConfigError(f"option results: Snakemake reads {{…}} and <…> as variables; rename {written!r}")
    return Results(Path(os.path.normpath(at_home(written))))


def _elsewhere(results: Results, files: Results) -> str:
    """Where Snakemake keeps its copies of our files, as seen from the results folder; empty for its usual place there.

    Beside them lies what it knows of how each file was made. From another folder, or by another name, it would know
    nothing, and never see a new recording or model.

    Raises:
        ResultsError: the files here were made from another folder, or by another name.
    """
    here = ""
    if files.root != Path():
        here = os.path.relpath(Path(".snakemake/backups", str(files.root).lstrip("/")), results.root)
    there = os.fsdecode(results.elsewhere.read_bytes()) if results.elsewhere.exists() else ""
    if results.plan.exists() and here != there:
        known = (results.root / there if there else results.backups).parts
        folder = Path(*known[: known.index(".snakemake")])
        raise ResultsError(
            f"{results.root} was made by Snakemake working in {os.path.normpath(folder)}, and only there does it know"
            " what is new; run it from there as before, or give another folder (its texts come from the cache)"
        )
    return here


def _run(config: Config, files: Results, walked: Walk | None) -> Run:
    prepared = configured_model(config)
    weights = 2 * prepared.capabilities.parameters / 1e6  # in 16 bits
    return Run(
        config,
        files,
        inventory_digest(config, walked) if walked else "",
        options_digest(config, prepared),
        memory_mb=int(1500 + 4 * weights),
        voices=voices_digest(config, walked.sheet if walked else None),
        speakers=speakers_digest(config, walked.sheet if walked else None),
    )


def _with_an_image(config: Config) -> Config:
    """``--lint`` wants a container on every rule; whether there is one is the user's choice."""
    return config.model_copy(update={"container": ContainerOptions(image=config.container.image or "/image.sif")})


def _show_to_container(config: Config, files: Results) -> None:
    """An image sees only the working directory: recordings and models are bound read-only, cache and results writable.

    It also hears our version, and refuses to work for another one's Snakefile.
    """
    os.environ[CALLER] = __version__
    if config.container.image is None:
        return
    bound = [f"{path}:{path}:ro" for path in (recordings_root(config), config.models)]
    writable = [config.cache.path] if files.root == Path() else [config.cache.path, config.results]
    bound += [f"{path}:{path}" for path in writable]
    others = os.environ.get("APPTAINER_BIND")  # of the user, or of another module
    os.environ["APPTAINER_BIND"] = ",".join(dict.fromkeys([*(others.split(",") if others else []), *bound]))
    if config.device != "cpu":
        os.environ["APPTAINER_NV"] = "1"


def _put_our_commands_on_path() -> None:
    """``.venv/bin/snakemake`` works without activating: the rules call the ``snakescribe`` beside it."""
    own = str(Path(sys.executable).parent)
    path = os.environ.get("PATH", "")
    if own not in path.split(os.pathsep):
        os.environ["PATH"] = os.pathsep.join([own, path])
