"""Results come back from every format that holds masks; with their source they become pictures again."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import covos
from checked_output import check_output
from covos.core.errors import AnnotationError, EnvironmentProblem, InputError, SourceError, UsageError
from covos.core.types import SourceInfo
from covos.masks import encode, write_label_map
from covos.masks.frame_mask import FrameMask, objects_of
from covos.masks.soft import SoftMask
from covos.media.inputs import open_input
from covos.media.range import as_range
from covos.media.source import Health
from covos.results.loading import _edged, convert
from covos.runs.folder import OutputFolder
from covos.runs.report import Origin
from covos.runs.schema import load_report

READABLE = ("palette", "coco", "cvat", "labelstudio", "ytvis", "npz", "binary")
MakeClip = Callable[..., Path]


def result_of(path: Path, *, range: range | None = None) -> covos.Segmentation:
    """Three objects over a source: 1 from the second frame on, 3 with a hole, 254 for a frame, of a single pixel."""
    frames = []
    with open_input(path, range=as_range(range)) as source:
        for frame in source:
            labels = np.zeros(frame.size, np.uint8)
            labels[10:20, frame.index : frame.index + 12] = frame.index > 0
            labels[25:40, 30:50], labels[30:33, 35:40] = 3, 0
            labels[-1, -1] = 254 * (frame.index == 2)
            frames.append(
                FrameMask(
                    index=frame.index,
                    stem=frame.stem,
                    pts=frame.pts,
                    time_base=frame.time_base,
                    status="concealed" if frame.index == 4 else "ok",
                    confidence=frame.index / 10,
                    size=frame.size,
                    objects={int(i): encode(labels == i) for i in np.unique(labels) if i},
                    file=frame.file,
                    source_index=frame.source_index,
                )
            )
        origin = Origin(model="boxes", sha256="ab" * 32, device="none", settings={"side": 12})
        return covos.Segmentation(info=source.info, health=source.health, origin=origin, frames=tuple(frames))


@pytest.fixture
def result(clip: Path) -> covos.Segmentation:
    return result_of(clip)


@pytest.mark.parametrize("name", READABLE)
def test_a_saved_result_comes_back_whole(result: covos.Segmentation, tmp_path: Path, name: str) -> None:
    saved = result.save(tmp_path / "out", formats=[name])
    for path in (saved.folder, saved.outputs[0]):
        again = covos.load_result(path)
        assert again == result
        assert again.frames == result.frames
        assert again.info == result.info
        assert (again.model, again.origin) == (result.model, result.origin)
        assert again.health.decoded == 8


def test_a_folder_in_which_a_run_is_at_work_is_not_written_to(result: covos.Segmentation, tmp_path: Path) -> None:
    for name in ("out", "busy"):
        result.save(tmp_path / name, formats=["palette"])
    before = {path: path.read_bytes() for path in (tmp_path / "busy").rglob("*") if path.is_file()}
    with OutputFolder(tmp_path / "busy", overwrite=True).locked():
        with pytest.raises(EnvironmentProblem, match="busy is in use"):
            result.save(tmp_path / "busy", formats=["npz"], overwrite=True)
        with pytest.raises(EnvironmentProblem, match="busy is in use"):
            convert(tmp_path / "out", formats=["npz"], output=tmp_path / "busy", overwrite=True)
    assert {path: path.read_bytes() for path in (tmp_path / "busy").rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("name", READABLE)
def test_without_its_report_the_masks_come_back(result: covos.Segmentation, tmp_path: Path, name: str) -> None:
    (path,) = result.save(tmp_path / "out", formats=[name]).outputs
    shutil.move(path, tmp_path / path.name)
    again = covos.load_result(tmp_path / path.name)
    assert again == result
    assert [frame.stem for frame in again] == [frame.stem for frame in result]
    assert [frame.time for frame in again] == [frame.time for frame in result]
    assert all(math.isnan(frame.confidence) for frame in again)
    assert again.info.kind == "masks"
    with pytest.raises(UsageError, match="needs the pictures"):
        again.overlay(0)


@pytest.mark.parametrize("first", READABLE)
@pytest.mark.parametrize("second", READABLE)
def test_every_way_round(result: covos.Segmentation, tmp_path: Path, first: str, second: str) -> None:
    result.save(tmp_path / "a", formats=[first])
    saved = convert(tmp_path / "a", formats=[second], output=tmp_path / "b")
    assert covos.load_result(tmp_path / "b") == result
    assert check_output(tmp_path / "b") == []
    back = convert(tmp_path / "b", formats=[first], output=tmp_path / "c")
    for one, other in zip(sorted((tmp_path / "a").rglob("*")), sorted((tmp_path / "c").rglob("*")), strict=True):
        if one.is_file() and one.name not in {"report.json", "report.html", ".covos-files"}:
            assert one.read_bytes() == other.read_bytes()
    assert saved.frames == back.frames == 8


def test_a_part_keeps_its_place_in_the_clip(result: covos.Segmentation, tmp_path: Path) -> None:
    for name in READABLE:
        result[3:6].save(tmp_path / name, formats=[name])
        again = covos.load_result(tmp_path / name)
        assert again == result[3:6]
        np.testing.assert_array_equal(again.overlay(1), result.overlay(4))


def test_the_source_gives_pictures_and_times(result: covos.Segmentation, clip: Path, tmp_path: Path) -> None:
    (masks,) = result[2:7].save(tmp_path / "out", formats=["palette"]).outputs
    shutil.move(masks, tmp_path / "loose")
    alone = covos.load_result(tmp_path / "loose")
    assert [frame.index for frame in alone] == [0, 1, 2, 3, 4]  # names are no numbers
    again = covos.load_result(tmp_path / "loose", source=clip)
    assert again == result[2:7]
    assert [(frame.pts, frame.time_base) for frame in again] == [(frame.pts, frame.time_base) for frame in result[2:7]]
    np.testing.assert_array_equal(again.overlay(0), result.overlay(2))
    saved = convert(tmp_path / "loose", formats=["overlay", "coco"], source=clip, output=tmp_path / "seen")
    assert [path.name for path in saved.outputs] == ["overlay.mp4", "coco.json"]
    assert check_output(tmp_path / "seen") == []


def test_holes_in_masks_of_some_frames_go_by_the_frames_near_in_time(tmp_path: Path) -> None:
    """A hole that is there for a frame is filled between frames that follow one another, not where they lie apart."""
    for folder, step in (("near", 1), ("far", 5)):
        (tmp_path / folder).mkdir()
        for place in range(5):
            labels = np.zeros((48, 64), np.uint8)
            labels[10:40, 10:50] = 1
            labels[20:30, 20:30] = place != 2
            write_label_map(tmp_path / folder / f"{100 + step * place:05d}.png", labels)
    filled = {}
    for folder in ("near", "far"):
        convert(
            tmp_path / folder, formats=["palette"], output=tmp_path / f"{folder}-2", edges=covos.Edges(fill_holes=50)
        )
        filled[folder] = bool(covos.load_result(tmp_path / f"{folder}-2")[2].labels[25, 25])
    assert filled == {"near": True, "far": False}


def test_masks_without_a_source_name_what_seems_to_be_it(
    result: covos.Segmentation, clip: Path, tmp_path: Path
) -> None:
    (masks,) = result[2:7].save(tmp_path / "out", formats=["palette"]).outputs
    loose = Path(shutil.move(masks, tmp_path / "loose"))
    (loose / "00003.png").unlink()
    with pytest.raises(UsageError) as caught:
        convert(loose, formats=["overlay"], output=tmp_path / "seen")
    assert f"source={str(clip)!r}" in caught.value.fix
    again = covos.load_result(loose, source=clip)
    assert [frame.number for frame in again] == [2, 4, 5, 6]


def test_as_many_masks_as_frames_belong_together_whatever_their_numbers(tmp_path: Path) -> None:
    for folder, numbers in (("masks", (1, 4, 9)), ("shots", (10, 11, 12))):
        (tmp_path / folder).mkdir()
        for number in numbers:
            write_label_map(tmp_path / folder / f"{number}.png", np.ones((48, 64), np.uint8))
    again = covos.load_result(tmp_path / "masks", source=tmp_path / "shots")
    assert [frame.stem for frame in again] == ["10", "11", "12"]


def test_a_relative_source_counts_from_the_run(clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Converted from another folder, where another file has its name; and after run and clip moved together."""
    (tmp_path / "work").mkdir()
    (tmp_path / "else").mkdir()
    clip.rename(tmp_path / "work" / "clip.mp4")
    (tmp_path / "else" / "clip.mp4").write_bytes(b"another")
    monkeypatch.chdir(tmp_path / "work")
    result_of(Path("clip.mp4")).save("out", formats=["palette"])
    assert load_report(Path("out")).source.path == covos.load_result("out").info.path == "clip.mp4"
    monkeypatch.chdir(tmp_path / "else")
    covos.convert("../work/out", formats=["sheet"], output="seen")
    assert load_report(Path("seen")).source.path == str(tmp_path / "work" / "clip.mp4")
    (tmp_path / "work").rename(tmp_path / "there")
    assert len(covos.load_result("../there/out").overlay(0)) == 48


