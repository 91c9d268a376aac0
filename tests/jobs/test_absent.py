"""An object that the user says is not on a frame: the frame shows nothing of it, and it is followed past it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from covos.core.errors import UsageError
from covos.masks import encode
from covos.model import Model
from covos.prompts.seed_mask import SeedMask, to_follow
from covos.results.loading import load_result
from covos.results.reopened import seeds_of

SIZE = (48, 64)


def box(top: int, left: int, side: int = 14) -> np.ndarray:
    mask = np.zeros(SIZE, bool)
    mask[top : top + side, left : left + side] = True
    return mask


@pytest.mark.parametrize("direction", ["forward", "both"])
def test_the_frame_shows_nothing_of_it(model: Model, random_follower: Path, clip: Path, direction: str) -> None:
    with model.session(clip, follower=random_follower) as session:
        session.add_mask(0, 1, mask=box(12, 0))
        session.add_mask(0, 2, mask=box(30, 40))
        session.add_mask(7, 1, mask=box(12, 20))
        found = session.propagate(direction)  # type: ignore[arg-type]
        frame = next(each.index for each in found[2:7] if 1 in each.objects)
        session.add_absent(frame, 1)
        assert 1 not in session.preview(frame)
        after = session.propagate(direction)  # type: ignore[arg-type]
    assert 1 not in after[frame].objects
    assert next(each for each in after[frame].states if each.id == 1).state == "occluded"
    np.testing.assert_array_equal(after[0].labels == 1, box(12, 0))
    assert after.origin.settings["prompts"][2]["given_as"] == "absent"


def test_a_saved_result_knows_it(model: Model, random_follower: Path, clip: Path, tmp_path: Path) -> None:
    with model.session(clip, follower=random_follower) as session:
        session.add_mask(0, 1, mask=box(12, 0))
        session.add_absent(3, 1)
        session.propagate().save(tmp_path / "out")
    seeds = seeds_of(load_result(tmp_path / "out"), name=lambda mask: mask.number)
    assert [(seed.frame, seed.given_as, seed.is_absent) for seed in seeds] == [(0, "mask", False), (3, "absent", True)]


def test_a_point_shows_it_again(model: Model, random_follower: Path, clip: Path) -> None:
    with model.session(clip, follower=random_follower, prompter="grabcut") as session:
        session.add_mask(0, 1, mask=box(12, 0))
        session.propagate()
        session.add_absent(3, 1)
        with pytest.raises(UsageError, match="negative points only on frame 3"):
            session.add_points(3, 1, points=[(5, 20)], labels=[0])
        assert session.add_points(3, 1, points=[(20, 20)]).mask[20, 20]


def test_a_frame_is_right_without_it(model: Model, random_follower: Path, clip: Path) -> None:
    with model.session(clip, follower=random_follower) as session:
        session.add_mask(0, 1, mask=box(12, 0))
        session.add_absent(3, 1)
        assert session.confirm(3) == (1,), "nothing has to be followed for that"
        with pytest.raises(UsageError, match="nothing was followed"):
            session.confirm(2)
        session.undo()
        session.propagate()
        assert session.confirm(3) == (1,)
        assert [(seed.given_as, seed.is_absent) for seed in session.shown] == [("mask", False), ("confirmed", True)]
        assert 1 not in session.propagate()[3].objects


def test_what_is_shown_nowhere_cannot_be_absent(model: Model, random_follower: Path, clip: Path) -> None:
    with model.session(clip, follower=random_follower) as session:
        session.add_mask(0, 1, mask=box(12, 0))
        with pytest.raises(UsageError, match="object 5 cannot be absent on frame 3"):
            session.add_absent(3, 5)
        with pytest.raises(UsageError, match="add_absent"):
            session.add_mask(3, 1, mask=np.zeros(SIZE, bool))


def test_an_object_that_is_shown_nowhere_is_not_followed() -> None:
    there, nothing = (encode(mask) for mask in (box(12, 0), np.zeros(SIZE, bool)))
    seeds = [SeedMask(frame=frame, object=1, mask=mask, given_as="mask") for frame, mask in ((0, there), (3, nothing))]
    other = SeedMask(frame=3, object=2, mask=nothing, given_as="absent")
    assert to_follow([*seeds, other]) == tuple(seeds)
