from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from covos.cli import main

TIANCHI = Path(__file__).parents[1] / "fixtures" / "tianchi"


def test_inspect_prints_a_table_and_writes_json(tmp_path, capsys):
    target = tmp_path / "found.json"
    assert main(["data", "inspect", str(TIANCHI), "--json", str(target)]) == 0
    out, err = capsys.readouterr()
    assert "600102  train        6          6        2         160 x 90        ids" in out
    assert "total: 3 videos or pictures, 15 frames, 12 annotated, 4 objects, 0 empty annotations" in out
    assert "inspect tianchi: 15/15 frames" in err
    assert json.loads(target.read_text())["datasets"][0]["totals"]["frames"] == 15


def test_inspect_a_subset_quietly(capsys):
    assert main(["data", "inspect", str(TIANCHI), "--subset", "test", "-q"]) == 0
    out, err = capsys.readouterr()
    assert "600103" in out
    assert "600101" not in out
    assert err == ""


def test_inspect_ends_with_3_where_files_cannot_be_read(tmp_path, capsys):
    root = tmp_path / "set"
    shutil.copytree(TIANCHI, root)
    (root / "Annotations/600101/00002.png").write_text("broken")
    (root / "Annotations/600102/00003.png").unlink()
    assert main(["data", "inspect", str(root)]) == 3
    out = capsys.readouterr().out
    assert "error: 1 files cannot be read" in out
    assert "warning: 1 frames lack an annotation that others of their video have: 600102/00003" in out


def test_inspect_a_folder_of_data_sets(tmp_path, capsys):
    shutil.copytree(TIANCHI, tmp_path / "one")
    (tmp_path / "clips").mkdir()
    assert main(["data", "inspect", str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    assert "one (a folder a video, layout tianchi, " in out
    assert "clips: no data set" in err


def test_large_data_sets_are_listed_by_their_first_videos(tmp_path, capsys):
    for number in range(61):
        for kind, suffix in (("images", "jpg"), ("masks", "png")):
            (tmp_path / kind).mkdir(exist_ok=True)
            Image.new("L", (8, 6), 255).save(tmp_path / kind / f"p{number:02}.{suffix}")
    assert main(["data", "inspect", str(tmp_path), "-q"]) == 0
    out = capsys.readouterr().out
    assert "p09" in out
    assert "p10" not in out
    assert "... and 51 more (--all)" in out
    assert main(["data", "inspect", str(tmp_path), "-q", "--all"]) == 0
    assert "p60" in capsys.readouterr().out


def test_the_part_that_a_training_measures_on(capsys):
    part = ["--subset", "val", "--ratio", "0.5", "-q"]
    assert main(["data", "inspect", str(TIANCHI), *part]) == 0
    out = capsys.readouterr().out
    assert "600102" in out
    assert "600101" not in out
    assert main(["data", "inspect", str(TIANCHI), *part, "--split-seed", "1"]) == 0
    assert "600101" in capsys.readouterr().out


def test_statistics_are_a_table_and_json(tmp_path, capsys):
    target = tmp_path / "numbers.json"
    command = ["data", "statistics", str(TIANCHI), "--subset", "train", "--json", str(target)]
    assert main(command) == 0
    out, err = capsys.readouterr()
    assert out.startswith("tianchi: 2 videos (train 2), 11 frames, 11 annotated (0 empty), 3 objects\n")
    assert "subject's share of the frame" in out
    assert "measure tianchi: 11/11 frames" in err
    (numbers,) = json.loads(target.read_text())["datasets"]
    assert numbers["lengths"]["median"] == 5.5
    assert main(command) == 2
    assert main([*command, "-y", "-q"]) == 0
    assert capsys.readouterr().err.count("measure") == 0


def test_statistics_of_a_folder_of_data_sets(tmp_path, capsys):
    for name in ("one", "two"):
        shutil.copytree(TIANCHI, tmp_path / name)
    assert main(["data", "statistics", str(tmp_path), "-q"]) == 0
    assert [part.split(":")[0] for part in capsys.readouterr().out.split("\n\n")] == ["one", "two"]


def test_preview_writes_a_sheet_and_does_not_overwrite(tmp_path, capsys):
    target = tmp_path / "sheet.png"
    command = ["data", "preview", str(TIANCHI), "-o", str(target), "--videos", "2", "--frames", "3"]
    assert main(command) == 0
    assert capsys.readouterr().out.strip() == str(target)
    with Image.open(target) as sheet:
        assert sheet.format == "PNG"
    before = target.read_bytes()
    assert main([*command, "--seed", "5"]) == 2
    assert "-y" in capsys.readouterr().err
    assert target.read_bytes() == before
    assert main([*command, "--frames", "1", "-y"]) == 0
    assert target.read_bytes() != before
    assert [path.name for path in tmp_path.iterdir()] == ["sheet.png"]


@pytest.mark.parametrize("name", ["sheet.jpg", "sheet", "sheet.png.txt", "."])
def test_a_preview_is_a_png_by_its_name_too(tmp_path, capsys, name):
    assert main(["data", "preview", str(tmp_path / "no_data"), "-o", str(tmp_path / name)]) == 2
    assert "a sheet is a PNG picture" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
    assert main(["data", "preview", str(TIANCHI), "-o", str(tmp_path / "S.PNG"), "--videos", "1", "--frames", "1"]) == 0


def test_preview_of_a_folder_of_data_sets(tmp_path, capsys):
    for name in ("one", "two"):
        shutil.copytree(TIANCHI, tmp_path / "sets" / name)
    assert main(["data", "preview", str(tmp_path / "sets"), "-o", str(tmp_path / "s.png"), "--frames", "1"]) == 0
    assert capsys.readouterr().out.split() == [str(tmp_path / "s-one.png"), str(tmp_path / "s-two.png")]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["inspect", "nowhere"], 3, "no such folder"),
        (["inspect", str(TIANCHI), "--subset", "val"], 2, "test, train"),
        (["inspect", str(TIANCHI), "--subset", "val"], 2, "--ratio 0.8 --split-seed 0"),
        (["inspect", str(TIANCHI), "--subset", "test", "--ratio", "0.8"], 2, "no part of a division"),
        (["statistics", str(TIANCHI), "--subset", "val", "--ratio", "80"], 2, "between 0 and 1"),
        (["inspect", str(TIANCHI), "--split-seed", "3"], 2, "add the ratio of the training, such as --ratio 0.8"),
        (["inspect", str(TIANCHI), "--layout", "tianchi", "--split-seed", "0"], 2, "without a ratio"),
        (["inspect", str(TIANCHI), "--layout", "coco"], 2, "coco"),
        (["inspect", str(TIANCHI), "--layout", "davis"], 3, "no DAVIS images"),
    ],
)
def test_refusals(arguments, code, said, capsys):
    assert main(["data", *arguments]) == code
    out, err = capsys.readouterr()
    assert said in err
    assert out == ""


