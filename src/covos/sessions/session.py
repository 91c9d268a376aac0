"""Session: a video whose objects the user points at, looks at where they went, and corrects."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, Self

import numpy as np

from covos.core.errors import UsageError
from covos.core.types import FrameResult, LabelArray
from covos.engines.choices import (
    AUTO,
    DEFAULT_MEMORY,
    DEFAULT_MOST,
    DEFAULT_QUALITY,
    DEFAULT_REFERENCES,
    Direction,
    Quality,
    check_memory,
    choose_direction,
)
from covos.engines.follow_passes import follow_objects
from covos.engines.shots import Shots
from covos.engines.stages import StageProgress
from covos.engines.steps import LadderStep
from covos.masks.frame_mask import FrameMask
from covos.media.inputs import InMemory
from covos.media.range import place_of
from covos.media.source import Health, Source
from covos.models.registry import DEFAULT_FOLLOWER
from covos.prompts.masker import PromptedMask
from covos.prompts.one_frame import alpha_mask, own_size
from covos.prompts.placing import place_found
from covos.prompts.rows import as_boxes, as_points
from covos.prompts.seed_mask import CONFIRMED, SeedMask
from covos.prompts.seeds import Seeds
from covos.prompts.values import PointPrompt, on_frames
from covos.results.replay import Listener
from covos.results.segmentation import Segmentation
from covos.runs.report import Origin
from covos.runs.room import explaining_memory
from covos.sessions.engines import SessionEngines, SessionModel
from covos.sessions.following import Following
from covos.sessions.masks import PromptedMasks


class Session:
    """Objects of one video, shown on some of its frames and followed to the others. Made by `covos.Model.session`.

        >>> with covos.load_model().session("clip.mp4") as session:
        ...     session.add_file("00000.png")
        ...     result = session.propagate()

    A prompt is checked when it is given; of points and boxes a mask is made at once, of their frame alone. Nothing is
    followed before `propagate` or `stream`, which start from all prompts. An object that is shown on further frames is
    held to each of them, and those that are not corrected keep their prompts. The masks that were given come out as
    they are. All followed masks are kept, frame by frame: they can be confirmed, corrected and followed on.

    Args:
        source: Open; closed with the session.
        load: Gives the model, when it is first needed.
        follower: A covos-follow: a name, or a ``.safetensors`` file.
        memory: Frames that are remembered between the seed frames and the latest.
        prompter: The maker of masks of points and boxes; see `covos.Model.prompter`.
        quality: Chooses the views in which objects are followed (see `covos.engines.choices.followed_in`).
        held: The source in memory that ``source`` was opened from, if it was.
        listen: Called with each step that is taken because the memory ran out.

    Attributes:
        has_followed: False if the last `propagate` had nothing to follow: all that was shown anew was there already.
        health_before: How reading the source went when the masks were made that the session goes on from. Results have
            it until all of the source is read here; None without such masks.

    Raises:
        UsageError: ``memory`` is out of range.
    """

    has_followed = False
    health_before: Health | None = None

    def __init__(
        self,
        source: Source,
        *,
        load: Callable[[], SessionModel],
        follower: str | os.PathLike[str] = DEFAULT_FOLLOWER,
        memory: int = DEFAULT_MEMORY,
        prompter: str | os.PathLike[str] = AUTO,
        quality: Quality = DEFAULT_QUALITY,
        held: str | InMemory = "",
        listen: Callable[[LadderStep], None] | None = None,
    ) -> None:
        check_memory(memory)
        self.source = source
        self.seeds = Seeds(source.info, own_size=partial(own_size, source))
        self._held, self._memory = held, memory
        self._engines = SessionEngines(
            source,
            load=load,
            follower=os.fspath(follower),
            prompter=os.fspath(prompter),
            quality=quality,
            smallest=lambda: self.seeds.smallest,
            listen=listen,
        )
        self._following = Following(source, self.seeds, memory=memory)
        self._prompted = PromptedMasks(source, self.seeds, self._following, self._engines, memory=memory)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the source, and the pass that reads references of it."""
        self._engines.close()
        self.source.close()

    @property
    def model(self) -> SessionModel:
        """The model that finds and encodes; it is loaded now if it was not."""
        return self._engines.model

    @property
    def steps_down(self) -> tuple[LadderStep, ...]:
        """The steps that were taken so far because the memory ran out; the session goes on with less."""
        return self._engines.steps_down

    @property
    def objects(self) -> tuple[int, ...]:
        """Ids of the objects, ascending."""
        return self.seeds.objects

    @property
    def shown(self) -> tuple[SeedMask, ...]:
        """The masks that were given or made of points and boxes, by frame."""
        return self.seeds.current

    def add_mask(
        self, frame: int, object_id: int | None = None, *, mask: np.ndarray[Any, Any], resize: bool = False
    ) -> int:
        """Show an object on a frame, or correct it there.

        Args:
            frame: Its number in the whole source, from 0.
            object_id: 1 to 254; the next free one if None.
            mask: H x W of the frame's size: bool, or 0 and one other value, which is the object; of floats 0 and 1.
            resize: If true, a mask of another size is resized (nearest neighbour).

        Returns:
            The id.

        Raises:
            UsageError: The frame does not exist, the id cannot be, the mask is empty, of another size, or has further
                values, such as a probability.
        """
        return self.seeds.add_mask(frame, mask, identity=object_id, resize=resize)

    def add_absent(self, frame: int, object_id: int) -> None:
        """Say that an object is not to be seen on a frame: it is followed past it, and the frame shows nothing of it.

        Args:
            frame: Its number in the whole source, from 0.
            object_id: Id of an object that is shown, or was followed.

        Raises:
            UsageError: The frame does not exist, or no mask of the object is known.
        """
        self.seeds.add_absent(frame, object_id)

    def add_labels(self, frame: int, *, labels: Any, resize: bool = False) -> tuple[int, ...]:
        """Show the objects of a label map on a frame.

        Args:
            frame: Its number in the whole source, from 0.
            labels: H x W of the frame's size, whole numbers: 0 = background, 1 to 254 = object ids, 255 = void. A map
                of 0 and 255 alone, or of bool, shows one object, which gets the next free id. Pillow pictures are
                taken as well.
            resize: If true, a map of another size is resized (nearest neighbour).

        Returns:
            The ids.

        Raises:
            UsageError: The frame does not exist, an id cannot be, the map is empty or of another size.
        """
        return self.seeds.add_labels(frame, np.asarray(labels), resize=resize)

    def add_file(
        self,
        path: str | os.PathLike[str],
        *,
        frame: int | None = None,
        object_id: int | None = None,
        resize: bool = False,
    ) -> tuple[int, ...]:
        """Show the objects of a mask file on a frame: its values are the ids, a 0/255 mask gets the next free one.

        Args:
            path: A palette or grey picture, or one in the colours of the DAVIS palette.
            frame: Its number in the whole source, from 0; None is the first that was taken.
            object_id: Id for a file of one object, whatever its value is.
            resize: If true, a mask of another size is resized (nearest neighbour).

        Returns:
            The ids.

        Raises:
            AnnotationError: The file cannot be read, shows nothing, has another size, or looks interpolated.
            UsageError: The frame does not exist, an id cannot be or is there on this frame already.
        """
        frame = self.source.info.start if frame is None else frame
        return self.seeds.add_file(Path(path), frame=frame, identity=object_id, resize=resize)

    def add_alpha(self, frame: int | None = None, object_id: int | None = None) -> int:
        """Show the opaque part of a frame of a source with alpha, as one object.

        Args:
            frame: Its number in the whole source, from 0; None is the first that was taken.
            object_id: 1 to 254; the next free one if None.

        Returns:
            The id.

        Raises:
            UsageError: The frame does not exist, has no alpha, or is transparent all over; an id cannot be.
            SourceError: The frame cannot be read.
        """
        frame = self.source.info.start if frame is None else frame
        return self.seeds.add_alpha(frame, identity=object_id, alpha_of=partial(alpha_mask, self.source))

    def add_points(
        self, frame: int, object_id: int | None = None, *, points: object, labels: object = None
    ) -> PromptedMask:
        """Show an object by points on it, or correct it by points on it and on what it is not.

        The mask is made at once, of this frame alone; `propagate` then follows it. Points on a frame where there is a
        mask of the object (given, made of points before, or followed) correct that mask. Positive points then only add,
        negative ones only take away, and points that the mask agrees with change nothing. Pixels of another object
        stay its own, unless a positive point lies on it.

        Args:
            frame: Its number in the whole source, from 0.
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
        self.seeds.check_place(frame, object_id)  # the record would refuse a number in words of its own
        return self.show(PointPrompt(frame=frame, object=object_id, points=as_points(points, labels=labels)))

    def add_box(self, frame: int, object_id: int | None = None, *, box: Sequence[float]) -> PromptedMask:
        """Show an object by a box around it; the mask is made at once, of this frame alone.

        Args:
            frame: Its number in the whole source, from 0.
            object_id: 1 to 254; the next free one if None.
            box: Left, top, right and bottom in pixels; right and bottom are the first column and row outside.

        Returns:
            The id and the mask, which takes the place of one that was there.

        Raises:
            UsageError: The frame or the id cannot be, or the box has no area or reaches out of the frame.
        """
        (one, *more) = as_boxes(box)
        if more:
            raise UsageError(
                f"{1 + len(more)} boxes for one object", why="a box holds one object", fix="add them one at a time"
            )
        self.seeds.check_place(frame, object_id)
        return self.show(PointPrompt(frame=frame, object=object_id, box=one))

    def look(self, frame: int) -> None:
        """Get ready for a prompt on a frame: it is read and encoded now, and the prompt is answered the sooner.

        Raises:
            UsageError: The frame does not exist.
            SourceError: It cannot be read.
        """
        self.seeds.check_frame(frame)
        self._engines.masker.look(frame)

    def preview(self, frame: int) -> LabelArray:
        """Return the known masks of a frame, given and followed ones, without following anything.

        Returns:
            H x W uint8 object ids; 0 = background.
        """
        self.seeds.check_frame(frame)
        labels = np.zeros((self.source.info.height, self.source.info.width), np.uint8)
        for identity in self.objects:
            if self.seeds.get(frame, identity) is None and (found := self._following.mask(frame, identity)) is not None:
                labels[found] = identity
        for identity, mask in self.seeds.given().get(place_of(frame, self.source.info), {}).items():
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
        """
        self._following.begin()
        before = set(self.objects)
        with explaining_memory(self.source.info, objects=max(1, len(self.objects))):
            for _ in self._following.cancellable(self.discovering(most, references=references)):
                pass
        return tuple(identity for identity in self.objects if identity not in before)

    def discovering(self, most: int = DEFAULT_MOST, *, references: int = DEFAULT_REFERENCES) -> Iterator[StageProgress]:
        """Discover as `discover` does, and yield how far it is."""
        found = yield from self._engines.discover(most, references=references, memory=self._memory)
        place_found(self.seeds, found)

    def confirm(self, frame: int) -> tuple[int, ...]:
        """Take the masks that were followed to a frame as given, and objects that are absent from it as absent.

        Args:
            frame: Its number in the whole source, from 0.

        Returns:
            The ids, also of the absent ones.

        Raises:
            UsageError: The frame does not exist, or there is neither a mask on it nor an absent object.
        """
        absent = self.seeds.absent_from(frame)
        if not self._following.frames and not absent:
            raise UsageError(f"frame {frame} cannot be confirmed", why="nothing was followed", fix="propagate first")
        self.seeds.check_place(frame, 1)
        found = {**self._following.masks(frame), **absent}
        if not found:
            raise UsageError(f"frame {frame} cannot be confirmed", why="it shows no object", fix="give a mask instead")
        self.seeds.add(frame, found, given_as=CONFIRMED)
        return tuple(found)

    def remove(self, object_id: int) -> None:
        """Forget an object, with all its prompts; a UsageError if there is none of this id."""
        self.seeds.remove(object_id)

    def undo(self) -> None:
        """Take back the latest prompt, confirmation or removal; a UsageError if there is none."""
        self.seeds.undo()

    def take(self, frame: FrameMask) -> None:
        """Take masks that were found elsewhere, such as the found subject, as if they had been followed to their frame.

        Points then correct them, and `confirm` takes them as given. `propagate` changes what was corrected alone.

        Raises:
            UsageError: The frame does not exist.
        """
        self.seeds.check_frame(frame.number)
        self._following.take(frame)

    def cancel(self) -> None:
        """Let the `propagate`, `stream` or `discover` that goes on end with a CancelledError; from any thread."""
        self._following.cancel()

    def propagate(self, direction: Direction = "auto", *, listen: Listener | None = None) -> Segmentation:
        """Follow the objects to all other frames.

        Forward, the frames before the first prompt that has changed since the last time are not followed again: nothing
        would change there. Both ways, all frames are, because each answer is weighed with one from the other side. A
        correction of followed masks changes the piece that it is about; all else stays (see
        `covos.engines.corrections`). Nothing is followed if all that is shown anew is what the masks have there. If it
        does not end, the masks stay as they were.

        Args:
            direction: The way in time (see `covos.engines.choices.Direction`).
            listen: Called with the number of frames that are done, and of all; both ways, once for each way.

        Raises:
            UsageError: No object was shown, there is no such direction, or the session is closed.
            CancelledError: It was cancelled.
        """
        self._following.begin()
        chosen = self.direction(direction)
        with explaining_memory(self.source.info, objects=max(1, len(self.objects))):
            self._prompted.make_waiting()
            self.has_followed = self._following.again(
                chosen, follower=lambda: self._engines.follower, results=lambda: self.streaming(chosen), listen=listen
            )
        return self.result(direction)

    def stream(
        self, direction: Direction = "auto", *, start: int | None = None, limit: int | None = None
    ) -> Iterator[FrameResult]:
        """Follow the objects, a frame at a time, at constant memory; the masks of yielded frames are kept.

        Without ``start`` and ``limit``, all frames come in their order; the backward pass, if there is one, comes
        before the first, and its answers wait in a temporary file. Forward, a correction of followed masks changes the
        piece that it is about; else each answer is taken whole. With them, frames come in the order in which they are
        followed: onward from ``start``, backward from it, or first onward and then backward.

        Args:
            direction: The way in time; ``"auto"`` goes both ways where ``start`` or ``limit`` is given.
            start: Number of the frame to begin with; the first seed frame (the last, backward) if None. To go onward,
                an object must be shown on it or before it; to go backward, on it or after it.
            limit: The number of frames to go, in each direction; None goes to the end.

        Raises:
            UsageError: No object was shown, there is no such direction, or nothing is known at ``start``.
            CancelledError: From the iterator: it was cancelled.
        """
        self._following.begin()
        with explaining_memory(self.source.info, objects=max(1, len(self.objects))):
            chosen = self.direction(direction)
            if start is None and limit is None:
                return self._following.kept(self.streaming(chosen), correcting=chosen == "forward")
            if limit is not None and limit < 1:
                raise UsageError(f"limit = {limit}", why="it is a number of frames", fix="give 1 or more")
            if start is not None:
                self.seeds.check_frame(start)
            self._prompted.make_waiting()
            way: Direction = "both" if direction == "auto" else chosen
            parts = self._following.parts(self._engines.follower, way, start=start, limit=limit)
            return self._following.kept(chain(*parts))

    def streaming(self, direction: Direction = "auto", *, apart: int = 1) -> Iterator[FrameResult | StageProgress]:
        """Follow as `stream` does, and yield how far the backward pass is as well; nothing is kept, or held.

        The networks look at every so manieth frame (see `covos.engines.sparse`).
        """
        self._prompted.make_waiting()
        # If nothing was discovered, there are frames without objects.
        chosen: Direction = self.direction(direction) if self.seeds.frames else "forward"
        drawn = {seed.object for seed in self.seeds.current if seed.given_as not in {"found", CONFIRMED}}
        results = follow_objects(
            self.source,
            self._engines.follower.looking(apart=apart),
            self.seeds.given(),
            memory=self._memory,
            direction=chosen,
            found=set(self.objects) - drawn,
        )
        return self._engines.with_references(results)

    def result(self, direction: Direction = "auto") -> Segmentation:
        """Return the masks of the frames that were followed, in order; ``direction`` is for the report."""
        health = self.source.health
        if self.health_before is not None and not health.decoded:  # no pass over all of it was made
            health = self.health_before
        return Segmentation(
            info=self.source.info,
            health=health,
            origin=replace(self.origin(direction), steps_down=self.steps_down),
            frames=self._following.frames,
            held=self._held,
        )

    def origin(self, direction: Direction = "auto", *, apart: int = 1) -> Origin:
        """Return what a report says of the results: model, hashes of prompts, settings; ``apart`` as in `streaming`."""
        self._prompted.make_waiting()
        return self.model.origin(
            direction=self.direction(direction) if self.seeds.frames else direction,
            memory=self._memory,
            prompts=self.seeds.describe(),
            **self._engines.describe(apart=apart),
        )

    def direction(self, asked: Direction) -> Direction:
        """Return the direction that is taken (see `covos.engines.choices.choose_direction`)."""
        return choose_direction(asked, frames=self.seeds.places)

    def cut_at(self, shots: Shots) -> None:
        """Take the video as these shots (see `covos.engines.shots`), from the next pass on; to begin with it is one."""
        self._engines.cut_at(shots)

    def show(self, prompt: PointPrompt, *, areas: Mapping[int, int] | None = None) -> PromptedMask:
        """Show or correct an object by points and a box together; see `add_points` and `add_box`.

        ``areas`` are the pixels of the object on other frames, by their numbers, as who keeps the masks knows them;
        None are those that were followed here.
        """
        (named,) = on_frames([prompt], info=self.source.info)
        return self._prompted.show(named, areas=areas)
