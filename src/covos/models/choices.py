"""The choices that networks leave to the user."""

from __future__ import annotations

from typing import Literal, cast, get_args

from covos.core.errors import UsageError, one_of

Fusion = Literal["summary", "prediction", "group"]
"""Fusion of several references that a query is compared with.

- ``summary``: the mean of the attention summaries, then the head once (COSNet, section 3.3).
- ``prediction``: the head for each reference, then the mean of the probabilities (COSNet's released code).
- ``group``: one attention over the positions of all references (the journal version, Lu et al., PAMI 2020).
"""

Refinement = Literal["none", "crf"]
"""Refinement of a probability by its picture: not at all, or by the dense CRF with published parameters of COSNet."""


def check_refinement(name: str) -> Refinement:
    """Return the refinement of this name."""
    if name in get_args(Refinement):
        return cast("Refinement", name)
    raise UsageError(
        f"unknown refinement {name!r}",
        why="masks can be fitted to the picture in a few ways only",
        fix=one_of(name, get_args(Refinement)),
    )
