"""Which videos of a data set to predict."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from covos.core.errors import SourceError
from covos.data import Dataset, Layout, NoSubsetError, open_dataset

DEFAULT_SUBSETS = ("test", "test-dev", "val", "valid", "val_open")
"""What is predicted if nothing is said: the first of these that the data set has."""


def open_subset(
    root: Path,
    *,
    subset: str | None = None,
    otherwise: Sequence[str] = DEFAULT_SUBSETS,
    layout: Layout | Literal["auto"] = "auto",
) -> Dataset:
    """Open the videos to predict.

    Args:
        root: Of the data set.
        subset: Of the data set.
        otherwise: The first of these that there is, if ``subset`` is None; of a data set without subsets, all videos.
        layout: See `covos.data.open_dataset`.

    Raises:
        SourceError: There is no such data set or subset.
    """
    for name in otherwise if subset is None else [subset]:
        try:
            # Whatever the annotations mean, they are not looked at.
            return open_dataset(root, layout=layout, subset=name, encoding="ids")
        except NoSubsetError:
            continue
    whole = open_dataset(root, layout=layout, encoding="ids")
    if subset is None and not whole.splits:
        return whole
    raise SourceError(
        f"{root} has no list of videos {' or '.join(otherwise) if subset is None else subset}",
        why=f"its lists are: {', '.join(sorted(whole.splits)) or 'none'}",
        fix="name one of them: --subset (subset=...)",
    )


def gives_objects(dataset: Dataset) -> bool:
    """Whether the videos come with the first mask of objects to follow: the semi-supervised task.

    A model that finds the subject by itself takes no notice of these masks.
    """
    first = {"first", "some"} if dataset.layout == "youtube-vos" else {"first"}
    return any(video.coverage in first for video in dataset)
