"""The result object: made here from squares, without a model."""

from __future__ import annotations

import base64
import importlib
import io
import json
import math
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import covos
from covos.core.errors import EnvironmentProblem, SourceError, UsageError
from covos.core.types import ObjectStatus
from covos.masks import draw_overlay, encode
from covos.masks.frame_mask import FrameMask
from covos.media.opening import open_source
from covos.runs.report import Origin

COUNT = 8


@pytest.fixture
def result(clip: Path) -> covos.Segmentation:
    """Of the eight frames of 48 x 64: object 1 in all but the first, object 7 in the last two, with a hole."""
    frames = []
    with open_source(clip) as source:
        for frame in source:
            square = np.zeros(frame.size, bool)
            square[12:28, 2 * frame.index : 2 * frame.index + 16] = frame.index > 0
            ring = np.zeros(frame.size, bool)
            ring[32:44, 10:30], ring[36:40, 14:20] = True, False
            objects = {1: encode(square)} if frame.index else {}
            objects |= {7: encode(ring)} if frame.index >= 6 else {}
            frames.append(
                FrameMask(
                    index=frame.index,
                    stem=frame.stem,
                    pts=frame.pts,
                    time_base=frame.time_base,
                    status=frame.status,
                    confidence=0.25,
                    size=frame.size,
                    objects=objects,
                )
            )
        origin = Origin(model="squares", sha256="0" * 64, device="none", settings={"side": 16})
        return covos.Segmentation(info=source.info, health=source.health, origin=origin, frames=tuple(frames))


def test_frames_that_are_not_there(result: covos.Segmentation) -> None:
    with pytest.raises(IndexError, match=r"no frame 99 in this result of 8 frames: 0 to 7, or -8 to -1"):
        result[99]
    with pytest.raises(IndexError, match="no frame -9"):
        result[-9]
    with pytest.raises(IndexError, match="no frame 0 in this result of 0 frames"):
        result[:0][0]
    with pytest.raises(TypeError):
        result["a"]  # type: ignore[call-overload]
    assert result[np.int64(3)] is result[-5] is result.frames[3]


def test_slices_in_seconds(result: covos.Segmentation) -> None:
    assert [frame.time for frame in result] == [index / 25 for index in range(COUNT)]
    assert [frame.index for frame in result.between(0.08, 0.2)] == [2, 3, 4]
    assert [frame.index for frame in result.between(0.2)] == [5, 6, 7]
    assert [frame.index for frame in result[4:].between(-1, 0.17)] == [4]
    assert len(result.between(3, 2)) == 0


def test_equality_is_that_of_the_masks(result: covos.Segmentation) -> None:
    assert result == result[:]
    assert result == replace(result, origin=replace(result.origin, model="other"))
    assert result == replace(result, frames=tuple(replace(frame, confidence=math.nan) for frame in result))
    assert result != result[1:]
    assert result[1:3] != result[2:4]
    changed = replace(result[6], objects={1: result[6].objects[1]})
    assert result != replace(result, frames=(*result.frames[:6], changed, result.frames[7]))
    assert result != "masks"
    with pytest.raises(TypeError, match="unhashable"):
        hash(result)


def test_repr_is_one_short_line(result: covos.Segmentation) -> None:
    assert repr(result) == ("Segmentation(8 frames of 48 x 64, objects [1, 7], model 'squares', source 'clip.mp4')")
    many = replace(result[7], objects=dict.fromkeys(range(1, 200), result[7].objects[1]))
    assert "objects [1, 2, 3, 4, 5, 6, 7, 8] and 191 more" in repr(replace(result, frames=(many,)))


def test_arrays(result: covos.Segmentation) -> None:
    maps = result.to_numpy()
    assert (maps.shape, maps.dtype) == ((COUNT, 48, 64), np.uint8)
    for labels, frame in zip(maps, result, strict=True):
        np.testing.assert_array_equal(labels, frame.labels)
    assert [list(np.unique(labels)) for labels in maps[[0, 1, 6]]] == [[0], [0, 1], [0, 1, 7]]
    assert result[:0].to_numpy().shape == (0, 48, 64)


