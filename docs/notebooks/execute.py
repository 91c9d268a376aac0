"""Execute the notebooks of this folder in a temporary place; ``--store`` keeps what they show in them.

python docs/notebooks/execute.py                     # does every cell run, and show what is kept?
python docs/notebooks/execute.py --store data        # execute data.ipynb, and keep its outputs

What goes to stderr, such as progress, is not kept. Texts are compared with what is kept, except for numbers with
decimals, which differ with the processor, and for cells with the tag "varies", in which all may.
"""

from __future__ import annotations

import argparse
import base64
import io
import re
import shutil
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from PIL import Image

HERE = Path(__file__).parent
EXAMPLES = HERE.parents[1] / "examples"
_QUALITY = 75
_WIDEST = 1000
"""Pictures are stored as JPEG of at most so many pixels in width."""


def main() -> None:
    """Execute the notebooks that are named, or all; end with 1 at the first cell that raises."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="such as data; all if none is named")
    parser.add_argument("--store", action="store_true", help="keep the outputs in the notebooks")
    arguments = parser.parse_args()
    names = arguments.names or sorted(path.stem for path in HERE.glob("*.ipynb"))
    for name in names:
        file = HERE / f"{name}.ipynb"
        notebook = nbformat.read(file, as_version=4)
        kept = told(notebook)
        try:
            execute(notebook)
        except CellExecutionError as error:
            sys.exit(f"{file}: {error}")
        if arguments.store:
            shrink(notebook)
            nbformat.write(notebook, file)
        else:
            refuse_others(told(notebook), kept, file)
        print(f"{file.name}: {len(notebook.cells)} cells")


def execute(notebook: nbformat.NotebookNode) -> None:
    """Run every cell, in a folder that lies beside a copy of the examples as this one does."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "docs" / "notebooks"
        folder.mkdir(parents=True)
        shutil.copytree(EXAMPLES, Path(temporary) / "examples")
        resources = {"metadata": {"path": str(folder)}}
        client = NotebookClient(notebook, timeout=1200, record_timing=False, resources=resources)
        client.execute()


def told(notebook: nbformat.NotebookNode) -> list[str]:
    """The texts that each cell shows, without decimals and without the space that lines columns up."""
    found = []
    for cell in notebook.cells:
        outputs = [output for output in cell.get("outputs", []) if output.get("name") != "stderr"]
        texts = [output.get("text") or output.get("data", {}).get("text/plain", "") for output in outputs]
        plain = re.sub(r"[-+]?\d+\.\d+", "#", "".join(texts))
        found.append("" if "varies" in cell.metadata.get("tags", []) else re.sub(r"[\s-]+", " ", plain).strip())
    return found


def refuse_others(now: list[str], kept: list[str], file: Path) -> None:
    """End with 1 at the first cell that shows another text than the one that is kept; one that keeps none may."""
    for number, (new, old) in enumerate(zip(now, kept, strict=True), 1):
        if old and new != old:
            sys.exit(
                f"{file}: cell {number} shows\n  {new}\nand kept is\n  {old}\nkeep what it shows now (--store), or "
                "tag it as one that varies"
            )


def shrink(notebook: nbformat.NotebookNode) -> None:
    """Store each picture once, as a small JPEG, and nothing of the machine."""
    for cell in notebook.cells:
        outputs = [output for output in cell.get("outputs", []) if output.get("name") != "stderr"]
        for output in outputs:
            data = output.get("data", {})
            if "image/png" in data:
                data["image/jpeg"] = _as_jpeg(base64.b64decode(data.pop("image/png")))
        if "outputs" in cell:
            cell["outputs"] = outputs
    notebook.metadata.pop("language_info", None)


def _as_jpeg(content: bytes) -> str:
    picture = Image.open(io.BytesIO(content)).convert("RGB")
    picture.thumbnail((_WIDEST, _WIDEST))
    stored = io.BytesIO()
    picture.save(stored, format="JPEG", quality=_QUALITY)
    return base64.b64encode(stored.getvalue()).decode("ascii")


if __name__ == "__main__":
    main()
