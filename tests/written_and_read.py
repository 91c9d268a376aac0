"""Masks that are written in a format and read back, and the refusal of a file, for the tests of readers."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from covos.core.errors import AnnotationError
from covos.core.types import Frame, FrameResult, SourceInfo
from covos.formats.reading import MasksRead
from covos.formats.table import make_writer
from covos.masks import decode
from covos.runs.folder import OutputFolder
from covos.runs.reading import read_masks

Labels = NDArray[np.uint8]
FILES = {
    "palette": "masks",
    "coco": "coco.json",
    "ytvis": "ytvis.json",
    "cvat": "cvat.xml",
    "labelstudio": "labelstudio.json",
}
BASE = Fraction(1, 30_000)


def write(name: str, folder: Path, maps: Sequence[Labels], *, first: int = 0) -> Path:
    height, width = maps[0].shape
    info = SourceInfo(
        path="clip.mp4",
        kind="video",
        height=height,
        width=width,
        frame_count=len(maps),
        frame_rate=Fraction(30_000, 1001),
        duration=None,
        time_base=BASE,
    )
    writer = make_writer(name, OutputFolder(folder), info=info, source_path=Path("clip.mp4"))
    for index, labels in enumerate(maps, start=first):
        image = np.zeros((*labels.shape, 3), np.uint8)
        frame = Frame(index=index, stem=f"{index:05d}", image=image, pts=1001 * index, time_base=BASE)
        result = FrameResult(frame=frame, probability=(labels > 0).astype(np.float32), labels=labels, confidence=0.5)
        writer.write(result)
    writer.close()
    return folder / FILES[name]


def maps_of(read: MasksRead) -> list[Labels]:
    maps = []
    for frame in read.frames:
        labels = np.zeros(frame.size, np.uint8)
        for identity, rle in frame.objects.items():
            mask = decode(rle)
            assert not labels[mask].any()
            labels[mask] = identity
        maps.append(labels)
    return maps


def refusal(path: Path) -> AnnotationError:
    with pytest.raises(AnnotationError) as caught:
        read_masks(path)
    assert str(path) in caught.value.what
    assert caught.value.fix
    return caught.value


def reason(path: Path) -> str:
    return refusal(path).why


def read_or_refused(path: Path) -> bool:
    """Whether a file that may be damaged is read; anything but an error of ours goes through."""
    try:
        read_masks(path)
    except AnnotationError:
        return False
    return True


def hard_cases() -> list[Labels]:
    maps = [np.zeros((24, 33), np.uint8) for _ in range(5)]
    maps[1][3:20, 5:25], maps[1][8:12, 10:14] = 1, 0
    maps[1][9, 11] = 7
    maps[2][0, 0] = maps[2][-1, -1] = 254
    maps[4][:] = 2
    return maps
