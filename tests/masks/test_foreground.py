from __future__ import annotations

import cv2
import numpy as np
import pytest

from covos.core.errors import UsageError
from covos.masks.foreground import foreground_colours


def composite(background: tuple[int, int, int] = (40, 200, 70)) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A shaded foreground mixed with a shaded background by a soft disk: the picture, alpha, the foreground."""
    height, width = 180, 240
    y, x = np.mgrid[:height, :width].astype(np.float32)
    alpha = np.clip((60 - np.hypot(y - 90, x - 120)) / 6 + 0.5, 0, 1).astype(np.float32)
    shade = np.stack((30 * y / height, 30 * x / width, 0 * x), axis=2)
    foreground = np.array([190, 60, 50], np.float32) + shade
    behind = np.array(background, np.float32) + (shade / 2 if max(background) < 200 else -shade / 2)
    image = alpha[..., None] * foreground + (1 - alpha[..., None]) * behind
    return np.rint(image).astype(np.uint8), alpha, foreground


@pytest.mark.parametrize("background", [(40, 200, 70), (250, 250, 250), (0, 0, 0)])
def test_the_fringe_goes(background: tuple[int, int, int]) -> None:
    image, alpha, foreground = composite(background)
    border = (alpha > 0.05) & (alpha < 0.95)
    before = np.abs(image[border] - foreground[border]).mean()
    after = np.abs(foreground_colours(image, alpha)[border] - foreground[border]).mean()
    assert border.sum() > 500
    assert after < before / 8


def test_deep_colours_are_estimated_as_finely_as_they_are() -> None:
    image, alpha, foreground = composite()
    behind = np.array([40, 200, 70], np.float32)
    mixed = alpha[..., None] * foreground + (1 - alpha[..., None]) * behind
    deep = np.rint(mixed * 257).astype(np.uint16)
    found = foreground_colours(deep, alpha)
    border = (alpha > 0.2) & (alpha < 0.95)
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found[(alpha == 0) | (alpha == 1)], deep[(alpha == 0) | (alpha == 1)])
    shallow = foreground_colours(np.rint(mixed).astype(np.uint8), alpha)
    errors = [np.abs(each[border] - foreground[border]).mean() for each in (found / 257.0, shallow.astype(np.float64))]
    assert errors[0] < errors[1]
    with pytest.raises(UsageError, match="uint8 or uint16"):
        foreground_colours(image.astype(np.float32), alpha)  # type: ignore[type-var]


def test_a_cut_out_on_a_new_background_is_that_of_the_true_colours() -> None:
    image, alpha, foreground = composite()
    share = alpha[..., None]
    true = share * foreground + (1 - share) * 255
    ours = share * foreground_colours(image, alpha) + (1 - share) * 255
    raw = share * image + (1 - share) * 255
    assert np.abs(ours - true).max() < np.abs(raw - true).max() / 4


def test_what_is_not_mixed_is_not_touched() -> None:
    image, alpha, _ = composite()
    colours = foreground_colours(image, alpha)
    for sure in (0, 1):
        np.testing.assert_array_equal(colours[alpha == sure], image[alpha == sure])


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_all_or_nothing(value: float) -> None:
    image, alpha, _ = composite()
    np.testing.assert_array_equal(foreground_colours(image, np.full_like(alpha, value)), image)


def test_half_of_everything_is_explained_by_the_picture_itself() -> None:
    image, alpha, _ = composite()
    colours = foreground_colours(image, np.full_like(alpha, 0.5))
    assert np.abs(colours.astype(int) - image).mean() < 2


def test_each_of_two_things_keeps_its_own_colour() -> None:
    """A mean over a window would mix them."""
    alpha = np.zeros((60, 80), np.float32)
    alpha[:, 10:70] = 0.5
    alpha[:, 14:66] = 1
    true = np.where(np.arange(80)[None, :, None] < 40, (220.0, 30.0, 30.0), (30.0, 30.0, 220.0)) * np.ones((60, 1, 1))
    image = np.rint(alpha[..., None] * true + (1 - alpha[..., None]) * (30, 220, 30)).astype(np.uint8)
    soft = alpha == 0.5
    assert np.abs(foreground_colours(image, alpha)[soft] - true[soft]).max() < 12


def test_thin_strands_are_given_their_own_colour() -> None:
    """Nowhere is a strand opaque: its colour follows from the thicker parts, and from the background beside it."""
    rng = np.random.default_rng(3)
    alpha = np.zeros((120, 160), np.float32)
    cv2.rectangle(alpha, (0, 0), (159, 30), 1.0, -1)
    for column in range(5, 155, 9):
        cv2.line(alpha, (column, 30), (column + 4, 110), 0.8, 1, cv2.LINE_AA)
    alpha = cv2.GaussianBlur(alpha, (0, 0), 0.6)
    behind = np.tile(rng.uniform(120, 255, (1, 160, 1)), (120, 1, 3)) * (0.4, 1, 0.6)
    image = np.rint(alpha[..., None] * np.array([200, 40, 30]) + (1 - alpha[..., None]) * behind).astype(np.uint8)
    strands = (alpha > 0.1) & (alpha < 0.9)
    strands[:34] = False
    error = np.abs(foreground_colours(image, alpha)[strands] - (200, 40, 30)).mean()
    assert error < np.abs(image[strands] - (200.0, 40, 30)).mean() / 4


def test_far_pixels_do_not_cost_and_do_not_count() -> None:
    """A small thing in a large picture: what lies far from its edge changes nothing."""
    image, alpha, _ = composite()
    large, wide = np.zeros((720, 960, 3), np.uint8), np.zeros((720, 960), np.float32)
    large[:180, :240], wide[:180, :240] = image, alpha
    other = large.copy()
    other[500:, 700:] = 255
    one, two = (foreground_colours(each, wide)[:180, :240].astype(int) for each in (large, other))
    assert np.abs(one - two).max() <= 2


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1), (2, 3)])
def test_odd_sizes(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    image, alpha = rng.integers(0, 256, (*size, 3), dtype=np.uint8), rng.random(size, dtype=np.float32)
    colours = foreground_colours(image, alpha)
    assert colours.shape == image.shape
    assert colours.dtype == np.uint8


def test_the_input_is_not_changed() -> None:
    image, alpha, _ = composite()
    kept, kept_alpha = image.copy(), alpha.copy()
    image.flags.writeable = alpha.flags.writeable = False
    foreground_colours(image, alpha)
    np.testing.assert_array_equal(image, kept)
    np.testing.assert_array_equal(alpha, kept_alpha)
