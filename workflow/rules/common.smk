"""The checked configuration, the folder the run works in, and what the rules share.

NEEDS:  Snakemake's merged config, the recordings folder, a prepared model
MAKES:  RUN (see scripts/snakescribe/workflow.py), results/.snakescribe/config.json, the lock on the results
        FILES, names of all files of the workflow (scripts/snakescribe/layout.py), e.g. FILES.plan
"""

import json

from snakemake.settings.types import DeploymentMethod
from snakescribe.workflow import begin

# The results folder becomes the working directory, so that file names are short and the same wherever it lies. Not as a
# module of another workflow, nor with --directory: there the name of the results folder stands in front of every file.
MAIN = workflow.modifier.is_main_snakefile()
MOVES = MAIN and workflow.overwrite_workdir is None
RUN = begin(
    config,
    moves=MOVES,
    executes=workflow.check_envvars,  # false for --lint
    main_process=workflow.is_main_process,
    dry_run=workflow.output_settings.dryrun,
    gpus="gpu" in workflow.global_resources,
    apptainer=DeploymentMethod.APPTAINER in workflow.deployment_settings.deployment_method,
    local=workflow.resource_settings.nodes is None,  # workflow.local_exec is always true while this file is read
    logs=workflow.logger_manager.get_logfile(),
)
FILES = RUN.files
GPU = {"gpu": 1} if RUN.config.device == "cuda" else {}


if MOVES:

    workdir: RUN.config.results


wildcard_constraints:
    batch=r"b\d+",


container: RUN.config.container.image


def planned_batches(named):
    """Input function: the file that `named` gives for every batch the inventory planned."""

    def files(wildcards):
        with checkpoints.inventory.get().output.plan.open() as plan:
            return [named(b["batch"]) for b in json.load(plan)["batches"]]

    return files


# A step that was killed from outside goes on from where it was. Tries are counted by the main process alone: on a cluster
# the Snakemake inside a job would have as many of its own, with the memory of the first.
TRIES = 3 if workflow.is_main_process else 0


def transcribe_memory(wildcards, attempt):
    """MB for the model and a look-ahead of audio; more after a job that was killed for memory."""
    return RUN.memory_mb * attempt


def transcribe_minutes(wildcards, threads, attempt):
    """Time limit on a cluster; more after a job that ran out of it."""
    return RUN.transcribe_minutes(wildcards.batch, threads, attempt)


def voices_minutes(wildcards, threads, attempt):
    """The same for listening to voices."""
    return RUN.voices_minutes(wildcards.batch, threads, attempt)


def normalise_minutes(wildcards, attempt):
    """The same. A job on a cluster may take what its three steps may together."""
    return RUN.normalise_minutes(wildcards.batch, attempt)
