"""The formats: what is on disk after a run, what is not after a failure."""

import inspect
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from covos.core.errors import UsageError
from covos.formats.base import Format
from covos.formats.table import FORMATS, TABLE, load_format, make_writer
from covos.masks import draw_overlay, read_label_map
from covos.media.opening import open_source
from covos.runs.folder import OutputFolder


def make(name: str, folder: Path, info, **changes: object) -> Format:
    return make_writer(name, OutputFolder(folder), info=info(**changes), source_path=Path(str(changes.get("path", ""))))


def test_names_are_sorted_and_an_unknown_one_lists_them(tmp_path: Path, info) -> None:
    assert list(FORMATS) == sorted(TABLE)
    with pytest.raises(UsageError) as caught:
        make("xyz", tmp_path, info)
    assert "'xyz'" in caught.value.what
    assert all(name in caught.value.fix for name in FORMATS)


@pytest.mark.parametrize("name", FORMATS)
class TestEveryFormat:
    def test_making_and_ending_it_touches_no_disk(self, tmp_path: Path, info, name: str) -> None:
        for end in ("close", "abort"):
            writer = make(name, tmp_path / end, info)
            assert not getattr(writer, end)()
            writer.abort()
            assert writer.close() == ()
        assert writer.name == name
        assert list(tmp_path.iterdir()) == []

    def test_what_close_returns_is_there(self, tmp_path: Path, info, result, name: str) -> None:
        writer = make(name, tmp_path / "out", info)
        for index in range(3):
            writer.write(result(index))
        paths = writer.close()
        assert paths
        assert all(path.exists() and path.parent == tmp_path / "out" for path in paths)
        assert writer.close() == paths
        writer.abort()
        assert all(path.exists() for path in paths)
        assert writer.warnings == ()

    def test_nothing_unfinished_is_left_by_an_abort(self, tmp_path: Path, info, result, name: str) -> None:
        writer = make(name, tmp_path / "out", info)
        writer.write(result(0))
        writer.abort()
        assert not list(tmp_path.rglob("*.partial*"))
        assert not list(tmp_path.rglob("overlay*"))

    def test_one_frame(self, tmp_path: Path, info, result, name: str) -> None:
        writer = make(name, tmp_path, info, kind="image", frame_count=1, frame_rate=None)
        writer.write(result(0, stem="photo"))
        (path,) = writer.close()
        assert path.exists()

    def test_it_describes_itself(self, name: str) -> None:
        assert inspect.getdoc(load_format(name))


def test_palette_masks_are_named_as_frames(tmp_path: Path, info, result, tree) -> None:
    writer = make("palette", tmp_path, info)
    stems = ["00000", "cut_7", "日本 😀"]
    for index, stem in enumerate(stems):
        writer.write(result(index, stem=stem, ids=(1, 200)))
    assert writer.close() == (tmp_path / "masks",)
    assert tree(tmp_path) == sorted(f"masks/{stem}.png" for stem in stems)
    np.testing.assert_array_equal(read_label_map(tmp_path / "masks" / "cut_7.png"), result(1, ids=(1, 200)).labels)


@pytest.mark.parametrize("size", [(48, 64), (47, 63), (1, 1), (16, 300)])
def test_overlay_keeps_size_and_times(tmp_path: Path, info, result, size: tuple[int, int]) -> None:
    base, times = Fraction(1, 1000), [40, 50, 90, 400, 1000]
    writer = make("overlay", tmp_path, info, height=size[0], width=size[1], time_base=base)
    for index, pts in enumerate(times):
        writer.write(result(index, pts=pts, size=size, time_base=base))
    assert writer.close() == (tmp_path / "overlay.mp4",)
    with open_source(tmp_path / "overlay.mp4") as source:
        frames = list(source)
    assert [round(frame.time * 1000) for frame in frames] == times
    padded = size[0] + size[0] % 2, size[1] + size[1] % 2
    assert frames[0].size == padded
    assert bool(writer.warnings) == (padded != size)
    if size == (48, 64):
        for index, frame in enumerate(frames):
            drawn = draw_overlay(result(index).frame.image, result(index).labels)
            inside = result(index).labels > 0
            assert abs(frame.image[inside].mean() - drawn[inside].mean()) < 8
            assert (
                # Half of so small an object is its white rim.
                frame.image[inside][:, 0].mean() > frame.image[inside][:, 2].mean() + 10
            )


def test_overlay_keeps_pixel_aspect(tmp_path: Path, info, result) -> None:
    writer = make("overlay", tmp_path, info, pixel_aspect=Fraction(16, 11))
    writer.write(result(0))
    writer.close()
    with open_source(tmp_path / "overlay.mp4") as source:
        assert source.info.pixel_aspect == Fraction(16, 11)


def test_overlay_copies_the_sound(tmp_path: Path, result) -> None:
    source_path = tmp_path / "clip.mkv"
    with av.open(str(source_path), "w") as container:
        video = container.add_stream("libx264", rate=25, width=64, height=48)
        video.pix_fmt = "yuv420p"
        audio = container.add_stream("aac", rate=48000)
        for index in range(10):
            picture = av.VideoFrame.from_ndarray(result(index).frame.image, format="rgb24")
            container.mux(video.encode(picture))
        container.mux(video.encode(None))
        for index in range(18):
            wave = np.sin(np.arange(1024) / 20 + index).astype(np.float32)[None]
            sound = av.AudioFrame.from_ndarray(np.repeat(wave, 2, 0), format="fltp", layout="stereo")
            sound.sample_rate, sound.pts, sound.time_base = 48000, 1024 * index, Fraction(1, 48000)
            container.mux(audio.encode(sound))
        container.mux(audio.encode(None))
    with open_source(source_path) as source:
        assert source.info.has_audio
        writer = make_writer("overlay", OutputFolder(tmp_path / "out"), info=source.info, source_path=source_path)
        for frame in source:
            writer.write(result(frame.index, pts=frame.pts, time_base=frame.time_base))
        (path,) = writer.close()
    packets = []
    for each in (source_path, path):
        with av.open(str(each)) as container:
            packets.append([bytes(packet) for packet in container.demux(audio=0) if packet.size])
    assert packets[1]
    assert packets[1] == packets[0][: len(packets[1])]
    assert len(packets[1]) >= len(packets[0]) - 1


@pytest.mark.parametrize(("kind", "rate"), [("image", None), ("frames", Fraction(25))])
def test_overlay_of_one_picture_is_a_picture(tmp_path: Path, info, result, kind: str, rate) -> None:
    writer = make("overlay", tmp_path, info, kind=kind, frame_count=1, frame_rate=rate)
    writer.write(result(0))
    assert writer.close() == (tmp_path / "overlay.png",)
    with Image.open(tmp_path / "overlay.png") as image:
        np.testing.assert_array_equal(np.asarray(image), draw_overlay(result(0).frame.image, result(0).labels))


@pytest.mark.parametrize(("kind", "count"), [("video", 1), ("frames", 2)])
def test_overlay_of_a_sequence_is_a_video(tmp_path: Path, info, result, kind: str, count: int) -> None:
    writer = make("overlay", tmp_path, info, kind=kind, frame_count=count)
    for index in range(count):
        writer.write(result(index))
    assert writer.close() == (tmp_path / "overlay.mp4",)
    with open_source(tmp_path / "overlay.mp4") as source:
        assert len(list(source)) == count
