"""Discovery over stand-ins: the subject is what is not black, and things are followed by their colour."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor

from covos.core.types import Frame, ObjectStatus
from covos.engines.candidates import Candidate
from covos.engines.discover import GAP, OUTSIDE, RIMMED, SAMPLES, DiscoveryPass, _Sample, sampled_frames
from covos.engines.find import References
from covos.engines.follow_pass import FramePrediction
from covos.engines.motion import Observed
from covos.models.follow import FollowFeatures
from covos.models.lite import Features

SIZE = (128, 192)
REACH = 160
"""Of the stand-in: red and orange are one to it, though they look otherwise to the keys."""
RED, GREEN, BLUE, ORANGE = (250, 20, 20), (20, 250, 20), (20, 20, 250), (170, 175, 20)
WHITE = (250, 250, 250)
"""Not of the subject that the video's references agree on."""
Spots = Sequence[tuple[tuple[int, int, int], int, int]]
"""Colour, left and top of squares of 32 pixels; later ones hide earlier ones."""


class ColourPass:
    """Follows each thing by its mean colour; a thing whose colour is not to be seen is hidden."""

    def __init__(self, *, memory: int) -> None:
        self.colours: dict[int, Tensor] = {}
        self.alone: dict[int, Tensor] = {}

    def add(self, index: int, features: FollowFeatures, masks: Mapping[int, Tensor]) -> None:
        for key, mask in masks.items():
            self.colours[key] = features.s2_BCHW[0][:, mask > 0.5].mean(dim=1)

    def drop(self, key: int) -> None:
        del self.colours[key]

    def step(self, index: int, features: FollowFeatures) -> FramePrediction:
        image = features.s2_BCHW[0]
        found = {key: (image - colour[:, None, None]).abs().amax(dim=0) < REACH for key, colour in self.colours.items()}
        self.alone = found
        return FramePrediction(
            index=index,
            log_odds=torch.stack([torch.where(mask, 6.0, -6.0) for mask in found.values()])
            if found
            else torch.zeros(0),
            objects=tuple(
                ObjectStatus(id=key, state="present" if mask.any() else "occluded", confidence=0.9)
                for key, mask in found.items()
            ),
        )


class Eyes:
    """Stands in for an engine: its cue is what is not black, but for what is white, which stands out none the less."""

    new_pass = ColourPass
    encoder = SimpleNamespace(together=3, computing=nullcontext)

    def beside(self, encoder: SimpleNamespace) -> Eyes:
        other = Eyes()
        other.encoder = encoder
        return other

    references: References[Features] | None = None

    def within(self, references: References[Features]) -> Eyes:
        bound = self.beside(self.encoder)
        bound.references = references
        return bound

    def standing_out(self, batch: Sequence[Observed]) -> list[Tensor]:
        fine = [torch.from_numpy(each.frame.image[::2, ::2].astype(np.float32)) for each in batch]
        return [torch.where(image.amin(dim=2) > 100, 6.0, -6.0) for image in fine]

    def encoded(self, batch: Sequence[Observed]) -> Iterator[tuple[Observed, FollowFeatures]]:
        assert self.references is NO_REFERENCES, "the cue is found by the references of the video"
        for observed in batch:
            image = torch.from_numpy(observed.frame.image.astype(np.float32)).permute(2, 0, 1)[None]
            small, fine = image[..., ::16, ::16], image[..., ::2, ::2]
            keys = torch.nn.functional.normalize(small.flatten(2).transpose(1, 2), dim=2)
            nothing = torch.zeros(1)
            seen = (fine.amax(dim=1, keepdim=True) > 100) & (fine.amin(dim=1, keepdim=True) < 100)
            cue = torch.where(seen, 6.0, -6.0).sigmoid()
            yield (
                observed,
                FollowFeatures(
                    key_BNK=keys,
                    context_BChw=small,
                    s8_BCHW=image[..., ::8, ::8],
                    s4_BCHW=image[..., ::4, ::4],
                    s2_BCHW=fine,
                    fit_BLD=nothing,
                    still_B1hw=nothing,
                    cue_B1HW=cue,
                    cue_known_B=torch.ones(1),
                    flow_B2HW=nothing,
                ),
            )


NO_REFERENCES: References[Features] = References(indices=(), features=(), memories=())


class TakenIn(Eyes):
    """Takes all of a picture without things for one, as a network does."""

    def beside(self, encoder: SimpleNamespace) -> TakenIn:
        other = TakenIn()
        other.encoder = encoder
        return other

    def standing_out(self, batch: Sequence[Observed]) -> list[Tensor]:
        logits = super().standing_out(batch)
        empty = [each.frame.image.std() < 2 for each in batch]
        return [torch.full_like(logit, 6.0) if none else logit for logit, none in zip(logits, empty, strict=True)]


