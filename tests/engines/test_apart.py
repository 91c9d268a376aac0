"""Telling apart things that touch, over a stand-in that answers each click by colour."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from covos.engines.apart import PLACES, Divider, group, mutual, places_in, share_out
from covos.engines.ladder import Ladder
from covos.models.lite import Features
from covos.models.prompt import PromptFeatures, PromptTensors

SIZE = (64, 96)


class ByColour:
    """Answers with all cells of the first positive click's colour, less those of the colours of negative ones."""

    def __init__(self) -> None:
        self.asked: list[Tensor] = []

    def project(self, features: Features) -> PromptFeatures:
        colour = features.s2_BCHW
        nothing = torch.zeros(1, 1, 1, 1)
        return PromptFeatures(nothing, nothing, nothing, nothing, nothing, nothing, colour)

    def find(self, features: PromptFeatures, prompt: PromptTensors) -> Tensor:
        self.asked.append(prompt.point_BK3)
        colour = features.s2_BCHW[:, 0]
        answers = []
        for row, points in enumerate(prompt.point_BK3):
            answer = torch.full(SIZE, -6.0)
            for x, y, kind in points.tolist():
                meant = colour[row, int(y * SIZE[0]), int(x * SIZE[1])]
                if kind:
                    answer[colour[row] == meant] = 6.0 * kind
            answers.append(answer)
        return torch.stack(answers)[:, None]


def divide(picture: np.ndarray, *, least: int = 20) -> tuple[np.ndarray, ...]:
    divider = Divider(ByColour(), ladder=Ladder(device=torch.device("cpu"), precision=torch.float32))
    nothing = torch.zeros(1)
    features = Features(nothing, nothing, nothing, nothing, nothing, torch.from_numpy(picture)[None, None].float())
    return divider.divide(divider.project(features), picture > 0, least=least)


def two_beside_one_another() -> np.ndarray:
    picture = np.zeros(SIZE, np.uint8)
    picture[10:50, 10:45] = 1
    picture[15:45, 45:80] = 2
    return picture


def test_two_things_that_touch_are_two() -> None:
    picture = two_beside_one_another()
    larger, smaller = divide(picture)
    assert np.array_equal(larger, picture == 1)
    assert np.array_equal(smaller, picture == 2)


def test_one_thing_stays_one() -> None:
    picture = (two_beside_one_another() > 0).astype(np.uint8)
    (whole,) = divide(picture)
    assert np.array_equal(whole, picture > 0)


def test_each_place_is_asked_about_once() -> None:
    asked = ByColour()
    divider = Divider(asked, ladder=Ladder(device=torch.device("cpu"), precision=torch.float32))
    nothing = torch.zeros(1)
    picture = torch.from_numpy(two_beside_one_another())[None, None].float()
    features = divider.project(Features(nothing, nothing, nothing, nothing, nothing, picture))
    part = two_beside_one_another() > 0
    assert len(divider.divide(features, part, least=20)) == 2
    assert [tuple(points.shape) for points in asked.asked] == [(len(places_in(part)), 1, 3)]


def test_what_is_too_small_to_be_a_thing_goes_to_the_others() -> None:
    picture = two_beside_one_another()
    (whole,) = divide(picture, least=int((picture == 2).sum()) + 1)
    assert np.array_equal(whole, picture > 0)


@pytest.mark.parametrize("seed", range(5))
def test_together_the_things_are_the_part(seed: int) -> None:
    rng = np.random.default_rng(seed)
    part = np.kron(rng.random((8, 12)) > 0.4, np.ones((8, 8))).astype(np.bool_)
    things = share_out(part, rng.normal(size=(4, *SIZE)).astype(np.float32), least=200)
    assert np.array_equal(np.sum(things, axis=0), part)
    assert [int(each.sum()) for each in things] == sorted((int(each.sum()) for each in things), reverse=True)
    assert len(things) == 1 or all(each.sum() >= 200 for each in things)


def test_places_lie_deep_inside_and_apart() -> None:
    part = two_beside_one_another() > 0
    places = places_in(part)
    assert 2 <= len(places) <= PLACES
    assert all(part[row, column] for column, row in places)
    assert len(set(places)) == len(places)
    assert places_in(np.zeros(SIZE, np.bool_)) == []


def test_places_are_of_one_thing_if_they_lie_in_one_anothers_answers() -> None:
    logits = np.full((3, *SIZE), -8, np.float32)
    logits[:2, :, :48] = 8
    logits[2, :, 48:] = 8
    likeness = mutual(logits, [(10, 10), (30, 30), (70, 30)])
    assert likeness.round(2).tolist() == [[1, 1, 0], [1, 1, 0], [0, 0, 1]]
    assert group(likeness) == [frozenset({0, 1}), frozenset({2})]


def test_a_place_that_is_left_alone_joins_what_it_is_most_like() -> None:
    likeness = np.array([[1, 0.9, 0.52, 0.1], [0.9, 1, 0.3, 0.1], [0.52, 0.3, 1, 0.1], [0.1, 0.1, 0.1, 1]], np.float32)
    assert group(likeness) == [frozenset({0, 1, 2}), frozenset({3})]
