"""Progress over the frames of a source, for the verbs that segment."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from covos.api.batch import Tracker
    from covos.types import FrameResult, SourceInfo


def frame_tracker(*, quiet: bool) -> Tracker:
    """A tracker that shows how many of a source's frames are done."""
    from covos.runtime.progress import Progress

    def track(info: SourceInfo, results: Iterable[FrameResult]) -> Iterable[FrameResult]:
        with Progress(Path(info.path).name, total=info.frame_count, quiet=quiet) as progress:
            yield from progress.track(results)

    return track
