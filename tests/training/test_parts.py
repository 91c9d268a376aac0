from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from covos.core.errors import CheckpointError, IncompleteError
from covos.models.cards import Card
from covos.models.checkpoints import load_weights, save_weights
from covos.models.coattention import Memory
from covos.training.divergence import refuse_lost_weights
from covos.training.lite import siblings
from covos.training.loop import rate_at
from covos.training.losses import contour_weight, read_mask_bce, soft_iou, weighted_bce
from covos.training.registry import load_recipe
from covos.training.scenes.layers import as_picture, ground
from covos.training.scenes.light import spoil
from covos.training.scenes.samples import Framing, Neighbour, Sample, Shot, draw_framing, draw_sample, draw_window
from covos.training.scenes.windows import as_bytes
from covos.training.state import TrainingState, make_average, update_average


def view_of(
    image: np.ndarray,
    mask: np.ndarray,
    valid: np.ndarray,
    *,
    framing: Framing,
    size: tuple[int, int],
    rng: np.random.Generator,
    neighbour: Neighbour | None = None,
    spoiled: bool = False,
) -> Sample:
    shot = Shot((ground(as_picture(image, as_bytes(mask))),), valid, neighbour)
    window = draw_window(image.shape, framing=framing, size=size, rng=rng)
    return draw_sample(shot, window=window, size=size, spoiled=spoiled, rng=rng)


def test_rate_warms_up_then_falls_to_nearly_nothing() -> None:
    rates = [rate_at(step, steps=100, warmup=10, power=0.9) for step in range(100)]
    assert rates[0] == pytest.approx(1 / 11)
    assert rates[10] == 1
    assert rates[:11] == sorted(rates[:11])
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[55] == pytest.approx(0.5**0.9)
    assert 0 < rates[-1] < 0.02


def test_average_follows_weights_and_statistics() -> None:
    network = nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1))
    average = make_average(network)
    before = network[0].weight.detach().clone()
    with torch.no_grad():
        network[0].weight.add_(1.0)
        network[1].running_mean.fill_(2.0)
    update_average(average, network, decay=0.9, step=10_000)
    torch.testing.assert_close(average[0].weight, before + 0.1)
    torch.testing.assert_close(average[1].running_mean, torch.tensor([0.2]))
    assert not any(parameter.requires_grad for parameter in average.parameters())
    assert not average.training


def test_average_forgets_the_start_quickly() -> None:
    network = nn.Linear(1, 1)
    average = make_average(network)
    with torch.no_grad():
        network.weight.fill_(5.0)
    for step in range(100):
        update_average(average, network, decay=0.999, step=step)
    torch.testing.assert_close(average.weight, network.weight, atol=1e-2, rtol=0)


class Masked(nn.Linear):
    """A layer with a causal mask that its file keeps."""

    def __init__(self) -> None:
        super().__init__(2, 2)
        self.register_buffer("causal", torch.full((3, 3), float("-inf")).triu(1))
        self.register_buffer("offset", torch.zeros(3))


def test_a_mask_of_infinities_is_trained_kept_and_read_back(tmp_path: Path) -> None:
    network = Masked()
    state = TrainingState(network, make_average(network), torch.optim.SGD(network.parameters()))
    assert state.infinite == {"causal"}

    def check() -> None:
        refuse_lost_weights(
            network, infinite=state.infinite, step=5, recipe=load_recipe("lite"), checkpoint=tmp_path / "checkpoint.pt"
        )

    check()
    update_average(state.average, network, decay=0.9, step=5, infinite=state.infinite)
    assert torch.equal(state.average.causal, network.causal)
    card = Card(name="masked", architecture="masked", version="0", commit="", recipe={}, data=(), scores={}, licence="")
    save_weights(tmp_path / "masked.safetensors", state.average, card=card)
    other = Masked()
    load_weights(tmp_path / "masked.safetensors", other)
    assert torch.equal(other.causal, network.causal)
    other.causal.zero_()
    with pytest.raises(CheckpointError, match="holds numbers that are none"):
        load_weights(tmp_path / "masked.safetensors", other)
    for tensor in (network.offset, network.weight):
        kept = tensor.detach().clone()
        tensor.detach().fill_(float("inf"))
        with pytest.raises(IncompleteError, match="the weights are not finite after step 5"):
            check()
        tensor.detach().copy_(kept)


