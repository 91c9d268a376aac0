"""A pass remembers and learns what is trusted, or was given; a correction takes back what was learned since."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from covos.core.types import ObjectStatus
from covos.engines.follow import FollowEngine
from covos.engines.follow_pass import FollowPass
from covos.engines.memory import APART, TRUSTED
from covos.engines.presence import PresenceTracker
from covos.models.follow import ObjectMemory
from covos.models.target import fit
from engines.noise_clip import SIZE, features_of, half, status
from random_follower import random_engine


@pytest.fixture(scope="module")
def engine() -> FollowEngine:
    return random_engine(SIZE)


def values(memory: ObjectMemory) -> list[bool]:
    """For each object, whether a memory knows anything of it."""
    return memory.value_PMC[..., -1].any(dim=1).tolist()


@pytest.fixture
def judged(engine: FollowEngine, monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[int, float]], FollowPass]:
    """Makes a pass of objects 1 and 2, shown in frame 0, whose masks are then found with these confidences."""

    def make(confidence: dict[int, float]) -> FollowPass:
        def judge(self: PresenceTracker, estimated: object, *, area: float) -> ObjectStatus:
            return status(self.identity, confidence=confidence[self.identity])

        monkeypatch.setattr(PresenceTracker, "judge", judge)
        current = FollowPass(engine.network, memory=2)
        with engine.encoder.computing():
            current.step(0, features_of(engine), given={1: half(), 2: half(False)})
        return current

    return make


Judged = Callable[[dict[int, float]], FollowPass]


def test_what_is_not_trusted_is_neither_remembered_for_longer_nor_learned(engine: FollowEngine, judged: Judged) -> None:
    current = judged({1: TRUSTED + 0.1, 2: TRUSTED - 0.1})
    with engine.encoder.computing():
        current.step(APART, features_of(engine, frame=1))
    (kept,) = current.bank.middle
    assert kept.index == APART
    assert values(kept.memory) == [True, False]
    assert values(current.bank.given[0].memory) == [True, True]
    assert current._targets[1].since is not None
    assert current._targets[2].since is None
    with engine.encoder.computing():
        model = current._fitted()
        alone = fit(current._targets[2].given, torch.tensor([0]))
    torch.testing.assert_close(model.weight_PD[1:], alone.weight_PD, atol=1e-3, rtol=1e-3)


def test_nothing_is_kept_for_longer_of_a_frame_in_which_nothing_is_trusted(
    engine: FollowEngine, judged: Judged
) -> None:
    current = judged({1: 0.1, 2: 0.1})
    with engine.encoder.computing():
        current.step(APART, features_of(engine, frame=1))
    assert current.bank.middle == []
    assert current.bank.latest is not None
    assert current.bank.latest.index == APART


@pytest.mark.parametrize("confidence", [0.1, 0.9])
def test_where_the_user_corrects_one_object_another_is_kept_if_it_is_trusted(
    engine: FollowEngine, judged: Judged, confidence: float
) -> None:
    current = judged({1: 0.9, 2: confidence})
    with engine.encoder.computing():
        current.step(3, features_of(engine, frame=1), given={1: half()})
    trusted = confidence >= TRUSTED
    assert values(current.bank.given[3].memory) == [True, trusted]
    assert (current._targets[2].since is not None) == trusted
    assert current._targets[1].since is None
    # The positions of one frame were given of the other object; of this one, those of two.
    assert float(current._targets[1].given.gram_BDD[0, -1, -1]) > 1.2 * (8 * 12)
    assert float(current._targets[2].given.gram_BDD[0, -1, -1]) == 8 * 12


def test_a_correction_drops_what_was_learned_of_the_object_since(engine: FollowEngine, judged: Judged) -> None:
    current = judged({1: 0.9, 2: 0.9})
    with engine.encoder.computing():
        current.step(APART, features_of(engine, frame=1))
        assert all(current._targets[each].since is not None for each in (1, 2))
        current.step(APART + 1, features_of(engine, frame=2), given={1: half()})
    assert current._targets[1].since is None
    assert current._targets[2].since is not None
    assert values(current.bank.middle[0].memory) == [False, True]


def test_a_copy_of_a_pass_goes_on_by_itself(engine: FollowEngine, judged: Judged) -> None:
    current = judged({1: 0.9, 2: 0.9})
    copied = current.copy()
    with engine.encoder.computing():
        first = current.step(APART, features_of(engine, frame=1))
        current.drop(2)
        second = copied.step(APART, features_of(engine, frame=1))
    assert torch.equal(first.log_odds, second.log_odds)
    assert (current.ids, copied.ids) == ((1,), (1, 2))
    with engine.encoder.computing():
        after = current.step(APART + 1, features_of(engine, frame=2))
    assert after.log_odds.shape == (1, 32, 48)
