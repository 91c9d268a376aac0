"""Training of covos-matte: clips whose alpha is known, and a network that finds it frame after frame."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

import covos
from covos.core.errors import UsageError
from covos.data import Dataset, open_dataset
from covos.models.cards import read_card
from covos.models.matte import BAND, BEFORE, GUESS, CovosMatte
from covos.models.registry import build_matter, find_matter
from covos.training.gather import TrainingData, gather
from covos.training.loop import train
from covos.training.matte import TILE, MatteBatch, MatteBatches, MatteTask, find_all, warped
from covos.training.recipe import MatteRecipe
from covos.training.registry import load_recipe
from covos.training.scenes.mattes import MattePools, _draw_thing, _layer_of, draw_clip, has_mattes
from covos.training.scenes.strands import draw_thing
from on_cpu import training_of
from soft_pictures import pictures

SMALL = {"clips_per_step": 2, "kept": 4, "drawn_side": 128, "steps": 1, "warmup": 0}


def recipe(**changes: object) -> MatteRecipe:
    loaded = load_recipe("matte", settings={**SMALL, **changes})
    assert isinstance(loaded, MatteRecipe)
    return loaded


@pytest.fixture(scope="module")
def datasets(tmp_path_factory: pytest.TempPathFactory) -> list[Dataset]:
    root = tmp_path_factory.mktemp("pictures")
    return [pictures(root / "soft", soft=True), pictures(root / "hard", soft=False)]


def test_mattes_are_told_from_masks_by_their_levels(datasets: list[Dataset]) -> None:
    assert [has_mattes(each) for each in datasets] == [True, False]
    pools = MattePools.of(datasets)
    assert pools.soft is not None
    assert pools.hard is not None
    assert (len(pools.soft.videos), len(pools.hard.videos)) == (3, 3)


def test_a_drawn_thing_holds_its_colours_multiplied_by_alpha() -> None:
    kinds = [draw_thing(96, rng=np.random.default_rng(seed)) for seed in range(8)]
    for layer in kinds:
        assert layer.shape == (96, 96, 4)
        assert (layer[..., :3].max(axis=2).astype(int) <= layer[..., 3].astype(int) + 1).all()
    soft = np.mean([((layer[..., 3] > 20) & (layer[..., 3] < 235)).mean() for layer in kinds])
    assert soft > 0.02


@pytest.mark.parametrize("trimaps", [0.0, 1.0])
def test_a_clip_asks_for_what_is_soft(datasets: list[Dataset], trimaps: float) -> None:
    pools = MattePools.of(datasets)
    chosen = recipe(trimap_share=trimaps, hard_share=0.0, drawn_share=0.0)
    shares = []
    for seed in range(6):
        for frame in draw_clip(pools, frames=2, side=192, recipe=chosen, rng=np.random.default_rng(seed)):
            assert frame.image.shape == (192, 192, 3)
            assert 0 <= frame.alpha.min() <= frame.alpha.max() <= 1
            soft = (frame.alpha > 0.2) & (frame.alpha < 0.8)
            shares.append(frame.band[soft].mean() if soft.any() else 1.0)
            if trimaps:
                assert set(np.unique(frame.probability)) <= {0, 0.5, 1}
                assert frame.band[soft].all()
    assert np.mean(shares) > 0.7


@pytest.mark.parametrize(
    ("has_soft", "has_hard", "shares", "kinds"),
    [
        (True, True, (0.2, 0.3), {"drawn": 0.2, "hard": 0.3, "soft": 0.5}),
        (True, True, (0.0, 0.4), {"drawn": 0.0, "hard": 0.4, "soft": 0.6}),
        (False, True, (0.2, 0.3), {"drawn": 0.7, "hard": 0.3, "soft": 0.0}),
        (True, False, (0.2, 0.3), {"drawn": 0.2, "hard": 0.0, "soft": 0.8}),
        (False, False, (0.2, 0.3), {"drawn": 1.0, "hard": 0.0, "soft": 0.0}),
    ],
)
def test_things_come_in_their_shares_whatever_the_data_lack(
    datasets: list[Dataset], has_soft: bool, has_hard: bool, shares: tuple[float, float], kinds: dict[str, float]
) -> None:
    whole = MattePools.of(datasets)
    pools = replace(whole, soft=whole.soft if has_soft else None, hard=whole.hard if has_hard else None)
    chosen = recipe(drawn_share=shares[0], hard_share=shares[1], drawn_side=32)
    rng = np.random.default_rng(1)
    things = [_draw_thing(pools, recipe=chosen, rng=rng) for _ in range(200)]
    found = Counter("hard" if thing.solid else "drawn" if thing.enlarge else "soft" for thing in things)
    assert {kind: found[kind] / 200 for kind in kinds} == pytest.approx(kinds, abs=0.1)
    assert {kind for kind in found if found[kind]} == {kind for kind, share in kinds.items() if share}


def test_nothing_of_its_background_is_cut_out_with_a_solid_thing(tmp_path: Path) -> None:
    pictures(tmp_path / "hard", soft=False)
    for file in (tmp_path / "hard" / "images").iterdir():
        mask = cv2.imread(str(tmp_path / "hard" / "masks" / file.name), cv2.IMREAD_GRAYSCALE)
        # Green things before red, with a rim that is of both.
        share = cv2.GaussianBlur(mask, (5, 5), 0)[..., None] / 255
        cv2.imwrite(str(file), share * (0, 200, 0) + (1 - share) * (0, 0, 255))
    layer = _layer_of(next(iter(open_dataset(tmp_path / "hard"))), soft=False)
    assert layer[..., 3].max() == 255
    assert layer[..., 0].max() <= 0.06 * 255  # red of RGB
    assert ((layer[..., 3] > 20) & (layer[..., 3] < 235)).any()


def test_a_batch_depends_on_its_step_alone(datasets: list[Dataset]) -> None:
    one, other = MatteBatches(datasets, recipe()), MatteBatches(datasets, recipe())
    for _ in range(2):
        one[0]
    ours, theirs = one[3], other[3]
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
    assert ours.image.shape == (2, 2, 16, TILE, TILE)
    assert ours.target.shape == (2, 2, 1, TILE, TILE)
    assert ours.weight[ours.image[:, :, BAND : BAND + 1] == 0].max() == 0


def test_a_flow_moves_what_was_found() -> None:
    alpha = torch.zeros(1, 1, 16, 16)
    alpha[0, 0, 4:8, 2:6] = 1
    flow = torch.zeros(1, 2, 16, 16)
    flow[:, 0], flow[:, 1] = -3.0, -2.0
    moved = warped(alpha, flow)
    assert torch.allclose(moved[0, 0, 6:10, 5:9], torch.ones(4, 4))
    assert moved.sum() == pytest.approx(16.0)


def test_frames_are_found_with_the_alpha_of_the_frame_before() -> None:
    class Listens(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.heard: list[torch.Tensor] = []

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.heard.append(x[:, BEFORE : BEFORE + 2])
            return torch.full_like(x[:, :1], 0.25)

    side = (1, 2, 1, 32, 32)
    batch = MatteBatch(
        torch.ones(1, 2, 16, 32, 32),
        torch.zeros(side),
        torch.ones(side),
        torch.zeros(1, 2, 2, 32, 32),
        torch.zeros(side),
    )
    batch.known[:, 1] = 0.5
    listens = Listens()
    found = find_all(listens, batch, precision=torch.float32)  # type: ignore[arg-type]
    assert found.shape == side
    assert torch.allclose(listens.heard[1][:, 0], torch.tensor(0.125))
    assert torch.allclose(listens.heard[1][:, 1], torch.tensor(0.5))


def test_the_losses_vanish_for_the_truth_and_grow_with_the_error(datasets: list[Dataset]) -> None:
    task = MatteTask(recipe(), datasets)
    batch = task.batches()[0]

    class Says(torch.nn.Module):
        def __init__(self, off: float) -> None:
            super().__init__()
            self.off, self.frame = off, -1

        def forward(self, _: torch.Tensor) -> torch.Tensor:
            self.frame += 1
            return batch.target[:, self.frame].float() + self.off

    perfect, wrong = (task.losses(Says(off), batch, precision=torch.float32) for off in (0.0, 0.2))  # type: ignore[arg-type]
    assert float(perfect["total"]) == pytest.approx(0.0, abs=1e-6)
    assert float(wrong["error"]) == pytest.approx(0.2, abs=1e-3)
    assert float(wrong["time"]) == pytest.approx(0.0, abs=1e-3)


def test_a_training_makes_weights_that_are_found_and_loaded(datasets: list[Dataset], tmp_path: Path) -> None:
    folder = tmp_path / "run"
    train(training_of(recipe(), TrainingData(train=tuple(datasets))), folder=folder)
    card = read_card(folder / "last.safetensors")
    assert card is not None
    assert (card.name, card.architecture) == ("run", "matte")
    network = build_matter(find_matter(folder / "last.safetensors"))
    assert isinstance(network, CovosMatte)
    assert torch.isfinite(network(torch.rand(1, 16, TILE, TILE))).all()


def test_videos_that_are_held_back_stop_no_training(tianchi: Path, tmp_path: Path) -> None:
    small: dict[str, Any] = {**SMALL, "drawn_share": 1.0, "device": "cpu", "workers": 0}
    divided = covos.train("matte", tianchi, tmp_path / "divided", ratio=0.5, **small)
    assert divided.best is None
    assert divided.weights == tmp_path / "divided" / "last.safetensors"
    assert divided.weights.exists()
    assert covos.train("matte", tianchi, tmp_path / "divided", ratio=0.5, **small).weights == divided.weights
    train_part, held_back = open_dataset(tianchi).split(0.5)
    with pytest.warns(UserWarning, match="nothing is measured on the videos of tianchi"):
        told = covos.train("matte", train_part, tmp_path / "told", validation=held_back, **small)
    assert told.last.exists()
    with pytest.raises(UsageError, match="a matte cannot be measured on"):
        covos.training.measure(divided.weights, tianchi, subset="train", device="cpu")


def test_pictures_to_measure_on_are_left_where_videos_are_not(tianchi: Path, tmp_path: Path) -> None:
    still = pictures(tmp_path / "soft", soft=True)
    data = gather([open_dataset(tianchi), still], seed=0, ratio=0.5, moving=False)
    assert (data.validation, len(data.unmeasured)) == ((), 1)
    assert gather([still], seed=0, overfit=1, moving=False).validation == gather([still], seed=0, overfit=1).validation
    assert gather([tianchi], seed=0, overfit=1, moving=False).validation == ()


def test_the_guess_of_a_drawn_clip_is_better_than_its_mask(datasets: list[Dataset]) -> None:
    batches = MatteBatches(datasets, recipe(drawn_share=1.0, trimap_share=1.0, texture_share=0.0, clips_per_step=8))
    batch = batches[0]
    weight = batch.weight.float()
    errors = [
        float(((batch.image[:, :, k : k + 1].float() - batch.target.float()).abs() * weight).sum() / weight.sum())
        for k in (GUESS, 3)
    ]
    assert errors[0] < errors[1]
