"""The checked configuration, the folder the run works in, and what the rules share.

NEEDS:  Snakemake's merged config, the recordings folder, a prepared model
MAKES:  RUN (see scripts/snakescribe/workflow.py), results/.snakescribe/config.json, the lock on the results
"""

import json

from snakescribe.workflow import begin

RUN = begin(
    config,
    executes=workflow.check_envvars,  # false for --lint
    main_process=workflow.is_main_process,
    dry_run=workflow.output_settings.dryrun,
    gpus="gpu" in workflow.global_resources,
    local=workflow.resource_settings.nodes is None,  # workflow.local_exec is always true while this file is read
)
GPU = {"gpu": 1} if RUN.config.device == "cuda" else {}


workdir: RUN.config.results


wildcard_constraints:
    batch=r"b\d+",


container: RUN.config.container.image


def planned_batches(pattern):
    """Input function: `pattern` for every batch the inventory planned."""

    def files(wildcards):
        with checkpoints.inventory.get().output.plan.open() as plan:
            return [pattern.format(batch=b["batch"]) for b in json.load(plan)["batches"]]

    return files


def transcribe_memory(wildcards, attempt):
    """MB for the model and a look-ahead of audio; more after a job that was killed for memory."""
    return RUN.memory_mb * attempt
