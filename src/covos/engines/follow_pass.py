"""One pass over a video, forward or backward, with the objects that it follows.

A pass holds a bounded memory and, for each object, a state (`covos.engines.presence`); a step takes one frame and gives
one prediction. It does not know which way time runs.

A frame may be looked at in several views, mirrored or of other sizes. Each has a memory of its own. All answers are
averaged before the frame is remembered, so every view remembers the mask that all found together.

Shape legend: O objects, h x w cells at stride 4.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from covos.core.types import ObjectStatus
from covos.engines.advice import Agreement, advised
from covos.engines.calibration import Calibration, MaskEstimate, Signals, estimate_mask, mean_estimate, signals_of
from covos.engines.ladder import Ladder
from covos.engines.memory import TRUSTED, MemoryBank
from covos.engines.presence import PresenceTracker
from covos.models.follow import (
    MASK_STRIDE,
    OUTPUT_STRIDE,
    Belief,
    DecodedObjects,
    FollowFeatures,
    ObjectMemory,
    agreement,
    target_moments,
)
from covos.models.lite import Features
from covos.models.object_masks import aggregate, certainty, with_others
from covos.models.target import TargetKnowledge, TargetModel, TargetMoments, fit

T = TypeVar("T")

GIVEN_LOGIT = 12.0
"""Logit of what the user said, of a cell that is all of one side."""
_GIVEN_EPS = 1 / (1 + math.exp(GIVEN_LOGIT))


class FollowNetwork(Protocol):
    """A network that follows objects on the features of a covos-lite.

    `covos.models.follow.CovosFollow` is one, and says what goes in and out.
    """

    def project(self, features: Features, *, cue_B1HW: Tensor | None, flow_B2HW: Tensor | None) -> FollowFeatures:
        """Make what all objects of a frame share; once for each frame."""

    def memorise(
        self,
        features: FollowFeatures,
        mask_P2HW: Tensor,
        owner_P: Tensor,
        *,
        certainty_P1HW: Tensor,
        given_P: Tensor,
    ) -> ObjectMemory:
        """Turn a frame whose objects are known into memory."""

    def find(
        self, features: FollowFeatures, memory: ObjectMemory, latest: ObjectMemory, belief: Belief, owner_P: Tensor
    ) -> DecodedObjects:
        """Find the objects of a frame that are remembered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FramePrediction:
    """Prediction of a pass for one frame.

    ``log_odds`` are O x H/2 x W/2 float32: log-probability of each object over that of the background. ``between`` says
    that the networks have not looked at the frame: it was made of its neighbours.
    """

    index: int
    log_odds: Tensor
    objects: tuple[ObjectStatus, ...]
    between: bool = False

    @property
    def ids(self) -> tuple[int, ...]:
        """Ids of the objects."""
        return tuple(each.id for each in self.objects)


