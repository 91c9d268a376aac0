"""The alpha of an input: networks see the picture over grey, and its own colours are kept."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image as Pillow

from covos.core.errors import UsageError
from covos.core.types import Frame, FrameResult
from covos.formats.compose import ComposedResult
from covos.media.inputs import open_input
from covos.media.opening import open_source
from covos.media.picture import BACKDROP
from covos.prompts.one_frame import alpha_mask

Draw = Callable[..., NDArray[np.uint8]]

ALPHA = np.zeros((48, 64), np.uint8)
ALPHA[8:40, 8:32] = 255
ALPHA[8:40, 32:40] = 128


def rgba(draw: Draw, index: int = 0) -> NDArray[np.uint8]:
    return np.dstack([draw(index), ALPHA])


def check(frame: Frame, draw: Draw, *, tolerance: float) -> None:
    assert frame.alpha is not None
    assert np.abs(frame.alpha.astype(int) - ALPHA).mean() <= tolerance
    solid, gone, half = ALPHA == 255, ALPHA == 0, ALPHA == 128
    assert np.abs(frame.image[solid].astype(int) - draw(frame.index)[solid]).mean() <= tolerance
    assert np.abs(frame.image[gone].astype(int) - BACKDROP).mean() <= tolerance
    mixed = (draw(frame.index)[half].astype(int) + BACKDROP) / 2
    assert np.abs(frame.image[half] - mixed).mean() <= tolerance + 1
    assert np.abs(frame.colours[solid].astype(int) - draw(frame.index)[solid]).mean() <= tolerance


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt", "options", "tolerance"),
    [
        ("a.webm", "libvpx-vp9", "yuva420p", {"auto-alt-ref": "0", "crf": "4", "b": "4M"}, 9),
        ("b.webm", "libvpx", "yuva420p", {"auto-alt-ref": "0", "crf": "4", "b": "4M"}, 9),
        ("a.mov", "prores_ks", "yuva444p10le", {"profile": "4444"}, 3),
        ("b.mov", "qtrle", "argb", {}, 0),
        ("c.mov", "png", "rgba", {}, 0),
        ("a.mkv", "ffv1", "bgra", {}, 0),
    ],
)
def test_videos_with_alpha(
    tmp_path: Path, draw: Draw, name: str, codec: str, pix_fmt: str, options: dict[str, str], tolerance: float
) -> None:
    path = tmp_path / name
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, width=64, height=48, options=options)
        stream.pix_fmt = pix_fmt
        if name.endswith("webm"):
            stream.metadata["alpha_mode"] = "1"
        for index in range(4):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rgba(draw, index), format="rgba")))
        container.mux(stream.encode(None))
    with open_source(path) as source:
        frames = list(source)
        assert source.health.complete
        assert any("alpha as a mask" in text for text in source.health.warnings)
        (again,) = source.select([3])
    assert len(frames) == 4
    for frame in frames:
        check(frame, draw, tolerance=tolerance)
    np.testing.assert_array_equal(again.image, frames[3].image)


@pytest.mark.parametrize("name", ["still.png", "still.webp", "still.tif", "moving.webp", "moving.png", "moving.gif"])
def test_pictures_and_animations_with_alpha(tmp_path: Path, draw: Draw, name: str) -> None:
    pictures = [Pillow.fromarray(rgba(draw, index)) for index in range(2)]
    options = {"lossless": True, "exact": True} if name.endswith("webp") else {}
    if name.startswith("moving"):
        pictures[0].save(tmp_path / name, save_all=True, append_images=pictures[1:], disposal=2, **options)
    else:
        pictures[0].save(tmp_path / name, **options)
    with open_source(tmp_path / name) as source:
        first = next(iter(source))
    if not name.endswith("gif"):
        check(first, draw, tolerance=0)
        return
    assert first.alpha is not None  # on or off
    assert (first.image[ALPHA == 0] == BACKDROP).all()


def test_an_animated_avif_with_alpha(tmp_path: Path, draw: Draw) -> None:
    """FFmpeg gives its alpha as another video."""
    first, *others = [Pillow.fromarray(rgba(draw, index)) for index in range(4)]
    path, durations = tmp_path / "moving.avif", [100, 40, 250, 60]
    first.save(path, save_all=True, append_images=others, duration=durations, quality=95, subsampling="4:4:4")
    with open_source(path) as source:
        frames = list(source)
        (third,) = source.select([2])
        assert source.health.complete
    assert [frame.pts for frame in frames] == [0, 100, 140, 390]
    assert (source.info.kind, source.info.codec, third.pts) == ("video", "avif", 140)
    for frame in (*frames, third):
        check(frame, draw, tolerance=9)


def test_an_alpha_of_16_bits(tmp_path: Path, draw: Draw) -> None:
    import cv2

    deep = rgba(draw).astype(np.uint16) * 257
    cv2.imwrite(str(tmp_path / "deep.png"), deep[..., [2, 1, 0, 3]])
    with open_source(tmp_path / "deep.png") as source:
        check(next(iter(source)), draw, tolerance=0)


def test_an_opaque_alpha_is_none(tmp_path: Path, draw: Draw) -> None:
    Pillow.fromarray(draw(0)).convert("RGBA").save(tmp_path / "a.png")
    with open_source(tmp_path / "a.png") as source:
        (frame,) = source
        assert source.health.warnings == ()
    assert frame.alpha is None
    assert frame.colours is frame.image


def test_an_alpha_that_nobody_has_written_is_not_used(tmp_path: Path, draw: Draw) -> None:
    empty = np.dstack([draw(0), np.zeros((48, 64), np.uint8)])
    with av.open(str(tmp_path / "screen.mov"), "w") as container:
        stream = container.add_stream("png", rate=25, width=64, height=48)
        stream.pix_fmt = "rgba"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(empty, format="rgba")))
        container.mux(stream.encode(None))
    Pillow.fromarray(empty).save(tmp_path / "screen.png")
    for name in ("screen.mov", "screen.png"):
        with open_source(tmp_path / name) as source:
            (frame,) = source
        assert frame.alpha is None
        np.testing.assert_array_equal(frame.image, draw(0))


def test_a_frame_of_which_nothing_is_to_be_seen_is_grey_where_others_are_seen(tmp_path: Path, draw: Draw) -> None:
    gone = np.dstack([draw(1), np.zeros((48, 64), np.uint8)])
    for index, image in enumerate((rgba(draw), gone)):
        Pillow.fromarray(image).save(tmp_path / f"{index}.png")
    with open_source(tmp_path) as source:
        _, last = source
    assert (last.image == BACKDROP).all()
    np.testing.assert_array_equal(last.colours, draw(1))


def test_pictures_in_memory_keep_their_alpha(draw: Draw) -> None:
    for given in (Pillow.fromarray(rgba(draw)), rgba(draw), [rgba(draw), draw(0)]):
        frame = next(iter(open_input(given)))
        check(frame, draw, tolerance=0)


def test_cut_outs_keep_the_alpha_and_the_colours(draw: Draw) -> None:
    (frame,) = open_input(rgba(draw))
    everything = np.ones((48, 64), np.float32)
    result = FrameResult(frame=frame, probability=everything, labels=everything.astype(np.uint8), confidence=1.0)
    composed = ComposedResult.of(result)
    np.testing.assert_array_equal(composed.alpha, ALPHA)
    np.testing.assert_array_equal(composed.rgba[..., :3], draw(0))


def test_the_alpha_of_a_frame_is_a_mask(draw: Draw) -> None:
    with open_input([draw(0), rgba(draw, 1)]) as source:
        np.testing.assert_array_equal(alpha_mask(source, 1), ALPHA >= 128)
        with pytest.raises(UsageError, match="frame 0 has no alpha"):
            alpha_mask(source, 0)


def test_an_alpha_that_shows_nothing_is_no_mask(draw: Draw) -> None:
    nothing = np.dstack([draw(0), np.zeros((48, 64), np.uint8)])
    with open_input([nothing]) as source, pytest.raises(UsageError, match="shows no object"):
        alpha_mask(source, 0)


def test_a_frame_is_its_own_colours_without_alpha() -> None:
    image = np.zeros((2, 2, 3), np.uint8)
    frame = Frame(index=0, stem="0", image=image, pts=0, time_base=Fraction(1, 25))
    assert frame.colours is image