def test_a_source_that_moved(result: covos.Segmentation, clip: Path, tmp_path: Path) -> None:
    result.save(tmp_path / "out", formats=["palette"])
    moved = clip.rename(tmp_path / "moved.mp4")
    with pytest.raises(SourceError) as caught:
        convert(tmp_path / "out", formats=["overlay"])
    assert "source=" in caught.value.fix
    assert not (tmp_path / "out-overlay").exists()
    saved = convert(tmp_path / "out", formats=["overlay"], source=moved)
    assert saved.folder == tmp_path / "out-overlay"
    report = load_report(saved.folder)
    assert report.source.path == str(moved)
    assert report.model.name == "boxes"
    assert report.settings == {"side": 12, "converted_from": str(tmp_path / "out"), "formats": ["overlay"]}


def pictures(folder: Path, stems: list[str]) -> Path:
    folder.mkdir()
    for number, stem in enumerate(stems):
        Image.fromarray(np.full((20, 30, 3), 40 + number, np.uint8)).save(folder / f"{stem}.png")
    return folder


def masks(folder: Path, stems: list[str]) -> Path:
    folder.mkdir()
    for number, stem in enumerate(stems):
        labels = np.zeros((20, 30), np.uint8)
        labels[3:12, number : number + 9] = 2
        write_label_map(folder / f"{stem}.png", labels)
    return folder


