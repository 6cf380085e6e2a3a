#!/usr/bin/env bash
# pytest-xdist 3.8.0 with pytest 9.2.0: `--dist loadgroup` groups nothing, and says nothing.
#
# Seen on Python 3.11. Six tests are marked `xdist_group("one")`; with -n 2 --dist loadgroup they run in two processes.
# With pytest 9.1.1, the rest the same, they run in one. xdist writes the group into `item._nodeid`, which pytest 9.2 no
# longer reads. Session fixtures that a group was to share are then made once per process.
# Expected: one process, or an error.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
cat > test_group.py <<'END'
import os
import time

import pytest


@pytest.mark.xdist_group("one")
@pytest.mark.parametrize("number", range(6))
def test_one(number):
    time.sleep(0.5)
    with open("processes", "a") as file:
        file.write(f"{os.getpid()}\n")
END
processes() {
  rm -f processes
  python3 -m venv "$work/$1"
  "$work/$1/bin/pip" install --quiet --disable-pip-version-check "pytest==$1" pytest-xdist==3.8.0
  "$work/$1/bin/pytest" -q -n 2 --dist loadgroup > "said-$1"
  sort -u processes | wc -l
}
[ "$(processes 9.1.1)" = 1 ]
[ "$(processes 9.2.0)" = 2 ]
echo 'as seen: with pytest 9.2.0 the tests of one group run in two processes'
