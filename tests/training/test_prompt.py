from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from covos.core.errors import InputError, UsageError
from covos.core.types import MaskArray
from covos.data import open_collection
from covos.models.cards import read_card
from covos.models.registry import build_prompter, find_model
from covos.training.clicks import (
    MARGIN,
    DrawnPrompt,
    click_beside,
    click_within,
    corrective_click,
    damaged,
    depth_of,
    draw_prompt,
    erosion_depth,
    jittered_box,
)
from covos.training.prompt import MIN_CELLS, PromptBatches, PromptTask, ask, normalised_focal
from covos.training.recipe import PromptRecipe
from covos.training.registry import load_recipe
from covos.training.scenes.frames import pieces_of
from seen import Seen

CROP = (64, 96)
SMALL = (
    "steps=2", "frames_per_step=4", "rounds=[2]", "crop=[64, 96]", "validate_every=2", "checkpoint_every=2", "warmup=0",
)  # fmt: skip


def recipe(**changes: object) -> PromptRecipe:
    overrides = [f"{name}={json.dumps(value)}" for name, value in changes.items()]
    loaded = load_recipe("prompt", overrides=(*SMALL, *overrides))
    assert isinstance(loaded, PromptRecipe)
    return loaded


def task(*roots: Path, **changes: object) -> PromptTask:
    return PromptTask(recipe(**changes), [dataset for root in roots for dataset in open_collection(root)])


def mask(*boxes: tuple[int, int, int, int], size: tuple[int, int] = (64, 96)) -> MaskArray:
    """Boxes are rows and columns, ends excluded."""
    made = np.zeros(size, np.bool_)
    for top, bottom, left, right in boxes:
        made[top:bottom, left:right] = True
    return made


EVERYWHERE = mask((0, 64, 0, 96))


def cell_of(point: np.ndarray, size: tuple[int, int]) -> tuple[int, int]:
    return int(point[1] * size[0]), int(point[0] * size[1])


# Clicks of the first round.


def test_positive_clicks_lie_inside_and_negative_ones_outside() -> None:
    target, others = mask((10, 40, 20, 60)), mask((45, 60, 10, 30))
    rng = np.random.default_rng(0)
    kinds = set()
    for _ in range(200):
        shown = draw_prompt(target, others, EVERYWHERE, recipe=recipe(box_share=0, previous_share=0), rng=rng)
        clicks = [point for point in shown.point if point[2]]
        assert 1 <= len(clicks) <= 4
        assert clicks[0][2] == 1, "the first click is on the object"
        for point in clicks:
            assert target[cell_of(point, target.shape)] == (point[2] > 0)
            kinds.add(float(point[2]))
        assert not shown.box.any()
        assert not shown.previous.any()
    assert kinds == {1.0, -1.0}


def test_clicks_keep_away_from_the_edge() -> None:
    target = mask((10, 41, 20, 61))
    rng = np.random.default_rng(1)
    depths = []
    for _ in range(100):
        click = click_within(target, rng=rng)
        assert click is not None
        depths.append(depth_of(target)[click])
        beside = click_beside(target, np.zeros_like(target), EVERYWHERE, rng=rng)
        assert beside is not None
        gap = np.hypot(
            *(max(low - at, at - high + 1, 0) for at, low, high in zip(beside, (10, 20), (41, 61), strict=True))
        )
        assert gap > MARGIN - 0.5
    assert min(depths) > 1.5
    assert max(depths) == depth_of(target).max(), "some are in the very middle"


def test_there_is_no_click_in_nothing_nor_beside_everything() -> None:
    rng = np.random.default_rng(2)
    assert click_within(mask(), rng=rng) is None
    assert click_beside(EVERYWHERE, mask(), EVERYWHERE, rng=rng) is None
    assert click_beside(mask((10, 20, 10, 20)), mask(), mask(), rng=rng) is None, "all is void"


def test_a_box_holds_nearly_all_of_the_object() -> None:
    target = mask((10, 40, 20, 60))
    rng = np.random.default_rng(3)
    boxes = np.array([jittered_box(target, rng=rng) for _ in range(100)])
    true = np.array([20 / 96, 10 / 64, 60 / 96, 40 / 64])
    assert np.abs(boxes[:, :4] - true).max() < 0.2 * 40 / 64
    assert np.abs(boxes[:, :4].mean(axis=0) - true).max() < 0.02
    assert (boxes[:, 4] == 1).all()


