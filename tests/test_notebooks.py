"""The notebooks of docs/notebooks run, and are kept with what they show."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[1] / "docs" / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
MOST_BYTES = 1_500_000


def execute(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(folder / "execute.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def code_cells(notebook: Path) -> list[dict[str, Any]]:
    return [cell for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]


@pytest.mark.thorough  # what they call is asked by tests of results, of data, of training and of scoring
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_cell_runs(notebook: Path) -> None:
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
    assert len(NOTEBOOKS) >= 4
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
