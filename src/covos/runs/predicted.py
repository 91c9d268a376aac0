"""The masks of a data set in their folder: published video by video, found again, and packed for a challenge."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from covos.core.archives import write_archive
from covos.core.errors import CovosError, UsageError, listed
from covos.core.files import refuse_links
from covos.core.records import write_json
from covos.data import Dataset, Video
from covos.formats.mask_tree import MASKS as FRAME_MASKS
from covos.runs.predict_terms import Made
from covos.runs.schema import ReportContent, as_json, load_report

MASKS: Final = "Annotations"
REPORTS: Final = "reports"
UNFINISHED: Final = ".partial"
UNPACKED: Final = ".unpacked"
ARCHIVE: Final = "submission.zip"


@dataclass(frozen=True, slots=True)
class PredictedFolder:
    """The folder of a data set's masks, with a folder of masks and a report for each video that is done."""

    folder: Path

    @property
    def masks(self) -> Path:
        """The folder of the folders of masks."""
        return self.folder / MASKS

    @property
    def unpacked(self) -> Path:
        """The folder of pictures that lie in shards, for the time that their video is segmented."""
        return self.folder / UNPACKED

    @property
    def unfinished(self) -> Path:
        """The folder of the runs that are not done."""
        return self.folder / UNFINISHED

    def report(self, name: str) -> ReportContent:
        """Return the report of a video that is done.

        Raises:
            CovosError: There is none, or it cannot be read.
        """
        return load_report(self._report_file(name))

    def finished(self, video: Video) -> Made | None:
        """Return the outcome of an earlier run for a video; None if a part of it is missing."""
        try:
            report = self.report(video.name)
        except CovosError:
            return None
        whole = [row.stem for row in report.frames] == [frame.stem for frame in video.frames]
        if not whole or not all(mask.is_file() for mask in self._masks_of(video)):
            return None
        return Made(name=video.name, frames=len(video.frames), seconds=report.totals.seconds)

    def publish(self, work: Path, video: Video) -> Made:
        """Move the masks of a whole video to where they belong, then its report, which says that they are there.

        Raises:
            UsageError: The folder of its masks holds what is not covos's.
        """
        report = load_report(work)
        target = self.masks / video.name
        refuse_links(self.folder, target)
        _clear(target, self._masks_of(video))
        target.parent.mkdir(exist_ok=True)
        (work / FRAME_MASKS).replace(target)  # not what the report lists: somebody else may have written it
        content = as_json(report.model_copy(update={"outputs": (f"../{MASKS}/{video.name}",)}))
        file = self._report_file(video.name)
        refuse_links(self.folder, file.parent)
        file.parent.mkdir(exist_ok=True)
        write_json(content, file, indent=None)
        shutil.rmtree(work)
        return Made(name=video.name, frames=len(video.frames), seconds=report.totals.seconds)

    def pack(self, dataset: Dataset) -> Path:
        """Write the archive, as the challenge of the data set takes it.

        DAVIS takes a folder for each video at the top; YouTube-VOS and TIANCHI take them in ``Annotations``.
        """
        base = self.masks if dataset.layout == "davis" else self.folder
        archive = self.folder / ARCHIVE
        files = (mask for video in dataset for mask in self._masks_of(video))
        write_archive(archive, {mask.relative_to(base).as_posix(): mask for mask in files})
        return archive

    def _masks_of(self, video: Video) -> list[Path]:
        return [self.masks / video.name / f"{frame.stem}.png" for frame in video.frames]

    def _report_file(self, name: str) -> Path:
        return self.folder / REPORTS / f"{name}.json"


def _clear(folder: Path, masks: Sequence[Path]) -> None:
    """Remove the masks of a video that are to be made anew, and nothing else."""
    if not folder.is_dir():
        return
    others = [path.name for path in folder.iterdir() if path not in masks]
    if others:
        raise UsageError(
            f"{folder} holds {listed(sorted(others), shown=4)}",
            why="no frame of the video has this name, so it is not covos's to replace",
            fix="move it away",
        )
    for mask in masks:
        mask.unlink(missing_ok=True)
    folder.rmdir()
