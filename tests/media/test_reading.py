from __future__ import annotations

import gc
import os
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image as Pillow

from covos.core.errors import UsageError
from covos.media.opening import open_source

Film = Callable[..., Path]
Draw = Callable[..., NDArray[np.uint8]]

X265 = {"x265-params": "log-level=none"}
KINDS = [
    ("film.mp4", "libx264", "yuv420p", {}),
    ("film.mov", "prores_ks", "yuv422p10le", {}),
    ("film.mov", "qtrle", "rgb24", {}),
    ("film.mkv", "libx264", "yuv420p", {}),
    ("film.mkv", "ffv1", "yuv444p", {}),
    ("film.mkv", "libx265", "yuv420p10le", X265),
    ("film.webm", "libvpx-vp9", "yuv420p", {}),
    ("film.webm", "libvpx", "yuv420p", {}),
    ("film.avi", "mpeg4", "yuv420p", {}),
    ("film.avi", "libx264", "yuv420p", {}),
    ("film.avi", "mjpeg", "yuvj420p", {}),
    ("film.ts", "libx264", "yuv420p", {}),
    ("film.mpg", "mpeg2video", "yuv420p", {"bf": "2"}),
    ("film.flv", "flv", "yuv420p", {}),
    ("film.wmv", "wmv2", "yuv420p", {}),
    ("film.gif", "gif", "rgb8", {}),
    ("film.apng", "apng", "rgb24", {}),
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: f"{kind[1]} in {kind[0][5:]}")
def test_every_frame_comes_out_once_and_in_order(
    film: Film, draw: Draw, kind: tuple[str, str, str, dict[str, str]]
) -> None:
    name, codec, pix_fmt, options = kind
    path = film(name, codec=codec, pix_fmt=pix_fmt, options={"b": "4M", **options})
    with open_source(path) as source:
        frames = list(source)
        health = source.health
    assert source.info.frame_count == len(frames) == 30
    assert (source.info.kind, source.info.height, source.info.width) == ("video", 48, 64)
    assert source.info.frame_rate == 25
    assert [f.index for f in frames] == list(range(30))
    assert [f.stem for f in frames][::29] == ["00000", "00029"]
    assert {f.status for f in frames} == {"ok"}
    seconds = np.array([f.time for f in frames])
    np.testing.assert_allclose(seconds - seconds[0], np.arange(30) / 25, atol=1e-9)
    for frame in frames:
        assert frame.image.dtype == np.uint8
        assert frame.image.flags.c_contiguous
        close = [np.abs(frame.image.astype(int) - draw(k)).mean() for k in range(30)]
        assert close[frame.index] < min(close) + 1  # neighbours are 2.7 apart; GIF has 256 colours
    assert health.complete
    assert (health.decoded, health.expected, health.undecodable, health.concealed) == (30, 30, 0, ())


def test_a_source_can_be_read_again_and_by_two_at_once(film: Film) -> None:
    with open_source(film()) as source:
        first, second = iter(source), iter(source)
        for a, b in zip(first, second, strict=True):
            np.testing.assert_array_equal(a.image, b.image)
        assert len(list(source)) == 30


def test_health_counts_while_a_pass_runs(film: Film) -> None:
    with open_source(film()) as source:
        assert (source.health.decoded, source.health.missing) == (0, 30)
        frames = iter(source)
        next(frames)
        next(frames)
        assert (source.health.decoded, source.health.complete) == (2, False)
        assert source.health.warnings == ()


def test_a_closed_source_is_not_read(film: Film) -> None:
    source = open_source(film(count=3))
    source.close()
    with pytest.raises(UsageError, match="closed"):
        iter(source)
    with pytest.raises(UsageError, match="closed"):
        source.select([0])


