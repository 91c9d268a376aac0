"""Find the things that are worth following in a video: what is shown to `FollowEngine` when the user shows nothing.

A few frames a second are looked at, in order. In each the subject is found as `UnsupervisedEngine` finds it and told
apart into separate parts, and what was found before is followed. A part that no followed thing covers is a new thing,
or one that had gone and looks as this does; a thing that stays in two parts becomes two. A new thing, when it has been
found often enough to be believed, is followed back: if it comes from where another one was, they are the same.

Each frame is encoded once. Memory is that of a memory bank, of the last `TRACED` frames that were looked at and of
twice as many candidates as there may be objects, whatever the length.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from covos.core.types import MaskArray
from covos.engines.candidates import (
    CONFIRMED,
    LIKE,
    Anchor,
    Candidate,
    look_of,
    overlap,
    same_thing,
    share_inside,
    split,
    worthy,
)
from covos.engines.find import References, expected_jaccard, take
from covos.engines.follow import FollowEngine
from covos.engines.follower import Answer
from covos.engines.motion import Observed, to_probability
from covos.models.follow import View
from covos.models.lite import Features

DEFAULT_MOST = 10
MAX_MOST = 20
"""Objects; as many as the unsupervised protocol of DAVIS lets be proposed."""
GAP = 5
"""Frames from one that is looked at to the next: within what covos-follow is trained to bridge."""
LOOKS = 12
"""A short video is looked at more often: so many times if it has the frames."""
TRACED = 48
"""Frames that were looked at, as far back as a new thing is followed."""
SURE = 0.5
"""Expected J of the subject from which a frame may show new things."""
LEAST = 0.002
"""Share of the frame that a thing must cover to be found."""
REACH = 0.02
"""Parts that are nearer than this share of the frame's width are one thing."""
NEW = 0.25
"""A part is new if no more of it is covered by what is followed."""
OWN = 0.6
"""A part belongs to a followed thing that covers so much of it."""
FOUND = 0.5
"""Overlap (IoU) with a part from which a followed thing counts as found anew."""
PIECE = 0.2
"""Share of a thing that each of two parts must have for it to be two."""
APART = 4
"""Looked-at frames in a row in which a thing must be in two parts to become two."""
AWAY = 5
"""Looked-at frames after whose absence a thing that is there again must look as it did."""
PROBATION = 12
"""Looked-at frames after which a thing that was not confirmed is dropped."""
SPACING = 8
"""Frames from one view that a thing is shown by to the next."""
OUTSIDE = -12.0
"""Logit outside a thing, in the views that it is shown by."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Found:
    """A thing that is worth following.

    Attributes:
        masks: Frame index to its logit there, h x w float32 at the network's stride; at most `ANCHORS` frames.
        first: Index of the first frame that was seen to show it.
        size: Mean share of the frames that it is in.
    """

    masks: Mapping[int, Tensor]
    first: int
    size: float

    def at(self, frame: int, *, size: tuple[int, int]) -> MaskArray:
        """Its mask on one of the frames, at (height, width)."""
        return to_probability(self.masks[frame], size=size) > 0.5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Look:
    """A frame that was looked at."""

    index: int
    view: View
    tracks: Mapping[int, MaskArray]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Part:
    """A separate thing in a frame: its mask at stride 4, and the view that it would be shown by."""

    mask: MaskArray
    anchor: Anchor


def looked_at(frame_count: int) -> tuple[int, ...]:
    """Indices of the frames that are looked at."""
    return tuple(range(0, frame_count, max(1, min(GAP, frame_count // LOOKS))))


def masks_of(answer: Answer) -> dict[int, MaskArray]:
    """Each object's mask at stride 4: where it is likelier than the background and the others; empty if not present."""
    if not answer.objects:
        return {}
    odds = answer.log_odds.float().cpu()
    best = odds.argmax(dim=0)
    return {
        status.id: ((odds[row] > 0) & (best == row)).numpy() & (status.state == "present")
        for row, status in enumerate(answer.objects)
    }


