"""Passes of a session that do not end: they leave its masks as they were."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from covos.core.errors import CancelledError, UsageError
from covos.engines.follow import FollowEngine
from covos.model import Model
from covos.results.segmentation import Segmentation
from covos.sessions.following import Following
from covos.sessions.session import Session

SIZE = (48, 64)


def box(top: int, left: int, side: int = 14) -> np.ndarray:
    mask = np.zeros(SIZE, bool)
    mask[top : top + side, left : left + side] = True
    return mask


@pytest.fixture
def session(model: Model, random_follower: Path, clip: Path) -> Iterator[Session]:
    """A session with an object that is shown on the first frame."""
    with model.session(clip, follower=random_follower) as opened:
        opened.add_mask(0, 1, mask=box(12, 0))
        yield opened


def same(one: Segmentation, other: Segmentation) -> bool:
    return len(one) == len(other) and all(np.array_equal(a.labels, b.labels) for a, b in zip(one, other, strict=True))


def fails(done: int, total: int) -> None:
    if done == 3:
        raise ZeroDivisionError


@pytest.mark.parametrize("direction", ["forward", "both"])
def test_a_pass_that_fails_leaves_the_masks_as_they_were(session: Session, direction: str) -> None:
    before = session.propagate()
    session.add_mask(5, 1, mask=box(30, 40))
    with pytest.raises(ZeroDivisionError):
        session.propagate(direction, listen=fails)  # type: ignore[arg-type]
    assert same(session.result(), before)
    after = session.propagate(direction)  # type: ignore[arg-type]
    np.testing.assert_array_equal(after[5].mask, box(30, 40))
    assert len(after) == 8


def test_a_first_pass_that_fails_leaves_no_masks(session: Session) -> None:
    with pytest.raises(ZeroDivisionError):
        session.propagate(listen=fails)
    assert len(session.result()) == 0


@pytest.mark.parametrize("listen", [None, lambda done, total: None])
def test_a_closed_session_keeps_its_masks(session: Session, listen: Callable[[int, int], None] | None) -> None:
    before = session.propagate()
    session.add_mask(5, 1, mask=box(30, 40))
    session.close()
    with pytest.raises(UsageError, match="the source is closed"):
        session.propagate(listen=listen)
    assert same(session.result(), before)


def test_a_session_is_cancelled_from_another_thread(session: Session) -> None:
    def stop(done: int, total: int) -> None:
        thread = threading.Thread(target=session.cancel)
        thread.start()
        thread.join()

    before = session.propagate()
    session.add_mask(5, 1, mask=box(30, 40))
    with pytest.raises(CancelledError, match="cancelled"):
        session.propagate(listen=stop)
    assert same(session.result(), before)
    assert len(session.propagate()) == 8, "the next pass is not cancelled"


def test_a_pass_that_only_corrects_is_cancelled(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    before = session.propagate("forward")
    session.add_mask(5, 1, mask=box(30, 40))
    read = session.source.select

    def cancelling(indices):  # type: ignore[no-untyped-def]
        session.cancel()
        return read(indices)

    monkeypatch.setattr(session.source, "select", cancelling)
    monkeypatch.setattr(type(session.source), "__iter__", lambda source: cancelling(range(8)))
    with pytest.raises(CancelledError):
        session.propagate("forward")
    monkeypatch.undo()
    assert same(session.result(), before)
    assert len(session.propagate("forward")) == 8


def test_a_stream_that_is_cancelled_keeps_what_it_has_given(session: Session) -> None:
    results = session.stream()
    assert next(results).frame.index == 0
    session.cancel()
    with pytest.raises(CancelledError):
        next(results)
    assert [frame.index for frame in session.result()] == [0]


def test_no_frame_is_computed_after_a_stop(session: Session) -> None:
    following, computed = Following(session.source, session.seeds, memory=1), list[int]()

    def computing() -> Iterator[int]:
        for frame in range(3):
            computed.append(frame)
            yield frame

    for last in range(3):
        following.begin()
        computed.clear()
        results = following.cancellable(computing())
        for _ in range(last + 1):
            next(results)
        following.cancel()
        with pytest.raises(CancelledError):
            next(results)
        assert computed == [*range(last + 1)]


@pytest.mark.parametrize(
    "begin",
    [
        lambda session: session.propagate(),
        lambda session: session.propagate("forward"),
        lambda session: session.propagate("both"),
        lambda session: next(session.stream()),
        lambda session: next(session.stream(start=0, limit=2)),
        lambda session: session.discover(),
    ],
)
def test_a_pass_is_cancelled_while_its_network_is_loaded(
    session: Session, monkeypatch: pytest.MonkeyPatch, begin: Callable[[Session], object]
) -> None:
    load = Model.follower

    def cancelling(model: Model, name: str) -> FollowEngine:
        session.cancel()
        return load(model, name)

    with monkeypatch.context() as patched:
        patched.setattr(Model, "follower", cancelling)
        with pytest.raises(CancelledError, match="cancelled"):
            begin(session)
    assert len(session.result()) == 0
    assert len(session.propagate()) == 8, "the next pass is not cancelled"
