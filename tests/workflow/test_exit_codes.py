"""Every exit code by a real run; what can go wrong before anything runs says so in one line, also in ``snakemake``."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from runs import Site, cut, finished

from snakescribe.audio.decoder import ffmpeg_path
from snakescribe.config import load_config
from snakescribe.files import hold_lock
from snakescribe.layout import Results

BARE = pytest.mark.parametrize("bare", [False, True], ids=["snakescribe run", "snakemake"])
JUNK = b"no media" * 100
BOUND = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
"""Root without the right to read and write everything."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, models_root: Path, speech: dict[str, Path]) -> Site:
    """One recording, nothing run yet."""
    site = Site(tmp_path_factory.mktemp("codes"), models_root, {"model": "tiny.en"})
    cut(speech["beckett"], site.recordings / "one.wav", 0, 3)
    return site


def refused(site: Site, code: int, *said: str, bare: bool = False, bound: bool = False, **options: object) -> None:
    """A run ends with ``code`` and one line that says all of ``said``; no DAG is built."""
    command = site.command(bare, **options)
    if bound and os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("root is not bound by permissions, and there is no setpriv to give that up")
        command = BOUND + command
    done = subprocess.run(command, cwd=site.folder, env=site.env, capture_output=True, text=True, check=False)
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("snakescribe: ")]
    assert done.returncode == code, done.stdout + done.stderr
    assert len(lines) == 1, done.stdout + done.stderr
    for part in said:
        assert part in lines[0]
    assert "Traceback" not in done.stderr
    assert "Building DAG" not in done.stdout + done.stderr


def test_a_profile_that_is_not_there(site: Site) -> None:
    """Snakemake alone goes on without any."""
    said = site.run("--profile", "profiles/slrum", code=2).said
    assert said.count("\n") == 1 and "ConfigError: --profile: there is no profiles/slrum; give a folder" in said


@BARE
def test_an_unknown_option(site: Site, bare: bool) -> None:
    refused(site, 2, "ConfigError: unknown option 'modle'; did you mean 'model'?", bare=bare, modle="base")


def test_an_option_given_like_an_argument(site: Site) -> None:
    command = [*site.command(), "--langauge", "ko"]
    done = subprocess.run(command, cwd=site.folder, env=site.env, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "unrecognized arguments: --langauge ko; options of config/README.md go like this: --config" in done.stderr


@BARE
def test_an_empty_folder(site: Site, bare: bool) -> None:
    empty = site.folder / "empty"
    empty.mkdir(exist_ok=True)
    refused(site, 3, "InputError: recordings: ", "it is empty", bare=bare, recordings=str(empty))


def test_a_folder_without_recordings(site: Site) -> None:
    folder = site.folder / "notes"
    folder.mkdir()
    (folder / "notes.txt").write_text("nothing to hear")
    refused(site, 3, "InputError", "holds no recordings (1 names seen: ", recordings=str(folder))


def test_a_missing_folder(site: Site) -> None:
    refused(site, 3, "InputError", "does not exist; give a folder or a sample sheet", recordings="nowhere")


@BARE
def test_an_unreadable_folder(site: Site, bare: bool) -> None:
    with closed(site.recordings, 0o000):
        refused(site, 3, "InputError", "cannot be read (Permission denied)", bare=bare, bound=True)


def test_a_sheet_with_a_missing_file(site: Site) -> None:
    sheet = site.folder / "list.csv"
    sheet.write_text(f"path\n{site.recordings.name}/one.wav\nnot there.wav\n")
    refused(site, 3, "1 of 2 files are missing: 'not there.wav' (line 3)", recordings=str(sheet))


@BARE
def test_results_that_cannot_be_written(site: Site, bare: bool) -> None:
    folder = site.folder / "closed"
    folder.mkdir(exist_ok=True)
    with closed(folder, 0o555):
        refused(site, 4, "ResultsError: no permission to write", bare=bare, bound=True, results=str(folder / "x"))


def test_a_file_where_the_results_should_be(site: Site) -> None:
    (site.folder / "file").write_text("mine")
    refused(site, 4, "ResultsError", "is not a folder", results=str(site.folder / "file"))
    assert (site.folder / "file").read_text() == "mine"


@BARE
@pytest.mark.parametrize(
    ("folder", "said"),
    [("/proc/x", "cannot be made (No such file or directory)"), ("e" * 300, "a name is too long")],
    ids=["proc", "long"],
)
@pytest.mark.parametrize("option", ["results", "cache"])
def test_folders_that_cannot_be_made(site: Site, bare: bool, option: str, folder: str, said: str) -> None:
    options = {"results": {"results": folder}, "cache": {"results": "cache", "cache": {"path": folder}}}
    refused(site, 4, "ResultsError: ", folder, said, bare=bare, **options[option])


@BARE
def test_a_cache_that_cannot_be_written(site: Site, bare: bool) -> None:
    folder = site.folder / "closed"
    folder.mkdir(exist_ok=True)
    said = f"{folder}/cache cannot be made (Permission denied); choose another folder with cache.path"
    with closed(folder, 0o555):
        refused(site, 4, "ResultsError: ", said, bare=bare, bound=True, cache={"path": str(folder / "cache")})


def test_a_home_that_cannot_be_written(site: Site) -> None:
    """Of a service, for example: Snakemake has its cache elsewhere then, and gets as far as with any other."""
    home, file = replace(site), site.folder / "file"
    file.write_text("mine")
    home.cache = site.folder / "home"
    home.cache.mkdir(exist_ok=True)
    with closed(home.cache, 0o555):
        refused(home, 4, "ResultsError: ", "is not a folder", bound=True, cache={"path": str(file)})


def test_results_on_a_read_only_file_system(site: Site, mounted: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(mounted)], check=True)
    refused(site, 4, "ResultsError: the file system is read-only", "--results", results=str(mounted / "x"))


