"""A file or a finished run that a user asks to open, and the part of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from covos.core.types import SourceInfo
from covos.media.inputs import open_input, part_of
from covos.media.range import WHOLE, Range
from covos.results.trimming import KeptFrames
from covos.runs.schema import ReportContent, has_report, load_report
from covos.serve.run_source import check_same, source_of
from covos.serve.workers import Video


@dataclass(frozen=True, slots=True, kw_only=True)
class ToOpen:
    """A file or a finished run, and the part of it that is opened.

    Attributes:
        path: The file, or the folder of the run.
        range: The part as the user names it. In a run, seconds count from its first frame.
        part: The same by the numbers of its frames, however it was named: what is opened again is known by it.
    """

    path: Path
    range: Range = WHOLE
    part: Range = WHOLE

    @property
    def is_run(self) -> bool:
        """True for the folder of a finished run."""
        return has_report(self.path)


def look_at(path: Path, *, range: Range = WHOLE) -> ToOpen:
    """Return a file or a run to open, as an absolute path; the masks of a run are not read, which takes long.

    Raises:
        CovosError: The file cannot be read, or has no such part; or a run is damaged, or its source is not there or has
            another size or length.
    """
    if not has_report(path):
        with open_input(str(path)) as whole:
            taken = range.frames(whole)
            if (taken.start, taken.step) == (0, 1) and taken.stop >= whole.info.frame_count:
                return ToOpen(path=path.absolute())  # as with ``--start 0``: the work on it is that on the whole
            return ToOpen(path=path.absolute(), range=range, part=Range.taken(part_of(whole, range).info))
    report = load_report(path)
    known = report.source.info(folder=path)
    source = source_of(known, path)
    with Video.read_as(known, path=str(source), range=Range.taken(known)).open() as opened:
        check_same(opened.info, count=len(report.frames), size=(known.height, known.width), run=path)
    return ToOpen(path=path.absolute(), range=range, part=_part(report, known, range))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    number: int
    stem: str
    pts: int
    time_base: Fraction


def _part(report: ReportContent, known: SourceInfo, range: Range) -> Range:
    """Return the part of a run by the numbers of its frames, as `covos.results.trimming.trimmed` takes it."""
    if not range:
        return Range.taken(known)
    rows = [_Row(number=row.number, stem=row.stem, pts=row.pts, time_base=known.time_base) for row in report.frames]
    taken = range.frames(KeptFrames(info=replace(known, frame_count=len(rows)), frames=rows))
    kept = rows[taken.start : taken.stop : taken.step]
    if len(kept) == len(rows):
        return Range.taken(known)
    every = known.every * taken.step
    return Range(start=f"f{kept[0].number}", end=f"f{kept[-1].number + 1}", every=every)
