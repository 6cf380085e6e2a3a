"""Run a function in a child process with a time limit: a driver can hang, a library can crash, and we go on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

CHILD = """
import importlib, json, os, sys
from snakescribe.files import die_with_parent
die_with_parent()
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # libraries print where they like
module, name = sys.argv[1].split(":")
try:
    answer = {"answer": getattr(importlib.import_module(module), name)(*json.load(sys.stdin))}
except Exception as error:
    answer = {"problem": " ".join(f"{type(error).__name__}: {error}".split())[:300]}
json.dump(answer, answers)
answers.flush()
os._exit(0)  # a driver that answered may still hang while it is taken down
"""


class ChildFailed(Exception):
    """The function raised, crashed or took too long; the message says which."""


def in_child(function: Callable[..., Any], *arguments: Any, seconds: float) -> Any:
    """What a module's ``function`` returns for ``arguments`` (all of it JSON).

    Raises:
        ChildFailed: it raised, crashed or did not end within ``seconds``.
    """
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", CHILD, f"{function.__module__}:{function.__qualname__}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        said, _ = process.communicate(json.dumps(arguments).encode(), seconds)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):  # stuck in the driver, it cannot even be killed
            process.wait(1)
        raise ChildFailed(f"no answer within {seconds:.0f} s") from None
    except BaseException:
        process.kill()
        raise
    if process.returncode < 0:
        raise ChildFailed(f"crashed ({signal.Signals(-process.returncode).name})")
    try:
        answer = json.loads(said)
    except ValueError:
        raise ChildFailed(f"ended without an answer (exit code {process.returncode})") from None
    if "problem" in answer:
        raise ChildFailed(answer["problem"])
    return answer["answer"]
