"""A disk that is full: who grants the room that the message asks for has enough."""

from __future__ import annotations

import gc
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from covos.cli import main
from covos.masks import write_label_map

_UNITS = {"kB": 1000, "MB": 1000**2}
Mount = Callable[[int], None]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[tuple[Path, Mount]]:
    """A folder on a disk of its own, and what makes it so many bytes large."""
    place = tmp_path / "disk"
    place.mkdir()

    def mount(size: int, *more: str) -> bool:
        command = ["mount", "-t", "tmpfs", "-o", ",".join([f"size={size}", *more]), "none", str(place)]
        try:
            return not subprocess.run(command, check=False, capture_output=True).returncode
        except OSError:
            return False

    if not mount(80_000):
        pytest.skip("no disk can be mounted here")
    try:
        yield place, lambda size: mount(size, "remount") or pytest.fail("the disk does not grow")
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)  # even if a thread still holds a file


def files_held() -> set[Path]:
    """Return the files that this process has open."""
    return {held.resolve() for held in Path("/proc/self/fd").iterdir()}


@pytest.mark.parametrize("size", [40_000, 80_000, 160_000])
def test_the_room_that_is_asked_for_is_enough(
    make_clip: Callable[..., Path],
    tmp_path: Path,
    disk: tuple[Path, Mount],
    capsys: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
    size: int,
) -> None:
    clip, masks, (place, grow) = make_clip(frames=40), tmp_path / "masks", disk
    masks.mkdir()
    for index in range(40):
        labels = np.zeros((48, 64), np.uint8)
        labels[10:30, index : index + 20] = 1
        write_label_map(masks / f"{index:05d}.png", labels)
    grow(size)
    gc.disable()  # nothing may wait for it
    request.addfinalizer(gc.enable)
    words = ["convert", str(masks), "--source", str(clip), "-f", "rgba", "-f", "overlay", "-f", "coco"]
    assert main([*words, "-o", str(place / "out"), "-q"]) == 5
    assert clip not in files_held(), "what failed holds its source no longer"
    asked = re.search(r"about ([\d.]+) ([kM]B) more are needed for all 40 frames", capsys.readouterr().err)
    assert asked is not None
    assert not list(place.iterdir()), "nothing half made is left"
    # Nothing is left of it, so that the whole is asked for; the disk keeps what it had.
    grow(size + round(float(asked[1]) * _UNITS[asked[2]]))
    assert main([*words, "-o", str(place / "out"), "-q"]) == 0, capsys.readouterr().err