@BARE
def test_a_missing_model(site: Site, bare: bool) -> None:
    refused(site, 5, "ModelError", "small.en", "snakescribe models fetch small.en", bare=bare, model="small.en")


@BARE
def test_a_gpu_that_is_not_there(site: Site, bare: bool) -> None:
    if shutil.which("nvidia-smi"):
        pytest.skip("there is a GPU here; what happens without one cannot be seen")
    refused(site, 6, "DeviceError: device cuda was asked for, but ", "use device: cpu", bare=bare, device="cuda")


@pytest.mark.parametrize(
    ("profile", "options"),
    [("gpu", {"device": "auto"}), ("apptainer", {"device": "cuda", "container": {"image": "/image.sif"}})],
)
def test_a_profile_means_cuda_or_an_error(site: Site, profile: str, options: dict[str, object]) -> None:
    if shutil.which("nvidia-smi"):
        pytest.skip("there is a GPU here; what happens without one cannot be seen")
    folder = Path(__file__).parents[2] / "profiles" / profile
    ended = finished(site.start("--workflow-profile", str(folder), bare=True, **options), 6)
    assert "DeviceError: device cuda was asked for, but " in ended.said


def test_only_snakemake_is_killed_by_a_missing_option_value(site: Site) -> None:
    ended = finished(site.start("--config", "model"), 2)
    assert "--config model: expected OPTION=VALUE" in ended.said


def test_forget_wants_a_recording_that_is_known(site: Site) -> None:
    nowhere = replace(site, folder=site.folder / "other")
    assert "ResultsError: no run in" in nowhere.tell("forget", "x", code=4).said


@pytest.fixture(scope="module")
def junk(tmp_path_factory: pytest.TempPathFactory, models_root: Path) -> Site:
    """A recording that ffmpeg cannot read: no model is needed to find that out."""
    site = Site(tmp_path_factory.mktemp("junk"), models_root, {"model": "tiny.en"})
    (site.recordings / "junk.wav").write_bytes(JUNK)
    return site


def test_a_failed_recording_counts_or_is_only_reported(junk: Site) -> None:
    said = junk.run(code=1).said
    assert "UnreadableRecording" in said
    assert "FailedRecordings: 1 recording failed; the rest is done" in said
    assert "1 failed" in junk.run(on_error="report").said


def test_a_failure_of_ours_is_not_taken_for_failed_recordings(junk: Site) -> None:
    """Nothing that a user does: the step's file cannot be made."""
    junk.run(on_error="report")
    asked = ("check", "--config", str(junk.results.config), "--output", "/proc/checked")
    assert "FileNotFoundError" in junk.tell(*asked, code=10).said


@BARE
def test_another_run_in_the_same_results(junk: Site, bare: bool) -> None:
    results = Results(junk.folder / "busy")
    lock = hold_lock(results.lock, "taken")
    try:
        refused(junk, 75, f"(process {os.getpid()} of ", bare=bare, results=str(results.root))
    finally:
        os.close(lock)


@BARE
def test_no_ffmpeg(junk: Site, bare: bool) -> None:
    with environ(IMAGEIO_FFMPEG_EXE="/no/such/ffmpeg"):
        refused(junk, 8, "InstallationError: /no/such/ffmpeg cannot be run", bare=bare, results="no ffmpeg")


def test_a_server_without_ffmpeg(junk: Site) -> None:
    with environ(IMAGEIO_FFMPEG_EXE="/no/such/ffmpeg"):
        assert "InstallationError: /no/such/ffmpeg cannot be run" in junk.tell("serve", "--port", "0", code=8).said


