"""The notebooks of docs/notebooks run, and are kept with what they show."""

from __future__ import annotations

import ast
import importlib.util
import itertools
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import av
import pytest
from IPython.lib.pretty import pretty

import covos
from clips import write_clip
from covos.training import registry
from loaded import ROOT

EXAMPLES = ROOT / "examples"
FOLDER = ROOT / "docs" / "notebooks"
FAST = {"steps": 1, "frames_per_step": 2, "group_sizes": [2], "crops": [(64, 96)], "warmup": 1, "check": False}
"""Settings of a training that is quick."""
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
MOST_BYTES = 1_500_000


def execute(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(folder / "execute.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def code_cells(notebook: Path) -> list[dict[str, Any]]:
    return [cell for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the example clips: of the cars, the frames that the notebooks look at."""
    folder = tmp_path_factory.mktemp("clips")
    with av.open(str(EXAMPLES / "car.mp4")) as clip:
        pictures = (each.to_ndarray(format="rgb24") for each in itertools.islice(clip.decode(video=0), 46))
        write_clip(folder / "car.mp4", pictures, preset="ultrafast")
    shutil.copy(EXAMPLES / "bottle.mp4", folder)
    return folder


@pytest.mark.slow
@pytest.mark.usefixtures("small_networks")
@pytest.mark.filterwarnings("ignore:warning")
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_cell_runs_on_small_networks(
    notebook: Path,
    clips: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Each cell shows the words and types that are kept of it, with whatever numbers."""
    monkeypatch.setattr(registry, "TASKS", dict(registry.TASKS))
    monkeypatch.setattr("covos.training.validate.DEFAULT_AREA", 96 * 128)
    train = covos.train
    monkeypatch.setattr(covos, "train", lambda *given, **named: train(*given, **named | FAST))
    folder = tmp_path / "docs" / "notebooks"
    folder.mkdir(parents=True)
    shutil.copytree(clips, tmp_path / "examples")
    monkeypatch.chdir(folder)
    names: dict[str, Any] = {}
    for number, cell in enumerate(code_cells(notebook), 1):
        shown = run_cell("".join(cell["source"]), names)
        said = capsys.readouterr().out + ("" if shown is None else pretty(shown))
        if "varies" not in cell["metadata"].get("tags", []):
            assert words(said) == words(kept_text(cell)), f"cell {number}"


def run_cell(source: str, names: dict[str, Any]) -> object:
    """Run a cell, and return the value of the expression that ends it, None if none does."""
    body = ast.parse(source).body
    last = body.pop() if isinstance(body[-1], ast.Expr) and not source.rstrip().endswith(";") else None
    exec(compile(ast.Module(body, []), "cell", "exec"), names)
    return None if last is None else eval(compile(ast.Expression(last.value), "cell", "eval"), names)


def kept_text(cell: dict[str, Any]) -> str:
    texts = (output.get("text") or output["data"].get("text/plain", "") for output in cell["outputs"])
    return "".join("".join(text) for text in texts)


def words(text: str) -> str:
    """A text in which each number, and each row of numbers, is a sign, on one line."""
    signs = re.sub(r"[\s-]+", " ", re.sub(r"[-+]?\d+(\.\d+)?", "#", text)).strip()
    signs = re.sub("worse|better", "other", signs)  # by chance, with small networks
    return re.sub(r"#(, #)+", "#", signs)


@pytest.mark.thorough  # the outputs are compared with those that are kept
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_cell_shows_what_is_kept(notebook: Path) -> None:
    before = notebook.read_bytes()
    done = execute(FOLDER, notebook.stem)
    assert done.returncode == 0, done.stderr
    assert notebook.read_bytes() == before


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_is_kept_with_its_outputs(notebook: Path) -> None:
    cells = code_cells(notebook)
    # In order and without a gap: all of them were run, once, from the top.
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1)), "make notebooks"
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert {output["output_type"] for output in outputs} <= {"stream", "execute_result", "display_data"}
    assert {output["name"] for output in outputs if output["output_type"] == "stream"} <= {"stdout"}
    kinds = [kind for output in outputs for kind in output.get("data", {})]
    assert "image/jpeg" in kinds
    assert "image/png" not in kinds, "photos are small as JPEG"


def test_they_are_small_and_linked() -> None:
    assert len(NOTEBOOKS) >= 6
    assert sum(notebook.stat().st_size for notebook in NOTEBOOKS) < MOST_BYTES
    pages = "".join(page.read_text() for page in (*FOLDER.parent.glob("*.md"), FOLDER.parents[1] / "README.md"))
    assert all(f"notebooks/{notebook.name}" in pages for notebook in NOTEBOOKS)


def test_texts_are_compared_but_for_what_varies() -> None:
    spec = importlib.util.spec_from_file_location("execute", FOLDER / "execute.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def shown(text: str, **metadata: Any) -> list[str]:
        output = {"output_type": "stream", "name": "stdout", "text": text}
        cell = {"cell_type": "code", "metadata": metadata, "outputs": [output], "source": "", "execution_count": 1}
        content = {"cells": [cell | {"id": "a"}], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
        return list(module.told(module.nbformat.from_dict(content)))

    for alike in ("J  0.91 of 24", "J -0.9123 of 24\n"):
        module.refuse_others(shown(alike), shown("J 0.90 of 24"), Path("x.ipynb"))
    with pytest.raises(SystemExit, match="cell 1 shows"):
        module.refuse_others(shown("J 0.91 of 25"), shown("J 0.90 of 24"), Path("x.ipynb"))
    assert shown("frame 14", tags=["varies"]) == [""]


@pytest.mark.slow
def test_a_cell_that_raises_is_told_and_nothing_is_stored(tmp_path: Path) -> None:
    folder = tmp_path / "docs" / "notebooks"
    folder.mkdir(parents=True)
    (tmp_path / "examples").mkdir()
    shutil.copy(FOLDER / "execute.py", folder)
    cell = {"cell_type": "code", "id": "a", "metadata": {}, "outputs": [], "execution_count": None}
    for name, source in (("broken", "raise KeyError('mine')"), ("fine", "1 + 1")):
        content = {"cells": [cell | {"source": source}], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
        (folder / f"{name}.ipynb").write_text(json.dumps(content))
    before = (folder / "broken.ipynb").read_bytes()
    done = execute(folder, "--store", "broken")
    assert done.returncode == 1
    assert "KeyError" in done.stderr
    assert (folder / "broken.ipynb").read_bytes() == before
    assert execute(folder, "--store", "fine").returncode == 0
    (stored,) = code_cells(folder / "fine.ipynb")
    assert stored["outputs"][0]["data"] == {"text/plain": ["2"]}
    fine = folder / "fine.ipynb"
    fine.write_text(fine.read_text().replace('"2"', '"3"'))
    other = execute(folder, "fine")
    assert other.returncode == 1
    assert "cell 1 shows" in other.stderr
