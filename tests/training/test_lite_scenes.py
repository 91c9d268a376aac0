"""What lies over a scene and near the camera: it moves as it should, and it is never the subject."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from covos.data import open_dataset
from covos.training.lite import GroupBatches
from covos.training.pools import Pool, make_pool
from covos.training.registry import load_recipe
from covos.training.scenes import samples
from covos.training.scenes.cutouts import Cutout
from covos.training.scenes.graphics import HIDES, Graphics, draw_graphics
from covos.training.scenes.groups import HERD, draw_herd
from covos.training.scenes.layers import (
    IDENTITY,
    Layer,
    after,
    as_picture,
    compose,
    draw_into,
    ground,
    image_of,
    place_cutout,
    undone,
)
from covos.training.scenes.nearby import Near, amplified, near_ground, near_things
from covos.training.scenes.samples import Neighbour, Shot, draw_sample, small_step
from covos.training.scenes.windows import as_bytes

SIZE = (64, 96)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Ten still pictures of a bright disk on smooth noise, and their masks."""
    for index in range(10):
        truth = np.zeros((96, 144), np.uint8)
        cv2.circle(truth, (50 + 4 * index, 48), 22, 255, -1)
        noise = np.random.default_rng(index).integers(0, 120, (96, 144, 3), dtype=np.uint8)
        picture = cv2.GaussianBlur(noise, (0, 0), 1.5)
        picture[truth > 0] = (40, 220, 220)
        for folder, image in (("images", picture), ("masks", truth)):
            path = tmp_path / "set" / folder / f"{index:04}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), image)
    return tmp_path / "set"


@pytest.fixture
def still(root: Path) -> Pool:
    pool = make_pool([open_dataset(root)], kind="image")
    assert pool is not None
    return pool


def batches(root: Path, *overrides: str) -> GroupBatches:
    plain = ("frames_per_step=8", "group_sizes=[4]", "crops=[[64, 96]]", "crop_chances=[1.0]", "spoil_share=0.0")
    none = ("herd_share=0.0", "parallax_share=0.0", "graphics_share=0.0", "shake=0.0")
    return GroupBatches([open_dataset(root)], load_recipe("lite-duts", overrides=(*plain, *none, *overrides)))


def textured(seed: int, shape: tuple[int, int] = (96, 144)) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(0, 255, (*shape, 3), dtype=np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), 2)


def shift(x: float, y: float = 0.0) -> np.ndarray:
    return np.array([[1.0, 0.0, x], [0.0, 1.0, y]])


def test_a_layer_covers_the_subject_below_it_and_shows_its_own() -> None:
    scene = as_picture(np.full((*SIZE, 3), 10, np.uint8), np.full(SIZE, 255, np.uint8))
    plate = as_picture(np.full((20, 30, 3), 200, np.uint8), np.full((20, 30), 255, np.uint8))
    for is_subject in (False, True):
        above = Layer(picture=plate, matrix=shift(40, 10), is_subject=is_subject)
        view = compose((ground(scene), above), IDENTITY, size=SIZE)
        assert (view[10:30, 40:70, :3] == 200).all()
        assert (view[10:30, 40:70, 3] == 255 * is_subject).all()
        view[9:31, 39:71] = scene[9:31, 39:71]
        np.testing.assert_array_equal(view, scene)


def test_a_view_of_layers_is_that_of_their_picture() -> None:
    """One warp from a layer's own pixels to the view shows what a warp into the scene and one of that would show."""
    scene = as_picture(cv2.GaussianBlur(textured(0), (0, 0), 3))
    cutout = Cutout(cv2.GaussianBlur(textured(1, (60, 50)), (0, 0), 3), np.ones((60, 50), np.float32))
    layer = place_cutout(cutout, shape=scene.shape, height_share=0.5, center=np.array([0.4, 0.5]), is_subject=False)
    window = np.array([[1.2, -0.1, 9.0], [0.1, 1.1, 6.0]])
    at_once = compose((ground(scene), layer), window, size=SIZE)
    in_turn = compose((ground(draw_into(scene, [layer])),), window, size=SIZE)
    assert np.abs(at_once[..., :3].astype(int) - in_turn[..., :3]).mean() < 1.5


def test_a_small_view_averages_what_it_shows() -> None:
    board = np.indices((256, 384)).sum(axis=0) % 2 * 255
    scene = as_picture(np.repeat(board[..., None], 3, axis=2).astype(np.uint8))
    view = compose((ground(scene),), np.array([[4.0, 0.0, 1.5], [0.0, 4.0, 1.5]]), size=SIZE)
    assert np.abs(view[..., :3].astype(int) - 127).max() < 3


