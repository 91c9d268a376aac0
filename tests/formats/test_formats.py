"""Every format on every kind of source: written by covos, read back by other programs' readers, and compared."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray
from PIL import Image

from covos.core.errors import SourceError, UsageError
from covos.core.types import FrameResult, SourceInfo
from covos.formats.table import FORMATS, check_formats, make_writer
from covos.masks import draw_overlay
from covos.masks.foreground import foreground_colours
from covos.masks.matte import opacity_of
from covos.media.opening import open_source
from covos.runs.folder import OutputFolder

COUNT = 6
VFR = [0, 40, 100, 130, 400, 410]  # milliseconds


# ---- sources -------------------------------------------------------------------------------------------------------


def scene(index: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Smooth, so that halved colour resolution loses little; every frame different."""
    y, x = np.mgrid[: size[0], : size[1]]
    red, green = x * 200 // size[1] + 20, y * 200 // size[0] + 20
    return np.stack([red, green, np.full_like(x, 60 + 20 * index)], -1).astype(np.uint8)


def film(path: Path, *, size: tuple[int, int] = (48, 64), vfr: bool = False, rotation: int = 0, sound: bool = False):
    codec, pixels = ("ffv1", "bgra") if path.suffix == ".mkv" else ("libx264", "yuv420p")
    base = Fraction(1, 1000)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, width=size[1], height=size[0], pix_fmt=pixels)
        stream.codec_context.time_base = base
        if rotation:
            stream.set_display_rotation(rotation)
        voice = container.add_stream("aac", rate=48000) if sound else None
        for index in range(COUNT):
            frame = av.VideoFrame.from_ndarray(scene(index, size), format="rgb24")
            frame.pts, frame.time_base = VFR[index] if vfr else 40 * index, base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if voice is not None:
            for index in range(12):
                wave = np.sin(np.arange(1024) / 20).astype(np.float32)[None]
                piece = av.AudioFrame.from_ndarray(np.repeat(wave, 2, 0), format="fltp", layout="stereo")
                piece.sample_rate, piece.pts, piece.time_base = 48000, 1024 * index, Fraction(1, 48000)
                container.mux(voice.encode(piece))
            container.mux(voice.encode(None))
    return path


SOURCES: dict[str, Callable[[Path], Path]] = {
    "odd": lambda folder: film(folder / "odd.mkv", size=(47, 63)),
    "vfr": lambda folder: film(folder / "vfr.mp4", vfr=True),
    "rotated": lambda folder: film(folder / "rotated.mp4", rotation=90),
    "sound": lambda folder: film(folder / "sound.mp4", sound=True),
}


def segmented(path: Path) -> tuple[SourceInfo, list[FrameResult]]:
    """The frames of a source with two objects, the second from frame 2 on; a soft ramp of probability."""
    results = []
    with open_source(path) as source:
        for frame in source:
            height, width = frame.size
            y, x = np.mgrid[:height, :width]
            probability = np.clip(1.2 - np.hypot(y - height / 2, x - width / 2 - frame.index) / 16, 0, 1)
            labels = (probability > 0.5).astype(np.uint8)
            if frame.index >= 2:
                labels[(labels > 0) & (x > width / 2)] = 7
            probability = probability.astype(np.float32)
            results.append(FrameResult(frame=frame, probability=probability, labels=labels, confidence=1.0))
    return source.info, results


# ---- readers -------------------------------------------------------------------------------------------------------


def png_folder(folder: Path) -> list[NDArray[Any]]:
    return [np.asarray(Image.open(path)) for path in sorted(folder.glob("*.png"))]


def video(path: Path) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    """Seconds and RGBA of every frame, by PyAV with libvpx for VP9."""
    reformatter = VideoReformatter()
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        is_vp9 = stream.codec_context.name == "vp9"
        decoder: Any = av.CodecContext.create("libvpx-vp9", "r") if is_vp9 else stream
        for packet in container.demux(stream):
            for frame in decoder.decode(packet if packet.size else None):
                matrix = {"src_colorspace": frame.colorspace} if "yuv" in frame.format.name else {}
                image = reformatter.reformat(frame, format="rgba", threads=1, **matrix).to_ndarray()
                yield float(frame.pts * stream.time_base), image


# ---- what each file should hold ------------------------------------------------------------------------------------


