"""Draw a sheet of frames beside their annotations, to see at a glance that they belong together."""

from __future__ import annotations

import numpy as np

from covos.core.errors import UsageError
from covos.core.types import ImageArray
from covos.data.base import Dataset, FrameRecord, Video
from covos.data.reading import read_foreground, read_image, read_labels
from covos.masks import contact_sheet, davis_palette

_PAIRS_A_ROW = 4
_BLANK = 60


def preview(dataset: Dataset, *, frames: int = 8, cell_width: int = 200) -> ImageArray:
    """Draw up to ``frames`` frames of every video, evenly spread, each beside its annotation.

    Ids are shown in the DAVIS palette, binary and soft masks in grey with the subject's share of the picture. A frame
    without annotation stands beside an empty cell. Four pairs make a row.

    Args:
        dataset: The data set to show; take some videos of a large one first (``random_subset``).
        frames: The most frames of a video, at least 1.
        cell_width: Width of each picture, in pixels.

    Returns:
        H x W x 3 uint8 RGB.

    Raises:
        InputError: A file cannot be read.
        UsageError: ``frames`` is below 1, or the data set has no frame.
    """
    if frames < 1 or not any(video.frames for video in dataset):
        raise UsageError(
            f"{dataset.root}: nothing to draw",
            why=f"{frames} frames of each of {len(dataset)} videos, which have {sum(len(v.frames) for v in dataset)}",
            fix="ask for at least one frame of a data set that has some",
        )
    # A video begins a row; pictures follow one another.
    groups = [[video] for video in dataset if video.kind == "video"]
    groups.append([video for video in dataset if video.kind == "image"])
    sheets = [_sheet(group, frames, cell_width) for group in groups if any(video.frames for video in group)]
    picture = np.empty((sum(sheet.shape[0] for sheet in sheets), max(sheet.shape[1] for sheet in sheets), 3), np.uint8)
    top = 0
    for sheet in sheets:
        rows = picture[top : top + sheet.shape[0]]
        rows[:] = sheet[0, 0]  # the ground of a sheet that is narrower than others
        rows[:, : sheet.shape[1]] = sheet
        top += sheet.shape[0]
    return picture


def _sheet(videos: list[Video], frames: int, cell_width: int) -> ImageArray:
    cells: list[ImageArray] = []
    captions: list[str] = []
    for video in videos:
        count = min(frames, len(video.frames))
        for index in np.linspace(0, len(video.frames) - 1, count).round():
            record = video.frames[int(index)]
            annotation, said = _annotation(video, record)
            image = read_image(record) if record.image is not None else _blank(*annotation.shape[:2])
            cells += [image, _blank(*image.shape[:2]) if record.annotation is None else annotation]
            captions += [video.name if video.kind == "image" else f"{video.name}/{record.stem}", said]
    return contact_sheet(cells, columns=2 * _PAIRS_A_ROW, cell_width=cell_width, captions=captions)


def _annotation(video: Video, record: FrameRecord) -> tuple[ImageArray, str]:
    """Return the annotation as a picture, and a caption."""
    if record.annotation is None:
        return _blank(1, 1), "no annotation"
    if video.encoding == "ids":
        labels = read_labels(video, record)
        ids = [str(number) for number in np.unique(labels) if number]
        return davis_palette()[labels], f"ids {', '.join(ids)}" if ids else "empty"
    subject = read_foreground(video, record).probability
    grey = np.rint(subject * 255).astype(np.uint8)
    return np.repeat(grey[:, :, None], 3, axis=2), f"{video.encoding}, {subject.mean():.1%}"


def _blank(height: int, width: int) -> ImageArray:
    return np.full((height, width, 3), _BLANK, np.uint8)
