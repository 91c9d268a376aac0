"""Objects that are followed in several views of the frames: mirrored, and of other sizes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from threading import Thread

import numpy as np
import pytest
import torch

from covos.core.types import Frame, FrameResult
from covos.engines.choices import FOLLOWED_IN
from covos.engines.encoding import FrameEncoder
from covos.engines.find import FindEngine, References
from covos.engines.follow import FollowEngine
from covos.engines.motion import Observed
from covos.engines.steps import LadderStep
from covos.models.lite import CovosLite, Features
from random_follower import random_engine

SIZE = (64, 96)
FRAMES = 7


@pytest.fixture(scope="module")
def engine() -> FollowEngine:
    return random_engine(SIZE, loud=100)


def with_views(engine: FollowEngine, *views: tuple[float, bool]) -> FollowEngine:
    first, *others = (engine.encoder.scaled(share, mirrored=mirrored) for share, mirrored in views)
    return FollowEngine(first, engine.network, others=others)


def clip(*, mirrored: bool = False) -> Iterator[Observed]:
    noise = np.random.default_rng(0).integers(0, 255, (*SIZE, 3), dtype=np.uint8)
    flow = np.random.default_rng(1).normal(0, 2, (SIZE[0] // 4, SIZE[1] // 4, 2)).astype(np.float32)
    for index in range(FRAMES):
        image = np.roll(noise, 3 * index, axis=1)
        own = flow
        if mirrored:
            image, own = np.ascontiguousarray(image[:, ::-1]), np.ascontiguousarray(flow[:, ::-1] * np.float32([-1, 1]))
        frame = Frame(index=index, stem=f"{index:05}", image=image, pts=index, time_base=Fraction(1, 25))
        yield Observed(frame=frame, motion=None, flow=own if index else None, small=frame.image)


def shown(left: int = 20) -> np.ndarray:
    mask = np.zeros(SIZE, bool)
    mask[20:44, left : left + 24] = True
    return mask


def follow(engine: FollowEngine, *, mirrored: bool = False) -> list[FrameResult]:
    mask = shown()[:, ::-1] if mirrored else shown()
    return list(engine.forward(clip(mirrored=mirrored), {0: {4: np.ascontiguousarray(mask)}}, memory=2))


def test_the_same_view_twice_says_what_one_says(engine: FollowEngine) -> None:
    once, twice = follow(engine), follow(with_views(engine, (1, False), (1, False)))
    for one, other in zip(once, twice, strict=True):
        np.testing.assert_allclose(one.probability, other.probability, atol=1e-4)
        assert one.objects[0].confidence == pytest.approx(other.objects[0].confidence, abs=1e-4)


def test_a_mirror_of_the_video_gives_the_mirror_of_the_masks(engine: FollowEngine) -> None:
    both = with_views(engine, (1, False), (1, True))
    alone = 0.0
    for one, other, single in zip(follow(both), follow(both, mirrored=True), follow(engine), strict=True):
        np.testing.assert_allclose(one.probability, other.probability[:, ::-1], atol=2e-3)
        alone = max(alone, float(np.abs(one.probability - single.probability).max()))
    assert alone > 0.05, "one view by itself says something else"


def test_views_of_several_sizes_remember_the_same_mask(engine: FollowEngine) -> None:
    views = with_views(engine, (2, False), (1, False), (1, True))
    current = views.new_pass(memory=2)
    with views.encoder.computing():
        for observed, features, others, _ in views.seen(list(clip())[:2]):
            given = {4: torch.from_numpy(shown().astype(np.float32))} if not observed.frame.index else {}
            size = features.s2_BCHW.shape[2:]
            given = {
                key: torch.nn.functional.interpolate(mask[None, None], size=size, mode="area")[0, 0]
                for key, mask in given.items()
            }
            current.step(observed.frame.index, features, given=given, others=others)
    large, usual, mirror = (current, *current._others)
    assert large._mask_P1HW is not None
    assert usual._mask_P1HW is not None
    assert mirror._mask_P1HW is not None
    assert large._mask_P1HW.shape[3] > usual._mask_P1HW.shape[3]
    torch.testing.assert_close(mirror._mask_P1HW, usual._mask_P1HW.flip(3))
    assert float(large._mask_P1HW.mean()) == pytest.approx(float(usual._mask_P1HW.mean()), abs=0.02)


def test_both_directions_in_several_views(engine: FollowEngine) -> None:
    views = with_views(engine, (1, False), (1, True))
    frames = list(clip())
    given = {FRAMES - 1: {4: shown()}}
    once = [found.log_odds for _, found in views.backward([frames[3:], frames[:3]], given, memory=2)]
    again = [found.log_odds for _, found in views.backward([frames], given, memory=2)]
    assert len(once) == FRAMES
    for one, other in zip(once, again, strict=True):
        torch.testing.assert_close(one, other, atol=1e-3, rtol=1e-3)
    still = [replace(each, flow=None) for each in frames]
    unmoved = [found.log_odds for _, found in views.backward([still], given, memory=2)]
    assert any((a - b).abs().max() > 1e-2 for a, b in zip(once, unmoved, strict=True))


def test_a_copy_of_a_pass_goes_on_by_itself_in_every_view(engine: FollowEngine) -> None:
    views = with_views(engine, (1, False), (1, True))
    current = views.new_pass(memory=2)
    with views.encoder.computing():
        first, second, third = views.seen(list(clip())[:3])
        half = torch.nn.functional.avg_pool2d(torch.from_numpy(shown().astype(np.float32))[None, None], 2)[0, 0]
        current.step(0, first.features, given={4: half}, others=first.others)
        copied = current.copy()
        current.step(1, second.features, others=second.others)
        one = current.step(2, third.features, others=third.others)
        copied.step(1, second.features, others=second.others)
        other = copied.step(2, third.features, others=third.others)
    torch.testing.assert_close(one.log_odds, other.log_odds)
    assert all(view.ids == current.ids for view in current._others)


def test_the_views_of_each_quality(engine: FollowEngine) -> None:
    wide = FollowEngine(
        FrameEncoder(CovosLite().eval(), device=torch.device("cpu"), precision=torch.float32, area=256 * 448, batch=1),
        engine.network,
    )
    frame = Frame(index=0, stem="0", image=np.zeros((480, 854, 3), np.uint8), pts=0, time_base=Fraction(1, 25))
    sizes = {
        quality: [(each.size_of(frame), each.mirrored) for each in wide.at(quality).finder.encoders]
        for quality in FOLLOWED_IN
    }
    assert sizes == {
        "draft": [((256, 448), False)],
        "fast": [((256, 448), False)],
        "balanced": [((320, 576), False)],
        "best": [((384, 672), False), ((320, 576), True)],
    }
    small = {
        quality: [each.size_of(frame) for each in wide.at(quality, smallest=0.01).finder.encoders]
        for quality in FOLLOWED_IN
    }
    assert small == {
        "draft": [(256, 448)],
        "fast": [(256, 448)],
        "balanced": [(448, 768)],
        "best": [(448, 768), (320, 576)],
    }


def test_references_are_asked_for_while_no_network_is_called(engine: FollowEngine) -> None:
    """Another thread that encodes references may have to be the only one at work (`covos.engines.ladder`)."""
    first = engine.encoder.fresh()
    ladder, waits = first.ladder, []
    ladder.steps.append(LadderStep(kind="again", why="the memory ran out once"))
    mirror = first.scaled(1, mirrored=True)
    nothing = FindEngine(first, others=[mirror]).remember(())

    def references(_: int) -> Sequence[References[Features]]:
        other = Thread(target=ladder.run, args=(lambda: None,), daemon=True)
        other.start()
        other.join(timeout=5)
        waits.append(other.is_alive())
        return nothing

    seeing = FollowEngine(first, engine.network, others=[mirror], references=references)
    frames = list(clip())[:3]
    assert len(seeing.seen(frames)) == len(seeing.encoded(frames)) == 3
    assert waits == [False] * 6