def discover(stage: Callable[[int], Spots], *, count: int, most: int = 10, eyes: type[Eyes] = Eyes) -> DiscoveryPass:
    discovery = DiscoveryPass(eyes(), NO_REFERENCES, most=most, memory=5)  # type: ignore[arg-type]
    assert list(discovery.run(frames(stage, count))) == list(sampled_frames(count))
    return discovery


def frames(stage: Callable[[int], Spots], count: int) -> Iterator[Observed]:
    for index in sampled_frames(count):
        image = np.zeros((*SIZE, 3), np.uint8)
        for colour, left, top in stage(index):
            image[max(top, 0) : top + 32, max(left, 0) : max(left + 32, 0)] = colour
        frame = Frame(index=index, stem=f"{index:05}", image=image, pts=index, time_base=Fraction(1, 25))
        yield Observed(frame=frame, motion=None)


def test_a_few_frames_a_second_are_looked_at_and_all_of_a_short_video() -> None:
    assert sampled_frames(1) == (0,)
    assert sampled_frames(8) == tuple(range(8))
    assert len(sampled_frames(SAMPLES * 2)) == SAMPLES
    assert sampled_frames(1000)[:3] == (0, GAP, 2 * GAP)


def test_things_that_are_apart_are_found_in_the_order_in_which_they_appear() -> None:
    def stage(index: int) -> Spots:
        late = [(BLUE, 10, 80)] if index >= 40 else []
        return [(RED, 10 + index, 10), (GREEN, 140 - index, 60), *late]

    found = discover(stage, count=90).found()
    assert [thing.first for thing in found] == [0, 0, 40]
    index, logit = next(iter(found[2].masks.items()))
    assert index >= 40
    mask = found[2].at(index, size=SIZE)
    assert mask[90, 20]
    assert mask.sum() == pytest.approx(32 * 32, rel=0.1), "the other things are not in it"
    assert float(logit.min()) <= OUTSIDE


def test_a_thing_that_stands_out_is_found_though_it_is_not_of_the_subject() -> None:
    found = discover(lambda index: [(RED, 10 + index, 10), (WHITE, 100, 80)], count=60).found()
    assert [thing.first for thing in found] == [0, 0]
    (mask,) = [thing.at(0, size=SIZE) for thing in found if 0 in thing.masks and thing.at(0, size=SIZE)[90, 110]]
    assert mask.sum() == pytest.approx(32 * 32, rel=0.1)


def test_flat_frames_show_no_thing() -> None:
    assert discover(lambda index: [], count=60, eyes=TakenIn).found() == ()


def test_a_thing_after_a_black_lead_in_is_found_alone() -> None:
    def stage(index: int) -> Spots:
        return [(RED, 10 + index, 10)] if index >= 30 else []

    (thing,) = discover(stage, count=100, eyes=TakenIn).found()
    assert thing.first == 30
    assert min(thing.masks) >= 30
    index = next(iter(thing.masks))
    assert thing.at(index, size=SIZE).sum() == pytest.approx(32 * 32, rel=0.1)


def test_a_thing_that_was_hidden_is_the_same_when_it_comes_back() -> None:
    def stage(index: int) -> Spots:
        return [] if 30 <= index < 60 else [(RED, 8 if index < 30 else 120, 40)]

    (thing,) = discover(stage, count=100).found()
    assert thing.first == 0
    assert {frame < 30 for frame in thing.masks} == {True, False}, "it is shown before and after"


def test_another_thing_that_is_taken_for_one_that_was_long_away_is_another_thing() -> None:
    def stage(index: int) -> Spots:
        return [(RED, 8, 40)] if index < 40 else [(ORANGE, 120, 40)] if index >= 90 else []

    found = discover(stage, count=150).found()
    assert [thing.first for thing in found] == [0, 90]
    assert all(frame < 40 for frame in found[0].masks)


def test_two_things_that_are_taken_for_one_that_was_long_away_are_two_more() -> None:
    def stage(index: int) -> Spots:
        return [(RED, 8, 40)] if index < 40 else [(RED, 8, 40), (RED, 120, 40)] if index >= 90 else []

    found = discover(stage, count=150).found()
    assert next(thing.first for thing in found) == 0
    assert all(frame < 40 for frame in found[0].masks)
    assert len(found) >= 2


def test_a_thing_that_passes_for_a_moment_is_none() -> None:
    def stage(index: int) -> Spots:
        return [(RED, 10, 10), *([(GREEN, 120, 60)] if index in (20, 25) else [])]

    assert len(discover(stage, count=100).found()) == 1


def test_two_that_were_one_are_told_apart_when_they_stay_apart() -> None:
    def stage(index: int) -> Spots:
        gap = 32 + (max(index - 40, 0) if index < 90 else 50)
        return [(RED, 40, 40), (RED, 40 + gap, 40)]

    (both,) = (thing for thing in discover(stage, count=45).found())
    assert both.size == pytest.approx(2 * 32 * 32 / (SIZE[0] * SIZE[1]), rel=0.1)
    candidates = discover(stage, count=120).candidates
    assert len(candidates) >= 2
    for candidate in candidates.values():
        assert all(each.frame > 40 for each in candidate.anchors), "no view shows both as one"


