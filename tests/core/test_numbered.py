"""A pattern of names is refused as an output by every command that writes frames."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

import covos
from covos.cli import main
from covos.core.errors import UsageError
from covos.core.numbered import as_folder, is_pattern, matches_of, refuse_pattern
from covos.data import open_dataset
from covos.predict import predict

Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("seq.%04d.png", "seq"),
        ("seq_####", "seq"),
        ("%d", "frames"),
        ("a-%05i.exr", "a"),
        ("100%", None),
        ("take#1", None),
        ("50%discount", None),
        ("a.mkv", None),
    ],
)
def test_a_place_for_a_number_is_told_from_other_signs(tmp_path: Path, name: str, plain: str | None) -> None:
    if plain is None:
        refuse_pattern(tmp_path / name, fix=as_folder)
        return
    with pytest.raises(UsageError) as caught:
        refuse_pattern(tmp_path / name, fix=as_folder)
    assert caught.value.fix == f"name the folder: {tmp_path / plain}/"


def test_a_folder_that_is_there_and_a_url_are_what_they_are(tmp_path: Path) -> None:
    (tmp_path / "seq_%04d").mkdir()
    refuse_pattern(tmp_path / "seq_%04d", fix=as_folder)
    refuse_pattern("s3://bucket/cut%04d", fix=as_folder)


@pytest.mark.parametrize(
    ("words", "fix"),
    [
        (["stream", "CLIP", "OUT.mkv"], "name one file: PLACE/seq.mkv; pictures: covos segment"),
        (["stream", "CLIP", "OUT.png"], "name one file: PLACE/seq.mkv; pictures: covos segment"),
        (["batch", "CLIP", "-o", "OUT"], "name the folder: PLACE/seq/"),
        (["predict", "PLACE", "-o", "OUT"], "name the folder: PLACE/seq/"),
        (["reproduce", "davis2016", "--data", "PLACE", "-o", "OUT"], "name the folder: PLACE/seq/"),
        (["segment", "CLIP", "-o", "OUT.png"], "name the format and a folder: -f rgba -o PLACE/seq/"),
    ],
)
def test_every_command_that_writes_frames_refuses_one(
    clip: Path, tmp_path: Path, capsys: Capture, words: list[str], fix: str
) -> None:
    place = tmp_path / "place"
    place.mkdir()
    given = [
        word.replace("CLIP", str(clip)).replace("OUT", str(place / "seq.%04d")).replace("PLACE", str(place))
        for word in words
    ]
    assert main(given) == 2
    what, _, said = capsys.readouterr().err.splitlines()
    assert what.startswith("error: the pattern %04d in the name of an output")
    assert fix.replace("PLACE", str(place)) in said
    assert list(place.iterdir()) == []


def test_functions_refuse_it_as_commands_do(clip: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the pattern ##"):
        covos.batch(clip, tmp_path / "seq_##")
    dataset = open_dataset(_frames(tmp_path))
    with pytest.raises(UsageError, match="the pattern %d"):
        predict(dataset, output=tmp_path / "seq_%d")


def _frames(tmp_path: Path) -> Path:
    for part in ("images", "masks"):
        (tmp_path / part).mkdir()
        Image.new("L" if part == "masks" else "RGB", (16, 16)).save(tmp_path / part / "1.png")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("seq.*.png", True), ("seq.%04d.png", True), ("seq.####.exr", True), ("a.png", False), ("100%", False),
        ("s3://bucket/%04d.png", False), ("seq_%04d/a.png", False),
    ],
)  # fmt: skip
def test_names_of_several_files_are_known(name: str, expected: bool) -> None:
    assert is_pattern(name) is expected


@pytest.mark.parametrize("place", ["%04d", "%d", "####", "%05i"])
def test_a_place_stands_for_any_number_and_for_nothing_else(tmp_path: Path, place: str) -> None:
    folder = tmp_path / "a [b]"
    folder.mkdir()
    for name in ("x.0998.png", "x.0999.png", "x.1000.png", "x.1.png", "x.png", "x.a.png", "x.0998.png.bak", "y.1.png"):
        (folder / name).touch()
    expected = {"x.0998.png", "x.0999.png", "x.1000.png", "x.1.png"}
    assert {each.name for each in matches_of(f"{folder}/x.{place}.png")} == expected
    assert matches_of(f"{tmp_path}/none/x.{place}.png") == []
