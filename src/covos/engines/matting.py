"""Find the opacity of a subject's edge, frame after frame, in the tiles that hold it.

Tiles lie on a fixed grid: what one shows does not jump when the contour moves by a pixel. Their number grows
with the length of the contour, not with the frame.

Shape legend: H height, W width of a frame.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Protocol, TypeVar

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from covos.core.types import FrameResult, ImageArray, MaskArray, ProbabilityArray
from covos.engines.band import CONTEXT, FAR, SURE, TILE, FarColours, distance_to, far_colours, tile_inputs, within
from covos.engines.ladder import Ladder
from covos.engines.steady import grey, moved_to, way_to
from covos.masks.matte import stretched
from covos.masks.soft import rounded
from covos.models.registry import DEFAULT_MATTER, build_matter, find_matter
from covos.runtimes.choice import Computing, Runtime
from covos.runtimes.loading import ready

ProgressT = TypeVar("ProgressT")

MARGIN = 8
"""Pixels on each side of a tile that it shares with its neighbours, over which one goes over into the other."""
CORE = TILE - 2 * MARGIN
"""Step of the grid."""
REACH = 6 / 480
"""Reach of the band on each side of the contour, over the height of the frame."""
LEAST_REACH = 4
DEPTH = 2
"""So many times the reach, inwards from the contour, a pixel may be uncertain. Deeper in the subject, a network that is
not sure doubts what it sees, and there is no edge: an eye would become a hole. Outside, strands go far."""
APART = 4
"""So many times the reach a doubtful patch of the background may be away from the subject, and still be part of it."""
BATCH = 8
"""Tiles that the network sees together, at the most: fewer where the memory runs out."""
SETTLED = 0.3
"""Alpha should be below this where the band ends in the background. If it is not, the band grows there, once."""


class MatteNetwork(Protocol):
    """A network that finds the opacity in tiles; `covos.models.matte.CovosMatte` is one."""

    def __call__(self, x_BCHW: Tensor) -> Tensor:
        """Return B x 1 x H x W float32 alpha in [0, 1]."""


class Tiles:
    """The tiles of a frame that are solved, by their corners; see `_tiles`. Each counts for the band that it knew."""

    def __init__(self) -> None:
        self.solved: dict[tuple[int, int], tuple[NDArray[np.float32], MaskArray]] = {}

    def together(self, size: tuple[int, int]) -> NDArray[np.float32]:
        """Return them as one H x W, each fading into its neighbours."""
        height, width = size
        whole = height + -height % CORE + 2 * MARGIN, width + -width % CORE + 2 * MARGIN
        total, weight = np.zeros(whole, np.float32), np.full(whole, 1e-6, np.float32)
        for (y, x), (found, band) in self.solved.items():
            share = _FEATHER * band
            total[y : y + TILE, x : x + TILE] += found * share
            weight[y : y + TILE, x : x + TILE] += share
        inner = slice(MARGIN, MARGIN + height), slice(MARGIN, MARGIN + width)
        return np.asarray(total[inner] / weight[inner], np.float32)


class MatteEngine:
    """Finds mattes with covos-matte; it remembers the frame before, so frames are given in order.

    Args:
        network: In evaluation mode, on the device of the ladder.
        ladder: Runs the network, and goes on with less when the memory runs out; with its own device and precision.
    """

    def __init__(self, network: MatteNetwork, *, ladder: Ladder) -> None:
        self._network = network
        self._ladder = ladder
        self._before: tuple[int, ImageArray, ProbabilityArray] | None = None

    def find(
        self, image: ImageArray, probability: ProbabilityArray, *, index: int = 0, band: MaskArray | None = None
    ) -> ProbabilityArray:
        """Find the opacity of a subject.

        Args:
            image: H x W x 3 uint8 RGB.
            probability: H x W float32 in [0, 1]: the probability that a pixel belongs to the subject.
            index: Number of the frame; the alpha of another one is used only if it is that before this.
            band: H x W bool: the pixels to find it for, as of a trimap; None takes those around the contour.

        Returns:
            H x W float32 in [0, 1]; outside the band around the contour, 0 or 1.
        """
        guide = stretched(probability)
        reach = max(LEAST_REACH, REACH * image.shape[0])
        asked = _asked(guide, reach=reach) if band is None else band
        alpha = guide if band is not None else (guide > 0.5).astype(np.float32)
        if asked.any():
            solve, tiles = self._solver(image, guide, *self._moved(image, index)), Tiles()
            alpha = solve(asked, tiles)
            if band is None and (wider := _grown(alpha, guide, asked, reach=reach)) is not None:
                for corner in _tiles(wider & ~asked):
                    tiles.solved.pop(corner, None)
                alpha = solve(wider, tiles)
        self.remember(image, alpha, index=index)
        return alpha

    def remember(self, image: ImageArray, alpha: ProbabilityArray, *, index: int) -> None:
        """Take a frame whose opacity is known already."""
        self._before = index, image, alpha

    def _moved(self, image: ImageArray, index: int) -> tuple[ProbabilityArray, ProbabilityArray]:
        """Return the alpha of the frame before, moved to this frame, and where it is known."""
        if self._before is None or self._before[0] != index - 1 or self._before[1].shape != image.shape:
            nothing = np.zeros(image.shape[:2], np.float32)
            return nothing, nothing
        _, there, alpha = self._before
        flow, alike = way_to(grey(image), grey(there))
        return np.asarray(moved_to(flow, alpha), np.float32), alike

    def _solver(
        self, image: ImageArray, guide: ProbabilityArray, before: ProbabilityArray, known: ProbabilityArray
    ) -> Callable[[MaskArray, Tiles], ProbabilityArray]:
        """Return a function that finds the alpha of a band; it computes the tiles that are not solved yet."""
        height, width = guide.shape
        around = MARGIN + CONTEXT
        # Whole tiles, also where the frame ends within one.
        frame = [around, around + -height % CORE, around, around + -width % CORE]
        told: list[Any] = [_padded(each, frame) for each in (image, guide, before, known)]
        side = TILE + 2 * CONTEXT

        def solve(band: MaskArray, tiles: Tiles) -> ProbabilityArray:
            unknown, colours = _padded(band.view(np.uint8), frame), far_colours(image, guide, band)

            def solved(part: Sequence[tuple[int, int]]) -> NDArray[np.float32]:
                windows = [(slice(y, y + side), slice(x, x + side)) for y, x in part]
                return self._run(
                    [
                        tile_inputs(
                            told[0][window],
                            told[1][window],
                            unknown[window].astype(np.bool_),
                            told[2][window],
                            told[3][window],
                            far=_part(colours, *corner),
                        )
                        for corner, window in zip(part, windows, strict=True)
                    ]
                )

            corners = _tiles(band)
            missing = [each for each in corners if each not in tiles.solved]
            for part, alphas in self._ladder.in_parts(missing, solved, of="tiles", most=BATCH):
                for (y, x), found in zip(part, alphas, strict=True):
                    asked = unknown[y + CONTEXT : y + side - CONTEXT, x + CONTEXT : x + side - CONTEXT]
                    tiles.solved[y, x] = found, asked.astype(np.bool_)
            return np.where(band, tiles.together((height, width)), guide > 0.5).astype(np.float32)

        return solve

    def _run(self, tiles: list[NDArray[np.float32]]) -> NDArray[np.float32]:
        # They lie in memory with their channels last, which is how the network takes them.
        told = torch.from_numpy(np.stack([each.transpose(1, 2, 0) for each in tiles])).permute(0, 3, 1, 2)
        found = self._ladder.here(self._network)(told.to(self._ladder.device))
        return np.asarray(found[:, 0].float().cpu().numpy(), np.float32)


def load_matte_engine(
    name: str | os.PathLike[str] = DEFAULT_MATTER, *, ladder: Ladder, runtime: Runtime = "torch"
) -> MatteEngine:
    """Load a covos-matte, a name or a ``.safetensors`` file, that computes on a ladder, by a runtime.

    Raises:
        UsageError: It is another kind of network.
        EnvironmentProblem: Its weights are not there, or its graphs cannot be made.
    """
    entry = find_matter(os.fspath(name))
    computing = Computing(ladder.device, ladder.precision, runtime)
    return MatteEngine(ready(build_matter(entry), entry=entry, computing=computing), ladder=ladder)


def matted(
    results: Iterator[FrameResult | ProgressT], load: Callable[[], MatteEngine]
) -> Iterator[FrameResult | ProgressT]:
    """Add mattes to results, in order; anything else is passed on.

    Results that have one keep it, and where all have, nothing is loaded. A picture that cannot be read has a mask that
    was held, and its matte is held likewise. Where the network gives no numbers, the matte is that of the probability,
    and the frame's status becomes ``"uncomputed"``. Mattes are rounded as they are kept: a run that goes on finds what
    one finds that was never stopped.
    """
    engine: MatteEngine | None = None
    before: FrameResult | None = None
    for result in results:
        if not isinstance(result, FrameResult):
            yield result
            continue
        matte = result.matte
        if matte is None and result.frame.status == "unreadable":
            same = before is not None and before.matte is not None and before.labels is result.labels
            matte = before.matte if same and before is not None else stretched(result.probability)
        if matte is None:
            if engine is None:
                engine = load()
            if before is not None and before.matte is not None:
                engine.remember(before.frame.image, before.matte, index=before.frame.index)
            found = engine.find(result.frame.image, result.probability, index=result.frame.index)
            if not np.isfinite(found).all():  # the network gave no numbers: the mask stays, and it is told
                found = stretched(result.probability)
                result = replace(result, frame=replace(result.frame, status="uncomputed"))  # noqa: PLW2901
            matte = rounded(found, result.labels > 0)
        before = replace(result, matte=matte)
        yield before


def _ramp() -> NDArray[np.float32]:
    rise = (np.arange(2 * MARGIN, dtype=np.float32) + 0.5) / (2 * MARGIN)
    side = np.concatenate([rise, np.ones(TILE - 4 * MARGIN, np.float32), rise[::-1]])
    return np.outer(side, side).astype(np.float32)


_FEATHER = _ramp()


def _part(colours: FarColours, y: int, x: int) -> FarColours:
    """Return the part of a frame's colours that a tile's window covers; within the frame, whole cells of them."""
    rows, columns = colours.foreground.shape[:2]
    first = [max(0, (at - MARGIN - CONTEXT) // FAR) for at in (y, x)]
    last = [at // FAR + (TILE + CONTEXT - MARGIN) // FAR for at in (y, x)]
    first = [min(first[0], rows - 1), min(first[1], columns - 1)]
    inside = slice(first[0], max(last[0], first[0] + 1)), slice(first[1], max(last[1], first[1] + 1))
    return FarColours(*(each[inside] for each in colours))


def _padded(values: NDArray[Any], frame: list[int]) -> NDArray[Any]:
    top, bottom, left, right = frame
    return np.asarray(cv2.copyMakeBorder(values, top, bottom, left, right, cv2.BORDER_REFLECT_101), values.dtype)


def _tiles(band: MaskArray) -> list[tuple[int, int]]:
    """Return the (y, x) of the tiles whose cores hold a pixel of the band; a tile begins `MARGIN` before its core."""
    height, width = band.shape
    whole = np.pad(band, ((0, -height % CORE), (0, -width % CORE)))
    rows, columns = whole.shape[0] // CORE, whole.shape[1] // CORE
    held = whole.reshape(rows, CORE, columns, CORE).any(axis=(1, 3))
    return [(int(y) * CORE, int(x) * CORE) for y, x in np.argwhere(held)]


def _asked(guide: ProbabilityArray, *, reach: float) -> MaskArray:
    """Return the band around the contour of a probability, without what is doubtful deep inside of the subject.

    Doubtful patches that come nowhere near the subject are ghosts of other things: there is no edge in them.
    """
    inside = guide > 0.5
    if not inside.any():
        return inside
    # By distances: to dilate by a large disc takes seconds in a large frame.
    to_inside, to_outside = distance_to(inside), distance_to(~inside)
    doubtful = (guide > SURE) & (guide < 1 - SURE)
    band = doubtful | ((to_inside <= reach) & (to_outside <= reach))
    _, parts = cv2.connectedComponents((band | inside).view(np.uint8), connectivity=8)
    own = np.zeros(int(parts.max()) + 1, np.bool_)
    own[parts[to_inside <= APART * reach]] = True
    return np.asarray(band & own[parts] & (to_outside <= DEPTH * reach), np.bool_)


def _grown(alpha: ProbabilityArray, guide: ProbabilityArray, band: MaskArray, *, reach: float) -> MaskArray | None:
    """Return a wider band where strands go on beyond it; None if none do.

    It does not grow into the subject: what is inside is solid more often than not, and soft only if the colours lie.
    """
    rim = band & (cv2.erode(band.view(np.uint8), np.ones((3, 3), np.uint8), borderValue=1) == 0)
    open_end = rim & (guide < 0.5) & (alpha > SETTLED)
    if not open_end.any():
        return None
    return band | within(open_end, 2 * reach)