def test_what_is_shown_has_the_shares_that_the_recipe_says() -> None:
    target, others = mask((10, 40, 20, 60)), mask((45, 60, 10, 30))
    rng = np.random.default_rng(4)
    settings = recipe(box_share=0.4, previous_share=0.2)
    drawn = [draw_prompt(target, others, EVERYWHERE, recipe=settings, rng=rng) for _ in range(400)]

    def share(says: Callable[[DrawnPrompt], bool]) -> float:
        return sum(map(says, drawn)) / len(drawn)

    assert share(lambda shown: bool(shown.box[4])) == pytest.approx(0.4, abs=0.08)
    assert share(lambda shown: bool(shown.previous.any())) == pytest.approx(0.2, abs=0.06)
    assert share(lambda shown: bool(shown.box[4]) and not shown.point.any()) == pytest.approx(0.2, abs=0.06)


def test_a_mask_to_be_corrected_is_wrong_where_the_click_is() -> None:
    target, others = mask((10, 40, 20, 60)), mask((45, 60, 10, 30))
    rng = np.random.default_rng(5)
    settings = recipe(box_share=0, previous_share=1)
    clicks = 0
    for _ in range(100):
        shown = draw_prompt(target, others, EVERYWHERE, recipe=settings, rng=rng)
        for point in shown.point[shown.point[:, 2] != 0]:
            cell = cell_of(point, target.shape)
            assert target[cell] == (point[2] > 0)
            assert (shown.previous[cell] > 0) == (point[2] < 0)
            clicks += 1
    assert clicks > 90


def test_masks_are_damaged_in_several_ways() -> None:
    target, others = mask((10, 40, 20, 60)), mask((45, 60, 10, 30))
    rng = np.random.default_rng(6)
    found = [damaged(target, others, rng=rng) for _ in range(60)]
    assert any((each & ~target).any() and not (target & ~each).any() for each in found), "too much"
    assert any((target & ~each).any() and not (each & ~target).any() for each in found), "too little"
    assert any((each == (target | others)).all() for each in found), "another object too"


def test_pieces_are_told_apart_and_crumbs_left_out() -> None:
    whole = mask((10, 30, 10, 30), (40, 60, 40, 80), (0, 2, 90, 92)).astype(np.float32)
    pieces = pieces_of(whole)
    assert [int(piece.sum()) for piece in pieces] == [800, 400]
    assert [piece.any() for piece in pieces_of(mask((1, 5, 1, 5)).astype(np.float32))] == [True]


# Clicks between rounds.


def logit_of(found: MaskArray) -> torch.Tensor:
    return torch.from_numpy(np.where(found, 3.0, -3.0).astype(np.float32))[None, None]


@pytest.mark.parametrize("strict", [0.0, 0.99])
@pytest.mark.parametrize("choice", [0.0, 0.3, 0.7, 0.999])
def test_the_corrective_click_lies_in_the_largest_error(strict: float, choice: float) -> None:
    target = mask((8, 48, 8, 48))
    found = target.copy()
    found[8:48, 30:48] = False  # 18 columns are missing
    found |= mask((50, 60, 60, 70))  # ten by ten too much
    truth = torch.from_numpy(target.astype(np.float32))[None, None]
    draw = torch.tensor([[strict, choice]])
    click = corrective_click(logit_of(found), truth, torch.ones_like(truth), draw)
    assert click.shape == (1, 1, 3)
    row, column = cell_of(click[0, 0].numpy(), target.shape)
    assert float(click[0, 0, 2]) == 1
    assert 8 <= row < 48
    assert 30 <= column < 48
    if strict > 0.9:
        assert 36 <= column < 42, "in its middle"


def test_excess_draws_a_negative_click_and_void_none() -> None:
    target = mask((8, 48, 8, 48))
    found = target | mask((8, 48, 60, 90))
    truth = torch.from_numpy(target.astype(np.float32))[None, None]
    draw = torch.tensor([[0.5, 0.5]])
    click = corrective_click(logit_of(found), truth, torch.ones_like(truth), draw)[0, 0]
    assert float(click[2]) == -1
    assert 60 <= cell_of(click.numpy(), target.shape)[1] < 90
    known = torch.from_numpy((~mask((0, 64, 55, 96))).astype(np.float32))[None, None]
    assert float(corrective_click(logit_of(found), truth, known, draw)[0, 0, 2]) == 0


