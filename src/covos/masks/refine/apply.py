"""The refinements that a user may choose from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from covos.errors import UsageError
from covos.masks.refine.guided import guided_filter

if TYPE_CHECKING:
    from torch import device

    from covos.types import ImageArray, ProbabilityArray

Refinement = Literal["none", "guided", "crf"]
"""How a probability is fitted to its picture.

- ``none``: not at all.
- ``guided``: the guided filter (see `covos.masks.refine.guided`).
- ``crf``: a dense CRF with published parameters of COSNet (see `covos.masks.refine.crf`).
"""


def check_refinement(name: str) -> Refinement:
    """The refinement of this name.

    Raises:
        UsageError: There is none.
    """
    for known in get_args(Refinement):
        if name == known:
            return known  # type: ignore[no-any-return]
    raise UsageError(
        f"unknown refinement {name!r}",
        why="masks can be fitted to the picture in a few ways only",
        fix=f"use one of: {', '.join(get_args(Refinement))}",
    )


def refine_probability(
    image: ImageArray, probability: ProbabilityArray, *, refinement: Refinement, device: device | None = None
) -> ProbabilityArray:
    """Fit a probability to its picture.

    Args:
        image: H x W x 3 uint8 RGB.
        probability: H x W float32 in [0, 1].
        refinement: Which way; ``"none"`` returns the probability itself.
        device: Where the CRF is computed; the CPU if not given, and for devices other than CUDA.

    Returns:
        H x W float32 in [0, 1].

    Raises:
        UsageError: There is no such refinement.
        ValueError: The image and the probability are not a pair: shapes, types, or a value that is NaN or not in
            [0, 1].
    """
    chosen = check_refinement(refinement)
    if chosen == "none":
        return probability
    if chosen == "guided":
        return guided_filter(image, probability)
    from covos.masks.refine.crf import crf_filter

    return crf_filter(image, probability, device=device)
