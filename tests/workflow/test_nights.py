"""What a run leaves for the morning, and whom it tells."""

from __future__ import annotations

import json
import os
import shutil
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from snakescribe.ending import Ending
from tests.disks import failing_drive
from tests.pages import PAGES, commands, run, said
from tests.workflow.runs import Site, cut


@pytest.fixture
def site(speech: dict[str, Path], models_root: Path, tmp_path: Path) -> Site:
    """A good recording and a broken one."""
    site = Site(tmp_path, models_root, {"model": "tiny.en"})
    cut(speech["beckett"], site.recordings / "통화 1.wav", 0.0, 5.0)
    (site.recordings / "깨진 'file'.mp3").write_bytes(b"no recording " * 50)
    return site


def test_a_night_is_written_down_and_handed_on(site: Site) -> None:
    """To a command, with what failed; the next night, to an address, with nothing new; the logs of both stay."""
    told, line = site.folder / "told.json", site.folder / "line.txt"
    ended = site.run("--on-end", f"cat > {told}; echo $SNAKESCRIBE_LINE > {line}; exit 3", code=1)
    ending = Ending.model_validate_json(site.results.ending.read_bytes())
    assert Ending.model_validate_json(told.read_bytes()) == ending
    assert (ending.exit_code, ending.failure, ending.recordings) == (1, None, {"ok": 1, "failed": 1})
    assert (ending.transcribed, ending.failures) == (1, {"UnreadableRecording": 1})
    assert 4.9 < ending.transcribed_seconds == ending.audio_seconds < 5.1
    assert ending.failed[0].path == "깨진 'file'.mp3"
    assert ending.line() == line.read_text().rstrip("\n") and ending.line() in ended.said
    assert ending.line().startswith("exit code 1 after ") and "1 failed in all (1 UnreadableRecording)" in ending.line()
    assert "the command of --on-end ended with 3" in ended.said

    got: list[bytes] = []

    class Morning(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(204)
            self.end_headers()

    server = HTTPServer(("127.0.0.1", 0), Morning)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        site.run("--on-end", f"http://127.0.0.1:{server.server_port}/", on_error="report")
    finally:
        server.shutdown()
        thread.join()
    assert json.loads(got[0])["transcribed"] == 0 and json.loads(got[0])["exit_code"] == 0
    first = site.results.log("snakemake").with_name("snakemake.1.log")
    assert "Error in rule check" in first.read_text() and "Error in rule check" not in site.log()


def test_the_lines_of_the_page(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those for cron and for a shell, with another program in the place of those that tell."""
    for name, value in site.env.items():
        monkeypatch.setenv(name, value)
    places = {"/srv/calls": f"'{site.recordings}'", "/srv/texts": "."}
    line = next(line for line in PAGES["nights.md"].read_text().splitlines() if line.startswith("0 22 * * * "))
    cron = {"/opt/snakescribe/.venv/bin/": "", "logger --tag snakescribe": "printf %s > line.txt"}
    assert "exit code 1 after" in run(line.removeprefix("0 22 * * * "), site.folder, **places, **cron), (
        "for cron's mail"
    )
    shell = said("nights.md", ".venv/bin/snakescribe run --recordings /srv/calls")
    mail = {'mail -s "$': 'printf %s > shell.txt "$', " me@example.org": ""}
    run(shell, site.folder, 1, **places, **mail)
    for name in ("line.txt", "shell.txt"):
        assert (site.folder / name).read_text().startswith("exit code 1 after ")
    assert "exit code 1 after" in (site.folder / "night.log").read_text()
    for path in site.folder.rglob("*"):
        os.utime(path, (path.stat().st_mtime - 100 * 86_400,) * 2)
    for prune in (one for one in commands("nights.md") if one.startswith(".venv/bin/snakescribe prune")):
        assert "not used for 90 days" in run(prune, site.folder, **{"/srv/texts": "."})
    assert not list(site.cache.rglob("*.json")) and not list((site.folder / "logs/transcribe").iterdir())
    assert "0 recordings transcribed" in run(shell, site.folder, 1, **places, **mail), "what was finished still is"


def test_a_drive_that_fails_is_tried_again(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of it could be read: no text of it is kept anywhere, and the next night reads it whole."""
    broken = "깨진 'file'.mp3".encode()
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(failing_drive(tmp_path)))
    site.run(code=1, attempts=2)
    assert site.by_path()["통화 1.wav".encode()]["error_class"] == "DriveFailure"
    assert "the next run tries 1 of the failed again" in site.results.summary.read_text()
    assert not list(site.cache.rglob("*.json")) and site.by_path()[broken]["error_class"] != "DriveFailure"
    monkeypatch.delenv("IMAGEIO_FFMPEG_EXE")
    ended = site.run(code=1, attempts=2)
    assert "1 ok, 0 empty, 1 failed" in ended.said
    row = site.by_path()["통화 1.wav".encode()]
    assert (row["attempt"], site.by_path()[broken]["attempt"]) == (2, 1)
    assert row["duration"] == pytest.approx(5.0) and "ever tried" in row["text"].lower()


def test_a_step_that_fails_is_named(site: Site) -> None:
    """And a table of an earlier run does not hide it."""
    site.run(on_error="report")
    shutil.rmtree(site.recordings)
    site.recordings.mkdir()
    cut(site.models / "samples/two_cities.wav", site.recordings / "2.wav", 0.0, 3.0)
    ended = site.run("--on-end", "http://127.0.0.1:9/", code=6, device="cuda")
    ending = Ending.model_validate_json(site.results.ending.read_bytes())
    assert ending.exit_code == 6 and ending.transcribed == 0
    assert ending.failure and ending.failure.startswith("DeviceError: device cuda was asked for")
    assert "--on-end did not work" in ended.said
