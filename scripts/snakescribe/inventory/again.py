"""What later runs try again by themselves: attempts that failed by what may have been the machine's fault.

The tables leave the list, and the next inventory takes it; ``attempts`` bounds how often.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from snakescribe.errors import ResultsError
from snakescribe.files import write_atomically
from snakescribe.inventory.ledger import Known, Ledger
from snakescribe.layout import Results


def leave(results: Results, failed: Mapping[str, int]) -> None:
    """Leave the list: the attempt that failed, by recording."""
    write_atomically(results.passing, json.dumps(dict(sorted(failed.items()))).encode())


def listed(results: Results) -> dict[str, int]:
    """The list that the last run has left.

    Raises:
        ResultsError: it is damaged.
    """
    try:
        found: dict[str, int] = json.loads(results.passing.read_bytes())
        return dict(found)
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise ResultsError(f"{results.passing} is damaged ({error}); delete it: the next run makes it anew") from None


def wanted(results: Results, ledger: Ledger, known: Mapping[str, Known], attempts: int) -> frozenset[str]:
    """Recordings of that list whose newest attempt it is and that have not been tried so often."""
    return frozenset(
        key
        for key, attempt in listed(results).items()
        if key in known and known[key].attempt == attempt and ledger.tries(key) < attempts
    )
