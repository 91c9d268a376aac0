from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from covos.data import open_dataset, read_image
from covos.engines.motion import residual_motion
from covos.training.scenes.layers import IDENTITY, as_picture, compose, image_of
from covos.training.scenes.samples import RESTING, Neighbour, still_neighbour, video_neighbour
from covos.training.scenes.windows import as_bytes


def shown(neighbour: Neighbour, *, size: tuple[int, int] = (32, 48)) -> np.ndarray:
    """The whole scene of the neighbour."""
    return image_of(compose(neighbour.layers, IDENTITY, size=size))


def write_video(root: Path, count: int) -> Path:
    for index in range(count):
        for kind, value in (("JPEGImages", 40 * index + 20), ("Annotations", 255)):
            path = root / kind / "480p" / "clip" / f"{index:05}.{'jpg' if kind == 'JPEGImages' else 'png'}"
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), np.full((32, 48), value, np.uint8))
    return root


def test_a_neighbour_stands_beside_its_frame(tmp_path: Path) -> None:
    (video,) = open_dataset(write_video(tmp_path, 4))
    seen = set()
    for seed in range(20):
        for index, record in enumerate(video.frames):
            neighbour = video_neighbour(video, record, most=1, rng=np.random.default_rng(seed))
            assert neighbour is not None
            other = index + 1 if neighbour.after else index - 1
            np.testing.assert_array_equal(shown(neighbour), read_image(video.frames[other]))
            seen.add((index, neighbour.after))
    assert seen == {(0, True), (1, False), (1, True), (2, False), (2, True), (3, False)}


def test_a_neighbour_may_stand_further_away_where_the_video_goes_on(tmp_path: Path) -> None:
    (video,) = open_dataset(write_video(tmp_path, 5))
    pictures = [read_image(record) for record in video.frames]
    gaps: list[int] = []
    for seed in range(60):
        neighbour = video_neighbour(video, video.frames[1], most=3, rng=np.random.default_rng(seed))
        assert neighbour is not None
        (other,) = (index for index, picture in enumerate(pictures) if np.array_equal(picture, shown(neighbour)))
        assert (other > 1) == neighbour.after
        gaps.append(abs(other - 1))
    assert set(gaps) == {1, 2, 3}
    assert 0.3 < np.mean(np.equal(gaps, 1)) < 0.7


def test_a_frame_alone_has_no_neighbour(tmp_path: Path) -> None:
    (video,) = open_dataset(write_video(tmp_path, 1))
    assert video_neighbour(video, video.frames[0], most=3, rng=np.random.default_rng(0)) is None


@pytest.fixture(scope="module")
def picture() -> tuple[np.ndarray, np.ndarray]:
    noise = np.random.default_rng(0).integers(0, 255, (192, 320, 3), dtype=np.uint8)
    mask = np.zeros((192, 320), np.float32)
    mask[60:140, 110:210] = 1
    return cv2.GaussianBlur(noise, (0, 0), 2), mask


def test_the_subject_of_a_still_picture_moves_against_the_scene_or_rests(
    picture: tuple[np.ndarray, np.ndarray],
) -> None:
    image, mask = picture
    inside = cv2.erode(mask, np.ones((25, 25)))[::4, ::4] > 0
    outside = cv2.dilate(mask, np.ones((41, 41)))[::4, ::4] == 0
    outside[[0, 1, 2, -3, -2, -1]] = False
    outside[:, [0, 1, 2, -3, -2, -1]] = False
    moving = 0
    for seed in range(24):
        neighbour = still_neighbour(as_picture(image, as_bytes(mask)), rng=np.random.default_rng(seed))
        assert not neighbour.after
        length = residual_motion(image, shown(neighbour, size=(192, 320)), size=(192, 320))[..., 2]
        moving += np.median(length[inside]) > 4 * np.median(length[outside])
    assert (1 - RESTING) * 24 * 0.5 < moving < 24
