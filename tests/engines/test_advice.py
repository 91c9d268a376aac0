"""The subject that covos-lite finds is listened to where it agrees with the object that is followed."""

from __future__ import annotations

import pytest
import torch

from covos.engines.advice import ADVICE, ADVICE_LIMIT, ADVISED, advised
from covos.engines.follow import FollowEngine
from covos.engines.follow_pass import FollowPass, FramePrediction
from engines.noise_clip import SIZE, features_of, half
from random_follower import random_engine


@pytest.fixture(scope="module")
def engine() -> FollowEngine:
    return random_engine(SIZE)


def latest(count: int, *, others: torch.Tensor | None = None) -> torch.Tensor:
    """Latest masks of objects of which all that matters is where the others are."""
    masks = torch.zeros(count, 2, SIZE[0] // 4, SIZE[1] // 4)
    if others is not None:
        masks[:, 1] = others[::2, ::2]
    return masks


def test_the_subject_is_not_listened_to_unless_it_agrees_with_the_object(engine: FollowEngine) -> None:
    features = features_of(engine, cue=half()[None, None])
    logit = torch.randn(3, 1, 32, 48) * 9
    low, high = ADVISED
    found = advised(logit, latest(3), features, agreement_P=torch.tensor([low, (low + high) / 2, high]))
    torch.testing.assert_close(found[0], logit[0])
    assert torch.equal(advised(logit, latest(3), features, agreement_P=torch.zeros(3)), logit)
    bounded = logit.clamp(-ADVICE_LIMIT, ADVICE_LIMIT)
    advice = torch.where(half() > 0, ADVICE_LIMIT, -ADVICE_LIMIT)
    for row, weight in ((1, ADVICE / 2), (2, ADVICE)):
        expected = (1 - weight) * bounded[row, 0] + weight * advice
        torch.testing.assert_close(found[row, 0], expected, atol=0.02, rtol=0)


def test_the_subject_does_not_speak_for_an_object_where_another_one_is(engine: FollowEngine) -> None:
    features = features_of(engine, cue=torch.ones(1, 1, 32, 48))
    unsure = torch.zeros(1, 1, 32, 48)
    found = advised(unsure, latest(1, others=half()), features, agreement_P=torch.ones(1))[0, 0]
    clear = slice(2, -2)  # the rim is interpolated
    limit = pytest.approx(ADVICE * ADVICE_LIMIT, abs=0.01)
    assert float(-found[:, :24][:, clear].max()) == limit
    assert float(found[:, 24:][:, clear].min()) == limit
    # The other one has moved to the right half.
    flow = torch.zeros_like(features.flow_B2HW)
    flow[:, 0] = -SIZE[1] / 8
    moved_on = advised(unsure, latest(1, others=half()), features._replace(flow_B2HW=flow), agreement_P=torch.ones(1))[
        0, 0
    ]
    assert float(-moved_on[:, 24:][:, clear].max()) == limit


def test_a_pass_listens_to_the_subject_where_it_agreed_when_the_object_was_shown(engine: FollowEngine) -> None:
    def follow(cue: torch.Tensor | None) -> FramePrediction:
        current = FollowPass(engine.network, memory=2)
        with engine.encoder.computing():
            current.step(0, features_of(engine, cue=cue), given={1: half()})
            again = None if cue is None else half()[None, None]
            return current.step(1, features_of(engine, cue=again, frame=1))

    inside = half() > 0
    agreed, disagreed, unknown = (follow(cue) for cue in (half()[None, None], half(False)[None, None], None))
    difference = agreed.log_odds - disagreed.log_odds
    assert float(difference[0][inside].mean()) > 1
    assert float(difference[0][~inside].mean()) < -1
    # The cue of the second frame goes into the decoder all the same; in random weights it is hardly heard.
    assert float((unknown.log_odds - disagreed.log_odds).abs().max()) < 1


def test_a_subject_that_is_missed_where_the_object_is_shown_is_listened_to_once_it_agrees(engine: FollowEngine) -> None:
    current = FollowPass(engine.network, memory=2)
    with engine.encoder.computing():
        current.step(0, features_of(engine, cue=half(False)[None, None]), given={1: half()})
        assert float(current._agreements[1].best) < ADVISED[0]
        seen = features_of(engine, cue=half()[None, None], frame=1)
        found = (half() * 24 - 12)[None, None]
        for _ in range(20):
            before = current._agreements[1]
            current._note_agreement(found, seen)
        agreed = current._agreements[1]
        assert float(before.lately) < float(agreed.lately) <= 1
        assert float(agreed.best) > ADVISED[1]
        assert torch.equal(agreed.shown_2, before.shown_2)
        # A subject that is lost again leaves the object as it was shown.
        for _ in range(60):
            current._note_agreement(found, features_of(engine, cue=half(False)[None, None], frame=1))
        assert float(current._agreements[1].best) < ADVISED[0]
        # While the object is out of sight, nothing is learned of it.
        current._trackers[1].state, before = "occluded", current._agreements[1]
        current._note_agreement(found, seen)
        assert current._agreements[1] is before
