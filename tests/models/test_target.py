from __future__ import annotations

import numpy as np
import pytest
import torch

from covos.models.target import (
    EPS,
    LIMITS,
    RIDGE,
    SINCE_DECAY,
    SINCE_SHARE,
    TargetKnowledge,
    TargetModel,
    TargetMoments,
    fit,
    fit_features,
    moments,
    score,
)

POSITIONS, CHANNELS = 300, 6
FIRST = torch.tensor([0])


def inputs(frames: int = 1, *, seed: int = 1) -> torch.Tensor:
    """Features with the constant: B x N x D."""
    noise = torch.randn(frames, POSITIONS, CHANNELS - 1, generator=torch.Generator().manual_seed(seed))
    return torch.cat([noise, torch.ones(frames, POSITIONS, 1)], dim=2)


def mask_of(features_ND: torch.Tensor, channel: int) -> torch.Tensor:
    """A mask that the features tell, but not quite: 1 x N."""
    told = features_ND[:, channel] + 0.5 * features_ND[:, channel - 1].square() > 0.9
    return told.float()[None]


def seen(seed: int = 1, *, channel: int = 0, weight: float = 1.0) -> TargetMoments:
    features = inputs(seed=seed)
    weights = torch.full((1, POSITIONS), weight)
    return moments(features, mask_of(features[0], channel), weights, FIRST)


def test_inputs_are_of_length_1_in_each_part_and_end_with_a_constant() -> None:
    parts = (torch.randn(2, 5, 2, 3), torch.randn(2, 4, 4, 6))
    found = fit_features(parts, (4, 6))
    assert found.shape == (2, 24, 5 + 4 + 1)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found[..., :5].norm(dim=2), torch.ones(2, 24))
    torch.testing.assert_close(found[..., 5:9].norm(dim=2), torch.ones(2, 24))
    assert bool((found[..., -1] == 1).all())
    own = torch.nn.functional.normalize(parts[1], dim=1).flatten(2).transpose(1, 2)
    torch.testing.assert_close(found[..., 5:9], own)


def test_a_fit_is_the_ridge_regression_of_numpy_scaled() -> None:
    features, weights = inputs(), torch.rand(1, POSITIONS)
    mask = mask_of(features[0], 0)
    model = fit(moments(features, mask, weights, FIRST), FIRST)
    x, y, w = (part.double().numpy() for part in (features[0], mask[0], weights[0]))
    penalty = np.diag([RIDGE] * (CHANNELS - 1) + [EPS])
    solved = np.linalg.solve((x * w[:, None]).T @ x / w.sum() + penalty, (x * w[:, None]).T @ y / w.sum())
    raw = x @ solved
    inside, outside = np.average(raw, weights=w * y), np.average(raw, weights=w * (1 - y))
    expected = ((raw - outside) / (inside - outside)).clip(*LIMITS)
    np.testing.assert_allclose(score(model, features, FIRST)[0].numpy(), expected, atol=1e-4)


def test_scores_have_the_mean_1_on_the_object_and_0_on_the_rest() -> None:
    features, weights = inputs(), torch.rand(1, POSITIONS)
    mask = mask_of(features[0], 2)
    model = fit(moments(features, mask, weights, FIRST), FIRST)
    raw = features[0] @ model.weight_PD[0]
    inside, outside = weights[0] * mask[0], weights[0] * (1 - mask[0])
    assert float((raw * inside).sum() / inside.sum()) == pytest.approx(1, abs=1e-4)
    assert float((raw * outside).sum() / outside.sum()) == pytest.approx(0, abs=1e-4)


def test_scores_are_clipped() -> None:
    model = TargetModel(torch.tensor([[100.0] * CHANNELS]))
    found = score(model, inputs(), FIRST)
    assert found.shape == (1, POSITIONS)
    assert (float(found.min()), float(found.max())) == LIMITS


def test_objects_that_share_their_frames_are_fitted_as_each_would_be_alone() -> None:
    features, weights = inputs(), torch.rand(1, POSITIONS)
    mask = torch.cat([mask_of(features[0], channel) for channel in (0, 1)])
    owner = torch.tensor([0, 0])
    both = fit(moments(features, mask, weights, owner), owner)
    for row in range(2):
        alone = fit(moments(features, mask[row : row + 1], weights, FIRST), FIRST)
        torch.testing.assert_close(both.weight_PD[row], alone.weight_PD[0], atol=1e-4, rtol=1e-3)
        own = score(both, features, owner)[row]
        torch.testing.assert_close(own, score(alone, features, FIRST)[0], atol=1e-4, rtol=1e-3)


