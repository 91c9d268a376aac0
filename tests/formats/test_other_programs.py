"""Written annotations are opened by the libraries of the programs that they are for, not by ours.

None of them is told anything that a user would not tell it, and each has to give the masks again to the pixel. Of CVAT
the library has the decoder of masks alone; the reader of its files is a part of its server.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import covos

Labels = NDArray[np.uint8]
HEIGHT, WIDTH = 30, 41


def maps() -> list[Labels]:
    """Objects that come late, vanish, return, touch edges and one another, are a pixel, in parts, the whole frame."""
    frames = [np.zeros((HEIGHT, WIDTH), np.uint8) for _ in range(6)]
    frames[1][3:20, 5:25] = 1
    frames[1][9, 30] = 7
    frames[2][:4, :3] = frames[2][-1, -5:] = 254
    frames[2][5:9, 30:] = frames[2][20:22, 2:4] = 3
    frames[3][:] = 2
    frames[4][:, 0], frames[4][0, 1:], frames[4][10:12, 10:20], frames[4][10:12, 20:30] = 1, 7, 3, 254
    return frames


def ring() -> list[Labels]:
    """An object with a hole, and another inside of it."""
    frame = np.zeros((HEIGHT, WIDTH), np.uint8)
    frame[3:25, 5:35], frame[8:20, 12:28], frame[12:15, 16:20] = 4, 0, 9
    return [frame]


@pytest.fixture
def saved(tmp_path: Path) -> Callable[[str, Iterable[Labels]], Path]:
    """Save label maps in a format, as a user does, and return the folder."""

    def save(name: str, frames: Iterable[Labels]) -> Path:
        masks = tmp_path / "masks"
        masks.mkdir()
        (tmp_path / "pictures").mkdir()
        for index, labels in enumerate(frames):
            picture = Image.fromarray(labels)
            picture.putpalette([value for index in range(256) for value in (index, 255 - index, index // 2)])
            picture.save(masks / f"{index:05}.png")
            Image.fromarray(np.zeros((*labels.shape, 3), np.uint8)).save(tmp_path / "pictures" / f"{index:05}.jpg")
        covos.load_result(masks).save(tmp_path / "out", formats=[name])
        return tmp_path / "out"

    return save


@pytest.mark.parametrize("make", [maps, ring])
def test_coco_by_supervision(saved: Callable[..., Path], tmp_path: Path, make: Callable[[], list[Labels]]) -> None:
    supervision = pytest.importorskip("supervision")
    file = saved("coco", make()) / "coco.json"
    found = supervision.DetectionDataset.from_coco(str(tmp_path / "pictures"), str(file), force_masks=True)
    read = {Path(path).name: detections for path, _, detections in found}
    assert set(read) == {f"{index:05}.jpg" for index in range(len(make()))}
    # Supervision passes over track_id: which is which is known by the order in the file.
    content = json.loads(file.read_text())
    names = {image["id"]: image["file_name"] for image in content["images"]}
    for index, labels in enumerate(make()):
        again = np.zeros_like(labels)
        detections = read[name := f"{index:05}.jpg"]
        numbers = [each["track_id"] for each in content["annotations"] if names[each["image_id"]] == name]
        for number, mask in zip(numbers, () if detections.mask is None else detections.mask, strict=True):
            again[mask] = number
        np.testing.assert_array_equal(again, labels)


@pytest.mark.parametrize("make", [maps, ring])
def test_masks_of_cvat_by_its_sdk(saved: Callable[..., Path], make: Callable[[], list[Labels]]) -> None:
    from cvat_sdk.masks import decode_mask

    root = ElementTree.parse(saved("cvat", make()) / "cvat.xml").getroot()
    read = [np.zeros_like(labels) for labels in make()]
    for track in root.iter("track"):
        for mask in track.iter("mask"):
            if mask.get("outside") == "1":
                continue
            left, top, width, height = (int(mask.attrib[name]) for name in ("left", "top", "width", "height"))
            runs = [int(run) for run in mask.attrib["rle"].split(",")]
            points = [*runs, left, top, left + width - 1, top + height - 1]
            number = next(each.text for each in mask.iter("attribute") if each.get("name") == "track_id")
            shape = decode_mask(points, image_width=WIDTH, image_height=HEIGHT)
            read[int(mask.attrib["frame"])][shape] = int(number or 0)
    for again, labels in zip(read, make(), strict=True):
        np.testing.assert_array_equal(again, labels)


@pytest.mark.parametrize("make", [maps, ring])
def test_masks_of_cvat_images_by_its_sdk(saved: Callable[..., Path], make: Callable[[], list[Labels]]) -> None:
    from cvat_sdk.masks import decode_mask

    images = ElementTree.parse(saved("cvat=images", make()) / "cvat.xml").getroot().findall("image")
    assert [each.get("name") for each in images] == [f"{index:05}.jpg" for index in range(len(make()))]
    for image, labels in zip(images, make(), strict=True):
        again = np.zeros_like(labels)
        width, height = int(image.attrib["width"]), int(image.attrib["height"])
        for mask in image.iter("mask"):
            left, top, wide, high = (int(mask.attrib[name]) for name in ("left", "top", "width", "height"))
            runs = [int(run) for run in mask.attrib["rle"].split(",")]
            points = [*runs, left, top, left + wide - 1, top + high - 1]
            number = int(mask.findtext("attribute[@name='track_id']", ""))
            again[decode_mask(points, image_width=width, image_height=height)] = number
        np.testing.assert_array_equal(again, labels)


@pytest.mark.filterwarnings("ignore")  # its own, and those of pycocotools with numpy 2
@pytest.mark.parametrize("make", [maps, ring])
def test_cvat_images_by_datumaro(saved: Callable[..., Path], tmp_path: Path, make: Callable[[], list[Labels]]) -> None:
    datumaro = pytest.importorskip("datumaro", reason="datumaro is not installed: `make test` does that")
    file = saved("cvat=images", make()) / "cvat.xml"
    (tmp_path / "pictures").rename(file.parent / "images")  # where it looks for them
    read = datumaro.Dataset.import_from(str(file), "cvat")
    items = sorted(read, key=lambda item: item.attributes["frame"])
    assert [item.id for item in items] == [f"{index:05}" for index in range(len(make()))]
    for item, labels in zip(items, make(), strict=True):
        again = np.zeros_like(labels)
        for mask in item.annotations:
            again[mask.image.astype(bool)] = int(mask.attributes["track_id"])
        np.testing.assert_array_equal(again, labels)


def documented_configuration() -> str:
    """The labelling configuration that docs/annotations.md tells to use, with all objects."""
    text = (Path(__file__).parents[2] / "docs" / "annotations.md").read_text()
    (found,) = re.findall(r"```xml\n(<View>.*?</View>)\n```", text, re.DOTALL)
    label = '<Label value="object 1"/>'
    every = "".join(label.replace("1", str(number)) for number in range(1, 255))
    return found.replace(f'{label}<Label value="object 2"/>', every)


@pytest.mark.parametrize("make", [maps, ring])
def test_label_studio_by_its_converter(
    saved: Callable[..., Path], tmp_path: Path, make: Callable[[], list[Labels]]
) -> None:
    from label_studio_converter import Converter

    tasks = json.loads((saved("labelstudio", make()) / "labelstudio.json").read_text())
    assert len(tasks) == len(make())
    # As Label Studio exports them, once somebody has taken the predictions over: with numbers, as annotations.
    for number, task in enumerate(tasks):
        (prediction,) = task.pop("predictions")
        task |= {"id": number, "annotations": [{"id": number, "completed_by": 1, "result": prediction["result"]}]}
    (tmp_path / "export.json").write_text(json.dumps(tasks))
    (tmp_path / "read").mkdir()
    converter = Converter(documented_configuration(), project_dir=None, download_resources=False)
    converter.convert(str(tmp_path / "export.json"), str(tmp_path / "read"), "BRUSH_TO_NUMPY", is_dir=False)
    read = [np.zeros_like(labels) for labels in make()]
    for file in (tmp_path / "read").iterdir():
        found = re.fullmatch(r"task-(\d+)-annotation-\1-by-1-brush-object (\d+)-0\.npy", file.name)
        assert found, file.name
        read[int(found[1])][np.load(file) > 127] = int(found[2])
    for again, labels in zip(read, make(), strict=True):
        np.testing.assert_array_equal(again, labels)


ULTRALYTICS = """
import sys
from pathlib import Path
import numpy as np
from ultralytics.data.utils import polygon2mask, verify_image_label

