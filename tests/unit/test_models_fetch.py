"""Downloads are taken by their checksum or not at all: real pip on wheels made here, real URLs."""

import hashlib
import zipfile
from pathlib import Path

import pytest

from snakescribe.errors import ModelError
from snakescribe.models import Store
from snakescribe.models.catalog import Member, Wheel, catalog
from snakescribe.models.fetch import download, fetch, fetch_samples, fetch_silero, take

CONTENT = b"one half, " * 1000


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Wheel:
    """A wheel with one file in it, which pip finds without a network."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    path = folder / "carrier-1.0-py3-none-manylinux_2_99_s390x.whl"  # never installable here, and need not be
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("carrier/half", CONTENT)
        archive.writestr("carrier-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: carrier\nVersion: 1.0\n")
        archive.writestr("carrier-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr("carrier-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    half = Member(path="carrier/half", file="whole", sha256=hashlib.sha256(CONTENT).hexdigest(), size=len(CONTENT))
    return Wheel(
        requirement="carrier==1.0",
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        size=path.stat().st_size,
        platform="manylinux_2_99_s390x",
        members=(half, half),
    )


def test_parts_are_joined(wheel: Wheel, tmp_path: Path) -> None:
    with Store(tmp_path / "store").workplace() as work:
        take([wheel], tmp_path / "taken", work)
    assert (tmp_path / "taken/whole").read_bytes() == CONTENT * 2
    assert not list((tmp_path / "store").iterdir())


def test_a_wheel_with_a_flipped_byte_is_refused(wheel: Wheel, tmp_path: Path) -> None:
    (path,) = (tmp_path / "wheels").iterdir()
    data = bytearray(path.read_bytes())
    data[60] ^= 1
    path.write_bytes(data)
    found = hashlib.sha256(data).hexdigest()
    with (
        pytest.raises(ModelError, match=f"carrier==1.0: .*expected sha256 {wheel.sha256}, found {found}"),
        Store(tmp_path / "store").workplace() as work,
    ):
        take([wheel], work / "taken", work)
    assert not list((tmp_path / "store").iterdir())


def test_a_wrong_file_in_a_wheel_is_refused(wheel: Wheel, tmp_path: Path) -> None:
    half = wheel.members[0].model_copy(update={"sha256": "0" * 64})
    told = f"carrier/half in carrier==1.0: .*expected sha256 {half.sha256}, found {wheel.members[0].sha256}"
    with pytest.raises(ModelError, match=told), Store(tmp_path / "store").workplace() as work:
        take([wheel.model_copy(update={"members": (half,)})], work / "taken", work)
    assert not list((tmp_path / "store").iterdir())


def test_a_package_that_is_not_to_be_had(wheel: Wheel, tmp_path: Path) -> None:
    with (
        pytest.raises(ModelError, match=r"could not download absent==1\.0: No matching distribution"),
        Store(tmp_path / "store").workplace() as work,
    ):
        take([wheel.model_copy(update={"requirement": "absent==1.0"})], work / "taken", work)


def test_download_by_url(tmp_path: Path) -> None:
    source = tmp_path / "some.pt"
    source.write_bytes(CONTENT)
    right = hashlib.sha256(CONTENT).hexdigest()
    download(source.as_uri(), right, tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == CONTENT
    source.write_bytes(CONTENT[:-1] + b"!")
    found = hashlib.sha256(source.read_bytes()).hexdigest()
    with pytest.raises(ModelError, match=f"some.pt: .*expected sha256 {right}, found {found}"):
        download(source.as_uri(), right, tmp_path / "target")
    with pytest.raises(ModelError, match=r"cannot download .*snakescribe models import absent\.pt"):
        download((tmp_path / "absent.pt").as_uri(), right, tmp_path / "target")


def test_what_is_here_is_not_fetched_again(models_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "/nowhere")
    store = Store(models_root)
    before = (models_root / "base/model.json").stat()
    assert fetch(store, "base") is None
    assert not fetch_silero(store)
    assert not fetch_samples(store, models_root / "samples")
    assert (models_root / "base/model.json").stat() == before


def test_every_pinned_file_has_its_sums() -> None:
    wheels = [catalog().silero, *catalog().samples]
    wheels += [wheel for model in catalog().models.values() for wheel in model.wheels]
    assert len(wheels) == 6
    for wheel in wheels:
        assert "==" in wheel.requirement and len(wheel.sha256) == 64 and wheel.members
        assert all(len(member.sha256) == 64 and member.size for member in wheel.members)