def maps(*rows: list[float]) -> torch.Tensor:
    return torch.tensor(rows)[:, None, None]


def test_bce_equals_its_formula_and_leaves_void_out() -> None:
    logit, target = maps([2.0, -1.0, 50.0]), maps([1.0, 0.25, 0.0])
    weight = maps([1.0, 1.0, 0.0])
    expected = [-math.log(1 / (1 + math.exp(-2))), math.log(1 + math.exp(-1)) + 0.25]
    torch.testing.assert_close(weighted_bce(logit, target, weight), torch.tensor(sum(expected) / 2))


def test_soft_iou_is_zero_when_right_and_grows_when_wrong() -> None:
    target = torch.zeros(1, 1, 16, 16)
    target[..., 4:12, 4:12] = 1
    weight = torch.ones_like(target)
    right, wrong = (target - 0.5) * 60, (0.5 - target) * 60
    assert soft_iou(right, target, weight) < 1e-4
    assert soft_iou(wrong, target, weight) > 0.9
    assert soft_iou(wrong, target, torch.zeros_like(weight)) < 1e-6


def test_read_mask_loss_is_finite_at_the_ends() -> None:
    ends = maps([0.0, 1.0])
    assert torch.isfinite(read_mask_bce(ends, 1 - ends, torch.ones_like(ends)))
    assert read_mask_bce(ends, ends, torch.ones_like(ends)) < 1e-3


def test_siblings_are_the_other_frames_of_the_group() -> None:
    # Two groups of three frames, one position each, whose value is the frame's number.
    numbers = torch.arange(6.0)[:, None, None]
    memory = siblings(Memory(numbers, numbers), group_size=3)
    assert memory.values_BMC[:, :, 0].tolist() == [[1, 2], [0, 2], [0, 1], [4, 5], [3, 5], [3, 4]]


def disk() -> tuple[np.ndarray, np.ndarray]:
    y, x = np.mgrid[:120, :200]
    mask = ((y - 60) ** 2 + (x - 100) ** 2 < 30**2).astype(np.float32)
    image = np.where(mask[..., None] > 0, 250, 5).astype(np.uint8).repeat(3, axis=2)
    return image, mask


@pytest.mark.parametrize("seed", range(20))
def test_views_keep_picture_and_mask_together(seed: int) -> None:
    """A bright disk on a dark ground: whatever is drawn, the mask must lie where it is bright."""
    image, mask = disk()
    rng = np.random.default_rng(seed)
    view = view_of(
        image,
        mask,
        np.ones(mask.shape, bool),
        framing=draw_framing(rng, zoom=(0.5, 1.15)),
        size=(64, 96),
        rng=rng,
    )
    assert view.image.shape == (64, 96, 3)
    assert view.target.shape == view.weight.shape == (32, 48)
    assert 0 <= view.target.min() <= view.target.max() <= 1
    cells = view.image.mean(axis=2).reshape(32, 2, 48, 2).mean(axis=(1, 3))
    sure = (view.target < 0.01) | (view.target > 0.99)
    bright, dark = cells[sure & (view.target > 0.5)], cells[sure & (view.target < 0.5)]
    if len(bright) and len(dark):
        assert np.median(bright) > np.median(dark) + 60
    assert (view.weight == 1).all()


