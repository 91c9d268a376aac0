from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch

import remembered
from covos.core.errors import UsageError
from covos.core.types import Frame, FrameResult
from covos.engines import find
from covos.engines.choices import AROUND, DEFAULT_AREA, DEFAULT_QUALITY, VIEWS, Quality
from covos.engines.encoding import FrameEncoder
from covos.engines.find import FindEngine, References, mean_logit
from covos.engines.motion import Observed
from covos.models.lite import CovosLite, Features
from covos.models.registry import build_network, find_model

AREA = 96 * 160


@pytest.fixture(scope="module")
def network() -> CovosLite:
    made = build_network(find_model("covos-lite"))
    remembered.KEPT.add(made)
    return made


@pytest.fixture
def anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """The network computes an input as often as it is asked."""
    monkeypatch.setattr(remembered, "KEPT", frozenset())


def frames(count: int, *, size: tuple[int, int] = (90, 160)) -> Iterator[Frame]:
    """A bright disk that moves over a textured ground."""
    ground = np.random.default_rng(0).integers(60, 110, (*size, 3), dtype=np.uint8)
    y, x = np.mgrid[: size[0], : size[1]]
    for index in range(count):
        image = ground.copy()
        image[(y - size[0] / 2) ** 2 + (x - 40 - 6 * index) ** 2 < 20**2] = (230, 90, 30)
        yield Frame(index=index, stem=f"{index:05}", image=image, pts=index, time_base=Fraction(1, 25))


def engine(
    network: CovosLite, *, batch: int = 4, quality: Quality = DEFAULT_QUALITY, around: int = AROUND
) -> FindEngine:
    return FindEngine(
        FrameEncoder(network, device=torch.device("cpu"), precision=torch.float32, area=AREA, batch=batch),
        around=around,
    ).at(quality)


def run(
    network: CovosLite, count: int, chosen: tuple[int, ...], *, batch: int = 4, quality: Quality = DEFAULT_QUALITY
) -> list[FrameResult]:
    made = engine(network, batch=batch, quality=quality)
    references = made.remember(made.encoder.observe(frames(count), wanted=chosen))
    return list(made.stream(made.encoder.observe(frames(count)), references))


def test_each_frame_gives_one_result_at_its_own_size(network: CovosLite) -> None:
    results = run(network, 7, (1, 5))
    assert [result.frame.index for result in results] == list(range(7))
    for result in results:
        assert result.probability.shape == result.labels.shape == (90, 160)
        assert result.probability.dtype == np.float32
        assert result.labels.dtype == np.uint8
        np.testing.assert_array_equal(result.labels, result.probability > 0.5)
        assert 0 <= result.confidence <= 1


HAD = pytest.mark.thorough
"""For a quality that looks at frames as another one does, only oftener or in other sizes."""


@pytest.mark.parametrize(
    "quality", [pytest.param("draft", marks=HAD), "fast", pytest.param("balanced", marks=HAD), "best"]
)
def test_batch_size_changes_nothing(network: CovosLite, quality: Quality) -> None:
    singly, together = (run(network, 7, (1, 5), batch=batch, quality=quality) for batch in (1, 4))
    for one, other in zip(singly, together, strict=True):
        np.testing.assert_allclose(one.probability, other.probability, atol=1e-4)


@pytest.mark.usefixtures("anew")
@pytest.mark.parametrize(
    ("quality", "calls"),
    [
        ("draft", 2),
        pytest.param("fast", 2, marks=HAD),
        pytest.param("balanced", 1, marks=HAD),
        pytest.param("balanced", 3, marks=HAD),
        ("balanced", 4),
        pytest.param("best", 2, marks=HAD),
    ],
)
def test_frames_that_are_looked_at_side_by_side_change_nothing(
    network: CovosLite, monkeypatch: pytest.MonkeyPatch, quality: Quality, calls: int
) -> None:
    def found(**how: bool) -> list[FrameResult]:
        made = engine(network, quality=quality).cut_at({6})
        early, late = (made.remember(made.encoder.observe(frames(9), wanted=wanted)) for wanted in ((1, 4), (7,)))
        asked: list[int] = []

        def at(index: int) -> tuple[References[Features], ...]:
            asked.append(index)
            return late if index >= 6 else early

        results = list(made.stream(made.encoder.observe(frames(9)), at, **how))
        assert asked == list(range(9)), "references are read forward, once for each frame"
        return results

    monkeypatch.setattr(find, "calls_at_once", lambda: calls)
    one_by_one, side_by_side = found(ahead=False), found()
    assert [each.frame.index for each in side_by_side] == list(range(9))
    for one, other in zip(one_by_one, side_by_side, strict=True):
        assert one.between == other.between
        np.testing.assert_allclose(one.probability, other.probability, atol=1e-4)


