"""Written videos with alpha are decoded by an FFmpeg that is not PyAV's: that of imageio-ffmpeg, another release."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from covos.core.types import FrameResult, SourceInfo, Tags
from covos.formats.compose import ComposedResult
from covos.formats.table import make_writer
from covos.media.presets import PRORES_422
from covos.media.tags import BT709
from covos.media.writer import VideoWriter
from covos.runs.folder import OutputFolder

imageio_ffmpeg = pytest.importorskip("imageio_ffmpeg", reason="imageio-ffmpeg is not installed")

HEIGHT, WIDTH, FRAMES = 48, 64, 3
RATE = Fraction(1, 25)
LINE = "Stream #0:0"


def ffmpeg(*words: str) -> subprocess.CompletedProcess[bytes]:
    program = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", *words]
    return subprocess.run(program, capture_output=True, check=False, timeout=120)


def decoded(path: Path, *before: str) -> NDArray[np.uint16]:
    """All frames, N x H x W x 4 of 16 bits."""
    done = ffmpeg(*before, "-i", str(path), "-f", "rawvideo", "-pix_fmt", "rgba64le", "-")
    assert done.returncode == 0, done.stderr
    return np.frombuffer(done.stdout, "<u2").reshape(-1, HEIGHT, WIDTH, 4)


def test_prores_422_of_an_odd_width_has_this_width(tmp_path: Path) -> None:
    path, image = tmp_path / "odd.mov", np.full((48, 63, 3), (30, 60, 200), np.uint8)
    image[:, -1] = 220, 40, 30
    with VideoWriter(path, height=48, width=63, time_base=RATE, frame_rate=1 / RATE, preset=PRORES_422) as writer:
        writer.write(image, pts=0)
    assert "63x48" in said(path)
    done = ffmpeg("-i", str(path), "-f", "rawvideo", "-pix_fmt", "yuv422p10le", "-")
    found = np.frombuffer(done.stdout, "<u2").astype(int)
    luma, blue = found[: 48 * 63].reshape(48, 63), found[48 * 63 :][: 48 * 32].reshape(48, 32)
    assert len(found) == 48 * (63 + 32 + 32)
    for plane, inside, last in ((luma, 294, 382), (blue, 776, 388)):  # BT.601 of limited range
        assert np.abs(plane[:, :-1] - inside).max() <= 12
        assert np.abs(plane[:, -1] - last).max() <= 12


def said(path: Path) -> str:
    """What it says of the video in a file."""
    (line,) = (each for each in ffmpeg("-i", str(path)).stderr.decode().splitlines() if LINE in each)
    return line


@pytest.fixture
def written(tmp_path: Path, soft: FrameResult, info: Callable[..., SourceInfo]) -> Callable[..., Path]:
    def write(name: str, tags: Tags) -> Path:
        about = info(frame_count=FRAMES, tags=tags)
        writer = make_writer(name, OutputFolder(tmp_path), info=about, source_path=tmp_path / "none")
        for index in range(FRAMES):
            # Ramps of 16 bits under the alpha of the disc.
            ramp = np.mgrid[:HEIGHT, :WIDTH].sum(axis=0) * 500 + 2000 * index
            deep = np.stack([ramp, ramp[::-1], np.full_like(ramp, 30000)], -1).astype(np.uint16)
            frame = replace(soft.frame, index=index, pts=index, deep=lambda deep=deep: deep, hdr=lambda deep=deep: deep)
            frame = replace(frame, image=(deep >> 8).astype(np.uint8))
            writer.write(replace(soft, frame=frame))
        (path,) = writer.close()
        return path

    return write


@pytest.mark.parametrize(
    ("name", "bits", "before", "alpha_off", "off"),
    [
        ("prores", 10, (), 2 / 1023, 0.012),
        ("ffv1", 10, (), 1 / 1023, 1 / 1023),
        ("ffv1", 16, (), 0, 0),
        ("qtrle", 8, (), 1e-4, 1 / 255),
        ("webm", 8, ("-c:v", "libvpx-vp9"), 0.04, 0.06),
    ],
)
def test_alpha_and_colours_are_what_was_written(
    written: Callable[..., Path],
    soft: FrameResult,
    name: str,
    bits: int,
    before: tuple[str, ...],
    alpha_off: float,
    off: float,
) -> None:
    found = decoded(written(name, Tags(colour=BT709, bits=bits)), *before) / 65535
    assert len(found) == FRAMES
    opacity = ComposedResult.of(soft).opacity
    assert ((opacity > 0.1) & (opacity < 0.9)).sum() > 100, "there is a soft edge"
    inside = opacity == 1
    for index, frame in enumerate(found):
        rounded = np.rint(opacity * 255) / 255 if bits == 8 else opacity
        assert np.abs(frame[..., 3] - rounded).max() <= alpha_off + 1 / 65535
        ramp = (np.mgrid[:HEIGHT, :WIDTH].sum(axis=0) * 500 + 2000 * index) / 65535
        assert np.abs(frame[inside][:, 0] - ramp[inside]).max() <= off + 1 / 65535


@pytest.mark.parametrize(
    ("name", "expected"),
    [("prores=hdr", "yuva444p12le(tv, bt2020nc/bt2020/smpte2084"), ("ffv1=hdr", "gbrap10le(pc, gbr/bt2020/smpte2084")],
)
def test_hdr_is_told_as_it_is_written(written: Callable[..., Path], name: str, expected: str) -> None:
    hdr = replace(BT709, primaries=9, transfer=16, matrix=9)
    assert expected in said(written(name, Tags(colour=BT709, bits=10, hdr=hdr)))
