"""The annotation formats, read with other programs' code or with decoders written out here."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import permutations
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from PIL import Image
from pycocotools.coco import COCO

from covos.core.errors import AnnotationError, UsageError
from covos.core.types import Frame, FrameResult, SourceInfo
from covos.formats.coco import coco_content
from covos.formats.cvat import rows_of
from covos.formats.labelstudio import pack, unpack
from covos.formats.table import check_formats, make_writer
from covos.masks import encode
from covos.masks.frame_mask import FrameMask, labels_of
from covos.media.opening import open_source
from covos.runs.folder import OutputFolder
from covos.runs.reading import read_masks

Labels = NDArray[np.uint8]
SIZE = (30, 41)


def hard_cases() -> list[Labels]:
    """Label maps that formats get wrong: late and vanishing objects, holes, single pixels, edges, nothing, all."""
    maps = [np.zeros(SIZE, np.uint8) for _ in range(7)]
    maps[1][3:20, 5:25], maps[1][8:12, 10:14] = 1, 0
    maps[1][9, 11] = 7
    maps[2][0, 0] = maps[2][-1, -1] = 254
    maps[2][5:9, 30:] = 3
    maps[2][20:22, 2:4] = 3
    maps[4][:] = 2
    maps[5][:, 0], maps[5][0, 1:], maps[5][::2, 10:] = 1, 7, 254
    maps[6][10, 10:12] = 1
    return maps


def write(
    name: str, folder: Path, maps: Sequence[Labels], **changes: object
) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    height, width = maps[0].shape
    values: dict[str, object] = {
        "path": "shots/clip é<&>.mp4",
        "kind": "video",
        "height": height,
        "width": width,
        "frame_count": len(maps) + 2,  # promised, not kept
        "frame_rate": Fraction(25),
        "duration": None,
        "time_base": Fraction(1, 1000),
    }
    info = SourceInfo(**{**values, **changes})
    writer = make_writer(name, OutputFolder(folder), info=info, source_path=Path(info.path))
    for index, labels in enumerate(maps):
        writer.write(result_of(index, labels))
    return writer.close(), writer.warnings


def result_of(index: int, labels: Labels) -> FrameResult:
    image = np.zeros((*labels.shape, 3), np.uint8)
    frame = Frame(index=index, stem=f"{index:05d}", image=image, pts=40 * index + 3, time_base=Fraction(1, 1000))
    return FrameResult(frame=frame, probability=(labels > 0).astype(np.float32), labels=labels, confidence=0.5)


MAPS = st.tuples(st.integers(1, 12), st.integers(1, 12)).flatmap(
    lambda size: st.lists(
        hnp.arrays(np.uint8, size, elements=st.sampled_from([0, 0, 0, 1, 2, 254]), fill=st.just(0)),
        min_size=1,
        max_size=4,
    )
)
ON_TMP_PATH = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


class TestCoco:
    def check(self, path: Path, maps: Sequence[Labels]) -> None:
        with warnings.catch_warnings():  # pycocotools is not yet at numpy 2's array protocol
            warnings.simplefilter("ignore", DeprecationWarning)
            coco = COCO(str(path))
            assert sorted(coco.imgs) == [index + 1 for index in range(len(maps))]
            for index, labels in enumerate(maps):
                image = coco.loadImgs(index + 1)[0]
                assert (image["height"], image["width"]) == labels.shape
                assert image["file_name"] == f"{index:05d}.jpg"
                found = np.zeros_like(labels)
                for row in coco.loadAnns(coco.getAnnIds(imgIds=[index + 1])):
                    mask = coco.annToMask(row).astype(bool)
                    assert row["area"] == mask.sum()
                    ys, xs = np.nonzero(mask)
                    assert row["bbox"] == [xs.min(), ys.min(), np.ptp(xs) + 1, np.ptp(ys) + 1]
                    assert not found[mask].any()
                    found[mask] = row["track_id"]
                np.testing.assert_array_equal(found, labels)

    def test_pycocotools_reads_every_mask(self, tmp_path: Path) -> None:
        (path,), notes = write("coco", tmp_path, hard_cases())
        assert path == tmp_path / "coco.json"
        assert notes == ()
        self.check(path, hard_cases())
        content = json.loads(path.read_text())
        numbers = [row["id"] for row in content["annotations"]]
        assert numbers == list(range(1, len(numbers) + 1))
        assert {row["category_id"] for row in content["annotations"]} == {row["id"] for row in content["categories"]}
        assert [row["pts"] for row in content["images"]] == [40 * index + 3 for index in range(7)]
        assert content["info"]["time_base"] == "1/1000"

    @given(maps=MAPS)
    @ON_TMP_PATH
    def test_any_masks(self, tmp_path_factory: pytest.TempPathFactory, maps: list[Labels]) -> None:
        (path,), _ = write("coco", tmp_path_factory.mktemp("any"), maps)
        self.check(path, maps)

    def test_the_content_is_what_the_writer_writes(self, tmp_path: Path) -> None:
        maps = hard_cases()
        (path,), _ = write("coco", tmp_path, maps)
        info = SourceInfo(
            path="shots/clip é<&>.mp4",
            kind="video",
            height=SIZE[0],
            width=SIZE[1],
            frame_count=9,
            frame_rate=Fraction(25),
            duration=None,
            time_base=Fraction(1, 1000),
        )
        frames = [FrameMask.of(result_of(index, labels)) for index, labels in enumerate(maps)]
        assert coco_content(frames, info=info) == json.loads(path.read_text())

    def test_no_object_at_all(self, tmp_path: Path) -> None:
        (path,), _ = write("coco", tmp_path, [np.zeros(SIZE, np.uint8)])
        assert json.loads(path.read_text())["annotations"] == []


def test_where_masks_overlap_the_higher_id_stays_whatever_their_order() -> None:
    masks = np.zeros((3, *SIZE), np.bool_)
    masks[0, :4], masks[1, 2:6], masks[2, :, :5] = True, True, True
    objects = {identity: encode(mask) for identity, mask in zip((200, 3, 7), masks, strict=True)}
    expected = np.zeros(SIZE, np.uint8)
    for identity, mask in ((3, masks[1]), (7, masks[2]), (200, masks[0])):
        expected[mask] = identity
    for order in permutations(objects):
        listed = {identity: objects[identity] for identity in order}
        np.testing.assert_array_equal(labels_of(listed, size=SIZE), expected)
        frame = replace(FrameMask.of(result_of(0, expected)), objects=listed)
        np.testing.assert_array_equal(frame.labels, expected)


def test_pictures_keep_their_names(tmp_path: Path) -> None:
    pictures = tmp_path / "shots"
    pictures.mkdir()
    for name in ("00000.PNG", "00001.webp"):
        Image.new("RGB", SIZE[::-1]).save(pictures / name)
    with open_source(pictures) as source:
        writer = make_writer("coco", OutputFolder(tmp_path / "out"), info=source.info, source_path=pictures)
        for frame, labels in zip(source, hard_cases()[:2], strict=True):
            writer.write(replace(result_of(frame.index, labels), frame=frame))
        (file,) = writer.close()
    assert [row["file_name"] for row in json.loads(file.read_text())["images"]] == ["00000.PNG", "00001.webp"]


class TestYtvis:
    @given(maps=MAPS)
    @ON_TMP_PATH
    def test_any_masks(self, tmp_path_factory: pytest.TempPathFactory, maps: list[Labels]) -> None:
        (path,), _ = write("ytvis", tmp_path_factory.mktemp("any"), maps)
        self.check(path, maps)

    def test_a_row_an_object_and_an_entry_a_frame(self, tmp_path: Path) -> None:
        (path,), notes = write("ytvis", tmp_path, hard_cases())
        assert path == tmp_path / "ytvis.json"
        assert notes == ()
        self.check(path, hard_cases())
        content = json.loads(path.read_text())
        assert [row["id"] for row in content["annotations"]] == [1, 2, 3, 7, 254]
        assert content["videos"][0]["file_names"][2] == "00002.jpg"
        late = content["annotations"][1]
        assert [segment is None for segment in late["segmentations"]] == [True] * 4 + [False] + [True] * 2

    def check(self, path: Path, maps: Sequence[Labels]) -> None:
        from pycocotools import mask as coco_masks

        content = json.loads(path.read_text())
        (video,) = content["videos"]
        assert (video["length"], video["height"], video["width"]) == (len(maps), *maps[0].shape)
        found = np.zeros((len(maps), *maps[0].shape), np.uint8)
        for row in content["annotations"]:
            assert row["video_id"] == video["id"]
            assert len(row["segmentations"]) == len(row["bboxes"]) == len(row["areas"]) == len(maps)
            for index, (code, box, area) in enumerate(
                zip(row["segmentations"], row["bboxes"], row["areas"], strict=True)
            ):
                if code is None:
                    assert box is None
                    assert area is None
                    continue
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", DeprecationWarning)
                    mask = coco_masks.decode(code).astype(bool)
                    assert coco_masks.toBbox(code).tolist() == box
                assert area == mask.sum()
                found[index][mask] = row["id"]
        np.testing.assert_array_equal(found, np.stack(maps))


class TestYolo:
    def drawn(self, path: Path, size: tuple[int, int]) -> Labels:
        """As Ultralytics draws the polygons: scaled, fractions cut off, filled."""
        labels = np.zeros(size, np.uint8)
        for line in path.read_text().splitlines():
            name, *numbers = line.split()
            assert len(numbers) >= 6
            shares = np.array(numbers, np.float32).reshape(-1, 2)
            assert shares.min() >= 0
            assert shares.max() <= 1
            cv2.fillPoly(labels, [(shares * (size[1], size[0])).astype(np.int32)], int(name) + 1)
        return labels

    def filled(self, labels: Labels) -> Labels:
        """The map with the holes of each object filled, higher ids last; by flooding, not by outlines."""
        result = np.zeros_like(labels)
        for identity in np.unique(labels[labels > 0]):
            outside = np.pad((labels == identity).astype(np.uint8), 1)
            cv2.floodFill(outside, None, (0, 0), 2, flags=4)
            result[outside[1:-1, 1:-1] != 2] = identity
        return result

    def test_polygons_drawn_again_are_the_masks_with_their_holes_filled(self, tmp_path: Path) -> None:
        maps = hard_cases()
        (folder,), notes = write("yolo", tmp_path, maps)
        assert folder == tmp_path / "yolo"
        files = sorted((folder / "labels").iterdir())
        assert [file.name for file in files] == [f"{index:05d}.txt" for index in range(len(maps))]
        assert files[0].read_text() == ""
        assert len(notes) == 1
        assert "holes" in notes[0]
        assert "in 1 of the masks" in notes[0]
        for file, labels in zip(files, maps, strict=True):
            found, expected = self.drawn(file, SIZE), self.filled(labels)
            for identity in np.unique(expected):
                one, other = found == identity, expected == identity
                assert (one & other).sum() / (one | other).sum() == 1
        assert (folder / "classes.txt").read_text().splitlines()[6] == "object 7"

    def test_without_holes_there_is_nothing_to_say(self, tmp_path: Path) -> None:
        _, notes = write("yolo", tmp_path, hard_cases()[2:5])
        assert notes == ()

    @given(maps=MAPS)
    @ON_TMP_PATH
    def test_any_masks(self, tmp_path_factory: pytest.TempPathFactory, maps: list[Labels]) -> None:
        folder = tmp_path_factory.mktemp("any")
        write("yolo", folder, maps)
        for file, labels in zip(sorted((folder / "yolo" / "labels").iterdir()), maps, strict=True):
            size = labels.shape[0], labels.shape[1]
            np.testing.assert_array_equal(self.drawn(file, size), self.filled(labels))

    def test_large_pictures_lose_nothing_to_rounding(self, tmp_path: Path) -> None:
        labels = np.zeros((2160, 8192), np.uint8)
        labels[7:2111, 13:8001] = 1
        labels[0, 8191] = 2
        (folder,), _ = write("yolo", tmp_path, [labels])
        np.testing.assert_array_equal(self.drawn(folder / "labels" / "00000.txt", (2160, 8192)), labels)


def cvat_mask(element: ElementTree.Element, size: tuple[int, int]) -> NDArray[np.bool_]:
    """CVAT's description, word for word: counts of alternating pixels, background first, along the rows of the box."""
    left, top = int(element.attrib["left"]), int(element.attrib["top"])
    width, height = int(element.attrib["width"]), int(element.attrib["height"])
    pixels: list[bool] = []
    value = False
    for count in element.attrib["rle"].split(","):
        pixels += [value] * int(count)
        value = not value
    assert len(pixels) == width * height
    mask = np.zeros(size, bool)
    for place, pixel in enumerate(pixels):
        mask[top + place // width, left + place % width] = pixel
    return mask


class TestCvat:
    def check(self, path: Path, maps: Sequence[Labels]) -> None:
        root = ElementTree.parse(path).getroot()
        assert root.findtext("version") == "1.1"
        assert int(root.findtext("meta/task/size", "")) == len(maps)
        size = maps[0].shape[0], maps[0].shape[1]
        found = np.zeros((len(maps), *size), np.uint8)
        names = [label.findtext("name") for label in root.findall("meta/task/labels/label")]
        tracks = root.findall("track")
        assert [track.attrib["id"] for track in tracks] == [str(number) for number in range(len(tracks))]
        for track in tracks:
            assert track.attrib["label"] in names
            # What CVAT's import keeps of a track of masks is the first one.
            first, *others = track.findall("mask")
            assert first.attrib["outside"] == "0"
            assert {other.attrib["outside"] for other in others} <= {"1"}
            assert all(shape.attrib["keyframe"] == "1" for shape in (first, *others))
            index = int(first.attrib["frame"])
            assert [int(other.attrib["frame"]) for other in others] == ([index + 1] if index + 1 < len(maps) else [])
            for other in others:
                assert not cvat_mask(other, size).any()
            found[index][cvat_mask(first, size)] = int(first.findtext("attribute[@name='track_id']", ""))
        np.testing.assert_array_equal(found, np.stack(maps))

    def test_a_track_of_one_frame_for_each_mask(self, tmp_path: Path) -> None:
        (path,), notes = write("cvat", tmp_path, hard_cases())
        assert path == tmp_path / "cvat.xml"
        assert notes == ()
        self.check(path, hard_cases())
        task = ElementTree.parse(path).getroot().find("meta/task")
        assert task is not None
        assert task.findtext("name") == "clip é<&>.mp4"
        assert task.findtext("size") == str(len(hard_cases())), "no blanks, which strict readers refuse"
        assert (task.findtext("original_size/width"), task.findtext("original_size/height")) == ("41", "30")

    @given(maps=MAPS)
    @ON_TMP_PATH
    def test_any_masks(self, tmp_path_factory: pytest.TempPathFactory, maps: list[Labels]) -> None:
        (path,), _ = write("cvat", tmp_path_factory.mktemp("any"), maps)
        self.check(path, maps)

    def test_names_that_xml_cannot_hold(self, tmp_path: Path) -> None:
        (path,), _ = write("cvat", tmp_path, hard_cases(), path="a\x01b\n\udcff<size>]]>.mp4")
        self.check(path, hard_cases())

    def check_images(self, path: Path, maps: Sequence[Labels]) -> None:
        root = ElementTree.parse(path).getroot()
        assert root.findtext("meta/task/mode") == "annotation"
        assert root.find("track") is None
        images = root.findall("image")
        assert [(each.attrib["id"], each.attrib["name"]) for each in images] == [
            (str(index), f"{index:05d}.jpg") for index in range(len(maps))
        ]
        for image, labels in zip(images, maps, strict=True):
            size = int(image.attrib["height"]), int(image.attrib["width"])
            found = np.zeros(size, np.uint8)
            for shape in image.findall("mask"):
                found[cvat_mask(shape, size)] = int(shape.findtext("attribute[@name='track_id']", ""))
            np.testing.assert_array_equal(found, labels)
        read = read_masks(path)
        assert [frame.stem for frame in read.frames] == [f"{index:05d}" for index in range(len(maps))]
        for frame, labels in zip(read.frames, maps, strict=True):
            np.testing.assert_array_equal(labels_of(frame.objects, size=frame.size), labels)

    def test_an_image_for_each_frame(self, tmp_path: Path) -> None:
        (path,), notes = write("cvat=images", tmp_path, hard_cases())
        assert notes == ()
        self.check_images(path, hard_cases())
        with pytest.raises(UsageError, match="cvat=pictures"):
            check_formats(["cvat=pictures"])

    @given(maps=MAPS)
    @ON_TMP_PATH
    def test_any_masks_of_images(self, tmp_path_factory: pytest.TempPathFactory, maps: list[Labels]) -> None:
        (path,), _ = write("cvat=images", tmp_path_factory.mktemp("any"), maps)
        self.check_images(path, maps)

    def test_a_known_code(self) -> None:
        mask = np.zeros((6, 8), bool)
        mask[2:4, 3:6] = [[True, False, True], [False, True, True]]
        assert rows_of(encode(mask)) == ((3, 2, 3, 2), [0, 1, 1, 1, 1, 2])


def brush_values(code: Sequence[int]) -> list[int]:
    """Bit for bit, as the format is described: https://github.com/thi-ng/umbrella, rle-pack."""
    bits = "".join(f"{byte:08b}" for byte in code)
    place = 0

    def read(width: int) -> int:
        nonlocal place
        place += width
        return int(bits[place - width : place], 2)

    count, width, sizes = read(32), read(5) + 1, []
    for _ in range(4):
        sizes.append(read(4) + 1)
    values: list[int] = []
    while len(values) < count:
        is_run, length = read(1), read(sizes[read(2)]) + 1
        values += [read(width)] * length if is_run else [read(width) for _ in range(length)]
    assert len(bits) - place < 8
    return values


class TestLabelStudio:
    def check(self, path: Path, maps: Sequence[Labels]) -> None:
        tasks = json.loads(path.read_text())
        assert [task["data"]["image"] for task in tasks] == [f"{index:05d}.jpg" for index in range(len(maps))]
        for task, labels in zip(tasks, maps, strict=True):
            found = np.zeros_like(labels)
            (prediction,) = task["predictions"]
            for region in prediction["result"]:
                assert (region["original_height"], region["original_width"]) == labels.shape
                assert region["type"] == "brushlabels"
                assert region["value"]["format"] == "rle"
                pixels = np.array(brush_values(region["value"]["rle"])).reshape(*labels.shape, 4)
                assert (pixels == pixels[..., 3:]).all()
                assert set(np.unique(pixels)) <= {0, 255}
                (name,) = region["value"]["brushlabels"]
                found[pixels[..., 3] == 255] = int(name.removeprefix("object "))
            np.testing.assert_array_equal(found, labels)

    def test_a_task_a_frame(self, tmp_path: Path) -> None:
        (path,), notes = write("labelstudio", tmp_path, hard_cases())
        assert path == tmp_path / "labelstudio.json"
        assert notes == ()
        self.check(path, hard_cases())

    @given(maps=MAPS)
    @ON_TMP_PATH
    def test_any_masks(self, tmp_path_factory: pytest.TempPathFactory, maps: list[Labels]) -> None:
        (path,), _ = write("labelstudio", tmp_path_factory.mktemp("any"), maps)
        self.check(path, maps)

    @pytest.mark.parametrize("size", [(1, 16384), (1, 16385), (1, 32768), (129, 257), (300, 300)])
    def test_runs_around_the_longest(self, size: tuple[int, int]) -> None:
        for mask in (np.zeros(size, bool), np.ones(size, bool)):
            mask[-1, -1] = True
            assert brush_values(pack(encode(mask)))[3::4] == (mask.ravel() * 255).tolist()
            assert unpack(list(pack(encode(mask))), size=size) == encode(mask)

    def test_single_values_and_half_transparent_ones_are_read(self) -> None:
        values = [10, 20, 30, 127, 9, 9, 9, 128]
        bits = f"{8:032b}{7:05b}{2:04b}{3:04b}{7:04b}{15:04b}" + "000111" + "".join(f"{value:08b}" for value in values)
        bits += "0" * (-len(bits) % 8)
        code = [int(bits[place : place + 8], 2) for place in range(0, len(bits), 8)]
        assert brush_values(code) == values
        assert unpack(code, size=(1, 2)) == encode(np.array([[False, True]]))

    @pytest.mark.parametrize(
        "damage", [lambda c: c[:-3], lambda c: [], lambda c: [300], lambda c: "12", lambda c: [1.5]]
    )
    def test_damage_is_refused(self, damage) -> None:
        with pytest.raises(AnnotationError, match="brush mask"):
            unpack(damage(list(pack(encode(np.eye(9, dtype=bool))))), size=(9, 9))

    @given(st.binary(max_size=40), st.booleans())
    def test_any_bytes_are_a_mask_or_refused(self, tail: bytes, headed: bool) -> None:
        head = pack(encode(np.zeros((3, 4), bool)))[:6] if headed else b""
        try:
            rle = unpack(list(head + tail), size=(3, 4))
        except AnnotationError:
            return
        assert rle.size == (3, 4)

    def test_another_size_is_refused(self) -> None:
        with pytest.raises(AnnotationError) as caught:
            unpack(list(pack(encode(np.eye(9, dtype=bool)))), size=(9, 8))
        assert "324" in caught.value.why


@pytest.mark.parametrize("name", ["coco", "cvat", "labelstudio", "yolo", "ytvis"])
def test_the_same_masks_give_the_same_bytes(tmp_path: Path, name: str) -> None:
    def content(folder: Path) -> dict[str, bytes]:
        write(name, folder, hard_cases())
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    assert content(tmp_path / "one") == content(tmp_path / "two")


@pytest.mark.parametrize("name", ["coco", "cvat", "labelstudio"])
def test_frames_go_to_the_disk_as_they_come(tmp_path: Path, name: str) -> None:
    """What waits in memory is a buffer, not the clip; and an abort leaves nothing of it on the disk."""
    labels = np.random.default_rng(0).integers(0, 3, (40, 60), np.uint8)
    info = SourceInfo(
        path="clip.mp4",
        kind="video",
        height=40,
        width=60,
        frame_count=60,
        frame_rate=Fraction(25),
        duration=None,
        time_base=Fraction(1, 25),
    )
    writer = make_writer(name, OutputFolder(tmp_path), info=info, source_path=Path("clip.mp4"))
    sizes = []
    for index in range(60):
        writer.write(result_of(index, labels))
        (unfinished,) = tmp_path.glob(".*.partial.*")
        sizes.append(unfinished.stat().st_size)
    assert sizes[-1] > 1.9 * sizes[29] > 50_000
    writer.abort()
    assert [path.name for path in tmp_path.iterdir()] == [".covos-files"]
