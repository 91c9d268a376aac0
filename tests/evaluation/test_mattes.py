"""Errors of mattes against values made by hand, and against the formulas written out plainly."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import ndimage

from covos.core.errors import UsageError
from covos.evaluation import dt_ssd, matte_errors

ZERO = np.zeros((24, 30), np.float32)


def square(value: float = 1.0, *, left: int = 8) -> np.ndarray:
    alpha = ZERO.copy()
    alpha[6:18, left : left + 12] = value
    return alpha


def test_a_perfect_matte_has_no_errors() -> None:
    errors = matte_errors(square(0.7), square(0.7))
    assert (errors.sad, errors.mse, errors.grad, errors.conn) == (0, 0, 0, 0)


def test_sad_and_mse_are_the_sum_and_the_mean_of_what_differs() -> None:
    errors = matte_errors(square(0.75), square(1.0))
    assert errors.sad == pytest.approx(0.25 * 144)
    assert errors.mse == pytest.approx(0.25**2 * 144 / ZERO.size)


def test_only_the_pixels_that_count_are_compared() -> None:
    where = np.zeros(ZERO.shape, np.bool_)
    where[6, 8:12] = True
    errors = matte_errors(square(0.5), square(1.0), where=where)
    assert (errors.sad, errors.mse) == (pytest.approx(2.0), pytest.approx(0.25))


def test_the_gradient_error_is_that_of_gaussian_derivatives() -> None:
    found, truth = square(0.6), square(1.0)

    def steepness(alpha: np.ndarray) -> np.ndarray:
        # scipy's kernel sums differently: both are brought to length 1.
        impulse = np.zeros((31, 31))
        impulse[15, 15] = 1
        slopes = []
        for order in ((0, 1), (1, 0)):
            kernel = ndimage.gaussian_filter(impulse, 1.4, order=order, truncate=2.9)
            slopes.append(ndimage.convolve(alpha.astype(float), kernel / np.linalg.norm(kernel), mode="nearest"))
        return np.hypot(*slopes)

    expected = np.square(steepness(found) - steepness(truth)).sum()
    assert matte_errors(found, truth).grad == pytest.approx(expected, rel=1e-6)


def test_what_floats_apart_is_disconnected_and_what_holds_on_is_not() -> None:
    truth = square()
    apart = truth.copy()
    apart[0:2, 0:5] = 0.8  # ten pixels that nothing holds
    assert matte_errors(apart, truth).conn == pytest.approx(8.0, abs=1e-5)
    # A little less opaque within the square: below the tolerance.
    assert matte_errors(square(0.93), truth).conn == pytest.approx(0.0, abs=1e-9)


def test_a_pixel_that_drops_out_counts_by_how_far() -> None:
    truth, found = square(), square()
    found[10, 12] = 0.5
    # It is last held at one half: the truth is half away there, the matte is not.
    assert matte_errors(found, truth).conn == pytest.approx(0.5, abs=1e-5)


def test_a_matte_that_moves_as_the_truth_does_not_flicker() -> None:
    truths = [square(left=left) for left in (6, 8, 10)]
    assert dt_ssd(truths, truths) == 0
    offset = [truth * np.float32(0.5) + np.float32(0.25) for truth in truths]
    still = [square(left=8)] * 3
    assert dt_ssd(offset, truths) == pytest.approx(math.sqrt(0.25 * 48 / ZERO.size))
    assert dt_ssd(still, truths) == pytest.approx(math.sqrt(48 / ZERO.size))
    assert dt_ssd([square(0.5)] * 3, [square()] * 3) == 0  # wrong, but steady


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(UsageError, match="pixel by pixel"):
        matte_errors(ZERO, ZERO[1:])
    with pytest.raises(UsageError, match="nothing to compare"):
        matte_errors(ZERO, ZERO, where=ZERO > 0)
    with pytest.raises(UsageError, match="two frames or more"):
        dt_ssd([ZERO], [ZERO])
