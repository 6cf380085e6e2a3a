"""Which recordings there are, and in which batches they are transcribed.

NEEDS:  the recordings folder or sample sheet (a new, changed or removed file changes `seen`)
MAKES:  inventory/plan.json, the batches and totals
        beside it, never declared: the ledger, and one manifest per batch, written once
"""


checkpoint inventory:
    output:
        plan=update(FILES.plan),
    log:
        FILES.log("inventory"),
    params:
        seen=RUN.seen,
    shell:
        RUN.step("inventory")
