"""A new format is a class and one line: it is written, checked, announced, converted and read with nothing else."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from checked_output import check_output
from covos.core.errors import AnnotationError, UsageError
from covos.core.types import FrameResult
from covos.formats.base import Format, ReadableFormat
from covos.formats.reading import MaskInput, MasksRead, ReadFrame, numbered
from covos.formats.table import TABLE, check_formats, load_format, make_writer, probability_bits, size_notes
from covos.masks import encode
from covos.media.opening import open_source
from covos.results.loading import convert, load_result
from covos.runs.folder import OutputFolder
from covos.runs.reading import read_masks
from covos.runs.report import Origin, Report


class ToyFormat(ReadableFormat):
    """The rows that hold the object, a line a frame; ``toy=3`` would be 3 bytes a pixel."""

    name = "toy"
    output = "toy.txt"
    labels_only = True
    needs_pictures = False
    read_as = "toy text"
    looks_like = "rows of a toy"

    @classmethod
    def check_value(cls, value: str) -> None:
        if value != "3":
            raise UsageError(f"toy={value}", why="it is 3", fix="write toy=3")

    @classmethod
    def size_of(cls, value: str | None) -> float:
        return float(value or 0)

    def _add(self, result: FrameResult) -> None:
        if not self._written:
            self._lines = ["TOY"]
        rows = [[int(row.max()) for row in result.labels], result.labels.shape[1]]
        self._lines.append(json.dumps(rows))

    def _finish(self) -> Path:
        path = self._folder.file(self.output)
        path.write_text("\n".join(self._lines))
        return path

    @classmethod
    def recognise(cls, masks: MaskInput) -> bool:
        return masks.start.startswith(b"TOY")

    @classmethod
    def read(cls, masks: MaskInput) -> MasksRead:
        frames = []
        for index, line in enumerate(masks.path.read_text().splitlines()[1:]):
            rows, width = json.loads(line)
            labels = np.repeat(np.array(rows, np.uint8)[:, None], width, axis=1)
            objects = {1: encode(labels > 0)} if labels.any() else {}
            frames.append(ReadFrame(index=index, size=labels.shape, objects=objects))
        return MasksRead(format=cls.name, path=masks.path, frames=numbered(frames))


class ToyPictures(Format):
    """A file a frame, of which one goes missing."""

    name = output = "toys"
    shape = "a picture a frame"

    def _add(self, result: FrameResult) -> None:
        self._folder.file(f"toys/{result.frame.stem}.png").write_bytes(b"")


@pytest.fixture(autouse=True)
def _register(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("covos.formats.toy")
    module.ToyFormat, module.ToyPictures = ToyFormat, ToyPictures
    monkeypatch.setitem(sys.modules, "covos.formats.toy", module)
    monkeypatch.setitem(TABLE, "toy", "toy:ToyFormat")  # the line
    monkeypatch.setitem(TABLE, "toys", "toy:ToyPictures")


def segment(source_path: Path, target: Path, *formats: str) -> None:
    folder = OutputFolder(target)
    with open_source(source_path) as source:
        report = Report(info=source.info, origin=Origin(model="rows", sha256="0" * 64, device="cpu", settings={}))
        writers = [make_writer(name, folder, info=source.info, source_path=source_path) for name in formats]
        for frame in source:
            labels = np.zeros(frame.size, np.uint8)
            labels[5 + frame.index : 20] = 1
            result = FrameResult(frame=frame, probability=labels.astype(np.float32), labels=labels, confidence=0.5)
            for writer in writers:
                writer.write(result)
            report.add(result, seconds=0.01)
        outputs = tuple(path for writer in writers for path in writer.close())
        report.save(folder, health=source.health, seconds=1, outputs=outputs)


def test_it_is_written_and_read_back_from_a_run(make_clip, tmp_path: Path) -> None:
    segment(make_clip(frames=4), tmp_path / "out", "toy")
    assert json.loads((tmp_path / "out" / "report.json").read_text())["outputs"] == ["toy.txt"]
    read = read_masks(tmp_path / "out")
    assert (read.format, len(read.frames)) == ("toy", 4)
    assert [frame.objects[1].bbox[1] for frame in read.frames] == [5, 6, 7, 8]
    assert read_masks(tmp_path / "out" / "toy.txt").frames == read.frames
    assert load_result(tmp_path / "out")[3].labels[8, 0] == 1


def test_it_is_converted_to_and_from_without_the_pictures(make_clip, tmp_path: Path) -> None:
    clip = make_clip(frames=4)
    segment(clip, tmp_path / "out", "palette")
    clip.unlink()
    convert(tmp_path / "out", formats=["toy"], output=tmp_path / "toy")
    convert(tmp_path / "toy" / "toy.txt", formats=["palette"], output=tmp_path / "back")
    for name in sorted(path.name for path in (tmp_path / "out" / "masks").iterdir()):
        assert (tmp_path / "back" / "masks" / name).read_bytes() == (tmp_path / "out" / "masks" / name).read_bytes()


def test_its_values_bits_and_size_are_known(tmp_path: Path, info, monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_formats(["toy=3", "toy=3"]) == ("toy=3",)
    with pytest.raises(UsageError, match="it is 3"):
        check_formats(["toy=4"])
    with pytest.raises(UsageError, match="toys takes none"):
        check_formats(["toys=4"])
    assert (probability_bits(["toy"]), probability_bits(["toys", "toy"])) == (0, 8)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=10**12))
    made = info(frame_count=100, height=1000, width=1000)
    assert size_notes(["toy", "toy=3"], info=made, folder=tmp_path) == ("toy=3 will take about 300 MB",)


def test_its_output_is_checked(make_clip, tmp_path: Path) -> None:
    segment(make_clip(frames=4), tmp_path / "out", "toys", "toy")
    assert check_output(tmp_path / "out") == []
    (tmp_path / "out" / "toys" / "00002.png").unlink()
    (tmp_path / "out" / "toy.txt").unlink()
    lost, gone = check_output(tmp_path / "out")
    assert "without a file in toys" in lost
    assert "lists toy.txt, which is not there" in gone


def test_it_is_named_where_a_file_is_none(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(AnnotationError) as caught:
        read_masks(tmp_path / "notes.txt")
    assert "toy text" in caught.value.why
    assert "toy file" in caught.value.fix


def test_a_format_that_is_read_and_not_listed_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(TABLE, "toy")
    (tmp_path / "toy.txt").write_text("TOY")
    with pytest.raises(AnnotationError, match="Looked for were npz"):
        read_masks(tmp_path / "toy.txt")


def test_formats_with_alpha_say_so() -> None:
    found = {name for name in TABLE if load_format(name).has_alpha}
    assert found == {"cutout", "cutout-gif", "exr", "ffv1", "prores", "qtrle", "rgba", "tiff", "webm"}
