"""``cuda`` means CUDA or an error: what the main process has resolved, no step reads from its own environment."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from runs import ROOT, Site, cut, finished

from snakescribe.config import load_config

PLUGINS = Path(__file__).parent / "plugins"
pytestmark = pytest.mark.skipif(
    shutil.which("nvidia-smi") is not None, reason="there is a GPU here; what happens without one cannot be seen"
)


@dataclass
class Elsewhere(Site):
    """A site whose commands see an environment of its own, as an image or a node of a cluster has."""

    device: str = "auto"

    @property
    def env(self) -> dict[str, str]:
        """With ``STT_DEVICE``."""
        return super().env | {"STT_DEVICE": self.device, "PYTHONPATH": with_plugins()}


def with_plugins() -> str:
    return os.pathsep.join([str(PLUGINS), os.environ.get("PYTHONPATH", "")])


@pytest.fixture
def site(tmp_path: Path, models_root: Path, speech: dict[str, Path]) -> Elsewhere:
    """One recording, nothing run yet."""
    site = Elsewhere(tmp_path, models_root, {"model": "tiny.en"})
    cut(speech["beckett"], site.recordings / "one.wav", 0, 3)
    return site


def test_a_step_keeps_to_what_was_resolved(site: Elsewhere) -> None:
    asked = {"recordings": str(site.recordings), "results": str(site.results.root), "model": "tiny.en"}
    config = load_config(
        asked | {"models": str(site.models), "device": "cuda"}, site.folder, site.env | {"STT_DEVICE": ""}
    )
    site.results.state.mkdir(parents=True)
    site.results.config.write_text(config.model_dump_json())
    step = ("--config", str(site.results.config))
    site.tell("inventory", *step)
    site.tell("normalise", *step, "--batch", "b000001")
    said = site.tell("transcribe", *step, "--batch", "b000001", code=6).said
    assert "snakescribe: DeviceError: " in said and "no NVIDIA GPU" in said
    assert not site.results.batch("b000001").exists()


def test_a_node_of_a_cluster_without_a_gpu(site: Elsewhere) -> None:
    """The main process cannot know: the step ends, and the run with the step's code."""
    site.device = ""
    profile = site.folder / "cluster"
    profile.mkdir()
    common = (ROOT / "profiles/default/profile.yaml").read_text(encoding="utf-8")
    own = "executor: nextdoor\njobs: 2\nseconds-between-status-checks: 1\n"
    (profile / "profile.yaml").write_text(common + own, encoding="utf-8")
    ended = finished(site.start("--profile", str(profile), device="cuda"), 6)
    assert "snakescribe: DeviceError: " in ended.said and "no NVIDIA GPU" in ended.said
    assert not site.results.batch("b000001").exists()
    assert "Error in rule transcribe" in site.log()


def test_the_environment_of_the_main_process_counts(site: Elsewhere) -> None:
    """As with ``docker run -e STT_DEVICE=cpu``: the whole workflow in a container."""
    site.device = "cpu"
    site.run(device="cuda")
    assert json.loads(site.results.config.read_bytes())["device"] == "cpu"
    assert [row["device"] for row in site.rows()] == ["cpu"]


def test_the_gpu_profile_is_no_less_strict_where_auto_is_in_the_environment(site: Elsewhere) -> None:
    ended = finished(site.start("--profile", str(ROOT / "profiles/gpu"), device="auto"), 6)
    assert "DeviceError: device cuda was asked for, but " in ended.said
