"""Each object by itself: the files of all formats that can, read back by Pillow and PyAV, add up to the whole."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from covos.core.errors import UsageError
from covos.core.labelling import NO_LABELS, Labelling
from covos.core.types import FrameResult
from covos.formats.background_writers import BackgroundWriters
from covos.formats.compose import ComposedResult
from covos.formats.composition import Composition
from covos.formats.options import composed_formats
from covos.formats.table import FORMATS, check_formats, load_format, make_writer
from covos.runs.folder import OutputFolder

PICTURES = {
    "rgba": ".png",
    "rgba=16": ".png",
    "rgba=webp": ".webp",
    "tiff": ".tif",
    "matte": ".png",
    "matte=16": ".png",
}
VIDEOS = {"webm": ".webm", "prores": ".mov", "qtrle": ".mov", "ffv1": ".mkv", "matte-video": ".mp4"}
Planes = Callable[[Path], list[NDArray[Any]]]


@pytest.fixture
def results(soft) -> list[FrameResult]:
    """One object, then two halves of the disc that touch, then the first again."""
    left = np.mgrid[:48, :64][1] < 32
    two = np.where(left, soft.labels, soft.labels * 7)
    frames = [soft, replace(soft, labels=two), soft]
    return [
        replace(each, frame=replace(each.frame, index=index, stem=f"{index:05d}", pts=index))
        for index, each in enumerate(frames)
    ]


def written(
    folder: Path, name: str, results: list[FrameResult], info: Any, *, labels: Labelling = NO_LABELS
) -> tuple[Path, ...]:
    writer = make_writer(name, OutputFolder(folder), info=info, source_path=folder / "none", labels=labels)
    for each in results:
        writer.write(each)
    return writer.close()


def level(picture: Path) -> NDArray[np.float64]:
    """The alpha of a picture, or its grey, in [0, 1]."""
    if picture.suffix == ".tif" or (picture.suffix == ".png" and picture.read_bytes()[24] == 16):
        with av.open(str(picture)) as container:
            made = next(container.decode(video=0))
            pixels = made.reformat(format="rgba64le" if len(made.format.components) == 4 else "gray16le").to_ndarray()
            return (pixels[..., 3] if pixels.ndim == 3 else pixels) / 65535
    with Image.open(picture) as image:
        return np.asarray(image.getchannel("A") if image.mode == "RGBA" else image) / 255.0


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_of_each_object_add_up_to_the_whole(tmp_path: Path, results, info, name: str) -> None:
    asked = f"{name},each" if "=" in name else f"{name}=each"
    (folder,) = written(tmp_path / name / "each", asked, results, info())
    (whole,) = written(tmp_path / name / "whole", name, results, info())
    assert sorted(path.name for path in folder.iterdir()) == ["1", "7"]
    for index in range(3):
        file = f"{index:05d}{PICTURES[name]}"
        one, seven, both = level(folder / "1" / file), level(folder / "7" / file), level(whole / file)
        np.testing.assert_allclose(one + seven, both, atol=1.01 / 255)
        assert seven.max() == 0 if index != 1 else seven[24, 40] > 0.85
        assert one[24, 40] < 0.01 if index == 1 else one[24, 40] > 0.85


@pytest.mark.parametrize("name", VIDEOS)
def test_videos_of_each_object_have_all_frames(tmp_path: Path, results, info, name: str) -> None:
    paths = written(tmp_path, f"{name}=each", results, info())
    assert [path.name for path in paths] == [f"{name}-1{VIDEOS[name]}", f"{name}-7{VIDEOS[name]}"]
    for path, levels in zip(paths, ((1, 0, 1), (0, 1, 0)), strict=True):
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            reader = av.CodecContext.create("libvpx-vp9", "r") if name == "webm" else stream.codec_context
            pictures = [frame for packet in container.demux(stream) for frame in reader.decode(packet)]
        grey = "gray" if name == "matte-video" else "rgba"
        found = [np.asarray(frame.reformat(format=grey, threads=1).to_ndarray())[24, 40] for frame in pictures]
        alphas = [int(each if each.ndim == 0 else each[3]) for each in found]
        np.testing.assert_allclose(alphas, np.array(levels) * 255, atol=6)


def test_each_object_is_cropped_to_a_box_of_its_own(tmp_path: Path, results, info) -> None:
    (folder,) = written(tmp_path, "cutout=each", results, info())
    boxes = {each.name: json.loads((each / "box.json").read_text()) for each in folder.iterdir()}
    assert boxes["7"]["left"] >= 30 > boxes["1"]["left"]
    for name, box in boxes.items():
        with Image.open(folder / name / "00001.png") as image:
            assert image.size == (box["width"], box["height"])
            whole = np.zeros((48, 64), np.uint8)
            rows, columns = (slice(box[at], box[at] + box[side]) for at, side in (("top", "height"), ("left", "width")))
            whole[rows, columns] = np.asarray(image.getchannel("A"))
        inside = ComposedResult.of(results[1]).share_of(int(name))
        seen = inside[rows, columns]
        np.testing.assert_allclose(whole[rows, columns] / 255, seen, atol=0.01)


def test_a_folder_is_called_what_its_object_is_called(tmp_path: Path, results, info) -> None:
    (folder,) = written(tmp_path, "rgba=each", results, info(), labels=Labelling(own={7: "red car"}))
    assert sorted(path.name for path in folder.iterdir()) == ["1", "7-red_car"]


def test_nothing_is_written_where_there_is_no_object(tmp_path: Path, result, info) -> None:
    assert written(tmp_path, "rgba=each", [result(ids=())], info()) == ()
    assert not (tmp_path / "rgba").exists()


def test_all_formats_with_alpha_and_mattes_can(tmp_path: Path) -> None:
    able = {kind.name for kind in map(load_format, FORMATS) if "each_object" in kind.composes}
    alpha = {kind.name for kind in map(load_format, FORMATS) if kind.has_alpha}
    assert able == (alpha - {"exr", "cutout-gif"}) | {"matte", "matte-video"}
    for name in able:
        (asked,) = composed_formats([name], Composition(each_object=True))
        assert check_formats([asked]) == (asked,) == (f"{name}=each",)
        kind = load_format(name)
        assert kind.suffix_of("each") == ""
        assert kind.still_suffixes("each") == ()
        if "invert" in kind.flags:
            with pytest.raises(UsageError, match="each object and invert"):
                check_formats([f"{name}=each,invert"])


def test_formats_that_show_all_objects_together_are_named(tmp_path: Path, results, info) -> None:
    folder = OutputFolder(tmp_path)
    asked = ("rgba=each", "green", "palette", "blur")
    for names, said in ((asked, True), (("rgba", "green"), False), (("rgba=each", "palette"), False)):
        place = folder if said else OutputFolder(tmp_path / "-".join(names))
        made = [make_writer(name, place, info=info(), source_path=tmp_path / "none") for name in names]
        with BackgroundWriters(made) as writers:
            for each in results:
                writers.write(each)
            writers.close()
        told = [text for text in writers.warnings if "in one picture" in text]
        assert (told == ["green, blur: all objects are in one picture; formats with alpha have each by itself"]) == said
        assert bool(told) == said
