from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from covos.core.errors import EnvironmentProblem, SourceError, UsageError
from covos.media.container import picture_stream
from covos.media.opening import open_source
from covos.media.presets import H264
from covos.media.writer import VideoWriter

Film = Callable[..., Path]
Draw = Callable[..., NDArray[np.uint8]]
MS = Fraction(1, 1000)
SHARP = replace(H264, crf=0)
UNEVEN = [0, 40, 41, 100, 400, 1000, 1017, 2500]


@pytest.fixture
def write(tmp_path: Path, draw: Draw) -> Callable[..., VideoWriter]:
    """Write frames at these times; the closed writer is returned."""

    def run(
        pts: list[int], *, time_base: Fraction = MS, size: tuple[int, int] = (48, 64), **settings: Any
    ) -> VideoWriter:
        settings = {"frame_rate": Fraction(25)} | settings
        path = tmp_path / "out.mp4"
        with VideoWriter(path, height=size[0], width=size[1], time_base=time_base, **settings) as writer:
            for index, time in enumerate(pts):
                writer.write(draw(index, size), pts=time)
        return writer

    return run


def leftovers(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_what_is_written_is_read_back(write: Callable[..., VideoWriter], tmp_path: Path, draw: Draw) -> None:
    write([40 * k for k in range(30)], preset=SHARP)
    frames = list(open_source(tmp_path / "out.mp4"))
    assert len(frames) == 30
    for frame in frames:
        # Only chroma is lost, by halving; it matters at the edges of the block.
        assert np.abs(frame.image.astype(int) - draw(frame.index)).mean() < 3


def test_colours_survive(tmp_path: Path) -> None:
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (20, 130, 240), (255, 255, 255), (0, 0, 0), (128, 128, 128)]
    path = tmp_path / "flat.mp4"
    with VideoWriter(path, height=48, width=64, time_base=MS, frame_rate=None, preset=SHARP) as writer:
        for index, colour in enumerate(colours):
            writer.write(np.full((48, 64, 3), colour, np.uint8), pts=40 * index)
    for frame, colour in zip(open_source(path), colours, strict=True):
        np.testing.assert_allclose(frame.image.reshape(-1, 3), np.tile(colour, (48 * 64, 1)), atol=3)


