"""Find the opacity of a subject's edge, frame after frame, in the tiles that hold it (`covos.engines.tiles`).

Shape legend: H height, W width of a frame.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Protocol, TypeAlias, TypeVar

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from covos.core.ahead import computed
from covos.core.device import Precision, calls_at_once
from covos.core.types import FrameResult, ImageArray, MaskArray, ProbabilityArray
from covos.engines.band import SURE, sample_sides, tile_inputs, within
from covos.engines.doubts import without_doubts
from covos.engines.ladder import Ladder
from covos.engines.sharp import with_sharp_edges
from covos.engines.steady import FLOW_HEIGHT, grey, way_to
from covos.engines.tiles import LARGEST, MARGIN, Patchwork, Tile, in_groups, padded, tiles_over
from covos.engines.trimap import solve_band
from covos.engines.ways import moved
from covos.masks.distance import distance_to
from covos.masks.matte import brought_together, opacity_of, stretched
from covos.masks.soft import rounded
from covos.masks.solid import scale_of
from covos.models.matte import INPUTS
from covos.models.registry import DEFAULT_MATTER, build_matter, find_matter
from covos.runtimes.choice import ChosenRuntime, Computing, Runtime, choose_computing
from covos.runtimes.loading import ready

ProgressT = TypeVar("ProgressT")
_Part: TypeAlias = tuple[slice, slice]
"""Rows and columns of a frame."""
_Told: TypeAlias = Callable[[Tile, NDArray[np.float32]], None]
_RunTiles: TypeAlias = Callable[[Sequence[Tile], _Told], Iterator[tuple[Tile, NDArray[np.float32]]]]
"""Yields tiles with their alpha, from what writes the network's input of each."""

REACH = 6 / 480
"""Reach of the band on each side of the contour, over the height of the frame."""
LEAST_REACH = 4
DEPTH = 2
"""So many times the reach, inwards from the contour, a pixel may be uncertain. Deeper in the subject, a network that is
not sure doubts what it sees, and there is no edge: an eye would become a hole. Outside, strands go far."""
APART = 4
"""So many times the reach a doubtful patch of the background may be away from the subject, and still be part of it."""
TOGETHER = 2**17
"""Pixels of the tiles that the network sees together, at the most: fewer tiles where the memory runs out."""
ENCLOSED = 4
"""So many times the reach is the side of the largest patch of sure background inside of a subject that is asked about:
a hole in the mask, mostly. Taken for background, it would give the subject's own colours as those behind."""
AROUND = 0.2
"""Share of the frame's height around the subject that is looked at: beyond it are other colours of the same, mostly."""
SOLVED = 0.25
"""Share of what the colours of a picture say in the log-odds of alpha, beside the network."""
SETTLED = 0.5
"""Alpha should be below this where the band ends in the background. If it is not, the band grows there, once. From less
on, it follows ghosts of the subject's colours; to grow again brings a few strands, and larger smears."""


class MatteNetwork(Protocol):
    """A network that finds the opacity in tiles; `covos.models.matte.CovosMatte` is one."""

    def __call__(self, x_BCHW: Tensor) -> Tensor:
        """Return B x 1 x H x W float32 alpha in [0, 1]."""