def test_coco_is_what_is_written(result: covos.Segmentation, tmp_path: Path) -> None:
    saved = result.save(tmp_path / "out", formats=["coco"])
    content = result.to_coco()
    assert json.loads(saved.outputs[0].read_text()) == content
    assert [row["track_id"] for row in content["annotations"]] == [1] * 5 + [1, 7] * 2
    part = result[6:].to_coco()
    assert [row["id"] for row in part["annotations"]] == [1, 2, 3, 4]
    assert [row["image_id"] for row in part["annotations"]] == [7, 7, 8, 8]
    assert [row["id"] for row in part["images"]] == [7, 8]


def test_overlay(result: covos.Segmentation, clip: Path) -> None:
    with open_source(clip) as source:
        pictures = list(source)
    np.testing.assert_array_equal(result.overlay(6), draw_overlay(pictures[6].image, result[6].labels))
    np.testing.assert_array_equal(result[4:].overlay(-1), result.overlay(7))
    np.testing.assert_array_equal(result.overlay(6, opacity=0, outline=False), pictures[6].image)
    with pytest.raises(IndexError):
        result.overlay(8)
    clip.unlink()
    with pytest.raises(SourceError, match="an overlay needs its pictures"):
        result.overlay(0)
    with pytest.raises(UsageError, match="load_result"):
        replace(result, info=replace(result.info, kind="masks")).overlay(0)


def test_overlay_of_a_source_that_changed(result: covos.Segmentation, make_clip) -> None:
    make_clip(frames=3)
    with pytest.raises(SourceError, match="no frame 7"):
        result.overlay(7)
    make_clip(width=32)
    with pytest.raises(SourceError, match="another size"):
        result.overlay(0)


def test_masks_alone_need_no_source(result: covos.Segmentation, clip: Path, tmp_path: Path) -> None:
    clip.unlink()
    formats = ["palette", "coco", "cvat", "labelstudio", "yolo", "ytvis"]
    saved = result.save(tmp_path / "out", formats=formats)
    assert len(saved.outputs) == len(formats)
    assert any("holes" in warning for warning in saved.warnings)
    with pytest.raises(SourceError, match="the format overlay needs its pictures"):
        result.save(tmp_path / "other", formats=["coco", "overlay"])
    assert not (tmp_path / "other").exists()


class TestNotebook:
    def picture(self, text: str) -> np.ndarray:
        code = text.split("base64,")[1].split('"', maxsplit=1)[0]
        return np.asarray(Image.open(io.BytesIO(base64.b64decode(code))))

    def test_a_sheet_of_six_frames(self, result: covos.Segmentation) -> None:
        text = result._repr_html_()
        assert "Segmentation(8 frames of 48 x 64" in text
        assert "http" not in text
        sheet = self.picture(text)
        assert sheet.shape[1] == 3 * 64 + 4 * 6
        assert len(text) < 100_000

    def test_without_the_source_the_masks_are_shown(self, result: covos.Segmentation, clip: Path) -> None:
        with_pictures = self.picture(result._repr_html_())
        clip.unlink()
        alone = self.picture(result._repr_html_())
        assert alone.shape == with_pictures.shape
        assert (np.abs(alone.astype(int) - with_pictures) > 40).any()

    @pytest.mark.parametrize("size", [(2160, 3840), (8192, 1), (1, 8192), (1, 1)])
    def test_it_stays_small(self, result: covos.Segmentation, size: tuple[int, int]) -> None:
        noise = encode(np.random.default_rng(0).random(size) > 0.5)
        frames = tuple(replace(frame, size=size, objects={3: noise}) for frame in result)
        info = replace(result.info, kind="masks", height=size[0], width=size[1])
        text = replace(result, info=info, frames=frames)._repr_html_()
        assert 0 < max(self.picture(text).shape[:2]) < 600
        assert len(text) < 150_000

    def test_names_are_escaped_and_nothing_is_shown_of_nothing(self, result: covos.Segmentation) -> None:
        text = replace(result, info=replace(result.info, path="<b>&.mp4"))[:0]._repr_html_()
        assert "&lt;b&gt;&amp;.mp4" in text
        assert "<img" not in text


