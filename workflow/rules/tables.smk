"""All batches in three tables, and the last word on what failed.

NEEDS:  inventory/plan.json, batches/*.parquet, exported/*.json
MAKES:  tables/{recordings,segments,words}.{parquet,tsv}
        summary.txt, how it went (not declared: Snakemake would remove it with a failed check)
        .snakescribe/checked, only when `on_error` allows it
"""


rule tables:
    input:
        plan="inventory/plan.json",
        batches=planned_batches("batches/{batch}.parquet"),
    output:
        expand(
            "tables/{table}.{kind}",
            table=["recordings", "segments", "words"],
            kind=["parquet", "tsv"],
        ),
    log:
        "logs/tables.log",
    shell:
        "exec snakescribe tables --config .snakescribe/config.json 2> >(tee {log:q} >&2)"


rule check:
    input:
        recordings="tables/recordings.parquet",
        exported=planned_batches("exported/{batch}.json"),
    output:
        ".snakescribe/checked",
    log:
        "logs/check.log",
    params:
        on_error=RUN.config.on_error,
    shell:
        "exec snakescribe check --config .snakescribe/config.json --output {output:q} 2> >(tee {log:q} >&2)"
