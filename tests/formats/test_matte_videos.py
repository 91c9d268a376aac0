"""The alpha as a grey video: the levels that an editing program finds in it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from covos.core.errors import UsageError
from covos.core.types import FrameResult, Tags
from covos.evaluation.mask_trees import find_sequences
from covos.formats.composition import Composition
from covos.formats.options import composed_formats
from covos.formats.table import check_formats, expected_sizes, make_writer, probability_bits
from covos.runs.folder import OutputFolder
from covos.runs.onefile import choose_output


@pytest.fixture
def ramp(result: Any) -> FrameResult:
    """A matte of 3,072 levels: more than 10 bits can tell apart."""
    matte = np.linspace(0, 1, 48 * 64, dtype=np.float32).reshape(48, 64)
    return replace(result(), matte=matte)


def written(folder: Path, name: str, made: FrameResult, info: Any) -> Path:
    writer = make_writer(name, OutputFolder(folder), info=info, source_path=folder / "none")
    for index in range(2):
        writer.write(replace(made, frame=replace(made.frame, index=index, pts=index)))
    (path,) = writer.close()
    assert writer.warnings == ()
    return path


def first_plane(path: Path) -> tuple[str, NDArray[Any]]:
    """The codec, and the samples of the first plane as they were coded."""
    with av.open(str(path)) as container:
        codec = container.streams.video[0].codec_context.name
        frame = next(container.decode(video=0))
        plane = frame.planes[0]
        samples = np.frombuffer(plane, np.uint8 if frame.format.name == "yuv420p" else np.uint16)
        return codec, samples.reshape(plane.height, -1)[:, : plane.width].astype(np.int64)


@pytest.mark.parametrize("bits", [8, 10])
def test_prores_has_ten_bits_whatever_the_source_has(tmp_path: Path, ramp: FrameResult, info: Any, bits: int) -> None:
    path = written(tmp_path, "matte-video=prores", ramp, info(tags=Tags(bits=bits)))
    codec, luma = first_plane(path)
    assert (path.name, codec) == ("matte-video.mov", "prores")
    assert np.abs(luma - (64 + 876 * ramp.matte)).max() <= 1.5  # type: ignore[operator]
    assert (luma.min(), luma.max()) == (64, 940)
    assert len(np.unique(luma)) > 700, "of 877"
    with av.open(str(path)) as container:
        assert next(container.decode(video=0)).format.name == "yuv422p10le"


def test_ffv1_has_every_level(tmp_path: Path, ramp: FrameResult, info: Any) -> None:
    path = written(tmp_path, "matte-video=ffv1", ramp, info())
    codec, green = first_plane(path)
    assert (path.name, codec) == ("matte-video.mkv", "ffv1")
    np.testing.assert_array_equal(green, np.rint(ramp.matte * np.float32(65535)))  # type: ignore[operator]


def test_the_usual_one_is_what_it_was(tmp_path: Path, ramp: FrameResult, info: Any) -> None:
    usual, luma = first_plane(written(tmp_path / "a", "matte-video", ramp, info()))
    said, same = first_plane(written(tmp_path / "b", "matte-video=h264", ramp, info()))
    assert usual == said == "h264"
    np.testing.assert_array_equal(luma, same)
    assert (luma.min(), luma.max()) == pytest.approx((16, 235), abs=2)


@pytest.mark.parametrize("carrier", ["prores", "ffv1"])
def test_it_can_be_inverted_and_scored(tmp_path: Path, ramp: FrameResult, info: Any, carrier: str) -> None:
    (name,) = composed_formats([f"matte-video={carrier}"], Composition(invert=True))
    assert name == f"matte-video={carrier},invert"
    assert check_formats([name]) == (name,)
    path = written(tmp_path, name, ramp, info())
    _, samples = first_plane(path)
    assert samples[0, 0] > samples[-1, -1]
    assert len(find_sequences(path.parent)) == 1


def test_its_picture_of_one_frame_has_sixteen_bits(tmp_path: Path, ramp: FrameResult, info: Any) -> None:
    still = info(kind="image", frame_count=1, frame_rate=None)
    writer = make_writer("matte-video=prores", OutputFolder(tmp_path), info=still, source_path=tmp_path / "none")
    writer.write(ramp)
    (path,) = writer.close()
    assert path.name == "matte-video.png"
    found = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert (found.shape, found.dtype) == ((48, 64, 3), np.uint16)
    assert found.max() == 65535


def test_the_journal_keeps_the_bits_that_it_has() -> None:
    asked = ["matte-video", "matte-video=h264", "matte-video=prores", "matte-video=ffv1"]
    assert [probability_bits([each]) for each in asked] == [8, 8, 16, 16]


def test_larger_files_are_told(info: Any) -> None:
    sizes = expected_sizes(["matte-video", "matte-video=prores"], info=info(frame_count=1000))
    assert sizes["matte-video"] == 0 < sizes["matte-video=prores"]


@pytest.mark.parametrize(
    ("name", "chosen"),
    [("x.mp4", "matte-video"), ("x.mov", "matte-video=prores"), ("x.mkv", "matte-video=ffv1")],
)
def test_the_name_of_the_file_chooses(tmp_path: Path, name: str, chosen: str) -> None:
    assert choose_output(tmp_path / name, ["matte-video"]).formats == (chosen,)
    assert choose_output(tmp_path / name, [chosen]).formats == (chosen,)


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="did you mean matte-video=prores"):
        check_formats(["matte-video=prorez"])
    with pytest.raises(UsageError, match="prores and ffv1 together"):
        check_formats(["matte-video=prores,ffv1"])
    with pytest.raises(UsageError, match="leave h264 out"):
        check_formats(["matte-video=h264,prores"])
    with pytest.raises(UsageError, match=r"makes \.mp4 files"):
        choose_output(tmp_path / "x.mov", ["matte-video=h264"])
    with pytest.raises(UsageError, match="matte-video"):
        choose_output(tmp_path / "x.tif", ["matte-video"])
