"""Opacity comes back as masks with a matte: from videos and pictures, with alpha or grey, whoever wrote them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

import covos
from covos.core.errors import AnnotationError, UsageError
from covos.formats import mattes
from covos.masks import encode
from covos.masks.soft import SoftMask
from covos.media.inputs import open_input
from covos.results.loading import convert
from results.test_loading import result_of

MakeClip = Callable[..., Path]


def opacity(index: int, size: tuple[int, int] = (48, 64)) -> NDArray[np.float32]:
    """A bar with a ramp of 12 pixels at each side, which moves; the first frame has nothing."""
    if index == 0:
        return np.zeros(size, np.float32)
    away = np.abs(np.arange(size[1], dtype=np.float32) - 20 - 2 * index)
    return np.tile(np.clip((18 - away) / 12, 0, 1), (size[0], 1))


def soft_result(clip: Path) -> covos.Segmentation:
    """A result whose opacity is known, over all frames of a clip."""
    result = result_of(clip)
    frames = []
    for frame in result.frames:
        level = opacity(frame.index, frame.size)
        mask = level > 0.5
        soft = SoftMask.of(level, mask)
        frames.append(
            replace(frame, objects={1: encode(mask)} if mask.any() else {}, soft=soft, kept_matte=soft, status="ok")
        )
    return replace(result, frames=tuple(frames))


def errors(again: covos.Segmentation) -> list[float]:
    """The mean error of the opacity in each frame, in levels."""
    assert all(frame.matte is not None for frame in again)
    return [255 * float(np.abs(frame.matte - opacity(frame.index, frame.size)).mean()) for frame in again]


@pytest.mark.parametrize(
    ("name", "output", "most"),
    [
        ("matte-video", "matte-video.mp4", 2.0),
        ("matte-video=prores", "matte-video.mov", 1.0),
        ("matte-video=ffv1", "matte-video.mkv", 0.5),
        ("prores", "prores.mov", 1.0),
        ("webm", "webm.webm", 4.0),
        ("ffv1", "ffv1.mkv", 0.5),
        ("qtrle", "qtrle.mov", 0.5),
        ("matte", "matte", 0.5),
        ("matte=16", "matte", 0.5),
        ("rgba", "rgba", 0.5),
        ("rgba=webp", "rgba", 0.5),
        ("tiff", "tiff", 0.5),
    ],
)
@pytest.mark.parametrize("size", [(48, 64), (47, 63)])
def test_what_covos_wrote(
    make_clip: MakeClip, tmp_path: Path, name: str, output: str, most: float, size: tuple[int, int]
) -> None:
    source = make_clip(height=size[0], width=size[1]) if size == (48, 64) else odd_pictures(tmp_path / "odd", size)
    result = soft_result(source)
    result.save(tmp_path / "out", formats=[name])
    beside = covos.load_result(tmp_path / "out" / output)
    assert beside.info == result.info, "of the report"
    (tmp_path / "out" / output).rename(tmp_path / output)
    alone = covos.load_result(tmp_path / output)
    named = covos.load_result(tmp_path / output, source=source)
    assert named.info == result.info
    assert [frame.pts for frame in named] == [frame.pts for frame in result]
    for again in (beside, alone, named):
        assert max(errors(again)) <= most
        assert [set(frame.objects) for frame in again] == [set(), *[{1}] * 7]


def odd_pictures(folder: Path, size: tuple[int, int]) -> Path:
    folder.mkdir()
    for index in range(8):
        cv2.imwrite(str(folder / f"{index:05d}.png"), np.full((*size, 3), 20 * index, np.uint8))
    return folder


def test_a_part_finds_its_frames_by_the_report(clip: Path, tmp_path: Path) -> None:
    part = soft_result(clip)[3:7]
    part.save(tmp_path / "out", formats=["matte-video=ffv1"])
    again = covos.load_result(tmp_path / "out" / "matte-video.mkv")
    assert [frame.number for frame in again] == [3, 4, 5, 6]
    level = again.frames[0].matte
    assert level is not None
    assert np.abs(level - opacity(3)).max() <= 1 / 255
    (tmp_path / "out" / "matte-video.mkv").rename(tmp_path / "m.mkv")
    with pytest.raises(AnnotationError, match=r"it has 4 frames, and the source 8"):
        covos.load_result(tmp_path / "m.mkv", source=clip)


def test_it_is_a_matte_of_its_clip_in_other_formats(clip: Path, tmp_path: Path) -> None:
    soft_result(clip).save(tmp_path / "matte.mkv", formats=["matte-video=ffv1"])
    saved = convert(tmp_path / "matte.mkv", formats=["rgba", "coco"], source=clip, output=tmp_path / "out")
    assert not any("hard edges" in each for each in saved.warnings)
    with open_input(tmp_path / "out" / "rgba") as pictures, open_input(clip) as frames:
        for picture, frame in zip(pictures, frames, strict=True):
            if picture.index:
                assert picture.alpha is not None
                assert np.abs(picture.alpha - 255 * opacity(picture.index)).max() <= 1
                solid = picture.alpha == 255
                np.testing.assert_array_equal(picture.colours[solid], frame.image[solid])
    with pytest.raises(UsageError, match="needs the pictures"):
        convert(tmp_path / "matte.mkv", formats=["rgba"], output=tmp_path / "none")


def test_a_cut_out_is_not_its_own_source(clip: Path, tmp_path: Path) -> None:
    soft_result(clip).save(tmp_path / "x.mov")
    with pytest.raises(UsageError, match="source of its own alpha"):
        covos.load_result(tmp_path / "x.mov", source=tmp_path / "x.mov")


def written(path: Path, frames: list[NDArray[Any]], *, codec: str, pix_fmt: str, form: str) -> Path:
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=25)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pix_fmt
        stream.time_base = Fraction(1, 25)
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, form)))
        container.mux(stream.encode())
    return path


def grey(index: int) -> NDArray[np.uint8]:
    return np.rint(255 * opacity(index)).astype(np.uint8)


def test_grey_videos_of_another_program(tmp_path: Path) -> None:
    frames = [grey(index) for index in range(8)]
    path = written(tmp_path / "a.mkv", frames, codec="ffv1", pix_fmt="gray", form="gray")
    assert max(errors(covos.load_result(path))) <= 0.5
    opaque = [np.dstack([each] * 3 + [np.full_like(each, 255)]) for each in frames]
    path = written(tmp_path / "b.mov", opaque, codec="qtrle", pix_fmt="argb", form="rgba")
    assert max(errors(covos.load_result(path))) <= 0.5, "its alpha is not used"


def test_videos_that_are_no_matte(tmp_path: Path) -> None:
    film = [np.random.default_rng(index).integers(30, 220, (48, 64), np.uint8) for index in range(3)]
    path = written(tmp_path / "film.mkv", film, codec="ffv1", pix_fmt="gray", form="gray")
    with pytest.raises(AnnotationError, match="it is a video without alpha"):
        covos.load_result(path)
    nothing = [np.dstack([each] * 3 + [np.zeros_like(each)]) for each in film]
    path = written(tmp_path / "none.mov", nothing, codec="qtrle", pix_fmt="argb", form="rgba")
    with pytest.raises(AnnotationError, match="nothing in it is opaque"):
        covos.load_result(path)


def test_a_torn_video_is_refused(clip: Path, tmp_path: Path) -> None:
    soft_result(clip).save(tmp_path / "x.mkv", formats=["ffv1"])
    content = (tmp_path / "x.mkv").read_bytes()
    (tmp_path / "torn.mkv").write_bytes(content[: len(content) * 2 // 3])
    with pytest.raises(AnnotationError, match="damaged or missing"):
        covos.load_result(tmp_path / "torn.mkv")


def test_a_picture_with_alpha(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "photo.png"), noise)
    cv2.imwrite(str(tmp_path / "cut.png"), np.dstack([noise, grey(3)]))
    (frame,) = covos.load_result(tmp_path / "cut.png", source=tmp_path / "photo.png").frames
    assert frame.matte is not None
    assert np.abs(frame.matte - opacity(3)).max() <= 3 / 255
    with pytest.raises(AnnotationError, match="it is a picture"):
        covos.load_result(tmp_path / "photo.png")


def test_pictures_that_are_mostly_grey_are_no_matte(tmp_path: Path) -> None:
    ramp = np.tile(np.linspace(30, 220, 64), (48, 1)).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "0.png"), ramp)
    with pytest.raises(AnnotationError, match="is not a clean label map"):
        covos.load_result(tmp_path)


def test_broken_label_maps_are_no_matte(tmp_path: Path) -> None:
    ids = np.zeros((48, 64), np.uint8)
    for identity in range(1, 9):
        ids[8:40, 7 * identity : 7 * identity + 5] = identity
    smooth, deep = tmp_path / "smooth", tmp_path / "deep"
    smooth.mkdir()
    deep.mkdir()
    cv2.imwrite(str(smooth / "0.png"), cv2.resize(ids, (640, 480), interpolation=cv2.INTER_CUBIC))
    cv2.imwrite(str(deep / "0.png"), np.where(ids > 0, 2001, 0).astype(np.uint16))
    with pytest.raises(AnnotationError, match="is not a clean label map"):
        covos.load_result(smooth)
    with pytest.raises(AnnotationError, match="holds the value 2001"):
        covos.load_result(deep)


def test_plain_pictures_are_refused_after_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for index in range(3):
        noise = np.random.default_rng(index).integers(0, 255, (48, 64, 3), np.uint8)
        cv2.imwrite(str(tmp_path / f"{index}.png"), noise)

    def refuse(path: Path) -> NDArray[np.uint8]:
        raise AssertionError(f"{path} is looked into")

    monkeypatch.setattr(mattes, "read_alpha", refuse)
    with pytest.raises(AnnotationError, match=r"0\.png"):
        covos.load_result(tmp_path)


def test_opaque_pictures_before_others_are_of_the_matte(tmp_path: Path) -> None:
    for index in range(4):
        noise = np.random.default_rng(index).integers(0, 255, (48, 64, 3), np.uint8)
        alpha = np.full_like(grey(index), 255) if index < 2 else grey(index)
        cv2.imwrite(str(tmp_path / f"{index}.png"), np.dstack([noise, alpha]))
    again = covos.load_result(tmp_path)
    assert [frame.stem for frame in again] == [*"0123"]
    for frame, wanted in zip(again, [np.ones((48, 64)), np.ones((48, 64)), opacity(2), opacity(3)], strict=True):
        assert frame.matte is not None
        assert np.abs(frame.matte - wanted).max() <= 3 / 255
