"""A video whose objects the user points at, looks at where they went, and corrects."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from covos.api.answering import Desk, ObjectMask
from covos.api.mask_prompt import MaskPrompt
from covos.api.output import Origin
from covos.api.pointing import Pointing, as_boxes, as_points
from covos.api.prompters import AUTO, ChosenPrompter, choose_prompter
from covos.api.prompts import Prompts, as_mask
from covos.api.segmentation import Segmentation
from covos.core.errors import UsageError
from covos.core.types import FrameResult, LabelArray, MaskArray
from covos.engines.calibration import Calibration
from covos.engines.discover import DEFAULT_MOST
from covos.engines.find import DEFAULT_REFERENCES
from covos.engines.follow import FollowEngine
from covos.engines.memory import DEFAULT_MEMORY, check_memory
from covos.engines.passes import (
    Direction,
    IncrementalPass,
    choose_direction,
    discover_objects,
    follow_objects,
    follow_to,
)
from covos.masks import decode
from covos.masks.frame_mask import FrameMask
from covos.media.source import Source
from covos.models.layers import fold_batch_norms
from covos.models.registry import DEFAULT_FOLLOWER, build_follower, find_follower

if TYPE_CHECKING:
    from covos.api.model import Model


class Session:
    """Objects of one video, shown on some of its frames and followed to the others. Made by `Model.session`.

        >>> with covos.load_model().session("clip.mp4") as session:
        ...     session.add_file("00000.png")
        ...     result = session.propagate()

    A prompt is checked when it is given; of points and boxes a mask is made at once, of their frame alone. Nothing is
    followed before `propagate` or `stream`, which start from all prompts: an object that is shown on further frames is
    held to each of them, and those that are not corrected keep their prompts. The masks that were given come out as
    they are.

    Args:
        source: Open; closed with the session.
        load: Gives the model, when it is first needed.
        follower: A covos-follow: a name, or a ``.safetensors`` file.
        memory: Frames that are remembered between the prompted ones and the latest.
        prompter: What makes masks of points and boxes; see `covos.api.prompters.choose_prompter`.

    Raises:
        UsageError: ``memory`` is out of range.
    """

    def __init__(
        self,
        source: Source,
        *,
        load: Callable[[], Model],
        follower: str | Path = DEFAULT_FOLLOWER,
        memory: int = DEFAULT_MEMORY,
        prompter: str | Path = AUTO,
    ) -> None:
        check_memory(memory)
        self.source = source
        self.prompts = Prompts(source.info)
        self._load = load
        self._follower = follower
        self._memory = memory
        self._model: Model | None = None
        self._engine: FollowEngine | None = None
        self._prompter = prompter
        self._chosen: ChosenPrompter | None = None
        self._desk: Desk | None = None
        self._forward = IncrementalPass(source)
        self._latest: Segmentation | None = None
        # Of the objects that `_latest` shows: an id may become another object's later.
        self._births: dict[int, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the source."""
        self.source.close()

    @property
    def model(self) -> Model:
        """What finds and encodes; loaded now if it was not."""
        return self._model_now()

    @property
    def objects(self) -> tuple[int, ...]:
        """Ids of the objects, ascending."""
        return self.prompts.objects

    @property
    def shown(self) -> tuple[MaskPrompt, ...]:
        """What was given, by frame."""
        return self.prompts.current

    def add_mask(
        self, frame: int, object_id: int | None = None, *, mask: np.ndarray[Any, Any], resize: bool = False
    ) -> int:
        """Show an object on a frame, or correct it there.

        Args:
            frame: 0-based index.
            object_id: 1 to 254; the next free one if None.
            mask: H x W of the frame's size, bool or numbers: what is not 0 is the object.
            resize: Whether a mask of another size is resized (nearest neighbour).

        Returns:
            The id.

        Raises:
            UsageError: The frame does not exist, the id cannot be, the mask is empty or of another size.
        """
        identity = self.prompts.check_place(frame, object_id)
        solid = as_mask(mask, size=(self.source.info.height, self.source.info.width), resize=resize)
        self.prompts.add(frame, {identity: solid}, given_as="mask")
        return identity

    def add_labels(self, frame: int, *, labels: np.ndarray[Any, Any], resize: bool = False) -> tuple[int, ...]:
        """Show the objects of a label map on a frame.

        Args:
            frame: 0-based index.
            labels: H x W of the frame's size, whole numbers: 0 = background, 1 to 254 = object ids, 255 = void. A map
                of 0 and 255 alone, or of bool, shows one object, which gets the next free id.
            resize: Whether a map of another size is resized (nearest neighbour).

        Returns:
            The ids.

        Raises:
            UsageError: The frame does not exist, an id cannot be, the map is empty or of another size.
        """
        return self.prompts.add_labels(frame, labels, resize=resize)

    def add_file(
        self,
        path: str | os.PathLike[str],
        *,
        frame: int = 0,
        object_id: int | None = None,
        resize: bool = False,
    ) -> tuple[int, ...]:
        """Show the objects of a mask file on a frame: its values are the ids, a 0/255 mask gets the next free one.

        Args:
            path: A palette or grey picture, or one in the colours of the DAVIS palette.
            frame: 0-based index.
            object_id: For a file of one object, whatever its value is.
            resize: Whether a mask of another size is resized (nearest neighbour).

        Returns:
            The ids.

        Raises:
            AnnotationError: The file cannot be read, shows nothing, has another size, or looks interpolated.
            UsageError: The frame does not exist, an id cannot be or is there on this frame already.
        """
        return self.prompts.add_file(path, frame=frame, identity=object_id, resize=resize)

    def add_points(
        self, frame: int, object_id: int | None = None, *, points: object, labels: object = None
    ) -> ObjectMask:
        """Show an object by points on it, or correct it by points on it and on what it is not.

        The mask is made at once, of this frame alone; `propagate` then follows it. Points on a frame where there is a
        mask of the object (given, made of points before, or found by the latest `propagate`) correct that mask.

        Args:
            frame: 0-based index.
            object_id: 1 to 254; the next free one if None.
            points: N x 2: columns and rows of pixels from the top left corner, as in ``[(320, 200)]``.
            labels: For each point 1 if it is on the object, 0 if not; None takes all as on it.

        Returns:
            The id and the mask.

        Raises:
            UsageError: The frame or the id cannot be, a point is outside the frame or was given before, there are
                negative points only and no mask to take from, or they leave nothing of it.
            SourceError: The frame cannot be read.
        """
        return self._point(Pointing(frame=frame, object=object_id, points=as_points(points, labels=labels)))

    def add_box(self, frame: int, object_id: int | None = None, *, box: Sequence[float]) -> ObjectMask:
        """Show an object by a box around it; the mask is made at once, of this frame alone.

        Args:
            frame: 0-based index.
            object_id: 1 to 254; the next free one if None.
            box: Left, top, right and bottom in pixels; right and bottom are the first column and row outside.

        Returns:
            The id and the mask, which takes the place of one that was there.

        Raises:
            UsageError: The frame or the id cannot be, or the box has no area or reaches out of the frame.
            SourceError: The frame cannot be read.
        """
        (one, *more) = as_boxes(box)
        if more:
            raise UsageError(
                f"{1 + len(more)} boxes for one object", why="a box holds one object", fix="add them one at a time"
            )
        return self._point(Pointing(frame=frame, object=object_id, box=one))

    def ask(self, pointing: Pointing) -> int:
        """As `add_points` and `add_box`, but the mask is made when following begins: nothing is loaded before.

        Where the object was shown on earlier frames, it is first followed from these to this frame, and what was
        found is corrected.

        Returns:
            The id.

        Raises:
            UsageError: As for `add_points`.
        """
        return self.prompts.wait(pointing)

    def preview(self, frame: int) -> LabelArray:
        """What is known of a frame, without following anything: what was given, beside what `propagate` found last.

        Returns:
            H x W uint8 object ids; 0 = background.

        Raises:
            UsageError: The frame does not exist.
        """
        self.prompts.check_frame(frame)
        labels = np.zeros((self.source.info.height, self.source.info.width), np.uint8)
        for identity in self.objects:
            if self.prompts.get(frame, identity) is None and (found := self._found(frame, identity)) is not None:
                labels[found] = identity
        for identity, mask in self.prompts.given().get(frame, {}).items():
            labels[mask] = identity
        return labels

    def discover(self, most: int = DEFAULT_MOST, *, references: int = DEFAULT_REFERENCES) -> tuple[int, ...]:
        """Find objects and show them to the session, each on the frames that show it best: prompts as any other.

        A few frames a second are looked at (see `covos.engines.discover`). The ids follow on those that are there,
        by first appearance and size.

        Args:
            most: Objects, at most.
            references: Frames, spread over the video, that every looked-at frame is compared with.

        Returns:
            The ids; none if nothing is found.

        Raises:
            CheckpointError: The weights do not fit.
            EnvironmentProblem: The weights are not there.
        """
        engine, info = self._loaded(), self.source.info
        found = discover_objects(self.source, engine, most=most, references=references, memory=self._memory)
        start = max(self.objects, default=0) + 1
        shown: dict[int, dict[int, np.ndarray[Any, Any]]] = {}
        for identity, thing in enumerate(found, start):
            for frame in thing.masks:
                mask = thing.at(frame, size=(info.height, info.width))
                if mask.any():
                    shown.setdefault(frame, {})[identity] = mask
        for frame, masks in sorted(shown.items()):
            self.prompts.add(frame, masks, given_as="found")
        return tuple(range(start, start + len(found)))

    def confirm(self, frame: int) -> tuple[int, ...]:
        """Take the masks that the latest `propagate` found on a frame as given; returns the ids.

        Raises:
            UsageError: Nothing was propagated yet, or the frame shows no object that is still there.
        """
        if self._latest is None:
            raise UsageError(f"frame {frame} cannot be confirmed", why="nothing was followed", fix="propagate first")
        self.prompts.check_place(frame, 1)
        kept = next((each for each in self._latest if each.index == frame), None)
        found = {} if kept is None else {i: decode(rle) for i, rle in kept.objects.items() if self._still(i)}
        if not found:
            raise UsageError(f"frame {frame} cannot be confirmed", why="it shows no object", fix="give a mask instead")
        self.prompts.add(frame, found, given_as="confirmed")
        return tuple(found)

    def remove(self, object_id: int) -> None:
        """Forget an object, with all its prompts.

        Raises:
            UsageError: There is none of this id.
        """
        self.prompts.remove(object_id)

    def undo(self) -> None:
        """Take back the latest prompt, confirmation or removal.

        Raises:
            UsageError: There is none.
        """
        self.prompts.undo()

    def propagate(self, direction: Direction = "auto") -> Segmentation:
        """Follow the objects to all other frames.

        Forward, the frames before the first prompt that has changed since the last time are not followed again: nothing
        would change there. Both ways all are, as each answer is weighed with one from the other side.

        Args:
            direction: See `Direction`.

        Returns:
            The masks of all frames, run-length encoded.

        Raises:
            UsageError: No object was shown, or there is no such direction.
            CheckpointError: The weights do not fit.
            EnvironmentProblem: The weights are not there.
        """
        if self.direction(direction) == "forward":
            self._make_masks()
            frames = self._forward.run(
                self._loaded(), self.prompts.given(), fingerprints=self.prompts.fingerprints(), memory=self._memory
            )
        else:
            frames = tuple(FrameMask.of(result) for result in self.stream(direction))
        self._latest = Segmentation(
            info=self.source.info, health=self.source.health, origin=self.origin(direction), frames=frames
        )
        self._births = self.prompts.births
        return self._latest

    def stream(self, direction: Direction = "auto") -> Iterator[FrameResult]:
        """As `propagate`, a frame at a time, at constant memory.

        The backward pass, if there is one, comes before the first frame. Its answers wait in a temporary file.
        """
        chosen = self.direction(direction)
        self._make_masks()
        given = self.prompts.given()
        return follow_objects(self.source, self._loaded(), given, memory=self._memory, direction=chosen)

    def origin(self, direction: Direction = "auto", **settings: object) -> Origin:
        """What a report says of the results: model, prompts by their hashes, and the settings.

        Args:
            direction: See `Direction`.
            **settings: What else the user chose; anything that JSON can express.
        """
        self._make_masks()
        model = self._model_now()
        follower = find_follower(self._follower, encoder=model.entry)
        return model.origin(
            follower={"name": follower.name, "sha256": follower.card.sha256},
            direction=self.direction(direction),
            memory=self._memory,
            prompts=self.prompts.describe(),
            **({} if self._chosen is None else {"prompter": dict(self._chosen.described)}),
            **settings,
        )

    def direction(self, asked: Direction) -> Direction:
        """The direction that is taken.

        Raises:
            UsageError: There is no such direction, or no object was shown.
        """
        return choose_direction(asked, frames=self.prompts.frames)

    def found(self, most: int = DEFAULT_MOST, *, references: int = DEFAULT_REFERENCES) -> Iterator[FrameResult]:
        """`discover`, then `stream` both ways; where nothing is found, frames without objects."""
        self.discover(most, references=references)
        direction: Direction = "both" if self.prompts.frames else "forward"
        return follow_objects(
            self.source, self._loaded(), self.prompts.given(), memory=self._memory, direction=direction
        )

    def _point(self, pointing: Pointing) -> ObjectMask:
        followed = None if pointing.object is None else self._found(pointing.frame, pointing.object)
        identity = self.prompts.check_pointing(pointing, followed=followed is not None)
        return self._make_mask(identity, pointing, followed=followed)

    def _make_masks(self) -> None:
        """Of all that waits, in the order of the frames: what is followed to one of them depends on those before."""
        for identity, pointing in self.prompts.waiting:
            frame, followed = pointing.frame, None
            if pointing.box is None and self.prompts.get(frame, identity) is None:
                followed = follow_to(
                    self.source,
                    self._loaded(),
                    self.prompts.given(),
                    frame=frame,
                    object_id=identity,
                    memory=self._memory,
                )
            self._make_mask(identity, pointing, followed=followed)
            self.prompts.done(frame, identity)

    def _make_mask(self, identity: int, pointing: Pointing, *, followed: MaskArray | None) -> ObjectMask:
        if self._desk is None:
            model = self._model_now()
            # Another kind of model has not the features that are asked for.
            find_follower(self._follower, encoder=model.entry)
            self._chosen = choose_prompter(self._prompter, model=model)
            self._desk = Desk(self.source, encoder=model.engine.encoder, prompter=self._chosen.prompter)
        return self._desk.answer(self.prompts, identity, pointing, followed=followed)

    def _found(self, frame: int, identity: int) -> MaskArray | None:
        """The mask that the latest `propagate` found."""
        if self._latest is None or not self._still(identity):
            return None
        found = next((each.objects for each in self._latest if each.index == frame), {})
        return decode(found[identity]) if identity in found else None

    def _still(self, identity: int) -> bool:
        """Whether an id is that of the object which the latest `propagate` followed by it."""
        born = self._births.get(identity)
        return born is not None and self.prompts.births.get(identity) == born

    def _model_now(self) -> Model:
        self._model = self._model or self._load()
        return self._model

    def _loaded(self) -> FollowEngine:
        if self._engine is None:
            model = self._model_now()
            entry = find_follower(self._follower, encoder=model.entry)
            network = build_follower(entry, encoder=model.entry).to(model.device)
            fold_batch_norms(network)
            calibration = Calibration.from_card(entry.card.calibration)
            self._engine = FollowEngine(model.engine.encoder, network, calibration=calibration)
        return self._engine
