"""Install the wheel alone, as a stranger does, and cut the cars out of the example clip: ``python .ci/alone.py WHEEL``.

The environment is new, the home is empty, the folder is not the repository, and nothing of the repository is on the
path: the wheel has to bring the weights, the pages and whatever else covos reads. torch comes first, from
``TORCH_INDEX`` if that is set: on Linux the default index has the CUDA build. ``KEEP=FOLDER`` keeps the environment
there, for a list of its parts.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
FRAMES = 10


def main(wheel: Path) -> None:
    """Make the environment, install and try."""
    with tempfile.TemporaryDirectory(prefix="covos-alone-") as name:
        place = Path(name)
        kept = Path(os.environ["KEEP"]) if os.environ.get("KEEP") else place / "environment"
        programs = kept / ("Scripts" if os.name == "nt" else "bin")
        print(f"a new environment in {kept}, with torch", flush=True)
        venv.create(kept, with_pip=True)
        pip = [str(programs / "python"), "-m", "pip", "--disable-pip-version-check", "--quiet", "install"]
        index = ["--index-url", os.environ["TORCH_INDEX"]] if os.environ.get("TORCH_INDEX") else []
        torch = next(line for line in (ROOT / "constraints.txt").read_text().splitlines() if line.startswith("torch=="))
        subprocess.run([*pip, *index, "--no-deps", torch], check=True)
        print(f"installing {wheel.name} and the rest", flush=True)
        subprocess.run([*pip, str(wheel.resolve())], check=True)
        print(f"the environment takes {_bytes_of(kept) / 1e9:.2f} GB", flush=True)
        _try(programs / "covos", place=place)


def _try(covos: Path, *, place: Path) -> None:
    """Run the program away from the repository, and look at what it leaves."""
    home, work = place / "home", place / "elsewhere"
    home.mkdir()
    work.mkdir()
    shutil.copy(ROOT / "examples" / "car.mp4", work)
    hidden = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "XDG_CACHE_HOME", "COVOS_RUNTIME")
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    environment |= {"HOME": str(home), "USERPROFILE": str(home), "LOCALAPPDATA": str(home / "local")}
    for line in (
        ["--version"],
        ["doctor"],
        ["models", "list"],
        ["segment", "car.mp4", "-o", "out", "--end", f"f{FRAMES}"],
        ["segment", "car.mp4", "-o", "car.mov", "--end", f"f{FRAMES}", "--matte"],
        ["segment", "car.mp4", "-o", "followed", "--end", f"f{FRAMES}", "--point", "320,200", "-f", "palette"],
        ["convert", "out", "-f", "coco", "-o", "coco"],
    ):
        began = time.monotonic()
        command = [str(covos), *line]
        done = subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True, check=False)
        print(f"covos {' '.join(line)}: exit code {done.returncode}, {time.monotonic() - began:.1f} s", flush=True)
        if done.returncode:
            sys.exit(f"{done.stdout}\n{done.stderr}")
    masks = len(list((work / "out" / "masks").glob("*.png")))
    report = json.loads((work / "out" / "report.json").read_text(encoding="utf-8"))
    if masks != FRAMES or not any(frame["objects"] for frame in report["frames"]):
        sys.exit(f"{masks} masks of {FRAMES}; the objects are {[frame['objects'] for frame in report['frames']]}")
    for file in (work / "car.mov", work / "coco" / "coco.json"):
        if not file.is_file() or not file.stat().st_size:
            sys.exit(f"{file} is missing or empty")


def _bytes_of(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file() and not file.is_symlink())


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python .ci/alone.py WHEEL")
    main(Path(sys.argv[1]))
