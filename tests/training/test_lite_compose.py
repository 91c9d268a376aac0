from __future__ import annotations

import numpy as np
import pytest

from covos.core.types import ImageArray, ProbabilityArray
from covos.training.scenes.cutouts import Cutout, cut_out
from covos.training.scenes.groups import EMPTY, OWN_STEP, add_bystanders, background_window, own_step
from covos.training.scenes.layers import as_picture, compose, ground, place_cutout


def test_a_background_window_shows_nothing_of_the_subject() -> None:
    subject = np.zeros((60, 100), bool)
    subject[5:25, 70:95] = True
    found = [background_window(subject, rng=np.random.default_rng(seed)) for seed in range(20)]
    assert any(window is not None for window in found)
    for window in found:
        if window is not None:
            assert subject[window].mean() < EMPTY
            assert subject[window].shape >= (30, 50)


def test_a_picture_full_of_its_subject_has_no_background() -> None:
    assert background_window(np.ones((60, 100), bool), rng=np.random.default_rng(0)) is None


def test_cut_out_is_the_bounding_box() -> None:
    alpha = np.zeros((60, 100), np.float32)
    alpha[10:20, 30:70] = 0.9
    box = cut_out(np.zeros((60, 100, 3), np.uint8), alpha)
    assert box is not None
    assert box[0].shape == (10, 40, 3)
    assert box[1].shape == (10, 40)
    assert cut_out(np.zeros((60, 100, 3), np.uint8), alpha * 0.1) is None


def paste(
    background: ImageArray, cutout: Cutout, *, height_share: float, center: np.ndarray
) -> tuple[ImageArray, ProbabilityArray]:
    layer = place_cutout(cutout, shape=background.shape, height_share=height_share, center=center, is_subject=True)
    view = compose([ground(as_picture(background)), layer], np.eye(2, 3), size=background.shape[:2])
    return view[..., :3], view[..., 3].astype(np.float32) / 255


@pytest.mark.parametrize("height_share", [0.1, 0.4, 1.5])
def test_the_subject_lies_where_its_mask_says(height_share: float) -> None:
    background = np.full((80, 120, 3), 10, np.uint8)
    subject = Cutout(np.full((40, 20, 3), 240, np.uint8), np.ones((40, 20), np.float32))
    image, mask = paste(background, subject, height_share=height_share, center=np.array([0.5, 0.5]))
    assert image.shape == background.shape
    assert (image[mask > 0.99] == 240).all()
    assert (image[mask == 0] == 10).all()
    rows = np.flatnonzero((mask > 0.5).any(axis=1))
    assert len(rows) == pytest.approx(min(height_share, 1) * 80, abs=1.5)
    assert rows.mean() == pytest.approx(39.5, abs=1)


def test_a_subject_may_leave_the_picture() -> None:
    background = np.zeros((80, 120, 3), np.uint8)
    subject = Cutout(np.full((40, 20, 3), 240, np.uint8), np.ones((40, 20), np.float32))
    whole = paste(background, subject, height_share=0.5, center=np.array([0.5, 0.5]))[1].sum()
    half = paste(background, subject, height_share=0.5, center=np.array([0.0, 0.5]))[1].sum()
    assert half == pytest.approx(whole / 2, rel=0.1)


def test_others_stand_in_the_scene() -> None:
    scene = np.zeros((80, 120, 4), np.uint8)
    cut = Cutout(np.full((40, 20, 3), 200, np.uint8), np.ones((40, 20), np.float32))
    rng = np.random.default_rng(1)
    assert (add_bystanders(scene, [], height_share=0.3, rng=rng) == scene).all()
    one, three = (
        (add_bystanders(scene, [cut] * count, height_share=0.3, rng=np.random.default_rng(1)) > 100).mean()
        for count in (1, 3)
    )
    assert 0.01 < one < three
    assert not scene.any()


def test_a_subject_never_rests() -> None:
    lengths = [np.hypot(*own_step(rng=np.random.default_rng(seed))) for seed in range(50)]
    assert OWN_STEP[0] <= min(lengths) < 0.01
    assert 0.02 < max(lengths) <= OWN_STEP[1]
