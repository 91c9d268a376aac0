"""From points and a box on a frame to a mask: what a user points at, made something to follow.

There are three prompters: GrabCut (`covos.engines.grabcut`), the network covos-prompt, and both in turn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol, runtime_checkable

import cv2
import numpy as np
import torch
from torch import Tensor

from covos.core.errors import UsageError
from covos.core.types import Box, MaskArray, Point, ProbabilityArray
from covos.engines.click_reach import within_reach
from covos.engines.close_up import Window, parts_at, window_of, windows_round
from covos.engines.encoding import FrameEncoder, to_probability
from covos.engines.find import THRESHOLD
from covos.engines.motion import Observed
from covos.models.lite import Features
from covos.models.prompt import OUTPUT_STRIDE, PromptFeatures, PromptTensors

SPOT = 3
"""Radius in pixels of the disc that a point decides."""
DOUBT, MEANT = 0.3, 0.15
"""Where the network alone gives less than `DOUBT`, a pixel is surely not what a click means. If this is more than the
share `MEANT` of the relay's answer, the answer is several things, of which the click means one."""
SURELY_NOT = 0.2
"""Pixels to which the network alone gives no more than this are left out of the relay's answer in any case."""

SURE = (THRESHOLD, 0.6, 0.7, 0.8)
"""Probabilities from which a pixel is a part's: the next one is tried where the part is nearly the whole."""
SURER = (*SURE, 0.9, 0.95, 0.98)
"""The same where a mask is larger than its object can be."""
NEARLY_ALL = 0.6
"""A click for a new object, inside another one, means a part of it: no more than this share, if it can be told."""


class Prompter(Protocol):
    """Makes a mask of what a user points at."""

    @property
    def name(self) -> str:
        """Name, for reports."""

    def mask(
        self,
        observed: Observed,
        *,
        points: Sequence[Point],
        box: Box | None,
        previous: MaskArray | None,
        largest: int | None = None,
    ) -> MaskArray:
        """Segment one object of one frame.

        Args:
            observed: From `FrameEncoder.observe`.
            points: Inside the frame; at least one positive, unless there is a box or an earlier mask.
            box: Inside the frame, around the object.
            previous: H x W bool: the mask that the points correct.
            largest: The pixels that the object has at most, where that is known. A prompter that can tell surer pixels
                from others leaves the others out; one that cannot gives what it has.

        Returns:
            H x W bool of the frame's size: all positive points are in it, no negative one is. It can be empty only
            where no point is positive.
        """


class PromptNetwork(Protocol):
    """A network that understands clicks; `covos.models.prompt.CovosPrompt` is one, and says what goes in and out."""

    def project(self, features: Features) -> PromptFeatures:
        """Make what all prompts on a frame share; once for each frame."""

    def find(self, features: PromptFeatures, prompt: PromptTensors) -> Tensor:
        """Segment what is meant: B x 1 x H/2 x W/2 float32 logits."""


