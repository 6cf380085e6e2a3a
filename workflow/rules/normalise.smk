"""Any container, codec and rate becomes 16 kHz mono.

NEEDS:  inventory/batches/{batch}.json
MAKES:  work/{batch}.pcm   samples of all recordings of the batch (temporary, 115 MB per hour)
        work/{batch}.json  where each recording lies in it, or why it could not be read (temporary)
"""


rule normalise:
    input:
        manifest=FILES.manifest("{batch}"),
    output:
        samples=temp(FILES.samples("{batch}")),
        index=temp(FILES.samples_index("{batch}")),
    log:
        FILES.log("normalise", "{batch}"),
    # An ffmpeg that is killed from outside (no memory left) says nothing about the recording.
    retries: TRIES
    group:
        "batch"
    threads: 4
    resources:
        mem_mb=1000,
        runtime=normalise_minutes,
    shell:
        RUN.step("normalise", "--batch {wildcards.batch} --threads {threads}")
