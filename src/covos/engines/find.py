"""Find the subject of a video: what its frames have in common is segmented, without anything shown.

Two passes, neither of which holds the clip. One encodes references, spread over the shot (see `covos.engines.shots`).
The other streams: each other frame is encoded once, compared with the R references of its place, decoded and dropped. A
frame that is itself a reference is not encoded again, and is compared with the others only: with itself it has
everything in common.

The logits of a frame are then brought together with those of the frames around it (see `covos.engines.around`).

A frame may be looked at in two views, each with references of its own: the usual size is surer of the scene, a larger
one of the contour. They take turns. A single picture is looked at in both, and the mean of the logits is taken.

Memory is that of R references, one batch of frames, those around a frame, and what the source prefetches, whatever
the length.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, groupby, islice
from typing import Generic, NamedTuple, TypeAlias

import cv2
import numpy as np
import torch
from torch import Tensor

from covos.core.ahead import computed
from covos.core.device import calls_at_once
from covos.core.errors import UsageError, one_of
from covos.core.types import Frame, FrameResult, MaskArray, ProbabilityArray
from covos.engines.around import Around
from covos.engines.between import DOUBT, Seen, find_between, is_looked_at
from covos.engines.choices import APART, AROUND, DEFAULT_QUALITY, IN_TURN, VIEWS, Quality, apart_of
from covos.engines.encoding import FeaturesT, FrameEncoder, select_rows, to_probability
from covos.engines.flat import NOTHING, is_flat
from covos.engines.ladder import Ladder
from covos.engines.motion import Observed
from covos.engines.refining import fitted_by_crf
from covos.models.choices import Fusion, Refinement
from covos.models.coattention import Memory
from covos.models.layers import upsample_to

THRESHOLD = 0.5
"""Probability above which a pixel belongs to the subject."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class References(Generic[FeaturesT]):
    """Encoded references in one view: frame index, features and memory of each, of batch size 1."""

    indices: tuple[int, ...]
    features: tuple[FeaturesT, ...]
    memories: tuple[Memory, ...]

    def joined(self, other: References[FeaturesT]) -> References[FeaturesT]:
        """Return these and other references, of the same view."""
        return References(
            indices=(*self.indices, *other.indices),
            features=(*self.features, *other.features),
            memories=(*self.memories, *other.memories),
        )

    def without(self, index: int) -> tuple[Memory, ...]:
        """Return the memories of all references but the one with this frame index."""
        return tuple(memory for i, memory in zip(self.indices, self.memories, strict=True) if i != index)


ReferencesAt: TypeAlias = Callable[[int], Sequence[References[FeaturesT]]]
"""Gives the references of the frame with an index, in each view; the same value for frames that have the same."""


def references_at(references: Sequence[References[FeaturesT]] | ReferencesAt[FeaturesT]) -> ReferencesAt[FeaturesT]:
    """Return what gives a frame its references, of references that all frames may have in common."""
    return references if callable(references) else lambda _: references


class Placed(NamedTuple, Generic[FeaturesT]):
    """A frame with its references in each view; and its logits in each view, where the network has looked at it.

    The logits of a frame that was made of its neighbours are those of one view, as are those of a flat frame, on which
    nothing can be seen.
    """

    observed: Observed
    references: Sequence[References[FeaturesT]]
    views: Sequence[Tensor] | None = None
    between: bool = False
    flat: bool = False


Look: TypeAlias = Callable[[Sequence[Placed[FeaturesT]]], Iterator[tuple[int, list[Tensor]]]]
"""Segments frames by the network; gives the index of each with its logits in each view."""


