"""``docs/tables.md``, made from the schema."""

from __future__ import annotations

import pyarrow as pa

from snakescribe.schema import RECORDINGS, SCHEMA_VERSION, SEGMENTS, SPEAKERS, WORDS

_HEAD = f"""\
<!-- Generated from scripts/snakescribe/schema.py by `snakescribe config write`; edit that. -->

# The tables

`results/tables/` holds `recordings`, `segments` and `words`, and `speakers` with the option of that name, each as
Parquet and as TSV. They have one row per recording, segment, word and speaker, in the order in which the recordings
were first seen; `recording_id` joins them. `words` is empty unless `words: true`. Times within a recording are seconds
from its start.

This is schema version {SCHEMA_VERSION}: the column `schema_version`, and the key `snakescribe_schema_version`
of the Parquet metadata. It is raised when a column changes its meaning or goes away; a new column does not
raise it. The Parquet files carry the descriptions below as metadata of their columns.

## Reading them

With pandas (in `results/`):

```python
import pandas as pd

recordings = pd.read_parquet("tables/recordings.parquet")
segments = pd.read_parquet("tables/segments.parquet")
failed = recordings.loc[recordings.status == "failed", ["path", "error_class", "error_message"]]
unheard = recordings.loc[recordings.gap_seconds > 0, ["path", "gaps"]]
hours = recordings.groupby("language").duration.sum() / 3600
unsure = segments[segments.mean_logprob < -1].merge(recordings[["recording_id", "model"]], on="recording_id")
```

With duckdb, also more than fits into memory:

```sql
SELECT path, said.segment, said.start, said.text
FROM 'tables/segments.parquet' AS said JOIN 'tables/recordings.parquet' AS whole USING (recording_id, path)
WHERE whole.language = 'ko' AND said.text LIKE '%네%'
ORDER BY path, said.segment;
```

The TSV files hold the same, for a spreadsheet or a shell:

```python
import csv
import sys

import pandas as pd

recordings = pd.read_csv("tables/recordings.tsv", sep="\\t", keep_default_na=False, na_values=[""])

csv.field_size_limit(sys.maxsize)  # the default cuts off at 128 KiB; the text of a long recording is more
with open("tables/recordings.tsv", encoding="utf-8", newline="") as file:
    rows = list(csv.DictReader(file, delimiter="\\t"))
```

```sql
SELECT path, status
FROM read_csv('tables/recordings.tsv', delim = '\\t', header = true, quote = '"', escape = '"');
```

## How the TSV is written

UTF-8, one line per row and a header line, cells separated by a tab, lines ended by a newline. A cell that
holds a `"` is put into `"…"` with its `"` doubled. In text cells a backslash is written `\\\\`, a tab `\\t`,
a newline `\\n` and a carriage return `\\r`; nothing else is changed, and undoing these four gives the text of
the Parquet file:

```python
import re


def unescaped(cell: str) -> str:
    plain = {{"\\\\": "\\\\", "t": "\\t", "n": "\\n", "r": "\\r"}}
    return re.sub(r"\\\\([\\\\tnr])", lambda found: plain[found[1]], cell)
```

So a byte of a path that is not UTF-8 stands as `\\xff` in Parquet and as `\\\\xff` in TSV; where the exact
bytes matter, `path_bytes` in Parquet has them. Seconds have 3 decimals, other real numbers 4, times of day
are ISO 8601 in UTC, lists are joined with `, `, `gaps` are written `12.300-15.100;20.000-23.500` (without their
channels), and null is an empty cell. (pandas takes words like `NA` and `null` for missing unless told otherwise,
as above.)
"""

_SHEET = """
The other columns of a sample sheet follow before `schema_version`, as text and under their own names.
"""

_SPEAKERS = """
A row per speaker of a recording, only with the option `speakers`. `recording_id` and `speaker` join it with segments
and words, which have the labels and no names.
"""

