"""What a run that follows objects needs beside a source and a model."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from covos.api.model import Model
from covos.api.pointing import Pointing, as_boxes, as_points, point_name, together
from covos.api.prompt_file import MaskFile, read_prompt_file
from covos.api.prompters import AUTO
from covos.api.session import Session
from covos.core.errors import UsageError
from covos.engines.memory import DEFAULT_MEMORY
from covos.engines.passes import Direction
from covos.media.source import Source
from covos.models.registry import DEFAULT_FOLLOWER

OneFrame: TypeAlias = str | os.PathLike[str] | np.ndarray[Any, Any]
Masks: TypeAlias = OneFrame | Sequence[str | os.PathLike[str]] | Mapping[int, OneFrame]
"""A mask file or an H x W array of object ids, of the first frame; or several files, one an object; or either by the
index of the frame that it belongs to."""

OneFile: TypeAlias = str | os.PathLike[str]
Rows: TypeAlias = Sequence[Any] | np.ndarray[Any, Any] | Mapping[int, Sequence[Any] | np.ndarray[Any, Any]]
"""Points or boxes of the first frame, or by the index of the frame that they belong to. Points are rows of (x, y), or
(x, y, 1) on the object and (x, y, 0) off it, all of one object. Boxes are rows of (x0, y0, x1, y1), each a new object;
with one box, points are of the object in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Following:
    """How to follow objects through a source.

    Attributes:
        show: Gives a session its prompts.
        direction: See `covos.api.session.Direction`.
        memory: See `Session`.
        follower: See `Session`.
        prompter: See `Session`.
    """

    show: Callable[[Session], None]
    direction: Direction = "auto"
    memory: int = DEFAULT_MEMORY
    follower: str | Path = DEFAULT_FOLLOWER
    prompter: str | Path = AUTO

    def open(self, source: Source, *, load: Callable[[], Model]) -> Session:
        """A session with all prompts in it; the model is not loaded yet.

        Raises:
            AnnotationError: A mask cannot be read or does not fit.
            UsageError: A prompt or value makes no sense.
        """
        session = Session(source, load=load, follower=self.follower, memory=self.memory, prompter=self.prompter)
        self.show(session)
        session.direction(self.direction)
        return session


def show_files(
    files: Iterable[MaskFile], *, pointings: Iterable[Pointing] = (), resize: bool = False
) -> Callable[[Session], None]:
    """For `Following.show`: the objects of these files, then what is pointed at (see `show_pointings`)."""
    kept, shown = tuple(files), tuple(pointings)

    def show(session: Session) -> None:
        for file in kept:
            session.add_file(file.path, frame=file.frame, object_id=file.object, resize=resize)
        show_pointings(session, shown)

    return show


def show_pointings(session: Session, pointings: Iterable[Pointing]) -> None:
    """Show a session what is pointed at, beside the masks that it has.

    A box without a number is a new object, which gets the next free one. Points without a number belong to the one
    object that masks and boxes show; to object 1 if they show none.

    Raises:
        UsageError: A prompt makes no sense, or several objects could be meant.
    """
    every = tuple(pointings)
    boxes = [each for each in every if each.box is not None]
    numbers = {*session.objects, *(each.object for each in boxes if each.object is not None)}
    named = []
    for each in boxes:
        identity = max(numbers, default=0) + 1 if each.object is None else each.object
        numbers.add(identity)
        named.append(replace(each, object=identity))
    for each in (each for each in every if each.box is None):
        if each.object is None and len(numbers) > 1:
            raise UsageError(
                f"{point_name(each.points[0])} on frame {each.frame} has no object",
                why=f"it could be any of {', '.join(map(str, sorted(numbers)))}",
                fix="add the object's number, as in X,Y:2",
            )
        identity = min(numbers, default=1) if each.object is None else each.object
        named.append(replace(each, object=identity))
    for pointing in together(named):
        session.ask(pointing)


def show_all(
    *,
    masks: Masks | None = None,
    points: Rows | None = None,
    boxes: Rows | None = None,
    prompts: OneFile | None = None,
    resize: bool = False,
) -> Callable[[Session], None] | None:
    """For `Following.show`: files and arrays of object ids, points, boxes and a prompt file; None if none is given.

    Raises:
        UsageError: Points or boxes are no such rows.
        AnnotationError: The prompt file cannot be read.
    """
    if masks is None and points is None and boxes is None and prompts is None:
        return None
    by_frame: Iterable[tuple[int, OneFrame]]
    if isinstance(masks, Mapping):
        by_frame = masks.items()
    elif isinstance(masks, str | os.PathLike | np.ndarray):
        by_frame = [(0, masks)]
    else:
        by_frame = [(0, each) for each in masks or ()]
    kept = tuple(by_frame)
    pointings = [Pointing(frame=frame, points=as_points(rows)) for frame, rows in _by_frame(points)]
    pointings += [Pointing(frame=frame, box=box) for frame, rows in _by_frame(boxes) for box in as_boxes(rows)]
    listed = None if prompts is None else read_prompt_file(Path(prompts))

    def show(session: Session) -> None:
        for frame, mask in kept:
            if isinstance(mask, np.ndarray):
                session.add_labels(frame, labels=mask, resize=resize)
            else:
                session.add_file(mask, frame=frame, resize=resize)
        files, listed_pointings = ((), ()) if listed is None else (listed.masks, listed.pointings)
        show_files(files, pointings=(*pointings, *listed_pointings), resize=resize)(session)

    return show


def _by_frame(rows: Rows | None) -> Iterable[tuple[int, object]]:
    if rows is None:
        return ()
    return rows.items() if isinstance(rows, Mapping) else [(0, rows)]


def refuse_refinement(refine: str) -> None:
    """Masks that are followed are not refined.

    Raises:
        UsageError: A refinement is asked for.
    """
    if refine != "none":
        raise UsageError(
            f"refine = {refine!r} where objects are followed",
            why="it works on the probabilities that find one subject, and no followed mask is made of these",
            fix="leave it out",
        )
