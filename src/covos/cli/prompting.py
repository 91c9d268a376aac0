"""From what the command line says of objects to what the session is shown."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from covos.core.errors import UsageError
from covos.core.progress import counted

if TYPE_CHECKING:
    from covos.api.discovering import Discovering
    from covos.api.following import Following
    from covos.api.pointing import Pointing
    from covos.api.prompt_file import MaskFile


_MASK = re.compile(r"(?P<path>.+?)(?:@(?P<frame>\d+))?(?::(?P<object>\d+))?", re.DOTALL)
_NUMBER = r"[+-]?\d+(?:\.\d*)?"
_PLACE = re.compile(rf"(?P<numbers>{_NUMBER}(?:,{_NUMBER})*)(?:@(?P<frame>\d+))?(?::(?P<object>\d+))?", re.ASCII)


def following(
    masks: Sequence[str],
    *,
    points: Sequence[str] = (),
    not_points: Sequence[str] = (),
    boxes: Sequence[str] = (),
    prompts: Path | None = None,
    inputs: Sequence[str],
    resize: bool,
    direction: Literal["auto", "forward", "backward", "both"],
    memory: int,
    follower: str,
    prompter: str = "auto",
    finding: bool = False,
) -> Following | None:
    """What to follow; None if nothing is shown.

    Options are as written; with ``finding``, objects are found where none are shown, and followed then.

    Raises:
        UsageError: Prompts are given for several inputs or cannot be read, or an option of following without prompts.
        AnnotationError: The prompt file cannot be read.
    """
    from covos.api.following import Following, show_files
    from covos.api.prompt_file import read_prompt_file
    from covos.api.prompters import AUTO
    from covos.engines.memory import DEFAULT_MEMORY
    from covos.models.registry import DEFAULT_FOLLOWER

    if not (masks or points or not_points or boxes or prompts):
        _refuse_idle(
            {
                "--resize-masks": resize,
                f"--direction {direction}": direction != "auto",
                f"--memory {memory}": memory != DEFAULT_MEMORY and not finding,
                f"--follower {follower}": follower != DEFAULT_FOLLOWER and not finding,
                f"--prompter {prompter}": prompter != AUTO,
            }
        )
        return None
    if prompter != AUTO and not (points or not_points or boxes or prompts):
        raise UsageError(
            f"--prompter {prompter} without a point or a box", why="it would have nothing to do", fix="leave it out"
        )
    if len(inputs) > 1:
        raise UsageError(
            f"objects are shown for {len(inputs)} inputs",
            why="a mask, a point or a box belongs to a frame of one video",
            fix="segment the videos one at a time, each with its own",
        )
    files = [mask_file(text) for text in masks]
    pointings = [box(text) for text in boxes]
    pointings += [point(text) for text in points] + [point(text, positive=False) for text in not_points]
    if prompts is not None:
        listed = read_prompt_file(prompts)
        files += listed.masks
        pointings += listed.pointings
    show = show_files(files, pointings=pointings, resize=resize)
    return Following(show=show, direction=direction, memory=memory, follower=follower, prompter=prompter)


def mask_file(text: str) -> MaskFile:
    """Read ``FILE[@FRAME][:OBJECT]``; a file of just that name goes before."""
    from covos.api.prompt_file import MaskFile

    if Path(text).is_file():
        return MaskFile(path=Path(text))
    found = _MASK.fullmatch(text)
    form = "write FILE, FILE@FRAME or FILE@FRAME:OBJECT"
    if found is None:
        raise UsageError(f"--mask {text!r}", why="it names no file", fix=form)
    for mark, what in (("@", "frame, or frame and object"), (":", "object")):
        file, _, rest = found["path"].rpartition(mark)
        if Path(file).is_file():
            raise UsageError(f"--mask {text!r}", why=f"{rest!r} is no {what}", fix=f"{form}: whole numbers")
    identity = found["object"]
    return MaskFile(
        path=Path(found["path"]), frame=int(found["frame"] or 0), object=None if identity is None else int(identity)
    )


def point(text: str, *, positive: bool = True) -> Pointing:
    """Read ``X,Y[@FRAME][:OBJECT]``."""
    from covos.api.pointing import Pointing
    from covos.core.types import Point

    option = "--point" if positive else "--not-point"
    (x, y), frame, identity = _place(option, text, form="X,Y")
    return Pointing(frame=frame, object=identity, points=(Point(x=x, y=y, positive=positive),))


def box(text: str) -> Pointing:
    """Read ``X0,Y0,X1,Y1[@FRAME][:OBJECT]``."""
    from covos.api.pointing import Pointing
    from covos.core.types import Box

    (x0, y0, x1, y1), frame, identity = _place("--box", text, form="X0,Y0,X1,Y1")
    return Pointing(frame=frame, object=identity, box=Box(x0=x0, y0=y0, x1=x1, y1=y1))


def _place(option: str, text: str, *, form: str) -> tuple[list[float], int, int | None]:
    found = _PLACE.fullmatch(text)
    numbers = [float(each) for each in found["numbers"].split(",")] if found is not None else []
    expected = form.count(",") + 1
    if found is None or len(numbers) != expected:
        why = (
            f"it has {counted(len(numbers), 'number')} before the frame, not {expected}"
            if numbers
            else "it is not of this form"
        )
        raise UsageError(
            f"{option} {text!r} cannot be read", why=why, fix=f"write {form}, {form}@FRAME or {form}@FRAME:OBJECT"
        )
    identity = found["object"]
    return numbers, int(found["frame"] or 0), None if identity is None else int(identity)


def _refuse_idle(options: dict[str, bool]) -> None:
    for name, given in options.items():
        if given:
            raise UsageError(
                f"{name} without --mask, --point, --box or --prompts",
                why="there is nothing to follow",
                fix="show an object, or leave it out",
            )


# From ``--objects`` to what is to be found.


def discovering(objects: str, *, shown: bool, references: int, memory: int, follower: str) -> Discovering | None:
    """What to find; None where it is one subject, or where objects are shown.

    Args:
        objects: As written.
        shown: Whether an option shows objects.
        references: See `Discovering`.
        memory: See `Discovering`.
        follower: See `Discovering`.

    Raises:
        UsageError: It is no number of objects, or objects are shown too.
    """
    from covos.api.discovering import Discovering, check_objects

    most = check_objects(int(objects) if objects.isdecimal() else objects)
    if most is None:
        return None
    if shown:
        raise UsageError(
            f"--objects {objects} beside --mask, --point, --box or --prompts",
            why="objects are either found or shown",
            fix="leave one of them out",
        )
    return Discovering(most=most, references=references, memory=memory, follower=follower)
