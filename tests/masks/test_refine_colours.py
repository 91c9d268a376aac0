from __future__ import annotations

import cv2
import numpy as np
import pytest

from covos.masks.matte import foreground_colours


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


def test_a_cut_out_on_a_new_background_is_that_of_the_true_colours() -> None:
    image, alpha, foreground = composite()
    share = alpha[..., None]
    true = share * foreground + (1 - share) * 255
    ours = share * foreground_colours(image, alpha) + (1 - share) * 255
    raw = share * image + (1 - share) * 255
    assert np.abs(ours - true).max() < np.abs(raw - true).max() / 4


def test_what_is_opaque_is_not_touched_and_what_is_far_is_not_handed_on() -> None:
    image, alpha, _ = composite()
    colours = foreground_colours(image, alpha)
    np.testing.assert_array_equal(colours[alpha == 1], image[alpha == 1])
    far = cv2.dilate((alpha > 0).astype(np.uint8), np.ones((15, 15), np.uint8)) == 0
    assert far.any()
    assert not colours[far].any()


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_all_or_nothing(value: float) -> None:
    image, alpha, _ = composite()
    colours = foreground_colours(image, np.full_like(alpha, value))
    np.testing.assert_array_equal(colours, image if value else np.zeros_like(image))


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