class TestMatching:
    def test_by_name(self, tmp_path: Path) -> None:
        source = pictures(tmp_path / "p", ["a", "b2", "b10", "c"])
        again = covos.load_result(masks(tmp_path / "m", ["b2", "c"]), source=source)
        assert [(frame.index, frame.stem) for frame in again] == [(1, "b2"), (3, "c")]
        assert again.overlay(1, opacity=0, outline=False)[0, 0, 0] == 43

    def test_by_number_where_the_names_differ(self, tmp_path: Path) -> None:
        source = pictures(tmp_path / "p", ["a", "b"])
        again = covos.load_result(masks(tmp_path / "m", ["0", "1"]), source=source)
        assert [(frame.index, frame.stem) for frame in again] == [(0, "a"), (1, "b")]

    def test_neither(self, tmp_path: Path) -> None:
        source = pictures(tmp_path / "p", ["a", "b", "c"])
        with pytest.raises(AnnotationError, match="2 masks for 3 frames, and no frame has the name '0'"):
            covos.load_result(masks(tmp_path / "m", ["0", "1"]), source=source)

    def test_another_size(self, tmp_path: Path, clip: Path) -> None:
        with pytest.raises(AnnotationError, match="the masks are 30x20, its frames 64x48"):
            covos.load_result(masks(tmp_path / "m", ["0"]), source=clip)

    def test_a_source_that_is_too_short(self, result: covos.Segmentation, make_clip: MakeClip, tmp_path: Path) -> None:
        (path,) = result.save(tmp_path / "out", formats=["cvat"]).outputs
        short = make_clip("short.mp4", frames=5)
        with pytest.raises(AnnotationError, match="a mask for frame 5, it has 5 frames"):
            covos.load_result(path, source=short)

    def test_no_such_source(self, result: covos.Segmentation, tmp_path: Path) -> None:
        result.save(tmp_path / "out", formats=["coco"])
        with pytest.raises(SourceError):
            covos.load_result(tmp_path / "out", source=tmp_path / "none.mp4")


