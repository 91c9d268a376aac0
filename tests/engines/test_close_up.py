from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch

from covos.core.types import Frame, MaskArray, Point, ProbabilityArray
from covos.engines.close_up import Window, window_of, windows_round
from covos.engines.encoding import FrameEncoder
from covos.engines.motion import Observed
from covos.engines.prompt import NetworkPrompter
from covos.models.lite import CovosLite
from covos.models.prompt import CovosPrompt

SIZE = (90, 160)


def observed(motion: bool = False) -> Observed:
    image = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), np.uint8)
    frame = Frame(index=3, stem="3", image=image, pts=3, time_base=Fraction(1, 25))
    moves = np.zeros((16, 28, 4), np.float32)
    moves[:, 14:] = 1  # the right half
    return Observed(frame=frame, motion=moves if motion else None)


@pytest.mark.parametrize("place", [(0, 0), (159, 89), (80, 45), (3, 88)])
def test_close_ups_hold_the_click_and_lie_in_the_frame(place: tuple[int, int]) -> None:
    point = Point(x=place[0], y=place[1])
    for window in windows_round(point, SIZE):
        assert window.top >= 0
        assert window.left >= 0
        assert window.top + window.height <= SIZE[0]
        assert window.left + window.width <= SIZE[1]
        assert window.width / window.height == pytest.approx(SIZE[1] / SIZE[0], rel=0.03)
        (inside,) = window.points([point])
        rows, columns = window.cells
        assert (inside.x + columns.start, inside.y + rows.start) == place


def test_a_close_up_of_a_mask_is_of_the_parts_that_are_shown() -> None:
    mask = np.zeros(SIZE, np.bool_)
    mask[10:20, 10:20] = mask[70:80, 140:150] = True
    window = window_of(mask, [Point(x=15, y=15), Point(x=145, y=75, positive=False)])
    assert window is not None
    rows, columns = window.cells
    assert mask[window.cells].sum() == 100
    assert rows.stop < 40
    assert columns.stop < 70
    assert window_of(mask, [Point(x=15, y=15), Point(x=145, y=75)]) is None, "both together are as large as the frame"
    assert window_of(mask, [Point(x=15, y=15, positive=False)]) is None
    assert window_of(np.zeros(SIZE, np.bool_), [Point(x=15, y=15)]) is not None


def test_a_close_up_shows_its_part_of_the_picture_and_of_what_moves() -> None:
    whole = observed(motion=True)
    part = Window(0, 80, 45, 80).look(whole)
    np.testing.assert_array_equal(part.frame.image, whole.frame.image[:45, 80:])
    assert part.frame.index == 3
    assert part.motion is not None
    assert part.motion.shape == (16, 28, 4)
    assert part.motion[:, 1:].min() > 0.99
    middle = Window(20, 40, 45, 80).look(whole).motion
    assert middle is not None
    assert middle[8, 10].max() < 0.01, "what stands still left of the middle stays there"
    assert middle[8, 17].min() > 0.99
    assert Window(0, 80, 45, 80).look(observed()).motion is None


@pytest.fixture
def prompter() -> NetworkPrompter:
    torch.manual_seed(0)
    encoder = FrameEncoder(
        CovosLite().eval(), device=torch.device("cpu"), precision=torch.float32, area=64 * 96, batch=1
    )
    return NetworkPrompter(encoder, CovosPrompt().eval(), close=True)


def test_a_first_click_averages_and_a_later_one_corrects(
    prompter: NetworkPrompter, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[tuple[tuple[int, int], bool]] = []

    def look(
        observed: Observed, points: list[Point], box: object, previous: MaskArray | None, *, view: object
    ) -> ProbabilityArray:
        size = observed.frame.size
        assert view == (prompter._view if size == SIZE else prompter._encoded), "close-ups are not kept"
        looks.append((size, previous is not None))
        found = np.zeros(size, np.float32)
        for point in points:
            found[int(point.y) - 2 : int(point.y) + 3, int(point.x) - 2 : int(point.x) + 3] = 0.8
        if size != SIZE:
            found[int(points[0].y), int(points[0].x) + 3] = 0.9  # a detail that only a close-up shows
        return found

    monkeypatch.setattr(prompter, "_look", look)
    click = [Point(x=80, y=45)]
    first = prompter.mask(observed(), points=click, box=None, previous=None)
    assert looks == [(SIZE, False), ((54, 96), False), ((36, 64), False)]
    assert first[45, 83], "two of three looks see it"
    assert first.sum() == 26
    looks.clear()
    later = prompter.mask(observed(), points=[*click, Point(x=76, y=45)], box=None, previous=first)
    assert [previous for _, previous in looks] == [True, True]
    assert looks[1][0] != SIZE
    assert later[45, 83]
    looks.clear()
    prompter.close = False
    assert not prompter.mask(observed(), points=click, box=None, previous=None)[45, 83]
    assert len(looks) == 1


def test_a_close_up_leaves_what_is_kept_of_the_frame(
    prompter: NetworkPrompter, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    original = prompter.encoder.encode

    def encode(batch: list[Observed]) -> object:
        sizes.append(batch[0].frame.size[0])
        return original(batch)

    monkeypatch.setattr(prompter.encoder, "encode", encode)
    frame = observed()
    for _ in range(2):
        prompter.mask(frame, points=[Point(x=80, y=45)], box=None, previous=None)
    assert sizes.count(SIZE[0]) == 1
