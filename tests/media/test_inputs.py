"""Sources that are not paths: each gives the frames that the file with them gives."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from covos.cli.options import frame_rate_of
from covos.core.errors import EnvironmentProblem, SourceError, UsageError
from covos.media.inputs import as_source, open_input
from covos.media.opening import open_source
from covos.media.range import Range
from covos.media.writer import VideoWriter
from covos.plan import Plan
from covos.runs.schema import SourceRecord

FRAMES = [np.full((8, 10, 3), 20 * index, np.uint8) for index in range(5)]


def images(source, **how) -> list[np.ndarray]:
    with open_input(source, **how) as opened:
        return [frame.image for frame in opened]


@pytest.mark.parametrize(
    "give",
    [
        lambda: FRAMES,
        lambda: tuple(FRAMES),
        lambda: np.stack(FRAMES),
        lambda: iter(FRAMES),
        lambda: (Image.fromarray(frame) for frame in FRAMES),
    ],
    ids=["list", "tuple", "array", "iterator", "pictures"],
)
def test_frames_in_memory(give: Callable[[], object]) -> None:
    with open_input(give(), frame_rate=10) as source:
        assert (source.info.kind, source.info.frame_count, source.info.frame_rate) == ("frames", 5, Fraction(10))
        for _ in range(2):
            frames = list(source)
            assert [frame.stem for frame in frames] == ["00000", "00001", "00002", "00003", "00004"]
            assert [frame.time for frame in frames] == [0, 0.1, 0.2, 0.3, 0.4]
            assert all(np.array_equal(frame.image, own) for frame, own in zip(frames, FRAMES, strict=True))
        assert source.health.complete
        assert [frame.index for frame in source.select([1, 4])] == [1, 4]


def test_one_picture() -> None:
    for given in (FRAMES[2], Image.fromarray(FRAMES[2])):
        with open_input(given) as source:
            assert (source.info.kind, source.info.frame_count) == ("image", 1)
            assert np.array_equal(next(iter(source)).image, FRAMES[2])


def test_bytes_and_open_files(make_clip: Callable[..., Path]) -> None:
    clip = make_clip(frames=4)
    expected = images(clip)
    with clip.open("rb") as file:
        found = [images(clip.read_bytes()), images(file), images(io.BytesIO(clip.read_bytes()))]
    for each in found:
        assert all(np.array_equal(one, other) for one, other in zip(each, expected, strict=True))


def test_a_temporary_file_goes_with_what_holds_it(make_clip: Callable[..., Path]) -> None:
    held: Any = as_source(make_clip(frames=2).read_bytes())
    path = held.path
    assert path.is_file()
    del held
    assert not path.parent.exists()


@pytest.mark.parametrize(
    ("given", "what"),
    [
        (np.zeros((4, 6), np.uint8)[None, ..., None], "frame 0 in memory cannot be used"),
        (np.zeros((4, 6, 3), np.float32), "frame 0 in memory cannot be used"),
        (np.zeros((4, 6, 5), np.uint8), "frame 0 in memory cannot be used"),
        ([], "there are no frames"),
        (b"not a video", "a video in memory (11 bytes)"),
    ],
)
def test_refusals(given: object, what: str) -> None:
    with pytest.raises(SourceError) as caught:
        open_input(given)
    assert what in caught.value.what


@pytest.mark.parametrize("give", [np.stack, list, lambda frames: frames[0]], ids=["array", "list", "picture"])
def test_frames_that_were_written_to_are_refused(give: Callable[[list[np.ndarray]], object]) -> None:
    given = give([frame.copy() + 1 for frame in FRAMES])
    held = as_source(given)
    first = images(held)
    assert all(np.array_equal(one, two) for one, two in zip(images(held), first, strict=True))
    (given if isinstance(given, np.ndarray) else given[0])[:] = 0
    with pytest.raises(SourceError, match=r"in memory .*changed: frame 0 is no longer what it was"):
        images(held)
    images(given)  # given anew, they are taken as they are


@pytest.mark.parametrize(
    ("given", "what"),
    [
        (["a.png", "b.png"], "frame 0 in memory is a path: a.png"),
        (iter([Path("a.png")]), "frame 0 in memory is a path: a.png"),
        ({}, "a dict is no source"),
        ({0: np.zeros((4, 6, 3), np.uint8)}, "a dict is no source"),
    ],
)
def test_what_is_no_source(given: object, what: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_input(given)
    assert what in caught.value.what


def test_a_part_of_a_clip(make_clip: Callable[..., Path]) -> None:
    clip = make_clip(frames=8)
    with open_source(clip) as source:
        whole = list(source)
    with open_input(clip, range=Range(start="f2", end="f6")) as part:
        assert (part.info.frame_count, part.info.start) == (4, 2)
        frames = list(part)
        assert [frame.index for frame in frames] == [0, 1, 2, 3]
        assert [frame.stem for frame in frames] == ["00002", "00003", "00004", "00005"]
        assert [frame.pts for frame in frames] == [frame.pts for frame in whole[2:6]]
        assert all(np.array_equal(one.image, other.image) for one, other in zip(frames, whole[2:6], strict=True))
        assert part.health.complete
        assert [frame.stem for frame in part.select([0, 3])] == ["00002", "00005"]
    with open_input(clip, range=Range(start="f5")) as rest:
        assert rest.info.frame_count == 3
    with pytest.raises(UsageError, match="frame 8 is beyond the end"):
        open_input(clip, range=Range(start="f8"))


def test_a_part_of_a_folder_reads_its_own_pictures_alone(tmp_path: Path) -> None:
    for index, frame in enumerate(FRAMES):
        Image.fromarray(frame).save(tmp_path / f"{index}.png")
    with open_input(tmp_path, range=Range(start="f2", end="f4")) as part:
        damaged = tmp_path / "1.png"
        damaged.write_bytes(damaged.read_bytes()[:60])
        assert [frame.stem for frame in part] == ["2", "3"]
        assert part.health.complete


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_as_its_file_is(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    scene = np.arange(8 * 10 * 3, dtype=np.uint8).reshape(8, 10, 3)
    Image.fromarray(scene).save(file, "JPEG", exif=exif)
    (expected,) = images(file.getvalue())
    assert expected.shape[:2] == ((10, 8) if orientation > 4 else (8, 10))
    picture = Image.open(file)
    for found in (images(picture), images([picture]), images(iter([picture]))):
        np.testing.assert_array_equal(found[0], expected)


def test_a_file_in_text_mode(make_clip: Callable[..., Path], tmp_path: Path) -> None:
    path = make_clip(frames=2)
    (tmp_path / "empty.txt").touch()
    closed = io.BytesIO(path.read_bytes())
    closed.close()
    with (
        path.open(encoding="utf-8") as undecodable,
        path.open(encoding="latin-1") as text,
        (tmp_path / "empty.txt").open(encoding="utf-8") as empty,
        (tmp_path / "out.bin").open("wb") as written,
        tempfile.NamedTemporaryFile("w+") as wrapped,
    ):
        for given in (undecodable, text, empty, written, wrapped, closed, io.StringIO("text")):
            with pytest.raises(UsageError, match=r"the open file '.*' cannot be read") as caught:
                as_source(given)
            assert "binary mode" in caught.value.fix


@pytest.mark.parametrize("rate", [float("nan"), float("inf"), "fast", 0, -1])
def test_a_frame_rate_that_is_none(make_clip: Callable[..., Path], tmp_path: Path, rate: object) -> None:
    for given in (FRAMES, str(make_clip(frames=2)), str(tmp_path / "*.png")):
        with pytest.raises(UsageError, match=f"frame rate {rate} is "):
            open_input(given, frame_rate=rate)


def read_under_limits() -> None:
    """Open sources that need a temporary file; a limit on the size of files stands in for a full disk."""
    import resource

    frames = [np.zeros((48, 64, 3), np.uint8)] * 5
    for limit in (0, 100, 10_000, 40_000):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        for given in (
            iter(frames), (frame[:4, :4] for frame in frames * 400), bytes(50_000), io.BytesIO(bytes(50_000)),
        ):  # fmt: skip
            said = ""
            try:  # an error that is kept would keep the temporary file
                as_source(given)
            except EnvironmentProblem as problem:
                said = f"{problem.why} {problem.fix}"
            assert ("File too large on the disk of" if limit else "No usable temporary directory") in said
            assert "TMPDIR" in said


def test_a_full_temporary_disk_is_told_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("resource")
    from children import in_child  # it needs POSIX, too

    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)  # where it was found before
    child = in_child(read_under_limits)
    assert child.end == "answered", child.answer
    assert list(tmp_path.iterdir()) == []


def test_frames_are_read_back_where_the_system_reads_at_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows has no ``os.pread``."""
    monkeypatch.delattr("os.pread", raising=False)
    for read, given in zip(images(frame for frame in FRAMES), FRAMES, strict=True):
        np.testing.assert_array_equal(read, given)


