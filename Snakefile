"""Folders of recordings in, transcripts and tables out. Options: config/config.yaml, explained in config/README.md."""

from snakemake.utils import min_version

min_version("9.27")


configfile: workflow.current_basedir.join("config/config.yaml").get_path_or_uri(secret_free=False)


include: "workflow/rules/common.smk"
include: "workflow/rules/inventory.smk"
include: "workflow/rules/normalise.smk"
include: "workflow/rules/transcribe.smk"
include: "workflow/rules/speakers.smk"
include: "workflow/rules/tables.smk"
include: "workflow/rules/report.smk"


rule all:
    default_target: MAIN
    input:
        rules.tables.output,
        rules.report.output if RUN.config.report else [],
        rules.check.output,
