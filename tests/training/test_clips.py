"""What covos-follow learns from: that masks, flow and pictures of a clip say the same."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from covos.data import open_collection
from covos.training.follow import ClipBatch, ClipBatches, as_share
from covos.training.recipe import FollowRecipe
from covos.training.registry import load_recipe
from covos.training.scenes.cutouts import Cutout
from covos.training.scenes.merged import draw_merged
from covos.training.scenes.occluders import (
    draw_occluder,
    gone_for_a_while,
    ground_outline,
    hidden_frames,
    sprite_outline,
)
from covos.training.scenes.pictures import ReadBefore
from covos.training.scenes.sprites import Sprite, draw_sprite, draw_twin, lay_over, render
from covos.training.scenes.windows import draw_camera, draw_sway, seen_through, seen_with_masks, swayed

SIZE = (96, 160)
FRAMES = 8


def batches(*roots: Path, **changes: object) -> ClipBatches:
    settings = {"clip_sizes": [4], "clips_per_step": 4, "crop": [128, 224], **changes}
    recipe = load_recipe("follow", overrides=[f"{name}={json.dumps(value)}" for name, value in settings.items()])
    assert isinstance(recipe, FollowRecipe)
    return ClipBatches([dataset for root in roots for dataset in open_collection(root)], recipe)


def disc(channel: int, *, side: int = 60) -> Cutout:
    """A disc whose colour is full in one channel, and nothing in the others."""
    y, x = np.indices((side, side)) - (side - 1) / 2
    image = np.zeros((side, side, 3), np.uint8)
    image[..., channel] = 255
    return Cutout(image, (np.hypot(x, y) < side / 2).astype(np.float32))


def moving(channel: int, *, seed: int, bend: bool = True, behind: bool = False) -> Sprite:
    rng = np.random.default_rng(seed)
    drawn = draw_sprite(disc(channel), frames=FRAMES, size=SIZE, followed=True, bend=bend, sway=1.0, rng=rng)
    return replace(drawn, behind=behind)


@pytest.mark.parametrize("behind", [False, True])
@pytest.mark.parametrize("bend", [False, True])
def test_masks_are_what_is_seen_of_the_sprites(bend: bool, behind: bool) -> None:
    ground = np.zeros((*SIZE, 3), np.uint8)
    still = np.array([[1.0, 0, 0], [0, 1, 0]])
    both = 0
    for seed in range(30):
        sprites = [moving(0, seed=seed, bend=bend), moving(1, seed=seed + 100, bend=bend, behind=behind)]
        for frame in range(FRAMES):
            view, masks = render(ground, [], still, sprites, frame=frame, size=SIZE)
            for channel in range(2):
                np.testing.assert_allclose(view[..., channel].astype(int), masks[channel].astype(int), atol=2)
            # Of what lies below, the rest is seen; at its rim, what lies behind shows a little through what is before.
            lower, upper = (1, 0) if behind else (0, 1)
            alone = [lay_over(ground, [], sprite, frame=frame)[1][0] for sprite in sprites]
            rest = alone[lower].astype(float) * (1 - alone[upper] / 255)
            np.testing.assert_allclose(masks[lower], rest, atol=1)
            whole = alone[upper] * (1 - masks[lower] / 255.0) if behind else alone[upper]
            np.testing.assert_allclose(masks[upper], whole, atol=1)
            both += bool(alone[0][alone[1] > 0].any())
    assert both > 20, "they meet"


def test_a_bend_moves_picture_and_mask_by_a_share_of_the_size() -> None:
    place = np.array([[1.0, 0, 40], [0, 1.0, 20]])
    bend = np.zeros((3, 3, 2), np.float32)
    bend[..., 0] = 0.1
    straight = Sprite(cutout=disc(0), placements=(place,), bends=None, followed=True)
    bent = replace(straight, bends=(bend,))
    ground = np.zeros((*SIZE, 3), np.uint8)
    (before,), (after,) = (lay_over(ground, [], each, frame=0)[1] for each in (straight, bent))
    np.testing.assert_allclose(np.roll(before, -6, axis=1).astype(int), after, atol=8)


@pytest.mark.parametrize("count", [0, 1, 2, 4, 6])
def test_a_picture_is_seen_with_its_masks_as_each_alone(count: int) -> None:
    rng = np.random.default_rng(0)
    image = cv2.GaussianBlur(rng.integers(0, 255, (90, 150, 3), dtype=np.uint8), (0, 0), 2)
    masks = [cv2.GaussianBlur(rng.integers(0, 255, (90, 150), dtype=np.uint8), (0, 0), 2) for _ in range(count)]
    (window,) = draw_camera(image.shape, frames=1, size=SIZE, zoom=(0.8, 0.8), calm=True, rng=rng)
    view, seen = seen_with_masks(image, masks, window, size=SIZE)
    assert len(seen) == count
    np.testing.assert_allclose(view.astype(int), seen_through(image, window, size=SIZE), atol=1)
    for mask, found in zip(masks, seen, strict=True):
        np.testing.assert_allclose(found.astype(int), seen_through(mask, window, size=SIZE), atol=1)


def test_sway_begins_at_rest_and_stays_within_bounds() -> None:
    turns, sizes = [], []
    for seed in range(100):
        linear = draw_sway(FRAMES, strength=1.0, rng=np.random.default_rng(seed))
        np.testing.assert_array_equal(linear[0], np.eye(2))
        sizes += np.sqrt(np.linalg.det(linear)).tolist()
        turns += np.rad2deg(np.arctan2(linear[:, 1, 0], linear[:, 0, 0])).tolist()
    assert 1.6 < max(sizes) < 2.5
    assert 0.4 < min(sizes) < 0.65
    assert 15 < max(turns) < 40
    still = draw_sway(FRAMES, strength=0.0, rng=np.random.default_rng(0))
    np.testing.assert_array_equal(still, np.broadcast_to(np.eye(2), still.shape))


def test_a_camera_sways_about_the_middle_of_its_view_and_draws_back_little() -> None:
    rng = np.random.default_rng(3)
    windows = draw_camera((300, 400), frames=FRAMES, size=SIZE, zoom=(0.9, 0.9), calm=True, rng=rng)
    turned = swayed(windows, shape=(300, 400), size=SIZE, strength=1.0, rng=rng)
    middle = np.array([(SIZE[1] - 1) / 2, (SIZE[0] - 1) / 2, 1])
    for before, after in zip(windows, turned, strict=True):
        np.testing.assert_allclose(before @ middle, after @ middle)
    np.testing.assert_allclose(windows[0], turned[0])
    for seed in range(50):
        turned = swayed(windows, shape=(300, 400), size=SIZE, strength=1.0, rng=np.random.default_rng(seed))
        assert max(np.sqrt(abs(np.linalg.det(each[:, :2]))) for each in turned) * SIZE[1] < 1.6 * 400


def test_what_is_hidden_is_not_in_the_mask_and_comes_back() -> None:
    ground = np.zeros((*SIZE, 3), np.uint8)
    still = np.array([[1.0, 0, 0], [0, 1, 0]])
    gone = elsewhere = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        places = tuple(np.array([[0.5, 0, 50.0 + 3 * k], [0, 0.5, 30]]) for k in range(FRAMES))
        sprite = Sprite(cutout=disc(0), placements=places, bends=None, followed=True)
        hidden = hidden_frames(FRAMES, rng=rng)
        assert 1 <= hidden.start < hidden.stop <= FRAMES - 1
        outline = sprite_outline(sprite)
        np.testing.assert_allclose(outline[2], [56, 30, 86, 60])
        bar = draw_occluder(outline, still=None, hidden=hidden, size=SIZE, rng=rng)
        away = gone_for_a_while(sprite, hidden=hidden, size=SIZE, rng=rng)
        elsewhere += not np.allclose(away.placements[-1], sprite.placements[-1])
        for frame in range(FRAMES):
            _, (covered, own) = render(ground, [], still, [sprite, bar], frame=frame, size=SIZE)
            _, (absent,) = render(ground, [], still, [away], frame=frame, size=SIZE)
            if frame in hidden:
                assert not covered.any()
                assert own.any()
                assert not absent.any()
                gone += 1
            elif frame in (0, hidden.start - 2, hidden.stop + 1):
                assert absent.any()
                if frame == 0:
                    assert covered.any()
    assert gone > 40
    assert 5 < elsewhere < 35


def test_an_object_of_a_picture_is_found_through_the_window() -> None:
    rng = np.random.default_rng(1)
    mask = np.zeros((200, 300), np.uint8)
    mask[80:120, 100:180] = 255
    windows = draw_camera(mask.shape, frames=2, size=SIZE, zoom=(0.9, 0.9), calm=True, rng=rng)
    outline = ground_outline([mask, np.zeros_like(mask)], windows)
    seen = seen_through(mask, windows[0], size=SIZE)
    x, y, width, height = cv2.boundingRect(seen)
    left, top, right, bottom = outline[0]
    assert left - 2 <= x <= x + width <= right + 2
    assert top - 2 <= y <= y + height <= bottom + 2
    np.testing.assert_array_equal(outline[1], outline[0])


def test_a_twin_may_be_followed_and_a_copy_and_cross() -> None:
    y, x = np.indices(SIZE)
    mask = ((y - 48) ** 2 + (x - 80) ** 2 < 100).astype(np.uint8) * np.uint8(255)
    image = np.where(mask[..., None] > 0, np.uint8([200, 30, 30]), np.uint8([30, 90, 30])).astype(np.uint8)
    for seed in range(20):
        rng = np.random.default_rng(seed)
        twin = draw_twin(image, mask, frames=FRAMES, exact=True, crossing=True, followed=True, rng=rng)
        assert twin is not None
        assert twin.followed
        alpha = twin.cutout.alpha > 0
        assert (twin.cutout.image[alpha] == (200, 30, 30)).all()
        side = [np.sign(twin.center(frame) - (80, 48))[0] for frame in (0, FRAMES - 1)]
        assert side[0] == -side[1], "it has passed"


def test_the_objects_of_another_video_change_their_looks(tianchi: Path) -> None:
    (dataset,) = open_collection(tianchi)
    video = next(each for each in dataset if each.kind == "video" and each.annotated)
    rng = np.random.default_rng(0)
    sprites = draw_merged(video, frames=4, size=SIZE, zoom=(0.5, 0.9), max_gap=1, most=2, rng=rng)
    assert 1 <= len(sprites) <= 2
    for sprite in sprites:
        assert sprite.followed
        assert len(sprite.layers) == 4
        assert len({layer.tobytes() for layer in sprite.layers}) > 1
        assert len(sprite_outline(sprite)) == 4


def test_each_object_of_a_picture_with_ids_is_followed(stills: Path) -> None:
    for path in (stills / "masks").iterdir():
        height, width = cv2.imread(str(path), cv2.IMREAD_UNCHANGED).shape[:2]
        ids = np.zeros((height, width), np.uint8)
        ids[height // 4 : -height // 4, width // 8 : width // 2] = 1
        ids[height // 4 : -height // 4, width // 2 : -width // 8] = 2
        cv2.imwrite(str(path), ids)
    made = batches(stills, zoom=[1.0, 1.0], clips_per_step=8)
    assert made.still is not None
    made.still = replace(made.still, videos=tuple(replace(each, encoding="ids") for each in made.still.videos))
    # Many clips are crowded; in plain ones there are these two alone.
    counts = torch.cat([made[step].exists.sum(dim=1) for step in range(2)])
    assert int(counts.max()) >= 2
    assert float((counts >= 2).float().mean()) > 0.7


def overlap(batch: ClipBatch, sign: float) -> float:
    """Mean Jaccard index of each mask with the one before, read where the flow points to."""
    # The flow is known at half the resolution of the masks.
    masks = F.avg_pool3d(as_share(batch.target), (1, 2, 2))
    rows, columns = masks.shape[-2:]
    y, x = torch.meshgrid(torch.arange(rows).float(), torch.arange(columns).float(), indexing="ij")
    both = either = 0.0
    for clip in range(len(masks)):
        for frame in range(1, masks.shape[2]):
            flow = sign * batch.flow[clip, frame]
            spot = torch.stack([(x + flow[0]) * 2 / (columns - 1) - 1, (y + flow[1]) * 2 / (rows - 1) - 1], dim=-1)
            before, here = masks[clip, :, frame - 1], masks[clip, :, frame]
            read = F.grid_sample(before[None], spot[None], padding_mode="border", align_corners=True)[0]
            both += float(torch.minimum(read, here).sum())
            either += float(torch.maximum(read, here).sum())
    return both / either


def test_the_flow_leads_to_where_the_objects_were(stills: Path) -> None:
    changes = {"twin_share": 0.0, "hide_share": 0.0, "flow_share": 1.0}
    batch = batches(stills, clips_per_step=8, **changes)[0]
    assert batch.flow.shape == (8, 4, 2, 32, 56)
    assert batch.flow.dtype == torch.float32
    assert bool(batch.flow.flatten(1).any(dim=1).all())
    assert not batch.flow[:, 0].any()
    forth, still, back = (overlap(batch, sign) for sign in (1.0, 0.0, -1.0))
    assert forth > still + 0.03 > back + 0.03
    assert forth > max(overlap(batch, sign) for sign in (0.5, 2.0)), "the unit is a cell"


def test_flow_is_known_or_all_zero(tianchi: Path, stills: Path) -> None:
    batch = batches(tianchi, stills, flow_share=0.0, motion_share=1.0)[0]
    assert not batch.flow.any()
    assert bool(batch.motion.any())
    several = [batches(tianchi, stills, flow_share=0.5, motion_share=0.3)[step] for step in range(4)]
    for batch in several:
        in_flow, in_motion = (part.flatten(1).any(dim=1) for part in (batch.flow, batch.motion))
        assert not (in_motion & ~in_flow).any(), "of the clips with known flow"
    assert 0 < sum(int(batch.flow.flatten(1).any(dim=1).sum()) for batch in several) < 16


@pytest.mark.parametrize("share", ["twin_share", "merge_share", "hide_share"])
def test_a_share_changes_the_clips(tianchi: Path, stills: Path, share: str) -> None:
    off = {"twin_share": 0.0, "merge_share": 0.0, "hide_share": 0.0, "video_share": 1.0, "crowd_share": 0.0}
    calm, other = (batches(tianchi, stills, **{**off, share: value})[0] for value in (0.0, 1.0))
    assert not torch.equal(calm.image, other.image)
    if share == "merge_share":
        assert int(other.exists.sum()) > int(calm.exists.sum())
    # Each share is rounded by itself, by half a step at most.
    assert int(other.target.sum(dim=1).max()) <= 255 + other.target.shape[1] / 2
    again = batches(tianchi, stills, **{**off, share: 1.0})[0]
    assert all(torch.equal(a, b) for a, b in zip(other, again, strict=True))


def test_what_was_read_is_kept_up_to_a_bound_and_never_changed() -> None:
    calls: list[str] = []

    def reader(name: str) -> tuple[np.ndarray, ...]:
        calls.append(name)
        return (np.zeros(100, np.uint8),)

    kept = ReadBefore(most_bytes=250)
    for name in ("a", "b", "a", "c", "a", "b"):
        (array,) = kept.read("image", Path(name), lambda name=name: reader(name))
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1
    assert calls == ["a", "b", "c", "b"], "what was used last is kept"
    kept.read("labels", Path("b"), lambda: reader("labels"))
    assert calls[-1] == "labels"
