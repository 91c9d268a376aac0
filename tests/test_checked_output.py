"""A whole run, written and checked; then broken in every way that the check must see."""

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from checked_output import check_output
from covos.core.types import FrameResult
from covos.formats.background_writers import BackgroundWriters
from covos.formats.table import FORMATS, make_writer
from covos.masks import write_label_map
from covos.media.opening import open_source
from covos.media.source import Health
from covos.runs.folder import OutputFolder
from covos.runs.report import Origin, Report

COUNT = 6


def segment(source_path: Path, target: Path, *, formats=("overlay", "palette")) -> None:
    """A run with a square as the model."""
    folder = OutputFolder(target)
    with open_source(source_path) as source:
        report = Report(info=source.info, origin=Origin(model="square", sha256="0" * 64, device="cpu", settings={}))
        writers = [make_writer(name, folder, info=source.info, source_path=source_path) for name in formats]
        with BackgroundWriters(writers) as background:
            for frame in source:
                labels = np.zeros(frame.size, np.uint8)
                labels[5:20, 5 + frame.index : 25] = 1
                labels[22:30, 5:25] = 2 * (frame.index > 2)
                probability = (labels > 0).astype(np.float32)
                result = FrameResult(frame=frame, probability=probability, labels=labels, confidence=0.5)
                background.write(result)
                report.add(result, seconds=0.01)
            outputs = background.close()
        report.save(folder, health=source.health, seconds=1, outputs=outputs, warnings=background.warnings)


@pytest.fixture
def done(make_clip, tmp_path: Path) -> Path:
    segment(make_clip(frames=COUNT), tmp_path / "out")
    return tmp_path / "out"


def edit(folder: Path, change) -> None:
    file = folder / "report.json"
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def test_a_run_keeps_the_promise(done: Path, tree) -> None:
    assert check_output(done) == []
    masks = [f"masks/{index:05d}.png" for index in range(COUNT)]
    assert {*masks, "overlay.mp4", "report.html", "report.json"} <= set(tree(done))


def test_every_format_keeps_the_promise(make_clip, tmp_path: Path) -> None:
    out = tmp_path / "out"
    segment(make_clip(frames=COUNT), out, formats=FORMATS)
    assert check_output(out) == []
    (out / "matte" / "00002.png").unlink()
    (out / "binary" / "2" / "00000.png").unlink()
    (out / "rgba" / "00000.png").rename(out / "rgba" / "more.png")
    (out / "prores.mov").write_bytes((out / "overlay.mp4").read_bytes()[:300])
    problems = "\n".join(check_output(out))
    for problem in ("without a file in matte", "without a file in 2", "files in rgba without a row", "prores.mov"):
        assert problem in problems
    assert len(problems.splitlines()) == 5


def test_odd_sizes_and_a_folder_of_frames(make_clip, tmp_path: Path) -> None:
    segment(make_clip("odd.mkv", frames=3, height=50, width=66), tmp_path / "clip")
    (tmp_path / "frames").mkdir()
    for index in (2, 10, 11):
        write_label_map(tmp_path / "frames" / f"shot {index}.png", np.full((51, 67), index, np.uint8))
    segment(tmp_path / "frames", tmp_path / "folder")
    segment(tmp_path / "frames" / "shot 2.png", tmp_path / "image")
    for name in ("clip", "folder", "image"):
        assert check_output(tmp_path / name) == []
    assert (tmp_path / "folder" / "masks" / "shot 10.png").exists()
    assert (tmp_path / "image" / "overlay.png").exists()
    assert "even sizes" in json.loads((tmp_path / "folder" / "report.json").read_text())["warnings"][0]


def test_a_single_format(make_clip, tmp_path: Path) -> None:
    segment(make_clip(), tmp_path / "out", formats=["palette"])
    assert check_output(tmp_path / "out") == []


def test_no_report(tmp_path: Path) -> None:
    (problem,) = check_output(tmp_path)
    assert "no such file" in problem


def test_a_lost_mask(done: Path) -> None:
    (done / "masks" / "00003.png").unlink()
    (problem,) = check_output(done)
    assert "without a file in masks" in problem
    assert '"00003"' in problem


def test_many_masks_too_many(done: Path) -> None:
    for index in range(7, 20):
        write_label_map(done / "masks" / f"{index:05d}.png", np.zeros((48, 64), np.uint8))
    (problem,) = check_output(done)
    assert "without a row" in problem
    assert "and 10 more" in problem


def test_another_id(done: Path) -> None:
    labels = np.zeros((48, 64), np.uint8)
    labels[3:20, 3:20] = 9
    write_label_map(done / "masks" / "00001.png", labels)
    (problem,) = check_output(done)
    assert "objects [9], its row [1]" in problem


def test_another_size_and_a_torn_mask(done: Path) -> None:
    labels = np.zeros((24, 32), np.uint8)
    labels[4:9, 4:9] = 1
    write_label_map(done / "masks" / "00001.png", labels)
    torn = done / "masks" / "00002.png"
    torn.write_bytes(torn.read_bytes()[:60])
    size, broken = check_output(done)
    assert "is 32x24, the frame 64x48" in size
    assert "00002.png" in broken


def test_an_unfinished_file(done: Path) -> None:
    (done / "masks" / ".00006.0123abcd.partial.png").write_text("torn")
    (done / "my.partial.notes").write_text("of the user")
    (problem,) = check_output(done)
    assert "unfinished" in problem


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda content: content["health"].update(decoded=7), "7 frames were decoded"),
        (lambda content: content["totals"].update(frames=5), "counts 5"),
        (lambda content: content["frames"][2].update(index=1), "do not ascend"),
        (lambda content: content["frames"][2].update(stem="00001"), "name the same frame"),
        (lambda content: content["frames"][2].update(time=0.5), "1 frames at other times than the source"),
        (lambda content: content["outputs"].append("matte.mov"), "lists matte.mov"),
    ],
)
def test_a_report_that_does_not_agree(done: Path, change, expected: str) -> None:
    edit(done, change)
    assert any(expected in problem for problem in check_output(done))


def test_a_lost_row(done: Path) -> None:
    edit(done, lambda content: content["frames"].pop())
    problems = " ".join(check_output(done))
    assert "6 frames were decoded" in problems
    assert "without a row" in problems
    assert "overlay.mp4 has 6 frames, the report 5" in problems


def test_an_overlay_that_does_not_play(done: Path) -> None:
    (done / "overlay.mp4").write_bytes(b"no video")
    (problem,) = check_output(done)
    assert "overlay.mp4" in problem


def test_times_that_mp4_cannot_express_still_agree(tmp_path: Path, info, result) -> None:
    """A start before zero is moved by the writer; the steps are what must agree."""
    folder = OutputFolder(tmp_path)
    base = Fraction(1, 1000)
    made = info(time_base=base, frame_count=3)
    report = Report(info=made, origin=Origin(model="m", sha256="0", device="cpu", settings={}))
    writer = make_writer("overlay", folder, info=made, source_path=tmp_path)
    for index, pts in enumerate([-80, -40, 300]):
        each = result(index, pts=pts, time_base=base)
        writer.write(each)
        report.add(each, seconds=0)
    outputs = writer.close()
    report.save(folder, health=Health(decoded=3, expected=3), seconds=1, outputs=outputs, warnings=writer.warnings)
    assert check_output(tmp_path) == []
    assert writer.warnings
