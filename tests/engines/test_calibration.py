from __future__ import annotations

import numpy as np
import pytest
import torch

from covos.engines.calibration import FORGOTTEN, Calibration, Signals, estimate_mask, signals_of
from covos.models.follow import DecodedObjects, FollowFeatures
from signals import SURE

AGREED = torch.tensor([[0.8, 0.9]])


def coarse(solid: np.ndarray, factor: int) -> torch.Tensor:
    """Share of larger cells that a mask covers: 1 x 1 x h x w."""
    return torch.nn.functional.avg_pool2d(torch.from_numpy(solid.astype(np.float32))[None, None], factor)


def decoded(
    solid: np.ndarray,
    *,
    long: np.ndarray | None = None,
    before: np.ndarray | None = None,
    scored: np.ndarray | None = None,
) -> DecodedObjects:
    """One object whose mask is sure at stride 2; what is not given agrees with it."""
    logit = torch.from_numpy(np.where(solid, 9.0, -9.0).astype(np.float32))[None, None]
    read = coarse(solid if long is None else long, 8)
    return DecodedObjects(
        logit_P1HW=logit,
        present_P=torch.tensor([3.0]),
        quality_P=torch.tensor([20.0]),
        read_P2hw=read.expand(1, 2, -1, -1),
        match_Phw=torch.full_like(read[0], 0.7),
        shares_BM=torch.ones(1, 1),
        before_P1HW=coarse(solid if before is None else before, 2),
        # Scores go beyond 0 and 1.
        score_P1HW=coarse(solid if scored is None else scored, 4) * 2.5 - 0.5,
    )


def frame(cue: np.ndarray) -> FollowFeatures:
    """Features of a frame of which the cue is known."""
    nothing = torch.zeros(1)
    return FollowFeatures(*(nothing,) * 7, coarse(cue, 1), torch.ones(1), nothing)


def box() -> np.ndarray:
    mask = np.zeros((32, 64), bool)
    mask[8:24, 16:32] = True
    return mask


def signals(found: DecodedObjects, *, cue: np.ndarray | None = None, usual: float | None = 256 / 2048) -> Signals:
    (each,) = signals_of(found, frame(box() if cue is None else cue), AGREED, usual=[usual], contested=[0.0])
    return each


def test_signals_of_a_mask_that_all_agree_on() -> None:
    found = signals(decoded(box()))
    assert found.presence == pytest.approx(3)
    assert found.quality == pytest.approx(8), "logits are clipped"
    assert found.decided > 5
    assert min(found.agreement, found.moved, found.scored) > 0.95
    assert found.match == pytest.approx(0.7)
    assert found.cued == pytest.approx(0.8, abs=0.01), "as well as the cue agreed where the object was shown"
    assert found.jump == pytest.approx(0)


def test_signals_of_a_flood() -> None:
    nothing = np.zeros((32, 64), bool)
    found = signals(decoded(~box(), long=nothing, before=box(), scored=box()))
    assert max(found.agreement, found.moved, found.scored) < 0.01
    assert found.cued == pytest.approx(-0.8, abs=0.01)
    assert found.jump == pytest.approx(np.log(7))
    assert signals(decoded(box()), usual=None).jump == 0
    assert all(np.isfinite(signals(decoded(nothing))))


def test_each_signal_sees_its_own_disagreement() -> None:
    half = box()
    half[:, 24:] = False
    for name, other in {
        "agreement": decoded(box(), long=half),
        "moved": decoded(box(), before=half),
        "scored": decoded(box(), scored=half),
    }.items():
        found = signals(other)._asdict()
        assert found.pop(name) == pytest.approx(0.5, abs=0.02)
        rest = signals(decoded(box()))._asdict()
        del rest[name]
        assert found == pytest.approx(rest)
    assert signals(decoded(box()), cue=half).cued == pytest.approx(0, abs=0.02)


def test_pixels_that_are_nearly_even_are_undecided() -> None:
    assert signals(decoded(box())).undecided == 0
    unsure = decoded(box())
    unsure.logit_P1HW[..., 8:24, 16:20] = 1.0
    assert signals(unsure).undecided == pytest.approx(1 / 4)


def test_a_mask_that_others_claim_is_contested_and_stays_so_for_a_while() -> None:
    half = box()
    half[:, 24:] = False
    both = DecodedObjects(*map(torch.cat, zip(decoded(box()), decoded(half), strict=True)))

    def contested(before: list[float]) -> list[float]:
        agreed = AGREED.repeat(2, 1)
        found = signals_of(both, frame(box()), agreed, usual=[None, None], contested=before)
        return [each.contested for each in found]

    assert contested([0.0, 0.0]) == pytest.approx([0.5, 1.0])
    assert contested([0.9, 0.0]) == pytest.approx([0.9 * FORGOTTEN, 1.0])
    assert signals(decoded(box())).contested == 0, "there is no other"


def test_where_the_cue_never_agreed_it_speaks_neither_for_a_mask_nor_against_it() -> None:
    for cue in (box(), ~box()):
        (found,) = signals_of(decoded(box()), frame(cue), torch.tensor([[0.0, 0.9]]), usual=[None], contested=[0.0])
        assert found.cued == 0


def test_without_a_calibration_the_network_is_taken_at_its_word() -> None:
    guess = estimate_mask(SURE._replace(quality=0.0, presence=0.0), None)
    assert guess == pytest.approx((0.25, 0.5))


def test_a_card_of_other_signals_calibrates_nothing() -> None:
    weights = tuple(float(k) for k in range(len(Signals._fields) + 1))
    kept = Calibration(jaccard=weights, absent=weights)
    assert Calibration.from_card({"jaccard": list(weights), "absent": list(weights)}) == kept
    assert Calibration.from_card({}) is None
    assert Calibration.from_card({"jaccard": [1.0], "absent": [1.0]}) is None
    assert Calibration.from_card({"jaccard": list(weights), "absent": list(weights[1:])}) is None
