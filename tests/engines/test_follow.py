from __future__ import annotations

import tempfile
from copy import deepcopy
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch

from covos.core.types import Frame
from covos.engines.backward import STEP, Spool
from covos.engines.calibration import Signals
from covos.engines.encoding import SharedEncoder
from covos.engines.follow import FollowEngine, at_stride, given_frames, step
from covos.engines.follow_pass import FollowPass, FramePrediction
from covos.engines.follow_result import result_of, results_around, with_labels
from covos.engines.memory import TRUSTED, MemoryBank
from covos.engines.motion import Observed
from covos.models.follow import FollowFeatures
from engines.noise_clip import SIZE, box, features_of, frames, observed, status
from random_follower import random_engine


@pytest.fixture(scope="module")
def engine() -> FollowEngine:
    return random_engine(SIZE)


NO_FLOW = np.zeros((SIZE[0] // 4, SIZE[1] // 4, 2), np.float32)


def test_masks_of_the_user_come_out_as_they_went_in(engine: FollowEngine) -> None:
    given = {0: {4: box(3, 5), 9: box(30, 50)}, 3: {4: box(10, 10)}}
    results = list(engine.forward(observed(6), given, memory=2))
    assert [result.frame.index for result in results] == list(range(6))
    np.testing.assert_array_equal(results[0].labels == 4, given[0][4])
    np.testing.assert_array_equal(results[0].labels == 9, given[0][9])
    np.testing.assert_array_equal(results[3].labels == 4, given[3][4])
    assert {int(i) for result in results for i in np.unique(result.labels)} <= {0, 4, 9}
    for result in results:
        assert result.labels.shape == result.probability.shape == SIZE
        assert [each.id for each in result.objects] == [4, 9]


def test_before_the_first_mask_there_is_nothing(engine: FollowEngine) -> None:
    results = list(engine.forward(observed(5), {3: {1: box(5, 5)}}, memory=2))
    for result in results[:3]:
        assert not result.labels.any()
        assert not result.probability.any()
        assert result.objects == ()
    assert results[3].labels.any()


def test_an_object_may_appear_late(engine: FollowEngine) -> None:
    results = list(engine.forward(observed(6), {0: {1: box(5, 5)}, 4: {2: box(30, 60)}}, memory=2))
    assert [len(result.objects) for result in results] == [1, 1, 1, 1, 2, 2]
    np.testing.assert_array_equal(results[4].labels == 2, box(30, 60))


def test_the_size_of_a_batch_changes_nothing(engine: FollowEngine) -> None:
    given = {1: {1: box(5, 5)}}
    whole = list(engine.forward(observed(7), given, memory=2))
    engine.encoder.batch, before = 1, engine.encoder.batch
    single = list(engine.forward(observed(7), given, memory=2))
    engine.encoder.batch = before
    for one, other in zip(whole, single, strict=True):
        np.testing.assert_allclose(one.probability, other.probability, atol=1e-3)


def test_memory_is_bounded_whatever_the_length(engine: FollowEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    original = MemoryBank.of

    def recall(self: MemoryBank, objects: tuple[int, ...]) -> object:
        found = original(self, objects)
        seen.append(found[0].value_PMC.shape[1])
        return found

    monkeypatch.setattr(MemoryBank, "of", recall)
    monkeypatch.setattr("covos.engines.memory.TRUSTED", 0.0)
    list(engine.forward(observed(60), {0: {1: box(5, 5)}, 20: {2: box(30, 40)}}, memory=3))
    positions = SIZE[0] // 16 * SIZE[1] // 16
    assert max(seen) == (2 + 3 + 1) * positions
    assert set(seen[40:]) <= {(2 + 3 + 1) * positions, (2 + 3) * positions}


def test_a_lost_object_leaves_an_empty_mask_and_a_flag(engine: FollowEngine) -> None:
    network = engine.network
    with torch.no_grad():
        network.decoder.judge[2].bias.fill_(-5.0)
    try:
        results = list(engine.forward(observed(32), {0: {1: box(5, 5)}}, memory=2))
    finally:
        with torch.no_grad():
            network.decoder.judge[2].bias.fill_(5.0)
    assert results[0].labels.any()
    for result in results[1:]:
        assert not result.labels.any()
        assert result.probability.max() < 0.01
    assert [results[k].objects[0].state for k in (0, 1, 25, 26, 31)] == [
        "present", "occluded", "occluded", "lost", "lost",
    ]  # fmt: skip


def test_nothing_is_learned_of_an_object_that_is_not_there(engine: FollowEngine) -> None:
    network, current = deepcopy(engine.network), engine.new_pass(memory=5)
    current._network = network
    mask = torch.from_numpy(box(5, 5)[::2, ::2].astype(np.float32))
    with engine.encoder.computing():
        for index, (_, features) in enumerate(engine.encoded(observed(40))):
            with torch.no_grad():
                network.decoder.judge[2].bias.fill_(5.0 if index < 12 else -5.0)
            prediction = current.step(index, features, given={} if index else {1: mask})
            if index == 11:
                learned = current._targets[1]
    assert prediction.objects[0].state == "lost"
    assert prediction.objects[0].confidence > TRUSTED, "the absence is sure"
    assert [kept.index for kept in current.bank.middle] == [5, 10]
    assert current._targets[1] is learned


def test_backward_answers_reach_the_frames_before_the_first_mask(engine: FollowEngine) -> None:
    given = {5: {1: box(5, 5), 2: box(30, 50)}}
    every = observed(8)
    with Spool() as spool:
        for _, prediction in engine.backward([every[3:6], every[:3]], given, memory=2):
            spool.put(prediction)
        assert [index for index in range(8) if spool.get(index)] == list(range(6))
        results = list(engine.forward(every, given, memory=2, spool=spool))
    assert all([each.id for each in result.objects] == [1, 2] for result in results)
    assert results[0].probability.any()
    np.testing.assert_array_equal(results[5].labels == 1, box(5, 5))


def predicted(index: int, *, swapped: bool = False) -> FramePrediction:
    """Objects 1 and 2, each in its half of the picture; their rows may be in another order."""
    odds = torch.full((2, SIZE[0] // 2, SIZE[1] // 2), -4.0)
    odds[0, :, : SIZE[1] // 4] = odds[1, :, SIZE[1] // 4 :] = 4.0
    objects = (status(1), status(2))
    if swapped:
        return FramePrediction(index=index, log_odds=odds.flip(0), objects=objects[::-1])
    return FramePrediction(index=index, log_odds=odds, objects=objects)


def still_clip(count: int) -> list[Observed]:
    frame = next(iter(frames(1)))
    return [
        Observed(frame=replace(frame, index=at), motion=None, flow=NO_FLOW if at else None, small=frame.image)
        for at in range(count)
    ]


def test_objects_whose_order_changes_do_not_change_places() -> None:
    """A fused answer has its objects in an order that changes on the frame on which one is given first."""
    clip = still_clip(12)
    results = results_around([(each, predicted(at, swapped=at < 6)) for at, each in enumerate(clip)], {})
    for result in results:
        assert (result.labels[:, : SIZE[1] // 2 - 2] == 1).all(), result.frame.index
        assert (result.labels[:, SIZE[1] // 2 + 2 :] == 2).all(), result.frame.index


def test_an_object_that_frames_around_it_leave_nothing_of_is_occluded() -> None:
    clip, faint = still_clip(9), predicted(4)
    nowhere = torch.full_like(faint.log_odds[1], -4.0)
    pairs = []
    for at, each in enumerate(clip):
        own = predicted(at)
        odds = own.log_odds.clone()
        odds[1] = nowhere if at != 4 else own.log_odds[1].clamp(max=0.5)
        pairs.append((each, replace(own, log_odds=odds)))
    for given in ({}, {4: {2: box(30, 60)}}):
        result = list(results_around(pairs, given))[4]
        assert [each.state for each in result.objects] == ["present", "present" if given else "occluded"]
        assert (result.labels == 2).any() == bool(given)


def test_backward_is_forward_on_the_reversed_clip(engine: FollowEngine) -> None:
    rng = np.random.default_rng(1)
    # From each frame to the one before it, in cells of stride 4; there is none before the first.
    flows = [None, *(rng.normal(0, 3, (SIZE[0] // 4, SIZE[1] // 4, 2)).astype(np.float32) for _ in range(4))]
    every = [
        Observed(frame=frame, motion=None, flow=flow, small=frame.image)
        for frame, flow in zip(frames(5), flows, strict=True)
    ]
    reversed_ = [
        Observed(
            frame=replace(each.frame, index=4 - each.frame.index),
            motion=None,
            # Seen from the later frame, things moved the other way.
            flow=None if later is None else -later.flow,
        )
        for each, later in zip(reversed(every), [None, *reversed(every[1:])], strict=True)
    ]
    given = box(5, 5)
    network = deepcopy(engine.network)
    with torch.no_grad():
        # Random weights hardly look at what the flow moves; these do.
        network.decoder.logit.weight.mul_(1000)
    engine = FollowEngine(engine.encoder, network)
    with Spool() as spool:
        for _, prediction in engine.backward([every[2:], every[:2]], {4: {1: given}}, memory=2):
            spool.put(prediction)
        back = [spool.get(index) for index in range(5)]

    def forward(clip: list[Observed]) -> list[FramePrediction]:
        with engine.encoder.computing():
            current = FollowPass(engine.network, memory=2)
            encoded = list(engine.encoded(clip))
            return [step(current, each.frame, features, {0: {1: given}}) for each, features in encoded]

    answers = forward(reversed_)
    for index, answer in enumerate(answers):
        kept = back[4 - index]
        assert kept is not None
        torch.testing.assert_close(kept.log_odds, answer.log_odds.clamp(-127 * STEP, 127 * STEP), atol=STEP, rtol=0)
    still = forward([replace(each, flow=None) for each in reversed_])
    assert any((a.log_odds - b.log_odds).abs().max() > 8 * STEP for a, b in zip(answers, still, strict=True))


def test_backward_knows_no_flow_to_a_frame_that_is_not_its_neighbour(
    engine: FollowEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow = np.ones((SIZE[0] // 4, SIZE[1] // 4, 2), np.float32)
    every = [
        Observed(frame=frame, motion=None, flow=flow, small=frame.image) for frame in frames(6) if frame.index != 2
    ]
    flows: dict[int, float] = {}

    def step(self: FollowPass, index: int, features: FollowFeatures, **given: object) -> FramePrediction:
        flows[index] = float(features.flow_B2HW.mean())
        return FramePrediction(index=index, log_odds=torch.zeros(0, 32, 48), objects=())

    monkeypatch.setattr(FollowPass, "step", step)
    list(engine.backward([every], {}, memory=2))
    assert flows == {5: 0, 4: -1, 3: -1, 1: 0, 0: -1}


def test_a_spool_gives_back_what_it_was_given() -> None:
    with Spool() as spool:
        odds = torch.linspace(-15, 15, 24).view(2, 3, 4)
        spool.put(FramePrediction(index=7, log_odds=odds, objects=(status(1), status(5, "lost", 0.25))))
        spool.put(FramePrediction(index=8, log_odds=torch.zeros(0, 3, 4), objects=()))
        back, none = spool.get(7), spool.get(8)
        assert back is not None
        assert none is not None
        torch.testing.assert_close(back.log_odds, odds, atol=STEP / 2, rtol=0)
        assert back.objects[1] == status(5, "lost", 0.25)
        assert none.log_odds.shape == (0, 3, 4)
        assert spool.get(9) is None


def test_a_spool_lives_in_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []
    original = tempfile.TemporaryFile
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **kw: opened.append(original(**kw)) or opened[-1])
    with Spool() as spool:
        spool.put(FramePrediction(index=0, log_odds=torch.zeros(1, 64, 112), objects=(status(),)))
    assert opened[0].closed


def test_objects_that_compete_for_a_pixel_are_compared() -> None:
    (frame,) = frames(1)
    odds = torch.full((2, 16, 24), -8.0)
    odds[0, 2:8, 2:8], odds[1, 5:12, 5:12] = 3.0, 5.0
    result = result_of(frame, FramePrediction(index=0, log_odds=odds, objects=(status(3), status(200))), {})
    assert result.labels[14, 14] == 3
    assert result.labels[24, 24] == 200
    assert result.labels[60, 90] == 0
    assert result.probability[24, 24] > 0.99
    assert result.probability[60, 90] < 0.01


def test_of_two_tracks_over_one_thing_one_is_there() -> None:
    (frame,) = frames(1)
    odds = torch.full((2, 16, 24), -8.0)
    odds[0, 2:8, 2:8], odds[1, 2:8, 2:8] = 6.0, 5.0
    both = FramePrediction(index=0, log_odds=odds, objects=(status(1, confidence=0.9), status(2, confidence=0.9)))
    result = result_of(frame, both, {})
    assert np.unique(result.labels).tolist() == [0, 1]
    assert [each.state for each in result.objects] == ["present", "occluded"]
    assert result.objects[1].confidence == pytest.approx(0.1)
    assert result.confidence == pytest.approx(0.5)
    nothing = with_labels(result, np.zeros_like(result.labels))
    assert [each.state for each in nothing.objects] == ["occluded", "occluded"]
    assert nothing.confidence == pytest.approx(0.1)
    mask = box(40, 60)
    assert [each.state for each in result_of(frame, both, {2: mask}).objects] == ["present", "present"]
    assert [each.state for each in result_of(frame, both, {3: np.ones(SIZE, bool)}).objects] == ["occluded"] * 2


def test_a_pass_shows_one_object_where_two_are_sure_of_the_same_thing(
    engine: FollowEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    mask = torch.from_numpy(box(8, 8)[::2, ::2].astype(np.float32))
    own = (mask * 2 - 1).expand(2, *mask.shape) * torch.tensor([6.0, 5.0])[:, None, None]
    current = engine.new_pass(memory=5)
    sure = Signals(5.0, 5.0, 5.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0)
    features = features_of(engine)
    with engine.encoder.computing():
        current.step(0, features, given={1: mask, 2: mask.flip(1)})
        monkeypatch.setattr(current, "look", lambda seen: ([sure, sure], own))
        for index in range(1, 7):
            prediction = current.step(index, features)
    assert [each.state for each in prediction.objects] == ["present", "occluded"]
    assert prediction.objects[1].confidence < 0.1, "it is to be seen, so an empty mask is hardly right"
    assert [each for each in (1, 2) if current.bank.middle[0].knows(each)] == [1]
    assert float(prediction.log_odds[1].max()) < 0, "the thing is the first one's alone"


def test_nothing_is_seen_of_an_object_beside_the_mask_that_was_given() -> None:
    """The network may still see what the user has ruled out; what it sees of other objects stays."""
    (frame,) = frames(1)
    odds = torch.full((2, 16, 24), -8.0)
    odds[0, 2:14, 2:14], odds[1, 2:6, 18:22] = 3.0, 5.0
    prediction = FramePrediction(index=0, log_odds=odds, objects=(status(3), status(200)))
    shown = np.zeros(frame.size, bool)
    shown[8:24, 8:24] = True
    result = result_of(frame, prediction, {3: shown})
    np.testing.assert_array_equal(result.labels == 3, shown)
    assert result.probability[14, 14] == 1
    assert result.probability[32:, :60].max() < 0.01
    assert result.probability[16, 80] > 0.99


def test_the_contour_of_an_object_is_smooth_at_the_size_of_the_frame() -> None:
    (frame,) = frames(1)
    rows, columns = np.mgrid[:16, :24]
    odds = torch.from_numpy((columns - 8.0 - 0.3 * rows).astype(np.float32))[None]
    result = result_of(frame, FramePrediction(index=0, log_odds=odds, objects=(status(7),)), {})
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    plane = (x + 0.5) / 4 - 0.5 - 8 - 0.3 * ((y + 0.5) / 4 - 0.5)
    clear = np.abs(plane) > 1e-3
    clear[[0, 1, -2, -1]] = False  # beyond the centres of the outermost cells there is nothing to go by
    np.testing.assert_array_equal(result.labels[clear], 7 * (plane > 0)[clear])
    np.testing.assert_allclose(result.probability[2:-2, 2:-2], (1 / (1 + np.exp(-plane)))[2:-2, 2:-2], atol=1e-3)


def test_of_objects_that_are_as_likely_the_first_stays_and_of_background_and_object_the_background() -> None:
    (frame,) = frames(1)
    odds = torch.full((2, 16, 24), 3.0)
    odds[:, :8] = 0.0
    result = result_of(frame, FramePrediction(index=0, log_odds=odds, objects=(status(9), status(2))), {})
    assert not result.labels[:28].any()
    assert (result.labels[36:] == 9).all()


def test_the_subject_of_a_video_is_found_by_its_references(engine: FollowEngine) -> None:
    with engine.encoder.computing():
        ((_, alone),) = engine.encoded(observed(1))
    assert not alone.cue_known_B.any()
    (references,) = engine.finder.remember(observed(5)[1::2])
    bound = engine.within(references)
    assert engine.references is None
    assert (bound.network, bound.encoder) == (engine.network, engine.encoder)
    seen = engine.encoder.observe(each.frame for each in observed(1))
    (result,) = engine.finder.stream(seen, [references])
    with engine.encoder.computing():
        ((_, features),) = bound.encoded(observed(1))
    assert bool(features.cue_known_B.all())
    cue = torch.nn.functional.interpolate(features.cue_B1HW, size=SIZE, mode="bilinear")[0, 0].numpy()
    np.testing.assert_allclose(cue, result.probability, atol=0.05)


def test_what_stands_out_in_a_frame_is_what_the_picture_alone_shows(engine: FollowEngine) -> None:
    clip = [replace(each, motion=np.full((16, 24, 4), 0.5, np.float32)) for each in observed(3)]
    shared = engine.beside(SharedEncoder(engine.encoder))
    with engine.encoder.computing():
        shared.encoder.encode(clip)
        found = shared.standing_out(clip)
        single = [engine.encoder.encode([each]) for each in observed(3)]
        alone = [engine.finder.segment_one(each, ()) for each in single]
    assert len(found) == 3
    for one, other in zip(found, alone, strict=True):
        torch.testing.assert_close(one, other.float(), atol=1e-3, rtol=1e-3)


def test_frames_of_several_batches_are_taken_from_what_is_kept(engine: FollowEngine) -> None:
    clip = observed(6)
    shared = SharedEncoder(engine.encoder, ahead=4)
    with engine.encoder.computing():
        batches = [shared.encode(clip[:2]), shared.encode(clip[2:4]), shared.encode(clip[4:])]
        again = shared.encode([clip[3], clip[1], clip[4]])
        for part, *whole in zip(again, *batches, strict=True):
            torch.testing.assert_close(part, torch.cat(whole)[[3, 1, 4]], atol=0, rtol=0)


def test_a_thin_mask_is_remembered_by_its_share_of_the_cells() -> None:
    mask = np.zeros(SIZE, bool)
    mask[:, 5::8] = True
    share = at_stride(mask, (16, 24), torch.device("cpu"))
    torch.testing.assert_close(share, torch.tensor([0.0, 0.25]).repeat(16, 12))


@pytest.mark.parametrize("thick", [1, 2])
def test_a_thin_object_is_there_and_is_remembered(thick: int) -> None:
    engine = random_engine(SIZE)
    current = engine.new_pass(memory=1)
    mask = np.zeros(SIZE, bool)
    mask[21 : 21 + thick, 8:80] = True
    frame = Frame(index=0, stem="0", image=np.zeros((*SIZE, 3), np.uint8), pts=0, time_base=Fraction(1, 25))
    ((_, features),) = engine.encoded(list(engine.encoder.observe([frame])))
    (status,) = step(current, frame, features, {0: {1: mask}}).objects
    assert (status.state, status.confidence) == ("present", 1.0)
    assert current._mask_P1HW is not None
    share = current._mask_P1HW.sum() * 16 / mask.sum()
    assert share == pytest.approx(1, abs=0.05)


def test_where_each_object_was_given() -> None:
    mask = box(0, 0)
    assert given_frames({9: {1: mask}, 0: {1: mask, 2: mask}}) == {1: (0, 9), 2: (0,)}
