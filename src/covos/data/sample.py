"""A frame that is read: its picture and its annotation as arrays, and sheets of such pairs to look at."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from covos.core.types import ImageArray, LabelArray, ProbabilityArray
from covos.data.base import Encoding
from covos.masks import VOID, contact_sheet, davis_palette, present_ids

_PAIRS_A_ROW = 4
_BLANK = 60
_SMALL = 120
"""Width of a picture on a sheet in a notebook."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Sample:
    """A frame's picture and annotation: ``image, labels = sample``.

    Attributes:
        image: H x W x 3 uint8 RGB; None only in a tree that holds annotations alone.
        labels: H x W uint8 object ids; 0 = background, 255 = void. A binary mask is object 1; of a soft one, what is
            above 0.5. None where the frame has no annotation.
        video: Name of the video; of a picture, its own.
        stem: Name of the frame: its files without their extension.
        encoding: Meaning of the annotation's values.
        soft: A soft annotation as it is, H x W float32 in [0, 1]; None for other annotations.
    """

    image: ImageArray | None
    labels: LabelArray | None
    video: str
    stem: str
    encoding: Encoding = "ids"
    soft: ProbabilityArray | None = None

    def __iter__(self) -> Iterator[ImageArray | LabelArray | None]:
        return iter((self.image, self.labels))

    @property
    def name(self) -> str:
        """The video and the frame, such as ``"bear/00012"``; of a picture, its name."""
        return self.stem if self.video == self.stem else f"{self.video}/{self.stem}"

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        shown = self.labels if self.image is None else self.image
        return (0, 0) if shown is None else (shown.shape[0], shown.shape[1])

    @property
    def ids(self) -> tuple[int, ...]:
        """The objects that are seen, ascending, void left out; none where there is no annotation."""
        return () if self.labels is None else tuple(each for each in present_ids(self.labels) if each != VOID)

    def __repr__(self) -> str:
        seen = "no annotation" if self.labels is None else f"objects {list(self.ids)}"
        return f"Sample({self.name!r}, {self.size[0]} x {self.size[1]}, {seen})"

    def _repr_html_(self) -> str:
        """Show the picture beside its annotation, for notebooks."""
        return as_html(pairs_sheet([self], cell_width=2 * _SMALL), text=repr(self))


def pairs_sheet(samples: Sequence[Sample], *, cell_width: int = _SMALL) -> ImageArray:
    """Draw each picture beside its annotation, four pairs a row; return H x W x 3 uint8 RGB.

    Ids are shown in the DAVIS palette, binary and soft masks in grey with the subject's share of the picture. A cell is
    empty if the frame lacks it.
    """
    cells: list[ImageArray] = []
    captions: list[str] = []
    for sample in samples:
        empty = np.full((*(sample.size if min(sample.size) else (1, 1)), 3), _BLANK, np.uint8)
        annotation, said = empty, "no annotation"
        if sample.labels is not None and sample.encoding != "ids":
            share = (sample.labels if sample.soft is None else sample.soft).astype(np.float32)
            annotation = np.repeat(np.rint(share * 255).astype(np.uint8)[:, :, None], 3, axis=2)
            said = f"{sample.encoding}, {share.mean():.1%}"
        elif sample.labels is not None:
            annotation = davis_palette()[sample.labels]
            said = f"ids {', '.join(map(str, present_ids(sample.labels)))}" if sample.labels.any() else "empty"
        cells += [empty if sample.image is None else sample.image, annotation]
        captions += [sample.name, said]
    return contact_sheet(cells, columns=2 * _PAIRS_A_ROW, cell_width=cell_width, captions=captions)


def as_html(sheet: ImageArray | None, *, text: str) -> str:
    """Return a sheet above a text for a notebook; nothing is loaded from elsewhere."""
    from covos.core.pages import picture_uri  # brings jinja2, which reading data has no use for

    below = f"<div><code>{html.escape(text)}</code></div>"
    if sheet is None:
        return below
    return f'<div><img alt="frames beside their annotations" src="{picture_uri(sheet)}"></div>{below}'
