from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from covos.core.types import LabelArray, MaskArray
from covos.masks import read_label_map, write_label_map
from covos.masks.object_ids import has_lines
from covos.masks.rims import is_rim, left_of, without_rims

SIZE = (240, 416)


def disc(radius: int, *, x: int = 200, y: int = 120) -> MaskArray:
    return cv2.circle(np.zeros(SIZE, np.uint8), (x, y), radius, 1, cv2.FILLED).astype(bool)


def two(inner: int, outer: int, *, rim: int = 1, whole: int = 2) -> LabelArray:
    """A disc of one object, with another one round it."""
    labels = np.zeros(SIZE, np.uint8)
    labels[disc(outer)] = rim
    labels[disc(inner)] = whole
    return labels


def test_a_line_round_an_object_becomes_part_of_it_and_the_file_can_be_read(tmp_path: Path) -> None:
    labels = two(60, 62)
    assert has_lines(labels)
    cleaned = without_rims(labels)
    assert set(np.unique(cleaned)) == {0, 2}
    assert (cleaned == 2).sum() == (labels > 0).sum()
    write_label_map(tmp_path / "clean.png", cleaned)
    np.testing.assert_array_equal(read_label_map(tmp_path / "clean.png"), cleaned)


def test_lines_along_half_of_a_contour_go_and_the_rest_of_their_object_stays(tmp_path: Path) -> None:
    labels = two(60, 62)
    labels[:, :200][labels[:, :200] == 1] = 0
    labels[disc(40, x=330)] = 1
    cleaned = without_rims(labels)
    assert not has_lines(cleaned)
    np.testing.assert_array_equal(cleaned[disc(38, x=330)], 1)
    assert not ((cleaned == 1) & disc(66)).any()


@pytest.mark.parametrize("ids", [(1, 2), (2, 1)])
def test_a_thicker_rim_goes_if_nobody_drew_it(ids: tuple[int, int]) -> None:
    rim, whole = ids
    labels = two(60, 65, rim=rim, whole=whole)
    assert not has_lines(labels)
    assert without_rims(labels, found={whole}) is labels
    cleaned = without_rims(labels, found={1, 2})
    assert set(np.unique(cleaned)) == {0, whole}
    assert (labels == rim).any(), "the map that was given is as it was"


def test_objects_side_by_side_and_small_ones_stay() -> None:
    labels = two(60, 60)
    labels[disc(50, x=310)] = 3
    labels[disc(4, x=264)] = 5  # a ball in its hand
    np.testing.assert_array_equal(without_rims(labels, found={1, 2, 3, 5}), labels)


def test_a_rim_is_thin_and_long_and_along_the_whole() -> None:
    ring = disc(64) & ~disc(60)
    assert is_rim(ring, disc(60))
    assert not is_rim(ring, disc(30, x=60))
    assert not is_rim(disc(60), ring)
    assert not is_rim(disc(80) & ~disc(50), disc(50))
    assert not is_rim(np.zeros(SIZE, bool), disc(50))


def strip(top: int, left: int, height: int, width: int) -> MaskArray:
    made = np.zeros(SIZE, bool)
    made[top : top + height, left : left + width] = True
    return made


@pytest.mark.parametrize("turned", [False, True])
def test_what_is_short_or_thick_or_half_along_the_whole_is_no_rim(turned: bool) -> None:
    """Along a side of a box; in a frame of this size, a rim is at most 8 pixels thick."""

    def is_along(part: MaskArray, whole: MaskArray) -> bool:
        return is_rim(np.ascontiguousarray(part.T), np.ascontiguousarray(whole.T)) if turned else is_rim(part, whole)

    whole = strip(100, 20, 120, 360)
    assert is_along(strip(94, 20, 6, 360), whole)
    assert is_along(strip(94, 20, 6, 30), whole)
    assert not is_along(strip(94, 20, 6, 12), whole), "short"
    assert not is_along(strip(90, 20, 10, 360), whole), "thick"
    assert not is_along(strip(94, 20, 6, 360), strip(100, 20, 120, 180)), "half of it leads away"
    assert is_along(strip(94, 20, 6, 360), strip(100, 20, 120, 300)), "nearly all of it is there"


def test_a_rim_may_lie_beside_the_border_of_the_frame() -> None:
    upper, lower = strip(2, 2, 5, 412), strip(233, 2, 5, 412)
    assert is_rim(upper, strip(7, 2, 100, 412))
    assert is_rim(lower, strip(120, 2, 113, 412))
    assert not is_rim(upper, strip(120, 2, 113, 412))


def test_a_rim_round_a_rim_becomes_part_of_the_whole_too() -> None:
    labels = two(60, 65, rim=2, whole=1)
    labels[disc(70) & ~disc(65)] = 3
    cleaned = without_rims(labels, found={2, 3})
    assert set(np.unique(cleaned)) == {0, 1}
    np.testing.assert_array_equal(cleaned > 0, disc(70))


def test_a_map_of_lines_alone_stays_as_it_is() -> None:
    labels = np.zeros(SIZE, np.uint8)
    for row in range(10, 100, 3):
        labels[row, 10:200], labels[row + 1, 10:200] = 3, 2
    np.testing.assert_array_equal(without_rims(labels), labels)


LARGE = (480, 640)


def box(top: int, left: int, height: int, width: int) -> MaskArray:
    made = np.zeros(LARGE, bool)
    made[top : top + height, left : left + width] = True
    return made


def test_a_rim_round_what_another_object_takes_goes_with_it() -> None:
    """A subject of two things, of which the user shows one: no two masks of it have the same contour."""
    shown = box(100, 100, 150, 120)
    rest, rim = box(100, 400, 150, 120), cv2.dilate(shown.astype(np.uint8), np.ones((7, 7), np.uint8)).view(bool)
    np.testing.assert_array_equal(left_of(rim | rest, shown), rest)
    bridge = box(170, 220, 40, 200)  # now the two hang together
    left = left_of(rim | rest | bridge, shown)
    assert not left[:160].any(where=np.arange(640) < 300)
    assert not left[230:].any(where=np.arange(640) < 300)
    np.testing.assert_array_equal(left & box(0, 230, 480, 410), (rest | bridge) & box(0, 230, 480, 410))


def test_a_long_piece_that_the_shown_mask_has_missed_goes_if_nothing_else_is_there() -> None:
    shown = box(100, 100, 150, 120)
    missed = box(250, 100, 10, 120)
    assert not left_of(shown | missed, shown).any()
    assert left_of(shown | missed | box(260, 150, 100, 40), shown)[255].any(), "it is a part of something larger"


def test_what_is_a_thing_of_its_own_stays() -> None:
    shown = box(100, 100, 150, 120)
    ball = cv2.circle(np.zeros(LARGE, np.uint8), (230, 150), 9, 1, cv2.FILLED).view(bool) & ~shown
    strap, away = box(120, 220, 3, 100), box(300, 300, 3, 60)
    for each in (ball, strap, away):
        np.testing.assert_array_equal(left_of(shown | each, shown), each)
    knob = box(150, 220, 12, 7)
    np.testing.assert_array_equal(left_of(shown | knob, shown), knob, err_msg="no sliver, and as thick as it is long")
    line = box(100, 220, 150, 2)
    np.testing.assert_array_equal(left_of(line, shown), line, err_msg="nothing was taken of it")
    half = box(100, 100, 150, 60)
    np.testing.assert_array_equal(left_of(shown, half), shown & ~half)
