"""Written videos and pictures are opened by OpenCV, which brings an FFmpeg and decoders of its own, not by PyAV.

OpenCV drops the alpha of videos, so colours are compared where the subject is opaque. `test_exr.py` reads OpenEXR by
its own library.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from covos.core.types import FrameResult, SourceInfo
from covos.formats.table import make_writer
from covos.masks import davis_palette
from covos.runs.folder import OutputFolder

SIZE = HEIGHT, WIDTH = 96, 128
FRAMES = 5
SUBJECT, GROUND = (200, 150, 70), (40, 90, 160)
GREEN = (0, 255, 0)
INSIDE, OUTSIDE = (slice(30, 60), slice(44, 76)), (slice(4, 88), slice(92, 124))


@pytest.fixture
def written(
    tmp_path: Path, info: Callable[..., SourceInfo], result: Callable[..., FrameResult]
) -> Callable[[str], list[Path]]:
    """Write five frames of a flat subject on a flat ground, of which the alpha is hard; return the files."""

    def write(name: str) -> list[Path]:
        about = info(height=HEIGHT, width=WIDTH, frame_count=FRAMES, path=tmp_path / "clip.mp4")
        writer = make_writer(name, OutputFolder(tmp_path / "out" / name), info=about, source_path=about.path)
        labels = np.zeros(SIZE, np.uint8)
        labels[24:66, 38:82] = 1
        image = np.where(labels[..., None] == 1, np.uint8(SUBJECT), np.uint8(GROUND))
        for index in range(FRAMES):
            one = result(index, size=SIZE)
            frame = replace(one.frame, image=image)
            writer.write(replace(one, frame=frame, labels=labels, probability=labels.astype(np.float32)))
        (path,) = writer.close()
        return sorted(path.iterdir()) if path.is_dir() else [path]

    return write


@pytest.mark.parametrize(
    ("name", "suffix", "colours", "off"),
    [
        ("prores", ".mov", (SUBJECT, None), 6),
        ("qtrle", ".mov", (SUBJECT, None), 0),
        ("ffv1", ".mkv", (SUBJECT, None), 0),
        ("webm", ".webm", (SUBJECT, None), 6),
        ("green", ".mp4", (SUBJECT, GREEN), 6),
        ("green=prores", ".mov", (SUBJECT, GREEN), 6),
        ("background=#102030", ".mp4", (SUBJECT, (16, 32, 48)), 6),
        ("blur", ".mp4", (SUBJECT, GROUND), 6),
        ("overlay", ".mp4", (None, GROUND), 6),
        ("matte-video", ".mp4", ((255, 255, 255), (0, 0, 0)), 3),
        ("matte-video=prores", ".mov", ((255, 255, 255), (0, 0, 0)), 3),
        ("matte-video=ffv1", ".mkv", ((255, 255, 255), (0, 0, 0)), 0),
    ],
)
def test_videos_have_their_frames_size_rate_and_colours(
    written: Callable[[str], list[Path]],
    name: str,
    suffix: str,
    colours: tuple[tuple[int, int, int] | None, tuple[int, int, int] | None],
    off: int,
) -> None:
    (path,) = written(name)
    assert path.suffix == suffix
    video = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    assert video.get(cv2.CAP_PROP_FPS) == pytest.approx(25)
    pictures = []
    while True:
        there, picture = video.read()
        if not there:
            break
        pictures.append(picture[..., ::-1].astype(int))
    video.release()
    assert [picture.shape for picture in pictures] == [(*SIZE, 3)] * FRAMES
    for picture in pictures:
        for place, colour in zip((INSIDE, OUTSIDE), colours, strict=True):
            if colour is not None:
                assert np.abs(picture[place] - colour).max() <= off, (name, picture[place].mean((0, 1)), colour)


def test_pictures_with_alpha_are_what_they_were(written: Callable[[str], list[Path]]) -> None:
    files = written("rgba")
    assert len(files) == FRAMES
    for file in files:
        picture = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
        assert picture.shape == (*SIZE, 4)
        np.testing.assert_array_equal(picture[INSIDE], np.broadcast_to([*SUBJECT[::-1], 255], (30, 32, 4)))
        assert not picture[OUTSIDE][..., 3].any()


def test_mask_pictures_are_what_they_were(written: Callable[[str], list[Path]]) -> None:
    (binary,) = written("binary")
    for file in (*binary.iterdir(), *written("matte")):
        picture = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
        assert picture.shape == SIZE
        assert (picture[INSIDE] == 255).all()
        assert not picture[OUTSIDE].any()
    for file in written("palette"):  # which OpenCV shows as the colours of the palette
        picture = cv2.imread(str(file))
        assert (picture[INSIDE] == davis_palette()[1][::-1]).all()
        assert not picture[OUTSIDE].any()
    pictures = [file for file in written("cutout") if file.suffix == ".png"]
    assert len(pictures) == FRAMES
    for file in pictures:
        assert (cv2.imread(str(file), cv2.IMREAD_UNCHANGED)[5:30, 5:30] == (*SUBJECT[::-1], 255)).all()


def test_a_sheet_is_a_picture_of_the_frames(written: Callable[[str], list[Path]]) -> None:
    (file,) = written("sheet")
    picture = cv2.imread(str(file))
    assert picture is not None
    assert (np.abs(picture[..., ::-1].astype(int) - GROUND).max(axis=2) <= 3).mean() > 0.3
