import dataclasses
import json
import os
import sys
from fractions import Fraction
from hashlib import sha256
from pathlib import Path

import pytest

from covos._version import __version__
from covos.core.errors import EnvironmentProblem, IncompleteError, InputError
from covos.core.types import SourceInfo
from covos.media.source import Health
from covos.runs.folder import OutputFolder
from covos.runs.report import Origin, Report
from covos.runs.schema import ProblemRecord, ReportContent, as_json, load_report

HEALTH = Health(decoded=3, expected=5, concealed=(1,), undecodable=2, cut=True, warnings=("cut short",))


@pytest.fixture
def report(info, result) -> Report:
    made = Report(
        info=info(), origin=Origin(model="covos-lite", sha256="ab" * 32, device="cpu", settings={"references": 5})
    )
    for index, ids in enumerate([(1,), (), (3, 7)]):
        made.add(result(index, ids=ids), seconds=0.25)
    return made


def test_all_is_there(tmp_path: Path, report: Report) -> None:
    folder = OutputFolder(tmp_path / "out")
    outputs = [tmp_path / "out" / "masks", tmp_path / "out" / "overlay.mp4"]
    path = report.save(folder, health=HEALTH, seconds=1.5, outputs=outputs, warnings=["padded"])
    content = load_report(tmp_path / "out")
    assert path == tmp_path / "out" / "report.json"
    assert load_report(path) == content
    assert content.schema_number == 1
    assert content.tool.model_dump() == {"name": "covos", "version": __version__}
    assert content.settings == {"references": 5}
    assert content.source.info(folder=tmp_path).frame_rate == 25
    assert content.health.model_dump() == {
        "decoded": 3, "expected": 5, "missing": 2, "undecodable": 2, "cut": True, "at_least": False,
        "warnings": ("cut short",), "notes": (),
    }  # fmt: skip
    assert content.full_health() == dataclasses.replace(HEALTH, concealed=())
    assert content.model.model_dump() == {"name": "covos-lite", "sha256": "ab" * 32}
    assert content.totals.model_dump() == {"frames": 3, "seconds": 1.5, "fps": 2.0, "resumed": 0}
    assert content.outputs == ("masks", "overlay.mp4")
    assert content.warnings == ("padded",)
    assert content.problem is None
    assert content.frames[1].objects == []
    written = json.loads(path.read_text())
    assert written["source"]["frame_rate"] == "25"
    assert written["source"]["time_base"] == "1/25"
    assert written["frames"][2] == {
        "index": 2, "stem": "00002", "pts": 2, "time": 0.08, "status": "ok", "objects": [3, 7],
        "area": {"3": 0.03125, "7": 0.03125}, "confidence": 0.9, "seconds": 0.25,
        "box": {"3": [6, 12, 8, 12], "7": [18, 12, 8, 12]}, "centre": {"3": [9.5, 17.5], "7": [21.5, 17.5]},
        "overlap": {"3": 0.0, "7": 0.0}, "flags": ["lost"], "suspicion": 0.4,
    }  # fmt: skip
    assert as_json(content) == written


def test_what_is_written_fits_the_schema(tmp_path: Path, report: Report) -> None:
    path = report.save(OutputFolder(tmp_path), health=HEALTH, seconds=1.5)
    schema = ReportContent.model_json_schema(mode="serialization")
    assert set(json.loads(path.read_text())) == set(schema["properties"])


def test_a_report_of_before_the_flags_is_read(tmp_path: Path, report: Report) -> None:
    file = report.save(OutputFolder(tmp_path), health=HEALTH, seconds=1)
    content = json.loads(file.read_text())
    del content["quality"], content["totals"]["resumed"]
    for row in content["frames"]:
        for name in ("box", "centre", "overlap", "flags", "suspicion"):
            del row[name]
    file.write_text(json.dumps(content))
    assert len(load_report(file).frames) == 3


def test_one_line_a_frame(tmp_path: Path, report: Report) -> None:
    path = report.save(OutputFolder(tmp_path), health=HEALTH, seconds=1)
    rows = [line for line in path.read_text().splitlines() if line.startswith('    {"index"')]
    assert [json.loads(row.rstrip(","))["index"] for row in rows] == [0, 1, 2]


def test_no_frames(tmp_path: Path, info) -> None:
    empty = Report(
        info=info(kind="image", frame_rate=None), origin=Origin(model="m", sha256="0", device="cpu", settings={})
    )
    empty.save(OutputFolder(tmp_path), health=Health(decoded=0, expected=0), seconds=0)
    content = load_report(tmp_path)
    assert content.frames == ()
    assert content.totals.model_dump() == {"frames": 0, "seconds": 0, "fps": None, "resumed": 0}
    assert content.source.frame_rate is None


def test_a_problem_is_kept(tmp_path: Path, report: Report) -> None:
    problem = IncompleteError("2 frames are missing", why="the file is cut", fix="copy it again")
    report.save(OutputFolder(tmp_path), health=HEALTH, seconds=1, problem=problem)
    assert load_report(tmp_path).problem == ProblemRecord.of(problem)


