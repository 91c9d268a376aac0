"""A live video: each frame has its mask at once, by the past alone."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch

import covos
from covos.core.errors import UsageError
from covos.core.types import Frame, FrameResult, ImageArray
from covos.engines.around import Around
from covos.engines.encoding import FrameEncoder
from covos.engines.find import References
from covos.engines.follow import FollowEngine
from covos.engines.ladder import Ladder
from covos.engines.live import RollingReferences
from covos.engines.matting import load_matte_engine
from covos.engines.motion import Watch
from covos.model import Model
from covos.models.coattention import Memory

HEIGHT, WIDTH = 96, 128


@pytest.fixture(scope="module")
def model() -> Model:
    return covos.load_model(device="cpu", precision="fp32")


def pictures(count: int, *, seed: int = 0) -> list[ImageArray]:
    """A bright square that moves over noise."""
    noise = np.random.default_rng(seed).integers(0, 90, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    made = []
    for index in range(count):
        image = noise.copy()
        image[30:66, 10 + 4 * index : 46 + 4 * index] = (230, 200, 40)
        made.append(image)
    return made


def frame_of(index: int, image: ImageArray) -> Frame:
    return Frame(index=index, stem=f"{index:05}", image=image, pts=index, time_base=Fraction(1, 25))


def square(index: int) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[30:66, 10 + 4 * index : 46 + 4 * index] = True
    return mask


def pushed(model: Model, images: list[ImageArray], **settings: int) -> list[FrameResult]:
    live = model.live(**settings)
    return [live.push(image) for image in images]


def same(one: FrameResult, other: FrameResult) -> bool:
    return bool(np.array_equal(one.probability, other.probability) and np.array_equal(one.labels, other.labels))


@pytest.fixture
def by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is brought together with the frames around it, of which a live video has those before alone."""
    begin = Around.__init__
    monkeypatch.setattr(Around, "__init__", lambda self, *_: begin(self, 0, 0))


@pytest.mark.usefixtures("by_itself")
def test_without_references_it_is_what_the_whole_video_gives(model: Model) -> None:
    images = pictures(4)
    frames = [frame_of(index, image) for index, image in enumerate(images)]
    engine = model.engine
    none = (References(indices=(), features=(), memories=()),)
    whole = [result for each in engine.encoder.observe(frames) for result in engine.stream([each], none)]
    live = pushed(model, images, references=0)
    # The first frame has no predecessor, and live no successor either: its motion is not known.
    assert [same(one, other) for one, other in zip(live[1:], whole[1:], strict=True)] == [True] * 3


def test_the_future_changes_nothing_and_the_past_does(model: Model) -> None:
    images = pictures(6)
    whole, part = pushed(model, images), pushed(model, images[:4])
    assert all(map(same, whole, part))
    alone = pushed(model, images, references=0)
    assert not same(whole[5], alone[5])
    assert np.mean((whole[5].labels > 0) & square(5)) > 0.5 * np.mean(square(5))


def test_a_cut_begins_anew(model: Model) -> None:
    other = [255 - image for image in pictures(2, seed=1)]
    after = pushed(model, [*pictures(3), *other])[3:]
    assert all(map(same, after, pushed(model, other)))


def test_references_spread_over_the_past_and_then_slide() -> None:
    def indices(frames: int, *, count: int, span: int) -> tuple[int, ...]:
        kept: RollingReferences[tuple[()]] = RollingReferences(count=count, span=span)
        for index in range(frames):
            if kept.wants(index):
                kept.add(index, (), Memory(None, None))  # type: ignore[arg-type]
        return kept.now.indices

    assert indices(3, count=4, span=16) == (0, 1, 2)
    assert indices(8, count=4, span=16) == (0, 2, 4, 6)
    for frames in (40, 41, 400):
        found = indices(frames, count=4, span=16)
        assert set(np.diff(found)) == {4}
        assert 0 <= frames - 1 - found[-1] < 4
    assert len(indices(9, count=1, span=4)) == 1
    assert indices(9, count=0, span=4) == ()


def test_a_mask_is_followed_until_the_subject_is_wanted_again(model: Model) -> None:
    images = pictures(6)
    live = model.live()
    shown = np.zeros((HEIGHT, WIDTH), np.uint8)
    shown[square(0)] = 7
    first = live.push(images[0], mask=shown)
    assert np.array_equal(first.labels, shown)
    later = [live.push(image) for image in images[1:5]]
    assert set(np.unique(later[-1].labels)) == {0, 7}
    overlap = (later[-1].labels == 7) & square(4)
    assert overlap.sum() / ((later[-1].labels == 7) | square(4)).sum() > 0.7
    live.find()
    assert set(np.unique(live.push(images[5]).labels)) <= {0, 1}


