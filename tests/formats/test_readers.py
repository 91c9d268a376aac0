"""Masks come back as they were written; files of other tools are read; damaged ones are refused with a reason."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from covos.core.errors import AnnotationError
from covos.masks import decode, encode, write_label_map
from covos.masks.object_ids import looks_interpolated
from covos.results.loading import load_result
from covos.runs.reading import read_masks
from written_and_read import BASE, FILES, Labels, hard_cases, maps_of, read_or_refused, reason, refusal, write


class TestRoundTrips:
    @pytest.mark.parametrize("name", FILES)
    def test_masks_names_and_times(self, tmp_path: Path, name: str) -> None:
        read = read_masks(write(name, tmp_path, hard_cases()))
        assert read.format == name
        np.testing.assert_array_equal(maps_of(read), hard_cases())
        assert [frame.index for frame in read.frames] == list(range(5))
        assert [frame.stem for frame in read.frames] == (
            [None] * 5 if name == "cvat" else [f"{index:05d}" for index in range(5)]
        )
        if name in {"coco", "ytvis"}:
            assert read.time_base == BASE
            assert [frame.pts for frame in read.frames] == [1001 * index for index in range(5)]
        else:
            assert read.time_base is None

    @pytest.mark.parametrize("name", FILES)
    @given(
        maps=st.tuples(st.integers(1, 9), st.integers(1, 9)).flatmap(
            lambda size: st.lists(
                hnp.arrays(np.uint8, size, elements=st.sampled_from([0, 0, 0, 1, 2, 254]), fill=st.just(0)),
                min_size=1,
                max_size=4,
            )
        )
    )
    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_any_masks(self, tmp_path_factory: pytest.TempPathFactory, name: str, maps: list[Labels]) -> None:
        if name == "palette" and any(looks_interpolated(labels) for labels in maps):
            return  # refused, because noise may look so
        read = read_masks(write(name, tmp_path_factory.mktemp("any"), maps))
        np.testing.assert_array_equal(maps_of(read), maps)

    @pytest.mark.parametrize("name", ["coco", "ytvis", "cvat", "labelstudio"])
    def test_a_part_of_a_clip_keeps_its_numbers(self, tmp_path: Path, name: str) -> None:
        read = read_masks(write(name, tmp_path, hard_cases(), first=40))
        found = {frame.index: frame for frame in read.frames}
        assert set(found) >= set(range(40, 45))
        assert all(not found[index].objects for index in found if index < 40)
        assert decode(found[44].objects[2]).all()


class TestPictures:
    def test_black_and_white_is_one_object(self, tmp_path: Path) -> None:
        for name, value in (("b10.png", 255), ("b2.png", 0)):
            cv2.imwrite(str(tmp_path / name), np.full((8, 9), value, np.uint8))
        (tmp_path / ".b3.png").write_text("hidden")
        read = read_masks(tmp_path)
        assert read.format == "binary"
        assert [frame.stem for frame in read.frames] == ["b2", "b10"]
        assert [sorted(frame.objects) for frame in read.frames] == [[], [1]]

    def test_void_is_background(self, tmp_path: Path) -> None:
        labels = np.zeros((20, 20), np.uint8)
        labels[3:9, 3:9], labels[12:18, 12:18] = 5, 255
        write_label_map(tmp_path / "0.png", labels)
        read = read_masks(tmp_path)
        assert read.format == "palette"
        assert [sorted(frame.objects) for frame in read.frames] == [[5]]

    def test_a_folder_for_each_object(self, tmp_path: Path) -> None:
        for identity, stems in ((1, "ab"), (12, "bc")):
            (tmp_path / str(identity)).mkdir()
            for stem in stems:
                mask = np.zeros((9, 9), np.uint8)
                mask[identity % 5] = 255
                cv2.imwrite(str(tmp_path / str(identity) / f"{stem}.png"), mask)
        (tmp_path / "notes").mkdir()
        read = read_masks(tmp_path)
        assert [frame.stem for frame in read.frames] == ["a", "b", "c"]
        assert [frame.index for frame in read.frames] == [0, 1, 2]
        assert [sorted(frame.objects) for frame in read.frames] == [[1], [1, 12], [12]]
        assert read.frames[1].objects[12].bbox == (0, 2, 9, 1)

    def test_sizes_must_agree(self, tmp_path: Path) -> None:
        write_label_map(tmp_path / "0.png", np.zeros((8, 9), np.uint8))
        write_label_map(tmp_path / "1.png", np.zeros((9, 8), np.uint8))
        with pytest.raises(AnnotationError, match="frame 1 is 8x9, frame 0 9x8"):
            load_result(tmp_path)

    def test_a_torn_mask_is_named(self, tmp_path: Path) -> None:
        write_label_map(tmp_path / "0.png", np.ones((8, 9), np.uint8))
        (tmp_path / "0.png").write_bytes((tmp_path / "0.png").read_bytes()[:50])
        with pytest.raises(AnnotationError, match=r"0\.png"):
            read_masks(tmp_path)


def archive(path: Path, **arrays: NDArray[np.generic]) -> Path:
    np.savez_compressed(path, **arrays)
    return path


class TestNpz:
    def test_masks_times_and_names(self, tmp_path: Path) -> None:
        maps = np.stack(hard_cases())
        path = archive(
            tmp_path / "m.npz", masks=maps, times=np.arange(5) * 0.04, stems=np.array(list("abcde")), ids=np.arange(3)
        )
        read = read_masks(path)
        np.testing.assert_array_equal(maps_of(read), maps)
        assert [frame.stem for frame in read.frames] == list("abcde")
        assert read.time_base is not None
        assert [float(frame.pts * read.time_base) for frame in read.frames if frame.pts is not None] == [
            0.0, 0.04, 0.08, 0.12, 0.16,
        ]  # fmt: skip

    def test_masks_alone(self, tmp_path: Path) -> None:
        read = read_masks(archive(tmp_path / "m.npz", masks=np.stack(hard_cases()) > 0))
        np.testing.assert_array_equal(maps_of(read), np.stack(hard_cases()) > 0)
        assert read.time_base is None
        assert read.frames[0].stem is None

    @pytest.mark.parametrize(
        ("arrays", "why"),
        [
            ({"labels": np.zeros((1, 2, 2), np.uint8)}, "no array 'masks'"),
            ({"masks": np.zeros((2, 2), np.uint8)}, "(2, 2) uint8"),
            ({"masks": np.zeros((1, 2, 2), np.int64)}, "int64"),
            ({"masks": np.zeros((1, 2, 2), object)}, "object"),
            ({"masks": np.zeros((0, 2, 2), np.uint8)}, "no frames"),
            ({"masks": np.zeros((1, 0, 2), np.uint8)}, "2x0 pixels"),
            ({"masks": np.zeros((2, 2, 2), np.uint8), "times": np.zeros(1)}, "1 times for 2 masks"),
            ({"masks": np.zeros((1, 2, 2), np.uint8), "times": np.array([np.nan])}, "not all numbers"),
            ({"masks": np.zeros((1, 2, 2), np.uint8), "stems": np.zeros(1)}, "its stems"),
        ],
    )
    def test_other_arrays_are_refused(self, tmp_path: Path, arrays, why: str) -> None:
        assert why in reason(archive(tmp_path / "m.npz", **arrays))

    def test_a_zip_of_pictures_is_told_apart(self, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "palette.zip", "w") as packed:
            packed.writestr("masks/000000.png", b"")
        with pytest.raises(AnnotationError, match="a zip archive of other files") as raised:
            read_masks(tmp_path / "palette.zip")
        assert raised.value.fix is not None
        assert raised.value.fix.startswith("unpack it")

    def test_damage_is_refused(self, tmp_path: Path) -> None:
        whole = archive(tmp_path / "m.npz", masks=np.random.default_rng(0).integers(0, 3, (4, 50, 50), np.uint8))
        content = whole.read_bytes()
        for number in range(60):
            torn = bytearray(content)
            place = 4 + number * (len(content) - 8) // 60  # not its first bytes, which say that it is an archive
            torn[place] ^= 0xFF
            (tmp_path / f"{number}.npz").write_bytes(torn)
            read_or_refused(tmp_path / f"{number}.npz")
        (tmp_path / "cut.npz").write_bytes(content[: len(content) // 2])
        assert reason(tmp_path / "cut.npz")

    def test_a_bomb_is_refused_before_it_is_unpacked(self, tmp_path: Path) -> None:
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            header, {"descr": "|u1", "fortran_order": False, "shape": (1, 1 << 20, 1 << 20)}
        )
        with zipfile.ZipFile(tmp_path / "bomb.npz", "w") as bomb:
            bomb.writestr("masks.npy", header.getvalue() + bytes(100))
        assert "1048576x1048576" in reason(tmp_path / "bomb.npz")


def coco_file(path: Path, change: Callable[[dict], object] = lambda _: None) -> Path:
    """As another tool might write it: no times, no frame numbers, two objects."""
    square = np.zeros((6, 8), bool)
    square[1:3, 1:4] = True
    content = {
        "images": [{"id": number, "file_name": f"a/{number}.png", "height": 6, "width": 8} for number in (12, 5)],
        "annotations": [
            {"id": 1, "image_id": 5, "category_id": 3, "segmentation": encode(square).to_coco()},
            {"id": 2, "image_id": 12, "category_id": 4, "segmentation": encode(square[::-1].copy()).to_coco()},
            {"id": 3, "image_id": 12, "category_id": 3, "segmentation": {"size": [6, 8], "counts": [46, 2]}},
        ],
        "categories": [{"id": 3, "name": "cat"}, {"id": 4, "name": "dog"}],
    }
    change(content)
    path.write_text(json.dumps(content))
    return path


class TestCoco:
    def test_without_tracks_a_category_is_an_object(self, tmp_path: Path) -> None:
        read = read_masks(coco_file(tmp_path / "c.json"))
        assert [frame.stem for frame in read.frames] == ["5", "12"], "as the pictures of a folder come"
        assert [frame.index for frame in read.frames] == [0, 1]
        assert [sorted(frame.objects) for frame in read.frames] == [[1], [1, 2]]
        assert read.frames[0].objects[1].area == 6

    def test_the_order_of_the_list_makes_no_difference(self, tmp_path: Path) -> None:
        written = write("coco", tmp_path / "made", hard_cases())
        frames, content = read_masks(written).frames, json.loads(written.read_text())
        for image in content["images"]:
            image["file_name"] = f"frame_{image.pop('frame_index')}.jpg"
            del image["pts"]
        content["images"] = content["images"][2:] + content["images"][1::-1]
        (tmp_path / "c.json").write_text(json.dumps(content))
        read = read_masks(tmp_path / "c.json")
        assert [frame.stem for frame in read.frames] == [f"frame_{frame.index}" for frame in frames]
        assert [frame.index for frame in read.frames] == [0, 1, 2, 3, 4]
        assert [frame.objects for frame in read.frames] == [frame.objects for frame in frames]

    def test_tracks_in_attributes(self, tmp_path: Path) -> None:
        def change(content: dict) -> None:
            for row, track in zip(content["annotations"], (9, 300, 300), strict=True):
                row["attributes"] = {"track_id": track}

        read = read_masks(coco_file(tmp_path / "c.json", change))
        assert [sorted(frame.objects) for frame in read.frames] == [[9], [1]]
        assert read.frames[1].objects[1].area == 8

    @pytest.mark.parametrize(
        ("change", "why"),
        [
            (lambda c: c.pop("images"), "images: it is missing"),
            (lambda c: c.update(images=[]), "belongs to image 5"),
            (lambda c: c.update(images=[], annotations=[]), "no frames"),
            (lambda c: c["images"][0].pop("height"), "images.0.height: it is missing"),
            (lambda c: c["images"][0].update(id=5), "the same id"),
            (lambda c: c["images"][0].update(height=-6), "8x-6 pixels"),
            (lambda c: c["images"][0].update(video_id=2), "several videos"),
            (lambda c: c["images"][0].update(width=9), "frame 1 is 8x6"),
            (lambda c: c["annotations"][0].update(image_id=7), "annotation 1 belongs to image 7"),
            (lambda c: c["annotations"][0].update(segmentation=[[1, 1, 2, 2]]), "annotation 1: a polygon"),
            (lambda c: c["annotations"][2].update(image_id=5), "annotation 3 is the second of category 3 in image 5"),
            (lambda c: c["annotations"][0]["segmentation"].update(counts="11"), "do not add up"),
            (lambda c: c["annotations"][0]["segmentation"].update(size=[1 << 20, 1 << 20]), "1048576x1048576"),
            (lambda c: c["annotations"].append(7), "annotations.3: it should be a table"),
            (
                lambda c: c["annotations"].extend({**c["annotations"][0], "track_id": -n} for n in range(300)),
                "a label map holds 254",
            ),
        ],
    )
    def test_damage_is_refused(self, tmp_path: Path, change, why: str) -> None:
        assert why in reason(coco_file(tmp_path / "c.json", change))

    @pytest.mark.parametrize(
        ("change", "fix"),
        [
            (lambda c: c["annotations"][2].update(image_id=5), "'track_id'"),
            (lambda c: c["annotations"][0].pop("category_id"), "'track_id'"),
            (lambda c: c["images"][0].update(video_id=2), "each video"),
            (lambda c: c["images"][0].update(height=1 << 20, width=1 << 20), "--limit pixels="),
            (lambda c: c["images"][0].update(id=5), "export it again"),
        ],
    )
    def test_the_remedy_fits(self, tmp_path: Path, change, fix: str) -> None:
        assert fix in refusal(coco_file(tmp_path / "c.json", change)).remedy.command

    def test_names_cannot_lead_elsewhere(self, tmp_path: Path) -> None:
        for name in ("..\\..\\evil.png", "..", "5.png"):
            path = coco_file(tmp_path / "c.json", lambda c, name=name: c["images"][0].update(file_name=name))
            assert [frame.stem for frame in read_masks(path).frames] == [None, None], name

    def test_no_json(self, tmp_path: Path) -> None:
        for text, why in (
            ("{", "not whole JSON"),
            ("[" * 100_000, "not whole JSON"),
            ("[]", "an empty JSON list"),
            ("[1]", "a JSON list of other things"),
            ('{"a": 1}', "a JSON object with 'a'"),
            ('[{"b": 1}]', "a JSON list of objects with 'b'. Looked for were npz"),
            ("hello", "Looked for were npz"),
        ):
            (tmp_path / "c.json").write_text(text)
            assert why in reason(tmp_path / "c.json")
        assert reason(tmp_path / "none.json") == "there is no such file"
        (tmp_path / "empty").mkdir()
        assert "neither a report" in reason(tmp_path / "empty")


def ytvis_file(path: Path, change: Callable[[dict], object]) -> Path:
    content = json.loads(write("ytvis", path, hard_cases()).read_text())
    change(content)
    (path / "changed.json").write_text(json.dumps(content))
    return path / "changed.json"


class TestYtvis:
    @pytest.mark.parametrize(
        ("change", "why"),
        [
            (lambda c: c["videos"].append(c["videos"][0]), "2 videos"),
            (lambda c: c["annotations"][0].update(video_id=3), "video 3"),
            (lambda c: c["annotations"][0]["segmentations"].pop(), "4 masks for 5 frames"),
            (lambda c: c["annotations"][0]["segmentations"].__setitem__(0, "x"), "annotation 1, frame 0"),
            (lambda c: c["videos"][0].update(frame_indices=[0, 0, 1, 2, 3]), "the same number"),
        ],
    )
    def test_damage_is_refused(self, tmp_path: Path, change, why: str) -> None:
        assert why in reason(ytvis_file(tmp_path, change))

    def test_files_of_others_have_no_times(self, tmp_path: Path) -> None:
        def change(content: dict) -> None:
            del content["info"], content["videos"][0]["pts"], content["videos"][0]["frame_indices"]

        read = read_masks(ytvis_file(tmp_path, change))
        np.testing.assert_array_equal(maps_of(read), hard_cases())
        assert [frame.index for frame in read.frames] == list(range(5))
        assert read.time_base is None


@pytest.mark.parametrize("name", ["coco", "ytvis", "labelstudio", "cvat"])
def test_any_damage_is_refused_or_read(tmp_path: Path, name: str) -> None:
    """Bytes changed, and whole values exchanged: an error of ours, never another."""
    content = write(name, tmp_path / "whole", hard_cases()).read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for number in range(200):
        torn = bytearray(content)
        for place in rng.integers(0, len(content), 1 + number % 3):
            torn[place] = rng.choice(list(b'0-9,"{}[]<>/=ae \x00\xff'))
        path = tmp_path / f"{number}{FILES[name][-5:]}"
        path.write_bytes(torn)
        refused += not read_or_refused(path)
    assert refused > 20


@pytest.mark.parametrize("name", ["coco", "ytvis", "labelstudio"])
def test_any_json_is_refused_or_read(tmp_path: Path, name: str) -> None:
    content = json.loads(write(name, tmp_path / "whole", hard_cases()).read_text())
    for number, (path, value) in enumerate(_exchanged(content)):
        assert path
        file = tmp_path / f"{number}.json"
        file.write_text(json.dumps(value))
        read_or_refused(file)


def _exchanged(content: object) -> list[tuple[str, object]]:
    """The content with each of its values, one at a time, replaced by ones of other types."""
    made = []

    def places(value: object, path: tuple) -> list[tuple]:
        inner = value.items() if isinstance(value, dict) else enumerate(value[:3]) if isinstance(value, list) else ()
        return [path, *(found for key, each in inner for found in places(each, (*path, key)))]

    for path in places(content, ())[1:]:
        for other in (None, -1, "x", [], {}, 1.5, True, [None]):
            copy = json.loads(json.dumps(content))
            parent = copy
            for key in path[:-1]:
                parent = parent[key]
            parent[path[-1]] = other
            made.append((str(path), copy))
    return made