@pytest.mark.usefixtures("anew")
@pytest.mark.parametrize("quality", [pytest.param(each, marks=() if each == "best" else HAD) for each in VIEWS])
def test_two_runs_agree_to_the_bit(network: CovosLite, quality: Quality) -> None:
    first, second = (run(network, 5, (2,), quality=quality) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one.probability, other.probability)


def test_the_sizes_of_each_quality(network: CovosLite) -> None:
    frame = next(frames(1, size=(480, 854)))
    whole = FindEngine(
        FrameEncoder(network, device=torch.device("cpu"), precision=torch.float32, area=DEFAULT_AREA, batch=1)
    )
    sizes = {quality: [encoder.size_of(frame) for encoder in whole.at(quality).encoders] for quality in VIEWS}
    usual = (256, 448)
    assert sizes == {
        "draft": [(192, 320)], "fast": [usual], "balanced": [usual, (320, 576)], "best": [usual, (384, 672)],
    }  # fmt: skip


def test_a_picture_has_the_mean_of_what_each_view_finds_with_its_own_references(network: CovosLite) -> None:
    made = engine(network, quality="best").of_picture()
    # The motion is found once, by the first encoder.
    observed = list(made.encoder.observe(frames(5)))
    chosen = [observed[1], observed[3]]
    together = list(made.stream(observed, made.remember(chosen)))
    alone = [FindEngine(encoder) for encoder in made.encoders]
    each = [[r.probability for r in one.stream(observed, one.remember(chosen))] for one in alone]
    for got, *parts in zip(together, *each, strict=True):
        # A mean of logits lies between them; they were interpolated from maps of different sizes.
        low, high = np.min(parts, axis=0) - 0.05, np.max(parts, axis=0) + 0.05
        assert ((got.probability >= low) & (got.probability <= high)).mean() > 0.99
        assert all((got.probability != part).any() for part in parts)


def test_a_mirrored_view_is_that_of_the_mirrored_video(network: CovosLite) -> None:
    usual, mirrored = (
        FindEngine(
            FrameEncoder(
                network, device=torch.device("cpu"), precision=torch.float32, area=AREA, batch=4, mirrored=flag
            ),
            around=0,
        )
        for flag in (False, True)
    )
    observed = list(usual.encoder.observe(frames(4)))
    turned = [
        Observed(
            frame=replace(each.frame, image=np.ascontiguousarray(each.frame.image[:, ::-1])),
            motion=None if each.motion is None else each.motion[:, ::-1] * np.float32([-1, 1, 1, 1]),
        )
        for each in observed
    ]
    here = mirrored.stream(observed, mirrored.remember(observed[1:2]))
    there = usual.stream(turned, usual.remember(turned[1:2]))
    for one, other in zip(here, there, strict=True):
        np.testing.assert_allclose(one.probability, other.probability[:, ::-1], atol=1e-4)


def test_logits_of_two_sizes_are_averaged_at_the_larger() -> None:
    small, large = torch.full((4, 6), 2.0), torch.arange(96.0).reshape(8, 12)
    torch.testing.assert_close(mean_logit([small, large]), (large + 2) / 2)
    assert mean_logit([large]) is large


@pytest.mark.parametrize("quality", ["balanced", "best"])
def test_each_frame_is_encoded_once(network: CovosLite, monkeypatch: pytest.MonkeyPatch, quality: Quality) -> None:
    encoded = []
    original = CovosLite.encode

    def counting(self: CovosLite, image: torch.Tensor, motion: torch.Tensor | None) -> Features:
        encoded.append(image.shape[0])
        return original(self, image, motion)

    monkeypatch.setattr(CovosLite, "encode", counting)
    run(network, 9, (1, 4, 7), quality=quality)
    assert sum(encoded) == 9 + 3, "in turn; what is a reference in one view may be looked at in the other"


def test_frames_are_looked_at_in_each_view_in_turn(network: CovosLite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FindEngine, "_with_those_around", lambda engine, frames: frames)
    observed = list(engine(network).encoder.observe(frames(6)))
    made = engine(network)
    in_turn = list(made.stream(observed, made.remember([observed[2], observed[3]])))
    alone = [FindEngine(encoder) for encoder in made.encoders]
    small, large = ([*each.stream(observed, each.remember([observed[2], observed[3]]))] for each in alone)
    for index, result in enumerate(in_turn):
        same, other = (small, large) if index % 2 == 0 else (large, small)
        apart = [float(np.abs(result.probability - each[index].probability).max()) for each in (same, other)]
        assert 4 * apart[0] < apart[1]
    # Nothing would bring the views together where frames stay by themselves.
    assert len(engine(network, around=0).encoders) == 1


