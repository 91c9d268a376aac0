"""The measures of saliency against the formulas, written out plainly."""

from __future__ import annotations

import numpy as np
import pytest

from covos.core.errors import UsageError
from covos.evaluation import Saliency


def literal(pairs: list[tuple[np.ndarray, np.ndarray]]) -> tuple[float, float, float]:
    """MAE, maximal F and its threshold, threshold by threshold and picture by picture."""
    mae = np.mean([np.mean(np.abs(p.astype(float) - g)) for p, g in pairs])
    best, at = -1.0, 0.0
    for k in range(1, 256):
        precisions, recalls = [], []
        for p, g in pairs:
            found, true = p * np.float32(255) >= k, g > 0.5
            both = (found & true).sum()
            precisions.append(both / found.sum() if found.any() else 0.0)
            recalls.append(both / true.sum() if true.any() else 0.0)
        precision, recall = np.mean(precisions), np.mean(recalls)
        f = 1.3 * precision * recall / (0.3 * precision + recall) if precision + recall else 0.0
        if f > best:
            best, at = f, k / 255
    return float(mae), float(best), at


def pairs(count: int, *, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    draw = np.random.default_rng(seed)
    made = []
    for index in range(count):
        size = (9 + index, 14 - index)
        truth = np.float32(draw.choice([0, 85, 170, 255], size, p=[0.6, 0.05, 0.05, 0.3])) / np.float32(255)
        noise = draw.normal(scale=0.35, size=size)
        made.append((np.clip(truth + noise, 0, 1).astype(np.float32), truth))
    return made


def score(given: list[tuple[np.ndarray, np.ndarray]]) -> tuple[float, float, float]:
    measure = Saliency()
    for probability, truth in given:
        measure.add(probability, truth)
    scores = measure.scores()
    assert scores.pictures == len(given)
    return scores.mae, scores.max_f, scores.threshold


@pytest.mark.parametrize("seed", range(5))
def test_the_scores_are_those_of_the_formulas(seed: int) -> None:
    given = pairs(6, seed=seed)
    assert score(given) == pytest.approx(literal(given), abs=1e-7)


def test_an_empty_truth_and_an_empty_map() -> None:
    nothing, some = np.zeros((4, 5), np.float32), np.zeros((4, 5), np.float32)
    some[1:3, 2:4] = 1
    given = [(some, nothing), (nothing, some), (some, some)]
    assert score(given) == pytest.approx(literal(given), abs=1e-9)
    assert score([(some, some)]) == (0.0, pytest.approx(1.0), 1 / 255)
    assert score([(nothing, some)])[1] == 0.0


def test_what_cannot_be_scored_is_refused() -> None:
    with pytest.raises(UsageError, match="nothing to score"):
        Saliency().scores()
    with pytest.raises(UsageError, match="cannot be compared"):
        Saliency().add(np.zeros((4, 5), np.float32), np.zeros((5, 4), np.float32))
