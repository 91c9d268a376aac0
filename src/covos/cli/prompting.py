"""From what the command line says of objects to what the session is shown."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from covos.errors import UsageError

if TYPE_CHECKING:
    from covos.api.following import Following, MaskFile

_MASK = re.compile(r"(?P<path>.+?)(?:@(?P<frame>\d+))?(?::(?P<object>\d+))?", re.DOTALL)


def following(
    masks: Sequence[str],
    *,
    inputs: Sequence[str],
    resize: bool,
    direction: Literal["auto", "forward", "backward", "both"],
    memory: int,
    follower: str,
) -> Following | None:
    """What to follow; None if nothing is shown.

    Raises:
        UsageError: Masks are given for several inputs, or an option of following without masks.
    """
    from covos.api.following import Following, show_files

    if not masks:
        _refuse_idle({"--resize-masks": resize, f"--direction {direction}": direction != "auto"})
        return None
    if len(inputs) > 1:
        raise UsageError(
            f"masks for {len(inputs)} inputs",
            why="a mask belongs to a frame of one video",
            fix="segment the videos one at a time, each with its own masks",
        )
    files = [mask_file(text) for text in masks]
    return Following(show=show_files(files, resize=resize), direction=direction, memory=memory, follower=follower)


def mask_file(text: str) -> MaskFile:
    """Read ``FILE[@FRAME][:OBJECT]``; a file of just that name goes before."""
    from covos.api.following import MaskFile

    if Path(text).is_file():
        return MaskFile(path=Path(text))
    found = _MASK.fullmatch(text)
    if found is None:
        raise UsageError(f"--mask {text!r}", why="it names no file", fix="write FILE, FILE@FRAME or FILE@FRAME:OBJECT")
    identity = found["object"]
    return MaskFile(
        path=Path(found["path"]), frame=int(found["frame"] or 0), object=None if identity is None else int(identity)
    )


def _refuse_idle(options: dict[str, bool]) -> None:
    for name, given in options.items():
        if given:
            raise UsageError(f"{name} without --mask", why="there is nothing to follow", fix="give a mask, or leave it")
