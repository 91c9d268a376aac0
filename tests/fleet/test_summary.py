"""The table of a batch, and the mark beside it of what the batch has made itself."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import NoReturn

import pytest

import covos
from batch_tables import table
from covos.cli import main
from covos.core.errors import InputError
from covos.fleet.clips import read_clips
from covos.fleet.own import Own
from covos.fleet.places import exists
from covos.fleet.summary import COLUMNS, EVERY, Summary
from covos.fleet.work import Row, Settings, errands
from covos.media.range import Range


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
    for place in (str(tmp_path / "t.csv"), f"file://{tmp_path}/far/t.csv"):
        mark = Own(place)
        assert mark.names() == frozenset()
        mark.write({"b", "day/a"})
        assert Own(place).names() == {"b", "day/a"}
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
