"""Find the things that are worth following in a video: what is shown to `FollowEngine` when the user shows nothing.

A few frames a second are sampled, in order. In each the subject is found as `FindEngine` finds it and cut into separate
parts; a divider separates the things of a part that touch. Things that were found before are followed. A part that no
followed thing covers is a new thing, or one that had gone and looks as this does. A thing that is found in two parts
becomes two. A new thing, when it has been found often enough to be believed, is followed back: if it comes from where
another one was, they are the same. So are two of which each, by itself, is mostly seen where the other is.

Each frame is encoded once. Memory is that of a memory bank, of the last `TRACED` sampled frames and of twice as many
candidates as there may be objects, whatever the length.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import combinations, groupby, islice, permutations, product
from typing import TypeAlias

import cv2
import numpy as np
import torch
from torch import Tensor

from covos.core.ahead import prefetch
from covos.core.types import MaskArray
from covos.engines.apart import Divider
from covos.engines.candidates import (
    CONFIRMED,
    LIKE,
    Anchor,
    Candidate,
    appearance_of,
    as_one,
    choose_candidates,
    overlap,
    same_thing,
    share_inside,
    split,
)
from covos.engines.choices import DEFAULT_MOST
from covos.engines.encoding import SharedEncoder, to_probability
from covos.engines.find import References, ReferencesAt, expected_jaccard
from covos.engines.find_passes import references_of
from covos.engines.flat import is_flat
from covos.engines.follow import FollowEngine
from covos.engines.follow_pass import FramePrediction
from covos.engines.motion import Observed
from covos.engines.shots import Shots
from covos.engines.stages import StageProgress
from covos.masks.distance import distance_to
from covos.masks.rims import is_rim
from covos.media.source import Source
from covos.models.follow import FollowFeatures
from covos.models.lite import Features

GAP = 5
"""Frames from one sampled frame to the next: within what covos-follow is trained to bridge."""
SAMPLES = 12
"""A short video is sampled more densely: so many frames if it has them."""
TRACED = 48
"""Sampled frames, as far back as a new thing is followed."""
SURE = 0.5
"""Expected J of the subject from which a frame may show new things."""
LEAST = 0.002
"""Share of the frame that a thing must cover to be found."""
REACH = 0.02
"""Parts that are nearer than this share of the frame's width are one thing."""
NEW = 0.4
"""A part is new if no more of it is covered by what is followed."""
OWN = 0.6
"""A part belongs to a followed thing that covers so much of it."""
SAME = 0.5
"""Overlap (IoU) with a part from which a followed thing counts as found anew."""
PIECE = 0.1
"""Share of a thing that each of two parts must have for it to be two."""
RIMMED = 4
"""Sampled frames that must show two tracks before one is taken for a rim or a double of the other."""
AWAY = 5
"""Sampled frames after whose absence a thing that is there again must look as it did."""
PROBATION = 12
"""Sampled frames after which a thing that was not confirmed is dropped."""
SPACING = 8
"""Frames from one view that a thing is shown by to the next."""
OUTSIDE = -12.0
"""Logit outside a thing, in the views that it is shown by."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DiscoveredObject:
    """A thing that is worth following, which covers a mean share ``size`` of the frames that it is in.

    ``masks`` are its logits on at most `ANCHORS` frames, by index: h x w float32 at the network's stride.
    """

    masks: Mapping[int, Tensor]
    first: int
    size: float

    def at(self, frame: int, *, size: tuple[int, int]) -> MaskArray:
        """Return its mask on one of the frames, at (height, width)."""
        return to_probability(self.masks[frame], size=size) > 0.5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Sample:
    """A sampled frame, and where the candidates are in it: as they share it, and as each is seen by itself."""

    index: int
    features: FollowFeatures
    tracks: Mapping[int, MaskArray]
    alone: Mapping[int, MaskArray] = field(default_factory=dict)


Divide: TypeAlias = Callable[[MaskArray], tuple[MaskArray, ...]]
"""Divides a part of a frame into the things that it is made of."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Part:
    """A separate thing in a frame: its mask at stride 2, and the view that it would be shown by."""

    mask: MaskArray
    anchor: Anchor


