"""Opacity of a trimap: colours of the whole rim, brought together along the colours of the picture."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

import covos
from covos.core.errors import UsageError
from covos.engines.colour_lines import ColourLines
from covos.engines.pairs import best_pairs

SUBJECT, BEHIND = np.array([220, 60, 40]), np.array([20, 90, 180])
SIZE = (160, 200)


def disc(*, blur: float = 4.0) -> np.ndarray:
    drawn = np.zeros(SIZE, np.float32)
    cv2.circle(drawn, (100, 80), 45, 1.0, -1)
    return np.clip(cv2.GaussianBlur(drawn, (0, 0), blur), 0, 1)


def mixed(alpha: np.ndarray, *, noise: float = 0.0) -> np.ndarray:
    image = alpha[..., None] * SUBJECT + (1 - alpha[..., None]) * BEHIND
    return np.clip(np.rint(image + noise * np.random.default_rng(0).standard_normal(image.shape)), 0, 255).astype(
        np.uint8
    )


def trimap(alpha: np.ndarray) -> np.ndarray:
    return np.where((alpha > 0.01) & (alpha < 0.99), np.float32(0.5), np.rint(alpha))


@pytest.mark.parametrize("noise", [0.0, 4.0])
def test_a_soft_edge_is_found(noise: float) -> None:
    alpha = disc()
    told = trimap(alpha)
    found = covos.solve_trimap(mixed(alpha, noise=noise), told)
    unknown = told == 0.5
    assert found.dtype == np.float32
    assert np.abs(found - alpha)[unknown].mean() < 0.05
    np.testing.assert_array_equal(found[~unknown], told[~unknown])


def test_what_lies_far_from_all_that_is_known_is_found_too() -> None:
    alpha = np.zeros(SIZE, np.float32)
    alpha[20:140, 30:170] = 1
    told = np.full(SIZE, 0.5, np.float32)
    told[24:136, 34:40] = 1  # a stripe of the subject; the rest of it is 130 pixels wide
    told[:8], told[-8:] = 0, 0
    found = covos.solve_trimap(mixed(alpha), told)
    assert found[80, 150] > 0.97
    assert found[80, 190] < 0.03


def test_the_answer_is_the_same_for_a_seed() -> None:
    alpha = disc()
    image, told = mixed(alpha, noise=6), trimap(alpha)
    one, other = (covos.solve_trimap(image, told, seed=3) for _ in range(2))
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_a_trimap_that_lacks_a_side_is_handed_back(value: float) -> None:
    told = np.full(SIZE, value, np.float32)
    np.testing.assert_array_equal(covos.solve_trimap(mixed(disc()), told), told)
    half = told.copy()
    half[:, :90] = 1.0
    if value:
        np.testing.assert_array_equal(covos.solve_trimap(mixed(disc()), half), half)


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (2, 40)])
def test_small_pictures(size: tuple[int, int]) -> None:
    told = np.full(size, 0.5, np.float32)
    told[0, 0], told[-1, -1] = 1, 0
    found = covos.solve_trimap(np.full((*size, 3), 90, np.uint8), told)
    assert found.shape == size
    assert np.isfinite(found).all()
    assert 0 <= found.min() <= found.max() <= 1


def test_bad_values_are_refused() -> None:
    image, told = mixed(disc()), trimap(disc())
    with pytest.raises(UsageError, match="the trimap must be H x W float32"):
        covos.solve_trimap(image, (told * 255).astype(np.uint8))  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="the image is"):
        covos.solve_trimap(image[1:], told)


def test_a_pair_is_taken_from_the_whole_rim() -> None:
    # The subject is green at its left end, where the unknown pixels are red like its right end.
    image = np.empty((40, 120, 3), np.uint8)
    image[:] = BEHIND
    image[10:30] = SUBJECT
    image[10:30, :8] = (30, 200, 30)
    subject, behind = np.zeros((40, 120), np.bool_), np.zeros((40, 120), np.bool_)
    subject[10:30, :8] = subject[10:30, -8:] = True
    behind[:5] = behind[-5:] = True
    alpha, cost = best_pairs(image, (subject, behind), rng=np.random.default_rng(0))
    assert alpha[15:25, 12:100].min() > 0.95
    assert alpha[6:9, 20:100].max() < 0.05
    assert not cost[subject | behind].any()


def test_values_change_where_the_colour_does() -> None:
    picture = np.empty((40, 60, 3), np.float32)
    picture[:, :20], picture[:, 20:] = SUBJECT / 255, BEHIND / 255  # the seam is not midway between what is known
    target, weight = np.zeros((40, 60), np.float32), np.zeros((40, 60), np.float32)
    target[:, :6], weight[:, :6], weight[:, -6:] = 1, 100, 100
    lines = ColourLines(picture)
    found = lines.solve(target, weight)
    assert found[:, :19].min() > 0.8
    assert found[:, 21:].max() < 0.2
    slopes, offsets = lines.fit(found)
    assert np.abs((slopes * picture).sum(axis=2) + offsets - found).max() < 0.1


@pytest.mark.parametrize("size", [(601, 261), (83, 97), (240, 321)])
def test_what_is_sure_stays_so_at_any_size(size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    given = np.ones(size, np.float32)
    given[: size[0] // 2] = 0
    given[size[0] // 2 - 4 : size[0] // 2 + 4] = 0.5
    sides: list[np.ndarray] = []

    def seen(image, both, *, rng):
        sides.extend(both)
        return best_pairs(image, both, rng=rng)

    monkeypatch.setattr("covos.engines.trimap.best_pairs", seen)
    covos.solve_trimap(np.random.default_rng(0).integers(0, 255, (*size, 3), dtype=np.uint8), given)
    loose = ~(sides[0] | sides[1]).all(axis=1)
    assert 0 < loose.sum() < 8
