"""Parts of a video: prompts name frames of the whole, outputs begin at zero, and what is trimmed later is the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import av
import numpy as np
import pytest

import covos
from checked_output import check_output
from covos.cli import main
from covos.core.errors import SourceError, UsageError
from covos.model import Model
from covos.runs.schema import load_report

MakeClip = Callable[..., Path]


@pytest.fixture
def long(make_clip: MakeClip) -> Path:
    return make_clip(frames=20)


def times(path: Path) -> list[Fraction]:
    with av.open(str(path)) as container:
        return [frame.pts * frame.time_base for frame in container.decode(video=0)]  # type: ignore[operator]


def block(left: int) -> np.ndarray[Any, Any]:
    mask = np.zeros((48, 64), bool)
    mask[12:28, left : left + 16] = True
    return mask


def test_prompts_name_frames_of_the_whole_source(model: Model, long: Path) -> None:
    part = covos.Range(start="f6", end="f16", every=2)
    named = covos.segment(long, model=model, range=part, masks={10: block(20)})
    assert [(frame.index, frame.number, frame.stem) for frame in named] == [
        (index, 6 + 2 * index, f"{6 + 2 * index:05d}") for index in range(5)
    ]
    assert (named[2].mask == block(20)).all()
    assert named.origin.settings["prompts"][0]["frame"] == 10
    first = covos.segment(long, model=model, range=part, masks=block(12))
    assert (first[0].mask == block(12)).all()
    assert first.origin.settings["prompts"][0]["frame"] == 6
    for number, why in ((4, "frames 6 to 14"), (7, "one of 2"), (16, "frames 6 to 14"), (30, "frames 6 to 14")):
        with pytest.raises(UsageError, match=f"frame {number} is not taken") as caught:
            covos.segment(long, model=model, range=part, masks={number: block(12)})
        assert why in caught.value.why


def test_what_steers_names_frames_of_the_whole_source(model: Model, long: Path) -> None:
    part = range(6, 16, 2)
    with pytest.raises(UsageError, match="frame 0 is not taken"):
        covos.segment(long, model=model, range=part, points={0: [(20, 20, 0)]})
    with pytest.raises(UsageError, match="on frame 6\n"):  # nothing is found on noise
        covos.segment(long, model=model, range=part, points=[(60, 46, 0)])


def test_a_session_names_frames_of_the_whole_source(model: Model, long: Path) -> None:
    with model.session(long, range=covos.Range(start="f5", every=3)) as session:
        assert session.add_mask(8, mask=block(16)) == 1
        assert session.shown[0].frame == 8
        with pytest.raises(UsageError, match="frame 6 is not taken"):
            session.add_points(6, points=[(3, 3)])
        result = session.propagate()
        assert [frame.number for frame in result] == [5, 8, 11, 14, 17]
        assert (session.preview(8) == block(16)).all()
        assert session.preview(17).any()
        assert session.confirm(17) == (1,)
        assert [each.frame for each in session.shown] == [8, 17]
        assert [each.frame.number for each in session.stream(start=11, limit=2)] == [11, 14, 8]
        assert session.add_points(14, 1, points=[(30, 20)]).frame == 14
        assert session.add_file(_file(long.parent, block(10))) == (2,)
        assert session.shown[0].frame == 5


def _file(folder: Path, mask: np.ndarray[Any, Any]) -> Path:
    from PIL import Image

    Image.fromarray(mask.astype(np.uint8) * 2).save(folder / "mask.png")
    return folder / "mask.png"


def run(*arguments: object) -> int:
    return main([*(str(argument) for argument in arguments)])


CPU = ("--device", "cpu", "--precision", "fp32", "-q")


def test_the_command_line_and_what_it_leaves(long: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mask = _file(tmp_path, block(20))
    out = tmp_path / "out"
    formats = ("-f", "palette", "-f", "overlay", "-f", "coco", "-f", "cvat", "-f", "labelstudio", "-f", "ytvis")
    words = ("segment", long, "--start", "0.24", "--end", "f16", "--every", "2", "--mask", f"{mask}@10", *CPU)
    assert run(*words, *formats, "-o", out) == 0
    assert check_output(out) == []
    numbers = [6, 8, 10, 12, 14]
    assert sorted(path.stem for path in (out / "masks").iterdir()) == [f"{number:05d}" for number in numbers]
    assert times(out / "overlay.mp4") == [Fraction(2 * index, 25) for index in range(5)]
    report = load_report(out)
    assert [(row.index, row.number, row.time) for row in report.frames] == [
        (index, number, number / 25) for index, number in enumerate(numbers)
    ]
    assert (report.source.start, report.source.every, report.source.times) == (6, 2, "zero")
    assert report.source.frame_rate == Fraction(25, 2)
    assert report.settings["range"] == "frames 6 to 14 of the source, one of 2, times from zero"
    coco = json.loads((out / "coco.json").read_text())
    assert [image["frame_index"] for image in coco["images"]] == numbers
    assert json.loads((out / "ytvis.json").read_text())["videos"][0]["frame_indices"] == numbers
    assert [task["data"]["frame"] for task in json.loads((out / "labelstudio.json").read_text())] == numbers
    tracks = ElementTree.parse(out / "cvat.xml").getroot().iter("mask")
    assert {int(each.get("frame", "")) for each in tracks if each.get("outside") == "0"} == set(numbers)
    # The same range in other words is the same run; another is not.
    same = ("segment", long, "--start", "f6", "--end", "0.64", "--every", "2", "--mask", f"{mask}@10", *CPU)
    assert run(*same, "-f", "palette", "-o", out) == 0
    assert run(*same, "--times", "source", "-o", out) == 2
    assert (
        "times from zero before, frames 6 to 14 of the source, one of 2, times from source now"
        in capsys.readouterr().err
    )


def test_a_conversion_keeps_the_range_and_can_trim_further(long: Path, tmp_path: Path, model: Model) -> None:
    part = covos.segment(long, model=model, range=covos.Range(start="f4", end="f16", every=2), masks=block(8))
    part.save(tmp_path / "part", formats=["palette", "overlay", "coco", "cvat", "npz"])
    again = covos.convert(tmp_path / "part", formats=["overlay"], output=tmp_path / "again")
    assert again.outputs[0].read_bytes() == (tmp_path / "part" / "overlay.mp4").read_bytes()
    for name in ("masks", "coco.json", "cvat.xml", "masks.npz"):
        loaded = covos.load_result(tmp_path / "part" / name)
        assert (loaded, loaded.info) == (part, part.info)
    moved = long.rename(tmp_path / "moved.mp4")
    beside = covos.convert(tmp_path / "part", formats=["overlay"], output=tmp_path / "beside", source=moved)
    assert beside.outputs[0].read_bytes() == again.outputs[0].read_bytes()
    moved.rename(long)
    # Of the six frames, which last 0.48 s, from 0.16 s on: 8, 10, 12, 14.
    trimmed = covos.convert(
        tmp_path / "part", formats=["palette", "overlay"], output=tmp_path / "trimmed", range=covos.Range(start=0.16)
    )
    assert times(trimmed.outputs[1]) == [Fraction(2 * index, 25) for index in range(4)]
    assert check_output(tmp_path / "trimmed") == []
    loaded = covos.load_result(tmp_path / "trimmed")
    assert [(frame.index, frame.number) for frame in loaded] == [(0, 8), (1, 10), (2, 12), (3, 14)]
    assert loaded.frames[0].objects == part.frames[2].objects
    with pytest.raises(UsageError, match="frame 40 is beyond the end"):
        part.trim(covos.Range(start="f40"))
    assert run("convert", tmp_path / "part", "-f", "npz", "--end", "f8", "-o", tmp_path / "npz", "-q") == 0
    assert [frame.number for frame in covos.load_result(tmp_path / "npz")] == [4, 6]


def test_what_is_trimmed_later_is_what_a_range_gives(long: Path, tmp_path: Path, model: Model) -> None:
    whole = covos.segment(long, model=model, masks=block(0))
    trimmed = whole.trim(range(5, 15, 3))
    assert [(frame.index, frame.number) for frame in trimmed] == [(0, 5), (1, 8), (2, 11), (3, 14)]
    direct = covos.segment(long, model=model, range=range(5, 15, 3), masks=block(0))
    assert trimmed.info == direct.info
    saved = trimmed.save(tmp_path / "out", formats=["overlay"])
    assert times(saved.outputs[0]) == [Fraction(3 * index, 25) for index in range(4)]
    assert trimmed.trim(covos.Range()) is trimmed


def test_a_stopped_run_of_a_part_goes_on_and_gives_the_same(long: Path, tmp_path: Path, model: Model) -> None:
    plan = covos.Plan(
        source=str(long), range=covos.Range(start="f6", every=2), formats=("palette", "overlay"), device="cpu"
    )
    whole = covos.Job(plan, tmp_path / "whole", load=lambda _: model).run()
    job = covos.Job(plan, tmp_path / "stopped", load=lambda _: model)
    for event in job:
        if isinstance(event, covos.FrameDone) and event.index == 4:
            job.cancel()
    assert job.state == "cancelled"
    resumed = covos.Job(plan, tmp_path / "stopped", load=lambda _: model).run()
    assert resumed.resumed == 4  # type: ignore[union-attr]
    for one, other in zip(whole.outputs, resumed.outputs, strict=True):  # type: ignore[union-attr]
        pairs = [(one, other)] if one.is_file() else [(path, other / path.name) for path in one.iterdir()]
        assert all(first.read_bytes() == second.read_bytes() for first, second in pairs)
    assert covos.Plan.model_validate_json(plan.model_dump_json()) == plan


def test_a_range_that_is_empty_of_a_source_leaves_nothing(long: Path, tmp_path: Path) -> None:
    assert run("segment", long, "--start", "30", "-o", tmp_path / "out", *CPU) == 2
    assert not (tmp_path / "out").exists()
    with pytest.raises(SourceError):
        covos.segment(tmp_path / "missing.mp4", range=range(3))


def test_a_result_is_trimmed_by_the_timecode_of_its_source(model: Model, long: Path, tmp_path: Path) -> None:
    clip = tmp_path / "stated.mov"
    with av.open(str(long)) as read, av.open(str(clip), "w") as written:
        stream = written.add_stream_from_template(read.streams.video[0])
        stream.metadata["timecode"] = "01:00:00:00"
        for packet in read.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                written.mux(packet)
    folder = tmp_path / "run"
    part = covos.Range(start="01:00:00:05", end="01:00:00:15")
    covos.segment(clip, model=model, range=part, masks=block(20)).save(folder)
    assert load_report(folder).source.timecode == "01:00:00:00"
    assert load_report(folder).source.start == 5
    cut = tmp_path / "cut"
    assert run("convert", folder, "-o", cut, "-f", "palette", "--start", "01:00:00:07", "--end", "01:00:00:09") == 0
    assert [file.stem for file in sorted((cut / "masks").iterdir())] == ["00007", "00008"]