def opacity(result: FrameResult) -> NDArray[Any]:
    """A tenth at each end of the range is sure; well inside of the mask it is solid, well outside clear."""
    soft = np.clip((result.probability - 0.1) / 0.8, 0, 1).astype(np.float32)
    solid = opacity_of(result.probability, result.labels)
    inside = cv2.distanceTransform(np.pad((result.labels > 0).astype(np.uint8), 1), cv2.DIST_L2, 5)[1:-1, 1:-1]
    outside = cv2.distanceTransform((result.labels == 0).astype(np.uint8), cv2.DIST_L2, 5)
    edge = (inside < 2) & (outside < 3)
    np.testing.assert_allclose(solid[edge], soft[edge], atol=0.01)
    assert (solid[inside > 6] == 1).all()
    assert not solid[outside > 16].any()
    assert (solid >= soft - 1e-6)[inside > 0].all()
    assert (solid <= soft + 1e-6)[inside == 0].all()
    return solid


def alpha(result: FrameResult) -> NDArray[Any]:
    return np.rint(opacity(result) * 255)


def colours(result: FrameResult) -> NDArray[Any]:
    """The source's own, but for mixed pixels."""
    weight, image = opacity(result), result.frame.image
    assert ((weight > 0) & (weight < 1)).any()
    return foreground_colours(image, weight)


def over(result: FrameResult, background: Any) -> NDArray[Any]:
    weight = opacity(result)[..., None]
    return colours(result) * weight + np.asarray(background) * (1 - weight)


def rgba(result: FrameResult) -> NDArray[Any]:
    return np.dstack([colours(result), alpha(result)])


VIDEOS: dict[str, tuple[str, Callable[[FrameResult], NDArray[Any]], float, float]] = {
    # format: file, expected picture, mean error of its colours, largest error of its alpha
    "background=#204060": ("background.mp4", lambda result: over(result, (0x20, 0x40, 0x60)), 4, 0),
    "ffv1": ("ffv1.mkv", rgba, 0, 0),
    "green": ("green.mp4", lambda result: over(result, (0, 255, 0)), 5, 0),
    "matte-video": ("matte-video.mp4", lambda result: alpha(result)[..., None].repeat(3, -1), 2, 0),
    "matte-video=ffv1": ("matte-video.mkv", lambda result: alpha(result)[..., None].repeat(3, -1), 1, 0),
    "overlay": ("overlay.mp4", lambda result: draw_overlay(result.frame.image, result.labels), 10, 0),
    "prores": ("prores.mov", rgba, 1, 1),
    "qtrle": ("qtrle.mov", rgba, 0, 0),
    "webm": ("webm.webm", rgba, 5, 12),
}


@pytest.fixture(params=SOURCES)
def source(request, tmp_path: Path) -> Path:
    return SOURCES[request.param](tmp_path)


def write(name: str, path: Path, info: SourceInfo, results: list[FrameResult]) -> Any:
    writer = make_writer(name, OutputFolder(path.parent / "out" / name), info=info, source_path=path)
    for result in results:
        writer.write(result)
    writer.paths = writer.close()
    return writer


@pytest.mark.parametrize("name", VIDEOS)
def test_videos(source: Path, name: str) -> None:
    info, results = segmented(source)
    file, expected, colour_error, alpha_error = VIDEOS[name]
    writer = write(name, source, info, results)
    assert writer.paths == (source.parent / "out" / name / file,)
    found = list(video(writer.paths[0]))
    assert [time for time, _ in found] == pytest.approx([result.frame.time for result in results], abs=1e-3)
    height, width = results[0].frame.size
    is_h264 = file.endswith(".mp4")
    for (_, image), result in zip(found, results, strict=True):
        padded = (height + height % 2, width + width % 2) if is_h264 else (height, width)
        assert image.shape[:2] == padded
        wanted = expected(result)
        error = np.abs(image[:height, :width, : wanted.shape[2]].astype(float) - wanted)
        if name in {"prores", "webm"}:  # there the subject's own colours lie under what is transparent
            error[wanted[..., 3] == 0, :3] = 0
        assert error[..., :3].mean() <= colour_error + 0.01
        if wanted.shape[2] == 4:
            assert error[..., 3].max() <= alpha_error
            assert error[..., 3].mean() <= alpha_error / 4
    pads = is_h264 and (height % 2 or width % 2)
    assert any("even sizes" in text for text in writer.warnings) == bool(pads)
    with av.open(str(writer.paths[0])) as container:
        assert bool(container.streams.audio) == info.has_audio
        if info.has_audio:
            seconds = sum(sound.samples / sound.sample_rate for sound in container.decode(audio=0))
            assert seconds == pytest.approx(12 * 1024 / 48000, abs=0.06)
        # A player must not turn it a second time.
        container.seek(0)
        assert next(container.decode(video=0)).rotation == 0


