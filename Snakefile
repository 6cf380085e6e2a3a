"""Folders of recordings in, transcripts and tables out. Options: config/config.yaml, explained in config/README.md."""

import os

from snakemake.utils import min_version

min_version("9.27")


configfile: os.path.join(workflow.basedir, "config/config.yaml")


include: "workflow/rules/common.smk"
include: "workflow/rules/inventory.smk"
include: "workflow/rules/normalise.smk"
include: "workflow/rules/transcribe.smk"
include: "workflow/rules/tables.smk"


rule all:
    default_target: True
    input:
        rules.tables.output,
        ".snakescribe/checked",
