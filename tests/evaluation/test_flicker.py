"""Flicker counts what lasts a single frame, and nothing that moves or stays."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from covos.evaluation import flicker


def box(x: int, *, y: int = 10, size: int = 20) -> np.ndarray:
    mask = np.zeros((60, 90), bool)
    mask[y : y + size, max(x, 0) : x + size] = True
    return mask


EMPTY = np.zeros((60, 90), bool)


@given(st.lists(hnp.arrays(np.bool_, (5, 6), fill=st.just(False)), max_size=7))
def test_is_the_formula(masks) -> None:
    expected = []
    for a, b, c in zip(masks, masks[1:], masks[2:], strict=False):
        covered = int((a | b | c).sum())
        expected.append(((a == c) & (a != b)).sum() / covered if covered else 0)
    np.testing.assert_allclose(flicker(masks), expected, atol=1e-15)


def test_what_stands_or_moves_does_not_flicker() -> None:
    assert flicker([box(20)] * 5).tolist() == [0, 0, 0]
    assert flicker([box(3 * t - 10) for t in range(20)]).max() == 0


def test_missing_or_present_for_one_frame_is_all_flicker() -> None:
    assert flicker([box(20), EMPTY, box(20)]).tolist() == [1]
    assert flicker([EMPTY, box(20), EMPTY]).tolist() == [1]


def test_two_frames_are_no_flicker() -> None:
    assert flicker([EMPTY, box(20), box(20), EMPTY]).tolist() == [0, 0]


def test_jitter_counts_by_its_share() -> None:
    assert flicker([box(20), box(21), box(20)]) == pytest.approx(2 / 21)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_fewer_than_three_have_none(count: int) -> None:
    assert flicker([EMPTY] * count).shape == (0,)


def test_takes_an_iterator() -> None:
    assert flicker(box(20 + t % 2) for t in range(4)).shape == (2,)
