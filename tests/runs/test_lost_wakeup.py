"""A thread of writers whose wake-up was lost, as by Ctrl-C within `put`, still ends."""

import threading

from covos.runs.writing import _Lane


def test_a_lane_ends_though_a_wakeup_was_lost() -> None:
    lane = _Lane((), depth=2)
    ready = lane._queue.not_empty
    stale = threading.Lock()
    stale.acquire()
    while not ready._waiters:  # type: ignore[attr-defined]
        pass
    with ready:
        ready._waiters.appendleft(stale)  # type: ignore[attr-defined]
    ending = threading.Thread(target=lane.end, daemon=True)
    ending.start()
    ending.join(30)
    assert not ending.is_alive()
