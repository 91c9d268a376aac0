from __future__ import annotations

import pytest

from covos.core.types import ObjectStatus
from covos.engines.calibration import MaskEstimate
from covos.engines.presence import FOUND_AGAIN, PATIENCE, SHOWN, PresenceTracker

SEEN, GONE = MaskEstimate(0.8, 0.1), MaskEstimate(0.05, 0.9)


def judge(tracker: PresenceTracker, estimated: MaskEstimate, *, area: float = 0.1) -> ObjectStatus:
    return tracker.judge(estimated, area=area)


def test_an_object_goes_from_present_by_hidden_to_lost() -> None:
    tracker = PresenceTracker(3)
    assert judge(tracker, SEEN).state == "present"
    states = [judge(tracker, GONE).state for _ in range(PATIENCE + 1)]
    assert states == ["occluded"] * PATIENCE + ["lost"]


def test_an_object_that_the_user_shows_is_contested_no_more() -> None:
    tracker = PresenceTracker(3, contested=0.8)
    judge(tracker, SEEN)
    assert tracker.contested == 0.8
    tracker.given(area=0.1)
    assert tracker.contested == 0


def test_a_hidden_object_returns_at_once_and_a_lost_one_only_when_it_is_sure() -> None:
    between = MaskEstimate((SHOWN + FOUND_AGAIN) / 2, 0.1)
    hidden = PresenceTracker(3, state="occluded", absent=4)
    assert judge(hidden, between).state == "present"
    lost = PresenceTracker(3, state="lost", absent=99)
    assert judge(lost, between).state == "lost"
    assert judge(lost, SEEN).state == "present"
    assert lost.absent == 0


def test_an_empty_mask_is_shown_where_it_is_expected_to_score_more() -> None:
    assert judge(PresenceTracker(3), MaskEstimate(0.4, 0.5)).state == "occluded"
    assert judge(PresenceTracker(3), MaskEstimate(0.5, 0.4)).state == "present"
    assert judge(PresenceTracker(3), MaskEstimate(SHOWN / 2, 0.0)).state == "occluded", "hardly anything of it is right"


def test_confidence_is_that_of_the_answer_given() -> None:
    tracker = PresenceTracker(3)
    assert judge(tracker, SEEN).confidence == pytest.approx(0.8)
    assert judge(tracker, GONE).confidence == pytest.approx(0.9)


def test_the_usual_area_follows_the_masks_that_are_shown() -> None:
    tracker = PresenceTracker(3)
    tracker.given(area=0.2)
    judge(tracker, SEEN, area=0.3)
    assert tracker.usual == pytest.approx(0.21)
    judge(tracker, GONE, area=0.9)
    assert tracker.usual == pytest.approx(0.21)


def test_the_user_is_right() -> None:
    tracker = PresenceTracker(3, state="lost", absent=99)
    assert tracker.given(area=0.1).state == "present"
    status = tracker.given(area=0.0)
    assert (status.state, status.confidence, tracker.usual) == ("occluded", 1.0, 0.1)


def test_a_mask_that_covers_no_cell_has_no_usual_area() -> None:
    tracker = PresenceTracker(3)
    tracker.judge(MaskEstimate(0.9, 0.0), area=0.0)
    assert tracker.usual is None
    tracker.judge(MaskEstimate(0.9, 0.0), area=0.2)
    tracker.judge(MaskEstimate(0.9, 0.0), area=0.0)
    assert tracker.usual == 0.2