def _alone(logit: Tensor, mask: MaskArray, *, others: MaskArray) -> Tensor:
    """The logit of one thing: that of the subject, low where it is nearer to the subject's other parts."""
    size = logit.shape[1], logit.shape[0]
    if not others.any():
        return logit
    own, other = (cv2.distanceTransform((~part).astype(np.uint8), cv2.DIST_L2, 3) for part in (mask, others))
    nearer = cv2.resize((own <= other).astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    return torch.where(torch.from_numpy(nearer > 0), logit, logit.clamp(max=OUTSIDE))


class Discovery:
    """One look through a video.

    Args:
        engine: What will follow.
        references: Of the video; none compares each frame with itself.
        most: Objects, at most.
        between: See `covos.engines.memory`.
    """

    def __init__(
        self, engine: FollowEngine, references: References[Features], *, most: int = DEFAULT_MOST, between: int
    ) -> None:
        self.engine = engine
        self.references = references
        self.most = most
        self.between = between
        self.candidates: dict[int, Candidate] = {}
        self._follower = engine.follower(between=between)
        self._recent: deque[_Look] = deque(maxlen=TRACED)
        self._retired: list[Candidate] = []
        self._looks = 0
        self._next = 1

    def run(self, frames: Iterable[Observed]) -> tuple[Found, ...]:
        """Look at frames.

        Args:
            frames: Of `looked_at`, from `UnsupervisedEngine.observe`.

        Returns:
            By first appearance, the larger first.
        """
        source = iter(frames)
        while batch := list(islice(source, self.engine.eyes.batch)):
            with self.engine.eyes.computing():
                features = self.engine.eyes.encode(batch)
                views = self.engine.network.view(features)
                for row, observed in enumerate(batch):
                    logit = self._subject(take(features, [row]), observed.frame.index)
                    self._look(observed.frame.index, View(*(part[row : row + 1] for part in views)), logit)
        kept = worthy([*self._retired, *self.candidates.values()], looks=self._looks, most=self.most)
        return tuple(
            Found(masks={a.frame: a.logit for a in each.anchors}, first=each.first, size=each.size) for each in kept
        )

    def _subject(self, features: Features, index: int) -> Tensor:
        eyes = self.engine.eyes
        memories = self.references.without(index) or (eyes.network.memorise(features),)
        return eyes.network.segment(features, memories, fusion=eyes.network.fusions[0])[0, 0].float().cpu()

    def _look(self, index: int, view: View, logit: Tensor) -> None:
        self._looks += 1
        tracks = self._followed(index, view)
        parts = self._parts(index, view, logit)
        fresh = self._mistaken(index, parts, tracks)
        tracks = {key: mask for key, mask in tracks.items() if key in self.candidates}
        for part in parts:
            self._recognise(part, tracks)
        fresh |= self._divided(parts, tracks)
        fresh |= self._new(parts, tracks | fresh)
        tracks = {key: mask for key, mask in tracks.items() if key in self.candidates}
        if fresh:
            given = {key: torch.from_numpy(mask.astype(np.float32)) for key, mask in fresh.items()}
            self._follower.add(index, view, given)
            taken = np.any(list(fresh.values()), axis=0)
            tracks = {key: mask & ~taken for key, mask in tracks.items()} | fresh
        for key, mask in tracks.items():
            candidate = self.candidates[key]
            candidate.away = 0 if mask.any() else candidate.away + 1
            if mask.any():
                candidate.seen += 1
                candidate.area += float(mask.mean())
        self._recent.append(_Look(index=index, view=view, tracks=tracks))
        for key in [key for key, each in self.candidates.items() if each.met >= CONFIRMED and not each.traced]:
            self._trace(key)
        self._make_room()

    def _followed(self, index: int, view: View) -> dict[int, MaskArray]:
        """What is followed, where it is now; empty where it is not to be seen."""
        return masks_of(self._follower.step(index, view))

    def _parts(self, index: int, view: View, logit: Tensor) -> list[_Part]:
        """The separate things in a frame; none if it is not sure of its subject."""
        coarse = F.interpolate(logit[None, None], size=view.s4_BCHW.shape[2:], mode="area")[0, 0]
        solid, probability = (coarse > 0).numpy(), torch.sigmoid(coarse).numpy()
        if not solid.any() or expected_jaccard(probability, solid) < SURE:
            return []
        keys = view.key_BNK[0].float().cpu().numpy()
        cells = int(view.context_BChw.shape[2]), int(view.context_BChw.shape[3])
        found = split(solid, least=round(LEAST * solid.size), gap=round(REACH * solid.shape[1]))
        return [
            _Part(
                mask=mask,
                anchor=Anchor(
                    frame=index,
                    logit=_alone(logit, mask, others=solid & ~mask),
                    worth=expected_jaccard(np.where(solid & ~mask, 0, probability), mask),
                    look=look_of(keys, mask, cells=cells),
                ),
            )
            for mask in found
        ]

    def _recognise(self, part: _Part, tracks: Mapping[int, MaskArray]) -> None:
        """Take note of a part that is a followed thing."""
        for key, mask in tracks.items():
            if overlap(part.mask, mask) >= FOUND:
                self.candidates[key].met += 1
                self.candidates[key].show(part.anchor, spacing=SPACING)

    def _mistaken(self, index: int, parts: Sequence[_Part], tracks: Mapping[int, MaskArray]) -> dict[int, MaskArray]:
        """Things that were long away and look otherwise now are other things."""
        fresh: dict[int, MaskArray] = {}
        for key, mask in tracks.items():
            candidate = self.candidates[key]
            if not mask.any() or candidate.away < AWAY:
                continue
            candidate.since = index
            for part in parts:
                if overlap(part.mask, mask) >= FOUND and candidate.likeness(part.anchor.look) < LIKE:
                    self._retire(key)
                    # Not traced: that would lead to what it was taken for.
                    fresh[self._begin(part, traced=True)] = part.mask
                    break
        return fresh

    def _divided(self, parts: Sequence[_Part], tracks: Mapping[int, MaskArray]) -> dict[int, MaskArray]:
        """Things that have been in two parts for a while become two; the larger part stays what it was."""
        fresh: dict[int, MaskArray] = {}
        for key, mask in tracks.items():
            own = [part for part in parts if share_inside(part.mask, mask) >= OWN]
            own = [part for part in own if share_inside(mask, part.mask) >= PIECE]
            candidate = self.candidates[key]
            candidate.apart = candidate.apart + 1 if len(own) > 1 else 0
            if candidate.apart < APART:
                continue
            if any(each.frame < candidate.since for each in candidate.anchors):
                # It was something by itself before it went away; what is here now is two other things.
                self._retire(key)
                fresh |= {self._begin(part, traced=True): part.mask for part in own}
                continue
            larger, *others = own
            # Earlier views show both as one.
            candidate.anchors, candidate.apart = [larger.anchor], 0
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
                key: self.candidates[key].likeness(part.anchor.look)
                for key, mask in tracks.items()
                if key not in fresh and not mask.any()
            }
            back = max(gone, key=lambda key: gone[key], default=None)
            if back is not None and gone[back] >= LIKE:
                self.candidates[back].met += 1
                self.candidates[back].show(part.anchor, spacing=SPACING)
                fresh[back] = part.mask
            else:
                fresh[self._begin(part)] = part.mask
        return fresh

    def _begin(self, part: _Part, *, traced: bool = False) -> int:
        key, self._next = self._next, self._next + 1
        first = part.anchor.frame
        # What is there from the start has no past to be followed into.
        self.candidates[key] = Candidate(
            id=key, first=first, since=first, met=1, anchors=[part.anchor], traced=traced or not self._recent
        )
        return key

    def _trace(self, key: int) -> None:
        """Follow a thing back; if that leads along another one, they are one."""
        candidate = self.candidates[key]
        candidate.traced = True
        anchor = min(candidate.anchors, key=lambda each: each.frame)
        looks = [look for look in reversed(self._recent) if look.index <= anchor.frame]
        if not looks or looks[0].index != anchor.frame:
            return
        follower = self.engine.follower(between=self.between)
        follower.add(anchor.frame, looks[0].view, {key: torch.from_numpy(looks[0].tracks[key]).float()})
        beside: dict[int, list[float]] = {}
        for look in looks[1:]:
            mask = masks_of(follower.step(look.index, look.view))[key]
            if not mask.any():
                continue
            candidate.first = min(candidate.first, look.index)
            for other, track in look.tracks.items():
                if other != key and other in self.candidates and track.any():
                    beside.setdefault(other, []).append(overlap(mask, track))
        for other, overlaps in beside.items():
            if same_thing(overlaps):
                self._unite(self.candidates[other], candidate)
                return

    def _unite(self, older: Candidate, newer: Candidate) -> None:
        """Two candidates are one thing: the older id goes on where the surer of them is now."""
        look = self._recent[-1]
        older.take_over(newer, spacing=SPACING)
        mask = look.tracks[newer.id]
        self._drop(newer.id)
        if mask.any():
            self._follower.add(look.index, look.view, {older.id: torch.from_numpy(mask.astype(np.float32))})

    def _make_room(self) -> None:
        """Drop what was not found again, and the least of too many."""
        for each in list(self.candidates.values()):
            if each.met < CONFIRMED and each.seen >= PROBATION:
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
        self._follower.drop(key)