class FindEngine(Generic[FeaturesT]):
    """Segments the subject of a video.

    Args:
        encoder: Encodes the frames, and finds their motion.
        others: Encoders of the same network that encode the frames in further views, none larger than the last. Each
            gives logits of its own, and their mean with those of ``encoder`` is taken.
        apart: Frames from one that the network looks at to the next. Those between are made of their neighbours, which
            takes a network that uses motion; others look at all.
        around: Frames on each side that a frame is brought together with, likewise. With 0, each has its own logits.
        in_turn: If true, a frame is looked at in one view alone, the next frame in the next view.
    """

    def __init__(
        self,
        encoder: FrameEncoder[FeaturesT],
        *,
        others: Sequence[FrameEncoder[FeaturesT]] = (),
        apart: int = 1,
        around: int = AROUND,
        in_turn: bool = False,
    ) -> None:
        self.encoder = encoder
        self.encoders = (encoder, *others)
        self.apart = apart if encoder.network.uses_motion else 1
        self.around = around if encoder.network.uses_motion else 0
        self.in_turn = in_turn

    @property
    def ladder(self) -> Ladder:
        """Runs the network; see `covos.engines.ladder`."""
        return self.encoder.ladder

    def fresh(self) -> FindEngine[FeaturesT]:
        """Return the same engine on a ladder of its own, for another video; its other views are left out."""
        return FindEngine(self.encoder.fresh(), around=self.around)

    def cut_at(self, cuts: Collection[int]) -> FindEngine[FeaturesT]:
        """Return the same engine for a video in which shots begin with these frames."""
        return self._by(encoder.cut_at(cuts) for encoder in self.encoders)

    def at(self, quality: Quality) -> FindEngine[FeaturesT]:
        """Return an engine of the same network that finds at this quality.

        Raises:
            UsageError: The network takes frames of one size alone, and another is asked for.
        """
        fixed = self.encoder.network.fixed_size
        if fixed is not None and quality != DEFAULT_QUALITY:
            raise UsageError(
                f"quality {quality!r}",
                why=f"{type(self.encoder.network).__name__} takes frames of {fixed[0]} x {fixed[1]} alone",
                fix=f"leave it out ({DEFAULT_QUALITY}), or use a model that takes any size, such as covos-lite",
            )
        views, in_turn = VIEWS[quality], quality in IN_TURN
        if in_turn and not self.around:  # masks would flicker from view to view
            views, in_turn = views[:1], False
        encoder, *others = (self.encoder.scaled(view.share, mirrored=view.mirrored) for view in views)
        return FindEngine(encoder, others=others, apart=apart_of(quality), around=self.around, in_turn=in_turn)

    def sharing(self, encoder: FrameEncoder[FeaturesT]) -> FindEngine[FeaturesT]:
        """Return the same engine, with an encoder in the place of its own of that view, if it has it."""
        own = encoder.area, encoder.mirrored
        return self._by(encoder if (each.area, each.mirrored) == own else each for each in self.encoders)

    def _by(self, encoders: Iterable[FrameEncoder[FeaturesT]]) -> FindEngine[FeaturesT]:
        first, *others = encoders
        return FindEngine(first, others=others, apart=self.apart, around=self.around, in_turn=self.in_turn)

    def of_picture(self) -> FindEngine[FeaturesT]:
        """Return the same engine for a single picture: no frames around it have the other views, so it takes all."""
        return FindEngine(self.encoder, others=self.encoders[1:], apart=self.apart, around=self.around)

    def in_whole_batches(self, frames: int) -> int:
        """Return the least number of frames that is no less than this and fills whole batches."""
        return -(-frames // self.encoder.batch) * self.encoder.batch

    def check_fusion(self, fusion: Fusion | None) -> Fusion:
        """Return the way to use several references: the network's best if none is asked for."""
        network = self.encoder.network
        if fusion is None:
            return network.fusions[0]
        if fusion not in network.fusions:
            raise UsageError(
                f"fusion {fusion!r}",
                why=f"{type(network).__name__} is not made for it",
                fix=one_of(fusion, network.fusions),
            )
        return fusion

    def remember(self, frames: Iterable[Observed]) -> tuple[References[FeaturesT], ...]:
        """Encode references, one at a time, in each view; those on which nothing can be seen are left out."""
        indices: list[int] = []
        encoded: list[list[tuple[FeaturesT, Memory]]] = [[] for _ in self.encoders]
        for observed in frames:
            if is_flat(observed):  # it has nothing in common with any frame
                continue
            indices.append(observed.frame.index)
            for known, encoder in zip(encoded, self.encoders, strict=True):
                known.append(self.ladder.run(partial(remembered, encoder, observed)))
        return tuple(
            References(
                indices=tuple(indices),
                features=tuple(features for features, _ in known),
                memories=tuple(memory for _, memory in known),
            )
            for known in encoded
        )

    def stream(
        self,
        frames: Iterable[Observed],
        references: Sequence[References[FeaturesT]] | ReferencesAt[FeaturesT],
        *,
        fusion: Fusion | None = None,
        refine: Refinement = "none",
        ahead: bool = True,
        known: int = 0,
    ) -> Iterator[FrameResult]:
        """Second pass: segment each frame; yield one result for each, in order.

        Results come so many frames late as a frame is brought together with.

        Args:
            frames: From `FrameEncoder.observe`.
            references: From `remember`, in each view, for all frames; or what gives those of a frame. A frame that has
                none is compared with itself.
            fusion: Way to use several references; None takes the network's best.
            refine: Way to fit the probabilities to the picture.
            ahead: If true, the network looks at frames ahead of who asks for them, on threads of its own.
            known: The first frames are only there for those after them: so many have no result.

        Raises:
            UsageError: The network cannot do this fusion.
        """
        look = partial(self._look, fusion=self.check_fusion(fusion))
        # Of a draft the network is the lesser part: a second call at a time would hold up all else.
        calls = calls_at_once() if self.apart < APART["draft"] else 1
        if not ahead or not self.ladder.bears_threads:
            calls = 0
        batches = self._placed(iter(frames), references_at(references), calls=calls)
        looked = computed(batches, partial(self._looked, look=look), calls=calls)
        each = self._with_those_between(looked, look) if self.apart > 1 else chain.from_iterable(looked)
        for frame in islice(self._with_those_around(each) if self.around else each, known, None):
            result = self.ladder.run(partial(self.result, frame.observed.frame, frame.views or (), refine=refine))
            yield replace(result, between=True) if frame.between else result

    def _with_those_around(self, frames: Iterable[Placed[FeaturesT]]) -> Iterator[Placed[FeaturesT]]:
        """Bring the logits of each frame together with those around it."""
        around = Around[Placed[FeaturesT]](self.around, self.around)
        for each in frames:
            seen = self.ladder.run(partial(self._seen, each))
            if each.flat:  # what nothing can be seen on says nothing of other frames
                seen = replace(seen, logits=torch.full_like(seen.logits, torch.nan))
            yield from map(_of_one_view, around.push(each, seen, counts=not each.between))
        yield from map(_of_one_view, around.end())

    def _placed(
        self, frames: Iterator[Observed], at: ReferencesAt[FeaturesT], *, calls: int
    ) -> Iterator[list[Placed[FeaturesT]]]:
        """Give the frames, some at a time, each with its references; these are found in the order of the frames.

        So many calls at a time share a batch, but each has a frame to look at.
        """
        while batch := list(islice(frames, max(self.encoder.together // max(calls, 1), self.apart))):
            yield [Placed(each, at(each.frame.index)) for each in batch]

    def _looked(self, batch: Sequence[Placed[FeaturesT]], *, look: Look[FeaturesT]) -> list[Placed[FeaturesT]]:
        """Segment those frames of a batch that the network looks at."""
        marked = [each._replace(flat=is_flat(each.observed)) for each in batch]
        chosen = partial(is_looked_at, apart=self.apart, cuts=self.encoder.cuts)
        views = dict(look([each for each in marked if not each.flat and chosen(each.observed)]))
        found = [
            [self._nothing(each.observed)] if each.flat else views.get(each.observed.frame.index) for each in marked
        ]
        return [each._replace(views=own) for each, own in zip(marked, found, strict=True)]

    def _nothing(self, observed: Observed) -> Tensor:
        """Return the logits of a frame on which nothing can be seen, h x w float32."""
        return torch.full(self._cells(observed.frame), NOTHING)

    def _cells(self, frame: Frame) -> tuple[int, int]:
        """Return the size of the logits of a frame in the largest view."""
        height, width = self.encoders[-1].size_of(frame)
        return height // 2, width // 2

    def _look(self, batch: Sequence[Placed[FeaturesT]], *, fusion: Fusion) -> Iterator[tuple[int, list[Tensor]]]:
        """Segment frames by the network; yield the index of each with its logits in each view."""
        for own, some in groupby(batch, key=lambda each: each.references):
            segmented = partial(self._in_views, references=own, fusion=fusion)
            for part, logits in self.ladder.in_parts([each.observed for each in some], segmented):
                for observed in part:
                    yield observed.frame.index, [of[observed.frame.index] for of in logits]

    def _in_views(
        self, observed: Sequence[Observed], *, references: Sequence[References[FeaturesT]], fusion: Fusion
    ) -> list[dict[int, Tensor]]:
        each = list(zip(self.encoders, references, strict=True))
        if not self.in_turn:
            return [self._logits(observed, encoder, known, fusion) for encoder, known in each]
        found: dict[int, Tensor] = {}
        for turn, (encoder, known) in enumerate(each):
            if own := [one for one in observed if one.frame.index % len(each) == turn]:
                # All frames that are brought together are of one size.
                size = self._cells(own[0].frame)
                logits = self._logits(own, encoder, known, fusion)
                found |= {index: upsample_to(logit[None, None], size)[0, 0] for index, logit in logits.items()}
        return [found]

    def _with_those_between(
        self, looked: Iterable[Sequence[Placed[FeaturesT]]], look: Look[FeaturesT]
    ) -> Iterator[Placed[FeaturesT]]:
        """Make the frames that the network has not looked at of their neighbours, if that will do.

        All that a result depends on lies in its own batch or begins with the next one, so a run that is stopped goes
        on as if it had not been.
        """
        before: Seen | None = None
        waiting: list[Placed[FeaturesT]] = []
        for batch in looked:
            for each in batch:
                if each.views is None:
                    waiting.append(each)
                    continue
                after = self._seen(each)
                yield from self._between(before, waiting, after, look)
                yield each
                before, waiting = after, []
        yield from self._between(before, waiting, None, look)

    def _between(
        self,
        before: Seen | None,
        waiting: Sequence[Placed[FeaturesT]],
        after: Seen | None,
        look: Look[FeaturesT],
    ) -> Iterator[Placed[FeaturesT]]:
        if not waiting:
            return
        found = find_between(before, [each.observed for each in waiting], after)
        if found is not None and all(each.doubt <= DOUBT for each in found):
            for each, made in zip(waiting, found, strict=True):
                yield each._replace(views=[made.logits[0]], between=True)
            return
        # With the one in the middle, the others have nearer neighbours.
        middle = len(waiting) // 2
        ((_, views),) = look([waiting[middle]])
        own = waiting[middle]._replace(views=views)
        seen = self._seen(own)
        yield from self._between(before, waiting[:middle], seen, look)
        yield own
        yield from self._between(seen, waiting[middle + 1 :], after, look)

    def _seen(self, looked: Placed[FeaturesT]) -> Seen:
        return Seen.of(looked.observed, mean_logit(self.ladder.moved(tuple(looked.views or ())))[None])

    def result(self, frame: Frame, views: Sequence[Tensor], *, refine: Refinement = "none") -> FrameResult:
        """Make a result of a frame's logits in each view, h x w float32 each."""
        logit = mean_logit(self.ladder.moved(tuple(views)))
        if not torch.isfinite(logit).all():
            return uncomputed(frame)
        own = to_probability(logit, size=frame.size)
        if refine != "crf":  # else the picture is not made for nothing
            return subject_of(frame, own)
        return subject_of(frame, fitted_by_crf(frame.image, own, device=self.encoder.device), own=own)

    def logits(self, observed: Sequence[Observed], encoded: FeaturesT, references: References[FeaturesT]) -> Tensor:
        """Segment encoded frames as `stream` does; to be called while the encoder is computing.

        Returns:
            B x 1 x h x w float32 logits.
        """
        logits = self._by_references(encoded, references, self.check_fusion(None), frames=len(observed))
        for row, each in enumerate(observed):
            if each.frame.index in references.indices:
                others = references.without(each.frame.index)
                logits[row] = self.segment_one(select_rows(encoded, [row]), others)
            if is_flat(each):
                logits[row] = NOTHING
        return logits.unsqueeze(1)

    def _logits(
        self,
        observed: Sequence[Observed],
        encoder: FrameEncoder[FeaturesT],
        references: References[FeaturesT],
        fusion: Fusion,
    ) -> dict[int, Tensor]:
        """Segment a batch in one view; return the logits of each frame as it is, h x w float32, by its index."""
        known = dict(zip(references.indices, references.features, strict=True))
        fresh = [each for each in observed if each.frame.index not in known]
        logits: dict[int, Tensor] = {}
        if fresh:
            decoded = self._by_references(encoder.encode(fresh), references, fusion, frames=len(fresh))
            logits = dict(zip((each.frame.index for each in fresh), decoded, strict=True))
        for index in known.keys() & {each.frame.index for each in observed}:
            logits[index] = self.segment_one(self.ladder.moved(known[index]), references.without(index), fusion=fusion)
        encoder.note(logits)
        return {index: logit.flip(1) for index, logit in logits.items()} if encoder.mirrored else logits

    def _by_references(
        self, encoded: FeaturesT, references: References[FeaturesT], fusion: Fusion, *, frames: int
    ) -> Tensor:
        """Segment so many encoded frames, none of which is a reference: B x h x w float32 logits."""
        if references.memories:
            memories = self.ladder.moved(references.memories)
            return self.encoder.network.segment(encoded, memories, fusion=fusion)[:, 0]
        rows = (select_rows(encoded, [row]) for row in range(frames))
        return torch.stack([self.segment_one(own, (), fusion=fusion) for own in rows])

    def segment_one(self, own: FeaturesT, others: tuple[Memory, ...], *, fusion: Fusion | None = None) -> Tensor:
        """Segment one encoded frame; to be called while the encoder is computing.

        Compared are the memories of the references; with none, the frame itself. The logits are h x w float32.
        """
        network = self.encoder.network
        memories = self.ladder.moved(others) or (network.memorise(own),)
        return network.segment(own, memories, fusion=self.check_fusion(fusion))[0, 0]


def remembered(encoder: FrameEncoder[FeaturesT], observed: Observed) -> tuple[FeaturesT, Memory]:
    """Encode a reference, of batch size 1; to be called while the encoder is computing."""
    features = encoder.encode([observed])
    return features, encoder.network.memorise(features)


def _of_one_view(brought: tuple[Placed[FeaturesT], Tensor]) -> Placed[FeaturesT]:
    """Return a frame with the logits, 1 x h x w, that it was given together with others; a flat one keeps its own."""
    placed, logits = brought
    return placed if placed.flat else placed._replace(views=[logits[0]])


def mean_logit(logits: Sequence[Tensor]) -> Tensor:
    """Return the mean of logit maps of one frame, h x w float32 each, at the size of the last, the largest."""
    *smaller, largest = logits
    enlarged = [upsample_to(logit[None, None], largest.shape)[0, 0] for logit in smaller]
    return torch.stack([*enlarged, largest]).mean(dim=0) if smaller else largest


def subject_of(frame: Frame, probability: ProbabilityArray, *, own: ProbabilityArray | None = None) -> FrameResult:
    """Return the result of a frame by the probability of its subject, H x W float32.

    The confidence is by the network's ``own`` probability, where another was made of it: a CRF's marginals are near 0
    and 1 whether they are right or not.
    """
    mask = probability > THRESHOLD
    return FrameResult(
        frame=frame,
        probability=probability,
        labels=mask.astype(np.uint8),
        confidence=expected_jaccard(probability if own is None else own, mask),
    )


def uncomputed(frame: Frame) -> FrameResult:
    """Return the result of a frame for which the network gave no numbers: all probabilities are NaN."""
    nothing = np.full(frame.size, np.nan, np.float32)
    return FrameResult(frame=frame, probability=nothing, labels=np.zeros(frame.size, np.uint8), confidence=math.nan)


def expected_jaccard(probability: ProbabilityArray, mask: MaskArray) -> float:
    """Return the J, in [0, 1], that a mask H x W bool would have if the probabilities H x W float32 were right.

    Each pixel is in the subject with its own probability p. The expected intersection of the mask with the truth is
    then the sum of p inside the mask, and the expected union is the mask's area plus the sum of p outside. Their ratio
    is the quantity that optimal-decision work on the Jaccard index bounds (Nowozin, CVPR 2014, section 3). For an empty
    mask it is 1 - the highest probability: the chance that the likeliest pixel is empty too.
    """
    # OpenCV sums in float64 as numpy can, in half the time.
    chosen = mask.view(np.uint8)
    area = cv2.countNonZero(chosen)
    if area == 0:
        return float(1 - probability.max())
    inside = cv2.mean(probability, chosen)[0] * area
    outside = cv2.sumElems(probability)[0] - inside
    # The order of a sum, and so its last bits, depend on where in memory the numbers lie.
    return round(inside / (area + outside), 9)


def uniform_references(frame_count: int, *, references: int) -> tuple[int, ...]:
    """Choose the frames in the middle of equal parts of the video (COSNet, section 3.3: uniform over the clip).

    The middles rather than the ends: first and last frames are often fades or cuts. All frames if there are fewer.
    """
    count = min(references, frame_count)
    return tuple((2 * part + 1) * frame_count // (2 * count) for part in range(count))


def random_references(frame_count: int, *, references: int, seed: int) -> tuple[int, ...]:
    """Choose frames at random, as in COSNet's released code, which draws anew for each query and without a seed.

    Here they are drawn once for a video, so that each is encoded once and the masks can be had again.
    """
    return tuple(sorted(random.Random(seed).sample(range(frame_count), min(references, frame_count))))