@BARE
def test_no_apptainer(junk: Site, bare: bool) -> None:
    """Beside an image there need not be ffmpeg, but what runs the image."""
    profile = str(Path(__file__).parents[2] / "profiles/apptainer")
    asked = ["--workflow-profile" if bare else "--profile", profile]
    options = {"results": "no apptainer", "container": {"image": str(junk.folder / "image.sif")}}
    names = ("apptainer", "singularity")
    kept = [
        one for one in junk.env["PATH"].split(os.pathsep) if not any(shutil.which(name, path=one) for name in names)
    ]
    with environ(PATH=os.pathsep.join(kept)):
        said = finished(junk.start(*asked, bare=bare, **options), 8).said
    assert said.count("snakescribe: InstallationError: apptainer is not installed here, and --sdm apptainer") == 1
    assert "Traceback" not in said


def test_no_ffmpeg_in_a_step(junk: Site) -> None:
    """As on a node of a cluster, or in an image."""
    site = replace(junk, results_folder=junk.folder / "a node")
    asked = {"recordings": str(site.recordings), "results": str(site.results.root), "models": str(site.models)}
    site.results.state.mkdir(parents=True)
    site.results.config.write_text(load_config(asked, site.folder, site.env).model_dump_json())
    step = ("--config", str(site.results.config))
    site.tell("inventory", *step)
    broken = script(site, "ffmpeg without its libraries", "exit 127")
    with environ(IMAGEIO_FFMPEG_EXE=str(broken)):
        said = site.tell("normalise", *step, "--batch", "b000001", code=8).said
    assert f"InstallationError: {broken} does not work (exit code 127); install another ffmpeg" in said


def test_an_ffmpeg_that_is_killed_from_outside(junk: Site) -> None:
    """Once, and the step is tried again; every time, and the run says so."""
    real, was_here = ffmpeg_path(), junk.folder / "was here"
    alive = f'case "$*" in *-version*) exec "{real}" "$@";; esac'
    once = f'{alive}; [ -e "{was_here}" ] && exec "{real}" "$@"; touch "{was_here}"; kill -KILL $$'
    site = replace(junk, results_folder=junk.folder / "killed")
    with environ(IMAGEIO_FFMPEG_EXE=str(script(site, "killed once", once))):
        said = site.run(code=1).said
    assert "CrashError: ffmpeg was ended from outside" in site.log()
    assert "CrashError" not in said
    assert site.by_path()[b"junk.wav"]["error_class"] == "UnreadableRecording"
    shutil.rmtree(site.results.root)
    with environ(IMAGEIO_FFMPEG_EXE=str(script(site, "killed always", f"{alive}; kill -KILL $$"))):
        said = site.run(code=10).said
    assert said.count("CrashError: ffmpeg was ended from outside (no memory left, or a stop of the job)") == 1
    assert not site.results.batch("b000001").exists()


def test_a_step_that_is_killed_every_time(junk: Site) -> None:
    """It can leave no word behind; Snakemake's 1 would say that only recordings failed."""
    site = replace(junk, results_folder=junk.folder / "shot")
    alive = f'case "$*" in *-version*) exec "{ffmpeg_path()}" "$@";; esac'
    with environ(IMAGEIO_FFMPEG_EXE=str(script(site, "shoots", f"{alive}; kill -KILL $PPID; sleep 5"))):
        said = site.run(code=10).said
    assert "CrashError: a step crashed or was killed (no memory left?)" in said


def test_a_bundle_that_is_not_there(site: Site) -> None:
    assert "ImageError: there is no folder" in site.tell("bundle", "verify", str(site.folder / "nowhere"), code=9).said


def script(site: Site, name: str, text: str) -> Path:
    """An executable of a few words of shell."""
    path = site.folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@contextmanager
def environ(**more: str) -> Iterator[None]:
    """Other values of the environment for a while."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in more.items():
            patch.setenv(name, value)
        yield


@contextmanager
def closed(folder: Path, mode: int) -> Iterator[None]:
    """Change the permissions of a folder for a while."""
    before = folder.stat().st_mode
    folder.chmod(mode)
    try:
        yield
    finally:
        folder.chmod(before)


def test_an_image_of_another_version_is_refused_by_its_first_step(site: Site) -> None:
    env = site.env | {"SNAKESCRIBE_CALLER": "0.0.9"}
    command = [str(Path(sys.executable).with_name("snakescribe")), "inventory", "--config", "config.json"]
    done = subprocess.run(command, cwd=site.folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 8
    assert "the Snakefile 0.0.9; build or load the image of 0.0.9" in done.stderr