class NetworkPrompter:
    """Makes masks by the network covos-prompt, on the features of the covos-lite that it was trained on.

    The work that all prompts on a frame share is kept until another frame is asked for, so each further click costs a
    fraction of the first.

    Args:
        encoder: Encodes the frame.
        network: Understands clicks.
        close: If true, small things are looked at again, magnified (see `covos.engines.close_up`): a first click twice,
            and the answers are averaged; later the mask that the points lead to. Each such look is encoded anew.
    """

    name = "covos-prompt"

    def __init__(self, encoder: FrameEncoder[Features], network: PromptNetwork, *, close: bool = False) -> None:
        self.encoder = encoder
        self.close = close
        self._network = network
        self._latest: tuple[Observed, PromptFeatures] | None = None

    def mask(
        self,
        observed: Observed,
        *,
        points: Sequence[Point],
        box: Box | None,
        previous: MaskArray | None,
        largest: int | None = None,
    ) -> MaskArray:
        """See `Prompter.mask`; a `UsageError` if nothing at all is shown, or the mask has another size."""
        height, width = observed.frame.size
        if not points and box is None and previous is None:
            raise UsageError(
                f"nothing is shown on frame {observed.frame.index}",
                why="there is no click, no box and no mask",
                fix="click on the object, or draw a box around it",
            )
        if previous is not None and previous.shape != (height, width):
            raise UsageError(
                f"the mask to be corrected on frame {observed.frame.index} does not have the frame's size",
                why=f"it is {previous.shape[0]} x {previous.shape[1]} (height x width), the frame {height} x {width}",
                fix="give it at the frame's size",
            )
        probability = self.probability(observed, points=points, box=box, previous=previous)
        return as_large(probability, points, largest=largest)

    def probability(
        self,
        observed: Observed,
        *,
        points: Sequence[Point],
        box: Box | None = None,
        previous: MaskArray | None = None,
    ) -> ProbabilityArray:
        """Return H x W float32 in [0, 1]: how probable it is that a pixel is meant; what goes in is as for `mask`."""
        probability = self._look(observed, points, box, previous, view=self._view)
        if self.close and box is None and any(each.positive for each in points):
            if previous is None and len(points) == 1:
                self._average(probability, observed, points)
            else:
                self._correct(probability, observed, points)
        return probability

    def _average(self, probability: ProbabilityArray, observed: Observed, points: Sequence[Point]) -> None:
        """Average what the whole frame tells with what close-ups of its first click tell, in place."""
        looks = np.ones_like(probability)
        for window in windows_round(points[0], observed.frame.size):
            probability[window.cells] += self._look_into(window, observed, points, None)
            looks[window.cells] += 1
        probability /= looks

    def _correct(self, probability: ProbabilityArray, observed: Observed, points: Sequence[Point]) -> None:
        """Let a close-up of the mask that was found correct it, in place."""
        mask = probability > THRESHOLD
        window = window_of(mask, points)
        if window is not None:
            probability[window.cells] = self._look_into(window, observed, points, mask)

    def _look_into(
        self, window: Window, observed: Observed, points: Sequence[Point], previous: MaskArray | None
    ) -> ProbabilityArray:
        part = None if previous is None else np.ascontiguousarray(previous[window.cells])
        # Not kept: the next click asks for the whole frame again.
        return self._look(window.look(observed), window.points(points), None, part, view=self._encoded)

    def _look(
        self,
        observed: Observed,
        points: Sequence[Point],
        box: Box | None,
        previous: MaskArray | None,
        *,
        view: Callable[[Observed], PromptFeatures],
    ) -> ProbabilityArray:
        size, encoded = observed.frame.size, self.encoder.size_of(observed.frame)

        def find() -> ProbabilityArray:
            prompt = as_prompt(points, box, previous, size=size, encoded=encoded, device=self.encoder.device)
            return to_probability(self.network.find(view(observed), prompt)[0, 0], size=size)

        return self.encoder.ladder.run(find)

    @property
    def network(self) -> PromptNetwork:
        """The network, on the device that is computed on now."""
        return self.encoder.ladder.here(self._network)

    def _view(self, observed: Observed) -> PromptFeatures:
        if self._latest is None or not _same(self._latest[0], observed):
            self._latest = observed, self._encoded(observed)
        return self.encoder.ladder.moved(self._latest[1])

    def _encoded(self, observed: Observed) -> PromptFeatures:
        return self.network.project(self.encoder.encode([observed]))


def _same(one: Observed, other: Observed) -> bool:
    """Return true if two frames look the same and move the same; a frame may be read anew for each click."""
    if one.motion is None or other.motion is None:
        return one.motion is other.motion and np.array_equal(one.frame.image, other.frame.image)
    return np.array_equal(one.motion, other.motion) and np.array_equal(one.frame.image, other.frame.image)