@pytest.mark.usefixtures("by_itself")
def test_following_without_references_is_the_forward_pass(model: Model) -> None:
    images = pictures(5)
    engine = model.follower().at("balanced")
    frames = [frame_of(index, image) for index, image in enumerate(images)]
    watch = Watch()
    observed = [watch.look(frame, size=engine.encoder.size_of(frame)) for frame in frames]
    given = {0: {1: square(0)}}
    one = FollowEngine(
        FrameEncoder(
            engine.encoder.network, device=model.device, precision=torch.float32, area=engine.encoder.area, batch=1
        ),
        engine.network,
        calibration=engine.calibration,
    )
    expected = [result.labels for result in one.forward(observed, given, memory=5)]
    live = model.live(references=0)
    found = [live.push(image, mask=square(0) if index == 0 else None).labels for index, image in enumerate(images)]
    assert all(map(np.array_equal, found, expected))


@pytest.mark.parametrize(
    "wrong",
    [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32), np.zeros((4, 4, 4), np.uint8), "frame"],
)
def test_frames_that_are_none_are_refused(model: Model, wrong: object) -> None:
    with pytest.raises(UsageError, match="H x W x 3 uint8"):
        model.live().push(wrong)  # type: ignore[arg-type]


def test_masks_and_sizes_that_do_not_fit_are_refused(model: Model) -> None:
    live = model.live()
    image = pictures(1)[0]
    for wrong in (np.zeros((3, 3), bool), np.zeros((HEIGHT, WIDTH), np.uint8)):
        with pytest.raises(UsageError, match="mask"):
            live.push(image, mask=wrong)
    live.push(image, mask=square(0))
    with pytest.raises(UsageError, match="size changes"):
        live.push(image[:64])
    live.find()
    assert live.push(image[:64]).labels.shape == (64, WIDTH)


@pytest.mark.parametrize("value", [-1, 256, 300])
def test_ids_that_are_none_are_refused(model: Model, value: int) -> None:
    mask = square(0).astype(np.int32)
    mask[:2] = value
    with pytest.raises(UsageError, match=f"it holds the value {value}"):
        model.live().push(pictures(1)[0], mask=mask)


def test_void_is_no_object(model: Model) -> None:
    mask = square(0).astype(np.int64)
    mask[:2] = 255
    assert [each.id for each in model.live().push(pictures(1)[0], mask=mask).objects] == [1]


def test_settings_that_make_no_sense_are_refused(model: Model) -> None:
    for wrong in ({"references": -1}, {"span": 0}, {"memory": 1000}, {"quality": "best"}):
        with pytest.raises(UsageError):
            model.live(**wrong)  # type: ignore[arg-type]


def test_a_live_frame_has_a_matte_and_the_edges_that_are_asked_for(model: Model) -> None:
    images = pictures(3)
    plain, matted, grown, soft = (
        model.live(**asked)
        for asked in (
            {},
            {"matte": True},
            {"edges": covos.Edges(grow=4)},
            {"matte": True, "edges": covos.Edges(grow=4, feather=8)},
        )
    )
    engine = load_matte_engine(ladder=Ladder(device=torch.device("cpu"), precision=torch.float32))
    for index, image in enumerate(images):
        shown = square(0) if index == 0 else None
        own, with_matte, larger, both = (live.push(image, mask=shown) for live in (plain, matted, grown, soft))
        assert own.matte is None
        assert same(own, with_matte)
        expected = engine.find(image, own.probability, index=index)
        assert with_matte.matte is not None
        np.testing.assert_allclose(with_matte.matte, expected, atol=4 / 255)  # it is rounded as in a run
        edges = covos.Edges(grow=4)
        np.testing.assert_array_equal(larger.labels, edges.apply(own.labels, own.probability)[0])
        assert larger.labels.astype(bool).sum() > own.labels.astype(bool).sum()
        assert both.matte is not None
        mixed = (both.matte > 0.1) & (both.matte < 0.9)
        assert mixed.sum() > ((with_matte.matte > 0.1) & (with_matte.matte < 0.9)).sum()


def test_what_a_live_frame_cannot_have_is_refused(model: Model) -> None:
    with pytest.raises(UsageError, match="smooth-time 2 of a live video"):
        model.live(edges=covos.Edges(smooth_time=2))
    with pytest.raises(UsageError):
        model.live(matte="covos-lite")
