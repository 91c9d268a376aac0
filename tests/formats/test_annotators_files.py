"""Files of the servers that annotators work on are read as they are written; damaged ones are refused with a reason."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from covos.masks import decode
from covos.runs.reading import read_masks
from written_and_read import hard_cases, maps_of, reason, write

HEAD = """<annotations><version>1.1</version><meta><{job}><size>4</size><original_size><width>6</width>
<height>5</height></original_size></{job}></meta>"""
MASK = '<mask frame="{frame}" outside="{outside}" rle="{rle}" left="1" top="1" width="3" height="2">{inner}</mask>'


def cvat_file(path: Path, body: str, *, head: str = HEAD, job: str = "task") -> Path:
    path.write_text(head.format(job=job) + body + "</annotations>")
    return path


def mask(frame: int, *, rle: str = "0, 2, 4", outside: int = 0, inner: str = "") -> str:
    return MASK.format(frame=frame, rle=rle, outside=outside, inner=inner)


class TestCvat:
    @pytest.mark.parametrize("job", ["task", "job"])
    def test_a_label_is_an_object(self, tmp_path: Path, job: str) -> None:
        """As CVAT exports masks: a track each, which ends outside in the next frame."""
        body = "".join(
            f'<track id="{number}" label="{label}">{mask(frame)}{mask(frame + 1, outside=1)}</track>'
            for number, (label, frame) in enumerate([("dog", 0), ("cat", 1), ("dog", 2)])
        )
        read = read_masks(cvat_file(tmp_path / "a.xml", body, job=job))
        assert [sorted(frame.objects) for frame in read.frames] == [[1], [2], [1], []]
        expected = np.zeros((5, 6), bool)
        expected[1, 1:3] = True
        np.testing.assert_array_equal(decode(read.frames[0].objects[1]), expected)

    def test_groups_and_long_tracks(self, tmp_path: Path) -> None:
        body = (
            f'<track id="0" label="dog" group_id="3">{mask(0)}</track>'
            f'<track id="1" label="dog" group_id="3">{mask(1)}</track>'
            f'<track id="2" label="dog">{mask(0, rle="5,1")}{mask(1, rle="5,1")}</track>'
        )
        read = read_masks(cvat_file(tmp_path / "a.xml", body))
        assert [sorted(frame.objects) for frame in read.frames] == [[1, 2], [1, 2], [], []]

    def test_images_have_their_own_sizes_names_and_objects(self, tmp_path: Path) -> None:
        """As CVAT exports a task of images: those without masks are listed, groups tie masks of an image together."""
        one, other = (mask(0).replace("<mask ", f'<mask label="{label}" ') for label in ("dog", "cat"))
        body = (
            f'<image id="0" name="a/one.jpg" width="6" height="5">{one}{other}</image>'
            '<image id="2" name="a/two.jpg" width="9" height="7"><tag label="dog"/></image>'
            f'<image id="5" name="a/three.jpg" width="6" height="5">{other}'
            '<polygon label="dog" points="0,0;2,0;2,2;0,2"/></image>'
        )
        read = read_masks(cvat_file(tmp_path / "a.xml", body))
        assert [(each.index, each.stem, each.size) for each in read.frames] == [
            (0, "one", (5, 6)),
            (2, "two", (7, 9)),
            (5, "three", (5, 6)),
        ]
        assert [sorted(each.objects) for each in read.frames] == [[1, 2], [], [1, 2]]
        assert read.frames[2].objects[1].area > 0

    def test_two_masks_of_one_object_are_joined(self, tmp_path: Path) -> None:
        inner = '<attribute name="colour">red</attribute><attribute name="track_id"> 9 </attribute>'
        body = "".join(f"<track>{mask(7, rle=rle, inner=inner)}</track>" for rle in ("0,1", "5,1,0"))
        (*_, last) = read_masks(cvat_file(tmp_path / "a.xml", body)).frames
        assert (last.index, sorted(last.objects), last.objects[9].area) == (7, [9], 2)

    @pytest.mark.parametrize(
        ("body", "why"),
        [
            ("<track>" + mask(0, rle="0,7") + "</track>", "more pixels than its box"),
            ("<track>" + mask(0, rle="a") + "</track>", "'a' stands where rle"),
            ("<track>" + mask(0).replace('left="1"', 'left="4"') + "</track>", "reaches out"),
            ("<track>" + mask(0).replace('left="1"', 'left="-1"') + "</track>", "'-1' stands where left"),
            ("<track>" + mask(0).replace('frame="0"', "") + "</track>", "'' stands where frame"),
            ('<track><polygon frame="2" points="1,1"/></track>', "a polygon of frame 2"),
            ('<track><box frame="2"/></track>', "a box in frame 2"),
            ('<image id="0"/>', "'' stands where width"),
            ('<image id="0" width="6" height="5"><box/></image>', "a box in frame 0"),
            (f'<image id="0" width="2" height="2">{mask(0)}</image>', "a mask of frame 0 reaches out"),
            (f'<image id="0" width="6" height="5"/><track>{mask(0)}</track>', "images and tracks"),
            ('<image id="1" width="6" height="5"/><image id="1" width="6" height="5"/>', "the same number"),
            ("<track>", "not whole XML"),
            ("<meta><task><size>3</size></task></meta>", "several tasks"),
        ],
    )
    def test_damage_is_refused(self, tmp_path: Path, body: str, why: str) -> None:
        assert why in reason(cvat_file(tmp_path / "a.xml", body))

    def test_other_xml_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "a.xml"
        path.write_text("<html></html>")
        assert "'html'" in reason(path)
        assert "original_size" in reason(cvat_file(path, f"<track>{mask(0)}</track>", head="<annotations>"))
        path.write_text('<!DOCTYPE x [<!ENTITY a "aaaa">]><annotations>&a;</annotations>')
        assert "document type" in reason(path)


def studio_file(path: Path, change: Callable[[list], object]) -> Path:
    content = json.loads(write("labelstudio", path, hard_cases()).read_text())
    change(content)
    (path / "changed.json").write_text(json.dumps(content))
    return path / "changed.json"


class TestLabelStudio:
    def test_an_export_of_people_s_work(self, tmp_path: Path) -> None:
        """Uploaded names, labels of words, annotations above predictions, cancelled ones not, in another order."""

        def change(tasks: list) -> None:
            for number, task in enumerate(tasks):
                task["data"] = {"image": f"/data/upload/1/0a1b2c3d-shot{number + 8}.jpg?x=1"}
                for region in task["predictions"][0]["result"]:
                    region["value"]["brushlabels"] = ["cat"]
            tasks[1]["annotations"] = [
                {"result": []},
                {"was_cancelled": True, "result": tasks[1]["predictions"][0]["result"]},
            ]
            tasks.reverse()

        read = read_masks(studio_file(tmp_path, change))
        assert [frame.stem for frame in read.frames] == [f"shot{number}" for number in range(8, 13)]
        assert [sorted(frame.objects) for frame in read.frames] == [[], [], [1], [], [1]]

    @pytest.mark.parametrize(
        ("change", "why"),
        [
            (lambda t: t[1].pop("data"), "task 1: data: it is missing"),
            (lambda t: t[1]["data"].pop("image"), "task 1: data.image: it is missing"),
            (lambda t: t[1]["predictions"][0]["result"][0].update(image_rotation=90), "rotated by 90"),
            (lambda t: t[1]["predictions"][0]["result"][0]["value"].update(rle=[1, 2]), "ends early"),
            (lambda t: t[1]["predictions"][0]["result"][0].update(original_width=34), "a picture of 34x24 has 3264"),
            (
                lambda t: t[1]["predictions"][0]["result"].append({"type": "polygonlabels", "value": {"points": []}}),
                "task 1: a polygon",
            ),
            (lambda t: t[1]["data"].update(frame=0), "the same number"),
        ],
    )
    def test_damage_is_refused(self, tmp_path: Path, change, why: str) -> None:
        assert why in reason(studio_file(tmp_path, change))

    def test_choices_are_no_masks(self, tmp_path: Path) -> None:
        path = studio_file(
            tmp_path,
            lambda t: t[0]["predictions"][0]["result"].append({"type": "choices", "value": {"choices": ["a"]}}),
        )
        np.testing.assert_array_equal(maps_of(read_masks(path)), hard_cases())
