"""Protocols on random label maps, against the slow reference."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from covos.core.errors import AnnotationError
from covos.evaluation.pairing import Pair
from covos.evaluation.protocols import PROTOCOL_NAMES, get_protocol
from covos.evaluation.scoring import score_sequence

from .conftest import InMemory
from .reference import slow_boundary_f, slow_jaccard, slow_matching

SIZE = (9, 11)


def label_maps(values):
    return hnp.arrays(np.uint8, SIZE, elements=st.sampled_from(values), fill=st.just(0))


def clips(values, *, least):
    return st.lists(label_maps(values), min_size=least, max_size=6)


def score(truth, prediction, protocol):
    pair = Pair(truth=InMemory(truth, name="truth"), prediction=InMemory(prediction, name="prediction"), seen={})
    return score_sequence(pair, protocol=get_protocol(protocol))


def slow_scores(p, g, void=None):
    return slow_jaccard(p, g, void), slow_boundary_f(p, g, void, 0.008)


@given(clips([0, 255], least=3), clips([0, 1, 2], least=3), st.sampled_from(["davis2016", "davis2016-all"]))
def test_one_object(truth, prediction, protocol) -> None:
    count = min(len(truth), len(prediction))
    truth, prediction = truth[:count], prediction[:count]
    frames = range(1, count - 1) if protocol == "davis2016" else range(count)
    if not any(truth[t].any() for t in frames):
        with pytest.raises(AnnotationError, match="no object"):
            score(truth, prediction, protocol)
        return
    (found,) = score(truth, prediction, protocol).objects
    expected = [slow_scores(prediction[t] > 0, truth[t] > 0) for t in frames]
    np.testing.assert_allclose(np.stack([found.j, found.f], axis=1), expected, atol=1e-12)


@given(clips([0, 1, 2, 3, 255], least=3), clips([0, 1, 2, 3], least=3))
def test_given_objects(truth, prediction) -> None:
    count = min(len(truth), len(prediction))
    truth, prediction = [labels.copy() for labels in truth[:count]], prediction[:count]
    truth[0][0, 0] = 3
    found = score(truth, prediction, "davis2017-semi").objects
    assert [each.object_id for each in found] == [1, 2, 3]
    for each in found:
        expected = [
            slow_scores(prediction[t] == each.object_id, truth[t] == each.object_id) for t in range(1, count - 1)
        ]
        np.testing.assert_allclose(np.stack([each.j, each.f], axis=1), expected, atol=1e-12)


@given(clips([0, 1, 2, 255], least=1), clips([0, 1, 2, 4], least=1))
def test_matched_proposals(truth, prediction) -> None:
    count = min(len(truth), len(prediction))
    truth, prediction = [labels.copy() for labels in truth[:count]], prediction[:count]
    truth[0][0, 0] = 2
    found = score(truth, prediction, "davis2017-unsup").objects
    rows = max(2, *(int(labels.max()) for labels in prediction))
    every = np.array(
        [
            [[slow_scores(prediction[t] == p, truth[t] == g, truth[t] == 255) for t in range(count)] for g in (1, 2)]
            for p in range(1, rows + 1)
        ]
    )  # proposals x objects x frames x (J, F)
    assert [each.object_id for each in found] == [1, 2]
    assert len({each.proposal for each in found}) == 2
    for each in found:
        own = every[each.proposal - 1, each.object_id - 1]
        np.testing.assert_allclose(np.stack([each.j, each.f], axis=1), own, atol=1e-12)
    total = sum(each.jf for each in found)
    assert total == pytest.approx(slow_matching(every.mean(axis=(2, 3))), abs=1e-12)


@given(clips([0, 1, 3, 255], least=1), clips([0, 1, 3], least=1))
def test_appearing_objects(truth, prediction) -> None:
    count = min(len(truth), len(prediction))
    truth, prediction = truth[:count], prediction[:count]
    shown = {n: [t for t in range(count) if (truth[t] == n).any()] for n in (1, 3)}
    used = {int(n) for labels in prediction for n in np.unique(labels)} - {0}
    expected_ids = [n for n in (1, 3) if shown[n]]
    if not used <= set(expected_ids) or not expected_ids:
        with pytest.raises(AnnotationError, match=r"no object|lacks"):
            score(truth, prediction, "youtube-vos")
        return
    found = score(truth, prediction, "youtube-vos").objects
    assert [each.object_id for each in found] == expected_ids
    for each in found:
        n, first = each.object_id, shown[each.object_id][0]
        expected = [slow_scores(prediction[t] == n, truth[t] == n, truth[t] == 255) for t in range(first, count)]
        np.testing.assert_allclose(np.stack([each.j, each.f], axis=1), expected, atol=1e-12)
        assert each.frames[0] == f"{first:05d}"
        assert each.flicker is None


def test_an_id_left_out_is_an_object_that_is_never_there(masks) -> None:
    truth = masks.moving(5, ids=(1, 3))
    found = score(truth, truth, "davis2017-semi")
    assert [each.object_id for each in found.objects] == [1, 2, 3]
    assert found.scores.jf == 1
    assert found.notes == (
        "object 2 is not in the first annotation but a higher id is: scored as an object that is never there",
    )


@pytest.mark.parametrize("protocol", ["davis2017-semi", "davis2017-unsup"])
def test_an_id_left_out_that_appears_later_is_scored_in_all_frames(masks, protocol: str) -> None:
    truth = masks.moving(5, ids=(1, 3))
    for labels in truth[2:]:
        labels[0:3, 60:64] = 2
    found = score(truth, truth, protocol)
    assert {len(each.frames) for each in found.objects} == {3 if protocol == "davis2017-semi" else 5}
    assert found.notes == (
        "object 2 is not in the first annotation but a higher id is: it appears first in frame 00002, and is scored in "
        "all frames",
    )


def test_objects_after_the_first_frame_do_not_count_in_davis(masks) -> None:
    truth = masks.moving(5)
    for labels in truth[1:]:
        labels[0:3, 60:64] = 5
    prediction = masks.moving(5)
    assert [each.object_id for each in score(truth, prediction, "davis2017-semi").objects] == [1, 2]


def test_unmatched_object_scores_like_an_empty_mask(masks) -> None:
    truth = masks.moving(4)
    prediction = [np.where(labels == 2, 7, 0).astype(np.uint8) for labels in truth]
    first, second = score(truth, prediction, "davis2017-unsup").objects
    assert (second.proposal, second.jf) == (7, 1)
    assert first.jf == 0
    assert first.flicker == 0


def test_flicker_of_proposals_is_that_of_the_prediction_as_made(masks) -> None:
    truth = masks.moving(5)
    for labels in truth:
        labels[0:3, 0:10] = 255
    prediction = [labels.copy() for labels in masks.moving(5, speed=0)]
    prediction[2][0:3, 0:10] = 1  # for one frame, in the void
    first, _ = score(truth, prediction, "davis2017-unsup").objects
    area = 16 * 16
    assert first.flicker == pytest.approx((0 + 30 / (area + 30) + 0) / 3)


def test_every_name_has_a_protocol() -> None:
    assert [get_protocol(name).name for name in PROTOCOL_NAMES] == list(PROTOCOL_NAMES)
