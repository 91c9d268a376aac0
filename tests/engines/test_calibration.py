from __future__ import annotations

import numpy as np
import pytest
import torch

from covos.engines.calibration import Calibration, Signals, estimate_mask, signals_of
from covos.models.follow import DecodedObjects

SURE = Signals(quality=2.0, presence=4.0, decided=2.0, agreement=0.8, match=0.9, jump=0.0)


def decoded(solid: np.ndarray, *, long: np.ndarray | None = None) -> DecodedObjects:
    """One object whose mask is sure at stride 4; the reading is at stride 16."""
    logit = torch.from_numpy(np.where(solid, 9.0, -9.0).astype(np.float32))[None, None]
    small = solid.reshape(solid.shape[0] // 4, 4, solid.shape[1] // 4, 4).mean(axis=(1, 3)).astype(np.float32)
    read = torch.from_numpy(small if long is None else long)[None, None].expand(1, 2, -1, -1)
    match = torch.full((1, *small.shape), 0.7)
    return DecodedObjects(logit, torch.tensor([3.0]), torch.tensor([20.0]), read, match, torch.ones(1, 1, 1))


def box() -> np.ndarray:
    mask = np.zeros((16, 32), bool)
    mask[4:12, 8:16] = True
    return mask


def test_signals_of_a_mask_that_all_agree_on() -> None:
    (signals,) = signals_of(decoded(box()), usual=[64 / 512])
    assert signals.presence == pytest.approx(3)
    assert signals.quality == pytest.approx(8), "logits are clipped"
    assert signals.decided > 5
    assert signals.agreement > 0.95
    assert signals.match == pytest.approx(0.7)
    assert signals.jump == pytest.approx(0)


def test_signals_of_a_flood() -> None:
    (signals,) = signals_of(decoded(~box(), long=np.zeros((4, 8), np.float32)), usual=[64 / 512])
    assert signals.agreement < 0.01
    assert signals.jump == pytest.approx(np.log(7))
    (new,) = signals_of(decoded(box()), usual=[None])
    assert new.jump == 0
    (empty,) = signals_of(decoded(np.zeros((16, 32), bool)), usual=[0.1])
    assert all(np.isfinite(empty))


def test_without_a_calibration_the_network_is_taken_at_its_word() -> None:
    guess = estimate_mask(SURE._replace(quality=0.0, presence=0.0), None)
    assert guess == pytest.approx((0.25, 0.5))


def test_a_card_of_other_signals_calibrates_nothing() -> None:
    weights = tuple(float(k) for k in range(7))
    kept = Calibration(jaccard=weights, absent=weights)
    assert Calibration.from_card({"jaccard": list(weights), "absent": list(weights)}) == kept
    assert Calibration.from_card({}) is None
    assert Calibration.from_card({"jaccard": [1.0], "absent": [1.0]}) is None