def test_a_reference_is_not_compared_with_itself(network: CovosLite) -> None:
    made = engine(network, around=0)
    everything = list(made.encoder.observe(frames(4)))
    both = made.remember([everything[0], everything[2]])
    only_other = made.remember([everything[2]])
    with_itself_known = next(made.stream(everything, both))
    without = next(made.stream(everything, only_other))
    np.testing.assert_allclose(with_itself_known.probability, without.probability, atol=1e-4)


def test_without_references_a_frame_stands_for_itself(network: CovosLite) -> None:
    made = engine(network, around=0)
    alone = list(made.stream(made.encoder.observe(frames(3)), made.remember([])))
    assert len(alone) == 3
    first = next(made.encoder.observe(frames(3)))
    only_reference = list(made.stream([first], made.remember([first])))
    np.testing.assert_allclose(alone[0].probability, only_reference[0].probability, atol=1e-4)


@pytest.mark.parametrize("ahead", [False, True])
def test_frames_are_taken_as_needed(network: CovosLite, ahead: bool) -> None:
    """The stream never runs ahead of what it needs by more than a batch; or by two, if one is looked at meanwhile."""
    taken = []

    def watched() -> Iterator[Frame]:
        for frame in frames(12):
            taken.append(frame.index)
            yield frame

    made = engine(network, batch=3)
    references = made.remember(made.encoder.observe(frames(1)))
    stream = made.stream(made.encoder.observe(watched()), references, ahead=ahead)
    for position, _ in enumerate(stream):
        last = min(position + AROUND, 11)
        most = (last // 3 + (2 if ahead else 1)) * 3
        assert len(taken) <= most + 1, "one more than a batch: the first frame waits for the second"


def test_a_fusion_that_the_network_is_not_made_for_is_refused(network: CovosLite) -> None:
    made = engine(network)
    assert made.check_fusion(None) == "group"
    with pytest.raises(UsageError, match="prediction"):
        made.check_fusion("prediction")


def plain(index: int, value: int) -> Frame:
    """A frame of one colour, up to noise."""
    noise = np.random.default_rng(index).integers(0, 4, (90, 160, 3), dtype=np.uint8)
    return Frame(index=index, stem=f"{index:05}", image=noise + np.uint8(value), pts=index, time_base=Fraction(1, 25))


@pytest.mark.parametrize("value", [0, 16, 32, 128, 250])
@pytest.mark.parametrize("quality", ["draft", "balanced"])
def test_where_nothing_can_be_seen_there_is_no_subject(network: CovosLite, value: int, quality: Quality) -> None:
    made = engine(network, quality=quality)
    seen = list(made.encoder.observe(plain(index, value) for index in range(6)))
    results = list(made.stream(seen, made.remember(seen[1:4:2])))
    assert [result.labels.any() for result in results] == [False] * 6
    assert all(result.confidence > 0.99 for result in results)


def test_a_black_start_has_no_subject_and_harms_no_other_frame(network: CovosLite) -> None:
    clip = [plain(index, 0) if index < 4 else frame for index, frame in enumerate(frames(10))]
    made = engine(network)
    seen = list(made.encoder.observe(clip))
    with_black, without = (made.remember([seen[at] for at in chosen]) for chosen in ((0, 6, 8), (6, 8)))
    assert with_black[0].indices == without[0].indices == (6, 8)
    for index, result in enumerate(made.stream(seen, with_black)):
        # The disk is too small here to be found, but the network looks at it.
        assert (result.probability.max() > 1e-4) == (index >= 4)


@pytest.mark.parametrize("quality", ["balanced", "draft"])
def test_frames_beside_black_ones_keep_their_own_answer(network: CovosLite, quality: Quality) -> None:
    """A frame without a picture says nothing of its neighbours, however alike the dark ones look."""
    clip = [plain(index, 0) for index in range(4)]
    for index, frame in enumerate(frames(10)):
        dim = (frame.image.astype(np.float32) * 0.04 * (1 + index)).astype(np.uint8)
        clip.append(replace(frame, image=dim, index=index + 4, pts=index + 4))
    made, alone = (engine(network, quality=quality, around=around) for around in (AROUND, 0))
    results = []
    for each in (made, alone):
        seen = list(each.encoder.observe(clip))
        results.append(list(each.stream(seen, each.remember(seen[8:10]))))
    for together, own in zip(*results, strict=True):
        if together.frame.index in (4, 5):
            # Those after them may pull it down a little, the black ones not at all.
            assert together.probability.max() > 0.2 * own.probability.max()