class FollowPass:
    """Follows objects from frame to frame by a network in evaluation mode; see `covos.engines.memory` for ``memory``.

    Without a calibration of the network's weights it is taken at its word. A step for which the memory did not do is
    taken back, and done again with less (see `covos.engines.ladder`). ``mirrored`` says of each view beside the first
    if it shows the frame as a mirror does; its size may be any.

    ``alone`` has, by id, where each object would be shown in the latest frame if there were no other: H/2 x W/2 bool.
    """

    def __init__(
        self,
        network: FollowNetwork,
        *,
        memory: int,
        calibration: Calibration | None = None,
        ladder: Ladder | None = None,
        mirrored: Sequence[bool] = (),
    ) -> None:
        self.calibration = calibration
        self.ladder = ladder or Ladder(device=torch.device("cpu"), precision=torch.float32)
        self._network = network
        self.bank = MemoryBank(between=memory)
        self._trackers: dict[int, PresenceTracker] = {}
        self._targets: dict[int, TargetKnowledge] = {}
        self._model: TargetModel | None = None
        self._agreements: dict[int, Agreement] = {}
        self._mask_P1HW: Tensor | None = None
        self.alone: dict[int, Tensor] = {}
        self._mirrored = tuple(mirrored)
        self._others = tuple(
            FollowPass(network, memory=memory, calibration=calibration, ladder=self.ladder) for _ in self._mirrored
        )
        self._share_trackers()

    def _share_trackers(self) -> None:
        """An object is in one state, whatever it is looked at in."""
        for other in self._others:
            other._trackers = self._trackers

    @property
    def network(self) -> FollowNetwork:
        """The network, on the device that is computed on now."""
        return self.ladder.here(self._network)

    @property
    def ids(self) -> tuple[int, ...]:
        """Objects that are followed, in the order in which they were first given."""
        return tuple(self._trackers)

    def copy(self) -> FollowPass:
        """Return one that goes on from here by itself; what is remembered is shared, not copied."""
        other = FollowPass(
            self._network,
            memory=self.bank.between,
            calibration=self.calibration,
            ladder=self.ladder,
            mirrored=self._mirrored,
        )
        other._take_over(self)
        return other

    def _take_over(self, other: FollowPass) -> None:
        """Know what another pass knows; what is remembered is shared, not copied."""
        self.bank = other.bank.copy()
        self._trackers = {identity: replace(tracker) for identity, tracker in other._trackers.items()}
        self._targets, self._model = dict(other._targets), other._model
        self._agreements = dict(other._agreements)
        self._mask_P1HW = other._mask_P1HW
        self.alone = dict(other.alone)
        for own, theirs in zip(self._others, other._others, strict=True):
            own._take_over(theirs)
        self._share_trackers()

    def _safely(self, work: Callable[[], T], *, given: Collection[int]) -> T:
        """Do a step with as much at a time as the memory holds; one that fails leaves the pass as it was."""
        before, fresh = self.copy(), True

        def attempt() -> T:
            nonlocal fresh
            if not fresh:
                self._take_over(before)
            fresh = False
            self._move()
            return work()

        try:
            return self.ladder.run(attempt, objects=len({*self.ids, *given}))
        except BaseException:
            self._take_over(before)
            raise

    def _move(self) -> None:
        """Take what is remembered to the device of now."""
        moved = self.ladder.moved
        self.bank.apply(moved)
        self._targets = {identity: moved(known) for identity, known in self._targets.items()}
        self._model = moved(self._model)
        self._agreements = {identity: moved(agreed) for identity, agreed in self._agreements.items()}
        self._mask_P1HW = moved(self._mask_P1HW)
        for other in self._others:
            other._move()

    def step(
        self,
        index: int,
        features: FollowFeatures,
        *,
        given: Mapping[int, Tensor] | None = None,
        others: Sequence[FollowFeatures] = (),
    ) -> FramePrediction:
        """Follow everything into the next frame, of which the features are given; ``others`` are of the other views.

        Masks from the user are H/2 x W/2 float32 in [0, 1], by id. An id that was not followed yet is from here on.
        """

        def work() -> FramePrediction:
            return self._step(index, self.ladder.moved(features), given or {}, self.ladder.moved(tuple(others)))

        return self._safely(work, given=given or ())

    def _step(
        self, index: int, features: FollowFeatures, given: Mapping[int, Tensor], others: Sequence[FollowFeatures]
    ) -> FramePrediction:
        given = {identity: self.ladder.moved(mask) for identity, mask in given.items()}
        known = self.ids
        logits: dict[int, Tensor] = {}
        estimates: dict[int, MaskEstimate] = {}
        if known and not set(known) <= set(given):
            estimated, found = self._look_in_views(features, others)
            logits |= dict(zip(known, found, strict=True))
            estimates |= {each: own for each, own in zip(known, estimated, strict=True) if each not in given}
        statuses: dict[int, ObjectStatus] = {}
        for identity, mask in given.items():
            if identity in self._trackers:
                # The user has just corrected the answers since.
                self._forget(identity)
            tracker = self._trackers.setdefault(identity, PresenceTracker(identity))
            # A thin thing may cover no cell by half.
            statuses[identity] = tracker.given(area=_area(mask) or float(mask.mean()))
            logits[identity] = torch.logit(mask.float(), eps=_GIVEN_EPS)
        if given:
            # Pixels that the user gave to one object are no other's: else a rim of another would lie around it.
            taken = torch.stack([logits[identity] for identity in given]).amax(dim=0)
            logits |= {other: torch.minimum(logit, -taken) for other, logit in logits.items() if other not in given}
        self.alone = {
            each: logit > 0
            for each, logit in logits.items()
            if each not in estimates or self._trackers[each].shows(estimates[each])
        }
        outdone = self._outdone(logits)
        for identity, estimate in estimates.items():
            judged = estimate._replace(jaccard=0.0) if identity in outdone else estimate
            status = self._trackers[identity].judge(judged, area=_area(logits[identity].sigmoid()))
            statuses[identity] = status
            if status.state != "present":
                logits[identity] = logits[identity].clamp(max=-GIVEN_LOGIT)
        if not logits:
            height, width = features.s2_BCHW.shape[2:]
            return FramePrediction(index=index, log_odds=torch.zeros(0, height, width), objects=())
        stacked = torch.stack([logits[identity] for identity in self.ids]).unsqueeze(1)
        log_probability = aggregate(stacked, _one_frame(stacked), frames=1)[0]
        objects = tuple(statuses[identity] for identity in self.ids)
        probability = log_probability[1:].exp().unsqueeze(1)
        self._mask_P1HW = as_remembered(probability)
        self._remember(index, features, given=tuple(given), statuses=objects)
        for view, seen, mirrored in zip(self._others, others, self._mirrored, strict=True):
            mask = F.interpolate(probability, size=seen.s4_BCHW.shape[2:], mode="area")
            view._mask_P1HW = mask.flip(3) if mirrored else mask
            view._remember(index, seen, given=tuple(given), statuses=objects)
        return FramePrediction(index=index, log_odds=log_probability[1:] - log_probability[:1], objects=objects)

    def _outdone(self, logits: Mapping[int, Tensor]) -> set[int]:
        """Return the objects that would be shown, and have no pixel because others claim each of theirs more strongly.

        Each object was looked for by itself, and two may be sure of the same thing: it is one of them.
        """
        if len(self.alone) < 2:
            return set()
        best = torch.stack([logits[each] for each in self.alone]).argmax(dim=0)
        return {
            identity
            for row, (identity, mask) in enumerate(self.alone.items())
            if bool(mask.any()) and not bool((mask & (best == row)).any())
        }

    def add(self, index: int, features: FollowFeatures, masks: Mapping[int, Tensor]) -> None:
        """Follow further objects from the frame of the latest step on, or have others elsewhere from it on.

        Their masks are H/2 x W/2 float32 in [0, 1], by id. For a pass of one view.
        """
        self._safely(lambda: self._add(index, self.ladder.moved(features), masks), given=masks)

    def _add(self, index: int, features: FollowFeatures, masks: Mapping[int, Tensor]) -> None:
        device = features.key_BNK.device
        fresh = {
            identity: as_remembered(mask.to(device, torch.float32)[None, None])[0, 0]
            for identity, mask in masks.items()
        }
        left = 1 - torch.stack(list(fresh.values())).sum(dim=0).clamp(max=1)
        known = self._mask_P1HW if self._mask_P1HW is not None else torch.zeros(0, 1, *left.shape, device=device)
        rows = {identity: known[row, 0] * left for row, identity in enumerate(self.ids)} | fresh
        for identity, mask in fresh.items():
            if identity in self._targets:
                self._forget(identity)
            tracker = self._trackers.setdefault(identity, PresenceTracker(identity))
            tracker.given(area=_area(mask))
        # The step has remembered the trusted part of the others.
        statuses = [ObjectStatus(id=each, state="present", confidence=float(each in fresh)) for each in self.ids]
        self._mask_P1HW = torch.stack([rows[identity] for identity in self.ids]).unsqueeze(1)
        self._remember(index, features, given=tuple(fresh), statuses=statuses)

    def begin_shot(self) -> None:
        """Take the next frame as the first of another shot: what the objects are stays known, and where they are not.

        Neither the latest masks nor the neighbourhood of each place in the latest frame show where an object is now.
        """
        if self._mask_P1HW is not None:
            self._mask_P1HW = torch.zeros_like(self._mask_P1HW)
            self.bank.begin_shot()
            for tracker in self._trackers.values():
                tracker.begin_shot()
        for other in self._others:
            other.begin_shot()

    def drop(self, identity: int) -> None:
        """Follow an object no longer. For a pass of one view."""
        assert self._mask_P1HW is not None, "an object is followed, so it has a mask"
        kept = [row for row, other in enumerate(self.ids) if other != identity]
        self._mask_P1HW = self._mask_P1HW[kept]
        del self._trackers[identity], self._targets[identity], self._agreements[identity]
        self.alone.pop(identity, None)
        self._model = None
        self.bank.keep_only(self.ids)

    def _look_in_views(
        self, features: FollowFeatures, others: Sequence[FollowFeatures]
    ) -> tuple[list[MaskEstimate], Tensor]:
        """Look for the objects in all views; the estimates and the logits, as `look` has them, are means of theirs."""
        signals, logits = self.look(features)
        every, summed = [signals], logits
        for view, seen, mirrored in zip(self._others, others, self._mirrored, strict=True):
            own, found = view.look(seen)
            found = F.interpolate(found.unsqueeze(1), size=logits.shape[1:], mode="bilinear")[:, 0]
            every.append(own)
            summed = summed + (found.flip(2) if mirrored else found)
        estimates = [
            mean_estimate([estimate_mask(each, self.calibration) for each in views])
            for views in zip(*every, strict=True)
        ]
        for tracker, views in zip(self._trackers.values(), zip(*every, strict=True), strict=True):
            tracker.contested = max(each.contested for each in views)
        return estimates, summed / len(every)

    def look(self, features: FollowFeatures) -> tuple[list[Signals], Tensor]:
        """Look for the objects that are followed: the signals of each, and its logits by itself, O x H/2 x W/2."""
        assert self._mask_P1HW is not None, "an object is followed, so it has a mask"
        both = with_others(self._mask_P1HW, _one_frame(self._mask_P1HW))
        agreed = torch.stack([self._agreements[identity].shown_2 for identity in self.ids])
        belief = Belief(both, self._fitted(), agreed)
        found = [self._find(features, belief, rows) for rows in self._groups()]
        # The shares are those of the frame, the same for all objects.
        decoded = found[0] if len(found) == 1 else DecodedObjects(*map(torch.cat, zip(*found, strict=True)))
        decoded = decoded._replace(shares_BM=found[0].shares_BM)
        self.bank.note_reading(decoded.shares_BM)
        self._note_agreement(decoded.logit_P1HW, features)
        best = torch.stack([self._agreements[identity].best for identity in self.ids])
        decoded = decoded._replace(logit_P1HW=advised(decoded.logit_P1HW, both, features, agreement_P=best))
        trackers = self._trackers.values()
        usual, contested = [each.usual for each in trackers], [each.contested for each in trackers]
        signals = signals_of(decoded, features, agreed, usual=usual, contested=contested)
        return signals, decoded.logit_P1HW[:, 0]

    def _note_agreement(self, logit_P1HW: Tensor, features: FollowFeatures) -> None:
        """Note how well the cue agrees with what the network makes of each object by itself, where it is in sight."""
        mask = as_remembered(logit_P1HW.sigmoid())
        agreed = agreement(F.pad(mask, (0, 0, 0, 0, 0, 1)), features, _one_frame(mask))[:, 0]
        for now, (identity, tracker) in zip(agreed, self._trackers.items(), strict=True):
            if tracker.state == "present":
                self._agreements[identity] = self._agreements[identity].noted(now)

    def _groups(self) -> list[slice]:
        """Return the rows of the objects that are computed together: all, while the memory holds them."""
        count = len(self.ids)
        together = self.ladder.objects(count)
        return [slice(start, min(start + together, count)) for start in range(0, count, together)]

    def _find(self, features: FollowFeatures, belief: Belief, rows: slice) -> DecodedObjects:
        """Find some of the objects."""
        memory, latest = self.bank.of(self.ids[rows])
        own = Belief(belief.latest_P2HW[rows], TargetModel(belief.target.weight_PD[rows]), belief.agreement_P2[rows])
        return self.network.find(features, memory, latest, own, _one_frame(own.latest_P2HW))

    def _fitted(self) -> TargetModel:
        """Return the target models of all objects; fitted anew only if there is something new to fit them to."""
        if self._model is None:
            every = [self._targets[identity].moments for identity in self.ids]
            with torch.autocast(every[0].gram_BDD.device.type, enabled=False):
                joined = TargetMoments(*(torch.cat(parts) for parts in zip(*every, strict=True)))
                # One object may be seen where another is not: each has a fit of its own.
                self._model = fit(joined, torch.arange(len(every), device=joined.cross_PD.device))
        return self._model

    def _forget(self, identity: int) -> None:
        """Drop what was made of an object outside the given frames."""
        self.bank.forget(identity)
        self._targets[identity] = self._targets[identity]._replace(since=None)
        for other in self._others:
            other._forget(identity)

    def _remember(
        self, index: int, features: FollowFeatures, *, given: Sequence[int], statuses: Sequence[ObjectStatus]
    ) -> None:
        """Put the frame, with the masks that it has now, in the memory, and learn the objects from it."""
        assert self._mask_P1HW is not None
        owner = _one_frame(self._mask_P1HW)
        both = with_others(self._mask_P1HW, owner)
        shown = torch.tensor([identity in given for identity in self.ids], device=both.device)
        sure = torch.where(shown.view(-1, 1, 1, 1), 1.0, certainty(self._mask_P1HW))
        parts = [
            self.network.memorise(features, both[rows], owner[rows], certainty_P1HW=sure[rows], given_P=shown[rows])
            for rows in self._groups()
        ]
        memory = ObjectMemory(parts[0].key_BMK, torch.cat([part.value_PMC for part in parts]))
        # The confidence of an object that is not present says that there is nothing: nothing of it can be learned.
        trusted = [
            status.id in given or (status.state == "present" and status.confidence >= TRUSTED) for status in statuses
        ]
        kept = self.bank.keep(index, objects=self.ids, memory=memory, given=bool(given), trusted=trusted)
        if not kept:
            return
        if given:
            agreed = agreement(both, features, owner)
            noted = {each: Agreement(agreed[row], agreed[row, 0]) for row, each in enumerate(self.ids) if each in given}
            # With nothing to be seen, nothing agrees: what was noted before stays.
            unseen = {each.id for each in statuses if each.state != "present" and each.id in self._agreements}
            self._agreements |= {each: agreed for each, agreed in noted.items() if each not in unseen}
        gram, cross = target_moments(features, self._mask_P1HW, owner, certainty_P1HW=sure)
        for row, identity in enumerate(self.ids):
            if not trusted[row]:
                continue
            seen = TargetMoments(gram, cross[row : row + 1])
            if identity not in given:
                self._targets[identity] = self._targets[identity].follow(seen)
            elif identity in self._targets:
                self._targets[identity] = self._targets[identity].show(seen)
            else:
                self._targets[identity] = TargetKnowledge(seen)
        self._model = None


def as_remembered(mask_P1HW: Tensor) -> Tensor:
    """Return masks of the network's output stride at the stride that they are remembered at."""
    return F.avg_pool2d(mask_P1HW, MASK_STRIDE // OUTPUT_STRIDE)


def _one_frame(objects: Tensor) -> Tensor:
    """Return the owner of each object (see `covos.models.follow.CovosFollow`): a pass takes one frame at a time."""
    return torch.zeros(len(objects), dtype=torch.long, device=objects.device)


def _area(mask: Tensor) -> float:
    return float((mask > 0.5).float().mean())