@pytest.mark.parametrize("seed", range(12))
def test_a_spoiled_picture_tells_less(seed: int) -> None:
    """Blurred and coarse pictures lose their detail, dim ones their light, others drown in noise; no mask moves."""
    image = np.random.default_rng(0).integers(0, 255, (64, 96, 3), dtype=np.uint8)
    bad = spoil(image, rng=np.random.default_rng(seed))
    assert bad.shape == image.shape
    assert bad.dtype == np.uint8
    detail = bad.astype(float).std() < 0.6 * image.astype(float).std()
    noise = np.abs(bad.astype(float) - image).mean() > 3
    assert detail or noise
    plain, mask = disk()
    views = []
    for spoiled in (False, True):
        rng = np.random.default_rng(seed)
        framing = draw_framing(rng, zoom=(0.9, 1.0))
        valid = np.ones(mask.shape, bool)
        views.append(view_of(plain, mask, valid, framing=framing, size=(64, 96), spoiled=spoiled, rng=rng))
    np.testing.assert_array_equal(views[0].target, views[1].target)
    assert (views[0].image != views[1].image).any()


def test_a_contour_weighs_more_than_the_inside() -> None:
    target = torch.zeros(1, 1, 64, 64)
    target[..., :32] = 1
    weight = contour_weight(target, strength=3.0)[0, 0]
    assert weight[32, 31] == pytest.approx(1 + 3 * 7 / 15, abs=1e-4)
    assert weight[32, 8] == weight[32, 56] == 1
    assert (contour_weight(target, strength=0.0) == 1).all()


def test_void_has_no_weight() -> None:
    image, mask = disk()
    rng = np.random.default_rng(0)
    framing = draw_framing(rng, zoom=(0.5, 1.15))
    view = view_of(image, mask, mask == 0, framing=framing, size=(64, 96), rng=rng)
    assert view.target[view.weight > 0.99].max() < 0.02
    assert view.weight[view.target > 0.99].max() < 0.02


def test_views_depend_on_the_seed_alone() -> None:
    image, mask = disk()

    def draw(seed: int) -> np.ndarray:
        rng = np.random.default_rng(seed)
        return view_of(
            image,
            mask,
            np.ones(mask.shape, bool),
            framing=draw_framing(rng, zoom=(0.5, 1.15)),
            size=(64, 96),
            rng=rng,
        ).image

    np.testing.assert_array_equal(draw(3), draw(3))
    assert (draw(3) != draw(4)).any()


def test_a_view_sees_the_motion_through_its_own_window() -> None:
    """The subject moves to the right; mirrored it moves to the left, and seen from its successor as well as before."""
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (120, 200, 3), dtype=np.uint8)
    image = cv2.GaussianBlur(image, (0, 0), 2)
    mask = np.zeros((120, 200), np.float32)
    mask[40:80, 80:130] = 1
    moved = np.where(np.roll(mask, 3, axis=1)[..., None] > 0, np.roll(image, 3, axis=1), image)

    def speed(seen: np.ndarray, beside: np.ndarray, *, after: bool, flip: bool) -> float:
        framing = Framing(scale=1.0, center=(0.5, 0.5), stretch=1.0, flip=flip)
        neighbour = Neighbour(layers=(ground(as_picture(beside)),), after=after)
        view = view_of(
            seen,
            mask,
            np.ones(mask.shape, bool),
            neighbour=neighbour,
            framing=framing,
            size=(128, 192),
            rng=np.random.default_rng(5),
        )
        assert view.motion.shape == (32, 48, 4)
        return float(view.motion[..., 0][view.target[::2, ::2] > 0.9].mean())

    assert speed(moved, image, after=False, flip=False) > 0.5
    assert speed(moved, image, after=False, flip=True) < -0.5
    assert speed(image, moved, after=True, flip=False) > 0.5


def test_a_view_without_a_neighbour_knows_no_motion() -> None:
    image, mask = disk()
    rng = np.random.default_rng(0)
    framing = draw_framing(rng, zoom=(1.0, 1.0))
    view = view_of(image, mask, mask >= 0, framing=framing, size=(64, 96), rng=rng)
    assert not view.motion.any()
