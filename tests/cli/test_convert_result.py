"""`covos convert` as users call it."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import covos
from checked_output import check_output
from covos.cli import main
from covos.masks import write_label_map


@pytest.fixture
def masks(tmp_path: Path) -> Path:
    """For the eight frames of the clip."""
    folder = tmp_path / "masks"
    folder.mkdir()
    for index in range(8):
        labels = np.zeros((48, 64), np.uint8)
        labels[10:30, index : index + 20], labels[15:20, index + 5 : index + 9] = 4, 0
        write_label_map(folder / f"{index:05d}.png", labels)
    return folder


def run(*arguments: object) -> int:
    return main(["convert", *(str(argument) for argument in arguments)])


def test_masks_become_annotations_and_come_back(
    masks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(masks, "-f", "cvat", "-f", "yolo") == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert "warning: " in err
    assert "holes" in err
    made = tmp_path / "masks-cvat-yolo"
    names = ["cvat.xml", "yolo", "report.json", "report.html"]
    assert err.splitlines()[-1] == f"8 frames: {', '.join(str(made / name) for name in names)}"
    assert run(made / "cvat.xml", "-f", "palette", "-o", tmp_path / "back", "-q") == 0
    assert capsys.readouterr().err == ""
    assert covos.load_result(tmp_path / "back") == covos.load_result(masks)
    assert check_output(tmp_path / "back") == []


def test_a_video_of_masks_needs_the_video(
    masks: Path, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(masks, "-f", "overlay") == 2
    what, why, fix = capsys.readouterr().err.splitlines()
    assert what == "error: the format overlay needs the pictures"
    assert str(masks) in why
    assert "--source" in fix
    assert run(masks, "-f", "overlay", "--source", clip, "-o", tmp_path / "seen") == 0
    assert check_output(tmp_path / "seen") == []
    report = json.loads((tmp_path / "seen" / "report.json").read_text())
    assert report["source"]["path"] == str(clip)


@pytest.mark.parametrize(("name", "said"), [("clip.mov", "it is a video"), ("photo.jpg", "it is a picture")])
def test_a_medium_is_told_from_masks(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, said: str
) -> None:
    given = tmp_path / name
    if name.endswith(".jpg"):
        Image.fromarray(np.zeros((48, 64, 3), np.uint8)).save(given)
    else:
        given.write_bytes(clip.read_bytes())
    assert run(given, "-f", "coco") == 3
    _, why, fix = capsys.readouterr().err.splitlines()
    assert said in why
    assert f"covos segment {given}" in fix
    given.with_name(f"{name}.covos").mkdir()
    assert run(given, "-f", "coco") == 3
    assert f"name {given}.covos" in capsys.readouterr().err


def test_masks_from_anywhere_get_a_matte(
    masks: Path, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["-f", "rgba", "--source", clip, "--device", "cpu", "--precision", "fp32"]
    assert run(masks, *words, "--matte", "-o", tmp_path / "soft") == 0
    said = capsys.readouterr().err
    assert "hard edges" not in said
    assert f"{masks.name}, matte: 8/8 frames" in said
    assert f"{masks.name}: 8/8 frames" in said
    found = covos.load_result(masks, source=clip).with_matte(device="cpu", precision="fp32")
    found.save(tmp_path / "python", formats=["rgba"])
    assert (tmp_path / "soft/rgba/00003.png").read_bytes() == (tmp_path / "python/rgba/00003.png").read_bytes()
    assert json.loads((tmp_path / "soft/report.json").read_text())["settings"]["matte"]["name"] == "covos-matte"
    assert run(masks, "-f", "coco", "-f", "palette", "--matte", "-o", tmp_path / "hard") == 2
    assert "nothing is written that has it" in capsys.readouterr().err


def test_a_label_of_no_object_is_told(masks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(masks, "-f", "coco", "-o", tmp_path / "named", "--label", "4=car", "--label", "2=dog") == 0
    warning = "labelled, and in no frame: object 2 (dog); the object is 4"
    assert f"warning: {masks}: {warning}" in capsys.readouterr().err
    assert warning in json.loads((tmp_path / "named/report.json").read_text())["warnings"]
    assert run(tmp_path / "named", "-f", "ytvis", "-o", tmp_path / "again") == 0
    assert "warning" not in capsys.readouterr().err, "it was told when it was asked for"


def test_exit_codes(masks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "text.json").write_text("no masks")
    for arguments, code in (
        ([tmp_path / "text.json", "-f", "coco"], 3),
        ([tmp_path / "none", "-f", "coco"], 3),
        ([masks, "-f", "bmp"], 2),
        ([masks], 2),
        ([masks, "-o", tmp_path / "x.xyz"], 2),
        ([masks, "-f", "coco", "--source", tmp_path / "none.mp4"], 3),
    ):
        assert run(*arguments) == code, arguments
        lines = capsys.readouterr().err.splitlines()
        assert [line.split(":")[0].strip() for line in lines] == ["error", "why", "fix"]
    assert not list(tmp_path.glob("*-coco"))


def test_soft_formats_of_hard_masks_come_with_a_warning(
    masks: Path, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(masks, "-f", "rgba", "-f", "overlay", "--source", clip, "-o", tmp_path / "cut") == 0
    assert f"warning: {masks}: rgba: hard edges, for no probabilities were kept" in capsys.readouterr().err
    assert run(masks, "-f", "binary", "-f", "npz", "-o", tmp_path / "plain") == 0
    assert "warning" not in capsys.readouterr().err


def test_a_result_that_lacks_a_picture_still_lacks_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shots = tmp_path / "shots"
    shots.mkdir()
    for index in range(4):
        Image.fromarray(np.full((48, 64, 3), 60 * index, np.uint8)).save(shots / f"{index}.png")
    (shots / "2.png").write_bytes(b"no picture")
    assert main(["segment", str(shots), "-o", str(tmp_path / "out"), "-f", "palette", "-q"]) == 4
    capsys.readouterr()
    for name, format in (("other", "overlay"), ("x.npz", "npz"), ("part", "coco")):
        part = ["--start", "f1"] if name == "part" else []
        code = run(tmp_path / "out", "-f", format, "-o", tmp_path / name, "-q", *part)
        err = capsys.readouterr().err
        assert code == 4, name
        assert "1 picture cannot be read: 2.png" in err
        assert "BufferedReader" not in err, "names are those that the user gave"
        assert "1 picture not to be read" in err
        assert (tmp_path / name).exists()
    assert run(tmp_path / "out", "-f", "coco", "-o", tmp_path / "again", "-q", "--allow-errors") == 0
    assert run(tmp_path / "out", "-f", "coco", "-o", tmp_path / "whole", "-q", "--end", "f2") == 0


def test_one_file_needs_no_room_for_a_report(
    masks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("covos.runs.report.render_report", full)
    assert run(masks, "-o", tmp_path / "x.npz", "-q") == 0
    assert covos.load_result(tmp_path / "x.npz") == covos.load_result(masks)
    assert covos.load_result(masks).save(tmp_path / "y.npz").report is None
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix in {".npz", ".covos"}) == ["x.npz", "y.npz"]
    capsys.readouterr()
    for words in (("-o", tmp_path / "z.npz", "--keep"), ("-o", tmp_path / "folder", "-f", "npz")):
        assert run(masks, *words, "-q") == 5
        assert "No space left" in capsys.readouterr().err
