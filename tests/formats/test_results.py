"""Lists as detectors write them for the official evaluations of COCO and YouTube-VIS; and polygons."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as official

from covos.core.errors import AnnotationError
from covos.formats.reading import MasksRead
from covos.masks import decode
from covos.runs.reading import read_masks

MASK = {"size": [6, 8], "counts": [8, 4, 36]}
OTHER = {"size": [6, 8], "counts": [30, 6, 12]}


def read(path: Path, content: Any) -> MasksRead:
    (path / "r.json").write_text(json.dumps(content))
    return read_masks(path / "r.json")


def test_coco(tmp_path: Path) -> None:
    rows = [
        {"image_id": image, "category_id": category, "score": 0.5, "segmentation": mask}
        for image, category, mask in ((7, 1, MASK), (7, 2, OTHER), (3, 2, OTHER))
    ]
    found = read(tmp_path, rows)
    assert found.format == "coco"
    assert [frame.index for frame in found.frames] == [0, 1]
    assert [{key: rle.area for key, rle in frame.objects.items()} for frame in found.frames] == [{1: 6}, {1: 6, 2: 4}]


def test_instances_of_one_picture_are_objects(tmp_path: Path) -> None:
    rows = [{"image_id": 7, "category_id": 1, "segmentation": mask} for mask in (MASK, OTHER)]
    (frame,) = read(tmp_path, rows).frames
    assert {key: rle.area for key, rle in frame.objects.items()} == {1: 4, 2: 6}


def test_instances_that_nothing_tells_apart(tmp_path: Path) -> None:
    rows = [{"image_id": image, "category_id": 1, "segmentation": MASK} for image in (1, 1, 2)]
    with pytest.raises(AnnotationError, match="result 1 is the second of category 1 in image 1"):
        read(tmp_path, rows)
    for row, track in zip(rows, (4, 5, 4), strict=True):
        row["track_id"] = track
    assert [sorted(frame.objects) for frame in read(tmp_path, rows).frames] == [[4, 5], [4]]


def test_youtube_vis(tmp_path: Path) -> None:
    rows = [
        {"video_id": 1, "category_id": 1, "score": 0.9, "segmentations": [MASK, None]},
        {"video_id": 1, "category_id": 1, "score": 0.1, "segmentations": [OTHER, OTHER]},
    ]
    found = read(tmp_path, rows)
    assert found.format == "ytvis"
    assert [sorted(frame.objects) for frame in found.frames] == [[1, 2], [2]]
    for change, why in (
        ({"video_id": 2}, "of 2 videos"),
        ({"segmentations": [MASK]}, "result 1 has 1 masks, the first 2"),
        ({"segmentations": []}, "result 1: segmentations"),
    ):
        with pytest.raises(AnnotationError, match=why):
            read(tmp_path, [rows[0], {**rows[1], **change}])
    with pytest.raises(AnnotationError, match="no mask"):
        read(tmp_path, [{"video_id": 1, "segmentations": [None]}])


@pytest.mark.filterwarnings("ignore:__array__ implementation")
def test_polygons_are_as_the_official_code_has_them(tmp_path: Path) -> None:
    corners = [[1.0, 1.0, 6.5, 1.0, 6.5, 4.2, 1.0, 4.2], [0.0, 5.0, 3.0, 5.0, 3.0, 6.0, 0.0, 6.0]]
    expected = official.decode(official.merge(official.frPyObjects(corners, 6, 8))).astype(bool)
    image = {"id": 1, "file_name": "a.png", "height": 6, "width": 8}
    row = {"id": 1, "image_id": 1, "category_id": 1, "segmentation": corners}
    (frame,) = read(tmp_path, {"images": [image], "annotations": [row]}).frames
    np.testing.assert_array_equal(decode(frame.objects[1]), expected)
    video = {"id": 1, "height": 6, "width": 8, "file_names": ["a.png"]}
    row = {"id": 3, "video_id": 1, "segmentations": [corners]}
    (frame,) = read(tmp_path, {"videos": [video], "annotations": [row]}).frames
    np.testing.assert_array_equal(decode(frame.objects[3]), expected)


def test_polygons_of_cvat_and_label_studio_are_those_of_coco(tmp_path: Path) -> None:
    corners = [1.0, 1.0, 6.5, 1.0, 6.5, 4.2, 1.0, 4.2]
    image = {"id": 1, "file_name": "a.png", "height": 6, "width": 8}
    row = {"id": 1, "image_id": 1, "category_id": 1, "segmentation": [corners]}
    (known,) = read(tmp_path, {"images": [image], "annotations": [row]}).frames
    pairs = list(zip(corners[::2], corners[1::2], strict=True))
    (tmp_path / "c.xml").write_text(
        "<annotations><meta><task><size>1</size><original_size><width>8</width><height>6</height></original_size></task>"
        '</meta><track id="0" label="a"><polygon frame="0" outside="0" points="'
        + ";".join(f"{x},{y}" for x, y in pairs)
        + '"/></track></annotations>'
    )
    (frame,) = read_masks(tmp_path / "c.xml").frames
    assert frame.objects == known.objects
    region = {
        "type": "polygonlabels", "original_width": 8, "original_height": 6, "image_rotation": 0,
        "value": {"points": [[100 * x / 8, 100 * y / 6] for x, y in pairs], "polygonlabels": ["object 1"]},
    }  # fmt: skip
    (frame,) = read(tmp_path, [{"data": {"image": "a.png"}, "annotations": [{"result": [region]}]}]).frames
    assert frame.objects == known.objects
