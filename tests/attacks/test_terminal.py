"""Names that would steer the terminal, or a spreadsheet."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from attacks.results import Run
from covos.core.errors import InputError, printable
from covos.core.progress import Progress
from covos.evaluation import evaluate
from covos.evaluation.tables import csv_files

ESCAPES = "a\x1b[2J\x1b]0;owned\x07\r\n\x9b31m\u202egpj"


def clean(text: str) -> bool:
    return all(line.isprintable() for line in text.split("\n"))


def test_a_text_for_the_terminal() -> None:
    assert printable(ESCAPES).isprintable()
    assert printable("Wörter – 影片 🎬") == "Wörter – 影片 🎬"
    assert clean(str(InputError(ESCAPES, why=ESCAPES, fix=ESCAPES)))


def test_a_progress_line() -> None:
    stream = io.StringIO()
    with Progress(ESCAPES, total=1, stream=stream) as progress:
        progress.advance()
    assert clean(stream.getvalue())


@pytest.mark.parametrize("cut", [False, True])
def test_names_of_inputs_and_outputs(clip: Path, tmp_path: Path, covos: Run, cut: bool) -> None:
    named = clip.rename(tmp_path / f"{ESCAPES}.mp4")
    if cut:
        named.write_bytes(named.read_bytes()[:300])
    code, said = covos("segment", named, "-o", tmp_path / ESCAPES, "-f", "palette")
    assert code == (3 if cut else 0)
    assert clean(said)
    if not cut:
        assert "\\x1b" in said
        code, said = covos("convert", tmp_path / ESCAPES, "-o", tmp_path / f"{ESCAPES}2", "-f", "coco", "-f", "matte")
        assert code == 0
        assert clean(said)


@pytest.mark.parametrize("verb", [("segment",), ("convert", "-f", "coco"), ("predict",), ("data", "inspect")])
def test_names_of_files_that_are_not_there(covos: Run, tmp_path: Path, verb: tuple[str, ...]) -> None:
    code, said = covos(*verb, tmp_path / ESCAPES, "--debug", *([] if verb[0] == "data" else ["-o", tmp_path / "out"]))
    assert code in {2, 3}
    assert clean(said)


def masks(root: Path, name: str) -> None:
    labels = np.zeros((24, 24), np.uint8)
    labels[4:12, 4:12] = 1
    (root / name).mkdir(parents=True)
    for index in range(4):
        Image.fromarray(labels).save(root / name / f"{index:05d}.png")


@pytest.mark.parametrize(
    "name", ['=HYPERLINK("http:,,x")', "+1+cmd", "-2+3", "@SUM(A1)", "\t=1+1", "\r=1", "-5", ESCAPES]
)
def test_a_sequence_that_is_named_like_a_formula(tmp_path: Path, covos: Run, name: str, capsys) -> None:
    name = name.replace("/", ",")
    for root in ("truth", "result"):
        masks(tmp_path / root, name)
    found = evaluate(tmp_path / "result", tmp_path / "truth", protocol="davis2016")
    for content in csv_files(found).values():
        for row in csv.reader(io.StringIO(content)):
            for cell in row:
                assert not cell.startswith(("=", "+", "@", "\t", "\r")), cell
                assert not cell.startswith("-") or cell.strip("- ").replace(".", "").isdigit()
    capsys.readouterr()
    assert covos("evaluate", tmp_path / "result", tmp_path / "truth", "--protocol", "davis2016", "-q")[0] == 0
