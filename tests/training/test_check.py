from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from covos.core.errors import InputError, SourceError
from covos.training import check
from covos.training.check import DataCheck, check_data
from covos.training.gather import gather

SIZE = (96, 160)
Spoil = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]


def disk() -> NDArray[np.uint8]:
    mask = np.zeros(SIZE, np.uint8)
    cv2.circle(mask, (80, 48), 30, 255, -1, cv2.LINE_AA)
    return mask


def hard() -> NDArray[np.uint8]:
    return np.where(disk() > 127, 255, 0).astype(np.uint8)


def write(root: Path, name: str, mask: NDArray[np.uint8], *, seed: int) -> None:
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    image = np.random.default_rng(seed).integers(0, 255, (*SIZE, 3), dtype=np.uint8)
    cv2.imwrite(str(root / "images" / f"{name}.png"), image)
    cv2.imwrite(str(root / "masks" / f"{name}.png"), mask)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Six pictures in order: discs with smooth edges."""
    for number in range(6):
        write(tmp_path / "set", f"good{number}", disk(), seed=number)
    return tmp_path / "set"


def look(*roots: Path) -> DataCheck:
    return check_data(gather(roots, seed=0))


def test_good_data_is_counted_and_nothing_is_found(root: Path) -> None:
    found = look(root)
    assert found.problems == ()
    found.refuse()
    assert found.counts[0] == "set: 6 pictures to train on, 6 frames: 6 with a mask, 0 without; 6 were read"


@pytest.mark.parametrize(
    ("mask", "said"),
    [
        (np.zeros(SIZE, np.uint8), "are empty"),
        (np.pad(np.full((3, 3), 255, np.uint8), ((0, 93), (0, 157))), "cover less than 0.1%"),
        (np.maximum(250, disk()).astype(np.uint8), "cover more than 95%"),
        (cv2.resize(cv2.resize(hard(), (20, 12)), SIZE[::-1]), "wide soft edges"),
        (cv2.resize(cv2.resize(hard(), (40, 24), interpolation=0), SIZE[::-1], interpolation=0), "look enlarged"),
    ],
)
def test_a_mask_that_may_be_wrong_is_a_warning(root: Path, mask: NDArray[np.uint8], said: str) -> None:
    write(root, "odd", mask, seed=9)
    found = look(root)
    (problem,) = found.problems
    assert problem.severity == "warning"
    assert problem.what.startswith("set: 1 of 7 ")
    assert said in problem.what
    assert problem.examples == ("odd",)
    found.refuse()


def test_a_rectangle_is_no_enlarged_mask(root: Path) -> None:
    box = np.zeros(SIZE, np.uint8)
    box[20:60, 40:100] = 255
    write(root, "box", box, seed=9)
    assert look(root).problems == ()


def test_what_a_training_would_trip_over_is_an_error(root: Path) -> None:
    write(root, "small", disk()[:50], seed=9)
    broken = root / "images" / "good2.png"
    broken.write_bytes(broken.read_bytes()[:2000])
    found = look(root)
    assert [problem.severity for problem in found.problems] == ["error", "error"]
    assert "1 of 7 files cannot be read" in found.problems[0].what
    assert "1 of 7 masks do not have the size of their picture" in found.problems[1].what
    with pytest.raises(InputError, match=r"cannot be trained on[\s\S]*good2\.png[\s\S]*small"):
        found.refuse()


def test_nothing_but_empty_masks_is_an_error(tmp_path: Path) -> None:
    for number in range(3):
        write(tmp_path / "set", f"none{number}", np.zeros(SIZE, np.uint8), seed=number)
    with pytest.raises(InputError, match="every mask that was read is empty"):
        look(tmp_path / "set").refuse()


def test_pictures_that_are_trained_and_measured_on_are_found(tianchi: Path, tmp_path: Path) -> None:
    assert look(tianchi).problems == ()
    copied = tmp_path / "tianchi"
    shutil.copytree(tianchi, copied)
    data = gather([copied], seed=0, ratio=0.5)
    (trained,), (measured,) = data.train, data.validation
    source, target = trained.videos[0].frames[1].image, measured.videos[0].frames[2].image
    assert source is not None
    assert target is not None
    shutil.copy(source, target)
    (problem,) = check_data(data).problems
    assert problem.what.startswith("1 of the pictures to measure on are trained on")
    assert problem.examples == (str(target),)


def test_large_sets_are_sampled(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "MOST", 3)
    read: list[int] = []
    found = check_data(gather([root], seed=0), on_frames=read.append)
    assert found.counts[0].endswith("; 3 were read")
    assert sum(read) == 3


def test_folders_that_are_no_data_set_yet_are_explained(root: Path, tmp_path: Path) -> None:
    clips = tmp_path / "clips"
    clips.mkdir()
    (clips / "holiday.MP4").touch()
    with pytest.raises(SourceError, match=r"it holds videos[\s\S]*JPEGImages/holiday/%05d\.jpg"):
        gather([clips], seed=0)
    shutil.rmtree(root / "masks")
    with pytest.raises(SourceError, match=r"no masks that belong to them[\s\S]*images/good0\.png"):
        gather([root], seed=0)
    with pytest.raises(SourceError, match="no such folder"):
        gather([tmp_path / "missing"], seed=0)