@pytest.mark.parametrize("size", [(47, 65), (1, 1), (3, 200), (200, 3)])
def test_odd_sizes(film: Film, draw: Draw, size: tuple[int, int]) -> None:
    path = film("odd.mkv", codec="ffv1", pix_fmt="bgr0", size=size, count=3)
    for frame in open_source(path):
        np.testing.assert_array_equal(frame.image, draw(frame.index, size))


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
@pytest.mark.parametrize("mirrored", [False, True])
def test_rotation_and_mirroring_are_applied_once(film: Film, draw: Draw, degrees: int, mirrored: bool) -> None:
    path = film("turned.mov", codec="png", pix_fmt="rgb24", count=2, turn={"degrees": degrees, "hflip": mirrored})
    with open_source(path) as source:
        frames = list(source)
    for frame in frames:
        expected = np.rot90(draw(frame.index), degrees // 90)
        np.testing.assert_array_equal(frame.image, expected[:, ::-1] if mirrored else expected)
    assert source.info.rotation == degrees
    assert (source.info.height, source.info.width) == frames[0].size


def test_a_picture_is_freed_as_soon_as_nobody_holds_it(film: Film) -> None:
    """Not when the collector of cycles comes by: until then, a film would hold hundreds of pictures."""
    path = film("film.mov", codec="libx264", pix_fmt="yuv420p", count=9, turn={"degrees": 0, "hflip": True})
    with open_source(path) as source:
        gc.collect()
        gc.disable()
        try:
            for frame in source:
                assert frame.image.any()
            del frame
            gc.set_debug(gc.DEBUG_SAVEALL)
            gc.collect()
            left = [each for each in gc.garbage if isinstance(each, av.VideoFrame)]
        finally:
            gc.set_debug(0)
            gc.garbage.clear()
            gc.enable()
    assert not left


def test_a_rotation_that_is_no_quarter_turn_is_left_out_and_said(film: Film, draw: Draw) -> None:
    path = film("tilted.mov", codec="png", pix_fmt="rgb24", count=1, turn={"degrees": 45})
    with open_source(path) as source:
        np.testing.assert_array_equal(next(iter(source)).image, draw(0))
        assert any("quarter turn" in text for text in source.health.warnings)


def test_rotation_of_motion_jpeg_with_exif(tmp_path: Path, draw: Draw) -> None:
    # PyAV raises on the side data of such frames.
    photo = Pillow.fromarray(draw(0))
    exif = photo.getexif()
    exif[0x0112] = 6  # to be turned clockwise
    photo.save(tmp_path / "photo.jpg", exif=exif, quality=95)
    with av.open(str(tmp_path / "exif.avi"), "w") as container:
        stream = container.add_stream("mjpeg", rate=25, width=64, height=48)
        stream.pix_fmt = "yuvj420p"
        packet = av.Packet((tmp_path / "photo.jpg").read_bytes())
        packet.stream, packet.pts, packet.dts, packet.time_base = stream, 0, 0, Fraction(1, 25)
        container.mux(packet)
    with open_source(tmp_path / "exif.avi") as source:
        image = next(iter(source)).image
    assert source.info.rotation == 270
    assert np.abs(image.astype(int) - np.rot90(draw(0), -1)).mean() < 8


def test_pixel_aspect_is_told_and_turned(film: Film) -> None:
    def squeeze(stream: av.VideoStream) -> None:
        stream.codec_context.sample_aspect_ratio = Fraction(4, 3)

    assert open_source(film("wide.mp4", count=2, prepare=squeeze)).info.pixel_aspect == Fraction(4, 3)
    turned = film("tall.mp4", count=2, prepare=squeeze, turn={"degrees": 90})
    assert open_source(turned).info.pixel_aspect == Fraction(3, 4)


@pytest.mark.parametrize("pix_fmt", ["rgba", "rgb48be", "rgba64be", "gray", "gray16be", "ya8", "monob"])
def test_pixel_formats_of_png(film: Film, draw: Draw, pix_fmt: str) -> None:
    path = film("png.mov", codec="png", pix_fmt=pix_fmt, count=1)
    image = next(iter(open_source(path))).image
    assert image.shape == (48, 64, 3)
    if pix_fmt.startswith("rgb"):
        assert np.abs(image.astype(int) - draw(0)).max() <= 1
    else:
        assert image.std() > 5


def test_a_still_image_and_its_kind(tmp_path: Path, draw: Draw) -> None:
    Pillow.fromarray(draw(3)).save(tmp_path / "still.png")
    with open_source(tmp_path / "still.png") as source:
        (frame,) = source
        (again,) = source.select([0])
    assert (source.info.kind, source.info.frame_rate, source.info.frame_count) == ("image", None, 1)
    assert (frame.stem, frame.pts, frame.time) == ("still", 0, 0.0)
    np.testing.assert_array_equal(frame.image, draw(3))
    np.testing.assert_array_equal(again.image, draw(3))


def test_the_content_decides_not_the_suffix(film: Film, tmp_path: Path, draw: Draw) -> None:
    video = film().rename(tmp_path / "video.jpg")
    assert open_source(video).info.kind == "video"
    Pillow.fromarray(draw(0)).save(tmp_path / "image.png")
    image = (tmp_path / "image.png").rename(tmp_path / "image.mp4")
    assert open_source(image).info.kind == "image"


@pytest.mark.skipif(os.name == "nt", reason="the system forbids such names")
def test_names_that_look_like_protocols_or_patterns_are_files(
    film: Film, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("concat:a|b.mp4", "clip [1]*.mp4", "data:x.mp4", " spaced é\U0001f600.mp4", "-y.mp4", "%03d.mp4"):
        assert open_source(film(count=2).rename(tmp_path / name).name).info.frame_count == 2


def test_of_two_video_streams_one_is_read(tmp_path: Path, draw: Draw) -> None:
    path = tmp_path / "two.mkv"
    with av.open(str(path), "w") as container:
        streams = [container.add_stream("ffv1", rate=25, width=64, height=48) for _ in range(2)]
        for stream in streams:
            stream.pix_fmt = "bgr0"
        for stream in streams:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(draw(0), format="rgb24")))
            container.mux(stream.encode(None))
    with open_source(path) as source:
        assert source.info.frame_count == len(list(source)) == 1
        assert any("2 video streams" in text for text in source.health.warnings)
