from __future__ import annotations

import pytest

from covos.engines.presence import PATIENCE, PresenceTracker


def test_an_object_goes_from_present_by_hidden_to_lost() -> None:
    tracker = PresenceTracker(3)
    assert tracker.judge(presence=0.9, quality=0.8).state == "present"
    states = [tracker.judge(presence=0.1, quality=0.8).state for _ in range(PATIENCE + 1)]
    assert states == ["occluded"] * PATIENCE + ["lost"]


def test_a_hidden_object_returns_at_once_and_a_lost_one_only_when_it_is_sure() -> None:
    hidden = PresenceTracker(3, state="occluded", absent=4)
    assert hidden.judge(presence=0.55, quality=0.2).state == "present"
    lost = PresenceTracker(3, state="lost", absent=99)
    assert lost.judge(presence=0.6, quality=0.9).state == "lost"
    assert lost.judge(presence=0.9, quality=0.1).state == "lost"
    assert lost.judge(presence=0.9, quality=0.8).state == "present"
    assert lost.absent == 0


def test_confidence_is_that_of_the_answer_given() -> None:
    tracker = PresenceTracker(3)
    assert tracker.judge(presence=0.8, quality=0.5).confidence == pytest.approx(0.4)
    assert tracker.judge(presence=0.1, quality=0.5).confidence == pytest.approx(0.9)


def test_the_user_is_right() -> None:
    tracker = PresenceTracker(3, state="lost", absent=99)
    assert tracker.given(empty=False).state == "present"
    status = tracker.given(empty=True)
    assert (status.state, status.confidence) == ("occluded", 1.0)
