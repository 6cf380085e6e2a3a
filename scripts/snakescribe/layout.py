"""Where everything lies in a results folder: the only place that knows these names."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from snakescribe.files import HALF_WRITTEN


@dataclass(frozen=True)
class Results:
    """Paths inside one results folder; the rules of the workflow name their files by it too."""

    root: Path

    @property
    def folders(self) -> set[Path]:
        """Those that are ours alone: what somebody else puts into them is taken for a result, or removed."""
        files = [self.lock, self.backups, self.ledger, self.samples("b"), self.journal("b"), self.batch("b")]
        files += [self.exported("b"), self.transcripts, *self.tables, self.log("l"), self.benchmark("b")]
        return {self.root / path.relative_to(self.root).parts[0] for path in files}

    @property
    def state(self) -> Path:
        """Our own small files: the lock, the resolved configuration, failures of steps."""
        return self.root / ".snakescribe"

    @property
    def lock(self) -> Path:
        """Held by the one run that may write here."""
        return self.state / "lock"

    @property
    def config(self) -> Path:
        """The configuration of the run in progress, resolved, as JSON; every step reads it."""
        return self.state / "config.json"

    @property
    def failures(self) -> Path:
        """One JSON file per step that ended with an error (class, message, exit code)."""
        return self.state / "failures"

    @property
    def retry_counter(self) -> Path:
        """Text: how often a retry of the failed recordings was asked for, and of which classes the last time."""
        return self.state / "retries"

    @property
    def passing(self) -> Path:
        """JSON: attempts that failed by what may be the machine's fault, by recording (see inventory/again.py)."""
        return self.state / "passing.json"

    @property
    def checked(self) -> Path:
        """Empty; there when the last run counts as good."""
        return self.state / "checked"

    @property
    def cluster(self) -> Path:
        """Text: where Snakemake's own log of the last run on a cluster lies, which names its jobs."""
        return self.state / "cluster"

    @property
    def backups(self) -> Path:
        """Snakemake's copies of `update()` files while they are made anew; a killed run leaves them."""
        return self.root / ".snakemake/backups"

    @property
    def seen(self) -> Path:
        """Digest of the recordings that the inventory was last taken of, in hex."""
        return self.state / "seen"

    @property
    def elsewhere(self) -> Path:
        """Text: the folder of those copies as seen from here, when another workflow uses ours as a module."""
        return self.state / "elsewhere"

    @property
    def ledger(self) -> Path:
        """SQLite: every file ever seen and every attempt at it."""
        return self.root / "inventory/ledger.sqlite"

    @property
    def plan(self) -> Path:
        """The inventory's declared output: batches and totals."""
        return self.root / "inventory/plan.json"

    def manifest(self, batch: str) -> Path:
        """Which recordings a batch holds."""
        return self.root / f"inventory/batches/{batch}.json"

    def samples(self, batch: str) -> Path:
        """Normalised audio of a batch: 16 kHz s16le, all recordings and channels one after the other."""
        return self.root / f"work/{batch}.pcm"

    def samples_index(self, batch: str) -> Path:
        """Where each recording lies in :meth:`samples`, or why it does not."""
        return self.root / f"work/{batch}.json"

    def journal(self, batch: str) -> Path:
        """Windows of speech finished so far, one JSON line each."""
        return self.root / f"journal/{batch}.jsonl"

    def progress(self, batch: str) -> Path:
        """How far a batch is (JSON, see progress.py)."""
        return self.root / f"journal/{batch}.progress"

    def batch(self, batch: str) -> Path:
        """The truth about a batch: one row per recording with its segments nested."""
        return self.root / f"batches/{batch}.parquet"

    def voices(self, batch: str) -> Path:
        """What the voices of a batch are like, so that they can be told apart anew without the audio."""
        return self.root / f"voices/{batch}.parquet"

    def voices_journal(self, batch: str) -> Path:
        """The same, as far as it is known, while the batch is listened to."""
        return self.root / f"journal/{batch}.voices.jsonl"

    def unheard(self, batch: str) -> Path:
        """Text: how often voices of a batch could not be heard, by what may be the machine's fault."""
        return self.state / f"unheard/{batch}"

    def voices_progress(self, batch: str) -> Path:
        """How far that is (JSON), while it goes on."""
        return self.root / f"journal/{batch}.voices.progress"

    def speakers(self, batch: str) -> Path:
        """The rows of :meth:`batch` with who said it; there only while the option `speakers` is on."""
        return self.root / f"speakers/{batch}.parquet"

    @property
    def across(self) -> Path:
        """JSON: the voices that each recording has in its folder; there while the option `speakers_across` is on."""
        return self.state / "across.json"

    def rows(self, batch: str) -> Path:
        """What tables and transcripts are made of: :meth:`speakers` where there are any, else :meth:`batch`."""
        told = self.speakers(batch)
        return told if told.exists() else self.batch(batch)

    @property
    def speaker_names(self) -> Path:
        """CSV: who is who, as people have said with `snakescribe speakers name`; nothing else can make it."""
        return self.root / "speaker_names.csv"

    @property
    def naming(self) -> Path:
        """Empty; there while somebody names speakers, and after a kill in the middle of it."""
        return self.state / "naming"

    def earlier(self, batch: str) -> Path:
        """The batch file of an earlier run, while it is made anew."""
        return self.root / f"batches/{batch}.earlier"

    def exported(self, batch: str) -> Path:
        """Which transcript files a batch wrote."""
        return self.root / f"exported/{batch}.json"

    def digests(self, batch: str) -> Path:
        """What a batch ever wrote into them (see formats/digests.py)."""
        return self.root / f"exported/{batch}.sha256"

    @property
    def transcripts(self) -> Path:
        """Transcript files, mirroring the input tree."""
        return self.root / "transcripts"

    @property
    def summary(self) -> Path:
        """How the last run went, for people."""
        return self.root / "summary.txt"

    @property
    def ending(self) -> Path:
        """The same for programs, and how the run ended (see ending.py)."""
        return self.root / "run.json"

    @property
    def corrections(self) -> Path:
        """What people have put right; nothing else can make it."""
        return self.root / "corrections.parquet"

    @property
    def corrected(self) -> Path:
        """Text: SHA-256 of the corrections that tables and transcripts have."""
        return self.state / "corrected"

    @property
    def review(self) -> Path:
        """The page of a review, while it is served."""
        return self.state / "review.html"

    @property
    def sounds(self) -> Path:
        """Recordings that no browser plays, decoded for a review, while it is served."""
        return self.state / "sounds"

    @property
    def report(self) -> Path:
        """What to look at in the morning: one page, with all texts."""
        return self.root / "report.html"

    @property
    def evaluation(self) -> Path:
        """What `evaluate` counted, a line per recording, with both texts; the report takes references from it."""
        return self.root / "evaluation.tsv"

    @property
    def evaluation_corrected(self) -> Path:
        """The same of `evaluate --corrected`."""
        return self.root / "evaluation-corrected.tsv"

    def table(self, name: str, kind: str) -> Path:
        """``recordings``, ``segments``, ``words`` or ``speakers``, as ``parquet`` or ``tsv``."""
        return self.root / f"tables/{name}.{kind}"

    @property
    def tables(self) -> list[Path]:
        """All six."""
        return [self.table(name, kind) for name in ("recordings", "segments", "words") for kind in ("parquet", "tsv")]

    @property
    def speaker_tables(self) -> list[Path]:
        """Two more, while the option `speakers` is on."""
        return [self.table("speakers", kind) for kind in ("parquet", "tsv")]

    def log(self, step: str, batch: str | None = None) -> Path:
        """What a step said, or ``snakemake`` itself; steps that run per batch have a folder."""
        return self.root / (f"logs/{step}/{batch}.log" if batch else f"logs/{step}.log")

    def benchmark(self, batch: str) -> Path:
        """Seconds and memory that the transcribe step took, by Snakemake."""
        return self.root / f"benchmarks/transcribe/{batch}.tsv"

    def half_written(self) -> Iterator[Path]:
        """What killed steps left behind, and what steps at work are writing."""
        files = (self.plan, self.batch("b"), self.exported("b"), self.table("t", "tsv"), self.journal("b"))
        for top in (self.transcripts, *(path.parent for path in files)):
            for folder, _, names in os.walk(top):
                yield from (Path(folder) / name for name in names if HALF_WRITTEN.fullmatch(name))