class TestReports:
    @pytest.fixture
    def saved(self, result: covos.Segmentation, tmp_path: Path) -> Path:
        return result.save(tmp_path / "out", formats=["palette"]).folder

    def edit(self, folder: Path, change: Callable[[dict], object]) -> None:
        content = json.loads((folder / "report.json").read_text())
        change(content)
        (folder / "report.json").write_text(json.dumps(content))

    def test_a_lost_mask(self, saved: Path) -> None:
        (saved / "masks" / "00005.png").unlink()
        with pytest.raises(AnnotationError, match="frame '00005' of the report has no mask"):
            covos.load_result(saved)

    def test_a_mask_too_many(self, saved: Path) -> None:
        write_label_map(saved / "masks" / "00009.png", np.ones((48, 64), np.uint8))
        with pytest.raises(AnnotationError, match="1 of its masks"):
            covos.load_result(saved)

    @pytest.mark.parametrize(
        ("change", "kind", "match"),
        [
            (lambda c: c["source"].update(height=50), AnnotationError, "00000' is 64x48, the frame 64x50"),
            (lambda c: c["source"].update(time_base="1/0"), InputError, "source.time_base: should be a fraction"),
            (lambda c: c["source"].update(frame_rate="fast"), InputError, "source.frame_rate: should be a fraction"),
            (lambda c: c.update(outputs=["overlay.mp4"]), AnnotationError, "wrote overlay.mp4, of which no masks"),
            (lambda c: c.update(outputs=[]), AnnotationError, "wrote nothing whole"),
            (lambda c: c["frames"][0].update(stem="../../a"), AnnotationError, "has no mask"),
            (lambda c: c.update(schema=99), InputError, "schema: 99 is that of a newer covos"),
        ],
    )
    def test_a_report_that_does_not_fit(self, saved: Path, change, kind: type[Exception], match: str) -> None:
        self.edit(saved, change)
        with pytest.raises(kind, match=match):
            covos.load_result(saved)

    def test_what_is_not_a_number_stays_unknown(self, saved: Path) -> None:
        self.edit(saved, lambda c: c["frames"][0].update(confidence=None))
        assert math.isnan(covos.load_result(saved)[0].confidence)


class TestConverting:
    def test_nothing_is_made_of_a_bad_call(self, result: covos.Segmentation, tmp_path: Path) -> None:
        result.save(tmp_path / "out", formats=["palette"])
        with pytest.raises(UsageError, match="unknown output format 'bmp'"):
            convert(tmp_path / "out", formats=["bmp"])
        with pytest.raises(UsageError, match="no format"):
            convert(tmp_path / "out", formats=[])
        with pytest.raises(AnnotationError, match="no such file"):
            convert(tmp_path / "none.json", formats=["coco"])
        assert {path.name for path in tmp_path.iterdir()} == {"clip.mp4", "out"}

    def test_it_does_not_replace_what_it_reads(self, result: covos.Segmentation, tmp_path: Path) -> None:
        (path,) = result.save(tmp_path / "out", formats=["coco"]).outputs
        for each in (path, tmp_path / "out"):
            with pytest.raises(UsageError, match="to be read"):
                convert(each, formats=["palette"], output=tmp_path / "out", overwrite=True)
        assert covos.load_result(path) == result

    def test_an_earlier_result_is_replaced_on_request(self, result: covos.Segmentation, tmp_path: Path) -> None:
        result.save(tmp_path / "out", formats=["palette"])
        convert(tmp_path / "out", formats=["coco", "yolo"])
        with pytest.raises(UsageError, match="not empty"):
            convert(tmp_path / "out", formats=["coco", "yolo"])
        assert convert(tmp_path / "out", formats=["coco", "yolo"], overwrite=True).folder.name == "out-coco-yolo"

    def test_an_interrupted_clip_is_counted_as_it_was(self, result: covos.Segmentation, tmp_path: Path) -> None:
        cut = Health(decoded=8, expected=30, cut=True, warnings=("the file is cut",))
        covos.Segmentation(info=result.info, health=cut, origin=result.origin, frames=result.frames).save(
            tmp_path / "out", formats=["palette"]
        )
        saved = convert(tmp_path / "out", formats=["coco"])
        assert saved.health.missing == 22
        assert "the file is cut" in saved.warnings