@pytest.mark.parametrize(
    ("part", "what"),
    [
        (lambda result: result.between(100, 200), "0 frames: nothing to save"),
        (lambda result: result[:0], "0 frames: nothing to save"),
        (lambda result: result[::-1], "frames that do not run forward"),
        (lambda result: result[5:1:-2], "frames that do not run forward"),
    ],
)
def test_what_cannot_be_saved_is_refused(
    result: covos.Segmentation, tmp_path: Path, part: Callable[[covos.Segmentation], covos.Segmentation], what: str
) -> None:
    with pytest.raises(UsageError, match=what):
        part(result).save(tmp_path / "out", formats=["coco"])
    assert not (tmp_path / "out").exists()
    result[3::-1][::-1].save(tmp_path / "forward", formats=["coco"])
    assert covos.load_result(tmp_path / "forward") == result[:4]


class Detections(SimpleNamespace):
    """What is used of the library's class."""

    @classmethod
    def empty(cls) -> Detections:
        return cls(xyxy=np.empty((0, 4), np.float32), mask=None, class_id=np.array([]), tracker_id=None)


def check_detections(frames: list, result: covos.Segmentation) -> None:
    assert [len(found.xyxy) for found in frames] == [0] + [1] * 5 + [2, 2]
    numbers = {each["name"]: each["id"] for each in result.to_coco()["categories"]}
    for found, frame in zip(frames, result, strict=True):
        if not frame.objects:
            continue
        assert found.tracker_id.tolist() == sorted(frame.objects)
        assert found.class_id.tolist() == [numbers[name] - 1 for name in found.data["class_name"]]
        np.testing.assert_allclose(found.confidence, [0.75 if each == 7 else 0.25 for each in sorted(frame.objects)])
        assert found.mask.dtype == np.bool_
        for box, mask, identity in zip(found.xyxy.astype(int), found.mask, found.tracker_id, strict=True):
            np.testing.assert_array_equal(mask, frame.labels == identity)
            inside = np.zeros_like(mask)
            inside[box[1] : box[3], box[0] : box[2]] = True
            assert (mask & ~inside).sum() == 0
            assert mask[box[1]].any()
            assert mask[box[3] - 1].any()


@pytest.fixture
def labelled(result: covos.Segmentation) -> covos.Segmentation:
    """Object 7 is a dog, with a confidence of its own."""
    states = (ObjectStatus(id=7, state="present", confidence=0.75),)
    frames = tuple(replace(frame, states=states) for frame in result)
    origin = replace(result.origin, settings={"label": {"7": "dog", "every": "car"}})
    return replace(result, frames=frames, origin=origin)


def test_supervision_gets_labels_and_confidence(labelled: covos.Segmentation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "supervision", SimpleNamespace(Detections=Detections))
    last = labelled.to_supervision()[-1]
    assert (last.data["class_name"].tolist(), last.class_id.tolist()) == (["car", "dog"], [1, 0])
    unknown = replace(labelled, frames=tuple(replace(each, confidence=math.nan) for each in labelled))
    assert unknown.to_supervision()[-1].confidence is None


def test_supervision_gets_what_its_class_takes(labelled: covos.Segmentation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "supervision", SimpleNamespace(Detections=Detections))
    check_detections(labelled.to_supervision(), labelled)


def test_supervision_itself(labelled: covos.Segmentation) -> None:
    try:
        importlib.import_module("supervision")
    except ImportError:
        pytest.skip("supervision is not installed")
    check_detections(labelled.to_supervision(), labelled)


def test_without_supervision(result: covos.Segmentation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "supervision", None)
    with pytest.raises(EnvironmentProblem, match="pip install supervision"):
        result.to_supervision()


def test_times_are_exact(result: covos.Segmentation) -> None:
    late = replace(result[1], pts=90_001, time_base=Fraction(1, 30_000))
    assert late.time == 90_001 / 30_000


def test_the_documentation_says_what_each_method_does() -> None:
    for name in ("between", "overlay", "to_coco", "to_numpy", "to_supervision", "model", "object_ids"):
        assert str(getattr(covos.Segmentation, name).__doc__).startswith("Return "), name
