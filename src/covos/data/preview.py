"""Draw a sheet of frames beside their annotations, to see at a glance that they belong together."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from PIL import Image

from covos.core.errors import UsageError
from covos.core.progress import counted
from covos.core.types import ImageArray
from covos.data.dataset import Dataset
from covos.data.sample import Sample, pairs_sheet
from covos.data.video import Video


def preview(
    what: Dataset | Video | Sample | Iterable[Dataset | Video | Sample],
    *others: object,
    frames: int = 8,
    cell_width: int = 200,
) -> Image.Image:
    """Draw frames beside their annotations: up to ``frames`` of every video, evenly spread.

    Ids are shown in the DAVIS palette, binary and soft masks in grey with the subject's share of the picture. A frame
    without annotation stands beside an empty cell. Four pairs make a row.

    Args:
        what: A data set, a video, a frame that was read, or several of these, such as a collection; of
            a large data set take some videos first (``dataset.random(6)``).
        others: Nothing else is taken: refused, with the way to write it.
        frames: The most frames of a video, at least 1.
        cell_width: Width of each picture, in pixels, at least 1.

    Returns:
        A Pillow picture, RGB: it shows itself in a notebook, ``.save("sheet.png")`` writes it, and ``numpy.asarray``
        makes it H x W x 3 uint8.

    Raises:
        InputError: A file cannot be read.
        UsageError: ``frames`` or ``cell_width`` is below 1, there is no frame, or ``what`` is something else.
    """
    if others:
        raise UsageError(
            f"preview takes one thing to draw, and was given {others[0]!r}, too",
            why="the sheet is a picture, which is returned; nothing is written",
            fix='preview(video).save("sheet.png"); several videos go in a list; frames=4',
        )
    for name, value in (("frames", frames), ("cell_width", cell_width)):
        if value < 1:
            raise UsageError(
                f"nothing to draw with {name}={value}", why="it is a number from 1 up", fix="leave it out, or raise it"
            )
    parts = _parts(what)
    # A video begins a row; pictures and frames follow one another.
    rows: list[list[Video | Sample]] = [[part] for part in parts if isinstance(part, Video) and part.kind == "video"]
    rows.append([part for part in parts if isinstance(part, Sample) or part.kind == "image"])
    drawn = ([sample for part in row for sample in _samples(part, frames=frames)] for row in rows)
    sheets = [pairs_sheet(samples, cell_width=cell_width) for samples in drawn if samples]
    if not sheets:
        raise UsageError(
            "nothing to draw: there is no frame",
            why=f"{counted(len(parts), 'video')} given, without any frame",
            fix="look at the data set with: covos data inspect ROOT",
        )
    return Image.fromarray(_stacked(sheets))


def _parts(what: object) -> list[Video | Sample]:
    parts: list[Video | Sample] = []
    for part in [what] if isinstance(what, Video | Sample) else what if isinstance(what, Iterable) else [None]:
        if isinstance(part, Dataset):
            parts += part
            continue
        if not isinstance(part, Video | Sample):
            raise UsageError(
                f"nothing to draw in a {type(what if part is None else part).__name__}",
                why="a sheet is of a data set, a video, a frame that was read (video[0]), or several of these",
                fix="covos.data.preview(dataset), preview(dataset[0]), preview(dataset[0][3])",
            )
        parts.append(part)
    return parts


def _samples(part: Video | Sample, *, frames: int) -> list[Sample]:
    if isinstance(part, Sample):
        return [part]
    return [part.sample(record.stem) for record in part.spread(frames)]


def _stacked(sheets: list[ImageArray]) -> ImageArray:
    picture = np.empty((sum(sheet.shape[0] for sheet in sheets), max(sheet.shape[1] for sheet in sheets), 3), np.uint8)
    top = 0
    for sheet in sheets:
        rows = picture[top : top + sheet.shape[0]]
        rows[:] = sheet[0, 0]  # the ground of a sheet that is narrower than others
        rows[:, : sheet.shape[1]] = sheet
        top += sheet.shape[0]
    return picture