def test_a_result_of_pictures_keeps_the_names_of_their_files(tmp_path: Path) -> None:
    pictures = tmp_path / "shots"
    pictures.mkdir()
    for name in ("a1.PNG", "a2.webp", "a10.bmp"):
        Image.new("RGB", (64, 48)).save(pictures / name)
    result_of(pictures).save(tmp_path / "out", formats=["palette", "coco"])
    shutil.rmtree(pictures)
    convert(tmp_path / "out", formats=["coco", "ytvis"], output=tmp_path / "again")
    assert (tmp_path / "again" / "coco.json").read_bytes() == (tmp_path / "out" / "coco.json").read_bytes()
    (video,) = json.loads((tmp_path / "again" / "ytvis.json").read_text())["videos"]
    assert video["file_names"] == ["a1.PNG", "a2.webp", "a10.bmp"]


def test_a_saved_part_of_a_source_finds_its_pictures_again(clip: Path, tmp_path: Path) -> None:
    part = result_of(clip, range=range(3, 6))
    part.save(tmp_path / "out", formats=["palette", "overlay"])
    assert json.loads((tmp_path / "out" / "report.json").read_text())["source"]["start"] == 3
    again = covos.load_result(tmp_path / "out")
    assert (again.info, again.frames) == (part.info, part.frames)
    convert(tmp_path / "out", formats=["overlay"], output=tmp_path / "again")
    assert (tmp_path / "again" / "overlay.mp4").read_bytes() == (tmp_path / "out" / "overlay.mp4").read_bytes()
    result_of(clip).save(tmp_path / "whole", formats=["palette"])
    content = json.loads((tmp_path / "whole" / "report.json").read_text())
    assert "start" not in content["source"]
    assert all("file" not in row for row in content["frames"])


@pytest.mark.parametrize(
    ("what", "said", "why", "fix"),
    [
        ({"end": "f900"}, "frame 900 is beyond", "", "up to f6"),
        ({"start": 7.5}, "7.5 seconds is beyond", "", "up to f5"),
        ({"start": "00:00:30:00"}, "this timecode is beyond", "; {clip} begins at timecode 00:00:00:00", "up to f5"),
        ({"end": "f2"}, "start f3 and end f2 leave no frame", "no frame begins in between; ", "behind the start"),
        (
            {"start": "f1", "end": "f2"},
            "start f1 and end f2 leave no frame",
            "f1 to f2 lies before what there is; ",
            "give places from f3 to f5",
        ),
        (
            {"start": "00:00:00:01", "end": "f3"},
            "start 00:00:00:01 and end f3 leave no frame",
            "lies before what there is; ",
            "give places from f3 to f5",
        ),
        ({"start": "f8", "end": "f9"}, "start f8: frame 8 is beyond the end", "", "up to f5"),
    ],
)
def test_a_part_that_a_result_does_not_have_is_refused_by_what_it_has(
    clip: Path, what: dict[str, object], said: str, why: str, fix: str
) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        result_of(clip, range=range(3, 6)).trim(covos.Range(**what))  # type: ignore[arg-type]
    assert f"the result of {clip} has 3 frames, from f3 to f5, 0.12 seconds" in caught.value.why
    assert why.format(clip=clip) in caught.value.why
    assert fix in caught.value.fix


@pytest.mark.parametrize("name", READABLE)
def test_masks_of_a_part_keep_their_frames_in_the_whole_source(clip: Path, tmp_path: Path, name: str) -> None:
    (path,) = result_of(clip, range=range(3, 6)).save(tmp_path / "out", formats=[name]).outputs
    again = covos.load_result(path, source=clip)
    assert [frame.number for frame in again] == [3, 4, 5]
    assert [frame.time for frame in again] == [3 / 25, 4 / 25, 5 / 25]


@pytest.mark.parametrize(
    "pattern", ["shots/*.png", "shots/a?.png", "shots/a[12].png", "sho*/a1.png", "shots/a%04d.png"]
)
def test_the_pictures_of_a_pattern_are_found_again(tmp_path: Path, pattern: str) -> None:
    (tmp_path / "shots").mkdir()
    for number in (1, 2):
        Image.new("RGB", (64, 48), (39 + number, 0, 0)).save(tmp_path / "shots" / f"a{number}.png")
    result = result_of(tmp_path / pattern)
    assert result.overlay(0, opacity=0, outline=False)[0, 0, 0] == 40
    result.save(tmp_path / "out", formats=["overlay"])
    shutil.rmtree(tmp_path / "shots")
    with pytest.raises(SourceError, match="the pattern matches nothing"):
        result.overlay(0)


