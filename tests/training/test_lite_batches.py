"""What the frames of a step show."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from covos.data import open_dataset
from covos.training.lite import GroupBatches
from covos.training.pools import LEAST, held_back, make_pool, make_pools
from covos.training.registry import load_recipe


def pictures(root: Path, *, count: int, shade: int) -> Path:
    """Pictures of a bright disk on a ground of one shade, and their masks."""
    for index in range(count):
        truth = np.zeros((48, 64), np.uint8)
        cv2.circle(truth, (20 + index % 20, 24), 12, 255, -1)
        picture = np.full((48, 64, 3), shade, np.uint8)
        picture[truth > 0] = (40, 220, 220)
        for folder, image, suffix in (("images", picture, "png"), ("masks", truth, "png")):
            path = root / folder / f"{root.name}{index:04}.{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), image)
    return root


def batches(root: Path, *overrides: str) -> GroupBatches:
    plain = ("frames_per_step=4", "group_sizes=[4]", "crops=[[64, 96]]", "crop_chances=[1.0]", "spoil_share=0.0")
    return GroupBatches([open_dataset(root)], load_recipe("lite", overrides=(*plain, *overrides)))


def test_a_scattered_subject_is_in_every_frame_of_its_group(tmp_path: Path) -> None:
    source = batches(pictures(tmp_path / "set", count=6, shade=90), "paste_share=1.0", "scatter_share=1.0")
    for step in range(6):
        batch = source[step]
        assert not batch.motion.any()
        assert (batch.target.amax(dim=(1, 2, 3)) > 0.9).all()


def test_the_motion_of_a_pasted_subject_is_known_where_it_must_be(tmp_path: Path) -> None:
    root = pictures(tmp_path / "set", count=6, shade=90)
    source = batches(root, "paste_share=1.0", "scatter_share=0.0", "distractor_share=1.0", "motion_share=0.0")
    assert any(source[step].motion.any() for step in range(3))


@pytest.mark.parametrize("bystanders", [0, 4])
def test_bystanders_are_not_the_subject(tmp_path: Path, bystanders: int) -> None:
    """Disks of the subject's brightness that the target leaves out: those that stand there, and more of them."""
    root = pictures(tmp_path / "set", count=6, shade=20)
    source = batches(
        root,
        "paste_share=1.0",
        "scatter_share=0.0",
        "distractor_share=1.0",
        f"bystanders={bystanders}",
        "zoom=[1.0, 1.0]",
    )
    left_out = []
    for step in range(10):
        batch = source[step]
        bright = torch.nn.functional.avg_pool2d(batch.image.float().amax(dim=1, keepdim=True), 2) > 130
        left_out.append(float((bright & (batch.target < 0.1)).float().mean()))
    # One disk of its own in each background; four more cover more than that.
    assert (np.mean(left_out) > 0.2) == bool(bystanders)
    assert np.mean(left_out) > 0.03


def test_a_pool_draws_beside_a_place_from_its_own_set(tmp_path: Path) -> None:
    sets = [open_dataset(pictures(tmp_path / name, count=4, shade=50)) for name in ("one", "two")]
    pool = make_pool(sets, kind="image")
    assert pool is not None
    rng = np.random.default_rng(0)
    for place, video in enumerate(pool.videos):
        beside = {pool.beside(place, rng).name for _ in range(40)}
        assert len(beside) == 4
        assert {name[:3] for name in beside} == {video.name[:3]}


def test_nothing_that_is_held_back_is_drawn(tmp_path: Path) -> None:
    dataset = open_dataset(pictures(tmp_path / "big", count=LEAST, shade=50))
    held = {video.name for video in dataset if held_back(video.name)}
    assert held
    _, still = make_pools([dataset])
    assert still is not None
    assert {video.name for video in still.videos} == {video.name for video in dataset} - held


def test_a_picture_without_a_sure_subject_is_passed_over(tmp_path: Path) -> None:
    root = pictures(tmp_path / "set", count=6, shade=50)
    for index in range(3):
        path = root / "masks" / f"set{index:04}.png"
        cv2.imwrite(str(path), np.full((48, 64), 90, np.uint8))
    source = batches(root, "paste_share=0.0", "motion_share=0.0")
    seen = [float(source[step].target.max()) for step in range(20)]
    # Four draws in a row of the unsure half are one in sixteen; each by itself would be one in two.
    assert np.mean(np.greater(seen, 0.9)) > 0.8