def test_objects_of_several_frames_are_fitted_to_their_own_frame() -> None:
    features, weights = inputs(2), torch.rand(2, POSITIONS)
    owner = torch.tensor([0, 1, 1])
    mask = torch.cat([mask_of(features[frame], channel) for frame, channel in ((0, 0), (1, 1), (1, 2))])
    every = fit(moments(features, mask, weights, owner), owner)
    scores = score(every, features, owner)
    for row, frame in enumerate(owner.tolist()):
        own = slice(frame, frame + 1)
        alone = fit(moments(features[own], mask[row : row + 1], weights[own], FIRST), FIRST)
        torch.testing.assert_close(every.weight_PD[row], alone.weight_PD[0], atol=1e-4, rtol=1e-3)
        torch.testing.assert_close(scores[row], score(alone, features[own], FIRST)[0], atol=1e-4, rtol=1e-3)


def test_an_object_that_was_never_seen_scores_0_whatever_the_others_do() -> None:
    features, owner = inputs(), torch.tensor([0, 0])
    # What is left of a mask by rounding is nothing either.
    mask = torch.cat([mask_of(features[0], 0), 1e-12 * mask_of(features[0], 1)])
    model = fit(moments(features, mask, torch.ones(1, POSITIONS), owner), owner)
    found = score(model, features, owner)
    assert not found[1].any()
    assert found[0].any()


def test_an_object_that_fills_all_that_was_seen_and_one_of_no_sure_position_give_numbers() -> None:
    features = inputs()
    for mask, weight in ((torch.ones(1, POSITIONS), 1.0), (mask_of(features[0], 0), 0.0)):
        known = moments(features, mask, torch.full((1, POSITIONS), weight), FIRST)
        assert bool(torch.isfinite(score(fit(known, FIRST), features, FIRST)).all())


def test_what_is_not_believed_is_not_learned() -> None:
    features = inputs()
    mask = mask_of(features[0], 0)
    weights = torch.ones(1, POSITIONS)
    weights[:, 100:] = 0
    wrong = mask.clone()
    wrong[:, 100:] = 1 - wrong[:, 100:]
    right, other = (fit(moments(features, each, weights, FIRST), FIRST) for each in (mask, wrong))
    torch.testing.assert_close(right.weight_PD, other.weight_PD)


def test_frames_that_were_given_outweigh_those_that_were_followed() -> None:
    # The same pixels, said to be of one thing by the user and of another since.
    known = TargetKnowledge(seen(channel=0)).follow(seen(channel=1))
    features = inputs()
    found = score(fit(known.moments, FIRST), features, FIRST)[0]
    given, followed = (mask_of(features[0], channel)[0] > 0 for channel in (0, 1))
    assert float(found[given & ~followed].mean()) > float(found[followed & ~given].mean()) + 0.2
    torch.testing.assert_close(
        known.moments.cross_PD, seen(channel=0).cross_PD + SINCE_SHARE * seen(channel=1).cross_PD
    )
    assert 0 < SINCE_SHARE < 1


def test_of_the_frames_that_were_followed_earlier_ones_fade() -> None:
    first, second, third = (seen(seed, channel=seed) for seed in (1, 2, 3))
    known = TargetKnowledge(seen()).follow(first).follow(second).follow(third)
    assert known.since is not None
    expected = SINCE_DECAY**2 * first.gram_BDD + SINCE_DECAY * second.gram_BDD + third.gram_BDD
    torch.testing.assert_close(known.since.gram_BDD, expected)
    assert float(known.since.gram_BDD[0, -1, -1]) < POSITIONS / (1 - SINCE_DECAY), "bounded, whatever the length"
    torch.testing.assert_close(known.given.gram_BDD, seen().gram_BDD)
    assert 0 < SINCE_DECAY < 1


def test_frames_that_were_given_do_not_fade() -> None:
    known = TargetKnowledge(seen(1)).show(seen(2)).show(seen(3))
    assert known.since is None
    for found, *parts in zip(known.moments, seen(1), seen(2), seen(3), strict=True):
        torch.testing.assert_close(found, torch.stack(parts).sum(dim=0))
