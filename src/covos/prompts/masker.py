"""Make masks of points and boxes: the mask that is there is corrected, or a new one made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from covos.core.errors import SourceError, UsageError
from covos.core.shown import short_repr
from covos.core.types import MaskArray
from covos.engines.apart import Divider
from covos.engines.encoding import FrameEncoder, at_source_size
from covos.engines.ladder import Ladder
from covos.engines.motion import Observed
from covos.engines.prompt import PartPrompter, Prompter, PromptNetwork, agree, corrected, given_up, refined, with_points
from covos.masks import decode
from covos.media.range import place_of
from covos.media.source import Source
from covos.models.lite import Features
from covos.prompts.known_size import largest_of
from covos.prompts.seed_mask import Pointed, SeedMask
from covos.prompts.seeds import Seeds
from covos.prompts.values import PointPrompt


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PromptedMask:
    """The mask that came of points or a box.

    Attributes:
        frame: Its number in the whole source.
        object: Id.
        mask: H x W bool of the frame's size.
        prompter: Name of the prompter that made it.
    """

    frame: int
    object: int
    mask: MaskArray
    prompter: str

    __repr__ = short_repr


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenPrompter:
    """A prompter, and what a report says of it.

    Attributes:
        prompter: Makes the masks.
        described: Its name; the hash of its weights, if it has any; and, where it answers in place of another, the
            other's name and the reason.
        network: The network that it asks; None for GrabCut alone.
    """

    prompter: Prompter
    described: Mapping[str, str]
    network: PromptNetwork | None = None

    def divider(self, ladder: Ladder) -> Divider | None:
        """Return what tells things that touch apart, by the network; None for GrabCut alone."""
        return None if self.network is None else Divider(self.network, ladder=ladder)


class PromptMasker:
    """Makes masks of what is pointed at in one video.

    Args:
        source: The video.
        encoder: Encodes its frames.
        prompter: Makes the masks.
    """

    def __init__(self, source: Source, encoder: FrameEncoder[Features], prompter: Prompter) -> None:
        self.source = source
        self.encoder = encoder
        self.prompter = prompter
        self._latest: Observed | None = None

    def mask(
        self,
        seeds: Seeds,
        identity: int,
        prompt: PointPrompt,
        *,
        followed: MaskArray | None,
        others: Sequence[MaskArray] = (),
        areas: Mapping[int, int] = MappingProxyType({}),
    ) -> PromptedMask:
        """Make a mask of points and a box, and a seed of the mask.

        Points correct the mask that was given on this frame, else the followed one. Each changes the wrong part round
        it, as far as it reaches (see `covos.engines.click_reach`). If points made the mask, a further one makes it anew
        with those, and still does no more than its sign says. Pixels of other objects stay theirs, but for those of an
        object that a positive point lies on. A new object there is a part of it. One whose mask is corrected takes what
        it lacks, as far as the point reaches. A box shows the object anew.

        Args:
            seeds: The seeds of the video; one is added.
            identity: Id of the object.
            prompt: Checked.
            followed: The mask that following found on this frame.
            others: The masks of the other objects on this frame, given or followed.
            areas: Pixels of the object on other frames where it was followed surely, by their numbers; where it was
                shown is known from the seeds.

        Raises:
            UsageError: Nothing is left of the object.
            SourceError: The frame cannot be read.
        """
        every, previous, corrects = prompt, None, ""
        if prompt.box is None:
            every, previous, corrects = _before(seeds.get(prompt.number, identity), prompt, followed)
        if previous is not None and agree(previous, prompt.points):
            mask = previous
        else:
            positive = (
                sum(each.positive for each in every.points) if any(each.positive for each in prompt.points) else 0
            )
            mask = self._ask(
                seeds,
                identity,
                every,
                prompt,
                previous=previous,
                corrects=bool(corrects),
                others=others,
                largest=largest_of(seeds.areas(identity), areas, frame=prompt.number, points=positive),
            )
        if not mask.any():
            raise UsageError(
                f"nothing is left of object {identity} on frame {prompt.number}",
                why="the points rule out all that was there"
                if previous is not None
                else "following finds none of it there",
                fix="give a point on the object as well",
            )
        at = every.model_copy(update={"object": identity})
        pointed = Pointed(at=at, prompter=self.prompter.name, corrects=corrects)
        seeds.add(prompt.number, {identity: mask}, given_as=every.given_as, pointed=pointed)
        return PromptedMask(frame=prompt.number, object=identity, mask=mask, prompter=self.prompter.name)

    def _ask(
        self,
        seeds: Seeds,
        identity: int,
        every: PointPrompt,
        prompt: PointPrompt,
        *,
        previous: MaskArray | None,
        corrects: bool,
        others: Sequence[MaskArray],
        largest: int | None,
    ) -> MaskArray:
        """Ask the prompter about all points so far, and take of its answer what the new ones ask for."""
        observed, points = self.look(prompt.number), (*every.points, *seeds.others_points(prompt.number, identity))
        if prompt.box is not None:
            return self.prompter.mask(observed, points=points, box=prompt.box, previous=None)
        meant = [any(each.positive and other[int(each.y), int(each.x)] for each in prompt.points) for other in others]
        if previous is None and any(meant) and isinstance(self.prompter, PartPrompter):
            whole = np.logical_or.reduce([other for other, on in zip(others, meant, strict=True) if on])
            mask = self.prompter.part(observed, whole, points=points, largest=largest)
        else:
            mask = self.prompter.mask(observed, points=points, box=None, previous=previous, largest=largest)
        for other, on in zip(others, meant, strict=True):
            # Before the answer is taken apart: what hangs together by another object alone is two parts.
            rest = other if previous is None else other & ~previous
            if not on:
                mask = mask & ~rest
            elif previous is not None:
                mask = mask & ~(rest & ~given_up(mask, rest, points=prompt.points))
        if previous is None:
            return mask
        if corrects:
            return corrected(previous, mask, points=every.points)
        return with_points(refined(previous, mask, points=prompt.points), every.points)

    def look(self, frame: int) -> Observed:
        """Return a frame, encoded, with its motion; the latest is kept, as several clicks in a row are mostly on one.

        Raises:
            SourceError: It cannot be read.
        """
        if self._latest is None or self._latest.frame.number != frame:
            self._latest = observed_at(self.source, self.encoder, frame)
        return self._latest


def observed_at(source: Source, encoder: FrameEncoder[Any], frame: int) -> Observed:
    """Read a frame by its number in the whole source, at the size of the source, with its motion.

    Raises:
        SourceError: It cannot be read.
    """
    observed = next(encoder.select(source, [place_of(frame, source.info)]), None)
    if observed is None:
        raise unreadable(source, frame)
    return replace(observed, frame=at_source_size(observed.frame))


def unreadable(source: Source, frame: int) -> SourceError:
    """Return the error of a frame on which something is shown, and which cannot be read."""
    return SourceError(
        f"{source.info.path}: frame {frame} cannot be read",
        why="the file is damaged or cut there",
        fix="show it on another frame",
    )


def _before(
    seed: SeedMask | None, prompt: PointPrompt, followed: MaskArray | None
) -> tuple[PointPrompt, MaskArray | None, str]:
    """Return all points of the object there, the mask that was there, and its origin."""
    if seed is None or seed.is_absent:
        return prompt, followed, "followed" if followed is not None else ""
    if seed.pointed is None:
        return prompt, decode(seed.mask), seed.sha256
    at = seed.pointed.at
    said = {point.pixel for point in prompt.points}  # the last word on a pixel counts
    before = tuple(point for point in at.points if point.pixel not in said)
    every = prompt.model_copy(update={"points": before + prompt.points, "box": at.box})
    return every, decode(seed.mask), seed.pointed.corrects
