"""A click changes what it is about: other objects, and what the click agrees with, stay as they are."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest

from covos.core.types import Box, Frame, MaskArray, Point, SourceInfo
from covos.engines.motion import Observed
from covos.prompts.masker import PromptMasker
from covos.prompts.seeds import Seeds
from covos.prompts.values import PointPrompt

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

    def mask(
        self, observed: Observed, *, points: Sequence[Point], box: Box | None, previous: MaskArray | None
    ) -> MaskArray:
        self.asked += 1
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
            frame_count=1,
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

    def part(self, observed: Observed, whole: MaskArray, *, points: Sequence[Point]) -> MaskArray:
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
