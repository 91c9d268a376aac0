"""The rules of the house that no other tool checks."""

from __future__ import annotations

from loaded import ROOT


def test_no_file_is_longer_than_500_lines() -> None:
    """The end, by the house's rules: look for the second idea in a longer file, and give it one of its own."""
    files = [file for room in ("src", "tests", "benchmarks", "docs/tools") for file in (ROOT / room).rglob("*.py")]
    counts = {file: len(file.read_bytes().splitlines()) for file in files}
    assert not {str(file.relative_to(ROOT)): count for file, count in counts.items() if count > 500}