folder, pictures, height, width, target = *map(Path, sys.argv[1:3]), *map(int, sys.argv[3:5]), sys.argv[5]
read = []
for picture in sorted(pictures.iterdir()):
    label = folder / "labels" / f"{picture.stem}.txt"
    file, boxes, shape, segments, *_, found, empty, corrupt, text = verify_image_label(
        (str(picture), str(label), "", False, 254, 0, 0, False)
    )
    assert file and not corrupt and (found or empty), text
    assert tuple(shape) == (height, width), shape
    labels = np.zeros((height, width), np.uint8)
    for (number, *_), segment in zip(boxes, segments, strict=True):
        mask = polygon2mask((height, width), [(segment * (width, height)).reshape(-1)])
        labels[mask > 0] = number + 1
    read.append(labels)
np.save(target, np.stack(read))
"""


def test_yolo_by_ultralytics(saved: Callable[..., Path], tmp_path: Path) -> None:
    if find_spec("ultralytics") is None:
        pytest.skip("ultralytics is not installed: `make test` does that")
    # Ultralytics asks which torchvision there is as it is imported, and does not need it to read labels.
    said = tmp_path / "torchvision-0.28.dist-info"
    said.mkdir()
    (said / "METADATA").write_text("Metadata-Version: 2.1\nName: torchvision\nVersion: 0.28\n")
    folder = saved("yolo", maps()) / "yolo"
    target = tmp_path / "read.npy"
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            ULTRALYTICS,
            folder,
            tmp_path / "pictures",
            str(HEIGHT),
            str(WIDTH),
            tmp_path / "read.npy",
        ],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path[1:]]),
            "YOLO_CONFIG_DIR": str(tmp_path),
            "YOLO_OFFLINE": "true",
        },
        capture_output=True,
        text=True,
        check=False,
    )  # in a process of its own: its import changes settings of OpenCV and of the environment
    assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(np.load(target), np.stack(maps()))


def test_yolo_by_supervision(saved: Callable[..., Path], tmp_path: Path) -> None:
    supervision = pytest.importorskip("supervision")
    folder = saved("yolo", maps()) / "yolo"
    names = (folder / "classes.txt").read_text().splitlines()
    (tmp_path / "data.yaml").write_text(f"names: {json.dumps(names)}\n")
    found = supervision.DetectionDataset.from_yolo(
        str(tmp_path / "pictures"), str(folder / "labels"), str(tmp_path / "data.yaml"), force_masks=True
    )
    assert len(found) == len(maps())
    for path, _, detections in found:
        labels = maps()[int(Path(path).stem)]
        again = np.zeros_like(labels)
        for mask, number in zip(detections.mask if len(detections) else (), detections.class_id, strict=True):
            again[mask] = int(names[number].split()[-1])
        np.testing.assert_array_equal(again, labels)


def test_detections_are_supervisions(saved: Callable[..., Path]) -> None:
    pytest.importorskip("supervision")
    result = covos.load_result(saved("coco", maps()) / "coco.json")
    for detections, labels in zip(result.to_supervision(), maps(), strict=True):
        assert sorted(detections.tracker_id if len(detections) else []) == sorted(set(np.unique(labels)) - {0})
