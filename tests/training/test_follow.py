from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from covos.core.errors import CheckpointError, InputError, UsageError
from covos.data import open_collection
from covos.models.cards import read_card
from covos.models.registry import build_follower, find_model
from covos.training.follow import ClipBatches, FollowTask, as_share
from covos.training.recipe import FollowRecipe
from covos.training.registry import load_recipe
from covos.training.scenes.clips import MIN_CELLS
from covos.training.scenes.cutouts import Cutout, recoloured
from covos.training.scenes.sprites import Sprite, draw_sprite, draw_twin, lay_over
from seen import Seen

CROP = (64, 96)
SMALL = (
    "steps=2", "clips_per_step=2", "clip_sizes=[3]", "crop=[64, 96]", "validate_every=2", "checkpoint_every=2",
    "warmup=0",
)  # fmt: skip


def recipe(**changes: object) -> FollowRecipe:
    overrides = [f"{name}={json.dumps(value)}" for name, value in changes.items()]
    loaded = load_recipe("follow", overrides=(*SMALL, *overrides))
    assert isinstance(loaded, FollowRecipe)
    return loaded


def batches(*roots: Path, **changes: object) -> ClipBatches:
    return ClipBatches([dataset for root in roots for dataset in open_collection(root)], recipe(**changes))


@pytest.mark.parametrize("video_share", [0.0, 1.0])
def test_the_objects_of_a_clip_hide_one_another_and_are_there_from_the_start(
    tianchi: Path, stills: Path, video_share: float
) -> None:
    made = batches(tianchi, stills, video_share=video_share, crowd_share=1.0, clips_per_step=4)
    for step in range(3):
        batch = made[step]
        clips, objects, frames = batch.target.shape[:3]
        assert (clips, frames) == (4, 3)
        assert batch.image.shape == (4, 3, 3, *CROP)
        assert batch.target.shape[3:] == batch.weight.shape[2:] == (32, 48)
        assert batch.motion.shape == (4, 3, 4, 16, 24)
        assert bool(batch.exists.any(dim=1).all())
        assert batch.target.dtype == batch.weight.dtype == torch.uint8
        # Each share is rounded by itself, by half a step at most.
        assert int(batch.target.sum(dim=1).max()) <= 255 + objects / 2, "no cell belongs to more than it has"
        first = as_share(batch.target[:, :, 0]).sum(dim=(2, 3))
        assert bool((first[batch.exists] >= MIN_CELLS).all())
        assert not batch.target[~batch.exists].any()
        assert objects <= 3


def test_each_person_of_a_video_is_an_object(tianchi: Path) -> None:
    made = batches(tianchi, video_share=1.0, crowd_share=0.0, zoom=(1.0, 1.0))
    most = max(int(made[step].exists.sum(dim=1).max()) for step in range(6))
    assert most >= 2


