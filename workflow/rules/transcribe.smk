"""Whisper reads a batch: one model in memory, windows of all its recordings decoded together.

NEEDS:  inventory/batches/{batch}.json, work/{batch}.pcm and .json, a prepared model
MAKES:  batches/{batch}.parquet  the truth about a batch: one row per recording, its segments nested
        exported/{batch}.json    which transcripts/ were written
        exported/{batch}.sha256  what was ever written into them (not declared: Snakemake would undo it with a failed
                                 export, and our own texts would pass for corrections)
"""


rule transcribe:
    input:
        manifest=FILES.manifest("{batch}"),
        # Made again for voices they are the same, and no reason to transcribe again.
        samples=ancient(FILES.samples("{batch}")),
        index=ancient(FILES.samples_index("{batch}")),
    output:
        rows=update(FILES.batch("{batch}")),
    log:
        FILES.log("transcribe", "{batch}"),
    benchmark:
        FILES.benchmark("{batch}")
    priority: 1
    # A job that is killed for memory gets more of it; it goes on from its journal. A window that kills it three times
    # (FATAL_DEATHS) is left out by the fourth.
    retries: TRIES
    group:
        "batch"
    threads: 4
    resources:
        **GPU,
        mem_mb=transcribe_memory,
        runtime=transcribe_minutes,
    params:
        options=RUN.options,
    shell:
        RUN.step("transcribe", "--batch {wildcards.batch} --threads {threads}")


if RUN.across:  # the voices of all batches are known before anything is exported

    localrules:
        export,


rule export:
    input:
        rows=RUN.rows("{batch}"),
        across=ancient(RUN.across),  # it exports itself what it changes
    output:
        written=update(FILES.exported("{batch}")),
    log:
        FILES.log("export", "{batch}"),
    group:
        None if RUN.across else "batch"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        outputs=RUN.config.outputs,
        subtitles=RUN.config.subtitles.model_dump(),
    shell:
        RUN.step("export", "--batch {wildcards.batch}")
