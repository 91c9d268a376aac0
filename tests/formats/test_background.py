"""Threads, bounded queues, the first error, and no thread left: for a failure at every point."""

import threading
from pathlib import Path

import pytest

from covos.core.errors import EnvironmentProblem
from covos.formats.background_writers import BackgroundWriters

FRAMES = 6


class Recorder:
    """A writer that remembers its calls, and fails when told to."""

    warnings: tuple[str, ...] = ()

    def __init__(
        self, name: str, *, fail_at: int | None = None, fail_on: str = "", gate=None, labels_only: bool = False
    ) -> None:
        self.name, self.labels_only = name, labels_only
        self.calls: list[object] = []
        self.threads: set[int] = set()
        self._fail_at, self._fail_on, self._gate = fail_at, fail_on, gate

    def write(self, result) -> None:
        if self._gate is not None:
            self._gate.wait(timeout=10)
        self._note(result.frame.index)
        self.threads.add(threading.get_ident())
        if result.frame.index == self._fail_at:
            raise problem(self.name)

    def close(self) -> tuple[Path, ...]:
        self._note("close")
        if self._fail_on == "close":
            raise problem(self.name)
        return (Path(self.name),)

    def abort(self) -> None:
        self._note("abort")
        if self._fail_on == "abort":
            raise OSError("no abort")

    def _note(self, call: object) -> None:
        self.calls.append(call)


def problem(name: str) -> EnvironmentProblem:
    return EnvironmentProblem(f"{name} failed", why="the disk is full", fix="free some space")


def run(writers, result, *, depth: int = 2) -> tuple[Path, ...]:
    with BackgroundWriters(writers, depth=depth) as background:
        for index in range(FRAMES):
            background.write(result(index))
        return background.close()


@pytest.fixture(autouse=True)
def _no_thread_is_left():
    yield
    assert not [thread for thread in threading.enumerate() if thread.name == "covos-writers"]


@pytest.mark.parametrize("depth", [1, 2, 100])
def test_every_writer_gets_every_frame_in_order(result, depth: int) -> None:
    writers = [Recorder("a"), Recorder("b"), Recorder("c", labels_only=True)]
    assert run(writers, result, depth=depth) == (Path("a"), Path("b"), Path("c"))
    for writer in writers:
        assert writer.calls == [*range(FRAMES), "close"]
        assert threading.get_ident() not in writer.threads
    assert writers[0].threads == writers[1].threads != writers[2].threads


def test_a_slow_writer_of_labels_holds_no_other_up(result) -> None:
    gate, done = threading.Event(), threading.Event()
    slow, quick = Recorder("a", labels_only=True, gate=gate), Recorder("b", labels_only=True)
    quick.write = lambda result: done.set()  # type: ignore[method-assign]
    with BackgroundWriters([slow, quick], depth=2) as background:
        background.write(result(0))
        assert done.wait(timeout=10)
        assert not slow.calls
        gate.set()


def test_no_writers_and_no_frames(result) -> None:
    assert run([], result) == ()
    with BackgroundWriters([Recorder("a")]) as background:
        assert background.close() == (Path("a"),)
        assert background.close() == (Path("a"),)


@pytest.mark.parametrize("depth", [1, 8])
@pytest.mark.parametrize("fail_at", range(FRAMES))
def test_a_failing_write_stops_all(result, fail_at: int, depth: int) -> None:
    writers = [Recorder("a"), Recorder("b", fail_at=fail_at), Recorder("c")]
    with pytest.raises(EnvironmentProblem, match="b failed"):
        run(writers, result, depth=depth)
    assert writers[0].calls == [*range(fail_at + 1), "abort"]
    assert writers[1].calls == [*range(fail_at + 1), "abort"]
    assert writers[2].calls == [*range(fail_at), "abort"]


def test_a_failure_reaches_the_producer_while_it_waits_for_room(result) -> None:
    gate = threading.Event()
    background = BackgroundWriters([Recorder("a", fail_at=0, gate=gate)], depth=1)
    background.write(result(0))
    background.write(result(1))
    threading.Timer(0.05, gate.set).start()

    def produce() -> None:
        for index in range(2, 1000):
            background.write(result(index))

    with pytest.raises(EnvironmentProblem, match="a failed"):
        produce()
    with pytest.raises(EnvironmentProblem, match="a failed"):
        background.close()


@pytest.mark.parametrize("which", [0, 1, 2])
def test_a_failing_close_aborts_all(result, which: int) -> None:
    writers = [Recorder(name, fail_on="close" if place == which else "") for place, name in enumerate("abc")]
    with pytest.raises(EnvironmentProblem, match=f"{'abc'[which]} failed"):
        run(writers, result)
    for place, writer in enumerate(writers):
        closed = ["close"] if place <= which else []
        assert writer.calls == [*range(FRAMES), *closed, "abort"]


def test_a_failing_abort_does_not_hide_the_first_error(result) -> None:
    writers = [Recorder("a", fail_on="abort"), Recorder("b", fail_at=2), Recorder("c")]
    with pytest.raises(EnvironmentProblem, match="b failed") as caught:
        run(writers, result)
    assert caught.value.__notes__ == ["and stopping the 'a' writer failed: no abort"]
    assert writers[2].calls[-1] == "abort"


def test_an_error_of_the_producer_aborts(result) -> None:
    writer = Recorder("a")

    def produce() -> None:
        with BackgroundWriters([writer]) as background:
            background.write(result(0))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        produce()
    assert writer.calls[-1] == "abort"
    assert "close" not in writer.calls


def test_abort_drops_what_waits(result) -> None:
    gate = threading.Event()
    writer = Recorder("a", gate=gate)
    background = BackgroundWriters([writer], depth=8)
    for index in range(FRAMES):
        background.write(result(index))
    threading.Timer(0.05, gate.set).start()
    background.abort()
    assert writer.calls in ([0, "abort"], ["abort"])
    background.abort()
    assert background.close() == ()


def test_writing_after_the_end_is_an_error(result) -> None:
    background = BackgroundWriters([])
    background.close()
    with pytest.raises(RuntimeError, match="closed"):
        background.write(result(0))


def test_warnings_are_those_of_all(result) -> None:
    writers = [Recorder("a"), Recorder("b")]
    writers[0].warnings, writers[1].warnings = ("one",), ("two", "three")
    with BackgroundWriters(writers) as background:
        background.close()
        assert background.warnings == ("one", "two", "three")


def test_the_queue_is_bounded(result) -> None:
    gate = threading.Event()
    handed = []
    background = BackgroundWriters([Recorder("a", gate=gate)], depth=2)

    def produce() -> None:
        for index in range(FRAMES):
            background.write(result(index))
            handed.append(index)

    producer = threading.Thread(target=produce)
    producer.start()
    producer.join(timeout=0.3)
    waiting = len(handed)
    gate.set()
    producer.join()
    background.close()
    assert waiting <= 3  # two in the queue, one in the writer
    assert len(handed) == FRAMES
