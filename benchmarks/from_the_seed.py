"""The cost of the listing of docs/from-the-seed.md: processor time, wall time, memory and disk.

python benchmarks/from_the_seed.py              # on the small tree in TIANCHI's layout that the tests have
python benchmarks/from_the_seed.py --data ROOT  # on a tree of yours that has the video 600103, too

The network has its full width, from random weights.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import re
import resource
import shutil
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "from-the-seed.md"


def listing() -> str:
    """The page's Python."""
    _, found = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return str(found)


def main() -> None:
    """Run the listing in a temporary folder and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT / "tests" / "fixtures" / "tianchi")
    data = parser.parse_args().data.resolve()
    here = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            shutil.copytree(data, "TIANCHI")
            wall, processor = time.perf_counter(), time.process_time()
            with contextlib.redirect_stdout(io.StringIO()):
                exec(listing(), {"__name__": "listing"})
            wall, processor = time.perf_counter() - wall, time.process_time() - processor
            written = [path for path in Path().rglob("*") if path.is_file() and path.parts[0] != "TIANCHI"]
            disk = sum(path.stat().st_size for path in written)
        finally:
            os.chdir(here)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"{processor:.0f} s of processor, {wall:.0f} s of wall, {peak:.1f} GB of memory, {disk / 1e9:.1f} GB of disk")


if __name__ == "__main__":
    main()
