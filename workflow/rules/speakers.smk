"""Who said it (option `speakers`): voices are heard once, and told apart as often as somebody changes how many there are.

NEEDS:  work/{batch}.pcm and .json, batches/{batch}.parquet, the weights of `snakescribe models fetch speakers`
MAKES:  voices/{batch}.parquet    what the voices are like, per recording
        speakers/{batch}.parquet  the rows of the batch file with speakers
        .snakescribe/across.json  with `speakers_across`: the labels of each folder; who had one keeps it
"""


localrules:
    across,


rule voices:
    input:
        # All of them are as old as the batch: only other audio makes other voices (params).
        samples=ancient(FILES.samples("{batch}")),
        index=ancient(FILES.samples_index("{batch}")),
        rows=ancient(FILES.batch("{batch}")),
    output:
        voices=FILES.voices("{batch}"),
    log:
        FILES.log("voices", "{batch}"),
    retries: TRIES
    group:
        "batch"
    threads: 4
    resources:
        mem_mb=1500,
        runtime=voices_minutes,
    params:
        voices=RUN.voices,
    shell:
        RUN.step("voices", "--batch {wildcards.batch} --threads {threads}")


rule speakers:
    input:
        rows=FILES.batch("{batch}"),
        voices=FILES.voices("{batch}"),
    output:
        rows=FILES.speakers("{batch}"),
    log:
        FILES.log("speakers", "{batch}"),
    group:
        "batch"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        speakers=RUN.speakers,
    shell:
        RUN.step("assign", "--batch {wildcards.batch}")


rule across:
    input:
        plan=FILES.plan,
        speakers=planned_batches(FILES.speakers),
    output:
        update(FILES.across),  # who had a label keeps it
    log:
        FILES.log("across"),
    shell:
        RUN.step("across")