def sampled_frames(frame_count: int) -> tuple[int, ...]:
    """Return the indices of the frames that are sampled."""
    return tuple(range(0, frame_count, max(1, min(GAP, frame_count // SAMPLES))))


def masks_of(prediction: FramePrediction) -> dict[int, MaskArray]:
    """Return each object's mask at stride 2: where it is likelier than the background and the others.

    It is empty if the object is not present.
    """
    if not prediction.objects:
        return {}
    odds = prediction.log_odds.float().cpu()
    best = odds.argmax(dim=0)
    return {
        status.id: ((odds[row] > 0) & (best == row)).numpy() & (status.state == "present")
        for row, status in enumerate(prediction.objects)
    }


def _parts(index: int, features: FollowFeatures, logit: Tensor, *, divide: Divide | None) -> list[_Part]:
    """Find the things in a frame, those that touch told apart; none if it is not sure of its subject."""
    solid, probability = (logit > 0).numpy(), torch.sigmoid(logit).numpy()
    if not solid.any() or expected_jaccard(probability, solid) < SURE:
        return []
    keys = features.key_BNK[0].float().cpu().numpy()
    cells = int(features.context_BChw.shape[2]), int(features.context_BChw.shape[3])
    found = split(solid, least=round(LEAST * solid.size), gap=round(REACH * solid.shape[1]))
    if divide is not None:
        found = tuple(piece for part in found for piece in divide(part))
    return [
        _Part(
            mask=mask,
            anchor=Anchor(
                frame=index,
                logit=_alone(logit, mask, others=solid & ~mask),
                confidence=expected_jaccard(np.where(solid & ~mask, 0, probability), mask),
                appearance=appearance_of(keys, mask, cells=cells),
            ),
        )
        for mask in found
    ]


def _alone(logit: Tensor, mask: MaskArray, *, others: MaskArray) -> Tensor:
    """Return the logit of one thing: that of the subject, low where it is nearer to the subject's other parts."""
    size = logit.shape[1], logit.shape[0]
    if not others.any():
        return logit
    own, other = (distance_to(part) for part in (mask, others))
    nearer = cv2.resize((own <= other).astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    return torch.where(torch.from_numpy(nearer > 0), logit, logit.clamp(max=OUTSIDE))


class DiscoveryPass:
    """One pass over the sampled frames of a video, through which an engine follows candidates.

    Without references each frame is compared with itself. There are at most ``most`` objects. Without a divider, things
    that touch are one.
    """

    def __init__(
        self,
        engine: FollowEngine,
        references: References[Features] | ReferencesAt[Features],
        *,
        most: int = DEFAULT_MOST,
        memory: int,
        divider: Divider | None = None,
    ) -> None:
        # The divider asks about the features that following takes.
        own = engine if divider is None else engine.beside(SharedEncoder(engine.encoder))
        self.engine = own.within(references)
        self.divider = divider
        self.most = most
        self.memory = memory
        self.candidates: dict[int, Candidate] = {}
        self._current = engine.new_pass(memory=memory)
        self._recent: deque[_Sample] = deque(maxlen=TRACED)
        self._retired: list[Candidate] = []
        # By (rim, whole), for each sampled frame that shows both: true if the one is a rim of the other there.
        self._rims: dict[tuple[int, int], deque[bool]] = {}
        # By two candidates, for each sampled frame that shows both: how far they are the same there.
        self._overlaps: dict[tuple[int, int], deque[float]] = {}
        self._sampled = 0
        self._next = 1

    def run(self, frames: Iterable[Observed]) -> Iterator[int]:
        """Look for candidates in the frames of `sampled_frames`; yield the index of each that is done."""
        source, encoder = iter(frames), self.engine.encoder
        while batch := list(islice(source, encoder.together)):
            # A network takes all of a flat frame for a thing.
            for flat, some in groupby(batch, key=is_flat):
                if flat:
                    self._pass_over(frames=sum(1 for _ in some))
                else:
                    self._look(list(some))
            yield from (observed.frame.index for observed in batch)

    def found(self) -> tuple[DiscoveredObject, ...]:
        """Choose among the candidates; by first appearance, the larger first."""
        every = [*self._retired, *self._without_doubles()]
        kept = choose_candidates(every, sampled=self._sampled, most=self.most)
        return tuple(
            DiscoveredObject(masks={a.frame: a.logit for a in each.anchors}, first=each.first, size=each.size)
            for each in kept
        )

    def _look(self, batch: Sequence[Observed]) -> None:
        """Take sampled frames on which something can be seen."""
        with self.engine.encoder.computing():
            still = self.engine.standing_out(batch)
            for (observed, features), standing_out in zip(self.engine.encoded(batch), still, strict=True):
                self._take(observed.frame.index, features, standing_out, divide=self._dividing(observed))

    def _pass_over(self, *, frames: int) -> None:
        """Take sampled frames on which nothing can be seen: what was followed is away."""
        self._sampled += frames
        for candidate in self.candidates.values():
            candidate.away += frames

    def _dividing(self, observed: Observed) -> Divide | None:
        if self.divider is None:
            return None
        shared = self.divider.project(self.engine.encoder.encode([observed]))
        height, width = shared.s2_BCHW.shape[2:]
        return partial(self.divider.divide, shared, least=round(LEAST * int(height) * int(width)))

    def _take(self, index: int, features: FollowFeatures, standing_out: Tensor, *, divide: Divide | None) -> None:
        """Take the next sampled frame; ``standing_out`` is the logit of what stands out in it by itself."""
        self._sampled += 1
        # Things that lie still are things, too; and of many that move, the references may agree on none.
        logit = torch.logit(features.cue_B1HW[0, 0], eps=1e-5).cpu().maximum(standing_out)
        # Empty where a candidate is not to be seen.
        tracks = masks_of(self._current.step(index, features))
        alone = {key: mask.cpu().numpy() for key, mask in self._current.alone.items() if mask.any()}
        parts = _parts(index, features, logit, divide=divide)
        fresh = self._mistaken(index, parts, tracks)
        tracks = {key: mask for key, mask in tracks.items() if key in self.candidates}
        for part, (key, mask) in product(parts, tracks.items()):
            if overlap(part.mask, mask) >= SAME:
                self.candidates[key].confirmed += 1
                self.candidates[key].add_anchor(part.anchor, spacing=SPACING)
        fresh |= self._divided(parts, tracks)
        fresh |= self._new(parts, tracks | fresh)
        tracks = {key: mask for key, mask in tracks.items() if key in self.candidates}
        if fresh:
            given = {key: torch.from_numpy(mask.astype(np.float32)) for key, mask in fresh.items()}
            self._current.add(index, features, given)
            taken = np.any(list(fresh.values()), axis=0)
            tracks = {key: mask & ~taken for key, mask in tracks.items()} | fresh
        for key, mask in tracks.items():
            candidate = self.candidates[key]
            candidate.away = 0 if mask.any() else candidate.away + 1
            if mask.any():
                candidate.seen += 1
                candidate.area += float(mask.mean())
        self._recent.append(_Sample(index=index, features=features, tracks=tracks, alone=alone))
        self._unite_rims(self._recent[-1])
        self._unite_doubles(self._recent[-1])
        for key in [key for key, each in self.candidates.items() if each.confirmed >= CONFIRMED and not each.traced]:
            self._trace(key)
        self._make_room()

    def _mistaken(self, index: int, parts: Sequence[_Part], tracks: Mapping[int, MaskArray]) -> dict[int, MaskArray]:
        """Things that were long away and look otherwise now are other things."""
        fresh: dict[int, MaskArray] = {}
        for key, mask in tracks.items():
            candidate = self.candidates[key]
            if not mask.any() or candidate.away < AWAY:
                continue
            candidate.since = index
            for part in parts:
                if overlap(part.mask, mask) >= SAME and candidate.likeness(part.anchor.appearance) < LIKE:
                    self._retire(key)
                    # Not traced: that would lead to what it was taken for.
                    fresh[self._begin(part, traced=True)] = part.mask
                    break
        return fresh

    def _divided(self, parts: Sequence[_Part], tracks: Mapping[int, MaskArray]) -> dict[int, MaskArray]:
        """Things that are found in two parts become two; the larger part stays what it was.

        At once: what was wrongly divided is not found again in the same parts, and so is dropped.
        """
        fresh: dict[int, MaskArray] = {}
        for key, mask in tracks.items():
            own = [part for part in parts if share_inside(part.mask, mask) >= OWN]
            own = [part for part in own if share_inside(mask, part.mask) >= PIECE]
            candidate = self.candidates[key]
            if len(own) < 2:
                continue
            if any(each.frame < candidate.since for each in candidate.anchors):
                # It was something by itself before it went away; what is here now is two other things.
                self._retire(key)
                fresh |= {self._begin(part, traced=True): part.mask for part in own}
                continue
            larger, *others = own
            # Earlier views show both as one.
            candidate.anchors = [larger.anchor]
            fresh[key] = larger.mask
            for other in others:
                fresh[self._begin(other, traced=True)] = other.mask
        return fresh

    def _new(self, parts: Sequence[_Part], tracks: Mapping[int, MaskArray]) -> dict[int, MaskArray]:
        """Parts that nothing covers: a thing that was gone and looks like it, or a new one."""
        covered = np.any(list(tracks.values()), axis=0) if tracks else np.zeros((), bool)
        fresh: dict[int, MaskArray] = {}
        for part in parts:
            if share_inside(part.mask, np.broadcast_to(covered, part.mask.shape)) > NEW:
                continue
            gone = {
                key: self.candidates[key].likeness(part.anchor.appearance)
                for key, mask in tracks.items()
                if key not in fresh and not mask.any()
            }
            back = max(gone, key=lambda key: gone[key], default=None)
            if back is not None and gone[back] >= LIKE:
                self.candidates[back].confirmed += 1
                self.candidates[back].add_anchor(part.anchor, spacing=SPACING)
                fresh[back] = part.mask
            else:
                fresh[self._begin(part)] = part.mask
        return fresh

    def _begin(self, part: _Part, *, traced: bool = False) -> int:
        key, self._next = self._next, self._next + 1
        first = part.anchor.frame
        # A thing that is there from the start has no past to be followed into.
        self.candidates[key] = Candidate(
            id=key, first=first, since=first, confirmed=1, anchors=[part.anchor], traced=traced or not self._recent
        )
        return key

    def _trace(self, key: int) -> None:
        """Follow a thing back; if that leads along another one, they are one."""
        candidate = self.candidates[key]
        candidate.traced = True
        anchor = min(candidate.anchors, key=lambda each: each.frame)
        samples = [sample for sample in reversed(self._recent) if sample.index <= anchor.frame]
        if not samples or samples[0].index != anchor.frame:
            return
        back = self.engine.new_pass(memory=self.memory)
        back.add(anchor.frame, samples[0].features, {key: torch.from_numpy(samples[0].tracks[key]).float()})
        met: dict[int, list[float]] = {}
        for sample in samples[1:]:
            mask = masks_of(back.step(sample.index, sample.features))[key]
            if not mask.any():
                continue
            candidate.first = min(candidate.first, sample.index)
            for other, track in sample.tracks.items():
                if other != key and other in self.candidates and track.any():
                    met.setdefault(other, []).append(overlap(mask, track))
        for other, overlaps in met.items():
            if same_thing(overlaps):
                self._unite(self.candidates[other], candidate)
                return

    def _unite(self, older: Candidate, newer: Candidate) -> None:
        """Two candidates are one thing: the older id goes on where the surer of them is now."""
        sample = self._recent[-1]
        older.merge(newer, spacing=SPACING)
        mask = sample.tracks[newer.id]
        self._drop(newer.id)
        if mask.any():
            self._current.add(sample.index, sample.features, {older.id: torch.from_numpy(mask.astype(np.float32))})

    def _unite_rims(self, sample: _Sample) -> None:
        """Two tracks lie over one thing if one is mostly a rim of the other: the whole goes on, with the rim."""
        there = {key: mask for key, mask in sample.tracks.items() if mask.any()}
        for part, whole in permutations(there, 2):
            if part not in self.candidates or whole not in self.candidates:
                continue
            seen = self._rims.setdefault((part, whole), deque(maxlen=TRACED))
            seen.append(is_rim(there[part], there[whole]))
            if len(seen) >= RIMMED and same_thing(seen):
                kept = self.candidates[whole]
                kept.first = min(kept.first, self.candidates[part].first)
                self._drop(part)
                both = torch.from_numpy((there[part] | there[whole]).astype(np.float32))
                self._current.add(sample.index, sample.features, {whole: both})

    def _unite_doubles(self, sample: _Sample) -> None:
        """Two tracks lie over one thing if each, by itself, is where the other is: they would share it for ever."""
        for pair in combinations(sample.alone, 2):
            if not all(key in self.candidates for key in pair):
                continue
            seen = self._overlaps.setdefault(pair, deque(maxlen=RIMMED))
            seen.append(overlap(*(sample.alone[key] for key in pair)))
            if len(seen) < RIMMED or not same_thing(seen):
                continue
            kept, other = sorted((self.candidates[key] for key in pair), key=lambda each: -each.weight)
            together = as_one(kept, other)
            self._drop(other.id)
            self.candidates[kept.id] = together
            both = sample.alone[kept.id] | sample.alone[other.id]
            self._current.add(sample.index, sample.features, {kept.id: torch.from_numpy(both.astype(np.float32))})

    def _without_doubles(self) -> list[Candidate]:
        """Return the candidates in the end, when a pair that few frames show will not be seen again."""
        every = dict(self.candidates)
        for pair, seen in self._overlaps.items():
            if same_thing(seen) and all(key in every for key in pair):
                kept, other = sorted((every[key] for key in pair), key=lambda each: -each.weight)
                every[kept.id] = as_one(kept, other)
                del every[other.id]
        return list(every.values())

    def _make_room(self) -> None:
        """Drop what was not found again, and the least of too many."""
        for each in list(self.candidates.values()):
            if each.confirmed < CONFIRMED and each.seen >= PROBATION:
                self._drop(each.id)
        while len(self.candidates) > 2 * self.most:
            self._drop(min(self.candidates.values(), key=lambda each: each.weight).id)

    def _retire(self, key: int) -> None:
        """It is followed no longer, and stays what it was while it was itself."""
        candidate = self.candidates[key]
        candidate.anchors = [each for each in candidate.anchors if each.frame < candidate.since] or candidate.anchors
        self._drop(key)
        self._retired = sorted([*self._retired, candidate], key=lambda each: -each.weight)[: self.most]

    def _drop(self, key: int) -> None:
        del self.candidates[key]
        self._rims = {pair: seen for pair, seen in self._rims.items() if key not in pair}
        self._overlaps = {pair: seen for pair, seen in self._overlaps.items() if key not in pair}
        self._current.drop(key)


def discover_objects(
    source: Source,
    engine: FollowEngine,
    *,
    most: int,
    references: int,
    memory: int,
    shots: Shots,
    divider: Divider | None = None,
) -> Generator[StageProgress, None, tuple[DiscoveredObject, ...]]:
    """Look through a video for at most ``most`` objects that are worth following: yield progress, return the objects.

    A few frames a second are sampled, and each is compared with ``references`` frames that are spread over its shot.
    The divider tells things that touch apart.
    """
    engine = engine.cut_at(shots.cuts)
    encoder, sampled = engine.encoder, sampled_frames(source.info.frame_count)
    remembered = references_of(source, engine.finder, shots, references=references)
    discovery = DiscoveryPass(engine, remembered, most=most, memory=memory, divider=divider)
    for done, _ in enumerate(discovery.run(prefetch(encoder.select(source, sampled))), 1):
        yield StageProgress(stage="discover", done=done, total=len(sampled))
    return discovery.found()
