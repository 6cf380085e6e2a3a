"""Whisper reads a batch: one model in memory, windows of all its recordings decoded together.

NEEDS:  inventory/batches/{batch}.json, work/{batch}.pcm and .json, a prepared model
MAKES:  batches/{batch}.parquet  the truth about a batch: one row per recording, its segments nested
        exported/{batch}.json    which transcripts/ were written
        exported/{batch}.sha256  what was ever written into them (not declared: Snakemake would undo it with a failed
                                 export, and our own texts would pass for corrections)
"""


rule transcribe:
    input:
        manifest="inventory/batches/{batch}.json",
        samples="work/{batch}.pcm",
        index="work/{batch}.json",
    output:
        rows=update("batches/{batch}.parquet"),
    log:
        "logs/transcribe/{batch}.log",
    benchmark:
        "benchmarks/transcribe/{batch}.tsv"
    priority: 1
    # A job that is killed for memory gets more of it; it goes on from its journal. A window that kills it three times
    # (FATAL_DEATHS) is left out by the fourth.
    retries: 3
    threads: 4
    resources:
        **GPU,
        mem_mb=transcribe_memory,
    params:
        options=RUN.options,
    shell:
        "exec snakescribe transcribe --config .snakescribe/config.json"
        " --batch {wildcards.batch} --threads {threads} 2> >(tee {log:q} >&2)"


rule export:
    input:
        rows="batches/{batch}.parquet",
    output:
        written=update("exported/{batch}.json"),
    log:
        "logs/export/{batch}.log",
    params:
        outputs=RUN.config.outputs,
    shell:
        "exec snakescribe export --config .snakescribe/config.json --batch {wildcards.batch} 2> >(tee {log:q} >&2)"
