"""From what a user points at to a prompt: the mask that is there is corrected, or a new one made."""

from __future__ import annotations

from dataclasses import dataclass, replace

from covos.api.mask_prompt import MaskPrompt, Pointed
from covos.api.pointing import Pointing
from covos.api.prompts import Prompts
from covos.core.errors import SourceError, UsageError
from covos.core.types import MaskArray
from covos.engines.encoding import FrameEncoder
from covos.engines.motion import Observed
from covos.engines.prompt import Prompter
from covos.masks import decode
from covos.media.source import Source
from covos.models.lite import Features


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ObjectMask:
    """The mask that came of points or a box.

    Attributes:
        frame: Index.
        object: Id.
        mask: H x W bool of the frame's size.
        prompter: Who made it: `covos.engines.prompt.Prompter.name`.
    """

    frame: int
    object: int
    mask: MaskArray
    prompter: str


class Desk:
    """Where what is pointed at in one video is answered.

    Args:
        source: The video.
        encoder: Encodes its frames.
        prompter: Makes the masks.
    """

    def __init__(self, source: Source, *, encoder: FrameEncoder[Features], prompter: Prompter) -> None:
        self.source = source
        self.encoder = encoder
        self.prompter = prompter
        self._latest: Observed | None = None

    def answer(self, prompts: Prompts, identity: int, pointing: Pointing, *, followed: MaskArray | None) -> ObjectMask:
        """Make a mask of what is pointed at, and a prompt of the mask.

        Points correct the mask that was given on this frame, else the followed one. A box shows the object anew.

        Args:
            prompts: Of the video; one is added.
            identity: Of the object.
            pointing: Checked.
            followed: What following found of the object on this frame.

        Raises:
            UsageError: Nothing is left of the object.
            SourceError: The frame cannot be read.
        """
        frame = pointing.frame
        said, previous, corrects = pointing, None, ""
        if pointing.box is None:
            said, previous, corrects = _before(prompts.get(frame, identity), pointing, followed)
        mask = self.prompter.mask(
            self._observe(frame),
            points=(*said.points, *prompts.others_points(frame, identity)),
            box=pointing.box,
            previous=previous,
        )
        if not mask.any():
            raise UsageError(
                f"nothing is left of object {identity} on frame {frame}",
                why="the points rule out all that was there"
                if previous is not None
                else "following finds none of it there",
                fix="give a point on the object as well",
            )
        pointed = Pointed(at=replace(said, object=identity), prompter=self.prompter.name, corrects=corrects)
        prompts.add(frame, {identity: mask}, given_as=said.given_as, pointed=pointed)
        return ObjectMask(frame=frame, object=identity, mask=mask, prompter=self.prompter.name)

    def _observe(self, frame: int) -> Observed:
        """The frame, beside its neighbour; several clicks in a row are mostly on one."""
        if self._latest is None or self._latest.frame.index != frame:
            self._latest = next(self.encoder.select(self.source, [frame]), None)
        if self._latest is None:
            raise SourceError(
                f"{self.source.info.path}: frame {frame} cannot be read",
                why="the file is damaged or cut there",
                fix="point at the object on another frame",
            )
        return self._latest


def _before(
    given: MaskPrompt | None, pointing: Pointing, followed: MaskArray | None
) -> tuple[Pointing, MaskArray | None, str]:
    """All that was pointed at, the mask that was there, and what that was."""
    if given is None:
        return pointing, followed, "followed" if followed is not None else ""
    if given.pointed is None:
        return pointing, decode(given.mask), given.sha256
    at = given.pointed.at
    every = replace(pointing, points=at.points + pointing.points, box=at.box)
    return every, decode(given.mask), given.pointed.corrects
