"""Find the subject of a live video, or follow objects in it: each frame has its mask before the next one comes.

Nothing of the future is known. The references that a frame is compared with are frames of the past: at most R of them,
evenly spread over the latest part of the shot. As long as there are none, the frame is compared with itself. The
subject is brought together with that of the frames just before (see `covos.engines.around`). A cut begins a new shot:
its frames have nothing in common with those before, and what is followed may be anywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import partial
from typing import Any, Final, Generic

import numpy as np

from covos.core.errors import UsageError
from covos.core.types import Frame, FrameResult, ImageArray
from covos.engines.around import Around
from covos.engines.between import Seen
from covos.engines.choices import DEFAULT_MEMORY, DEFAULT_REFERENCES, SPAN, check_memory, check_references
from covos.engines.encoding import FeaturesT, SharedEncoder
from covos.engines.find import FindEngine, References, remembered
from covos.engines.flat import is_flat
from covos.engines.follow import FollowEngine, step
from covos.engines.follow_pass import FollowPass
from covos.engines.follow_result import result_of
from covos.engines.held import hold
from covos.engines.looks import Look
from covos.engines.matting import Matting
from covos.engines.motion import Observed, Watch
from covos.engines.shots import CutDetector
from covos.masks import NAMELESS, VOID, objects_in
from covos.masks.edges import NO_EDGES, Edges
from covos.models.coattention import Memory

BEFORE: Final = 2
"""Frames before a frame that it is brought together with, where the subject is found. More of them would hold it back,
as there are none after it, and where objects are followed, none help (`benchmarks/live.py`)."""


class RollingReferences(Generic[FeaturesT]):
    """The references of a live video.

    Until there are as many as wanted, each frame that is far enough from the latest is taken. Then every second one is
    dropped, and they stand twice as far apart, until they span as much as is wanted; from then on the oldest goes.

    Args:
        count: References, at most.
        span: Frames that they span, at most.
    """

    def __init__(self, *, count: int, span: int) -> None:
        self._count, self._most = count, max(1, span // max(1, count))
        self._apart = 1
        self._known: dict[int, tuple[FeaturesT, Memory]] = {}

    @property
    def now(self) -> References[FeaturesT]:
        """The references, the oldest first."""
        features, memories = zip(*self._known.values(), strict=True) if self._known else ((), ())
        return References(indices=tuple(self._known), features=features, memories=memories)

    def wants(self, index: int) -> bool:
        """Tell if the frame with this index becomes a reference."""
        return self._count > 0 and (not self._known or index - max(self._known) >= self._apart)

    def add(self, index: int, features: FeaturesT, memory: Memory) -> None:
        """Take a frame that is wanted."""
        if len(self._known) == self._count:
            if 2 * self._apart <= self._most:
                self._known = dict(list(self._known.items())[-2::-2][::-1])  # so that the new one is as far from them
                self._apart *= 2
            else:
                del self._known[min(self._known)]
        self._known[index] = features, memory

    def forget(self) -> None:
        """Begin anew."""
        self._known.clear()
        self._apart = 1


class Live:
    """Segments frames as they come; made by `covos.model.Model.live`.

    Args:
        finder: Finds the subject.
        follower: Gives the engine that follows; called when a mask is shown.
        references: See `RollingReferences`.
        span: See `RollingReferences`.
        memory: See `covos.engines.memory`.
        matting: Finds the opacity of each frame's edges, if that is asked for.
        edges: Changes of each frame's edges.
    """

    def __init__(
        self,
        finder: FindEngine[Any],
        *,
        follower: Callable[[], FollowEngine],
        references: int = DEFAULT_REFERENCES,
        span: int = SPAN,
        memory: int = DEFAULT_MEMORY,
        matting: Matting | None = None,
        edges: Edges = NO_EDGES,
    ) -> None:
        check_references(references)
        check_memory(memory)
        if edges.smooth_time:
            raise UsageError(
                f"smooth-time {edges.smooth_time} of a live video",
                why="edges are brought together with those of later frames, and a live frame has none yet",
                fix="leave it out",
            )
        if span < 1:
            raise UsageError(f"span = {span}", why="it is a number of frames", fix=f"give {SPAN}, say")
        self._finder, self._follower, self._memory = finder, follower, memory
        self._references: RollingReferences[Any] = RollingReferences(count=references, span=span)
        self._matting, self._edges = matting, edges
        self._watch, self._cuts = Watch(), CutDetector()
        self._following: tuple[FollowEngine, FollowPass] | None = None
        self._frames = 0
        self._size: tuple[int, int] | None = None
        self._known: FrameResult | None = None
        self._around = Around[None](BEFORE, 0)

    @property
    def frames(self) -> int:
        """Number of frames so far."""
        return self._frames

    def push(self, image: ImageArray, *, mask: np.ndarray[Any, Any] | None = None) -> FrameResult:
        """Segment the next frame.

        Args:
            image: H x W x 3 uint8 RGB. Another size than before begins a new shot.
            mask: H x W object ids from 0 to 254, or bool: these objects are followed from here on, in place of the
                subject. On a later frame it corrects them, or shows further ones.

        Returns:
            The mask, in ``labels``, H x W uint8; ``probability``, H x W float32; ``confidence``; and ``matte``,
            H x W float32, if that is asked for. All of them have the edges that are asked for.

        Raises:
            UsageError: The image or the mask is of another shape or type, or the size changes while objects are
                followed.
        """
        size = self._size
        frame = self._frame(image)
        shown = {} if mask is None else _objects(mask, frame)
        if mask is not None and self._following is None:
            engine = self._follower()
            engine = engine.beside(SharedEncoder(engine.encoder))
            self._following = engine, engine.new_pass(memory=self._memory)
            self._references.forget()  # features of another size, if the subject was found in smaller frames
        encoder = self._finder.encoder if self._following is None else self._following[0].encoder
        begins = self._cuts.take(Look.at_frame(frame)) or size != self._size
        observed = self._watch.look(frame, size=encoder.size_of(frame), begins=begins)
        if begins:
            self._references.forget()
            if self._following is not None:
                self._following[1].begin_shot()
        result = self._find(observed) if self._following is None else self._follow(observed, shown)
        self._frames += 1
        told = hold(result, self._known)
        self._known = result if told is result else self._known
        return self._edges.changed(told if self._matting is None else self._matting.of(told))

    def find(self) -> None:
        """Follow no longer, and find the subject again from the next frame on."""
        self._following, self._around = None, Around(BEFORE, 0)
        self._references.forget()

    def _frame(self, image: ImageArray) -> Frame:
        if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise UsageError(
                "a live frame cannot be used",
                why=f"it is {_described(image)}",
                fix="give H x W x 3 uint8 RGB; OpenCV's BGR needs cv2.cvtColor(image, cv2.COLOR_BGR2RGB)",
            )
        size = image.shape[:2]
        if self._following is not None and size != self._size:
            raise UsageError(
                f"the size changes from {self._size} to {size}",
                why="objects are followed, and their masks have the size of before",
                fix="resize the frames, or begin anew",
            )
        self._size = size
        return Frame(
            index=self._frames, stem=f"{self._frames:05}", image=image, pts=self._frames, time_base=Fraction(1, 25)
        )

    def _find(self, observed: Observed) -> FrameResult:
        index, references = observed.frame.index, self._references.now

        def segmented() -> tuple[Any, Any, Memory | None]:
            encoded = self._finder.encoder.encode([observed])
            logits = self._finder.logits([observed], encoded, references)
            wanted = self._references.wants(index)
            return encoded, logits, self._finder.encoder.network.memorise(encoded) if wanted else None

        encoded, logits, memory = self._finder.ladder.run(segmented)
        if memory is not None:
            self._references.add(index, encoded, memory)
        logit = logits[0, 0]
        if self._finder.around and not is_flat(observed):
            ((_, brought),) = self._around.push(None, Seen.of(observed, logits[0]))
            logit = brought[0]
        return self._finder.ladder.run(partial(self._finder.result, observed.frame, [logit]))

    def _follow(self, observed: Observed, shown: dict[int, Any]) -> FrameResult:
        assert self._following is not None, "objects are followed"
        engine, current = self._following
        frame, references = observed.frame, self._references.now
        own = engine.within(references) if references.memories else engine
        ((_, features),) = own.encoded([observed])
        if self._references.wants(frame.index):
            self._references.add(frame.index, *engine.encoder.ladder.run(partial(remembered, engine.encoder, observed)))
        prediction = step(current, frame, features, {frame.index: shown})
        return engine.encoder.ladder.run(partial(result_of, frame, prediction, shown))


def _objects(mask: np.ndarray[Any, Any], frame: Frame) -> dict[int, Any]:
    ids = np.asarray(mask)
    if ids.shape != frame.size or not (ids.dtype == np.bool_ or np.issubdtype(ids.dtype, np.integer)):
        raise UsageError(
            "the mask of a live frame cannot be used",
            why=f"it is {_described(mask)}, the frame is {frame.size[0]} x {frame.size[1]}",
            fix="give object ids, or bool, of the frame's size",
        )
    if not ids.any():
        raise UsageError(
            "the mask of a live frame shows nothing",
            why="objects are followed from where they are shown",
            fix="leave it out; find() returns to the subject",
        )
    if ids.dtype == np.bool_:
        return {1: ids}
    lowest, highest = int(ids.min()), int(ids.max())
    if lowest < 0 or highest > VOID:
        raise UsageError(
            "the mask of a live frame cannot be used",
            why=f"it holds the value {lowest if lowest < 0 else highest}",
            fix=f"give object ids from 0 to {VOID - 1}; {VOID} is void",
        )
    return {
        1 if identity == NAMELESS else identity: mask for identity, mask in objects_in(ids.astype(np.uint8)).items()
    }


def _described(given: object) -> str:
    if isinstance(given, np.ndarray):
        return f"{' x '.join(map(str, given.shape))} {given.dtype}"
    return f"of type {type(given).__name__}"