class MatteEngine:
    """Finds mattes with covos-matte; it remembers the frame before, so frames are given in order.

    Args:
        network: In evaluation mode, on the device of the ladder.
        ladder: Runs the network, and goes on with less when the memory runs out; with its own device and precision.
        still: True for a single picture. It has the time to be solved by its colours, too (`covos.engines.trimap`). The
            network begins with that, and it counts in the answer: on real pictures, both together are better than
            either. A video takes what is steady from frame to frame.
    """

    def __init__(self, network: MatteNetwork, *, ladder: Ladder, still: bool = False) -> None:
        self._network = network
        self._ladder = ladder
        self._still = still
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
        reach = max(LEAST_REACH, REACH * image.shape[0])
        # Whoever tells the band knows the doubtful pixels.
        guide = without_doubts(probability, reach=reach) if band is None else stretched(probability)
        alpha = guide.copy() if band is not None else (guide > 0.5).astype(np.float32)
        seen = guide > SURE if band is None else band
        if seen.any():
            part = _part(seen)
            alpha[part] = self._find(image, guide, part, index=index, reach=reach, band=band)
        self.remember(image, alpha, index=index)
        return alpha

    def remember(self, image: ImageArray, alpha: ProbabilityArray, *, index: int) -> None:
        """Take a frame whose opacity is known already."""
        self._before = index, image, alpha

    def _find(
        self,
        image: ImageArray,
        guide: ProbabilityArray,
        part: _Part,
        *,
        index: int,
        reach: float,
        band: MaskArray | None,
    ) -> ProbabilityArray:
        """Find the opacity of a part of a frame, outside of which there is none."""
        own, (before, known) = guide[part], self._moved(image, part, index)
        asked = _asked(own, reach=reach) if band is None else band[part]
        if not asked.any():
            return (own > 0.5).astype(np.float32)
        solving = _Solving(image[part], own, before, known, run=self._tiles, colours=self._still)
        alpha = solving.solve(asked)
        if band is not None:
            return np.where(asked, alpha, own).astype(np.float32)
        if (wider := _grown(alpha, own, asked, reach=reach)) is not None:
            alpha, asked = solving.solve(wider), wider
        sharp = with_sharp_edges(alpha, own, image[part], reach=reach, scale=scale_of(image.shape[0]))
        if solving.solved is not None:
            sharp = brought_together(sharp, solving.solved, share=SOLVED)
        return np.where(asked, sharp, alpha).astype(np.float32)

    def _moved(self, image: ImageArray, part: _Part, index: int) -> tuple[ProbabilityArray, ProbabilityArray]:
        """Return the alpha of the frame before in a part, moved to this frame, and where it is known."""
        here = image[part]
        if self._before is None or self._before[0] != index - 1 or self._before[1].shape != image.shape:
            nothing = np.zeros(here.shape[:2], np.float32)
            return nothing, nothing
        _, there, alpha = self._before
        # As much smaller as the whole frame would be.
        rows = FLOW_HEIGHT * here.shape[0] // image.shape[0]
        # Refined, the flow takes twice as long, and the alpha is the same.
        flow, alike = way_to(grey(here), grey(there[part]), rows=rows, refined=False)
        return moved(alpha[part], flow), alike

    def _tiles(self, tiles: Sequence[Tile], told: _Told) -> Iterator[tuple[Tile, NDArray[np.float32]]]:
        """Yield tiles with what the network finds in them; those of one size are computed together."""
        calls = calls_at_once() if self._ladder.bears_threads else 1

        def alphas(part: Sequence[Tile]) -> NDArray[np.float32]:
            return self._run(part, told)

        def solved(part: Sequence[Tile]) -> list[tuple[Sequence[Tile], NDArray[np.float32]]]:
            return list(self._ladder.in_parts(part, alphas, of="tiles"))

        groups = in_groups(tiles, pixels=TOGETHER // calls)
        for found in computed(groups, solved, calls=calls if calls > 1 else 0):
            for part, alpha in found:
                yield from zip(part, alpha, strict=True)

    def _run(self, tiles: Sequence[Tile], told: _Told) -> NDArray[np.float32]:
        height, width = tiles[0].height + 2 * MARGIN, tiles[0].width + 2 * MARGIN
        inputs = np.empty((len(tiles), height, width, INPUTS), np.float32)
        for tile, each in zip(tiles, inputs, strict=True):
            told(tile, each)
        # Channels lie last in memory, which is how the network takes them.
        x_BCHW = torch.from_numpy(inputs).permute(0, 3, 1, 2)
        found = self._ladder.here(self._network)(x_BCHW.to(self._ladder.device))
        return np.asarray(found[:, 0].float().cpu().numpy(), np.float32)


def load_matte_engine(
    name: str | os.PathLike[str] = DEFAULT_MATTER, *, ladder: Ladder, runtime: Runtime = "torch", still: bool = False
) -> MatteEngine:
    """Load a covos-matte, a name or a ``.safetensors`` file, that computes on a ladder, by a runtime.

    For ``still``, see `MatteEngine`.

    Raises:
        UsageError: It is another kind of network.
        EnvironmentProblem: Its weights are not there, or its graphs cannot be made.
    """
    entry = find_matter(os.fspath(name))
    computing = Computing(ladder.device, ladder.precision, runtime)
    return MatteEngine(ready(build_matter(entry), entry=entry, computing=computing), ladder=ladder, still=still)


def matte_loader(
    name: str | os.PathLike[str] = DEFAULT_MATTER,
    *,
    device: str,
    precision: Precision,
    runtime: ChosenRuntime,
    still: bool,
) -> tuple[Callable[[], MatteEngine], Ladder]:
    """Choose what computes mattes alone, without a model; return what loads it, and the ladder that it computes on.

    For ``still``, see `MatteEngine`.

    Raises:
        UsageError: See `choose_computing`; of what loads it, see `load_matte_engine`.
        EnvironmentProblem: Likewise.
    """
    computing = choose_computing(device=device, precision=precision, runtime=runtime)
    ladder = Ladder(device=computing.device, precision=computing.precision)
    return partial(load_matte_engine, name, ladder=ladder, runtime=computing.runtime, still=still), ladder


class Matting:
    """Adds mattes to results that come in order, one at a time.

    Results that have one keep it, and where all have, nothing is loaded. A picture that cannot be read has a mask that
    was held, and its matte is held likewise. If the network gives no numbers, the matte is that of the probability, and
    the frame's status becomes ``"uncomputed"``. Mattes are rounded as they are kept: a run that goes on finds what one
    finds that was never stopped.

    Args:
        load: Gives the engine, when a frame first needs it.
    """

    def __init__(self, load: Callable[[], MatteEngine]) -> None:
        self._load = load
        self._engine: MatteEngine | None = None
        self._before: FrameResult | None = None

    def of(self, result: FrameResult) -> FrameResult:
        """Return a result with its matte."""
        matte, before = result.matte, self._before
        if matte is None and result.frame.status == "unreadable":
            same = before is not None and before.matte is not None and before.labels is result.labels
            matte = before.matte if same and before is not None else opacity_of(result.probability, result.labels)
        if matte is None:
            if self._engine is None:
                self._engine = self._load()
            if before is not None and before.matte is not None:
                self._engine.remember(before.frame.image, before.matte, index=before.frame.index)
            found = self._engine.find(result.frame.image, result.probability, index=result.frame.index)
            if not np.isfinite(found).all():  # the network gave no numbers: the mask stays, and it is reported
                found = opacity_of(result.probability, result.labels)
                result = replace(result, frame=replace(result.frame, status="uncomputed"))
            matte = rounded(found, result.labels > 0)
        self._before = replace(result, matte=matte)
        return self._before


def matted(
    results: Iterator[FrameResult | ProgressT], load: Callable[[], MatteEngine]
) -> Iterator[FrameResult | ProgressT]:
    """Add mattes to results, see `Matting`; anything else is passed on."""
    matting = Matting(load)
    for result in results:
        yield matting.of(result) if isinstance(result, FrameResult) else result


class _Solving:
    """A frame while its alpha is found: for its band, and once more where the band grew.

    With ``colours``, the first alpha of the network is not that of a few samples but `solve_band`'s, which is kept as
    ``solved``.
    """

    def __init__(
        self,
        image: ImageArray,
        guide: ProbabilityArray,
        before: ProbabilityArray,
        known: ProbabilityArray,
        *,
        run: _RunTiles,
        colours: bool,
    ) -> None:
        self._image, self._guide, self._run, self._colours = image, guide, run, colours
        self.solved: ProbabilityArray | None = None
        self._padded = [padded(each) for each in (image, guide, before, known)]

    def solve(self, band: MaskArray) -> ProbabilityArray:
        """Find the alpha of a band.

        All its tiles are computed, of a band that has grown, too. The colours on both sides are those beyond the band,
        so they change far from the new pixels: a tile that was kept would end in a step at its neighbour.
        """
        tiles = tiles_over(band)
        unknown = padded(band.view(np.uint8)).view(np.bool_)
        asked = np.zeros(unknown.shape, np.bool_)
        for tile in tiles:
            asked[tile.outer] = unknown[tile.outer]
        number, sides = self._sides(band, asked)
        found = Patchwork(self._guide.shape)

        def told(tile: Tile, out: NDArray[np.float32]) -> None:
            image, guide, before, known = (each[tile.outer] for each in self._padded)
            uncertain = unknown[tile.outer]
            own = number[tile.outer][uncertain]
            tile_inputs(image, guide, uncertain, before, known, sides=np.take(sides, own, axis=0), out=out)

        for tile, alpha in self._run(tiles, told):
            found.add(tile, alpha, unknown[tile.outer])
        return np.where(band, found.whole(), self._guide > 0.5).astype(np.float32)

    def _sides(self, band: MaskArray, asked: MaskArray) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Return colours of both sides, and the number among them of each pixel that is asked for, with the margins."""
        inner = np.zeros(band.shape, np.bool_)
        # The margins mirror the frame.
        row_of, column_of = (padded(np.arange(side, dtype=np.int32)[:, None])[:, MARGIN] for side in band.shape)
        rows, columns = np.divmod(np.flatnonzero(asked), asked.shape[1])
        inner[row_of[rows], column_of[columns]] = True
        sides = sample_sides(self._image, self._guide, band, asked=inner)
        if self._colours:
            self.solved = solve_band(self._image, self._guide, band)
            sides = sides._replace(alpha=self.solved[inner])
        number = np.zeros(band.shape, np.int32)
        number[inner] = np.arange(len(sides.alpha), dtype=np.int32)
        return padded(number), sides.told


def _part(seen: MaskArray) -> _Part:
    """Return the part of a frame that holds something, and `AROUND` it on each side; it begins with a tile."""
    height = seen.shape[0]
    spans = []
    for axis, whole in zip((1, 0), LARGEST, strict=True):
        at = np.flatnonzero(seen.any(axis=axis))
        first = max(0, int(at[0] - AROUND * height)) // whole * whole
        spans.append(slice(first, int(at[-1] + 1 + AROUND * height)))
    return spans[0], spans[1]


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
    count, parts = cv2.connectedComponents((band | inside).view(np.uint8), connectivity=8)
    own = np.zeros(count, np.bool_)
    own[parts[band & (to_inside <= APART * reach)]] = True
    # Only pixels of the band are looked up: they are few.
    asked = np.flatnonzero(band & (to_outside <= DEPTH * reach))
    band = np.zeros_like(band)
    band.reshape(-1)[asked[own[parts.reshape(-1)[asked]]]] = True
    return band | _enclosed(~inside & ~band, most=(ENCLOSED * reach) ** 2)


def _enclosed(behind: MaskArray, *, most: float) -> MaskArray:
    """Return the parts of a background, no larger than so many pixels, that have no way to the frame's border."""
    found = np.zeros(behind.shape, np.bool_)
    # Contours take a fraction of the time of components, and all that is enclosed lies within those of holes.
    contours, above = cv2.findContours((~behind).view(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    parents = above[0, :, 3] if contours else ()
    boxes = [cv2.boundingRect(each) for each, parent in zip(contours, parents, strict=True) if parent >= 0]
    if not boxes:
        return found
    left, top = (max(0, min(box[side] for box in boxes) - 1) for side in (0, 1))
    right, bottom = (max(box[side] + box[side + 2] for box in boxes) + 1 for side in (0, 1))
    near = behind[top:bottom, left:right]
    height, width = near.shape
    _, parts, facts, _ = cv2.connectedComponentsWithStats(near.view(np.uint8), connectivity=8)
    first, upper, wide, high, area = facts.T[:5]
    small = (first > 0) & (upper > 0) & (first + wide < width) & (upper + high < height) & (area <= most)
    small[0] = False
    found[top:bottom, left:right] = small[parts]
    return found


def _grown(alpha: ProbabilityArray, guide: ProbabilityArray, band: MaskArray, *, reach: float) -> MaskArray | None:
    """Return a wider band where strands go on beyond it; None if none do.

    It grows where the probability is of the background, and never into the subject: a car's side has the road's
    colours, and would be eaten.
    """
    rim = band & (cv2.erode(band.view(np.uint8), np.ones((3, 3), np.uint8), borderValue=1) == 0)
    open_end = rim & (guide < 0.5) & (alpha > SETTLED)
    if not open_end.any():
        return None
    return band | (within(open_end, 2 * reach) & (guide < 0.5))