def test_a_step_is_the_same_whenever_it_is_made(tianchi: Path, stills: Path) -> None:
    one, other = batches(tianchi, stills)[1], batches(tianchi, stills)[1]
    for a, b in zip(one, other, strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(one.image, batches(tianchi, stills)[0].image[:, : one.image.shape[1]])


def test_motion_is_known_or_all_zero(tianchi: Path, stills: Path) -> None:
    assert not batches(tianchi, stills, motion_share=0.0)[0].motion.any()
    assert bool(batches(tianchi, stills, motion_share=1.0)[0].motion.flatten(1).any(dim=1).all())


def sprite(left: float, *, followed: bool = True) -> Sprite:
    picture = Cutout(np.full((10, 10, 3), 200, np.uint8), np.ones((10, 10), np.float32))
    return Sprite(cutout=picture, placements=(np.array([[1.0, 0, left], [0, 1, 4]]),), bends=None, followed=followed)


def test_a_later_sprite_hides_what_lies_below() -> None:
    ground = np.zeros((20, 40, 3), np.uint8)
    image, masks = lay_over(ground, [], sprite(5), frame=0)
    image, (first, second) = lay_over(image, masks, sprite(10), frame=0)
    assert first[8, 6] == 255
    assert first[8, 12] == 0
    assert second[8, 12] == 255
    assert image[8, 6, 0] == 200
    assert image[8, 30, 0] == 0
    assert not ground.any(), "the picture below is left as it was"


def test_a_sprite_beyond_the_border_leaves_no_mask() -> None:
    ground = np.zeros((20, 40, 3), np.uint8)
    image, (mask,) = lay_over(ground, [], sprite(400), frame=0)
    assert not mask.any()
    assert image is ground


def test_objects_leave_and_some_return() -> None:
    picture = Cutout(np.full((40, 40, 3), 200, np.uint8), np.ones((40, 40), np.float32))
    rng = np.random.default_rng(0)
    patterns = set()
    for _ in range(200):
        drawn = draw_sprite(picture, frames=5, size=CROP, followed=True, bend=False, rng=rng)
        seen = [lay_over(np.zeros((*CROP, 3), np.uint8), [], drawn, frame=k)[1][0].any() for k in range(5)]
        patterns.add("".join("x" if each else "." for each in seen))
    assert "xxxxx" in patterns
    assert any(pattern.startswith("x") and ".x" in pattern for pattern in patterns), "gone and back"
    assert any(pattern.endswith("..") for pattern in patterns), "gone for good"


def test_a_look_alike_has_the_same_form_mirrored() -> None:
    alpha = np.zeros((4, 6), np.float32)
    alpha[:, :2] = 1
    twin = recoloured(Cutout(np.full((4, 6, 3), 90, np.uint8), alpha), rng=np.random.default_rng(1))
    np.testing.assert_array_equal(twin.alpha, alpha[:, ::-1])
    assert (twin.image != 90).any()


def seen_with_a_disc(*, frames: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray, Sprite]:
    """A view with one red disc of 20 pixels, its mask, and a twin of it."""
    y, x = np.indices((96, 160))
    mask = ((y - 48) ** 2 + (x - 80) ** 2 < 100).astype(np.uint8) * np.uint8(255)
    image = np.where(mask[..., None] > 0, np.uint8([200, 30, 30]), np.uint8([30, 90, 30])).astype(np.uint8)
    twin = draw_twin(image, mask, frames=frames, rng=np.random.default_rng(seed))
    assert twin is not None
    return image, mask, twin


def test_a_twin_looks_like_its_object_is_near_it_and_is_not_followed() -> None:
    seen, before = 0, 0
    for seed in range(40):
        image, mask, twin = seen_with_a_disc(seed=seed)
        assert not twin.followed
        for frame in range(4):
            shown, (left, own) = lay_over(image, [mask.copy()], twin, frame=frame)
            if twin.behind:
                np.testing.assert_array_equal(left, mask)
                assert not own[mask > 0].any(), "what is behind hides nothing and is hidden"
            solid = own > 230
            if solid.sum() > 100:
                seen += 1
                before += frame == 0
                red, green, _ = shown[solid].mean(axis=0)
                assert red > 4 * green
                assert solid.sum() < 3 * (mask > 0).sum()
    assert seen > 60
    assert 10 < before < 40, "some are there from the first frame, some come later"


def test_there_is_no_twin_of_nothing() -> None:
    image, nothing = np.zeros((*CROP, 3), np.uint8), np.zeros(CROP, np.uint8)
    assert draw_twin(image, nothing, frames=3, rng=np.random.default_rng(0)) is None


def test_a_short_run_leaves_weights_that_belong_to_their_encoder(
    tmp_path: Path, tianchi: Path, stills: Path, run: Callable[..., Seen]
) -> None:
    seen = run("follow", tmp_path / "run", *SMALL, "ratio=0.5", 'name="bikes"', data=(tianchi, stills))
    assert [each.step for each in seen] == [1, 2]
    (measured,) = seen.measured[-1].measurement.scored.values()
    assert 0 <= measured.j <= 1
    card = read_card(tmp_path / "run" / "last.safetensors")
    assert card is not None
    assert (card.name, card.architecture) == ("bikes", "follow")
    eyes = find_model("covos-lite")
    assert card.recipe["encoder_sha256"] == eyes.card.sha256
    build_follower(find_model(tmp_path / "run" / "last.safetensors"), encoder=eyes)


def test_a_run_of_another_encoder_is_not_continued(
    tmp_path: Path, tianchi: Path, run: Callable[..., Seen], monkeypatch: pytest.MonkeyPatch
) -> None:
    run("follow", tmp_path / "run", *SMALL, data=(tianchi,))
    original = find_model

    def other(name: str | Path) -> object:
        entry = original(name)
        return replace(entry, card=entry.card.model_copy(update={"sha256": "f" * 64}))

    monkeypatch.setattr("covos.training.task.find_model", other)
    monkeypatch.setattr("covos.training.task.verify", lambda entry: None)
    monkeypatch.setattr("covos.models.registry.verify", lambda entry: None)
    with pytest.raises(CheckpointError, match="another recipe"):
        run("follow", tmp_path / "run", *SMALL, data=(tianchi,))


def test_losses_are_numbers_and_reach_every_weight(tianchi: Path, stills: Path) -> None:
    datasets = [dataset for root in (tianchi, stills) for dataset in open_collection(root)]
    task = FollowTask(recipe(), datasets)
    network = task.make_network().train()
    losses = task.losses(network, task.batches()[0], precision=torch.float32)
    assert set(losses) == {"total", "mask", "read", "judge"}
    assert all(math.isfinite(float(value.detach())) for value in losses.values())
    losses["total"].backward()
    idle = [name for name, parameter in network.named_parameters() if parameter.grad is None]
    assert idle == []
    assert all(parameter.grad is None for parameter in task.encoder.parameters())


def test_pictures_show_each_clip_in_a_row(tianchi: Path, stills: Path) -> None:
    datasets = [dataset for root in (tianchi, stills) for dataset in open_collection(root)]
    task = FollowTask(recipe(), datasets)
    shown = task.pictures(task.make_network().eval(), task.batches()[0])
    assert shown.shape == (3, 2 * CROP[0], 3 * CROP[1])
    assert shown.dtype == torch.uint8


@pytest.mark.parametrize(
    ("field", "value"), [("crop", (60, 96)), ("clip_sizes", (1,)), ("zoom", (1.0, 0.5)), ("video_share", 2.0)]
)
def test_settings_that_make_no_sense_are_refused(field: str, value: object) -> None:
    with pytest.raises(UsageError, match=field):
        recipe(**{field: value})


def test_an_encoder_of_another_hash_is_refused(tianchi: Path) -> None:
    with pytest.raises(UsageError, match="not the encoder that the recipe names"):
        FollowTask(recipe(encoder_sha256="0" * 64), list(open_collection(tianchi)))


def test_data_without_objects_is_refused(tianchi: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("covos.training.scenes.clips.MIN_CELLS", 1e9)
    with pytest.raises(InputError, match="nothing to follow"):
        batches(tianchi)[0]