def test_pack_writes_shards_that_the_other_commands_take(tmp_path, capsys):
    shards = tmp_path / "shards"
    assert main(["data", "pack", str(TIANCHI), "-o", str(shards), "--size", "40kB"]) == 0
    out, err = capsys.readouterr()
    assert out == f"{shards}\n"
    assert "30 files in 3 shards" in err
    assert main(["data", "inspect", str(TIANCHI), "-q"]) == 0
    loose = capsys.readouterr().out
    assert main(["data", "inspect", str(shards), "-q"]) == 0
    assert capsys.readouterr().out == loose.replace(str(TIANCHI), str(shards))
    assert main(["data", "statistics", str(shards), "-q"]) == 0
    assert main(["data", "preview", str(shards), "-o", str(tmp_path / "sheet.png")]) == 0


def test_pack_replaces_nothing_unasked(tmp_path, capsys):
    order = ["data", "pack", str(TIANCHI), "-o", str(tmp_path / "shards")]
    assert main(order) == 0
    assert main(order) == 2
    assert "is not empty" in capsys.readouterr().err
    assert main([*order, "-n"]) == 0
    assert main([*order, "-y", "-q"]) == 0
    assert main([*order, "-y", "--size", "many"]) == 2
    assert "write 256MB" in capsys.readouterr().err


def test_a_data_set_without_the_list_that_others_have_is_named(tmp_path, capsys):
    shutil.copytree(TIANCHI, tmp_path / "sets" / "listed")
    shutil.copytree(TIANCHI, tmp_path / "sets" / "bare", ignore=shutil.ignore_patterns("ImageSets"))
    sheet = str(tmp_path / "sheet.png")
    for verb in (["inspect"], ["statistics"], ["preview", "-o", sheet, "--videos", "1", "--frames", "1"]):
        assert main(["data", *verb, str(tmp_path / "sets"), "--subset", "train"]) == 0
        captured = capsys.readouterr()
        told = captured.out + captured.err
        assert told.count("bare is opened whole: it has no lists, so none that is called train") == 1
        assert main(["data", *verb, str(tmp_path / "sets" / "bare"), "--subset", "train"]) == 2
        assert "the subset 'train' does not exist" in capsys.readouterr().err
    assert main(["data", "statistics", str(tmp_path / "sets"), "--subset", "train", "-q"]) == 0
    assert capsys.readouterr().err == ""
