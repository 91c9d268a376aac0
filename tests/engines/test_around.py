"""Logits of a frame, brought together with those around it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from covos.engines.around import Around
from covos.engines.between import Seen
from covos.engines.choices import AROUND

ROWS, COLUMNS = 32, 48
SHIFT = 2
"""Cells by which the thing moves to the right from frame to frame."""


def thing(index: int) -> np.ndarray:
    """True where the thing is in a frame."""
    y, x = np.mgrid[:ROWS, :COLUMNS]
    return np.asarray((abs(y - 16) < 6) & (abs(x - 10 - SHIFT * index) < 6))


def seen(index: int, *, wrong: bool = False, shown: bool = True) -> Seen:
    """A frame in which a bright thing moves; the network is sure of it, or takes all for the scene."""
    picture = np.full((2 * ROWS, 2 * COLUMNS, 3), 60, np.uint8)
    there = np.kron(thing(index), np.ones((2, 2))).astype(bool)
    if shown:
        picture[there] = (200, 120, 90)
    logits = np.where(thing(index) & (not wrong), 4.0, -4.0).astype(np.float32)
    flow = np.zeros((ROWS // 2, COLUMNS // 2, 2), np.float32)
    flow[..., 0] = -SHIFT / 2  # in cells of half the size; the scene is plain, so it may move along
    return Seen(index=index, logits=torch.from_numpy(logits)[None], picture=picture, flow=flow if index else None)


def brought(frames: list[Seen], around: Around[int]) -> dict[int, Tensor]:
    found = {}
    for each in frames:
        found |= dict(around.push(each.index, each))
    return found | dict(around.end())


def test_a_frame_that_errs_is_outvoted_by_those_around_it() -> None:
    found = brought([seen(index, wrong=index == 4) for index in range(9)], Around())
    assert list(found) == list(range(9))
    for index, logits in found.items():
        inner = thing(index) & thing(index - 1) & thing(index + 1)
        assert (logits[0].numpy()[inner] > 0).all(), index
        assert (logits[0].numpy()[~thing(index)] < 0).mean() > 0.95, index


def test_a_frame_waits_for_those_after_it_and_no_longer() -> None:
    around, given = Around[int](), list[int]()
    for index in range(8):
        given += [item for item, _ in around.push(index, seen(index))]
        assert given == list(range(max(index - AROUND + 1, 0)))
    assert [item for item, _ in around.end()] == list(range(4, 8))
    assert list(around.end()) == []


def test_of_a_live_video_only_the_past_counts() -> None:
    around = Around[int](AROUND, 0)
    for index in range(6):
        ((item, logits),) = around.push(index, seen(index, wrong=index == 5))
        assert item == index
    assert (logits[0].numpy()[thing(5) & thing(4)] > 0).mean() > 0.9


def test_a_frame_that_does_not_count_takes_from_others_and_gives_nothing() -> None:
    around = Around[int]()
    found = dict[int, Tensor]()
    for index in range(9):
        wrong = index % 2 == 1
        found |= dict(around.push(index, seen(index, wrong=wrong), counts=not wrong))
    found |= dict(around.end())
    for index in range(1, 8):
        inner = thing(index) & thing(index - 1) & thing(index + 1)
        assert (found[index][0].numpy()[inner] > 0).all(), "those that err would be as many as those that do not"
    alone = dict(Around[int](0, 0).push(4, seen(4)))[4]
    torch.testing.assert_close(found[4][0][thing(4)], alone[0][thing(4)], atol=0.5, rtol=0)


def test_nothing_is_taken_from_where_the_picture_looks_otherwise() -> None:
    """The thing is shown in one frame alone: the sure scene of the others is that of a picture without it."""
    frames = [seen(index, wrong=index != 4, shown=index == 4) for index in range(9)]
    found = brought(frames, Around())
    assert (found[4][0].numpy()[thing(4)] > 0).mean() > 0.9
    assert (found[3][0].numpy() < 0).all()


@pytest.mark.parametrize("gap", ["cut", "left out", "size"])
def test_nothing_is_brought_together_across(gap: str) -> None:
    frames = [seen(index) for index in range(4)] + [seen(index, wrong=True) for index in range(4, 8)]
    if gap == "cut":
        frames[4] = Seen(index=4, logits=frames[4].logits, picture=frames[4].picture, flow=None)
    elif gap == "left out":
        frames = [each for each in frames if each.index != 4]
    else:
        frames[4:] = [
            Seen(index=e.index, logits=e.logits[:, :, :-2], picture=e.picture, flow=e.flow) for e in frames[4:]
        ]
    found = brought(frames, Around())
    assert list(found) == [each.index for each in frames]
    for each in frames:
        sure = thing(each.index)[:, : found[each.index].shape[2]]
        inner = sure & thing(each.index - 1)[:, : sure.shape[1]] & thing(each.index + 1)[:, : sure.shape[1]]
        assert (found[each.index][0].numpy()[inner] > 0).all() == (each.index < 4), each.index


def test_a_frame_without_numbers_has_none_and_harms_no_other() -> None:
    frames = [seen(index) for index in range(6)]
    frames[2] = Seen(index=2, logits=frames[2].logits * torch.nan, picture=frames[2].picture, flow=frames[2].flow)
    found = brought(frames, Around())
    assert not torch.isfinite(found[2]).any()
    assert all(torch.isfinite(found[index]).all() for index in found if index != 2)


def test_each_of_several_things_is_brought_together() -> None:
    frames = []
    for index in range(5):
        own = seen(index, wrong=index == 2)
        frames.append(
            Seen(index=index, logits=torch.cat([own.logits, -own.logits]), picture=own.picture, flow=own.flow)
        )
    found = brought(frames, Around())[2]
    assert found.shape == (2, ROWS, COLUMNS)
    torch.testing.assert_close(found[0], -found[1])


def test_rows_of_other_things_are_not_brought_together() -> None:
    """The same number of rows, in another order: one thing must not become the other."""
    frames = []
    for index in range(8):
        own = seen(index)
        rows = [own.logits, -own.logits] if index < 4 else [-own.logits, own.logits]
        frames.append(Seen(index=index, logits=torch.cat(rows), picture=own.picture, flow=own.flow))
    around, found = Around[int](), dict[int, Tensor]()
    for each in frames:
        found |= dict(around.push(each.index, each, things=(1, 2) if each.index < 4 else (2, 1)))
    found |= dict(around.end())
    for index, logits in found.items():
        inner = thing(index) & thing(index - 1) & thing(index + 1)
        assert (logits[0 if index < 4 else 1].numpy()[inner] > 0).all(), index
