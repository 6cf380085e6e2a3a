#!/usr/bin/env bash
# A job that failed passes for done when its output is flagged update().
#
# Seen with snakemake 9.27.1 on Python 3.11. A rule has `output: update("o.txt")` and `params: config["value"]`.
#   1. value=1 succeeds: o.txt says "1".
#   2. value=2 fails: the old o.txt is put back ("Restored previous version").
#   3. value=2 again, the cause mended: "Nothing to be done", exit code 0, and o.txt still says "1".
# The failed job's parameters were recorded as those that the restored file was made with. Without update() the third run
# makes the file. Expected: a failed job leaves the record of the older file alone, and the third run runs the rule.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check snakemake==9.27.1
cd "$work"
cat > Snakefile <<'END'
rule o:
    output: update("o.txt") if config["flag"] == "update" else "o.txt"
    params: config["value"]
    shell: "test ! -e broken && echo {params} > {output}"
END
run() { "$work/venv/bin/snakemake" --cores 1 --config "flag=$flag" "value=$1" > said 2>&1; }

flag=update
run 1
touch broken
if run 2; then exit 1; fi
rm broken
run 2
grep -q 'Nothing to be done' said
[ "$(cat o.txt)" = 1 ]

rm -rf o.txt .snakemake
flag=plain
run 1
touch broken
if run 2; then exit 1; fi
rm broken
run 2
[ "$(cat o.txt)" = 2 ]
echo 'as seen: with update() the file of the failed job counts as made with the new parameters'
