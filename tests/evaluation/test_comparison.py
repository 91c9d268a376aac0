"""Bootstrap intervals: reproducible, of the right size, and paired."""

import numpy as np
import pytest

from covos.core.errors import UsageError
from covos.evaluation import (
    Difference,
    Evaluation,
    Interval,
    ObjectScore,
    SequenceScores,
    confidence,
    difference,
    get_protocol,
)


def evaluation(scores, *, protocol="davis2016", names=None, seen=None) -> Evaluation:
    """An evaluation with the given J (and F) of each object of each sequence, two frames long."""
    sequences = []
    for number, objects in enumerate(scores):
        name = names[number] if names else f"s{number:02d}"
        found = [
            ObjectScore(
                sequence=name,
                object_id=index + 1,
                seen=None if seen is None else seen[number][index],
                frames=("a", "b"),
                j=np.full(2, value),
                f=np.full(2, value),
            )
            for index, value in enumerate(objects)
        ]
        sequences.append(SequenceScores(name=name, size=(4, 4), frames=("a", "b"), objects=tuple(found)))
    return Evaluation(
        protocol=get_protocol(protocol), predictions="p", truth="t", subset=None, sequences=tuple(sequences)
    )


def test_interval_is_that_of_the_mean() -> None:
    values = np.random.default_rng(3).uniform(0.3, 0.9, 40)
    found = confidence(evaluation([[v] for v in values]))
    error = values.std() / np.sqrt(len(values))
    assert found.low == pytest.approx(values.mean() - 1.96 * error, abs=0.15 * error)
    assert found.high == pytest.approx(values.mean() + 1.96 * error, abs=0.15 * error)
    assert found == confidence(evaluation([[v] for v in values]))


def test_objects_weigh_alike_within_a_draw() -> None:
    found = confidence(evaluation([[0.0], [1.0, 1.0, 1.0]], protocol="davis2017-semi"))
    assert (found.low, found.high) == (0, 1)
    middle = evaluation([[0.0], [1.0, 1.0, 1.0]], protocol="davis2017-semi").scores.jf
    assert middle == pytest.approx(0.75)


def test_one_sequence_has_no_interval() -> None:
    one = evaluation([[0.5]])
    assert confidence(one) is None
    assert difference(one, one).interval is None
    assert difference(one, one).is_within_chance


def test_a_constant_gain_is_beyond_chance_however_sequences_vary() -> None:
    values = np.linspace(0.1, 0.9, 20)
    found = difference(evaluation([[v] for v in values]), evaluation([[v + 0.01] for v in values]))
    assert found.value == pytest.approx(0.01)
    assert (found.interval.low, found.interval.high) == pytest.approx((0.01, 0.01))
    assert not found.is_within_chance


def test_a_gain_on_half_of_the_sequences_is_within_chance() -> None:
    values = np.full(20, 0.5)
    changed = values + np.where(np.arange(20) % 2, 0.1, -0.09)
    found = difference(evaluation([[v] for v in values]), evaluation([[v] for v in changed]))
    assert found.value == pytest.approx(0.005)
    assert found.is_within_chance


@pytest.mark.parametrize(
    ("low", "high", "within"), [(-0.1, 0.1, True), (0.0, 0.1, True), (0.01, 0.1, False), (-0.2, -0.1, False)]
)
def test_within_chance_is_an_interval_that_holds_zero(low: float, high: float, within: bool) -> None:
    assert Difference(value=0.0, interval=Interval(low=low, high=high)).is_within_chance is within


def test_seen_and_unseen_classes_weigh_alike() -> None:
    scores, seen = [[0.9, 0.9], [0.9], [0.3]], [[True, True], [True], [False]]
    found = evaluation(scores, protocol="youtube-vos", seen=seen)
    assert {name: group.jf for name, group in found.groups.items()} == pytest.approx({"seen": 0.9, "unseen": 0.3})
    assert found.scores.jf == pytest.approx(0.6)
    interval = confidence(found)
    assert interval.low <= 0.6 <= interval.high


def test_unknown_classes_are_not_grouped() -> None:
    found = evaluation([[0.9], [0.3]], protocol="youtube-vos", seen=[[True], [None]])
    assert found.groups == {}
    assert found.scores.jf == pytest.approx(0.6)


def test_other_sequences_or_protocols_are_not_compared() -> None:
    with pytest.raises(UsageError, match="cannot be compared"):
        difference(evaluation([[0.5]], names=["a"]), evaluation([[0.5]], names=["b"]))
    with pytest.raises(UsageError, match="cannot be compared"):
        difference(evaluation([[0.5]]), evaluation([[0.5]], protocol="davis2016-all"))
