"""Sample sheets: what is understood, and what is refused with the line that is wrong."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import pytest

from snakescribe.config import Config, load_config
from snakescribe.errors import InputError
from snakescribe.inventory.walk import Walk, walk
from snakescribe.recording import Overrides


def configured(tmp_path: Path, sheet: str, **options: object) -> Config:
    return load_config({"recordings": sheet, "results": "out", **options}, tmp_path, {"HOME": str(tmp_path)})


def walked(tmp_path: Path, text: str | bytes, files: tuple[str, ...] = ("a.wav",), name: str = "s.csv") -> Walk:
    for file in files:
        path = tmp_path / file
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return walk(configured(tmp_path, name))


def test_all_columns(tmp_path: Path) -> None:
    text = (
        "\ufeffpath,id,language,prompt,channels,reference,caller,Date\n"
        'sub/b.data,call-2,ko,"Kim, Lee",split,안녕,+82 10,"2024\n05"\n'
        "\n"
        "a.wav,,,,,,,\n"
    )
    seen = walked(tmp_path, text, ("a.wav", "sub/b.data"))
    first, second = seen.entries
    assert seen.columns == ("caller", "Date")
    assert (first.path, second.path) == (b"a.wav", b"sub/b.data")
    assert first.row and first.row.id is None and first.row.extras == {"caller": "", "Date": ""}
    row = second.row
    assert row and (row.id, row.overrides, row.reference) == (
        "call-2",
        Overrides("ko", "Kim, Lee", "split"),
        "안녕",
    )
    assert row.extras == {"caller": "+82 10", "Date": "2024\n05"}


def test_tabs_and_short_rows(tmp_path: Path) -> None:
    seen = walked(tmp_path, "who\tpath\tlanguage\nme, myself\ta.wav\n", name="s.TSV")
    row = seen.entries[0].row
    assert row and row.extras == {"who": "me, myself"} and row.overrides == Overrides()


def test_absolute_paths_and_one_file_twice(tmp_path: Path) -> None:
    absolute = tmp_path / "a.wav"
    seen = walked(tmp_path, f"path,id,channels\n{absolute},l,left\n{absolute},r,right\n")
    assert [(entry.path, entry.row and entry.row.id) for entry in seen.entries] == [
        (os.fsencode(absolute), "l"),
        (os.fsencode(absolute), "r"),
    ]


@pytest.mark.parametrize(
    ("cell", "name"),
    [
        (r"not \xff utf-8.wav", b"not \xff utf-8.wav"),
        (r"back\\slash.wav", rb"back\slash.wav"),
        (r"literal \xff.wav", rb"literal \xff.wav"),
        (r"new\nline.wav", b"new\nline.wav"),
        ("한글.wav", unicodedata.normalize("NFD", "한글.wav").encode()),
        (unicodedata.normalize("NFD", "한글.wav"), "한글.wav".encode()),
    ],
)
def test_paths_as_our_tables_write_them(tmp_path: Path, cell: str, name: bytes) -> None:
    seen = walked(tmp_path, f"path\n{cell}\n", (os.fsdecode(name),))
    assert [entry.path for entry in seen.entries] == [name]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,id\na.wav,1\n", "no column 'path' (the first line holds 'file', 'id')"),
        ("", "no column 'path' (the first line holds nothing)"),
        ("path\n", "names no recordings"),
        ("path,language\na.wav,korean\n", "line 2: language 'korean' is no code of Whisper; use auto, mixed or"),
        ("path,channels\na.wav,both\n", "line 2: channels 'both': use one of mix, split, left, right"),
        ("path,id\na.wav,x\nb.wav,x\n", "id 'x' on lines 2 and 3"),
        ("path,id\na.wav,../x\n", "id '../x': use letters"),
        ("path\na.wav\na.wav\n", "lines 2 and 3 are the same recording"),
        ("path,status\na.wav,new\n", "column 'status' is one of our tables'"),
        ("path,Text\na.wav,new\n", "column 'Text' is one of our tables'"),
        ("path,who,Who\na.wav,1,2\n", "two columns 'who'"),
        ("path,who\na.wav,Kim, Lee\n", "line 2: a cell without a column name"),
        ("path,who\n,Kim\n", "line 2: no path"),
        ('path\n"a".wav\n', "check the quotes"),
        ("path\n한글.wav\n".encode("cp949"), "not UTF-8"),
        (
            "path\nn1.wav\na.wav\nn2.wav\nn3.wav\nn4.wav\n",
            "4 of 5 files are missing: 'n1.wav' (line 2), 'n2.wav' (line 4), 'n3.wav' (line 5), …;",
        ),
        ("path\na\0.wav\n", "1 of 1 files are missing"),
        ("path\n.\n", "1 of 1 files are missing"),
    ],
)
def test_refused(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(InputError) as caught:
        walked(tmp_path, text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_sheet(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        walk(configured(tmp_path, "none.csv"))
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(InputError, match="not a regular file"):  # and does not wait for who writes into it
        walk(configured(tmp_path, "pipe.csv"))


def test_a_language_that_the_model_does_not_know(tmp_path: Path) -> None:
    walked(tmp_path, "path,language\na.wav,ko\n")
    with pytest.raises(InputError, match=r"line 2: tiny\.en knows only English, not 'ko'"):
        walk(configured(tmp_path, "s.csv", model="tiny.en"))


@pytest.mark.parametrize("language", ["auto", "mixed"])
def test_a_language_to_be_found_out_suits_every_model(tmp_path: Path, language: str) -> None:
    walked(tmp_path, f"path,language\na.wav,{language}\n")
    for model in ("base", "tiny.en"):
        (entry,) = walk(configured(tmp_path, "s.csv", model=model)).entries
        assert entry.row and entry.row.overrides.language == language
