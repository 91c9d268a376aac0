"""The references of each frame, asked for by one thread or by several."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest

from covos.engines.find import References
from covos.engines.shot_references import ShotReferences
from covos.engines.shots import Shots


class Engine:
    """Encodes nothing, slowly, and counts what is read."""

    def __init__(self, *, slowly: float = 0.0) -> None:
        self.encoder = self
        self.read: list[int] = []
        self._slowly = slowly

    def select(self, _source: object, indices: Sequence[int]) -> Iterator[Any]:
        for index in indices:
            time.sleep(self._slowly)
            self.read.append(index)
            yield SimpleNamespace(frame=SimpleNamespace(index=index))

    def remember(self, frames: Iterable[Any]) -> tuple[References[int]]:
        indices = tuple(each.frame.index for each in frames)
        time.sleep(self._slowly * len(indices))
        return (References(indices=indices, features=indices, memories=()),)


SPANS = Shots(frame_count=1000, window=250).spans(5)


def wanted(index: int) -> tuple[int, ...]:
    return next(span.references for span in SPANS if span.start <= index < span.stop)


def asked(engine: Engine) -> ShotReferences[Any]:
    source: Any = None
    made: Any = engine
    return ShotReferences(source, made, SPANS)


def test_each_reference_is_read_once_on_the_way_forward() -> None:
    engine = Engine()
    references = asked(engine)
    assert len(SPANS) > 3
    for index in range(1000):
        assert references(index)[0].indices == wanted(index)
    assert engine.read == sorted({*engine.read})


def test_a_look_back_at_the_span_before_reads_nothing_again() -> None:
    engine = Engine()
    references, edge = asked(engine), SPANS[1].start
    first = references(edge - 1)
    references(edge)
    read = [*engine.read]
    assert references(edge - 1) is first
    assert engine.read == read


@pytest.mark.parametrize("late", [0.0, 0.01, 0.03])
def test_two_threads_each_get_the_references_of_their_frames(late: float) -> None:
    references, edge, together = asked(Engine(slowly=0.005)), SPANS[1].start, threading.Barrier(2)

    def ask(indices: range, wait: float) -> list[tuple[int, tuple[int, ...]]]:
        together.wait()
        time.sleep(wait)
        return [(index, references(index)[0].indices) for index in indices]

    with ThreadPoolExecutor(2) as threads:
        ahead = threads.submit(ask, range(edge + 2, edge + 60, 2), 0.0)
        behind = threads.submit(ask, range(edge - 8, edge + 2), late)
        for index, found in [*ahead.result(), *behind.result()]:
            assert found == wanted(index)
