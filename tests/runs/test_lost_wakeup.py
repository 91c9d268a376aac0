"""A thread of writers ends, at whatever moment Ctrl-C comes while it is given frames."""

import random
import signal
import sys
import threading
from typing import Any

import pytest

from covos.formats.background_writers import _Lane


@pytest.mark.skipif(sys.platform == "win32", reason="needs a timer that sends signals")
def test_a_lane_ends_though_a_wakeup_was_lost() -> None:
    class Drops:
        def write(self, result: object) -> None:
            """Take a frame at once: the thread waits for the next one."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    drops: Any = Drops()
    frame: Any = object()
    draw = random.Random(0)
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        for _ in range(120):
            lane = _Lane([drops], depth=2)
            try:
                signal.setitimer(signal.ITIMER_REAL, draw.uniform(0.0005, 0.002))
                while True:
                    lane.put(frame)
            except KeyboardInterrupt:
                signal.setitimer(signal.ITIMER_REAL, 0)
            lane.stop.set()
            ending = threading.Thread(target=lane.end, daemon=True)
            ending.start()
            ending.join(30)
            assert not ending.is_alive()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
