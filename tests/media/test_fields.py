"""Interlaced video comes out as whole pictures, one for one, at the same times, read or sought."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from covos.core.types import Deinterlace
from covos.media.opening import open_source

HEIGHT, WIDTH, COUNT = 64, 96, 9


def moving(time: float) -> NDArray[np.uint8]:
    """A bright block that moves 16 pixels a frame."""
    image = np.full((HEIGHT, WIDTH, 3), 40, np.uint8)
    left = round(4 + 8 * time)
    image[16:48, left : left + 20] = 220
    return image


def woven(index: int) -> NDArray[np.uint8]:
    """Even rows show one moment, odd rows the next one, half a frame later."""
    image = moving(index)
    image[1::2] = moving(index + 0.5)[1::2]
    return image


def interlaced(path: Path, *, flagged: bool = True) -> Path:
    with av.open(str(path), "w") as container:
        params = "tff=1:qp=4" if flagged else "qp=4"
        stream = container.add_stream("libx264", rate=25, width=WIDTH, height=HEIGHT, options={"x264-params": params})
        stream.pix_fmt = "yuv420p"
        for index in range(COUNT):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(woven(index), format="rgb24")))
        container.mux(stream.encode(None))
    return path


def combing(image: NDArray[np.uint8]) -> float:
    """How much neighbouring rows differ more than rows of one field."""
    grey = image[16:48, :, 1].astype(int)
    return float(np.abs(np.diff(grey, axis=0)).mean() - np.abs(grey[2:] - grey[:-2]).mean())


def frames(path: Path, choice: Deinterlace) -> tuple[list[NDArray[np.uint8]], list[float], str]:
    with open_source(path, deinterlace=choice) as source:
        read = list(source)
        assert source.health.complete
        assert len(read) == source.info.frame_count == COUNT
        return [frame.image for frame in read], [frame.time for frame in read], " ".join(source.health.warnings)


def test_flagged_frames_are_deinterlaced_by_default_and_times_stay(tmp_path: Path) -> None:
    path = interlaced(tmp_path / "a.mp4")
    combed, times, said = frames(path, "off")
    assert "is not deinterlaced" in said
    smooth, same, said = frames(path, "auto")
    assert "it is deinterlaced" in said
    assert same == times == pytest.approx([index / 25 for index in range(COUNT)])
    assert min(map(combing, combed)) > 5
    assert max(map(combing, smooth)) < 2
    for index, image in enumerate(smooth):  # each is of its own time, not of a neighbour's
        errors = [np.abs(image.astype(int) - moving(other)).mean() for other in range(COUNT)]
        assert int(np.argmin(errors)) == index


def test_frames_without_a_flag_are_deinterlaced_where_asked(tmp_path: Path) -> None:
    path = interlaced(tmp_path / "a.mp4", flagged=False)
    as_stored, _, said = frames(path, "auto")
    assert "interlaced" not in said
    assert min(map(combing, as_stored)) > 5
    assert max(map(combing, frames(path, "on")[0])) < 2


@pytest.mark.parametrize("choice", ["auto", "on", "off"])
@pytest.mark.parametrize("suffix", ["mp4", "avi", "ts"])
def test_sought_frames_are_those_of_a_full_pass(tmp_path: Path, choice: Deinterlace, suffix: str) -> None:
    path = interlaced(tmp_path / f"a.{suffix}")
    with open_source(path, deinterlace=choice) as source:
        every = list(source)
        for wanted in ([0], [COUNT - 1], [2, 3, 7], [5]):
            sought = list(source.select(wanted))
            assert [frame.index for frame in sought] == wanted
            for frame in sought:
                assert frame.pts == every[frame.index].pts
                np.testing.assert_array_equal(frame.image, every[frame.index].image)


def test_progressive_frames_among_interlaced_ones_stay_as_they_are(tmp_path: Path) -> None:
    parts = [interlaced(tmp_path / "a.h264"), interlaced(tmp_path / "b.h264", flagged=False)]
    path = tmp_path / "both.h264"
    path.write_bytes(b"".join(part.read_bytes() for part in [*parts, parts[0]]))
    with open_source(path, deinterlace="off") as source:
        stored = [frame.image for frame in source]
    with open_source(path) as source:
        read = list(source)
        some = list(source.select([COUNT - 1, COUNT, 2 * COUNT - 1, 2 * COUNT]))
    assert len(read) == 3 * COUNT
    for index in range(COUNT, 2 * COUNT):
        np.testing.assert_array_equal(read[index].image, stored[index])
    for frame in (*read[:COUNT], *read[2 * COUNT :]):
        assert combing(frame.image) < 2
    for frame in some:
        np.testing.assert_array_equal(frame.image, read[frame.index].image)


def test_a_video_too_small_for_the_filter_is_read_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "small.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25, width=2, height=1)
        stream.pix_fmt = "bgr0"
        for index in range(3):
            picture = np.full((1, 2, 3), 40 * index, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    with open_source(path, deinterlace="on") as source:
        assert [int(frame.image[0, 0, 0]) for frame in source] == [0, 40, 80]


def test_one_interlaced_frame_alone_comes_out(tmp_path: Path) -> None:
    path = tmp_path / "one.mp4"
    with av.open(str(path), "w") as container:
        options = {"x264-params": "tff=1:qp=4"}
        stream = container.add_stream("libx264", rate=25, width=WIDTH, height=HEIGHT, options=options)
        stream.pix_fmt = "yuv420p"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(woven(0), format="rgb24")))
        container.mux(stream.encode(None))
    with open_source(path) as source:
        assert [frame.index for frame in source] == [0]
