from __future__ import annotations

import numpy as np

from covos.evaluation.identity import identity_switches


def row(*spans: tuple[int, int, int]) -> np.ndarray:
    """Labels of a frame: (id, start, stop) each."""
    labels = np.zeros((4, 40), np.uint8)
    for identity, start, stop in spans:
        labels[:, start:stop] = identity
    return labels


TRUTH = [row((1, 0, 10), (2, 20, 30))] * 4


def test_ids_that_stay_are_no_switches_whatever_they_are_called() -> None:
    assert identity_switches([row((7, 0, 10), (3, 20, 30))] * 4, TRUTH) == {1: 0, 2: 0}


def test_objects_that_exchange_ids_switch_each() -> None:
    before, after = row((1, 0, 10), (2, 20, 30)), row((2, 0, 10), (1, 20, 30))
    assert identity_switches([before, after, after, before], TRUTH) == {1: 2, 2: 2}


def test_frames_without_a_match_are_passed_over() -> None:
    found, nothing, poor = row((1, 0, 10)), row(), row((5, 0, 4))
    assert identity_switches([found, nothing, poor, found], TRUTH) == {1: 0, 2: 0}
    assert identity_switches([found, nothing, poor, row((5, 0, 10))], TRUTH)[1] == 1


def test_void_counts_for_nothing() -> None:
    truth = row((1, 0, 10), (255, 10, 40))
    assert identity_switches([row((1, 0, 40))] * 2, [truth] * 2) == {1: 0}
