"""Rows of mates: they stand beside a thing, touch it or overlap it, and each mask is what is seen of one of them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat
from pathlib import Path

import numpy as np
import pytest

from covos.data import Video, open_collection
from covos.training.pools import Pool, make_pools
from covos.training.scenes.mates import draw_mates, mates_of
from covos.training.scenes.sprites import lay_over

VIEW = np.full((64, 96, 3), 90, np.uint8)


@pytest.fixture
def still(stills: Path) -> Pool:
    _, still = make_pools(open_collection(stills))
    assert still is not None
    return still


def thing(left: int, right: int) -> np.ndarray:
    made = np.zeros(VIEW.shape[:2], np.uint8)
    made[20:50, left:right] = 255
    return made


def test_mates_touch_the_thing_or_nearly_so(still: Pool) -> None:
    near = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        own = thing(40, 56)
        (mate,) = draw_mates(VIEW, own, mates_of(still, 0, rng=rng), frames=2, most=1, rng=rng)
        assert len(mate.placements) == 2
        assert mate.followed
        _, (left, seen) = lay_over(VIEW, [own], mate, frame=0)
        assert not ((left > 127) & (seen > 127)).any()  # each pixel shows one of them
        columns = np.flatnonzero((seen > 127).any(axis=0))
        near += len(columns) > 0 and columns.min() < 64 and columns.max() > 32
    assert near >= 15


def test_a_row_grows_on_both_sides_and_its_members_are_about_as_large(still: Pool) -> None:
    rng = np.random.default_rng(3)
    mates = [mate for _ in range(8) for mate in draw_mates(
        VIEW, thing(40, 56), mates_of(still, 0, rng=rng), frames=1, most=4, rng=rng
    )]  # fmt: skip
    middles = np.array([mate.center(0)[0] for mate in mates])
    assert (middles < 48).any()
    assert (middles > 48).any()
    heights = [mate.cutout.alpha.shape[0] * np.linalg.norm(mate.placements[0][:, 1]) for mate in mates]
    assert 10 < np.median(heights) < 90


def test_beside_nothing_the_first_mate_lies_somewhere_in_the_view(still: Pool) -> None:
    for seed in range(5):
        rng = np.random.default_rng(seed)
        empty = np.zeros(VIEW.shape[:2], np.uint8)
        first, *_ = draw_mates(VIEW, empty, mates_of(still, None, rng=rng), frames=1, most=3, rng=rng)
        assert 0 < first.center(0)[0] < VIEW.shape[1]


def test_mates_come_of_the_data_set_of_the_picture(still: Pool) -> None:
    for place in (0, len(still.videos) - 1):
        (own,) = (part for part in still.sets if place in part)
        drawn: Iterator[Video] = mates_of(still, place, rng=np.random.default_rng(0))
        assert {next(drawn).name for _ in range(30)} <= {still.videos[index].name for index in own}


def test_pictures_without_a_subject_give_no_mates(still: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("covos.training.scenes.mates.cut_out_subject", lambda _: None)
    rng = np.random.default_rng(0)
    assert not draw_mates(VIEW, thing(40, 56), repeat(still.videos[0]), frames=1, most=3, rng=rng)
