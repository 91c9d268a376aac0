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
from covos.evaluation.comparison import _best, comparison_table, describe
from covos.evaluation.intervals import chance_of, contributions
from covos.evaluation.results import MEASURES


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
    found = confidence(evaluation([[0.0], [1.0, 1.0, 1.0]] * 3, protocol="davis2017-semi"))
    assert (found.low, found.high) == pytest.approx((0.375, 15 / 16))  # one or five of six drawn are the second
    middle = evaluation([[0.0], [1.0, 1.0, 1.0]], protocol="davis2017-semi").scores.jf
    assert middle == pytest.approx(0.75)


@pytest.mark.parametrize("count", [1, 5])
def test_few_sequences_have_no_interval(count: int) -> None:
    few = evaluation([[0.5]] * count)
    assert confidence(few) is None
    assert difference(few, few).interval is None
    assert difference(few, few).verdict == "too few sequences"


def test_the_text_has_recall_and_decay_and_the_steadiest_decay_is_best() -> None:
    head = comparison_table([evaluation([[0.5]]), evaluation([[0.6]])], names=["a", "b"])
    assert all(name in head for name in ("J recall", "J decay", "F recall", "F decay", "flicker"))
    cells = ["50.0"] * len(MEASURES)
    at = MEASURES.index("J decay")
    rows = [("a", *cells[:at], "-4.0", *cells[at + 1 :]), ("b", *cells[:at], "0.5", *cells[at + 1 :])]
    assert _best(rows) == {(1, at + 1)}


def test_a_constant_gain_is_beyond_chance_however_sequences_vary() -> None:
    values = np.linspace(0.1, 0.9, 20)
    found = difference(evaluation([[v] for v in values]), evaluation([[v + 0.01] for v in values]))
    assert found.value == pytest.approx(0.01)
    assert (found.interval.low, found.interval.high) == pytest.approx((0.01, 0.01))
    assert found.verdict == "beyond chance"
    assert "0.010 better than a, which is beyond chance" in describe(found, name="b", than="a")
    said = describe(found, name="b", than="a", percent=True)
    assert "1.0 points better than a, which is beyond chance" in said
    assert "95 % interval +" in said
    assert "0.0" not in said.partition("interval")[2], "the interval is in percent, too"


def test_a_gain_on_half_of_the_sequences_is_within_chance() -> None:
    values = np.full(20, 0.5)
    changed = values + np.where(np.arange(20) % 2, 0.1, -0.09)
    found = difference(evaluation([[v] for v in values]), evaluation([[v] for v in changed]))
    assert found.value == pytest.approx(0.005)
    assert found.verdict == "within chance"
    assert "differ by +0.005, which is within chance" in describe(found, name="b", than="a")
    assert "differ by +0.5 points, which is within chance" in describe(found, name="b", than="a", percent=True)


@pytest.mark.parametrize(
    ("chance", "sequences", "said"),
    [
        (0.5, 6, "within chance"),
        (0.051, 40, "within chance"),
        (0.031, 6, "beyond chance"),
        (0.0001, 5, "too few sequences"),
        (1.0, 1, "too few sequences"),
    ],
)
def test_beyond_chance_takes_six_sequences_and_a_small_p(chance: float, sequences: int, said: str) -> None:
    found = Difference(value=0.0, interval=Interval(low=0.1, high=0.2), chance=chance, sequences=sequences)
    assert found.verdict == said


def test_chance_is_that_of_the_signs() -> None:
    assert chance_of(np.full(6, 0.1)) == pytest.approx(2 / 64)
    assert chance_of(np.array([0.1, -0.1])) == 1
    # By hand: of the sums of +-1, +-2, +-3 four of eight reach 4 = 3 + 2 - 1.
    assert chance_of(np.array([-1.0, 2.0, 3.0])) == pytest.approx(4 / 8)
    many = np.random.default_rng(0).normal(0.02, 0.03, 40)
    assert chance_of(many) == chance_of(many) < 0.01


def test_parts_of_sequences_add_up_to_the_score() -> None:
    found = evaluation([[0.9, 0.7], [0.5]], protocol="davis2017-semi")
    assert contributions(found.sequences, by_class=False).sum() == pytest.approx(found.scores.jf)
    classes = [[True, False], [False]]
    parted = evaluation([[0.9, 0.7], [0.5]], protocol="youtube-vos", seen=classes)
    assert contributions(parted.sequences, by_class=True).sum() == pytest.approx(parted.scores.jf)


def test_alike_results_are_called_different_as_seldom_as_the_level_says() -> None:
    rng = np.random.default_rng(1)
    wrong = 0
    for _ in range(200):
        values = rng.uniform(0.4, 0.8, 6)
        pair = [evaluation([[v + rng.normal(0, 0.03)] for v in values]) for _ in range(2)]
        parts = [contributions(each.sequences, by_class=False) for each in pair]
        wrong += chance_of(parts[1] - parts[0]) <= 0.05
    assert wrong <= 18  # 10 are expected; a bootstrap interval of six sequences excludes 0 in 28 of them


def test_seen_and_unseen_classes_weigh_alike() -> None:
    scores, seen = [[0.9, 0.9], [0.9], [0.3]], [[True, True], [True], [False]]
    found = evaluation(scores, protocol="youtube-vos", seen=seen)
    assert {name: group.jf for name, group in found.groups.items()} == pytest.approx({"seen": 0.9, "unseen": 0.3})
    assert found.scores.jf == pytest.approx(0.6)
    interval = confidence(evaluation(scores * 2, protocol="youtube-vos", seen=seen * 2))
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
