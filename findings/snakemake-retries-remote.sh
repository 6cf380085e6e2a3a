#!/usr/bin/env bash
# Snakemake 9.27.1: with an executor for clusters, a rule's `retries: 3` makes up to 10 tries and not 4; `--retries 3` makes 4.
#
# Seen on Python 3.11 with snakemake-executor-plugin-cluster-generic 1.0.9 and a rule that always fails. The Snakemake inside of a job is
# given `--retries 0`, but a rule's own retries win over that, and it counts them again from the attempt of its job: 4 + 3 + 2 + 1. Tries
# inside of one job cannot have more memory or time than the job was submitted with, so `resources: mem_mb=lambda wc, attempt: …` asks for
# more in vain.
# So TRIES in workflow/rules/common.smk is 0 inside of a job.
# Expected: 4.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check snakemake==9.27.1 snakemake-executor-plugin-cluster-generic==1.0.9
cd "$work"
cat > submit.sh <<'END'
#!/bin/sh
nohup sh "$1" > /dev/null 2>&1 &
echo $!
END
chmod +x submit.sh

tries() { # LINE_OF_THE_RULE [OPTION…]
  rm -f tries
  printf 'rule fails:\n    output: "made.txt"\n%s    shell: "echo >> {workflow.basedir}/tries; exit 1"\n' "$1" > Snakefile
  shift
  venv/bin/snakemake "$@" > log 2>&1 || true
  wc -l < tries
}

cluster=(--executor cluster-generic --cluster-generic-submit-cmd "$work/submit.sh" --jobs 1 --seconds-between-status-checks 1)
own=$'    retries: 3\n'
seen="$(tries "$own" --cores 1) $(tries '' "${cluster[@]}" --retries 3) $(tries "$own" "${cluster[@]}")"
echo "tries on this machine, with --retries, with the rule's own: $seen"
[ "$seen" = '4 4 10' ]