class ByColour:
    """Stands in for a divider: each of the colours in a part is a thing."""

    def project(self, features: Observed) -> SimpleNamespace:
        small = torch.from_numpy(features.frame.image[::2, ::2].astype(np.int64)).permute(2, 0, 1)
        return SimpleNamespace(s2_BCHW=small[None])

    def divide(self, shared: SimpleNamespace, part: np.ndarray, *, least: int) -> tuple[np.ndarray, ...]:
        colour = shared.s2_BCHW[0].argmax(dim=0).numpy()
        things = [part & (colour == each) for each in np.unique(colour[part])]
        return tuple(thing for thing in things if thing.sum() >= least)


def test_two_that_always_touch_are_told_apart_by_a_divider(monkeypatch: pytest.MonkeyPatch) -> None:
    def stage(index: int) -> Spots:
        return [(RED, 40 + index // 2, 40), (GREEN, 72 + index // 2, 40)]

    def shared(encoder: SimpleNamespace) -> SimpleNamespace:
        return SimpleNamespace(together=3, computing=nullcontext, encode=lambda some: some[0])

    assert len(discover(stage, count=60).found()) < 2
    monkeypatch.setattr("covos.engines.discover.SharedEncoder", shared)
    discovery = DiscoveryPass(Eyes(), NO_REFERENCES, memory=5, divider=ByColour())  # type: ignore[arg-type]
    list(discovery.run(frames(stage, 60)))
    assert [round(thing.size, 2) for thing in discovery.found()] == [round(32 * 32 / (SIZE[0] * SIZE[1]), 2)] * 2


def test_of_two_tracks_over_one_thing_the_rim_becomes_part_of_the_other() -> None:
    discovery = DiscoveryPass(Eyes(), NO_REFERENCES, memory=5)  # type: ignore[arg-type]
    ((_, features),) = discovery.engine.encoded(list(frames(lambda index: [(RED, 10, 10)], 1)))
    whole, rim, apart = (np.zeros((64, 96), bool) for _ in range(3))
    whole[5:25, 5:25], rim[4:26, 4:26], apart[5:25, 30:40] = True, True, True
    rim &= ~whole
    for key, first in ((1, 3), (2, 0), (3, 0)):
        discovery.candidates[key] = Candidate(id=key, first=first, anchors=[])
    discovery._current.add(0, features, {1: torch.from_numpy(whole), 2: torch.from_numpy(rim), 3: torch.ones(64, 96)})
    for index in range(RIMMED):
        assert set(discovery.candidates) == {1, 2, 3}
        tracks = {1: whole, 2: rim, 3: apart}
        discovery._unite_rims(_Sample(index=index, features=features, tracks=tracks))
    assert set(discovery.candidates) == {1, 3}
    assert discovery.candidates[1].first == 0


@pytest.mark.parametrize("shared", [RIMMED, 2])
def test_two_tracks_on_one_square_are_one_thing(shared: int) -> None:
    """As in the pass, one has the pixels; each by itself has them all, but for a column."""
    discovery = DiscoveryPass(Eyes(), NO_REFERENCES, memory=5)  # type: ignore[arg-type]
    ((_, features),) = discovery.engine.encoded(list(frames(lambda index: [(RED, 10, 10), (GREEN, 100, 10)], 1)))
    square, less, beside = (np.zeros((64, 96), bool) for _ in range(3))
    square[5:21, 5:21] = less[5:21, 6:21] = beside[5:21, 50:66] = True
    alone = {1: less, 2: square, 3: beside}
    discovery._current.add(0, features, {key: torch.from_numpy(mask) for key, mask in alone.items()})
    for key, first in ((1, 0), (2, 5), (3, 0)):
        discovery.candidates[key] = Candidate(
            id=key, first=first, confirmed=2, seen=4, area=0.1 if key == 1 else 0.9, anchors=[]
        )
    for index in range(shared):
        assert set(discovery.candidates) == {1, 2, 3}
        discovery._unite_doubles(_Sample(index=index, features=features, tracks={}, alone=alone))
    if shared == RIMMED:
        assert set(discovery.candidates) == {2, 3}
        assert set(discovery._current.colours) == {2, 3}
        assert discovery.candidates[2].confirmed == 4
    # In a video that ends here they are one as well, beside the other square.
    assert [(each.first, round(each.size, 3)) for each in discovery.found()] == [(0, 0.25), (0, 0.225)]


def test_no_more_than_so_many_are_found_the_largest() -> None:
    def stage(index: int) -> Spots:
        return [(RED, 10, 10), (GREEN, 80, 10), (BLUE, 150, 80 if index > 20 else 200)]

    found = discover(stage, count=60, most=2)
    assert [thing.first for thing in found.found()] == [0, 0]
    assert len(found.candidates) <= 4


def test_where_there_is_nothing_nothing_is_found() -> None:
    assert discover(lambda index: [], count=50).found() == ()