def with_points(mask: MaskArray, points: Sequence[Point]) -> MaskArray:
    """Make a mask agree with all points: round those that it contradicts, a spot is changed."""
    changed = mask.astype(np.uint8)
    for point in points:
        column, row = int(point.x), int(point.y)
        if mask[row, column] != point.positive:
            cv2.circle(changed, (column, row), SPOT, int(point.positive), thickness=cv2.FILLED)
    # Spots of two points may overlap.
    for point in points:
        changed[int(point.y), int(point.x)] = point.positive
    return changed.astype(np.bool_)


def as_large(probability: ProbabilityArray, points: Sequence[Point], *, largest: int | None) -> MaskArray:
    """Return what is probably meant, H x W bool; where that is larger than the object can be, the surer part of it.

    Level by level (`SURER`), only that of the surer part is taken which hangs together with a positive point.
    """
    mask = with_points(probability > THRESHOLD, points)
    if _fits(mask, largest):
        return mask
    for level in SURER:
        mask = parts_at(with_points(probability > level, points), points)
        if _fits(mask, largest):
            break
    return mask


def _fits(mask: MaskArray, largest: int | None) -> bool:
    """Return true if a mask has no more pixels than its object can have, where that is known."""
    return largest is None or int(mask.sum()) <= largest


def agree(mask: MaskArray, points: Sequence[Point]) -> bool:
    """Return true if a mask, H x W bool, has all positive points and no negative one: they have nothing to change."""
    return all(mask[int(each.y), int(each.x)] == each.positive for each in points)


def refined(previous: MaskArray, mask: MaskArray, *, points: Sequence[Point]) -> MaskArray:
    """Return a new mask, H x W bool, as far as the new points ask for a change of the earlier one.

    Negative points alone only take away, and positive ones alone only add. Points of both signs say where the border
    is: the new mask is taken as it is. Points that the earlier mask agrees with change nothing.
    """
    wrong = {each.positive for each in points if not agree(previous, [each])}
    if len({each.positive for each in points}) > 1 and wrong:
        return with_points(mask, points)
    return with_points((previous | mask if True in wrong else previous & mask) if wrong else previous, points)


def corrected(previous: MaskArray, mask: MaskArray, *, points: Sequence[Point]) -> MaskArray:
    """Return an earlier mask, H x W bool, changed where points contradict it, as a new mask has it there.

    For each such point the connected part round it that the new mask adds, or takes away, is changed, as far as the
    click reaches (see `covos.engines.click_reach`). The rest was right, and stays. Without any such point nothing is
    wrong.
    """
    changed = previous.copy()
    for point in points:
        if not agree(previous, [point]):
            changed[within_reach(mask, previous, point)] = point.positive
    return with_points(changed, points)


def given_up(mask: MaskArray, other: MaskArray, *, points: Sequence[Point]) -> MaskArray:
    """Return the pixels, H x W bool, that another object gives up to one with a new mask.

    A positive point on the other object takes from it what a negative one would, as far as that reaches.
    """
    taken = np.zeros_like(other)
    for point in points:
        if point.positive and other[int(point.y), int(point.x)]:
            taken |= within_reach(~mask, other, replace(point, positive=False))
    return taken


def as_prompt(
    points: Sequence[Point],
    box: Box | None,
    previous: MaskArray | None,
    *,
    size: tuple[int, int],
    encoded: tuple[int, int],
    device: torch.device,
) -> PromptTensors:
    """Make a prompt, as the network takes it, of what was shown of one object on one frame.

    Points and box are in pixels of a frame of a size (H, W). (0, 0) is the centre of the first pixel; ``encoded`` is
    the (height, width) at which it is encoded.
    """
    height, width = size
    rows = [((each.x + 0.5) / width, (each.y + 0.5) / height, 1.0 if each.positive else -1.0) for each in points]
    sides = [0.0] * 5 if box is None else [box.x0 / width, box.y0 / height, box.x1 / width, box.y1 / height, 1.0]
    cells = encoded[0] // OUTPUT_STRIDE, encoded[1] // OUTPUT_STRIDE
    return PromptTensors(
        torch.tensor([rows or [(0.0, 0.0, 0.0)]], device=device),
        torch.tensor([sides], device=device),
        torch.zeros(1, 1, *cells, device=device) if previous is None else _small(previous, cells).to(device),
    )


