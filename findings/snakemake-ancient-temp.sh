#!/usr/bin/env bash
# Snakemake 9.27.1 runs a finished job again whose only news is an input under ancient() that is a temp() file and gone.
#
# "decode" makes a temp file, "read" takes it with ancient(). Later a third rule needs the temp file once more: it is made
# again, and "read" too, though its output is there ("Input files updated by another job"). ancient() holds only for files
# that exist when the jobs are planned; a plain file made anew under ancient() runs nothing again.
# So rules/transcribe.smk says ancient() for what readers see, and the transcribe step itself finds that it has nothing to do.
# Expected: the second run has the jobs decode and voices, not read.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check snakemake==9.27.1
cd "$work"
cat > Snakefile <<'END'
rule decode:
    output:
        temp("sound.pcm"),
    shell:
        "echo sound > {output}"

rule read:
    input:
        ancient("sound.pcm"),
    output:
        "text.txt",
    shell:
        "cat {input} > {output}"

rule voices:
    input:
        sound="sound.pcm",
        text=ancient("text.txt"),
    output:
        "voices.txt",
    shell:
        "cat {input.sound} > {output}"
END
venv/bin/snakemake text.txt --cores 1 --quiet all
test ! -e sound.pcm
venv/bin/snakemake --cores 1 --dry-run voices.txt > planned 2>&1
grep -A3 '^rule read' planned | tee seen
grep -q 'Input files updated by another job: sound.pcm' planned
grep -q '^rule read' planned
echo "as seen: read is planned again"
