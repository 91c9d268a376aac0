"""A batch works through many clips side by side, goes on where it stopped, and sums up."""

from __future__ import annotations

import csv
import errno
import multiprocessing
import os
import signal
import sys
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import NoReturn

import pytest
from fsspec.registry import known_implementations

import covos
from checked_output import check_output
from covos.cli import main
from covos.cli.batch import _Display
from covos.core.errors import InputError, UsageError
from covos.fleet.clips import read_clips
from covos.fleet.manifests import Clip
from covos.fleet.own import Own
from covos.fleet.places import exists
from covos.fleet.processes import Processes
from covos.fleet.summary import COLUMNS, EVERY, Summary
from covos.fleet.work import Row, Settings, errands
from covos.media.range import Range

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")


def table(file: Path) -> dict[str, dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as lines:
        return {row["name"]: row for row in csv.DictReader(lines)}


def test_good_bad_and_damaged_clips_each_have_a_row(make_clip, tmp_path: Path, capfd: pytest.CaptureFixture) -> None:
    make_clip("a.mp4", frames=3)
    whole = make_clip("whole.mkv", frames=20).read_bytes()
    (tmp_path / "cut.mkv").write_bytes(whole[: len(whole) * 6 // 10])
    (tmp_path / "whole.mkv").unlink()
    (tmp_path / "bad.mov").write_text("no video", encoding="utf-8")
    rows = "input,camera\na.mp4,=left\ncut.mkv,right\nbad.mov,\n"
    (tmp_path / "m.csv").write_text(rows, encoding="utf-8")
    command = ["batch", str(tmp_path / "m.csv"), "-o", str(tmp_path / "out"), "-f", "palette", "--device", "cpu"]
    command += ["--workers", "1"]
    assert main(command) == 4
    found = table(tmp_path / "out" / "batch.csv")
    assert [row["status"] for row in found.values()] == ["done", "damaged", "failed"]
    assert (found["a"]["frames"], found["a"]["camera"], found["bad"]["exit_code"]) == ("3", "'=left", "3")
    for name in ("a", "cut"):
        assert check_output(tmp_path / "out" / name) == []
    said = capfd.readouterr().err
    assert "failed: bad: " in said
    assert "1 of 3 clips failed" in said
    # The damaged one is done, and the same command tries the failed one again.
    make_clip("bad.mov", frames=2)
    assert main([*command, "--allow-errors", "--summary", str(tmp_path / "again.csv")]) == 0
    again = table(tmp_path / "again.csv")
    assert [row["status"] for row in again.values()] == ["done before", "damaged", "done"]


def test_the_frames_so_far_are_those_of_the_clips_that_ended(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """A worker counts now and then: its last count is lower than the number in the row."""
    monkeypatch.setattr("covos.core.progress.LINE_EVERY", 0.0)
    with _Display(2, quiet=False) as display:
        display.ended(Row(name="b", input="b.mp4", folder="out/b", status="done before", frames=900, seconds=1.0))
        display.counted("a", 57)
        display.ended(Row(name="a", input="a.mp4", folder="out/a", status="done", frames=60, computed=60, seconds=2.0))
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "done before: b: 900 frames"
    begin = lines.index("done: a: 60 frames in 2.0 s")
    assert not any("900 frames so far" in line for line in lines)
    assert all(line.startswith("batch (60 frames so far): 2/2 clips") for line in lines[begin + 1 :])
    assert len(lines) > begin + 2


@posix
@pytest.mark.slow
def test_a_worker_that_is_killed_costs_one_attempt(make_clip, tmp_path: Path) -> None:
    clips = [make_clip(name, frames=12) for name in ("a.mp4", "b.mp4", "c.mp4")]
    killed: list[int] = []

    def kill(name: str, frames: int) -> None:
        if not killed:
            killed.append(multiprocessing.active_children()[0].pid or 0)
            os.kill(killed[0], signal.SIGKILL)

    work = covos.Batch(clips, tmp_path / "out", workers=2, formats=("palette",), device="cpu")
    result = work.run(count=kill)
    assert len(killed) == 1
    assert {row.status for row in result.rows} == {"done"}
    assert sorted(row.attempts for row in result.rows) == [1, 1, 2]
    for row in result.rows:
        assert check_output(Path(row.folder)) == []


def test_settings_that_are_wrong_are_refused_before_anything_begins(clip: Path, tmp_path: Path) -> None:
    for wrong in (
        {"formats": ("nosuch",)},
        {"formats": ("palette", "coco"), "edges": covos.Edges(feather=3)},
        {"workers": 0},
        {"clip_timeout": 0},
        {"task": {"references": -1}},
        {"summary": "table.xls"},
    ):
        with pytest.raises(UsageError):
            covos.Batch(clip, tmp_path / "out", **wrong)  # type: ignore[arg-type]
    with pytest.raises(UsageError):
        covos.Batch(clip, tmp_path / "out", overwrite=True, skip_existing=True)
    assert not (tmp_path / "out").exists()


def test_every_row_of_a_manifest_is_checked_before_the_first_clip_is_begun(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "prompts.json").write_text("{", encoding="utf-8")
    (tmp_path / "mask.png").write_bytes(b"no picture")
    (tmp_path / "m.csv").write_text(
        "input,name,prompts,mask,label,every\n"
        f"{clip.name},good,,,,\n"
        "gone.mp4,,,,,\n"
        f"{clip.name},unread,prompts.json,,,\n"
        f"{clip.name},unseen,,mask.png,,\n"
        f"{clip.name},misnamed,,,9=car,\n"
        f"{clip.name},often,,,,often\n",
        encoding="utf-8",
    )
    assert main(["batch", str(tmp_path / "m.csv"), "-o", str(tmp_path / "out")]) == 3
    said = capsys.readouterr().err
    assert f"5 rows of {tmp_path / 'm.csv'} cannot be used" in said
    assert all(f"row {number}: " in said for number in (2, 3, 4, 5, 6))
    assert "row 1: " not in said
    assert not (tmp_path / "out").exists()


def test_a_finished_clip_of_a_manifest_may_be_gone_where_it_is_skipped(clip: Path, tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text(f"input\n{clip.name}\n", encoding="utf-8")
    out = tmp_path / "out"
    assert main(["segment", str(clip), "-o", str(out / clip.stem), "-f", "palette"]) == 0
    clip.unlink()
    assert [each.name for each in covos.Batch(tmp_path / "m.csv", out, skip_existing=True).clips] == [clip.stem]
    with pytest.raises(InputError, match=r"row 1: .*no such file"):
        covos.Batch(tmp_path / "m.csv", out)


def test_machines_share_a_batch_by_the_names_of_its_clips(tmp_path: Path) -> None:
    names = [f"clip-{number}" for number in range(40)]
    lines = "\n".join(f"{name}.mp4,left" for name in names)
    (tmp_path / "m.csv").write_text(f"input,camera\n{lines}\n", encoding="utf-8")
    for name in names:
        (tmp_path / f"{name}.mp4").write_bytes(b"no video")
    parts = [covos.Batch(tmp_path / "m.csv", tmp_path / "out", shard=f"{number}/10") for number in range(1, 11)]
    taken = [[clip.name for clip in part.clips] for part in parts]
    assert sorted(name for part in taken for name in part) == sorted(names)
    assert [Path(part.summary).name for part in parts[::9]] == ["batch-01-of-10.csv", "batch-10-of-10.csv"]
    # The order of the inputs, and further ones, change nothing.
    given = [tmp_path / f"{name}.mp4" for name in (*names[::-1], "other")]
    again = covos.Batch(given, tmp_path / "out", shard="3/10", summary=tmp_path / "t.csv")
    assert sorted({clip.name for clip in again.clips} - {"other"}) == sorted(taken[2])
    assert again.summary == str(tmp_path / "t-03-of-10.csv")


def test_tables_of_parts_have_the_same_columns_though_one_has_no_clip(
    make_clip, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    make_clip("a.mp4", frames=2)
    (tmp_path / "m.csv").write_text("input,camera\na.mp4,left\n", encoding="utf-8")
    command = ["batch", str(tmp_path / "m.csv"), "-o", str(tmp_path / "out"), "-f", "palette", "--device", "cpu"]
    for number in (1, 2):
        assert main([*command, "--workers", "1", "--shard", f"{number}/2"]) == 0
    assert "0 clips: " in capsys.readouterr().err
    files = [tmp_path / "out" / f"batch-{number}-of-2.csv" for number in (1, 2)]
    heads = {file.read_text(encoding="utf-8").splitlines()[0] for file in files}
    assert len(heads) == 1
    assert heads.pop().endswith(",camera")
    (row,) = (row for file in files for row in table(file).values())
    assert (row["name"], row["status"], row["camera"]) == ("a", "done", "left")


def test_a_part_that_is_none_is_refused(clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    for wrong in ("0/4", "5/4", "3", "a/b", "1/0", "-1/4"):
        assert main(["batch", str(clip), "-o", str(tmp_path / "out"), f"--shard={wrong}"]) == 2
        assert f"--shard {wrong}" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@posix
@pytest.mark.slow
def test_a_clip_that_hangs_fails_and_its_process_is_ended(make_clip, tmp_path: Path) -> None:
    clips = tuple(Clip(input=str(make_clip(f"{name}.mp4", frames=12)), name=name) for name in "ab")
    now = 0.0

    def hang(name: str, frames: int) -> None:
        nonlocal now
        if name == "a":
            os.kill(multiprocessing.active_children()[0].pid or 0, signal.SIGSTOP)
            now = 100.0

    settings = Settings(plan={"formats": ("palette",), "device": "cpu"})
    hands = Processes(device="cpu", count=1, retry=0, limit=60, listen=hang, clock=lambda: now)
    rows = {row.name: row for row in hands.run(errands(clips, output=str(tmp_path / "out"), settings=settings))}
    assert (rows["a"].status, rows["b"].status) == ("failed", "done")
    assert rows["a"].error is not None
    assert "takes longer than 60 s" in rows["a"].error.what
    assert multiprocessing.active_children() == []
    # Its frames are safe: the same batch goes on there.
    again = covos.Batch([clip.input for clip in clips], tmp_path / "out", workers=1, formats=("palette",), device="cpu")
    assert [row.status for row in again.run().rows] == ["done", "done before"]
    assert check_output(tmp_path / "out" / "a") == []


def test_a_finished_clip_at_a_url_needs_no_source_either(clip: Path, tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text(f"input\n{clip.name}\ngone.mp4\n", encoding="utf-8")
    (tmp_path / "made" / clip.stem).mkdir(parents=True)
    (tmp_path / "made" / clip.stem / "report.json").write_bytes(b"{}")
    clip.unlink()
    with pytest.raises(InputError, match=r"row 2: .*gone"):
        covos.Batch(tmp_path / "m.csv", f"file://{tmp_path}/made", skip_existing=True)
    with pytest.raises(InputError, match=r"2 rows"):
        covos.Batch(tmp_path / "m.csv", f"file://{tmp_path}/made")


@pytest.mark.parametrize(
    ("output", "code", "said"),
    [
        ("memory://out", 2, "its memory is gone when it ends"),
        ("https://example.org/out", 2, "nothing can be written to https://"),
        ("nosuch://bucket/out", 2, "Protocol not known: nosuch"),
        ("lacking://bucket/out", 5, "a package is missing"),
    ],
)
def test_an_output_that_cannot_be_used_is_refused_before_a_worker_begins(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture,
    output: str, code: int, said: str,
) -> None:  # fmt: skip
    lacking = {"class": "covos.nosuch.FileSystem", "err": "Install lacking"}
    monkeypatch.setitem(known_implementations, "lacking", lacking)
    monkeypatch.setattr(Processes, "engage", lambda self: pytest.fail("a worker began"))
    assert main(["batch", str(clip), "-o", output]) == code
    told = capsys.readouterr().err
    assert said in told
    assert output in told
    assert main(["batch", str(clip), "-o", str(tmp_path / "out"), "--summary", f"{output}/t.csv"]) == code
    assert f"{output}/t.csv" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_all_faults_of_a_row_are_told_with_those_of_its_files(clip: Path, tmp_path: Path) -> None:
    (tmp_path / "prompts.json").write_text("{", encoding="utf-8")
    (tmp_path / "m.csv").write_text(
        "input,prompts,mask,objects,start,label,every\n"
        "gone.mp4,prompts.json,mask.png,none,yesterday,9=car,often\n"
        f"{clip.name},,,,,9=car,\n",
        encoding="utf-8",
    )
    with pytest.raises(InputError, match="2 rows of ") as refused:
        covos.Batch(tmp_path / "m.csv", tmp_path / "out")
    first = ("gone.mp4", "prompts.json", "mask.png", "objects = none", "yesterday", "every: ")
    assert [said for said in first if said not in refused.value.why] == []
    # A label may name any object while nobody knows what the prompts show.
    assert refused.value.why.count("row 1: ") == len(first)
    assert "row 2: the label car is of object 9" in refused.value.why
    assert not (tmp_path / "out").exists()


def test_prompts_at_a_url_are_checked_before_a_worker_begins(clip: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text("{", encoding="utf-8")
    (tmp_path / "mask.json").write_text('{"masks": [{"file": "gone.png"}]}', encoding="utf-8")
    lines = ["input,name,prompts", *(f"{clip.name},{name},{name}.json" for name in ("bad", "mask", "none"))]
    (tmp_path / "m.csv").write_text("\n".join(lines), encoding="utf-8")
    url = f"file://{tmp_path}"
    with pytest.raises(InputError, match=r"3 rows of file://") as refused:
        covos.Batch(f"{url}/m.csv", tmp_path / "out")
    for said in (f"row 1: {url}/bad.json is not JSON", f"row 2: {url}/gone.png", f"row 3: {url}/none.json"):
        assert said in refused.value.why
    assert "/covos-" not in refused.value.why


@pytest.mark.parametrize("letter", ["a", "é"])
def test_a_table_may_have_as_long_a_name_as_there_is(tmp_path: Path, letter: str) -> None:
    many = 251 // len(letter.encode())
    tables = [tmp_path / f"{letter * (many - 1)}{last}.csv" for last in "xy"]
    with Summary(str(tables[0]), [Row(name="a", input="a.mp4", folder="a")]), Summary(str(tables[1]), []):
        assert len(list(tmp_path.iterdir())) == 2
    assert sorted(tmp_path.iterdir()) == sorted(tables)


def test_two_batches_never_write_the_same_table(clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    out = tmp_path / "out"
    with Summary(str(out / "batch.csv"), [Row(name="a", input="a.mp4", folder="a")]) as first:
        first.write()
        before = (out / "batch.csv").read_bytes()
        assert main(["batch", str(clip), "-o", str(out)]) == 5
        assert "another batch writes" in (said := capsys.readouterr().err)
        assert f"process {os.getpid()} on " in said
        assert (out / "batch.csv").read_bytes() == before
        with Summary(str(tmp_path / "other.csv"), []):
            pass
    assert [each.name for each in out.iterdir()] == ["batch.csv"]


def test_the_summary_is_kept_up_to_date_while_a_batch_runs(tmp_path: Path) -> None:
    rows = [Row(name=name, input=f"{name}.mp4", folder=name) for name in ("a", "b")]
    now = 0.0
    file = tmp_path / "deep" / "batch.csv"
    with Summary(str(file), rows, clock=lambda: now) as summary:
        now = EVERY
        summary.add(Row(name="a", input="a.mp4", folder="a", status="done", frames=5, computed=4, seconds=2))
        assert table(file)["a"]["frames_per_second"] == "2.0"
        summary.add(Row(name="b", input="b.mp4", folder="b", status="done before", frames=9, seconds=0.3))
        assert table(file)["b"]["status"] == "waiting"
    found = table(file)["b"]
    assert (found["status"], found["frames"], found["frames_per_second"]) == ("done before", "9", "")


def test_the_summary_is_read_as_parquet(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = [Row(name="a", input="a.mp4", folder="a", carried={"camera": "left"}, frames=3, computed=3, seconds=1.5)]
    with Summary(str(tmp_path / "t.parquet"), rows):
        pass
    (read,) = parquet.read_table(tmp_path / "t.parquet").to_pylist()
    assert (read["frames"], read["frames_per_second"], read["camera"], read["error"]) == (3, 2.0, "left", None)


def test_the_columns_of_a_parquet_manifest_keep_their_values_and_types(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    columns = {
        "input": (pyarrow.string(), ["a.mp4", "b.mp4"]),
        "take": (pyarrow.int32(), [3, None]),
        "shot": (pyarrow.timestamp("ms", tz="UTC"), [noon, None]),
        "lux": (pyarrow.float32(), [0.5, float("nan")]),
        "rate": (pyarrow.decimal128(6, 3), [Decimal("23.976"), None]),
        "good": (pyarrow.bool_(), [True, None]),
        "tags": (pyarrow.list_(pyarrow.string()), [["x", "y"], []]),
        "camera": (pyarrow.dictionary(pyarrow.int8(), pyarrow.string()), ["left", None]),
        "memo": (pyarrow.string(), ["", None]),
        "status": (pyarrow.int64(), [1, 2]),
    }
    fields = [pyarrow.field(name, kind, metadata={"unit": name}) for name, (kind, _) in columns.items()]
    arrays = [pyarrow.array(values, kind) for kind, values in columns.values()]
    parquet.write_table(pyarrow.Table.from_arrays(arrays, schema=pyarrow.schema(fields)), tmp_path / "m.parquet")
    (tmp_path / "n.csv").write_text("input,memo\nc.mp4,\nd.mp4,x\n", encoding="utf-8")
    clips = read_clips([tmp_path / "m.parquet", tmp_path / "n.csv"])
    rows = [each.row for each in errands(clips, output="out", settings=Settings())]
    manifests = [str(tmp_path / name) for name in ("m.parquet", "n.csv")]
    with Summary(str(tmp_path / "t.parquet"), rows, manifests=manifests):
        pass
    read = parquet.read_table(tmp_path / "t.parquet")
    for name, (kind, values) in columns.items():
        column = {"input": None, "status": "input_status"}.get(name, name)
        if column is not None:
            found = read.schema.field(column)
            assert (found.type, found.metadata[b"unit"]) == (kind, name.encode())
            assert str(read[column].to_pylist()[:2]) == str(pyarrow.array(values, kind).to_pylist()), name
    assert read["memo"].to_pylist() == ["", None, None, "x"]
    assert read["take"].to_pylist()[2:] == [None, None]
    # As CSV, what is not there is empty.
    with Summary(str(tmp_path / "t.csv"), rows):
        pass
    assert [table(tmp_path / "t.csv")[name]["lux"] for name in "abc"] == ["0.5", "", ""]


def test_a_column_that_is_of_several_types_is_of_one_that_takes_all_or_of_texts(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    for name, take, size in (("a", 1, 7), ("b", 2.5, "large")):
        (tmp_path / name).mkdir()
        columns = {"input": [f"{name}.mp4"], "take": [take], "size": [size]}
        parquet.write_table(pyarrow.table(columns), tmp_path / name / "m.parquet")
    manifests = [str(tmp_path / name / "m.parquet") for name in "ab"]
    rows = [each.row for each in errands(read_clips(manifests), output="out", settings=Settings())]
    with Summary(str(tmp_path / "t.parquet"), rows, manifests=manifests):
        pass
    read = parquet.read_table(tmp_path / "t.parquet")
    assert (read["take"].to_pylist(), read["size"].to_pylist()) == ([1.0, 2.5], ["7", "large"])


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_column_of_a_manifest_stands_beside_that_of_the_same_name(tmp_path: Path, suffix: str) -> None:
    carried = {"status": "approved", "input_status": "new", "camera": "left", "frames": "9"}
    place = tmp_path / f"t.{suffix}"
    if suffix == "parquet":
        pytest.importorskip("pyarrow")
    with Summary(str(place), [Row(name="a", input="a.mp4", folder="a", status="done", frames=3, carried=carried)]):
        pass
    row = (
        table(place)["a"]
        if suffix == "csv"
        else pytest.importorskip("pyarrow.parquet").read_table(place).to_pylist()[0]
    )
    assert (row["status"], row["input_input_status"], row["input_status"]) == ("done", "approved", "new")
    assert (str(row["frames"]), row["input_frames"], row["camera"]) == ("3", "9", "left")
    assert len(row) == len(COLUMNS) + len(carried)


def test_a_batch_that_replaces_results_and_was_stopped_goes_on(make_clip, tmp_path: Path) -> None:
    clips = [make_clip(f"{name}.mp4", frames=4) for name in "ab"]
    settings = {"workers": 1, "formats": ("palette",), "device": "cpu"}
    part = {"range": Range(end="f2")}
    covos.Batch(clips, tmp_path / "out", **settings, **part).run()  # type: ignore[arg-type]

    def again(**further: object) -> list[tuple[str, int, int]]:
        work = covos.Batch(clips, tmp_path / "out", overwrite=True, **{**settings, **further})  # type: ignore[arg-type]
        return [(row.status, row.frames, row.computed) for row in work.run().rows]

    def stop(row: Row) -> None:
        raise KeyboardInterrupt

    mark = tmp_path / "out" / ".batch.csv.own"
    with pytest.raises(KeyboardInterrupt) as stopped:
        covos.Batch(clips, tmp_path / "out", overwrite=True, **settings).run(listen=stop)  # type: ignore[arg-type]
    assert "1 of 2 clips done, 0 begun; the same command goes on" in stopped.value.__notes__[0]
    assert Own(str(tmp_path / "out" / "batch.csv")).names() == {"a"}
    # The other still has two frames, of other settings.
    (tmp_path / "bad.mp4").write_text("no video", encoding="utf-8")
    clips.append(tmp_path / "bad.mp4")
    assert again() == [("done before", 4, 0), ("done", 4, 4), ("failed", 0, 0)]
    # One has failed, and the same command tries it again.
    make_clip("bad.mp4", frames=3)
    assert again() == [("done before", 4, 0), ("done before", 4, 0), ("done", 3, 3)]
    assert not mark.exists()
    # Each has its result now, and all are made again.
    clips.pop()
    assert again() == [("done", 4, 4), ("done", 4, 4)]


def test_its_own_results_are_replaced_where_the_command_is_another(make_clip, tmp_path: Path) -> None:
    clip = make_clip("a.mp4", frames=4)
    settings = {"workers": 1, "formats": ("palette",), "device": "cpu", "overwrite": True}
    covos.Batch(clip, tmp_path / "out", **settings).run()  # type: ignore[arg-type]
    Own(str(tmp_path / "out" / "batch.csv")).write({"a"})
    (row,) = covos.Batch(clip, tmp_path / "out", **settings, range=Range(end="f2")).run().rows  # type: ignore[arg-type]
    assert (row.status, row.frames) == ("done", 2)


def test_the_mark_of_a_batch_may_lie_at_a_url_and_says_if_it_is_damaged(tmp_path: Path) -> None:
    for table in (str(tmp_path / "t.csv"), f"file://{tmp_path}/far/t.csv"):
        mark = Own(table)
        assert mark.names() == frozenset()
        mark.write({"b", "day/a"})
        assert Own(table).names() == {"b", "day/a"}
        mark.drop({"a"})
        assert mark.names() == {"b", "day/a"}
        mark.drop({"b", "day/a"})
        assert mark.names() == frozenset()
        assert not exists(mark.place)
        mark.drop({"b"})
    (tmp_path / ".t.csv.own").write_text("{", encoding="utf-8")
    with (
        pytest.raises(InputError, match="cannot be read") as refused,
        Summary(str(tmp_path / "t.csv"), [], overwrites=True),
    ):
        pass
    assert "remove it" in refused.value.fix
    assert [each.name for each in tmp_path.iterdir() if each.is_file()] == [".t.csv.own"], "no lock stays"
    with Summary(str(tmp_path / "t.csv"), []):  # it replaces nothing
        pass
    assert (tmp_path / ".t.csv.own").read_text(encoding="utf-8") == "{"


def _made(name: str) -> Row:
    return Row(name=name, input=f"{name}.mp4", folder=name, status="done", frames=3)


def test_a_batch_that_is_killed_has_noted_each_clip_that_it_made(tmp_path: Path) -> None:
    place = str(tmp_path / "t.csv")
    mark = Own(place)
    mark.write({"a"})
    with Path(mark.place).open("ab") as file:
        file.write(b'"half')  # the machine lost its power
    with Summary(place, [], overwrites=True, clock=lambda: 0.0) as summary:
        assert summary.own == {"a"}
        for name in ("a", 'b"\n', "c\u00e9"):
            summary.add(_made(name))
        summary.add(replace(_made("d"), status="failed", frames=0))
        assert not exists(place), "the table is written later"
        assert mark.names() == {"a", 'b"\n', "c\u00e9"}
        # What has every name already is not written again, by the table neither.
        Path(mark.place).unlink()
        summary.add(_made("a"))
        summary.write()
        assert not exists(mark.place)


def test_a_name_that_could_not_be_noted_at_once_goes_with_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    far = f"file://{tmp_path}/far/t.csv"
    with Summary(far, [], overwrites=True) as summary:
        summary.add(_made("a"))
        assert not exists(Own(far).place)
        summary.write()
        assert Own(far).names() == {"a"}
    near = str(tmp_path / "t.csv")
    with Summary(near, [], overwrites=True) as summary:
        summary.add(_made("a"))
        with monkeypatch.context() as full:
            full.setattr(Path, "open", _full)
            summary.add(_made("b"))
        assert Own(near).names() == {"a"}
        summary.write()
        assert Own(near).names() == {"a", "b"}


def _full(*_: object) -> NoReturn:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("overwrites", [True, False])
def test_a_smaller_batch_that_ends_well_leaves_the_rest_of_the_mark(tmp_path: Path, overwrites: bool) -> None:
    place = str(tmp_path / "t.csv")
    Own(place).write({"a", "b", "c"})
    row = Row(name="b", input="b.mp4", folder="b", status="waiting")
    with Summary(place, [row], overwrites=overwrites) as summary:
        summary.add(replace(row, status="done", frames=3))
    assert Own(place).names() == {"a", "c"}


def test_a_clip_is_a_value() -> None:
    assert Clip.model_validate_json(Clip(input="a", name="a").model_dump_json()) == Clip(input="a", name="a")


@posix
def test_a_batch_that_is_stopped_says_what_is_safe(
    make_clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    clips = [str(make_clip(name, frames=40)) for name in ("a.mp4", "b.mp4")]
    told = _Display.counted

    def stop(display: _Display, name: str, frames: int) -> None:
        told(display, name, frames)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(_Display, "counted", stop)
    command = ["batch", *clips, "-o", str(tmp_path / "out"), "-f", "palette", "--device", "cpu", "--workers", "1"]
    assert main(command) == 130
    said = capsys.readouterr().err
    assert f"0 of 2 clips done, 1 begun; the same command goes on from there: {tmp_path / 'out' / 'batch.csv'}" in said
    found = table(tmp_path / "out" / "batch.csv")
    assert [row["status"] for row in found.values()] == ["begun", "waiting"]
    assert 0 < int(found["a"]["frames"]) < 40


def test_a_setting_is_told_its_place(clip: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="quality= for a batch") as caught:
        covos.batch([clip], tmp_path / "out", quality="fast")
    assert caught.value.fix == "write task={'quality': 'fast'}"
    with pytest.raises(UsageError, match="unknown setting 'formatz'") as caught:
        covos.batch([clip], tmp_path / "out", formatz=("coco",))
    assert "formats" in caught.value.fix
    with pytest.raises(UsageError, match="unknown setting 'colour'") as caught:
        covos.batch([clip], tmp_path / "out", colour="red")
    assert "source" not in caught.value.fix
    assert not (tmp_path / "out").exists()
