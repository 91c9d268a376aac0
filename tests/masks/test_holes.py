"""Holes over time: those that pop up for a frame or two are filled, those that stay are as large as around them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from covos.core.types import FrameResult, LabelArray
from covos.engines.steady import retouched
from covos.masks.edges import Edges
from covos.masks.frame_mask import FrameMask, objects_of
from covos.masks.holes import Holes
from covos.runs.reading import _all_changed

AREA = 120


def disc(index: int, *, step: int = 4, holes: dict[tuple[int, int], int] | None = None) -> LabelArray:
    """A disc that moves by some pixels a frame, with holes at places of it: their radius by (x, y) from its centre."""
    labels = np.zeros((96, 200), np.uint8)
    x = 45 + step * index
    cv2.circle(labels, (x, 48), 34, 1, -1)
    for (right, down), radius in (holes or {}).items():
        if radius:
            cv2.circle(labels, (x + right, 48 + down), radius, 0, -1)
    return labels


def filled(result: Any, radii: list[int], *, edges: Edges | None = None, **more: Any) -> list[bool]:
    """Tell of each frame if the hole, of a radius that changes, is filled."""
    masks = [disc(index, holes={(10, 0): radius}, **more) for index, radius in enumerate(radii)]
    made = [made_of(result, index, labels) for index, labels in enumerate(masks)]
    out = list(retouched(iter(made), edges or Edges(fill_holes=AREA)))
    assert [each.frame.index for each in out] == list(range(len(radii)))
    return [not np.isfinite(Holes.of(each.labels).areas[1:]).any() for each in out]


def made_of(result: Any, index: int, labels: LabelArray) -> FrameResult:
    made = result(index, size=labels.shape)
    return replace(made, labels=labels, probability=labels.astype(np.float32))


@pytest.mark.parametrize("radii", [[0, 0, 0, 9, 0, 0, 0], [0, 0, 9, 9, 0, 0, 0], [9, 0, 0, 0, 0]])
def test_a_large_hole_that_pops_up_is_filled(result: Any, radii: list[int]) -> None:
    assert all(filled(result, radii))


@pytest.mark.parametrize("step", [0, 4, 12])
def test_a_large_hole_that_stays_is_open_in_all_frames(result: Any, step: int) -> None:
    assert not any(filled(result, [9] * 7, step=step))


def test_a_hole_about_as_large_as_the_area_does_not_flicker(result: Any) -> None:
    """Its areas are 113 and 149, of at most 120 to fill."""
    assert filled(result, [7, 7, 6, 7, 7, 6, 7, 7]) == [False] * 8
    assert filled(result, [6, 6, 7, 6, 6, 7, 6, 6]) == [True] * 8


@pytest.mark.parametrize("edges", [Edges(fill_holes=AREA), Edges(fill_holes=AREA, min_area=9, grow=1)])
def test_masks_that_a_run_kept_are_changed_as_it_changed_them(result: Any, edges: Edges) -> None:
    made = [made_of(result, index, disc(index, holes={(10, 0): 9 * (index in (3, 4))})) for index in range(8)]
    written = {each.frame.stem: objects_of(each.labels) for each in retouched(iter(made), edges)}
    kept = {each.frame.stem: FrameMask.of(replace(each, matte=each.probability), soft=False) for each in reversed(made)}
    changed = _all_changed(kept, edges)
    assert {stem: each.objects for stem, each in changed.items()} == written
    assert list(changed) == list(kept)
    for each in changed.values():
        assert each.matte is not None
        assert np.array_equal(each.matte > 0.5, each.mask)


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_frames_that_are_all_alike_tell_what_each_tells_by_itself(data: st.DataObject) -> None:
    labels = np.full((96, 128), 0, np.uint8)
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    labels[8:88, 8:120] = rng.integers(1, 3, size=(80, 112))
    for _ in range(data.draw(st.integers(0, 40))):
        top, left, high, wide = rng.integers((0, 0, 1, 1), (96, 128, 16, 16))
        labels[top : top + high, left : left + wide] = data.draw(st.sampled_from([0, 0, 0, 1]))
    holes = Holes.of(labels)
    most = data.draw(st.sampled_from([5, 40, 120]))
    five = holes.small(most, near=[(away, Holes.of(labels)) for away in (2, 1, 1, 2)])
    np.testing.assert_array_equal(five, holes.small(most))


@pytest.mark.parametrize("apart", [1, 2, 8, 25])
def test_a_small_hole_beside_others_is_filled(apart: int) -> None:
    labels = np.ones((1080, 1920), np.uint8)
    labels[:200] = 0
    labels[400:500, 700:800] = 0
    labels[440:446, 800 + apart : 806 + apart] = 0
    labels[600:608, 700:708] = labels[600:608, 708 + apart : 716 + apart] = 0
    holes = Holes.of(labels)
    hole = holes.small(100, near=[(away, holes) for away in (2, 1, 1, 2)])
    assert hole.sum() == 36 + 2 * 64
    labels[440:446, 800 + apart : 806 + apart] = 1
    without = Holes.of(labels)
    popped = holes.small(30, near=[(away, without) for away in (2, 1, 1, 2)])
    assert popped[443, 803 + apart], "the large hole beside it was there before: it is another one"
    assert popped.sum() == 36


@pytest.mark.parametrize("blob", [(slice(60, 92), slice(150, 190)), (slice(40, 70), slice(70, 140))])
@pytest.mark.parametrize("identity", [1, 2])
def test_what_appears_for_a_frame_fills_no_hole_that_stays(
    result: Any, blob: tuple[slice, slice], identity: int
) -> None:
    """It stands apart from the subject, or touches it."""
    masks = [disc(index, step=1, holes={(-12, 0): 9}) for index in range(7)]
    masks[3][blob] = identity
    out = list(retouched(iter([made_of(result, index, each) for index, each in enumerate(masks)]), Edges(fill_holes=9)))
    assert [int((each.labels == 0).sum()) for each in out] == [int((each == 0).sum()) for each in masks]


def test_frames_that_are_far_away_or_of_another_shot_tell_nothing(result: Any) -> None:
    masks = [disc(0, holes={(10, 0): 9 * (index == 2)}) for index in range(5)]
    edges = Edges(fill_holes=AREA)

    def is_open(numbers: range, cuts: tuple[int, ...] = ()) -> bool:
        made = [made_of(result, number, each) for number, each in zip(numbers, masks, strict=True)]
        return bool(list(retouched(iter(made), edges, cuts=cuts))[2].labels[48, 55] == 0)

    assert not is_open(range(5))
    assert is_open(range(0, 250, 50))
    assert is_open(range(5), cuts=(2, 3))
    assert is_open(range(5), cuts=(1, 2, 4)), "one of two is there"
    assert not is_open(range(5), cuts=(2,)), "two of three are not"


@pytest.mark.parametrize(("every", "is_filled"), [(1, True), (2, True), (3, False), (5, False)])
def test_frames_that_were_taken_apart_tell_nothing_of_one_another(result: Any, every: int, is_filled: bool) -> None:
    edges = Edges(fill_holes=AREA)
    made = [made_of(result, index, disc(0, holes={(10, 0): 9 * (index == 2)})) for index in range(5)]
    placed = [replace(each, frame=replace(each.frame, source_index=every * each.frame.index)) for each in made]
    out = list(retouched(iter(placed), edges))
    assert bool(out[2].labels[48, 55]) == is_filled
    kept = {each.frame.stem: FrameMask.of(each, soft=False) for each in placed}
    changed = _all_changed(kept, edges, every=every)
    assert [each.objects for each in changed.values()] == [objects_of(each.labels) for each in out]


def test_a_frame_by_itself_goes_by_its_own_area(result: Any) -> None:
    assert filled(result, [6]) == [True]
    assert filled(result, [9]) == [False]


def test_a_bay_that_closes_for_a_frame_is_no_hole_that_pops_up(result: Any) -> None:
    made = []
    for index in range(7):
        labels = disc(index, step=0, holes={(10, 0): 9})
        if index != 3:
            labels[44:52, 55:] = 0  # it is open to the right
        made.append(made_of(result, index, labels))
    out = list(retouched(iter(made), Edges(fill_holes=AREA)))
    assert all(each.labels[48, 55] == 0 for each in out)


def test_every_hole_needs_no_other_frame(result: Any) -> None:
    assert not Edges(fill_holes="all").watches_holes
    assert all(filled(result, [9] * 3, edges=Edges(fill_holes="all")))


def test_other_changes_come_in_their_order(result: Any) -> None:
    """Specks go before holes are looked for, and the edge grows after."""
    speck = disc(0, step=0, holes={(10, 0): 9})
    speck[48, 55] = 1
    edges = Edges(min_area=30, fill_holes=AREA, grow=2)
    (out,) = retouched(iter([made_of(result, 0, speck)]), edges)
    (by_frame,) = [edges.apply(speck, speck.astype(np.float32))[0]]
    np.testing.assert_array_equal(out.labels, by_frame)
    assert out.labels[48, 55] == 0