def test_where_nothing_is_wrong_there_is_no_click() -> None:
    target = mask((8, 48, 8, 48))
    truth = torch.from_numpy(target.astype(np.float32))[None, None]
    batch = torch.cat([logit_of(target), logit_of(~target)])
    click = corrective_click(batch, truth.expand(2, -1, -1, -1), torch.ones(2, 1, 64, 96), torch.full((2, 2), 0.5))
    assert float(click[0, 0, 2]) == 0
    assert float(click[1, 0, 2]) != 0
    assert bool(((click[..., :2] >= 0) & (click[..., :2] <= 1)).all())


def test_depth_counts_the_cells_to_the_edge_and_the_border_is_one() -> None:
    region = torch.zeros(1, 1, 9, 12)
    region[..., 0:7, 0:5] = 1
    depth = erosion_depth(region)[0, 0]
    assert float(depth[3, 2]) == 3
    assert float(depth[0, 2]) == 1
    assert float(depth[2, 1]) == 2
    assert float(depth[8, 8]) == 0


# Batches.


@pytest.mark.parametrize("video_share", [0.0, 1.0])
def test_a_batch_asks_for_one_object_of_each_frame(tianchi: Path, stills: Path, video_share: float) -> None:
    made = task(tianchi, stills, video_share=video_share, crowd_share=1.0).batches()
    for step in range(3):
        batch = made[step]
        assert batch.image.shape == (4, 3, *CROP)
        assert batch.motion.shape == (4, 4, 16, 24)
        assert batch.target.shape == batch.weight.shape == batch.previous.shape == (4, 1, 32, 48)
        assert batch.point.shape == (4, 4, 3)
        assert batch.box.shape == (4, 5)
        assert batch.draw.shape == (4, 2, 2)
        assert bool(((batch.target > 0.5).sum(dim=(1, 2, 3)) >= MIN_CELLS).all())
        for row, points in enumerate(batch.point.numpy()):
            for point in points[points[:, 2] != 0]:
                inside = bool(batch.target[row, 0][cell_of(point, (32, 48))] > 0.5)
                assert inside == (point[2] > 0)


def test_a_step_is_the_same_whenever_it_is_made(tianchi: Path, stills: Path) -> None:
    one, other = (task(tianchi, stills).batches()[1] for _ in range(2))
    for a, b in zip(one[:-1], other[:-1], strict=True):
        assert isinstance(a, torch.Tensor)
        assert isinstance(b, torch.Tensor)
        assert torch.equal(a, b)
    assert one.rounds == other.rounds
    assert not torch.equal(one.image, task(tianchi, stills).batches()[0].image)


def test_motion_is_known_or_all_zero(tianchi: Path, stills: Path) -> None:
    assert not task(tianchi, stills, motion_share=0.0).batches()[0].motion.any()
    assert bool(task(tianchi, stills, motion_share=1.0).batches()[0].motion.flatten(1).any(dim=1).all())


def test_each_person_of_a_video_can_be_asked_for(tianchi: Path) -> None:
    asked = task(tianchi, crowd_share=0.0, zoom=(1.0, 1.0), frames_per_step=8).batches()
    shares = [float(share) for step in range(3) for share in asked[step].target.mean(dim=(1, 2, 3))]
    assert max(shares) > 2 * min(shares)


# The step.


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_losses_are_numbers_and_reach_every_weight(tianchi: Path, stills: Path, precision: torch.dtype) -> None:
    made = task(tianchi, stills)
    network = made.make_network().train()
    losses = made.losses(network, made.batches()[0], precision=precision)
    assert set(losses) == {"total", "focal", "overlap"}
    assert all(math.isfinite(float(value.detach())) for value in losses.values())
    losses["total"].backward()
    assert [name for name, parameter in network.named_parameters() if parameter.grad is None] == []
    assert all(parameter.grad is None for parameter in made.encoder.parameters())


def test_each_round_is_shown_one_more_click(tianchi: Path, stills: Path) -> None:
    made = task(tianchi, stills, rounds=(3,))
    batch = made.batches()[0]
    asked = ask(made.make_network().train(), made.encoder, batch, precision=torch.float32)
    assert len(asked.logits) == 3
    assert asked.point.shape == (4, 4 + 2, 3)
    torch.testing.assert_close(asked.point[:, :4], batch.point)
    for row, points in enumerate(asked.point[:, 4:].numpy()):
        for point in points[points[:, 2] != 0]:
            inside = bool(batch.target[row, 0][cell_of(point, (32, 48))] > 0.5)
            assert inside == (point[2] > 0)


