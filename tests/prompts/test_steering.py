"""What is shown on a frame, made into masks of things: parts of the subject, and things that touch, told apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from covos.core.types import Box, FrameResult, Point
from covos.engines.encoding import FrameEncoder
from covos.engines.grabcut import GrabCutPrompter
from covos.engines.prompt import RelayPrompter
from covos.media.opening import open_source
from covos.prompts.masker import ChosenPrompter
from covos.prompts.steering import SteeringMasks, steering_masks, telling_apart
from covos.prompts.values import PointPrompt, RegionPrompt, Steering

SIZE = (48, 64)
ONE, OTHER, APART = np.s_[10:30, 5:20], np.s_[10:30, 20:40], np.s_[35:45, 50:60]
"""Two things that touch, and one that stands alone."""


class Still:
    """A network that sees no motion: all that an encoder asks of it here."""

    uses_motion = False
    fixed_size = None
    stride = 16


class Drawn:
    """A prompter that knows the things; it adds a crumb and a hole."""

    name = "drawn"

    def mask(
        self, observed: Any, *, points: Sequence[Point], box: Box | None, previous: Any, largest: Any = None
    ) -> np.ndarray:
        x, y = (points[0].x, points[0].y) if box is None else ((box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2)
        mask = np.zeros(SIZE, bool)
        mask[next(part for part in (ONE, OTHER, APART) if filled(part)[int(y), int(x)])] = True
        mask[0:2, 0:2], mask[18:20, 10:12] = True, False
        return mask


def filled(*parts: Any) -> np.ndarray:
    mask = np.zeros(SIZE, bool)
    for part in parts:
        mask[part] = True
    return mask


@pytest.fixture
def made(clip: Path, result: Callable[..., FrameResult]) -> Callable[..., SteeringMasks]:
    def make(*shown: Steering) -> SteeringMasks:
        subject = replace(result(2), labels=filled(ONE, OTHER, APART).astype(np.uint8))
        encoder: FrameEncoder[Any] = FrameEncoder(
            Still(),  # type: ignore[arg-type]
            device=torch.device("cpu"),
            precision=torch.float32,
            area=SIZE[0] * SIZE[1],
            batch=1,
        )
        with open_source(clip) as source:
            return steering_masks(source, shown, found=lambda _: subject, encoder=encoder, prompter=Drawn())

    return make


def sides(made: SteeringMasks, frame: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """All that is kept, and all that goes."""
    masks = made.given[frame]
    assert set(masks) == made.rule.kept | made.rule.dropped
    empty = np.zeros(SIZE, bool)
    kept, dropped = (
        np.any([empty, *(masks[each] for each in ids)], axis=0) for ids in (made.rule.kept, made.rule.dropped)
    )
    return kept, dropped


def point(x: float, y: float, frame: int = 2) -> PointPrompt:
    return PointPrompt(frame=frame, points=(Point(x=x, y=y, positive=False),))


Make = Callable[..., SteeringMasks]


def test_a_part_that_stands_alone_goes_whole(made: Make) -> None:
    kept, dropped = sides(made(point(55, 40), point(52, 36)))
    np.testing.assert_array_equal(dropped, filled(APART))
    np.testing.assert_array_equal(kept, filled(ONE, OTHER))
    assert len(made(point(55, 40), point(52, 36)).rule.dropped) == 1, "two points on one thing"


def test_of_things_that_touch_the_one_that_is_pointed_at_goes(made: Make) -> None:
    kept, dropped = sides(made(point(8, 20)))
    np.testing.assert_array_equal(dropped, filled(ONE))
    np.testing.assert_array_equal(kept, filled(OTHER, APART))


@pytest.mark.parametrize("role", ["within", "exclude"])
def test_a_box_means_the_thing_in_it(made: Make, role: Any) -> None:
    steered = made(RegionPrompt(box=Box(x0=3, y0=8, x1=19, y1=32), role=role, frame=2))
    kept, dropped = sides(steered)
    np.testing.assert_array_equal(dropped if role == "exclude" else kept, filled(ONE))
    np.testing.assert_array_equal(kept if role == "exclude" else dropped, filled(OTHER, APART))
    assert steered.rule.only_kept == (role == "within")


def test_a_box_means_all_parts_that_lie_in_it(made: Make) -> None:
    kept, dropped = sides(made(RegionPrompt(box=Box(x0=0, y0=5, x1=64, y1=48), role="exclude", frame=2)))
    np.testing.assert_array_equal(dropped, filled(ONE, OTHER, APART))
    assert not kept.any()


def test_what_is_excluded_wins_over_what_is_kept(made: Make) -> None:
    whole = RegionPrompt(box=Box(x0=0, y0=0, x1=64, y1=32), role="within", frame=2)
    kept, dropped = sides(made(whole, point(8, 20)))
    np.testing.assert_array_equal(kept, filled(OTHER))
    np.testing.assert_array_equal(dropped, filled(ONE, APART))


def test_on_several_frames_what_is_left_is_not_followed(made: Make) -> None:
    steered = made(point(55, 40), point(8, 20, frame=5))
    assert sorted(steered.given) == [2, 5]
    assert not steered.rule.kept
    assert len(steered.rule.dropped) == 2


def test_fixed_regions_need_no_masks(made: Make) -> None:
    box = Box(x0=0, y0=0, x1=64, y1=32)
    steered = made(RegionPrompt(box=box, role="within"), RegionPrompt(box=box, role="exclude"))
    assert not steered.given
    assert not steered.rule.follows
    assert steered.rule.within == steered.rule.exclude == (box,)


def test_of_two_prompters_in_turn_the_second_tells_apart() -> None:
    grabcut: Any = object.__new__(GrabCutPrompter)
    both = ChosenPrompter(prompter=RelayPrompter(grabcut, Drawn()), described={"name": "grabcut+drawn", "sha256": "1"})
    alone = telling_apart(both)
    assert alone.prompter.name == "drawn"
    assert alone.described == {"name": "drawn", "sha256": "1"}
    assert telling_apart(alone) is alone
