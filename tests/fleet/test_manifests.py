"""A manifest says what holds for each of its clips; a wrong one is refused in words."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

import pytest

from covos.core.errors import CovosError, InputError, UsageError
from covos.fleet.batch import Batch
from covos.fleet.clips import read_clips


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_whole_number_may_be_written_as_beside_a_gap(tmp_path: Path, suffix: str) -> None:
    """In pandas, a column of whole numbers that lacks one becomes a column of floating-point numbers."""
    manifest = tmp_path / f"m.{suffix}"
    if suffix == "csv":
        manifest.write_text("input,objects,every\na.mp4,,2.0\nb.mp4,3.0,\n", encoding="utf-8")
    else:
        pyarrow = pytest.importorskip("pyarrow")
        columns = {"input": ["a.mp4", "b.mp4"], "objects": [None, 3.0], "every": [2.0, None]}
        pytest.importorskip("pyarrow.parquet").write_table(pyarrow.table(columns), manifest)
    first, second = read_clips([manifest])
    assert (first.objects, first.every, second.objects, second.every) == (None, 2, "3", None)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_frame_rate_of_a_manifest_stands_for_what_the_option_would(tmp_path: Path, suffix: str) -> None:
    manifest = tmp_path / f"m.{suffix}"
    if suffix == "csv":
        manifest.write_text("input,frame_rate\na,29.97\nb,25\nc,\nd,12.5\n", encoding="utf-8")
    else:
        pyarrow = pytest.importorskip("pyarrow")
        columns = {"input": ["a", "b", "c", "d"], "frame_rate": [29.97, 25.0, None, 12.5]}
        pytest.importorskip("pyarrow.parquet").write_table(pyarrow.table(columns), manifest)
    rates = [clip.frame_rate for clip in read_clips([manifest])]
    assert rates == [Fraction(30000, 1001), 25, None, Fraction(25, 2)]


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("1.5,", "objects = 1.5 (it is neither auto nor a whole number)"),
        ("0,", "it is not from 1 to"),
        (",2.5", "every: "),
    ],
)
def test_a_number_that_is_not_whole_is_refused(tmp_path: Path, row: str, why: str) -> None:
    (tmp_path / "a.mp4").touch()
    (tmp_path / "m.csv").write_text(f"input,objects,every\na.mp4,{row}\ngone.mp4,,\n", encoding="utf-8")
    with pytest.raises(CovosError) as refused:
        Batch(tmp_path / "m.csv", tmp_path / "out")
    assert why in refused.value.why


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_manifest_sets_what_holds_for_one_clip(tmp_path: Path, kind: str) -> None:
    columns = {
        "input": ["a.mp4", "/far/b.mp4", "s3://bucket/c.mp4"],
        "name": ["", "day/b", ""],
        "prompts": ["a.json", "", ""],
        "start": ["1.5", "f10", ""],
        "every": ["", "2", ""],
        "objects": ["", "auto", ""],
        "frame_rate": ["", "", "30000/1001"],
        "camera": ["left", "", "right"],
    }
    file = tmp_path / f"clips.{kind}"
    if kind == "csv":
        rows = [",".join(columns), *(",".join(row) for row in zip(*columns.values(), strict=True))]
        file.write_text("\ufeff" + "\n".join(rows) + "\n", encoding="utf-8")
    else:
        pyarrow = pytest.importorskip("pyarrow")
        table = {name: [cell or None for cell in cells] for name, cells in columns.items()}
        table["every"] = [None, 2, None]
        pytest.importorskip("pyarrow.parquet").write_table(pyarrow.table(table), file)
    first, second, third = read_clips([file])
    assert (first.input, first.name, first.prompts) == (str(tmp_path / "a.mp4"), "a", str(tmp_path / "a.json"))
    assert (first.start, first.every, first.objects, first.carried["camera"]) == ("1.5", None, None, "left")
    assert (second.input, second.name, second.every, second.objects) == ("/far/b.mp4", "day/b", 2, "auto")
    assert (third.input, third.name, third.frame_rate) == ("s3://bucket/c.mp4", "c", pytest.approx(29.97, abs=1e-2))


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_cell_that_is_missing_is_empty_in_the_summary(tmp_path: Path, kind: str) -> None:
    file = tmp_path / f"m.{kind}"
    if kind == "csv":
        file.write_text("input,camera,take\na.mp4,left,3\nb.mp4\n", encoding="utf-8")
    else:
        pyarrow = pytest.importorskip("pyarrow")
        columns = {"input": ["a.mp4", "b.mp4"], "camera": ["left", None], "take": [3, None]}
        pytest.importorskip("pyarrow.parquet").write_table(pyarrow.table(columns), file)
    assert [clip.carried for clip in read_clips([file])] == [
        {"camera": "left", "take": "3" if kind == "csv" else 3},
        {"camera": None, "take": None},
    ]


def test_a_column_without_a_name_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text(",input,camera,\n0,a.mp4,left,\n1,b.mp4,right,mine\n", encoding="utf-8")
    first, second = read_clips([tmp_path / "m.csv"])
    assert (first.name, first.carried, second.carried) == ("a", {"camera": "left"}, {"camera": "right"})


def test_a_text_file_lists_inputs(tmp_path: Path) -> None:
    for name in ("list.txt", "a::[1].txt"):
        (tmp_path / name).write_text("# mine\na.mp4\n\n  sub/b c.mp4\n", encoding="utf-8")
        found = {clip.name: clip.input for clip in read_clips([tmp_path / name])}
        assert found == {"a": str(tmp_path / "a.mp4"), "b c": str(tmp_path / "sub/b c.mp4")}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("imput\na.mp4\n", "call the column input, not imput"),
        ("input;end\na.mp4;f3\n", "commas"),
        ("input,start\na.mp4,f1\n,f2\n", "its cell is empty"),
        ("input\na.mp4,b.mp4\n", "more cells than columns"),
        (",input\n0,a.mp4,b.mp4\n", "more cells than columns"),
        ("input\n", "no rows"),
    ],
)
def test_a_wrong_manifest_is_refused_in_words(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "m.csv").write_text(content, encoding="utf-8")
    with pytest.raises(InputError) as refused:
        read_clips([tmp_path / "m.csv"])
    error = refused.value
    assert said in f"{error.what} {error.why} {error.fix}"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("input,strat\na.mp4,f3\n", "has a column 'strat', which sets nothing"),
        ("input,propmts\na.mp4,a.json\n", "rename the column to prompts"),
        ("input,point\na.mp4,3\n", "write it into a prompt file"),
        ("input,every\na.mp4,often\n", "every"),
        ("input,name\na.mp4,../up\n", "'../up'"),
        ("input,name\na.mp4,/up\n", "'/up'"),
        ("input,frame_rate\na.mp4,1/0\n", "frame_rate"),
    ],
)
def test_a_wrong_setting_of_a_manifest_is_a_wrong_call(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "m.csv").write_text(content, encoding="utf-8")
    with pytest.raises(UsageError) as refused:  # exit code 2, as of the option of the same name
        read_clips([tmp_path / "m.csv"])
    error = refused.value
    assert said in f"{error.what} {error.why} {error.fix}"


def test_a_manifest_that_is_no_text_or_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_bytes(b"input\n\xff\xfe\n")
    with pytest.raises(InputError, match="UTF-8"):
        read_clips([tmp_path / "m.csv"])
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(InputError, match="pipe"):
        read_clips([tmp_path / "pipe.csv"])
