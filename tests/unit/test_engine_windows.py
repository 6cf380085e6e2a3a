"""What a recording on its way counts, while several threads work on it."""

from __future__ import annotations

import threading

from snakescribe.engine.windows import RecordingJob, RecordingState


class _Telling:
    """A lock that tells when somebody waits for it."""

    def __init__(self) -> None:
        self.waited_for = threading.Event()
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        if not self._lock.acquire(blocking=False):
            self.waited_for.set()
            self._lock.acquire()

    def __exit__(self, *error: object) -> None:
        self._lock.release()


def test_seconds_of_two_threads_are_both_counted() -> None:
    """The second thread comes exactly between the first one's reading of the sum and its writing."""
    lock = _Telling()
    state = RecordingState(RecordingJob("k", (), None, ""), _counting=lock)  # type: ignore[arg-type]

    def spend_too() -> None:
        state.spend(1.0)
        lock.waited_for.set()  # without a lock it is done before anybody waits

    second = threading.Thread(target=spend_too)

    class Seconds(float):
        def __radd__(self, read: float) -> float:
            second.start()
            assert lock.waited_for.wait(60)
            return read + float(self)

    state.spend(Seconds(2.0))
    second.join()
    assert state.wall_seconds == 3.0
