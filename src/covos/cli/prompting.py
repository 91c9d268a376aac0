"""Turn what the command line says of objects into the task of a plan."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from covos.core.errors import UsageError
from covos.core.progress import counted
from covos.engines.choices import AUTO

if TYPE_CHECKING:
    from covos.cli.groups import FollowOptions
    from covos.prompts.values import MaskPrompt, PointPrompt, Prompt, RegionPrompt
    from covos.task import Discover, Find, Follow

_MASK = re.compile(r"(?P<path>.+?)(?:@(?P<frame>\d{1,18}))?(?::(?P<object>\d{1,18}))?", re.DOTALL | re.ASCII)
_NUMBER = r"[+-]?\d{1,18}(?:\.\d{0,18})?"
_PLACE = re.compile(
    rf"(?P<numbers>{_NUMBER}(?:,{_NUMBER})*)(?:@(?P<frame>\d{{1,18}}))?(?::(?P<object>\d{{1,18}}))?", re.ASCII
)


def task_of(
    masks: Sequence[str],
    *,
    alpha_as_mask: bool = False,
    points: Sequence[str] = (),
    not_points: Sequence[str] = (),
    boxes: Sequence[str] = (),
    within: Sequence[str] = (),
    exclude_boxes: Sequence[str] = (),
    prompts: Path | None = None,
    trust_prompts: bool = False,
    inputs: Sequence[str],
    objects: str,
    **settings: Any,
) -> Find | Follow | Discover:
    """Turn the options of the command line into the task of a plan.

    Args:
        masks: Options as written.
        alpha_as_mask: If true, what is opaque in the first frame is an object.
        points: Options as written.
        not_points: Options as written.
        boxes: Options as written.
        within: Options as written.
        exclude_boxes: Options as written.
        prompts: A prompt file.
        trust_prompts: If true, it may name masks outside its folder.
        inputs: Everything that is to be segmented.
        objects: Option as written.
        **settings: See `covos.task.choose_task`.

    Raises:
        UsageError: Prompts are given for several inputs or cannot be read, or an option of following without prompts.
        AnnotationError: The prompt file cannot be read.
    """
    from covos.prompts.file import read_prompt_file
    from covos.prompts.values import MaskPrompt
    from covos.task import check_objects, choose_task, read_objects

    wanted = read_objects(objects)
    regions = [region("--within", text, role="within") for text in within]
    regions += [region("--exclude-box", text, role="exclude") for text in exclude_boxes]
    if not (masks or alpha_as_mask or points or not_points or boxes or prompts or regions):
        return _working(choose_task(objects=wanted, **settings), settings)
    if settings["prompter"] != AUTO and (masks or alpha_as_mask) and not (points or not_points or boxes or prompts):
        raise UsageError(
            f"--prompter {settings['prompter']} without a point or a box",
            why="it would have nothing to do",
            fix="leave it out",
        )
    screen = all(each.frame is None for each in regions) and not (masks or points or not_points or boxes or prompts)
    if len(inputs) > 1 and not screen:
        raise UsageError(
            f"objects are shown for {len(inputs)} inputs",
            why="a mask, a point or a box belongs to a frame of one video",
            fix="segment the videos one at a time, each with its own",
        )
    shown: list[Prompt | RegionPrompt] = [MaskPrompt(alpha=True)] if alpha_as_mask else []
    shown += shown_by(masks, points, not_points, boxes)
    if prompts is not None:
        shown += read_prompt_file(prompts, trusted=trust_prompts)
    if check_objects(wanted) is not None:
        beside = (
            "--within or --exclude-box"
            if regions
            else "--mask, --alpha-as-mask, --point, --not-point, --box or --prompts"
        )
        raise UsageError(
            f"--objects {objects} beside {beside}",
            why=f"--objects {objects} finds the objects by itself, and the other options show or steer one",
            fix="leave one of them out",
        )
    return _working(choose_task(prompts=(*shown, *regions), **settings), settings)


def trusted(following: FollowOptions, prompts: Path | None) -> bool:
    """Tell if the prompt file may name masks outside its folder.

    Raises:
        UsageError: It may, and there is none.
    """
    if following.trust_prompts and prompts is None:
        raise UsageError(
            "--trust-prompts without --prompts",
            why="there is no prompt file to trust",
            fix="add the file, or leave it out",
        )
    return following.trust_prompts


def _working(task: Find | Follow | Discover, settings: dict[str, Any]) -> Find | Follow | Discover:
    """Return a task of which every option that was given changes something."""
    from covos.task import refuse_idle

    refuse_idle(task, settings, spelled=_as_option)
    return task


def _as_option(name: str, value: object) -> str:
    option = f"--{name.replace('_', '-')}"
    return option if value is True else f"{option} {value}"


def shown_by(
    masks: Sequence[str],
    points: Sequence[str],
    not_points: Sequence[str],
    boxes: Sequence[str],
) -> list[Prompt | RegionPrompt]:
    """Return what these options show; see `task_of`."""
    shown: list[Prompt | RegionPrompt] = [mask_prompt(text) for text in masks]
    shown += [box(text) for text in boxes]
    return shown + [point(text) for text in points] + [point(text, positive=False) for text in not_points]


def mask_prompt(text: str) -> MaskPrompt:
    """Read ``FILE[@FRAME][:OBJECT]``; a file of just that name goes before."""
    from covos.core.guarded import is_there
    from covos.prompts.values import MaskPrompt

    if is_there(Path(text)):
        return MaskPrompt(file=Path(text))
    found = _MASK.fullmatch(text)
    form = "write FILE, FILE@FRAME or FILE@FRAME:OBJECT"
    if found is None:
        raise UsageError(f"--mask {text!r}", why="it names no file", fix=form)
    for mark, what in (("@", "frame, or frame and object"), (":", "object")):
        file, _, rest = found["path"].rpartition(mark)
        if is_there(Path(file)) and file:
            raise UsageError(f"--mask {text!r}", why=f"{rest!r} is no {what}", fix=f"{form}: whole numbers")
    frame, identity = ((None if found[name] is None else int(found[name])) for name in ("frame", "object"))
    return MaskPrompt(file=Path(found["path"]), frame=frame, object=identity)


def point(text: str, *, positive: bool = True) -> PointPrompt:
    """Read ``X,Y[@FRAME][:OBJECT]``."""
    from covos.core.types import Point
    from covos.prompts.values import PointPrompt

    option = "--point" if positive else "--not-point"
    (x, y), frame, identity = _place(option, text, form="X,Y")
    return PointPrompt(frame=frame, object=identity, points=(Point(x=x, y=y, positive=positive),))


def box(text: str) -> PointPrompt:
    """Read ``X0,Y0,X1,Y1[@FRAME][:OBJECT]``."""
    from covos.core.types import Box
    from covos.prompts.values import PointPrompt

    (x0, y0, x1, y1), frame, identity = _place("--box", text, form="X0,Y0,X1,Y1")
    return PointPrompt(frame=frame, object=identity, box=Box(x0=x0, y0=y0, x1=x1, y1=y1))


def region(option: str, text: str, *, role: Literal["within", "exclude"]) -> RegionPrompt:
    """Read ``X0,Y0,X1,Y1[@FRAME]``; without a frame it is a region of all frames."""
    from covos.core.types import Box
    from covos.prompts.values import RegionPrompt

    (x0, y0, x1, y1), frame, identity = _place(option, text, form="X0,Y0,X1,Y1")
    if identity is not None:
        raise UsageError(
            f"{option} {text!r} has an object's number",
            why="it steers the one subject that is found",
            fix="write X0,Y0,X1,Y1 or X0,Y0,X1,Y1@FRAME",
        )
    return RegionPrompt(box=Box(x0=x0, y0=y0, x1=x1, y1=y1), role=role, frame=frame)


def _place(option: str, text: str, *, form: str) -> tuple[list[float], int | None, int | None]:
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
    frame, identity = found["frame"], found["object"]
    return numbers, None if frame is None else int(frame), None if identity is None else int(identity)