def test_blur_keeps_the_subject_and_softens_the_rest(source: Path) -> None:
    info, results = segmented(source)
    speckled = []
    for result in results:
        noise = np.random.default_rng(result.frame.index).integers(0, 255, (*result.frame.size, 3), dtype=np.uint8)
        frame = type(result.frame)(
            index=result.frame.index,
            stem=result.frame.stem,
            image=noise,
            pts=result.frame.pts,
            time_base=result.frame.time_base,
        )
        hard = (result.probability > 0.5).astype(np.float32)
        speckled.append(FrameResult(frame=frame, probability=hard, labels=result.labels, confidence=1.0))
    writer = write("blur", source, info, speckled)
    found = list(video(writer.paths[0]))
    assert len(found) == COUNT
    height, width = results[0].frame.size
    inside = speckled[3].probability > 0.5
    image = found[3][1][:height, :width, :3].astype(float)
    assert image[~inside].std() < 0.6 * image[inside].std()


def test_pictures(source: Path) -> None:
    info, results = segmented(source)
    out = source.parent / "out"
    for name in ("palette", "binary", "matte", "rgba", "cutout", "npz"):
        write(name, source, info, results)
    assert len(png_folder(out / "palette" / "masks")) == COUNT
    for found, result in zip(png_folder(out / "palette" / "masks"), results, strict=True):
        np.testing.assert_array_equal(found, result.labels)
    assert sorted(path.name for path in (out / "binary" / "binary").iterdir()) == ["1", "7"]
    for identity in (1, 7):
        for found, result in zip(png_folder(out / "binary" / "binary" / str(identity)), results, strict=True):
            np.testing.assert_array_equal(found, np.where(result.labels == identity, 255, 0))
    for found, result in zip(png_folder(out / "matte" / "matte"), results, strict=True):
        np.testing.assert_array_equal(found, np.rint(result.probability * 255))
    for found, result in zip(png_folder(out / "rgba" / "rgba"), results, strict=True):
        np.testing.assert_array_equal(found, rgba(result))
    with np.load(out / "npz" / "masks.npz") as content:
        np.testing.assert_array_equal(content["masks"], [result.labels for result in results])
        assert content["ids"].tolist() == [1, 7]
        assert content["times"].tolist() == [result.frame.time for result in results]
        assert content["stems"].tolist() == [result.frame.stem for result in results]


def test_sixteen_bits_keep_what_eight_round_away(source: Path) -> None:
    info, results = segmented(source)
    write("matte=16", source, info, results)
    found = png_folder(source.parent / "out" / "matte=16" / "matte")
    assert {each.dtype for each in found} <= {np.dtype(np.uint16), np.dtype(np.int32)}
    for each, result in zip(found, results, strict=True):
        np.testing.assert_allclose(each / 65535, result.probability, atol=1 / 65535)


def test_a_cutout_has_one_box_that_holds_the_subject_and_can_be_put_back(source: Path) -> None:
    info, results = segmented(source)
    write("cutout", source, info, results)
    folder = source.parent / "out" / "cutout" / "cutout"
    box = json.loads((folder / "box.json").read_text())
    rows = slice(box["top"], box["top"] + box["height"])
    columns = slice(box["left"], box["left"] + box["width"])
    assert (box["frame_height"], box["frame_width"]) == results[0].frame.size
    pictures = png_folder(folder)
    assert len(pictures) == COUNT
    for found, result in zip(pictures, results, strict=True):
        assert found.shape == (box["height"], box["width"], 4)
        there = result.labels[rows, columns] > 0
        assert there.sum() == (result.labels > 0).sum()
        np.testing.assert_array_equal(found[there], rgba(result)[rows, columns][there])
    # The subject moves to the right inside a box that stands still.
    middles = [np.flatnonzero(found[..., 3].max(axis=0) > 127).mean() for found in pictures]
    assert middles[-1] - middles[0] == pytest.approx(COUNT - 1, abs=1)


