"""All batches in three tables, and the last word on what failed.

NEEDS:  inventory/plan.json, batches/*.parquet, exported/*.json
MAKES:  tables/{recordings,segments,words}.{parquet,tsv}
        summary.txt, how it went (not declared: Snakemake would remove it with a failed check)
        .snakescribe/checked, only when `on_error` allows it
"""


localrules:
    tables,
    check,


rule tables:
    input:
        plan=FILES.plan,
        batches=planned_batches(RUN.rows),
        across=RUN.across,
    output:
        RUN.tables,
    log:
        FILES.log("tables"),
    shell:
        RUN.step("tables")


rule check:
    input:
        recordings=FILES.table("recordings", "parquet"),
        exported=planned_batches(FILES.exported),
    output:
        FILES.checked,
    log:
        FILES.log("check"),
    params:
        on_error=RUN.config.on_error,
    shell:
        RUN.step("check", "--output {output:q}")
