"""The source of a finished run: if it is there, and still the one that the masks are of. Nothing heavy is loaded."""

from __future__ import annotations

from pathlib import Path

from covos.core.errors import SourceError, UsageError
from covos.core.types import SourceInfo
from covos.runs.schema import REPORT


def version_of(folder: Path) -> tuple[str, int]:
    """Return the name of a run's folder, and when the run was done: what is opened again is the same."""
    return str(folder.resolve()), (folder / REPORT).stat().st_mtime_ns


def source_of(info: SourceInfo, folder: Path) -> Path:
    """Return the path of the source of a run; a UsageError if it is not there."""
    source = Path(info.path).absolute()
    if info.kind == "masks" or not source.exists():
        raise UsageError(
            f"{folder} cannot be corrected",
            why=f"its source {info.path} is not there",
            fix="put it back; or, if it moved: covos convert RUN --source CLIP -f palette -o OTHER, and open that",
        )
    return source


def check_same(info: SourceInfo, *, count: int, size: tuple[int, int], run: Path) -> None:
    """Refuse, with a SourceError, a source that has fewer frames than the masks of a run, or another size."""
    if count > info.frame_count or size != (info.height, info.width):
        raise SourceError(
            f"{info.path} has changed since {run} was made of it",
            why=f"it has {info.frame_count} frames of {info.width}x{info.height} now, "
            f"the masks are {count} of {size[1]}x{size[0]}",
            fix="put the clip back that the run was made of, or segment it again",
        )
