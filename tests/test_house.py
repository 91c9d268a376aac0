"""The rules of the house that no other tool checks."""

from __future__ import annotations

import re

from loaded import ROOT


def test_no_file_is_longer_than_500_lines() -> None:
    """The end, by the house's rules: look for the second idea in a longer file, and give it one of its own."""
    files = [file for room in ("src", "tests", "benchmarks", "docs/tools") for file in (ROOT / room).rglob("*.py")]
    counts = {file: len(file.read_bytes().splitlines()) for file in files}
    assert not {str(file.relative_to(ROOT)): count for file, count in counts.items() if count > 500}


def test_no_test_makes_a_package_of_the_name_of_a_benchmark_that_others_import() -> None:
    """These would get the folder of tests that was imported under the name before."""
    files = list((ROOT / "benchmarks").glob("*.py"))
    asked = re.compile(r"^(?:from|import) (\w+)", re.MULTILINE)
    shared = {name for file in files for name in asked.findall(file.read_text(encoding="utf-8"))}
    folders = {folder.name for folder in (ROOT / "tests").iterdir() if folder.is_dir()}
    names = {file.stem for file in files} & shared & folders
    assert "formats" in names
    made = re.compile(rf"^\s*(?:from|import) (?:{'|'.join(sorted(names))})\.", re.MULTILINE)
    assert not [file for file in (ROOT / "tests").rglob("*.py") if made.search(file.read_text(encoding="utf-8"))]
