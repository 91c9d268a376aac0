"""Open the videos of a data set that are to be segmented: a subset that is named, or the one that a challenge tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from covos.core.errors import SourceError
from covos.core.places import Place
from covos.core.words import Words
from covos.data.base import APART, Layout, NoSubsetError
from covos.data.dataset import Dataset
from covos.data.opening import open_dataset, refuse_seed_alone
from covos.data.splits import RATIO, TRAIN_SUBSETS, VALIDATION_SUBSETS

DEFAULT_SUBSETS = ("test", "test-dev", "val", "valid", "val_open")
"""Subsets to predict if none is named: the first of these that the data set has."""


def open_subset(
    root: Place | str,
    *,
    subset: str | None = None,
    ratio: float | None = None,
    seed: int | None = None,
    otherwise: Sequence[str] = DEFAULT_SUBSETS,
    layout: Layout | Literal["auto"] = "auto",
) -> Dataset:
    """Open the videos to predict.

    Args:
        root: Of the data set.
        subset: Of the data set.
        ratio: With the subset ``"train"`` or ``"val"``, the part that a training with this ratio trains or measures
            on; see `covos.data.open_dataset`.
        seed: Seed of that division; None is 0.
        otherwise: The first of these that there is, if ``subset`` is None; of a data set without subsets, all videos.
        layout: See `covos.data.open_dataset`.

    Raises:
        SourceError: There is no such data set or subset.
        UsageError: A seed is given without a ratio.
    """
    refuse_seed_alone(ratio=ratio, seed=seed)
    if ratio is not None:
        return open_dataset(root, layout=layout, subset=subset, ratio=ratio, seed=seed, encoding="ids")
    for name in otherwise if subset is None else [subset]:
        try:
            # Whatever the annotations mean, they are not looked at.
            return open_dataset(root, layout=layout, subset=name, encoding="ids")
        except NoSubsetError:
            continue
    whole = open_dataset(root, layout=layout, encoding="ids")
    if subset is None and not whole.splits:
        return whole
    fix = Words.of("leave the subset out to take all videos")
    if whole.splits:
        fix = "name one of them: " + Words("--subset NAME", python="subset=...")
    if whole.layout == "image-mask":
        fix += "; " + APART
    elif subset in (*TRAIN_SUBSETS, *VALIDATION_SUBSETS):
        divided = Words(f"--ratio {RATIO}", python=f"ratio={RATIO}")
        fix += "; or add " + divided + ", for the videos that a training divides off"
    raise (SourceError if subset is None else NoSubsetError)(
        f"{root} has no list of videos {' or '.join(otherwise) if subset is None else subset}",
        why=f"its lists are: {', '.join(sorted(whole.splits)) or 'none'}",
        fix=fix,
    )