def test_a_preview_is_as_long_as_the_clip(source: Path) -> None:
    info, results = segmented(source)
    for name, suffix in (("preview", "webp"), ("preview=gif", "gif"), ("cutout-gif", "gif")):
        target = source.parent / f"{name}-{suffix}"
        writer = make_writer(name, OutputFolder(target), info=info, source_path=source)
        for result in results:
            writer.write(result)
        (path,) = writer.close()
        with Image.open(path) as image:
            assert image.format == suffix.upper()
            assert image.n_frames == COUNT
        # GIF counts hundredths of a second.
        expected = results[-1].frame.time + float(1 / info.frame_rate)
        assert sum(durations(path)) / 1000 == pytest.approx(expected, abs=0.006)


def durations(path: Path) -> list[int]:
    """The thousandths of a second for which each frame is shown."""
    found = []
    with Image.open(path) as image:
        for index in range(image.n_frames):
            image.seek(index)
            image.load()
            found.append(image.info["duration"])
    return found


@pytest.mark.parametrize("name", ["preview", "preview=gif", "cutout-gif"])
@pytest.mark.parametrize("rate", [24, 30, 60])
def test_an_animation_has_the_speed_of_the_clip(tmp_path: Path, info, result, name: str, rate: int) -> None:
    made = info(frame_count=rate // 2, frame_rate=Fraction(rate), time_base=Fraction(1, rate))
    writer = make_writer(name, OutputFolder(tmp_path), info=made, source_path=tmp_path)
    for index in range(rate // 2):
        writer.write(result(index, time_base=Fraction(1, rate)))
    (path,) = writer.close()
    shown = durations(path)
    if path.suffix == ".gif" and rate == 60:
        assert shown == [20] * 30, "browsers show what is less for longer"
        return
    assert sum(shown) == 500
    unit = 10 if path.suffix == ".gif" else 1
    assert max(abs(each - 1000 / rate) for each in shown) < unit


def test_a_gif_of_the_subject_is_transparent_around_it(source: Path) -> None:
    info, results = segmented(source)
    (path,) = write("cutout-gif", source, info, results).paths
    shown = list(video(path))
    assert len(shown) == len(results)
    for (_, image), result in zip(shown, results, strict=True):
        opaque = image[..., 3] == 255
        assert set(np.unique(image[..., 3])) <= {0, 255}
        inside = cv2.resize(opacity(result), image.shape[1::-1], interpolation=cv2.INTER_AREA)
        assert (opaque != (inside > 0.5)).mean() < 0.02
        wanted = cv2.resize(colours(result), image.shape[1::-1], interpolation=cv2.INTER_AREA)
        sure = opaque & (inside > 0.99)
        assert np.abs(image[sure, :3].astype(float) - wanted[sure]).mean() < 6


def test_a_gif_of_a_black_subject_keeps_its_rim(tmp_path: Path, info, result) -> None:
    writer = make_writer("cutout-gif", OutputFolder(tmp_path), info=info(frame_count=3), source_path=tmp_path)
    labels = np.zeros((48, 64), np.uint8)
    labels[12:36, 10:40] = 1
    for index in range(3):
        made = result(index)
        image = np.array(made.frame.image)
        image[:20] = 0
        image[20:, :, index] = 200
        found = replace(made, frame=replace(made.frame, image=image), labels=labels, probability=np.float32(labels))
        writer.write(found)
    (path,) = writer.close()
    shown = [image for _, image in video(path)]
    assert len(shown) == 3
    for image in shown:
        np.testing.assert_array_equal(image[..., 3] == 255, labels == 1)
        assert image[12:20, 10:40, :3].max() <= 1


def test_a_gif_goes_on_over_frames_without_the_subject(tmp_path: Path, info, result) -> None:
    writer = make_writer("cutout-gif", OutputFolder(tmp_path), info=info(), source_path=tmp_path)
    for index in range(5):
        made = result(index)
        nothing = replace(made, labels=np.zeros_like(made.labels), probability=np.zeros_like(made.probability))
        writer.write(nothing if index in {0, 2, 3} else made)
    (path,) = writer.close()
    assert path.read_bytes().count(b"GIF89a") == 1, "the header stands once"
    assert [bool(image[..., 3].any()) for _, image in video(path)] == [False, True, False, True]
    assert durations(path) == [40, 40, 80, 40]


def test_long_clips_give_small_previews_and_even_sheets(tmp_path: Path, info, result) -> None:
    made = info(frame_count=200, height=90, width=800, pixel_aspect=Fraction(1, 2))
    writers = [
        make_writer(name, OutputFolder(tmp_path / "o"), info=made, source_path=tmp_path) for name in ("preview",)
    ]
    writers.append(make_writer("sheet=6", OutputFolder(tmp_path / "s"), info=made, source_path=tmp_path))
    for index in range(200):
        for writer in writers:
            writer.write(result(index, size=(90, 800)))
    preview, sheet = (writer.close()[0] for writer in writers)
    with Image.open(preview) as image:
        assert 24 <= image.n_frames <= 48
        assert image.size == (320, 72)  # half as wide in square pixels, then to 320
        assert preview.stat().st_size < 1_000_000
    with Image.open(sheet) as image:
        assert image.width == 4 * 326 + 6  # six cells in rows of four


# ---- edges ---------------------------------------------------------------------------------------------------------


def test_a_source_in_which_nothing_is_found(tmp_path: Path, info, result) -> None:
    for name in FORMATS:
        writer = make_writer(name, OutputFolder(tmp_path / name), info=info(), source_path=tmp_path)
        for index in range(3):
            writer.write(result(index, ids=()))
        (path,) = writer.close()
        assert path.exists()
    assert [mask.max() for mask in png_folder(tmp_path / "binary" / "binary" / "1")] == [0, 0, 0]
    assert {picture.shape for picture in png_folder(tmp_path / "cutout" / "cutout")} == {(48, 64, 4)}
    assert all(picture[..., 3].max() == 0 for picture in png_folder(tmp_path / "cutout" / "cutout"))


def test_the_page_names_the_file_of_every_format(tmp_path: Path, info, result) -> None:
    page = (Path(__file__).parents[2] / "docs" / "formats.md").read_text()
    (table,) = re.findall(r"^\| format \| file \|.*?\n\n", page, re.MULTILINE | re.DOTALL)
    rows = dict(re.findall(r"^\| `([\w-]+)` \| `([^`]+)` \|", table, re.MULTILINE))
    assert sorted(rows) == list(FORMATS)
    for name, file in rows.items():
        writer = make_writer(name, OutputFolder(tmp_path / name), info=info(), source_path=tmp_path)
        writer.write(result(0))
        writer.close()
        assert (tmp_path / name / file.replace("<stem>", "00000").replace("<id>", "1")).is_file()


def test_a_picture_as_background_fills_the_frame(tmp_path: Path, info, result) -> None:
    halves = np.zeros((100, 400, 3), np.uint8)
    halves[:, 200:] = 255
    Image.fromarray(halves).save(tmp_path / "beach=1.png")
    made = info(kind="image", frame_count=1, frame_rate=None)
    name = f"background={tmp_path / 'beach=1.png'}"
    writer = make_writer(name, OutputFolder(tmp_path / "out"), info=made, source_path=tmp_path)
    writer.write(result(0, ids=()))
    (path,) = writer.close()
    found = np.asarray(Image.open(path))
    assert found.shape == (48, 64, 3)
    assert (found[:, :30] == 0).all()
    assert (found[:, 34:] == 255).all()


def test_two_runs_give_the_same_bytes(tmp_path: Path, info, result) -> None:
    contents = []
    for run in ("first", "second"):
        for name in FORMATS:
            writer = make_writer(name, OutputFolder(tmp_path / run / name), info=info(), source_path=tmp_path)
            for index in range(3):
                writer.write(result(index))
            writer.close()
        files = sorted(path for path in (tmp_path / run).rglob("*") if path.is_file())
        contents.append({path.relative_to(tmp_path / run): path.read_bytes() for path in files})
    assert contents[0].keys() == contents[1].keys()
    assert [name for name, content in contents[0].items() if content != contents[1][name]] == []


@pytest.mark.parametrize(
    ("names", "what"),
    [
        (["matte=12"], "matte=12"),
        (["palette=2"], "palette"),
        (["palette="], "palette"),
        (["sheet=0"], "sheet=0"),
        (["sheet=many"], "sheet=many"),
        (["preview=png"], "preview=png"),
        (["background=#12345"], "background #12345"),
        (["background=nowhere.jpg"], "nowhere.jpg"),
        (["matte", "matte=16"], "the format matte beside the format matte=16"),
    ],
)
def test_values_that_make_no_sense_are_refused(names: list[str], what: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_formats(names)
    assert what in caught.value.what


def test_a_background_that_is_no_picture_is_refused_before_the_run(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no picture")
    with pytest.raises(SourceError, match=r"notes\.txt"):
        check_formats([f"background={tmp_path / 'notes.txt'}"])


def test_formats_are_taken_once_with_their_values() -> None:
    assert check_formats(["matte=16", "palette", "matte=16"]) == ("matte=16", "palette")