def test_a_clip_that_is_gone_is_no_pattern(clip: Path, tmp_path: Path) -> None:
    path = clip.rename(tmp_path / "take[1].mp4")
    result = result_of(path)
    assert result.overlay(0).shape == (48, 64, 3)
    path.unlink()
    with pytest.raises(SourceError, match="no such file or folder"):
        result.overlay(0)


def test_a_feathered_edge_is_known_through_several_folders(result: covos.Segmentation, tmp_path: Path) -> None:
    """What is asked of a later folder says nothing of the edge that an earlier one was given."""
    soft = replace(result, frames=tuple(each.with_soft_edge() for each in result.frames))
    soft.save(tmp_path / "one", formats=["palette", "matte"], edges=covos.Edges(feather="8"))
    covos.load_result(tmp_path / "one").save(tmp_path / "two", formats=["palette"], edges=covos.Edges(grow=1))
    for folder in ("one", "two"):
        loaded = covos.load_result(tmp_path / folder)
        assert {each.feather for each in loaded.frames} == {8.0}, folder


@pytest.mark.parametrize(
    ("hole", "edges"),
    [
        ((90, 102, 90, 102), covos.Edges(min_area=10, fill_holes=400)),
        ((43, 53, 90, 102), covos.Edges(fill_holes=400, shrink="5px")),
        ((90, 112, 90, 112), covos.Edges(fill_holes=400)),
    ],
    ids=["with a speck in it", "near the edge", "large, for a frame"],
)
def test_a_matte_is_solid_where_the_run_has_filled_a_hole(hole: tuple[int, int, int, int], edges: covos.Edges) -> None:
    top, bottom, left, right = hole
    found = [np.zeros((200, 200), np.uint8) for _ in range(5)]
    for labels in found:
        labels[40:160, 40:160] = 1
    found[2][top:bottom, left:right] = 0
    if edges.min_area != "0":
        found[2][95:97, 95:97] = 1
    before = squares(found, mattes=True)
    filled = [labels.copy() for labels in found]
    filled[2][top:bottom, left:right] = 1
    masks = [edges.apply(labels, labels.astype(np.float32))[0] for labels in filled]
    result = squares(masks)
    part = [before.trim(range(2, 4)), result.trim(range(2, 4))]
    for mask in (*_edged(before, result, edges=edges, before=before), *_edged(*part, edges=edges, before=before)):
        assert mask.matte is not None
        np.testing.assert_array_equal(mask.matte > 0.5, mask.mask)
    if edges.shrink == "0" and edges.min_area == "0":
        cut = replace(before, origin=replace(before.origin, cuts=(2, 3)))
        mask = _edged(cut, result, edges=edges, before=cut)[2]
        assert mask.matte is not None
        assert mask.matte[100, 100] == 0, "frames of another shot tell nothing"


def squares(found: list[np.ndarray], *, mattes: bool = False) -> covos.Segmentation:
    """A result of these masks."""
    height, width = found[0].shape
    frames = tuple(
        FrameMask(
            index=index, stem=f"{index:05}", pts=index, time_base=Fraction(1, 25), status="ok", confidence=1.0,
            size=(height, width), objects=objects_of(labels),
            kept_matte=SoftMask.of((labels > 0).astype(np.float32), labels > 0) if mattes else None,
        )
        for index, labels in enumerate(found)
    )  # fmt: skip
    info = SourceInfo(
        path="squares", kind="masks", height=height, width=width, frame_count=len(found), frame_rate=Fraction(25),
        duration=None, time_base=Fraction(1, 25), codec="palette",
    )  # fmt: skip
    origin = Origin(model="squares", sha256="", device="", settings={})
    health = Health(decoded=len(found), expected=len(found))
    return covos.Segmentation(info=info, health=health, origin=origin, frames=frames)


def test_the_cuts_of_a_part_are_those_that_lie_in_it() -> None:
    whole = squares([np.ones((4, 4), np.uint8)] * 12)
    whole = replace(whole, origin=replace(whole.origin, cuts=(2, 5, 6, 9)))
    assert whole.trim(range(2, 10)).origin.cuts == (3, 4, 7)
    assert whole.trim(range(3, 10, 2)).origin.cuts == (1, 2, 3)
    assert whole.trim(range(7, 9)).origin.cuts == ()
    assert whole.trim(range(2, 12)).trim(range(6, 12)).origin.cuts == (3,)