def test_the_hash_of_the_source(tmp_path: Path, info) -> None:
    source = tmp_path / "clip.mp4"
    source.write_bytes(b"film")
    for path, expected in ((source, sha256(b"film").hexdigest()), (tmp_path, None), (tmp_path / "no*", None)):
        folder = tmp_path / f"out{expected is None}{path.name}"
        report = Report(info=info(path=str(path)), origin=Origin(model="m", sha256="0", device="cpu", settings={}))
        report.save(OutputFolder(folder), health=HEALTH, seconds=1)
        assert load_report(folder).source.sha256 == expected


@pytest.mark.parametrize("name", ["日本 😀", 'quo"te\nline', os.fsdecode(b"caf\xe9")])
def test_any_name_comes_back(tmp_path: Path, info, result, name: str) -> None:
    report = Report(info=info(path=name), origin=Origin(model="m", sha256="0", device="cpu", settings={}))
    report.add(result(0, stem=name), seconds=0)
    report.save(OutputFolder(tmp_path), health=HEALTH, seconds=1)
    content = load_report(tmp_path)
    assert content.source.path == content.frames[0].stem == name


def test_what_json_cannot_express(tmp_path: Path, info, result) -> None:
    report = Report(info=info(), origin=Origin(model="m", sha256="0", device="cpu", settings={}))
    report.add(result(0, confidence=float("nan")), seconds=0)
    report.save(OutputFolder(tmp_path), health=HEALTH, seconds=1)
    assert load_report(tmp_path).frames[0].confidence is None
    assert "NaN" not in (tmp_path / "report.json").read_text()


def test_exact_times_can_be_rebuilt(tmp_path: Path, info, result) -> None:
    base = Fraction(1, 90000)
    report = Report(info=info(time_base=base), origin=Origin(model="m", sha256="0", device="cpu", settings={}))
    for index, pts in enumerate([7, 3010, 3011, 10**9]):
        report.add(result(index, pts=pts, time_base=base), seconds=0)
    report.save(OutputFolder(tmp_path), health=HEALTH, seconds=1)
    content = load_report(tmp_path)
    assert [row.pts for row in content.frames] == [7, 3010, 3011, 10**9]
    assert content.source.time_base == base


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "Expecting value"),
        ("{", "Expecting"),
        ("[]", "all of it: it should be a table"),
        ('{"schema": "x"}', "schema: it should be a whole number"),
        ('{"schema": 1}', "tool: it is missing; settings: it is missing; source: it is missing; and 8 more"),
        ('{"schema": 1, "frames": 1}', "and 8 more"),
        (b"\xff\xfe", "decode"),
    ],
)
def test_what_is_no_report(tmp_path: Path, text, reason: str) -> None:
    (tmp_path / "report.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError, match=reason) as caught:
        load_report(tmp_path)
    assert "report.json" in caught.value.what


@pytest.mark.parametrize("path", [("source", "time_base"), ("health", "decoded"), ("totals", "frames"), ("frames", 0)])
def test_missing_fields_are_named(tmp_path: Path, report: Report, path: tuple) -> None:
    file = report.save(OutputFolder(tmp_path), health=HEALTH, seconds=1)
    content = json.loads(file.read_text())
    section, key = path
    if section == "frames":
        del content["frames"][key]["stem"]
    else:
        del content[section][key]
    file.write_text(json.dumps(content))
    place = r"frames\.0\.stem" if section == "frames" else rf"{section}\.{key}"
    with pytest.raises(InputError, match=f"{place}: it is missing"):
        load_report(file)


@pytest.mark.parametrize(("field", "value"), [("time_base", "1/0"), ("time_base", "soon"), ("height", None)])
def test_a_damaged_source_is_named(tmp_path: Path, report: Report, field: str, value: object) -> None:
    file = report.save(OutputFolder(tmp_path), health=HEALTH, seconds=1)
    content = json.loads(file.read_text())
    content["source"][field] = value
    file.write_text(json.dumps(content))
    with pytest.raises(InputError, match=rf"source\.{field}: (it should be|should be a fraction)"):
        load_report(file)


def test_missing_and_newer_reports(tmp_path: Path, report: Report) -> None:
    with pytest.raises(InputError, match="no such file"):
        load_report(tmp_path)
    file = report.save(OutputFolder(tmp_path), health=HEALTH, seconds=1)
    file.write_text(file.read_text().replace('"schema": 1', '"schema": 2'))
    with pytest.raises(InputError, match="update covos"):
        load_report(tmp_path)


def save_under(limit: int, folder: Path) -> str:
    """Save a report where no file may be longer, and return the text of the error."""
    import resource

    info = SourceInfo(
        path="x", kind="video", height=4, width=4, frame_count=1, frame_rate=None, duration=None, time_base=Fraction(1)
    )
    report = Report(info=info, origin=Origin(model="m", sha256="0", device="cpu", settings={}))
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    with pytest.raises(EnvironmentProblem) as caught:
        report.save(OutputFolder(folder), health=Health(decoded=0, expected=0), seconds=1)
    return str(caught.value)


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX limits")
@pytest.mark.parametrize("limit", [0, 20, 400])
def test_a_full_disk_leaves_no_half_report(tmp_path: Path, tree, limit: int) -> None:
    from children import in_child  # it needs POSIX, too

    child = in_child(lambda: save_under(limit, tmp_path / "out"))
    assert child.end == "answered", child.answer
    assert "report." in child.answer
    assert tree(tmp_path) == []
