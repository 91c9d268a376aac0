"""A click changes what it is about: other objects, and what the click agrees with, stay as they are."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest

from covos.core.types import Box, Frame, MaskArray, ObjectStatus, Point, SourceInfo
from covos.engines.motion import Observed
from covos.masks import encode
from covos.masks.frame_mask import FrameMask
from covos.prompts.known_size import areas_around, largest_of
from covos.prompts.masker import PromptMasker
from covos.prompts.seeds import Seeds
from covos.prompts.values import PointPrompt
from covos.results.followed import FollowedMasks

SIZE = (6, 12)


def columns(*shown: int) -> MaskArray:
    mask = np.zeros(SIZE, bool)
    mask[:, list(shown)] = True
    return mask


class Greedy:
    """Takes these columns, whatever it is asked."""

    name = "greedy"

    def __init__(self, *shown: int) -> None:
        self.shown = shown
        self.asked = 0
        self.largest: list[int | None] = []

    def mask(
        self,
        observed: Observed,
        *,
        points: Sequence[Point],
        box: Box | None,
        previous: MaskArray | None,
        largest: int | None = None,
    ) -> MaskArray:
        self.asked += 1
        self.largest.append(largest)
        return columns(*self.shown)


class Masker(PromptMasker):
    """Sees one grey frame."""

    def __init__(self, prompter: Greedy) -> None:
        super().__init__(None, None, prompter)  # type: ignore[arg-type]

    def look(self, frame: int) -> Observed:
        image = np.zeros((*SIZE, 3), np.uint8)
        return Observed(frame=Frame(index=0, stem="00000", image=image, pts=0, time_base=Fraction(1, 25)), motion=None)


@pytest.fixture
def seeds() -> Seeds:
    return Seeds(
        SourceInfo(
            path="clip.mp4",
            kind="video",
            height=SIZE[0],
            width=SIZE[1],
            frame_count=60,
            frame_rate=Fraction(25),
            duration=None,
            time_base=Fraction(1, 25),
        )
    )


def shown(mask: MaskArray) -> set[int]:
    assert (mask == mask[:1]).all()
    return set(np.flatnonzero(mask[0]).tolist())


def on(x: int, *, positive: bool = True, box: Box | None = None) -> PointPrompt:
    return PointPrompt(frame=0, object=1, points=(Point(x=x, y=2, positive=positive),), box=box)


@pytest.mark.parametrize(
    ("x", "after"),
    [(2, {0, 1, 2, 3}), (5, {0, 1, 2, 3, 4, 5, 6, 7})],
    ids=["beside the other object: it stays", "on the other object: it is taken"],
)
@pytest.mark.parametrize("given", [True, False], ids=["given", "new"])
def test_a_click_takes_nothing_of_an_object_that_it_does_not_lie_on(
    seeds: Seeds, x: int, after: set[int], given: bool
) -> None:
    if given:
        seeds.add(0, {1: columns(0)}, given_as="mask")
    masker = Masker(Greedy(*range(8)))
    found = masker.mask(seeds, 1, on(x), followed=None, others=[columns(4, 5, 6)])
    # The column behind the other object does not hang together with the click.
    expected = after if given or x == 5 else after | {7}
    assert shown(found.mask) == expected


def test_a_box_shows_anew_what_it_is_drawn_round(seeds: Seeds) -> None:
    masker = Masker(Greedy(*range(8)))
    box = PointPrompt(frame=0, object=1, points=(), box=Box(x0=0, y0=0, x1=8, y1=6))
    assert shown(masker.mask(seeds, 1, box, followed=None, others=[columns(4, 5, 6)]).mask) == set(range(8))


def test_a_negative_point_on_a_mask_of_a_box_makes_it_no_bigger(seeds: Seeds) -> None:
    prompter = Greedy(2, 3, 4, 5)
    masker = Masker(prompter)
    box = PointPrompt(frame=0, object=1, points=(), box=Box(x0=2, y0=0, x1=6, y1=6))
    assert shown(masker.mask(seeds, 1, box, followed=None).mask) == {2, 3, 4, 5}
    prompter.shown = (0, 1, 2, 3, 4, 8, 9)
    assert shown(masker.mask(seeds, 1, on(5, positive=False), followed=None).mask) == {2, 3, 4}


def test_a_point_that_the_mask_agrees_with_asks_nobody(seeds: Seeds) -> None:
    seeds.add(0, {1: columns(0, 1)}, given_as="mask")
    prompter = Greedy(5)
    masker = Masker(prompter)
    assert shown(masker.mask(seeds, 1, on(1), followed=None).mask) == {0, 1}
    assert shown(masker.mask(seeds, 1, on(9, positive=False), followed=None).mask) == {0, 1}
    assert prompter.asked == 0
    seed = seeds.get(0, 1)
    assert seed is not None
    assert seed.pointed is not None
    assert len(seed.pointed.at.points) == 2


class Parting(Greedy):
    """Knows parts of what is there, too: the first two columns."""

    def part(
        self, observed: Observed, whole: MaskArray, *, points: Sequence[Point], largest: int | None = None
    ) -> MaskArray:
        first = np.flatnonzero(whole[0])[:2]
        return columns(*first.tolist())


def test_a_new_object_inside_another_is_a_part_of_it(seeds: Seeds) -> None:
    masker = Masker(Parting(*range(8)))
    other = columns(4, 5, 6, 7)
    assert shown(masker.mask(seeds, 1, on(5), followed=None, others=[other]).mask) >= {4, 5}
    assert masker.prompter.asked == 0  # type: ignore[attr-defined]
    seeds.add(0, {1: columns(4)}, given_as="mask")
    corrected = masker.mask(seeds, 1, on(6), followed=None, others=[other]).mask
    assert shown(corrected) == {4, 5, 6, 7}, "a further click is no new object"


@pytest.mark.parametrize("clicked", [False, True], ids=["followed", "made-of-points"])
def test_a_click_on_another_object_takes_from_it_no_more_than_its_thin_part(seeds: Seeds, clicked: bool) -> None:
    """The prompter wants all of it."""
    body, strap, own = columns(7, 8, 9, 10, 11), np.zeros(SIZE, bool), np.zeros(SIZE, bool)
    strap[2:4, :7], own[5, :3] = True, True
    masker = Masker(Greedy(*range(12)))
    if clicked:
        first = Masker(Greedy())
        first.prompter.mask = lambda *_, **__: own  # type: ignore[method-assign]
        first.mask(seeds, 1, PointPrompt(frame=0, object=1, points=(Point(x=1, y=5),)), followed=None)
    point = PointPrompt(frame=0, object=1, points=(Point(x=2, y=2),))
    made = masker.mask(seeds, 1, point, followed=None if clicked else own, others=[body | strap]).mask
    assert made[strap & columns(*range(5))].all()
    assert not made[:, 9:].any()


def test_a_prompter_is_told_how_large_the_object_is_elsewhere(seeds: Seeds) -> None:
    prompter = Greedy(0, 1, 2, 3)
    masker = Masker(prompter)
    seeds.add(50, {1: columns(0, 1, 2)}, given_as="mask")  # 18 pixels, a period of frames later: four times as many
    masker.mask(seeds, 1, on(2), followed=None)
    masker.mask(seeds, 1, on(9), followed=None)  # the mask lacked something: it may be twice as large
    masker.mask(seeds, 1, on(3, positive=False), followed=None)  # takes away alone
    masker.mask(seeds, 2, on(6).model_copy(update={"object": 2}), followed=None)  # on no other frame
    assert prompter.largest == [72, 144, None, None]


@pytest.mark.parametrize(
    ("shown", "followed", "largest"),
    [
        ({}, {}, None),
        ({40: 30}, {}, None),
        ({50: 30}, {}, 72),
        ({50: 30}, {30: 500, 31: 100, 32: 110}, 255),
        ({0: 900, 50: 30}, {}, 72),
        ({}, {45: 2, 60: 100}, 112),
    ],
    ids=[
        "nothing is known",
        "this frame alone",
        "ten frames away",
        "the median of what was followed",
        "a nearer mask tells more",
        "the nearest mask may be of a thing that hides",
    ],
)
def test_an_object_is_about_as_large_as_on_the_frames_around(
    shown: dict[int, int], followed: dict[int, int], largest: int | None
) -> None:
    assert largest_of(shown, followed, frame=40, points=1) == largest


def test_a_mask_tells_its_size_if_it_is_sure() -> None:
    def mask(index: int, confidence: float | None) -> FrameMask:
        states = () if confidence is None else (ObjectStatus(id=1, state="present", confidence=confidence),)
        return FrameMask(
            index=index,
            stem=f"{index:05}",
            pts=index,
            time_base=Fraction(1, 25),
            status="decoded",
            confidence=1.0,
            size=SIZE,
            objects={1: encode(columns(0, 1))},
            states=states,
        )

    frames = {each.index: each for each in (mask(0, 0.9), mask(1, 0.2), mask(2, None), mask(70, 0.9))}
    assert areas_around(frames, 3, 1) == {0: 12, 2: 12}
    assert areas_around(frames, 3, 2) == {}
    found = FollowedMasks()
    found.keep(frames.values(), births={1: 1}, step=1)
    assert found.areas(1, births={1: 1}) == {0: 12, 2: 12, 70: 12}
    assert found.areas(1, births={1: 2}) == {}, "another object has its id now"
