"""What the user has shown of a video: masks of objects on some of its frames, checked as they come.

What is pointed at may wait as it is: to make a mask of it takes the frame and a model (see `covos.api.session`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from covos.api.mask_prompt import MaskPrompt, Pointed
from covos.api.pointing import Pointing, check_pointing, point_name
from covos.core.errors import UsageError
from covos.core.types import MaskArray, Point, SourceInfo
from covos.engines.memory import MAX_GIVEN
from covos.masks import NAMELESS, RLE, VOID, decode, encode, objects_in, read_objects

MAX_ID = 254
"""Of an object: 0 is the background, 255 void."""


Key = tuple[int, int]
"""Frame index and object id."""


class Prompts:
    """The prompts of one video, with the way back from each step.

    Args:
        info: Of the video.
    """

    def __init__(self, info: SourceInfo) -> None:
        self.info = info
        self._states: list[dict[Key, MaskPrompt]] = [{}]
        self._births: list[dict[int, int]] = [{}]
        self._steps = 0
        self._waiting: dict[Key, Pointing] = {}

    @property
    def current(self) -> tuple[MaskPrompt, ...]:
        """All prompts, by frame, then in the order in which objects were given."""
        return tuple(sorted(self._states[-1].values(), key=lambda prompt: prompt.frame))

    @property
    def objects(self) -> tuple[int, ...]:
        """Ids, ascending."""
        return tuple(sorted({identity for _, identity in self._keys}))

    @property
    def births(self) -> dict[int, int]:
        """For each object of which there is a mask the step that it came with.

        An id may be given to another object, which then has another step; what is undone gets its own back.
        """
        return self._births[-1]

    @property
    def frames(self) -> tuple[int, ...]:
        """Indices of frames with a prompt, ascending."""
        return tuple(sorted({frame for frame, _ in self._keys}))

    @property
    def waiting(self) -> tuple[tuple[int, Pointing], ...]:
        """What no mask was made of yet, by frame: the object and what was pointed at."""
        return tuple((key[1], self._waiting[key]) for key in sorted(self._waiting, key=lambda key: key[0]))

    @property
    def _keys(self) -> set[Key]:
        return {*self._states[-1], *self._waiting}

    def get(self, frame: int, identity: int) -> MaskPrompt | None:
        """The prompt of an object on a frame, if there is one."""
        return self._states[-1].get((frame, identity))

    def check_frame(self, frame: int) -> None:
        """Refuse a frame that does not exist.

        Raises:
            UsageError: See above.
        """
        if not 0 <= frame < self.info.frame_count:
            raise UsageError(
                f"frame {frame} does not exist",
                why=f"{self.info.path} has {self.info.frame_count} frames, numbered from 0",
                fix=f"give one of 0 to {self.info.frame_count - 1}",
            )

    def check_place(self, frame: int, identity: int | None) -> int:
        """Refuse a frame or an id that cannot be; the next free id in place of None.

        Raises:
            UsageError: See above, or there would be more frames or objects than can be.
        """
        self.check_frame(frame)
        chosen = max(self.objects, default=0) + 1 if identity is None else identity
        if not 1 <= chosen <= MAX_ID:
            raise UsageError(
                f"object {chosen}",
                why=f"ids are 1 to {MAX_ID}: 0 is the background, 255 void",
                fix=f"give it a free one of these; what is more than {MAX_ID} objects takes another run",
            )
        if frame not in self.frames and len(self.frames) >= MAX_GIVEN:
            raise UsageError(
                f"frame {frame} would be the {MAX_GIVEN + 1}th with a prompt",
                why=f"each stays in the memory; {MAX_GIVEN} is the bound",
                fix="remove prompts of other frames, or cut the clip",
            )
        return chosen

    def check_pointing(self, pointing: Pointing, *, followed: bool = False) -> int:
        """Refuse what cannot be pointed at; the object's id.

        Args:
            pointing: For one object on one frame.
            followed: Whether there is a mask of the object on this frame that was followed.

        Raises:
            UsageError: See `covos.api.pointing.check_pointing` and `check_place`; a point was given before, or is
                another object's; or the points say only what the object is not, and there is no mask to take from.
        """
        frame, identity = pointing.frame, self.check_place(pointing.frame, pointing.object)
        check_pointing(pointing, info=self.info)
        for other, there in self._pointings(frame):
            for point in _shared(there, pointing):
                raise UsageError(
                    f"{point_name(point)} is given for object {identity} on frame {frame}",
                    why=f"it was given for object {other} before",
                    fix="drop one of them",
                )
        if pointing.negative_only and not followed and self.get(frame, identity) is None:
            raise UsageError(
                f"object {identity} has negative points only on frame {frame}",
                why="they take away from a mask, and there is none of it yet",
                fix="give a point on the object as well, or a box around it",
            )
        return identity

    def wait(self, pointing: Pointing) -> int:
        """Keep what is pointed at until a mask can be made of it; returns the object's id.

        Raises:
            UsageError: See `check_pointing`. Following from earlier frames will give a mask to take from.
        """
        earlier = any(frame <= pointing.frame and identity == pointing.object for frame, identity in self._keys)
        identity = self.check_pointing(pointing, followed=earlier)
        self._waiting[pointing.frame, identity] = replace(pointing, object=identity)
        return identity

    def done(self, frame: int, identity: int) -> None:
        """A mask was made of what waited."""
        del self._waiting[frame, identity]

    def others_points(self, frame: int, identity: int) -> tuple[Point, ...]:
        """Where other objects are on a frame, as negative points: no object is where another was pointed at."""
        return tuple(
            replace(point, positive=False)
            for other, pointing in self._pointings(frame)
            if other != identity
            for point in pointing.points
            if point.positive
        )

    def _pointings(self, frame: int) -> Iterator[tuple[int, Pointing]]:
        for prompt in self.current:
            if prompt.frame == frame and prompt.pointed is not None:
                yield prompt.object, prompt.pointed.at
        for identity, pointing in self.waiting:
            if pointing.frame == frame:
                yield identity, pointing

    def add(
        self,
        frame: int,
        masks: Mapping[int, MaskArray],
        *,
        given_as: str,
        replacing: bool = True,
        pointed: Pointed | None = None,
    ) -> None:
        """Show objects on a frame: one step, which `undo` takes back as a whole.

        Where a mask covers what another object was given on the same frame, the new one has the pixels.

        Args:
            frame: Index.
            masks: Object id to H x W bool.
            given_as: See `MaskPrompt`.
            replacing: Whether an object may be shown on this frame again, which replaces what was there.
            pointed: How the mask came of points or a box.

        Raises:
            UsageError: A mask is empty or of another size, an id is refused, an object would be covered wholly, or is
                there already and ``replacing`` is off.
        """
        after = dict(self._states[-1])
        for identity, mask in masks.items():
            self.check_place(frame, identity)
            self._check_mask(frame, identity, mask)
            if not replacing and (frame, identity) in after:
                raise UsageError(
                    f"object {identity} is given twice on frame {frame}",
                    why=f"by {after[frame, identity].given_as} and by {given_as}",
                    fix=f"give each its own id, as in FILE@{frame}:{max(self.objects) + 1}",
                )
            for other in [key for key in after if key[0] == frame and key[1] != identity]:
                after[other] = after[other].without(mask, by=identity)
            after.pop((frame, identity), None)
            after[frame, identity] = MaskPrompt(
                frame=frame, object=identity, mask=encode(mask), given_as=given_as, pointed=pointed
            )
        self._step(after)

    def add_file(
        self, path: str | os.PathLike[str], *, frame: int, identity: int | None = None, resize: bool = False
    ) -> tuple[int, ...]:
        """Show the objects of a mask file on a frame.

        Args:
            path: See `covos.masks.read_label_map`. Its values are the ids; a 0/255 mask has none and gets the next
                free one.
            frame: Index.
            identity: What a file of one object shows, whatever its value is.
            resize: See `covos.masks.read_objects`.

        Returns:
            The ids.

        Raises:
            AnnotationError: The file cannot be read, shows nothing, has another size, or looks interpolated.
            UsageError: See `add`; or ``identity`` is given for a file of several objects.
        """
        self.check_place(frame, identity)
        file = Path(path)
        masks = read_objects(file, size=(self.info.height, self.info.width), resize=resize)
        if identity is not None and len(masks) > 1:
            raise UsageError(
                f"{file} cannot be object {identity}",
                why=f"it shows {len(masks)} objects: {', '.join(map(str, list(masks)[:8]))}",
                fix="leave the id out: the file's values are the ids",
            )
        if identity is not None:
            masks = dict.fromkeys([identity], *masks.values())
        return self._add_named(frame, masks, given_as=file.name, replacing=False)

    def add_labels(self, frame: int, labels: np.ndarray[Any, Any], *, resize: bool = False) -> tuple[int, ...]:
        """Show the objects of a label map on a frame; see `covos.api.Session.add_labels`."""
        self.check_place(frame, None if not self.objects else self.objects[0])
        size = (self.info.height, self.info.width)
        ids = np.asarray(labels)
        if ids.dtype == np.bool_:
            ids = ids.astype(np.uint8) * np.uint8(VOID)
        if (
            ids.ndim != 2
            or not np.issubdtype(ids.dtype, np.integer)
            or ids.min(initial=0) < 0
            or ids.max(initial=0) > 255
        ):
            raise UsageError(
                f"the label map for frame {frame} cannot be read",
                why=f"it is {' x '.join(map(str, ids.shape))} {ids.dtype}",
                fix="give H x W whole numbers from 0 to 255, or bool",
            )
        small = ids.astype(np.uint8)
        if resize and small.size and small.shape != size:
            small = cv2.resize(small, size[::-1], interpolation=cv2.INTER_NEAREST_EXACT).astype(np.uint8)
        if small.shape != size:
            raise _other_size(f"the label map for frame {frame}", small, size)
        masks = objects_in(small)
        if not masks:
            raise UsageError(
                f"the label map for frame {frame} shows no object",
                why="every pixel is background",
                fix="show the objects on a frame where they are to be seen",
            )
        return self._add_named(frame, masks, given_as="labels", replacing=True)

    def _add_named(
        self, frame: int, masks: Mapping[int, MaskArray], *, given_as: str, replacing: bool
    ) -> tuple[int, ...]:
        named = {self.check_place(frame, None if own == NAMELESS else own): mask for own, mask in masks.items()}
        self.add(frame, named, given_as=given_as, replacing=replacing)
        return tuple(named)

    def remove(self, identity: int) -> None:
        """Forget an object.

        Raises:
            UsageError: There is none of this id.
        """
        if identity not in self.objects:
            raise UsageError(
                f"there is no object {identity}",
                why=f"the objects are {', '.join(map(str, self.objects)) or 'none'}",
                fix="name one of these",
            )
        self._step({key: prompt for key, prompt in self._states[-1].items() if key[1] != identity})
        self._waiting = {key: pointing for key, pointing in self._waiting.items() if key[1] != identity}

    def undo(self) -> None:
        """Take the latest step back.

        Raises:
            UsageError: There is none.
        """
        if len(self._states) == 1:
            raise UsageError("there is nothing to undo", why="no prompt was given", fix="give one")
        self._states.pop()
        self._births.pop()

    def _step(self, after: dict[Key, MaskPrompt]) -> None:
        self._steps += 1
        self._states.append(after)
        self._births.append({identity: self.births.get(identity, self._steps) for _, identity in after})

    def given(self) -> dict[int, Mapping[int, MaskArray]]:
        """For the engine: frame index to object id to mask, decoded when it is asked for."""
        by_frame: dict[int, dict[int, RLE]] = {}
        for prompt in self.current:
            by_frame.setdefault(prompt.frame, {})[prompt.object] = prompt.mask
        return {frame: _Decoded(masks) for frame, masks in by_frame.items()}

    def fingerprints(self) -> dict[int, tuple[tuple[int, str], ...]]:
        """The ids and hashes of the masks on each frame, in the order in which objects were given."""
        found: dict[int, tuple[tuple[int, str], ...]] = {}
        for prompt in self.current:
            found[prompt.frame] = (*found.get(prompt.frame, ()), (prompt.object, prompt.sha256))
        return found

    def describe(self) -> list[dict[str, Any]]:
        """For the report: each prompt, by the hash of its mask, or by what was pointed at."""
        return [prompt.describe() for prompt in self.current]

    def _check_mask(self, frame: int, identity: int, mask: MaskArray) -> None:
        size = (self.info.height, self.info.width)
        if mask.shape != size:
            raise _other_size(f"the mask of object {identity} on frame {frame}", mask, size)
        if not mask.any():
            raise UsageError(
                f"the mask of object {identity} on frame {frame} is empty",
                why="there is nothing in it to follow",
                fix="show the object on a frame where it is to be seen",
            )


def as_mask(mask: np.ndarray[Any, Any], *, size: tuple[int, int], resize: bool) -> MaskArray:
    """A caller's array as H x W bool: what is not 0 is the object; resized (nearest neighbour) if asked to."""
    solid: MaskArray = np.asarray(mask) != 0
    if resize and solid.ndim == 2 and solid.size and solid.shape != size:
        return cv2.resize(solid.view(np.uint8), size[::-1], interpolation=cv2.INTER_NEAREST_EXACT).astype(np.bool_)
    return solid


def _other_size(what: str, array: np.ndarray[Any, Any], size: tuple[int, int]) -> UsageError:
    return UsageError(
        f"{what} does not have the frame's size",
        why=f"it is {' x '.join(map(str, array.shape))} (height x width), the frame {size[0]} x {size[1]}",
        fix="give it at that size, or let it be resized: --resize-masks (resize=True)",
    )


def _shared(one: Pointing, other: Pointing) -> list[Point]:
    places = {(int(point.x), int(point.y)) for point in one.points}
    return [point for point in other.points if (int(point.x), int(point.y)) in places]


class _Decoded(Mapping[int, MaskArray]):
    """Masks that are kept as run lengths: dozens of prompted frames of many objects must not fill the memory."""

    def __init__(self, masks: Mapping[int, RLE]) -> None:
        self._masks = masks

    def __getitem__(self, identity: int) -> MaskArray:
        return decode(self._masks[identity])

    def __iter__(self) -> Iterator[int]:
        return iter(self._masks)

    def __len__(self) -> int:
        return len(self._masks)
