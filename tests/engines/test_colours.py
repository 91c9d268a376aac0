from __future__ import annotations

import numpy as np
import pytest

from covos.engines.colours import colours_to_labels
from covos.masks import davis_palette


@pytest.mark.parametrize("objects", [1, 7, 20, 255])
def test_colours_of_the_palette_come_back_as_their_ids(objects: int) -> None:
    labels = np.arange(objects + 1, dtype=np.uint8)[None].repeat(3, axis=0)
    assert np.array_equal(colours_to_labels(davis_palette()[labels] / np.float32(255), objects=objects), labels)


def test_colours_that_are_off_go_to_the_nearest() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 8, (40, 50)).astype(np.uint8)
    noisy = davis_palette()[labels] / 255 + rng.uniform(-0.24, 0.24, (40, 50, 3))
    assert np.array_equal(colours_to_labels(noisy.clip(0, 1).astype(np.float32)), labels)
    brute = np.linalg.norm(noisy[:, :, None] - davis_palette()[:13] / 255, axis=-1).argmin(axis=-1)
    assert np.array_equal(colours_to_labels(noisy.astype(np.float32), objects=12), brute)


def test_faint_colours_are_background() -> None:
    assert not colours_to_labels(np.full((2, 2, 3), 0.2, np.float32)).any()


def test_classes_reach_one_where_colours_reach_a_half() -> None:
    pixel = np.array([[[0.6, 0.4, 0.9]]], np.float32)
    assert colours_to_labels(pixel, level=1.0).item() == 0b101
    assert colours_to_labels(pixel).item() == 0b111