@pytest.mark.parametrize(
    ("given", "rate"),
    [
        (29.97, Fraction(30000, 1001)),
        ("23.976", Fraction(24000, 1001)),
        (59.94, Fraction(60000, 1001)),
        (12.5, Fraction(25, 2)),
        (25.0, Fraction(25)),
        (33.333333, Fraction(100, 3)),
        (0.0004, Fraction(1, 2500)),
        (Fraction(2997, 100), Fraction(2997, 100)),  # said as a fraction, it is meant so
    ],
)
def test_a_decimal_rate_stands_for_a_simple_fraction(
    make_clip: Callable[..., Path], tmp_path: Path, given: Any, rate: Fraction
) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for index, frame in enumerate(FRAMES):
        Image.fromarray(frame).save(folder / f"{index}.png")
    for source in (FRAMES, folder):
        with open_input(source, frame_rate=given) as opened:
            assert opened.info.frame_rate == rate
    assert Plan(source="a.mp4", frame_rate=given).frame_rate == rate
    assert frame_rate_of(str(given)) == rate


def test_a_rate_that_no_video_file_holds_is_refused() -> None:
    for ask in (open_input, lambda source, frame_rate: Plan(source=source, frame_rate=frame_rate)):
        with pytest.raises(UsageError, match=r"cannot be used\s+why: no video file holds") as caught:
            ask(FRAMES, frame_rate=Fraction(29.97))
        assert caught.value.fix == "give 30000/1001"


def test_a_video_is_written_at_a_decimal_rate(tmp_path: Path) -> None:
    with open_input(FRAMES, frame_rate=29.97) as opened:
        path = tmp_path / "out.mp4"
        info = opened.info
        with VideoWriter(
            path, height=info.height, width=info.width, time_base=info.time_base, frame_rate=info.frame_rate
        ) as writer:
            for frame in opened:
                writer.write(frame.image, pts=frame.pts)
    with open_source(path) as written:
        assert written.info.frame_rate == Fraction(30000, 1001)


def test_bytes_are_named_by_their_size_and_not_by_a_temporary_file(
    make_clip: Callable[..., Path], tmp_path: Path
) -> None:
    content = make_clip(frames=2).read_bytes()
    with open_input(content) as source:
        assert source.info.path == f"a video in memory ({len(content):,} bytes)"
        assert len(list(source)) == 2
    told = SourceRecord.of(source.info, sha256=None, folder=tmp_path).model_dump(mode="json", exclude_none=True)
    assert "from_folder" not in told
    assert tempfile.gettempdir() not in str(told["path"])
    with pytest.raises(SourceError) as caught:
        open_input(b"no video")
    assert tempfile.gettempdir() not in str(caught.value)
