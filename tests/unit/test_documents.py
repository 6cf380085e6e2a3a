"""The documents that are written by hand: links lead somewhere, and nothing is left out of an index."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from snakescribe.engine.engines import ENGINES
from snakescribe.errors import EXIT_CODES

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    path for path in ROOT.rglob("*.md") if not any(part.startswith(".") for part in path.relative_to(ROOT).parent.parts)
)
LINK = re.compile(r"\]\(([^)\s]+)\)|\bsrc=\"([^\"]+)\"")


def headings(path: Path) -> list[str]:
    """The headings of a page, outside of its code."""
    text = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"^#+ (.+)$", text, re.MULTILINE)


def anchor(heading: str) -> str:
    """What a forge makes of a heading: "Our `file`, read" is `our-file-read`."""
    return re.sub(r"[^\w\- ]", "", re.sub(r"\[(.*?)\]\(.*?\)", r"\1", heading).lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    broken = []
    for link in (first or second for first, second in LINK.findall(page.read_text(encoding="utf-8"))):
        name, _, section = link.partition("#")
        if re.match(r"\w+:", link):
            continue
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or (section and section not in map(anchor, headings(target))):
            broken.append(link)
    assert broken == []


def test_sources_name_documents_that_exist() -> None:
    files = [path for room in ("scripts", "workflow", "benchmarks") for path in (ROOT / room).rglob("*.py")]
    files += [
        *(ROOT / "workflow").rglob("*.smk"),
        *(ROOT / "profiles").rglob("*.yaml"),
        ROOT / "containers/Containerfile",
    ]
    named = {name for file in files for name in re.findall(r"\bdocs/[\w/.-]+\.md\b", file.read_text(encoding="utf-8"))}
    assert [name for name in sorted(named) if not (ROOT / name).is_file()] == []
    assert len(named) > 5


def test_the_index_of_decisions_holds_every_rule() -> None:
    folder = ROOT / "docs/decisions"
    rules = {rule for page in folder.glob("[!R]*.md") for rule in headings(page)[1:]}
    index = (folder / "README.md").read_text(encoding="utf-8")
    assert rules == set(re.findall(r"^- \[(.+)\]\(", index, re.MULTILINE))
    assert len(rules) > 40


def test_the_readme_is_short_and_has_every_exit_code() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 120
    rows = re.findall(r"^\| (\d+) \| (.+) \|$", text, re.MULTILINE)
    assert {int(code): meaning for code, meaning in rows} == {
        code: meaning.replace("``", "`") for code, meaning in EXIT_CODES.items()
    }


def test_contributing_names_every_room() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    package = ROOT / "scripts/snakescribe"
    rooms = {path.parent.name for path in package.glob("*/__init__.py")}
    assert set(re.findall(r"^\| `(\w+)/` \| \w.+", text, re.MULTILINE)) >= rooms


def test_recipes_name_files_that_exist() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    package = ROOT / "scripts/snakescribe"
    places = [ROOT, package, package / "server", ROOT / "tests/unit", ROOT / "tests/server"]
    named = re.findall(r"`([a-z_./]+\.(?:py|js|json|md|yaml))`", text)
    assert [name for name in named if not any((place / name).is_file() for place in places)] == []
    assert len(named) > 30


def test_the_table_of_engines_is_the_table_of_engines() -> None:
    text = (ROOT / "docs/engines.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \|([^|]*)\|([^|]*)\|", text, re.MULTILINE)
    assert {name: tuple(tuple(re.findall(r"`(\w+)`", cell)) for cell in cells) for name, *cells in rows} == {
        name: tuple(engine.compute_types.get(device, ()) for device in ("cpu", "cuda"))
        for name, engine in ENGINES.items()
    }


def test_every_profile_is_explained() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", (ROOT / "profiles/README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(rows) == {path.name for path in (ROOT / "profiles").iterdir() if path.is_dir()}


def test_versions_agree() -> None:
    version = re.findall(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    assert [yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))["version"]] == version
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.findall(r"^## \[(\d.+?)\]", changes, re.MULTILINE)[:1] == version