def test_steps_on_one_batch_lower_its_loss(tianchi: Path, stills: Path) -> None:
    torch.manual_seed(0)
    made = task(tianchi, stills)
    network, batch = made.make_network().train(), made.batches()[0]
    optimizer = made.make_optimizer(network)
    for group in optimizer.param_groups:
        group["lr"] = 2e-3
    seen = []
    for _ in range(8):
        losses = made.losses(network, batch, precision=torch.float32)
        optimizer.zero_grad()
        losses["total"].backward()
        optimizer.step()
        seen.append(float(losses["total"].detach()))
    assert seen[-1] < 0.9 * seen[0]


def test_the_focal_loss_looks_where_it_is_wrong() -> None:
    target = torch.zeros(1, 1, 8, 8)
    target[..., :4] = 1
    logit = (target * 2 - 1) * 6
    logit[0, 0, 0, 0] = -6
    logit.requires_grad_()
    loss = normalised_focal(logit, target, torch.ones_like(target))
    (gradient,) = torch.autograd.grad(loss, logit)
    assert float(gradient[0, 0, 0, 0]) < 0
    assert abs(float(gradient[0, 0, 0, 0])) > 100 * float(gradient[0, 0, 4, 1:].abs().max())
    assert float(normalised_focal(logit.detach(), target, torch.zeros_like(target))) == 0


def test_a_short_run_leaves_weights_that_belong_to_their_encoder(
    tmp_path: Path, tianchi: Path, stills: Path, run: Callable[..., Seen]
) -> None:
    seen = run("prompt", tmp_path / "run", *SMALL, "ratio=0.5", data=(tianchi, stills))
    assert [each.step for each in seen] == [1, 2]
    (measured,) = seen.measured[-1].measurement.scored.values()
    assert 0 <= measured.j <= 1
    assert {name.partition(", ")[2] for name in measured.sequences} == {"1 click", "3 clicks"}
    card = read_card(tmp_path / "run" / "last.safetensors")
    assert card is not None
    assert (card.name, card.architecture) == ("run", "prompt")
    eyes = find_model("covos-lite")
    assert card.recipe["encoder_sha256"] == eyes.card.sha256
    build_prompter(find_model(tmp_path / "run" / "last.safetensors"), encoder=eyes)


def test_a_run_goes_on_as_if_it_had_not_stopped(
    tmp_path: Path, tianchi: Path, stills: Path, run: Callable[..., Seen], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = (*SMALL, "steps=3", "checkpoint_every=1", "validate_every=0")
    whole = run("prompt", tmp_path / "whole", *settings, data=(tianchi, stills))
    original = PromptBatches.__getitem__

    def broken(self: PromptBatches, step: int) -> object:
        if step == 2:
            raise RuntimeError("power cut")
        return original(self, step)

    with monkeypatch.context() as patch:
        patch.setattr(PromptBatches, "__getitem__", broken)
        with pytest.raises(RuntimeError, match="power cut"):
            run("prompt", tmp_path / "cut", *settings, data=(tianchi, stills))
    rest = run("prompt", tmp_path / "cut", *settings, data=(tianchi, stills))
    assert [each.step for each in rest] == [3]
    last = 3 * whole[-1].loss - 2 * whole[-2].loss
    assert rest[0].loss == pytest.approx(last, rel=1e-4)


def test_pictures_show_frames_with_what_was_shown_and_found(tianchi: Path, stills: Path) -> None:
    made = task(tianchi, stills)
    shown = made.pictures(made.make_network().eval(), made.batches()[0])
    assert shown.shape == (3, 4 * CROP[0], 4 * CROP[1])
    assert shown.dtype == torch.uint8


# Refusals.


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("crop", (60, 96)),
        ("rounds", ()),
        ("rounds", (0,)),
        ("zoom", (1.0, 0.5)),
        ("box_share", 0.9),
        ("most_clicks", 0),
    ],
)
def test_settings_that_make_no_sense_are_refused(field: str, value: object) -> None:
    with pytest.raises(UsageError, match=field):
        recipe(**{field: value})


def test_data_without_objects_is_refused(tianchi: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("covos.training.prompt.MIN_CELLS", 1e9)
    with pytest.raises(InputError, match="nothing to click on"):
        task(tianchi).batches()[0]
