"""What later runs try again by themselves: attempts that failed by what may have been the machine's fault.

The tables leave the list, and the next inventory takes it; ``attempts`` bounds how often.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

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


def later(results: Results, attempts: int) -> Iterator[str]:
    """For people: what becomes of them."""
    failed = listed(results)
    with Ledger.open(results.ledger, readonly=True) as ledger:
        again = sum(ledger.tries(key) < attempts for key in failed)
    if again:
        yield f"the next run tries {again} of the failed again; each is tried {attempts} times in all (`attempts`)"
    if len(failed) > again:
        yield (
            f"{len(failed) - again} of the failed were tried {attempts} times; once the fault is mended,"
            " `snakescribe run --retry-failed` tries them again"
        )
