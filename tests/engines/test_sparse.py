"""Following with frames left out (`covos.engines.sparse`): which frames are looked at, and when the pass goes back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, cast

import numpy as np
import pytest
import torch

from covos.core.types import Frame, ObjectStatus
from covos.engines.follow_pass import FollowPass, FramePrediction
from covos.engines.motion import Observed
from covos.engines.sparse import AFTER_DOUBT, SeenFrame, SparsePass
from covos.models.follow import FollowFeatures

ROWS, COLUMNS = 8, 12
STEP = 0.5
"""Cells that everything moves to the left from a frame to the next, in the flow of the picture."""


def frame_at(index: int, *, known: bool = True) -> Observed:
    """A frame of one grey, over which everything moves by `STEP`; the flow of the first is not known."""
    frame = Frame(
        index=index, stem=str(index), image=np.zeros((16, 24, 3), np.uint8), pts=index, time_base=Fraction(1, 25)
    )
    flow = np.zeros((ROWS, COLUMNS, 2), np.float32)
    flow[..., 0] = STEP
    small = np.full((16, 24, 3), 90, np.uint8)
    return Observed(frame=frame, motion=None, flow=flow if known and index else None, small=small)


@dataclass
class Steps:
    """Stands for a pass: it notes the steps that were taken, and which of them were taken back."""

    taken: list[tuple[int, float]] = field(default_factory=list)

    def copy(self) -> Steps:
        return Steps(list(self.taken))


@dataclass
class Network:
    """Sees and follows; what it finds on a frame is what ``found`` gives."""

    found: Callable[[int], tuple[float, str]]
    seen: list[list[int]] = field(default_factory=list)
    every: list[int] = field(default_factory=list)
    last: Steps | None = None

    def see(self, batch: Sequence[Observed]) -> list[SeenFrame]:
        self.seen.append([each.frame.index for each in batch])
        nothing = torch.zeros(1, 1)
        flow = torch.zeros(1, 2, ROWS, COLUMNS)
        return [
            SeenFrame(
                each,
                FollowFeatures(*[nothing] * 9, flow + (0.0 if each.flow is None else float(each.flow[0, 0, 0]))),
                (),
                (False,),
            )
            for each in batch
        ]

    def step(self, current: FollowPass, seen: SeenFrame) -> FramePrediction:
        steps, index = cast("Steps", current), seen.observed.frame.index
        steps.taken.append((index, float(seen.features.flow_B2HW[0, 0, 4, 4])))
        self.every.append(index)
        self.last = steps
        logit, state = self.found(index)
        status = ObjectStatus(id=1, state=cast("Any", state), confidence=0.9 if index % 2 else 0.8)
        return FramePrediction(index=index, log_odds=torch.full((1, ROWS, COLUMNS), logit), objects=(status,))


def run(
    network: Network, frames: Sequence[Observed], *, apart: int = 4, calls: int = 0, **given: Any
) -> list[tuple[int, bool]]:
    sparse = SparsePass(
        cast("FollowPass", Steps()),
        see=network.see,
        step=network.step,
        apart=apart,
        shown=given.get("shown", (0,)),
        cuts=given.get("cuts", ()),
        backward=given.get("backward", False),
    )
    found = list(sparse.run(iter(frames), together=2, calls=calls))
    for observed, prediction in found:
        assert observed.frame.index == prediction.index
    return [(prediction.index, prediction.between) for _, prediction in found]


@pytest.mark.parametrize("calls", [0, 1])
def test_every_so_manieth_frame_is_looked_at_along_the_whole_way(calls: int) -> None:
    network = Network(lambda _: (6.0, "present"))
    found = run(network, [frame_at(index) for index in range(15)], calls=calls)
    assert [index for index, _ in found] == list(range(15))
    # 0 is shown, 1 lies beside it; 14 is the last that came.
    assert [index for index, between in found if not between] == [0, 1, 4, 8, 12, 14]
    assert network.last is not None
    ways = dict(network.last.taken)
    assert [ways[index] for index in (1, 4, 8, 14)] == pytest.approx([STEP, 3 * STEP, 4 * STEP, 2 * STEP])


def test_ends_of_shots_and_what_the_user_shows_are_looked_at() -> None:
    network = Network(lambda _: (6.0, "present"))
    found = run(network, [frame_at(index) for index in range(17)], cuts=(7,), shown=(0, 11))
    assert [index for index, between in found if not between] == [0, 1, 4, 6, 7, 8, 10, 11, 12, 16]


def test_a_frame_whose_flow_is_not_known_is_looked_at_by_itself() -> None:
    network = Network(lambda _: (6.0, "present"))
    frames = [frame_at(index, known=index != 6) for index in range(9)]
    found = run(network, frames)
    assert [index for index, between in found if not between] == [0, 1, 4, 5, 6, 8]
    assert network.last is not None
    assert dict(network.last.taken)[6] == 0


def test_a_doubt_takes_the_pass_back_to_half_the_way() -> None:
    """From frame 10 on another thing is found, so neither neighbour speaks for what lies between 9 and 10."""
    network = Network(lambda index: (6.0 if index < 10 else -6.0, "present"))
    found = run(network, [frame_at(index) for index in range(41)])
    looked = [index for index, between in found if not between]
    assert looked[:7] == [0, 1, 4, 8, 9, 10, 12]
    # By short ways until the doubt is long past, then by long ones again.
    assert [index for index in looked if index > 12] == [*range(13, 10 + AFTER_DOUBT), 24, 28, 32, 36, 40]
    assert network.last is not None
    taken = [index for index, _ in network.last.taken]
    assert taken == looked, "the steps over too long a way are taken back"
    assert network.every.count(12) == 2, "12 was reached from 8, and again from 10"
    # It was encoded once.
    assert [index for batch in network.seen for index in batch].count(12) == 1


def test_after_a_doubt_a_frame_is_reached_by_its_own_way() -> None:
    network = Network(lambda index: (6.0 if index < 3 else -6.0, "present"))
    run(network, [frame_at(index) for index in range(5)], apart=2, shown=())
    assert network.every == [0, 2, 4, 3, 4], "4 was reached from 2 at once, then from 3"
    assert network.last is not None
    assert [way for _, way in network.last.taken] == pytest.approx([0, 2 * STEP, STEP, STEP])


def test_an_object_that_goes_is_looked_for_in_between() -> None:
    network = Network(lambda index: (6.0, "present" if index < 6 else "occluded"))
    looked = [index for index, between in run(network, [frame_at(index) for index in range(9)]) if not between]
    assert {5, 6} <= set(looked)


def test_a_frame_between_has_the_mean_of_its_neighbours_and_the_lesser_confidence() -> None:
    network = Network(lambda index: (4.0 if index < 3 else 6.0, "present"))
    sparse = SparsePass(cast("FollowPass", Steps()), see=network.see, step=network.step, apart=2, shown=(), cuts=())
    made = {
        each.frame.index: found
        for each, found in sparse.run(iter([frame_at(index) for index in range(5)]), together=2, calls=0)
        if found.between
    }
    assert set(made) == {1, 3}
    assert made[3].objects[0].confidence == 0.8
    assert 4.0 < float(made[3].log_odds[0, 4, 4]) < 6.0


@pytest.mark.parametrize("calls", [0, 1])
def test_backward_the_same_frames_are_looked_at_along_the_way_back(calls: int) -> None:
    network = Network(lambda _: (6.0, "present"))
    frames = [frame_at(index) for index in range(15)]
    found = run(network, frames[::-1], calls=calls, backward=True, shown=(14,), cuts=(7,))
    assert [index for index, _ in found] == list(range(14, -1, -1))
    assert [index for index, between in found if not between] == [14, 13, 12, 8, 7, 6, 4, 0]
    assert network.last is not None
    ways = dict(network.last.taken)
    # Nothing is known of the way to the first of them; the others come from the other side.
    assert [ways[index] for index in (14, 13, 8, 0)] == pytest.approx([0, -STEP, -4 * STEP, -4 * STEP])


def test_backward_a_doubt_takes_the_pass_back_as_well() -> None:
    network = Network(lambda index: (6.0 if index > 10 else -6.0, "present"))
    frames = [frame_at(index) for index in range(33)]
    found = run(network, frames[::-1], backward=True, shown=())
    looked = [index for index, between in found if not between]
    assert looked[:9] == [32, 28, 24, 20, 16, 12, 11, 10, 8]
    assert network.last is not None
    taken = dict(network.last.taken)
    assert list(taken) == looked
    assert taken[10] == pytest.approx(-STEP)


def test_no_way_leads_over_a_frame_that_is_missing() -> None:
    network = Network(lambda _: (6.0, "present"))
    frames = [frame_at(index, known=index != 6) for index in range(9)]
    found = run(network, frames[::-1], backward=True, shown=())
    assert [index for index, between in found if not between] == [8, 6, 5, 4, 0]
    assert network.last is not None
    assert dict(network.last.taken)[5] == 0