_BATCHES = """
## Batch files

`results/batches/ID.parquet` is what all this is made from: the columns of `recordings` up to `attempt`, then
`segments`, a list of the segments above without their keys, each with a list `words`, and `envelope`, the loudness of
each 0.256 s as a base64 digit (0 to 63 dB above -63 dB of full scale), which the report draws. A recording that was
transcribed again is in more than one batch; the tables show its newest attempt.

With `speakers` the tables are made from `results/speakers/ID.parquet`: the same with `speakers`, a list of the
speakers above, `turns` (start, end, channel, speaker: every stretch in which somebody speaks, of a tenth of a second
on), and `voice_vectors`, 192 signed bytes for each speaker by which voices are compared.

## Transcript files

`results/transcripts/` mirrors the recordings folder and keeps full names: `a/x.mp3` gives `a/x.mp3.srt`.
`outputs` says which formats there are.

- `.json`: the recording's row of the batch file without `path_bytes`, `envelope` and `voice_vectors`,
  segments (and words, if any), `speakers` and `turns` nested; also of a failed recording, with its error. The other
  formats are only there for recordings that did not fail.
- `.txt`: a line per segment, in front `[agent] ` with `audio.channels: split`, `[SPEAKER_00] ` or a name with
  `speakers`.
- `.srt`, `.vtt`, `.ass`: cues of at most two lines and seven seconds, one after the other, cut where phrases end and
  held until they can be read ([by language](decisions/transcript-files.md#subtitles-are-laid-out-by-language)).
  Where two channels speak at once, both are in one cue, or the earlier ends when the later begins. SRT has no
  escapes: text that players would take for markup has a zero-width space in it. ASS has none for braces: they are
  full-width there. Lines from right to left stand between U+202B and U+202C.
- With `subtitles.highlight` and `words` each word of `.vtt` (in `<c>`, with its time) and `.ass` (`\\k`) lights up when
  it is said; a segment in which the glossary has replaced something does not.
- With `subtitles: {name: beside}` subtitles of `a/x.mkv` are called `a/x.srt`, unless there is an `a/x.mp3` or `a/x`
  as well: then all of them keep the full name.
- Other tools' formats hold one line per text, without control characters. A speaker is one of `speakers`, else the
  channel with `audio.channels: split`.
- `.TextGrid`, `.eaf`, `.cha`, `.rttm`: whole milliseconds. Within a tier a segment or word ends where the next
  one begins, and one without length gets a millisecond. A text past the end of the recording makes the file longer.
- `.ctm`, `.stm`, `.rttm`: blanks in names of channels become `_`, and a recording whose path has blanks goes by its
  `recording_id`. Without `words: true` the words in `.ctm` share their segment's time by length, and have no
  probability.
- `.cha`: the sentences of a segment share its time by length. Of punctuation only commas and the ends of
  sentences stay; `0`, `www`, `xxx` and `yyy`, which would mean something else, begin with a letter of full width.
  There is no `@Media`: it must be the name of transcript and recording alike; add it when you have named both.
- `.docx`, `.timed.txt`: segments of one speaker are joined until a pause of two seconds, for half a minute at most.

Some names are changed, always so that no two recordings share a file: `~ID` follows the name of a recording
that has its own `id` in the sheet, and a name that is too long for a suffix, after a cut; the start of an
absolute path becomes `~root`, `..` becomes `~up`; a recording called like a new text (`x.mp3.new`) or like the start of
a suffix (`x.mp3.labels`), or a folder called like a transcript (`x.mp3.srt/`), gets a number.

### Corrected by hand

A transcript file that you have changed is yours: no run overwrites or deletes it, whatever happens to model,
options, `outputs` or the recording. The text that a later export would have written there goes beside it, as
`a/x.mp3.new.srt`, and `summary.txt` says how many there are. When you have dealt with one, delete it or put it in
the place of yours. Only the content counts, not the time of the file; other line ends are other content.

- To give up one correction, delete the file and run `snakescribe export --missing`.
- To give up all of them, run `snakescribe export --force`. What is in a format that `outputs` no longer names
  stays all the same.
- `snakescribe forget` removes a recording's corrected transcripts too: it is asked to forget what was said.

Batch files always hold the text as it was transcribed; the tables do, too, until it is taken back
(`snakescribe corrections`).

`results/exported/ID.json` lists the files of a batch (`files`) and those that were corrected (`corrected`);
`ID.sha256` beside it holds the SHA-256 of every text that was ever written in that batch. Without it (results of
an older version) a file that differs from what would be written now counts as corrected.
"""


def tables_document() -> str:
    """The Markdown text."""
    tables = [
        _HEAD,
        _table("recordings", RECORDINGS),
        _SHEET,
        _table("segments", SEGMENTS),
        _table("words", WORDS),
        _table("speakers", SPEAKERS),
        _SPEAKERS,
        _BATCHES,
    ]
    return "".join(tables)


def _table(name: str, schema: pa.Schema) -> str:
    rows = (f"| `{f.name}` | {_kind(f.type)} | {_meaning(f)} |\n" for f in schema)
    return f"\n## {name}\n\n| column | type | meaning |\n|---|---|---|\n" + "".join(rows)


def _kind(kind: pa.DataType) -> str:
    if pa.types.is_list(kind):
        return f"list of {_kind(kind.value_type)}"
    if pa.types.is_struct(kind):
        return "(" + ", ".join(f"`{field.name}` {_kind(field.type)}" for field in kind) + ")"
    names = {"string": "text", "double": "real", "int64": "integer", "int32": "integer", "bool": "true/false"}
    return names.get(str(kind), "time" if pa.types.is_timestamp(kind) else "bytes")


def _meaning(field: pa.Field) -> str:
    return str(field.metadata[b"description"].decode()).replace("|", "\\|")
