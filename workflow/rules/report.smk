"""What to look at in the morning, made from the batches once the tables are written.

NEEDS:  inventory/plan.json, batches/*.parquet, tables/recordings.parquet; evaluation.tsv where `evaluate` wrote one
MAKES:  report.html, one page without a network: figures, doubtful recordings first, every text with its sound
"""


localrules:
    report,


rule report:
    input:
        plan=FILES.plan,
        recordings=FILES.table("recordings", "parquet"),
        batches=planned_batches(RUN.rows),
        across=RUN.across,
    output:
        report(FILES.report, caption="../captions/report.rst", category="Transcripts"),
    log:
        FILES.log("report"),
    shell:
        RUN.step("report")
