"""What is said of followed objects after a run."""

from __future__ import annotations

import pytest

from covos.core.types import Presence
from covos.runs.schema import FrameRow, ReportContent, StateRecord, followed_notes

SEEN: Presence = "present"
HIDDEN: Presence = "occluded"
LOST: Presence = "lost"


def report(*rows: dict[int, Presence], first: int = 0, **settings: object) -> ReportContent:
    frames = [
        FrameRow.model_construct(
            index=index, states={key: StateRecord(state=state, confidence=1) for key, state in row.items()}
        )
        for index, row in enumerate(rows, first)
    ]
    return ReportContent.model_construct(settings=settings, frames=tuple(frames))


@pytest.mark.parametrize(
    ("states", "said"),
    [
        ((SEEN, SEEN, SEEN), []),
        ((SEEN, HIDDEN, HIDDEN), []),
        ((SEEN, HIDDEN, LOST, SEEN), []),
        ((SEEN, HIDDEN, LOST, LOST), ["lost at the end: object 3 since frame 1"]),
        ((SEEN, LOST, SEEN, HIDDEN, LOST), ["lost at the end: object 3 since frame 3"]),
        ((LOST, LOST), ["lost at the end: object 3 since frame 0"]),
    ],
)
def test_what_is_lost_at_the_end_and_since_when(states: tuple[Presence, ...], said: list[str]) -> None:
    assert followed_notes(report(*({3: state} for state in states))) == said


def test_each_of_several_by_its_id() -> None:
    rows = [{2: SEEN, 10: SEEN}, {2: SEEN, 10: LOST}, {2: LOST, 10: LOST}]
    expected = "lost at the end: object 2 since frame 6, object 10 since frame 5"
    assert followed_notes(report(*rows, first=4)) == [expected]


def test_how_many_were_found_where_they_were_looked_for() -> None:
    assert followed_notes(report({}, objects=10)) == ["0 objects found"]
    assert followed_notes(report({1: SEEN}, objects=10)) == ["1 object found"]
    assert followed_notes(report({1: SEEN, 2: LOST}, objects=10))[0] == "2 objects found"
    assert followed_notes(report({})) == []
