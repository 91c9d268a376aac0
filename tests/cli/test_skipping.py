"""-n leaves what is finished, over many inputs; a conversion is whole, or not there."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from covos.cli import main
from covos.core.errors import EnvironmentProblem
from covos.core.types import FrameResult
from covos.formats.mask_pictures import PaletteFormat
from covos.results.loading import convert

Tree = Callable[[Path], list[str]]


@pytest.fixture
def masks(tmp_path: Path) -> Path:
    folder = tmp_path / "masks"
    folder.mkdir()
    for index in range(6):
        mask = np.zeros((48, 64), np.uint8)
        mask[8:20, 4 + index : 20 + index] = 255
        Image.fromarray(mask).save(folder / f"{index:05d}.png")
    return folder


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_finished_results_are_skipped(
    make_clip, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clips = [make_clip(f"{name}.mp4", frames=3) for name in ("one", "two")]
    out = tmp_path / "out"
    line = ["segment", *map(str, clips), "-o", str(out), "-f", "palette", "-n"]
    assert main([*line[:2], "-o", str(out / "one"), "-f", "palette", "-n"]) == 0
    before = content(out / "one")
    capsys.readouterr()
    # Other settings: without -n that is refused.
    assert main([*line, "--references", "2"]) == 0
    said = capsys.readouterr().err
    assert f"skipped: {clips[0]}: {out / 'one'} is there already" in said
    assert content(out / "one") == before
    assert (out / "two" / "report.json").is_file()
    monkeypatch.setattr("covos.job.load_planned", lambda _: pytest.fail("nothing is to be done"))
    assert main(line) == 0
    assert capsys.readouterr().err.count("skipped: ") == 2
    assert main([*line, "-q"]) == 0
    assert capsys.readouterr().err == ""


def test_what_is_unfinished_is_not_skipped(make_clip, tmp_path: Path) -> None:
    clip, out = make_clip(frames=3), tmp_path / "out"
    line = ["segment", str(clip), "-o", str(out), "-f", "palette", "-n", "-q"]
    assert main(line) == 0
    (out / "masks" / "00001.png").unlink()
    (out / "report.json").unlink()
    (out / "covos.json").write_text((out / "covos.json").read_text().replace('"complete": true', '"complete": false'))
    assert main(line) == 0
    assert (out / "masks" / "00001.png").is_file()
    assert (out / "report.json").is_file()


@pytest.mark.parametrize(
    "line",
    [
        ("segment", "a.mp4", "-o", "out"),
        ("convert", "out", "-f", "coco"),
        ("models", "convert", "a.pth", "-o", "a.safetensors"),
        ("models", "average", "a", "b", "-o", "c.safetensors"),
        ("data", "inspect", "root", "--json", "a.json"),
        ("data", "statistics", "root", "--json", "a.json"),
        ("data", "preview", "tests", "-o", "a.png"),
        ("evaluate", "a", "b", "--protocol", "davis2016", "--json", "a.json"),
    ],
)
def test_not_both_replaced_and_left(
    line: tuple[str, ...], capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if line[0] == "evaluate":
        (tmp_path / "a").mkdir(), (tmp_path / "b").mkdir()
    assert main([*line, "-y", "-n"]) == 2
    assert "-y and -n together" in capsys.readouterr().err


def test_a_conversion_that_is_there(masks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = ["convert", str(masks), "-f", "coco", "-n"]
    assert main(line) == 0
    made = tmp_path / "masks-coco"
    before = content(made)
    capsys.readouterr()
    assert main(line) == 0
    assert f"skipped: {masks}: {made} is there already" in capsys.readouterr().err
    assert content(made) == before
    (made / "annotations.json").unlink(missing_ok=True)
    for path in made.glob("*coco*"):
        path.unlink()
    assert main(line) == 2, "what is not whole is not skipped, nor replaced"


@pytest.mark.parametrize("before", ["nothing", "empty", "earlier", "earlier and others"])
def test_a_conversion_that_fails_leaves_what_was(
    masks: Path, tmp_path: Path, tree: Tree, monkeypatch: pytest.MonkeyPatch, before: str
) -> None:
    out = tmp_path / "deep" / "out"
    if before == "empty":
        out.mkdir(parents=True)
    elif before != "nothing":
        convert(masks, formats=("coco", "binary"), output=out)
    if before == "earlier and others":
        (out / "notes.txt").write_text("mine")
    was = content(out)
    write = PaletteFormat._add

    def failing(self: PaletteFormat, result) -> None:
        if result.frame.index == 3:
            raise EnvironmentProblem("no", why="it failed", fix="again")
        write(self, result)

    with monkeypatch.context() as broken:
        broken.setattr(PaletteFormat, "_add", failing)
        with pytest.raises(EnvironmentProblem):
            convert(masks, formats=("palette",), output=out, overwrite=True)
    assert content(out) == was
    assert out.parent.exists() == (before != "nothing")
    if out.parent.exists():
        assert [path.name for path in out.parent.iterdir()] == ["out"]
    saved = convert(masks, formats=("palette",), output=out, overwrite=True)
    assert saved.folder == out
    assert all(path.exists() for path in (*saved.outputs, saved.report, saved.page))
    others = ["notes.txt"] if before == "earlier and others" else []
    assert tree(out) == sorted(
        [*(f"masks/{index:05d}.png" for index in range(6)), *others, "report.html", "report.json"]
    )


def convert_until_killed(masks: Path, output: Path) -> None:
    """Convert, and be killed at the fourth frame."""
    write = PaletteFormat._add

    def killed(self: PaletteFormat, result: FrameResult) -> None:
        if result.frame.index == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        write(self, result)

    PaletteFormat._add = killed  # type: ignore[method-assign]
    convert(masks, formats=("palette",), output=output)


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_a_conversion_that_is_killed(masks: Path, tmp_path: Path) -> None:
    from children import in_child  # it needs POSIX, too

    place = tmp_path / "place"
    place.mkdir()
    child = in_child(lambda: convert_until_killed(masks, place / "out"))
    assert (child.end, child.answer) == ("died", "SIGKILL")
    assert not (place / "out").exists(), "nothing half made bears the name"
    convert(masks, formats=("palette",), output=place / "out")
    assert os.listdir(place) == ["out"], "the next one clears away what the killed one left"  # noqa: PTH208
