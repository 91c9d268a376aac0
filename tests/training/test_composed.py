from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from covos.core.errors import InputError
from covos.data import Dataset, open_dataset
from covos.training import pools as held_back
from covos.training.pools import LEAST, only_held_back, without_held_back
from covos.training.scenes.composed import FRAMES, SIZE, compose_clips, fingerprint


def make_pictures(root: Path, *, count: int) -> Dataset:
    """Wide pictures of noise, each with a disk of its own colour in its left half."""
    rng = np.random.default_rng(5)
    for name in ("images", "masks"):
        (root / name).mkdir(parents=True)
    for number in range(count):
        image = rng.integers(60, 120, size=(96, 288, 3)).astype(np.uint8)
        mask = np.zeros((96, 288), np.uint8)
        cv2.circle(mask, (98, 48), 24, 255, -1)
        image[mask > 0] = rng.integers(0, 255, size=3)
        cv2.imwrite(str(root / "images" / f"p{number:03}.png"), image)
        cv2.imwrite(str(root / "masks" / f"p{number:03}.png"), mask)
    return open_dataset(root)


@pytest.fixture
def pictures(tmp_path: Path) -> Dataset:
    return make_pictures(tmp_path / "disks", count=14)


def test_a_twentieth_of_a_large_set_is_held_back(pictures: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(pictures) < LEAST
    assert without_held_back([pictures]) == (pictures,)
    assert only_held_back([pictures]) == ()
    share = sum(held_back.held_back(f"picture{k}") for k in range(4000)) / 4000
    assert share == pytest.approx(1 / 20, abs=0.01)

    monkeypatch.setattr(held_back, "LEAST", 5)
    monkeypatch.setattr(held_back, "held_back", lambda name: name.endswith("3"))
    (kept,), (apart,) = without_held_back([pictures]), only_held_back([pictures])
    assert [video.name for video in apart] == ["p003", "p013"]
    assert {video.name for video in kept} == {video.name for video in pictures} - {"p003", "p013"}
    assert without_held_back([kept]) == (kept,)


def test_the_names_that_are_held_back_never_change() -> None:
    assert [k for k in range(60) if held_back.held_back(f"{k:04}")] == [34, 35, 56]


def test_clips_are_the_same_each_time_and_another_seed_gives_others(pictures: Dataset) -> None:
    clips = compose_clips([pictures], count=2)
    assert [clip.name for clip in clips] == ["shared-00", "shared-01", "moving-00", "moving-01"]
    assert fingerprint(clips) == fingerprint(compose_clips([pictures], count=2))
    assert fingerprint(clips) != fingerprint(compose_clips([pictures], count=2, seed=1))
    # A longer list begins with a shorter one.
    longer = compose_clips([pictures], count=3)
    assert fingerprint([longer[0], longer[3]]) == fingerprint([clips[0], clips[2]])


def test_only_the_subject_is_in_every_frame_of_a_shared_clip(pictures: Dataset) -> None:
    clip = compose_clips([pictures], count=1)[0]
    assert [frame.index for frame in clip.frames] == [0, 2, 4, 6, 8, 10, 12, 14]  # no neighbours: no motion
    for frame, truth in zip(clip.frames, clip.truth, strict=True):
        assert frame.image.shape == (*SIZE, 3)
        assert truth.dtype == np.bool_
        assert 0.01 < truth.mean() < 0.4
    # Its colour is one, up to the light; those beside it differ from frame to frame.
    colours = np.array([frame.image[truth].mean(axis=0) for frame, truth in zip(clip.frames, clip.truth, strict=True)])
    tints = colours / np.linalg.norm(colours, axis=1, keepdims=True)
    assert np.abs(tints - tints[0]).max() < 0.05


def test_the_subject_of_a_moving_clip_moves_against_its_ground(pictures: Dataset) -> None:
    clip = compose_clips([pictures], count=1)[1]
    assert [frame.index for frame in clip.frames] == list(range(FRAMES))
    columns = [np.flatnonzero(truth.any(axis=0)).mean() for truth in clip.truth]
    steps = np.diff(columns)
    # The ground's own subject is on the left, so this one comes from the right.
    assert columns[0] > SIZE[1] / 2
    assert (steps < -1).all()


def test_too_few_pictures_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="3 can be cut out, 3 have an empty part and 3 are wide enough"):
        compose_clips([make_pictures(tmp_path / "few", count=3)])
