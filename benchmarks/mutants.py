"""Change the code a little, line by line, and count the changes that no test notices: ``python benchmarks/mutants.py``.

mutmut makes the mutants (``+`` becomes ``-``, ``<`` becomes ``<=``, a constant another), and runs those tests of each
topic that reach the changed function. A topic is a few files and their tests. Each is worked on in a copy of the
repository below ``build/mutants``, where a run that was stopped goes on. A survivor is not always a gap: many change a
message, or a line whose effect nobody sees.

    python benchmarks/mutants.py coattention masks        # these topics; all by default
    python benchmarks/mutants.py masks --survivors        # and the diff of each mutant that lived
    python benchmarks/mutants.py resize --only masks/letterbox.py    # of one file of the topic
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, kw_only=True)
class Topic:
    """Files of ``src/covos`` that are changed, and the tests that have to notice."""

    files: tuple[str, ...]
    tests: tuple[str, ...]


TOPICS = {
    "coattention": Topic(files=("models/coattention.py",), tests=("models/test_coattention.py",)),
    "resize": Topic(
        files=("masks/letterbox.py", "masks/soft.py", "masks/rims.py"),
        tests=("masks/test_letterbox.py", "masks/test_soft.py", "masks/test_rims.py", "masks/test_kept.py"),
    ),
    "masks": Topic(
        files=("masks/rle.py", "masks/edges.py", "masks/object_ids.py", "masks/label_files.py", "masks/polygon.py"),
        tests=("masks",),
    ),
    "formats": Topic(
        files=("formats/cvat.py", "formats/coco.py", "formats/labelstudio.py", "formats/brush.py", "formats/yolo.py"),
        tests=(
            "formats/test_annotations.py",
            "formats/test_annotators_files.py",
            "formats/test_labels.py",
            "formats/test_readers.py",
        ),
    ),
    "journal": Topic(files=("runs/journal.py",), tests=("runs/test_journal.py",)),
}
_CONFIG = """
[tool.mutmut]
source_paths = ["src/"]
only_mutate = [{files}]
pytest_add_cli_args_test_selection = [{tests}]
pytest_add_cli_args = ["-x", "-p", "no:cacheprovider", "-m", "not thorough"]
also_copy = ["src", "tests", "docs", "examples", "constraints.txt", "README.md"]
"""


def run(name: str, topic: Topic, *, children: int, survivors: bool) -> Counter[str]:
    """Try the mutants of a topic, and return how many there are of each state, such as ``killed``."""
    place = ROOT / "build" / "mutants" / name
    _copy(topic, place)
    program = Path(sys.executable).with_name("mutmut")
    with (place / "run.txt").open("w", encoding="utf-8") as log:
        subprocess.run([program, "run", "--max-children", str(children)], cwd=place, stdout=log, stderr=log, check=True)
    listed = subprocess.run(
        [program, "results", "--all", "true"], cwd=place, capture_output=True, text=True, check=True
    ).stdout
    states = dict(line.strip().rsplit(": ", 1) for line in listed.splitlines() if ": " in line)
    for mutant, state in states.items():
        if survivors and state != "killed":
            subprocess.run([program, "show", mutant], cwd=place, check=False)
    return Counter(states.values())


def _copy(topic: Topic, place: Path) -> None:
    for name in ("src", "tests", "docs", "examples"):
        shutil.copytree(ROOT / name, place / name, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("constraints.txt", "README.md"):
        shutil.copy(ROOT / name, place / name)

    def quoted(paths: tuple[str, ...], folder: str) -> str:
        return ", ".join(f'"{folder}/{path}"' for path in paths)

    config = _CONFIG.format(files=quoted(topic.files, "src/covos"), tests=quoted(topic.tests, "tests"))
    (place / "pyproject.toml").write_text(
        (ROOT / "pyproject.toml").read_text(encoding="utf-8") + config, encoding="utf-8"
    )


def main() -> None:
    """Print a row for each topic."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("topics", nargs="*", help=f"of {', '.join(TOPICS)}; all by default")
    parser.add_argument("--children", type=int, default=2, help="processes side by side")
    parser.add_argument("--survivors", action="store_true", help="show each mutant that lived")
    parser.add_argument(
        "--only", metavar="FILE", help="change this file of the topic alone, such as masks/letterbox.py"
    )
    given = parser.parse_args()
    if unknown := set(given.topics) - set(TOPICS):
        parser.error(f"no such topic: {', '.join(sorted(unknown))}")
    print("| topic | mutants | killed | lived | without a test | timed out |\n|---|--:|--:|--:|--:|--:|")
    for name in given.topics or TOPICS:
        topic, folder = TOPICS[name], name
        if given.only is not None:
            if given.only not in topic.files:
                parser.error(f"{name} has no file {given.only}: it has {', '.join(topic.files)}")
            topic, folder = replace(topic, files=(given.only,)), f"{name}-{Path(given.only).stem}"
        found = run(folder, topic, children=given.children, survivors=given.survivors)
        cells = [sum(found.values()), *(found[state] for state in ("killed", "survived", "no tests", "timeout"))]
        print(f"| {name} | {' | '.join(map(str, cells))} |", flush=True)


if __name__ == "__main__":
    main()
