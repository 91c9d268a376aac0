"""Known colours, coded by the formulas of ITU-T H.273 and read back."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from covos.media.opening import open_source

COLOURS = np.array(
    [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0], [20, 130, 240], [128, 128, 128], [255, 255, 255], [0, 0, 0]]
)
# Luma weights of red and blue by matrix coefficients (H.273, table 4).
WEIGHTS = {1: (0.2126, 0.0722), 4: (0.30, 0.11), 5: (0.299, 0.114), 6: (0.299, 0.114), 7: (0.212, 0.087)}
WEIGHTS |= {9: (0.2627, 0.0593)}
LIMITED, FULL = 1, 2
UNSPECIFIED = 2


def code(matrix: int, *, value_range: int, bits: int) -> NDArray[np.int64]:
    """The colours as Y, Cb, Cr."""
    red_weight, blue_weight = WEIGHTS[matrix]
    red, green, blue = (COLOURS / 255).T
    luma = red_weight * red + (1 - red_weight - blue_weight) * green + blue_weight * blue
    chroma = (blue - luma) / (2 * (1 - blue_weight)), (red - luma) / (2 * (1 - red_weight))
    unit, top = 2 ** (bits - 8), 2**bits - 1
    if value_range == FULL:
        planes = [luma * top, *(c * top + 128 * unit for c in chroma)]
    else:
        planes = [(16 + 219 * luma) * unit, *((128 + 224 * c) * unit for c in chroma)]
    return np.rint(planes).clip(0, top).astype(np.int64)


def write(path: Path, *, matrix: int, value_range: int, pix_fmt: str, tags: tuple[int, int], scale: int = 16) -> Path:
    """A lossless video of vertical bars in the known colours."""
    bits = 10 if "10le" in pix_fmt else 8
    planes = code(matrix, value_range=value_range, bits=bits)
    width, height = 8 * scale, 2 * scale
    frame = av.VideoFrame(width, height, pix_fmt)
    for plane, levels in zip(frame.planes, planes, strict=True):
        rows = np.tile(np.repeat(levels, scale * plane.width // width), (plane.height, 1))
        samples = rows.astype("<u2" if bits > 8 else "u1").view("u1")
        padded = np.zeros((plane.height, plane.line_size), np.uint8)
        padded[:, : samples.shape[1]] = samples
        plane.update(padded.tobytes())
    frame.colorspace, frame.color_range = tags
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, width=width, height=height, options={"qp": "0"})
        stream.pix_fmt = pix_fmt
        stream.codec_context.colorspace, stream.codec_context.color_range = tags
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def read_bars(path: Path, *, scale: int = 16) -> NDArray[np.uint8]:
    return next(iter(open_source(path))).image[scale, scale // 2 :: scale]


@pytest.mark.parametrize("matrix", sorted(WEIGHTS))
@pytest.mark.parametrize("value_range", [LIMITED, FULL])
@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv444p10le"])
def test_matrix_and_range_are_honoured(tmp_path: Path, matrix: int, value_range: int, pix_fmt: str) -> None:
    tags = (matrix, value_range)
    path = write(tmp_path / "bars.mp4", matrix=matrix, value_range=value_range, pix_fmt=pix_fmt, tags=tags)
    np.testing.assert_allclose(read_bars(path), COLOURS, atol=2)


@pytest.mark.parametrize("pix_fmt", ["yuv420p10le", "yuv422p10le", "yuv444p10le"])
def test_deep_samples_are_right_in_every_row(tmp_path: Path, pix_fmt: str) -> None:
    tags = (1, LIMITED)
    path = write(tmp_path / "bars.mp4", matrix=1, value_range=LIMITED, pix_fmt=pix_fmt, tags=tags)
    with open_source(path) as source:
        (frame,) = source
    assert frame.deep is not None
    for row in frame.deep()[:, 8::16]:
        np.testing.assert_allclose(row / 257, COLOURS, atol=0.5)


@pytest.mark.parametrize(("scale", "matrix"), [(16, 6), (160, 1)])
def test_untagged_video_is_taken_as_players_take_it(tmp_path: Path, scale: int, matrix: int) -> None:
    path = write(
        tmp_path / "bars.mp4",
        matrix=matrix,
        value_range=LIMITED,
        pix_fmt="yuv444p",
        tags=(UNSPECIFIED, 0),
        scale=scale,
    )
    np.testing.assert_allclose(read_bars(path, scale=scale), COLOURS, atol=2)


def test_a_matrix_that_cannot_be_converted_is_approximated_and_said(tmp_path: Path) -> None:
    ictcp = 14
    path = write(tmp_path / "bars.mp4", matrix=6, value_range=LIMITED, pix_fmt="yuv444p", tags=(ictcp, LIMITED))
    with open_source(path) as source:
        assert next(iter(source)).image.shape == (32, 128, 3)
        assert any("matrix 14" in text for text in source.health.warnings)


def test_limited_range_grey_is_stretched(tmp_path: Path) -> None:
    path = tmp_path / "grey.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25, width=64, height=48)
        stream.pix_fmt, stream.codec_context.color_range = "gray", LIMITED
        frame = av.VideoFrame.from_ndarray(np.full((48, 64), 235, np.uint8), format="gray")
        frame.color_range = LIMITED
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert (next(iter(open_source(path))).image == 255).all()


@pytest.mark.parametrize(("pix_fmt", "bits"), [("gray10le", 10), ("gray12le", 12)])
def test_limited_range_grey_is_stretched_in_all_its_bits(tmp_path: Path, pix_fmt: str, bits: int) -> None:
    path, levels = tmp_path / "grey.mkv", np.array([16, 64, 120, 235]).repeat(16)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25, width=64, height=48)
        stream.pix_fmt, stream.codec_context.color_range = pix_fmt, LIMITED
        frame = av.VideoFrame(64, 48, pix_fmt)
        rows = np.broadcast_to(levels << (bits - 8), (48, 64)).astype("<u2")
        padding = np.zeros((48, frame.planes[0].line_size // 2 - 64), "<u2")
        frame.planes[0].update(np.hstack([rows, padding]).tobytes())
        frame.color_range = LIMITED
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with open_source(path) as source:
        (read,) = source
    assert read.deep is not None
    full = (levels - 16) * 65535 / 219
    np.testing.assert_allclose(read.deep()[0, :, 0], full, atol=2)
    np.testing.assert_allclose(read.image[0, :, 0], full / 257, atol=2)


PIXEL_FORMATS = (
    *("yuv411p", "yuv410p", "yuv440p", "yuv444p", "yuv420p10le", "yuv422p12le", "yuv444p12le"),
    *("gray", "gray10le", "gray12le", "gbrp10le", "gbrp12le", "bgr0", "bgra"),
)


@pytest.mark.parametrize("pix_fmt", PIXEL_FORMATS)
def test_pixel_formats_come_out_at_their_own_brightness(tmp_path: Path, pix_fmt: str) -> None:
    path = tmp_path / "ramp.mkv"
    ramp = np.broadcast_to(np.linspace(0, 255, 64).astype(np.uint8)[None, :, None], (48, 64, 3)).copy()
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25, width=64, height=48)
        stream.pix_fmt = pix_fmt
        container.mux(stream.encode(av.VideoFrame.from_ndarray(ramp, format="rgb24")))
        container.mux(stream.encode(None))
    np.testing.assert_allclose(next(iter(open_source(path))).image, ramp, atol=3)
