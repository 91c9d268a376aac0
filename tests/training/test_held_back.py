from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from covos.data import Dataset, open_dataset
from covos.training import pools
from covos.training.pools import LEAST, only_held_back, without_held_back


@pytest.fixture
def pictures(tmp_path: Path) -> Dataset:
    """Pictures of one shade, with masks."""
    for name, value in (("images", 80), ("masks", 255)):
        (tmp_path / "disks" / name).mkdir(parents=True)
        for number in range(14):
            path = tmp_path / "disks" / name / f"p{number:03}.png"
            cv2.imwrite(str(path), np.full((16, 24), value, np.uint8))
    return open_dataset(tmp_path / "disks")


def test_a_twentieth_of_a_large_set_is_held_back(pictures: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(pictures) < LEAST
    assert without_held_back([pictures]) == (pictures,)
    assert only_held_back([pictures]) == ()
    share = sum(pools.held_back(f"picture{k}") for k in range(4000)) / 4000
    assert share == pytest.approx(1 / 20, abs=0.01)

    monkeypatch.setattr(pools, "LEAST", 5)
    monkeypatch.setattr(pools, "held_back", lambda name: name.endswith("3"))
    (kept,), (apart,) = without_held_back([pictures]), only_held_back([pictures])
    assert [video.name for video in apart] == ["p003", "p013"]
    assert {video.name for video in kept} == {video.name for video in pictures} - {"p003", "p013"}
    assert without_held_back([kept]) == (kept,)


def test_names_that_are_no_utf8_are_held_back_as_others_are() -> None:
    share = sum(pools.held_back(os.fsdecode(f"caf{k}".encode() + b"\xe9")) for k in range(4000)) / 4000
    assert share == pytest.approx(1 / 20, abs=0.01)


def test_the_names_that_are_held_back_never_change() -> None:
    assert [k for k in range(60) if pools.held_back(f"{k:04}")] == [34, 35, 56]