def test_maps_are_undone() -> None:
    step = small_step((96, 144), rng=np.random.default_rng(0))
    np.testing.assert_allclose(after(undone(step), step), np.eye(2, 3), atol=1e-9)


def test_graphics_stand_still_on_the_screen_while_the_scene_moves(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The two pictures that the motion is found by are equal below opaque graphics, and differ elsewhere."""
    seen: list[tuple[np.ndarray, np.ndarray]] = []

    def spy(image: np.ndarray, neighbour: np.ndarray, *, size: tuple[int, int]) -> np.ndarray:
        seen.append((image, neighbour))
        return np.zeros((size[0] // 4, size[1] // 4, 4), np.float32)

    drawn: list[Graphics] = []

    def keep(pool: Pool | None, *, size: tuple[int, int], rng: np.random.Generator) -> Graphics:
        drawn.append(draw_graphics(pool, size=size, rng=rng))
        return drawn[-1]

    monkeypatch.setattr(samples, "residual_motion", spy)
    monkeypatch.setattr("covos.training.scenes.groups.draw_graphics", keep)
    source = batches(root, "graphics_share=1.0", "motion_share=1.0", "scatter_share=0.0", "shake=1.0")
    for step in range(4):
        seen.clear()
        drawn.clear()
        batch = source[step]
        assert len(seen) == 8
        assert len(drawn) == 2
        for frame, (image, neighbour) in enumerate(seen):
            opaque = drawn[frame // 4].alpha == 255
            np.testing.assert_array_equal(image[opaque], neighbour[opaque])
            np.testing.assert_array_equal(image[opaque], drawn[frame // 4].image[opaque])
            assert (image[drawn[frame // 4].alpha == 0] != neighbour[drawn[frame // 4].alpha == 0]).mean() > 0.3
            hidden = cv2.erode((drawn[frame // 4].alpha >= HIDES).astype(np.uint8), np.ones((3, 3)))[::2, ::2] > 0
            assert not batch.target[frame, 0].numpy()[hidden].any()


def test_the_target_is_empty_below_graphics(still: Pool) -> None:
    whole = as_picture(textured(0), np.full((96, 144), 255, np.uint8))
    left = []
    for seed in range(30):
        graphics = draw_graphics(still, size=SIZE, rng=np.random.default_rng(seed))
        assert graphics.image.shape == (*SIZE, 3)
        assert graphics.alpha.any()
        sample = draw_sample(
            Shot((ground(whole),)), window=IDENTITY, size=SIZE, graphics=graphics, rng=np.random.default_rng(0)
        )
        hidden = (graphics.alpha >= HIDES).reshape(32, 2, 48, 2)
        assert not sample.target[hidden.all(axis=(1, 3))].any()
        assert (sample.target[~hidden.any(axis=(1, 3))] > 0.99).all()
        left.append(sample.target.mean())
    assert 0.4 < np.mean(left) < 0.98


def test_a_near_thing_moves_further_than_the_scene() -> None:
    step = shift(3.0, -1.0)
    np.testing.assert_allclose(amplified(step, factor=3.0, shape=(96, 144)), shift(9.0, -3.0))
    turned = small_step((96, 144), rng=np.random.default_rng(4))
    middle = np.array([72.0, 48.0, 1.0])
    way = turned @ middle - middle[:2]
    np.testing.assert_allclose(amplified(turned, factor=2.5, shape=(96, 144)) @ middle - middle[:2], 2.5 * way)
    layer = Layer(picture=as_picture(textured(0)), matrix=IDENTITY)
    np.testing.assert_allclose(Near(layer, 3.0).beside(step, shape=(96, 144)).matrix, shift(9.0, -3.0))


def test_near_things_hide_the_subject_and_are_never_it(still: Pool) -> None:
    whole = ground(as_picture(textured(0), np.full((96, 144), 255, np.uint8)))
    covered = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        things = tuple(
            thing.elsewhere(shape=(96, 144), rng=rng).layer for thing in near_things(still, shape=(96, 144), rng=rng)
        )
        with_them = compose((whole, *things), IDENTITY, size=(96, 144))
        empty = ground(as_picture(textured(0)))
        assert not compose((empty, *things), IDENTITY, size=(96, 144))[..., 3].any()
        same = (image_of(with_them) == textured(0)).all(axis=2)
        assert (with_them[~same][:, 3] < 255).mean() > 0.9 or same.all()
        covered.append((with_them[..., 3] < 128).mean())
    assert 0.05 < np.mean(covered) < 0.6
    assert np.mean(np.greater(covered, 0)) > 0.8


def test_the_near_part_of_a_ground_looks_like_the_ground_until_it_moves() -> None:
    scene = as_picture(textured(0))
    near = near_ground(scene, rng=np.random.default_rng(0))
    rest = compose((ground(scene), near.layer), IDENTITY, size=(96, 144))
    assert np.abs(rest.astype(int) - scene).max() <= 1
    moved = compose((ground(scene), near.beside(shift(6.0), shape=scene.shape)), IDENTITY, size=(96, 144))
    part = near.layer.picture[..., 3]
    still_rows, near_rows = (part == 0).all(axis=1), (part == 255).all(axis=1)
    assert still_rows.any()
    assert near_rows.any()
    np.testing.assert_array_equal(moved[still_rows], scene[still_rows])
    assert (moved[near_rows][..., :3] != scene[near_rows][..., :3]).mean() > 0.5


def test_one_of_a_herd_is_the_subject() -> None:
    subject = Cutout(textured(3, (40, 30)), np.ones((40, 30), np.float32))
    counts = set()
    for seed in range(30):
        behind, in_front = draw_herd(subject, shape=(96, 144), height_share=0.3, rng=np.random.default_rng(seed))
        counts.add(len(behind) + len(in_front))
        assert not any(layer.is_subject for layer in (*behind, *in_front))
    assert counts == set(range(HERD[0], HERD[1] + 1))


def test_only_the_subject_of_a_herd_moves(root: Path) -> None:
    """The motion is greater where the target is than where the others stand, and than anywhere else."""
    overrides = ("paste_share=1.0", "scatter_share=0.0", "distractor_share=1.0", "zoom=[1.0, 1.0]")
    source = batches(root, *overrides, "herd_share=1.0", "crops=[[192, 288]]")
    moving, bright_others = [], []
    for step in range(3):
        batch = source[step]
        target = torch.nn.functional.avg_pool2d(batch.target, 2)[:, 0]
        length = batch.motion[:, 2]
        light = batch.image.float()[:, 1].unsqueeze(1)
        bright = torch.nn.functional.avg_pool2d(light, 4)[:, 0] > 150
        for k in range(len(target)):
            inside, others = target[k] > 0.95, bright[k] & (target[k] < 0.01)
            if inside.sum() > 20 and others.sum() > 20:
                moving.append(float(length[k][inside].mean()))
                bright_others.append(float(length[k][others].mean()))
    assert len(moving) > 6
    assert np.mean(moving) > 1.5 * np.mean(bright_others)


def test_a_shaken_camera_moves_further(monkeypatch: pytest.MonkeyPatch) -> None:
    ways: dict[bool, list[float]] = {False: [], True: []}

    def spy(image: np.ndarray, neighbour: np.ndarray, *, size: tuple[int, int]) -> np.ndarray:
        way, _ = cv2.phaseCorrelate(
            cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32),
            cv2.cvtColor(neighbour, cv2.COLOR_RGB2GRAY).astype(np.float32),
        )
        ways[shaken].append(float(np.hypot(*way)))
        return np.zeros((size[0] // 4, size[1] // 4, 4), np.float32)

    monkeypatch.setattr(samples, "residual_motion", spy)
    layer = ground(as_picture(textured(0, (192, 288))))
    for seed in range(20):
        for shaken in (False, True):
            rng = np.random.default_rng(seed)
            camera = small_step((192, 288), rng=rng)
            shot = Shot((layer,), None, Neighbour((layer.moved(camera),), after=False))
            draw_sample(shot, window=IDENTITY, size=(192, 288), shaken=shaken, rng=rng)
    assert np.mean(ways[True]) > 2 * np.mean(ways[False])


@pytest.mark.parametrize("field", ["herd_share", "parallax_share", "graphics_share", "shake"])
def test_a_batch_depends_on_seed_and_step_alone(root: Path, field: str) -> None:
    overrides = ("motion_share=1.0", "distractor_share=1.0", "scatter_share=0.0", f"{field}=1.0")
    one, two, without = batches(root, *overrides), batches(root, *overrides), batches(root, *overrides[:-1])
    changed = False
    for step in (3, 1):
        for a, b in zip(one[step][:4], two[step][:4], strict=True):
            assert torch.equal(a, b)
        changed |= not torch.equal(one[step].motion, without[step].motion)
    assert changed


def test_covers_are_rounded() -> None:
    np.testing.assert_array_equal(as_bytes(np.array([[0, 0.5, 1]], np.float32)), [[0, 128, 255]])