def test_the_file_is_what_players_expect(write: Callable[..., VideoWriter], tmp_path: Path) -> None:
    write([0, 40, 80], pixel_aspect=Fraction(4, 3))
    data = (tmp_path / "out.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    with av.open(str(tmp_path / "out.mp4")) as container:
        context = container.streams.video[0].codec_context
        assert (context.name, context.pix_fmt) == ("h264", "yuv420p")
        tags = (context.colorspace, context.color_primaries, context.color_trc, context.color_range)
        assert tags == (6, 1, 1, 1)  # the matrix of standard definition, limited range
        assert container.streams.video[0].sample_aspect_ratio == Fraction(4, 3)


@pytest.mark.parametrize(
    ("pts", "time_base"),
    [
        (list(range(30)), Fraction(1, 25)),
        (list(range(30)), Fraction(1001, 30000)),
        (UNEVEN, MS),
        ([137 + t for t in UNEVEN], MS),
        ([126_001 + 3600 * k for k in range(30)], Fraction(1, 90_000)),
        ([1_234_567 + 33_367 * k for k in range(30)], Fraction(1, 1_000_000)),
        ([48_000 * k for k in range(30)], Fraction(1, 1_200_000)),
        ([7 * k for k in range(20)], Fraction(1, 1999)),
        ([7], Fraction(1, 25)),
    ],
    ids=["25", "29.97", "uneven", "late uneven", "late ts", "micro", "bare h264", "prime", "one frame"],
)
def test_times_are_kept_exactly(
    write: Callable[..., VideoWriter], tmp_path: Path, pts: list[int], time_base: Fraction
) -> None:
    writer = write(pts, time_base=time_base)
    frames = list(open_source(tmp_path / "out.mp4"))
    assert [f.pts * f.time_base for f in frames] == [t * time_base for t in pts]
    assert writer.offset == 0
    assert writer.warnings == ()


@pytest.mark.parametrize("pts", [[0, 40, 80, 120], UNEVEN, [500, 540, 580]])
def test_the_last_frame_lasts_as_long_as_the_one_before(
    write: Callable[..., VideoWriter], tmp_path: Path, packets: Callable[..., Any], pts: list[int]
) -> None:
    write(pts)
    video = packets(tmp_path / "out.mp4")["video"]
    durations = [duration for _, duration, _, _ in video]
    steps = [b - a for a, b in zip(pts, [*pts[1:], 2 * pts[-1] - pts[-2]], strict=True)]
    assert durations == [step * MS for step in steps]
    assert open_source(tmp_path / "out.mp4").info.duration == pytest.approx(sum(steps) / 1000)


def test_one_frame_lasts_by_the_frame_rate(write: Callable[..., VideoWriter], tmp_path: Path) -> None:
    write([0], frame_rate=Fraction(10))
    assert open_source(tmp_path / "out.mp4").info.duration == pytest.approx(0.1)


@pytest.mark.parametrize("start", [-100, 11_000, 93_600_000])
def test_a_start_that_mp4_cannot_express_is_moved_to_zero(
    write: Callable[..., VideoWriter], tmp_path: Path, start: int
) -> None:
    writer = write([start + t for t in UNEVEN])
    assert writer.offset == -start * MS
    assert any("moved to 0" in text for text in writer.warnings)
    assert [f.pts * f.time_base for f in open_source(tmp_path / "out.mp4")] == [t * MS for t in UNEVEN]


@pytest.mark.parametrize("size", [(48, 64), (47, 64), (48, 65), (47, 65), (1, 1), (16, 1000), (1000, 16)])
def test_odd_sizes_are_padded_and_recorded(
    write: Callable[..., VideoWriter], tmp_path: Path, draw: Draw, size: tuple[int, int]
) -> None:
    writer = write([0, 40], size=size, preset=SHARP)
    bottom, right = writer.padding
    assert writer.padding == (size[0] % 2, size[1] % 2)
    frames = list(open_source(tmp_path / "out.mp4"))
    assert {f.size for f in frames} == {(size[0] + bottom, size[1] + right)}
    inside = frames[0].image[: size[0], : size[1]].astype(int)
    assert np.abs(inside - draw(0, size)).mean() < 8


def test_an_existing_file_is_kept(write: Callable[..., VideoWriter], tmp_path: Path) -> None:
    (tmp_path / "out.mp4").write_text("precious")
    with pytest.raises(UsageError, match="exists"):
        write([0, 40])
    assert (tmp_path / "out.mp4").read_text() == "precious"
    assert leftovers(tmp_path) == ["out.mp4"]


def test_nothing_bears_the_final_name_before_the_end(tmp_path: Path, draw: Draw) -> None:
    writer = VideoWriter(tmp_path / "out.mp4", height=48, width=64, time_base=MS, frame_rate=None)
    writer.write(draw(0), pts=0)
    assert not (tmp_path / "out.mp4").exists()
    assert all(name.startswith(".") and "partial" in name for name in leftovers(tmp_path))
    writer.close()
    writer.close()
    writer.abort()
    assert leftovers(tmp_path) == ["out.mp4"]


def test_a_block_that_raises_leaves_nothing(write: Callable[..., VideoWriter], tmp_path: Path) -> None:
    def fail() -> None:
        with VideoWriter(tmp_path / "out.mp4", height=48, width=64, time_base=MS, frame_rate=None) as writer:
            writer.write(np.zeros((48, 64, 3), np.uint8), pts=0)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert leftovers(tmp_path) == []


def test_no_frames_is_an_error_and_leaves_nothing(write: Callable[..., VideoWriter], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no frames"):
        write([])
    assert leftovers(tmp_path) == []


def test_a_writer_that_is_forgotten_leaves_nothing(tmp_path: Path, draw: Draw) -> None:
    writer = VideoWriter(tmp_path / "out.mp4", height=48, width=64, time_base=MS, frame_rate=None)
    writer.write(draw(0), pts=0)
    del writer
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize(
    ("image", "pts", "reason"),
    [
        (np.zeros((48, 63, 3), np.uint8), 80, "must be"),
        (np.zeros((48, 64), np.uint8), 80, "must be"),
        (np.zeros((48, 64, 3), np.float32), 80, "must be"),
        (np.zeros((48, 64, 3), np.uint8), 40, "increase"),
        (np.zeros((48, 64, 3), np.uint8), 39, "increase"),
    ],
)
def test_wrong_frames_are_refused_and_right_ones_still_taken(
    tmp_path: Path, image: NDArray[Any], pts: int, reason: str
) -> None:
    right = np.zeros((48, 64, 3), np.uint8)
    with VideoWriter(tmp_path / "out.mp4", height=48, width=64, time_base=MS, frame_rate=None) as writer:
        writer.write(right, pts=40)
        with pytest.raises(UsageError, match=reason):
            writer.write(image, pts=pts)
        writer.write(right, pts=120)
    assert [f.time for f in open_source(tmp_path / "out.mp4")] == [0.04, 0.12]
    with pytest.raises(UsageError, match="closed"):
        writer.write(right, pts=200)


def test_a_missing_folder_is_noticed_at_once(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentProblem, match="cannot be written"):
        VideoWriter(tmp_path / "nowhere" / "out.mp4", height=48, width=64, time_base=MS, frame_rate=None)
    assert leftovers(tmp_path) == []


def test_a_view_of_a_larger_image_can_be_written(tmp_path: Path, draw: Draw) -> None:
    large = draw(0, (96, 128))
    path = tmp_path / "out.mp4"
    with VideoWriter(path, height=48, width=64, time_base=MS, frame_rate=None, preset=SHARP) as writer:
        writer.write(large[::2, ::-2], pts=0)
    (frame,) = open_source(path)
    assert np.abs(frame.image.astype(int) - large[::2, ::-2]).mean() < 3


def test_codecs_keep_to_the_share_of_their_process(tmp_path: Path, draw: Draw, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker of a batch has a part of the machine's processors."""
    monkeypatch.setattr("covos.core.device._GRANTED", [6])
    path = tmp_path / "share.mp4"
    with VideoWriter(path, height=48, width=64, time_base=MS, frame_rate=Fraction(25)) as writer:
        assert writer._stream.codec_context.thread_count == 3
        writer.write(draw(0, (48, 64)), pts=0)
    with av.open(path) as container:
        assert picture_stream(container, path).codec_context.thread_count == 6


def test_sound_that_is_gone_is_told_of_its_own_file(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"gone\.mp4 cannot be read") as caught:
        VideoWriter(
            tmp_path / "out.mp4",
            height=48,
            width=64,
            time_base=Fraction(1, 25),
            frame_rate=Fraction(25),
            audio_from=tmp_path / "gone.mp4",
        )
    assert "network" in caught.value.fix
    assert [*tmp_path.iterdir()] == []
