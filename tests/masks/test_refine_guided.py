from __future__ import annotations

import cv2
import numpy as np
import pytest

from covos.models.cosnet.refine import guided_filter

SIZE = (120, 160)


def disk(*, textured: bool = False) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A disk of one colour on another, its mask, and what a network with cells of 8 pixels would say of it."""
    height, width = SIZE
    y, x = np.mgrid[:height, :width]
    mask = (y - 61) ** 2 + (x - 77) ** 2 < 33**2
    image = np.where(mask[..., None], (200, 80, 40), (60, 110, 90)).astype(np.float32)
    if textured:
        image += np.random.default_rng(0).normal(0, 6, image.shape)
    image = np.clip(image, 0, 255).astype(np.uint8)
    cells = cv2.resize(mask.astype(np.float32), (width // 8, height // 8), interpolation=cv2.INTER_AREA)
    logit = cv2.resize(8 * cells - 4, (width, height), interpolation=cv2.INTER_LINEAR)
    return image, (1 / (1 + np.exp(-logit))).astype(np.float32), mask


def wrong(probability: np.ndarray, mask: np.ndarray) -> int:
    return int(((probability > 0.5) != mask).sum())


def literal(image: np.ndarray, target: np.ndarray, epsilon: float) -> np.ndarray:
    """He et al.'s filter with a colour guide and windows of 3 x 3 mirrored at the border, pixel by pixel."""
    height, width = target.shape
    pad = np.pad(image.astype(np.float64) / 255, ((1, 1), (1, 1), (0, 0)), mode="symmetric")
    goal = np.pad(target.astype(np.float64), 1, mode="symmetric")
    slopes, offset = np.empty((height, width, 3)), np.empty((height, width))
    for y in range(height):
        for x in range(width):
            colours, values = pad[y : y + 3, x : x + 3].reshape(9, 3), goal[y : y + 3, x : x + 3].ravel()
            covariance = np.cov(colours.T, bias=True) + epsilon * np.eye(3)
            together = ((colours - colours.mean(0)) * (values - values.mean())[:, None]).mean(0)
            slopes[y, x] = np.linalg.inv(covariance) @ together
            offset[y, x] = values.mean() - slopes[y, x] @ colours.mean(0)
    slopes, offset = np.pad(slopes, ((1, 1), (1, 1), (0, 0)), mode="symmetric"), np.pad(offset, 1, mode="symmetric")
    near = [(slice(j, j + height), slice(i, i + width)) for j in range(3) for i in range(3)]
    a, b = sum(slopes[part] for part in near) / 9, sum(offset[part] for part in near) / 9
    return np.asarray((a * image / 255).sum(2) + b)


def test_without_subsampling_it_is_the_formula() -> None:
    rng = np.random.default_rng(1)
    image = rng.integers(0, 256, (14, 18, 3), dtype=np.uint8)
    probability = rng.uniform(0.05, 0.95, (14, 18)).astype(np.float32)
    expected = literal(image, np.log(probability / (1 - probability)), 1e-2)
    ours = guided_filter(image, probability, cell=1e-6, epsilon=1e-2)
    np.testing.assert_allclose(ours, 1 / (1 + np.exp(-expected)), atol=1e-4)


@pytest.mark.parametrize("textured", [False, True])
def test_a_coarse_mask_comes_to_lie_on_the_edge(textured: bool) -> None:
    image, coarse, mask = disk(textured=textured)
    refined = guided_filter(image, coarse, cell=8 / 200)
    assert wrong(coarse, mask) > 50
    assert wrong(refined, mask) < 0.5 * wrong(coarse, mask)


def test_on_a_flat_picture_the_mask_stays() -> None:
    _, coarse, mask = disk()
    flat = np.full((*SIZE, 3), 128, np.uint8)
    assert wrong(guided_filter(flat, coarse), mask) < 1.3 * wrong(coarse, mask)


@pytest.mark.parametrize("value", [0.0, 0.4, 0.6, 1.0])
def test_a_constant_stays_what_it_is(value: float) -> None:
    image, _, _ = disk(textured=True)
    refined = guided_filter(image, np.full(SIZE, value, np.float32))
    np.testing.assert_allclose(refined, value, atol=2e-3)


@pytest.mark.parametrize("size", [(1, 1), (1, 90), (90, 1), (3, 2), (33, 4)])
def test_odd_sizes(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    image, probability = rng.integers(0, 256, (*size, 3), dtype=np.uint8), rng.random(size, dtype=np.float32)
    refined = guided_filter(image, probability)
    assert refined.shape == size
    assert refined.dtype == np.float32
    assert 0 <= refined.min() <= refined.max() <= 1


@pytest.mark.parametrize("bad", [{"cell": 0.0}, {"epsilon": -1.0}, {"epsilon": float("nan")}])
def test_settings_that_make_no_sense(bad: dict[str, float]) -> None:
    image, coarse, _ = disk()
    with pytest.raises(ValueError, match="must be positive"):
        guided_filter(image, coarse, **bad)