def _small(mask: MaskArray, cells: tuple[int, int]) -> Tensor:
    shrinks = mask.shape[0] >= cells[0] and mask.shape[1] >= cells[1]
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    small = cv2.resize(mask.astype(np.float32), cells[::-1], interpolation=interpolation)
    return torch.from_numpy(np.clip(small, 0, 1))[None, None]


@runtime_checkable
class PartPrompter(Prompter, Protocol):
    """A prompter that also finds a thing which is a part of a mask that is there; `RelayPrompter` is one."""

    def part(
        self, observed: Observed, whole: MaskArray, *, points: Sequence[Point], largest: int | None = None
    ) -> MaskArray:
        """See `RelayPrompter.part`."""


class ProbabilisticPrompter(Prompter, Protocol):
    """A prompter that also says how probable it is that a pixel is meant; `NetworkPrompter` is one."""

    def probability(self, observed: Observed, *, points: Sequence[Point]) -> ProbabilityArray:
        """See `NetworkPrompter.probability`."""


class RelayPrompter:
    """Asks two prompters in turn: what the classical one makes of the first click, the network goes on from.

    One click says little, and GrabCut begins from the subject that covos-lite sees there; further clicks say what a
    network reads better. If the subject is several things, a click means one of them. The network is asked alone,
    too: if it is sure that a part of the answer is not meant, its own answer is taken, as far as it hangs together
    with the click (`DOUBT`, `MEANT`). Measured by ``benchmarks/clicks.py``. A box alone has nothing that the second
    could go by.
    """

    def __init__(self, first: Prompter, then: ProbabilisticPrompter) -> None:
        self.first = first
        self.then = then

    @property
    def name(self) -> str:
        """Name, for reports."""
        return f"{self.first.name}+{self.then.name}"

    def mask(
        self,
        observed: Observed,
        *,
        points: Sequence[Point],
        box: Box | None,
        previous: MaskArray | None,
        largest: int | None = None,
    ) -> MaskArray:
        """See `Prompter.mask`."""
        if previous is not None:
            if not points:
                return previous
            return self.then.mask(observed, points=points, box=box, previous=previous, largest=largest)
        begun = self.first.mask(observed, points=points, box=box, previous=None)
        if not points:
            return begun
        joined = self.then.mask(observed, points=points, box=box, previous=begun)
        if box is not None or not any(each.positive for each in points):
            return joined
        alone = self.then.probability(observed, points=points)
        if joined.any() and (alone[joined] < DOUBT).mean() > MEANT:
            mask = parts_at(with_points(alone > THRESHOLD, points), points)
        else:
            mask = with_points(joined & (alone > SURELY_NOT), points)
        return mask if _fits(mask, largest) else as_large(alone, points, largest=largest)

    def part(
        self, observed: Observed, whole: MaskArray, *, points: Sequence[Point], largest: int | None = None
    ) -> MaskArray:
        """Find the thing that is pointed at, H x W bool, where it is known to be a part of a mask.

        GrabCut would begin with the subject, which is mostly that mask. The network is asked alone, and what it is
        surer of is taken, level by level (`SURE`), as long as this is nearly the whole mask (`NEARLY_ALL`), or larger
        than it can be (see `Prompter.mask`).
        """
        probability = self.then.probability(observed, points=points)
        inside = parts_at(whole, points)
        part = whole
        for level in SURE:
            part = parts_at(with_points(probability > level, points), points)
            if (part & inside).sum() <= NEARLY_ALL * inside.sum():
                break
        part = with_points(part, points)
        return part if _fits(part, largest) else as_large(probability, points, largest=largest)
