"""The modules that benchmarks share: clips made for measuring, identity switches, and the fit of the calibration."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace

import cv2
import numpy as np
import pytest
import torch

from covos.core.errors import InputError
from covos.core.types import ObjectStatus
from covos.data import Dataset, open_dataset
from covos.engines import advice
from covos.engines.calibration import Calibration, Signals, estimate_mask
from covos.engines.follow import FollowEngine
from covos.models import follow as follow_network
from covos.models.coattention import CosineCoAttention
from signals import SURE

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def composed(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(FOLDER)
    return import_module("scenes_composed")


@pytest.fixture
def staged(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(FOLDER)
    return import_module("scenes_staged")


@pytest.fixture
def twins(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(FOLDER)
    return import_module("scenes_twins")


@pytest.fixture
def identity(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(FOLDER)
    return import_module("identity")


@pytest.fixture
def calibration(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(FOLDER)
    return import_module("calibration")


@pytest.fixture
def shadows(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(FOLDER)
    return import_module("shadows")


@pytest.fixture
def attention(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(FOLDER)
    return import_module("attention")


# Twins.


def test_a_twin_crosses_its_subject_and_is_before_it(twins: ModuleType) -> None:
    images, masks = [], []
    for index in range(9):
        mask = np.zeros((60, 120), np.uint8)
        mask[20:40, 10 + 10 * index : 26 + 10 * index] = 1
        masks.append(mask)
        images.append(np.where(mask[..., None] > 0, np.uint8(200), np.uint8(20)).repeat(3, axis=2))
    made, labels = twins.with_twin(images, masks, rng=np.random.default_rng(1))
    assert {int(each) for frame in labels for each in np.unique(frame)} == {0, twins.SUBJECT, twins.TWIN}
    subject, twin = (
        [np.argwhere(frame == each)[:, 1].mean() if (frame == each).any() else np.nan for frame in labels]
        for each in (twins.SUBJECT, twins.TWIN)
    )
    assert np.nanmax(subject) > np.nanmin(subject) + 40
    seen = [frame for frame, place in enumerate(twin) if np.isfinite(place)]
    assert twin[seen[0]] > twin[seen[-1]], "it goes the other way"
    inside = labels[seen[1]] == twins.TWIN
    assert made[seen[1]][inside].mean() > 150, "it is drawn where its label is"


@pytest.fixture
def crowds(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(FOLDER)
    return import_module("scenes_crowds")


def walking(crowds: ModuleType, value: int) -> object:
    """A lighter block that walks over black, 12 x 20 pixels of 60 x 120, in 9 frames."""
    images, masks = [], []
    for index in range(9):
        mask = np.zeros((60, 120), np.uint8)
        mask[22:42, 40 + 2 * index : 52 + 2 * index] = 1
        masks.append(mask)
        images.append((mask[..., None] * np.uint8(value)).repeat(3, axis=2))
    return crowds.Part(images, masks)


@pytest.mark.parametrize("seed", range(4))
def test_a_crowd_shows_each_thing_where_its_label_is(crowds: ModuleType, seed: int) -> None:
    base, others = walking(crowds, 240), [walking(crowds, 160), crowds.twin_of(walking(crowds, 80))]
    assert crowds.may_join(base)
    images, labels = crowds.crowd(base, others, rng=np.random.default_rng(seed))
    assert len(images) == len(labels) == 9
    assert {int(each) for frame in labels for each in np.unique(frame)} == {0, 1, 2, 3}
    for image, frame in zip(images, labels, strict=True):
        for identity, value in ((1, 240), (2, 160), (3, 80)):
            inside = cv2.erode((frame == identity).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
            if inside.any():
                assert image[inside].mean() == pytest.approx(value, abs=12)


def test_what_is_mostly_cut_off_by_the_border_does_not_join(crowds: ModuleType) -> None:
    part = walking(crowds, 240)
    assert not crowds.may_join(crowds.Part(part.images, [np.roll(mask, 22, axis=0) for mask in part.masks]))  # type: ignore[attr-defined]
    assert not crowds.may_join(crowds.Part(part.images, [mask * 0 for mask in part.masks]))  # type: ignore[attr-defined]


# Where the co-attention looks.


def test_the_attention_that_is_shown_is_the_one_that_reads(attention: ModuleType) -> None:
    torch.manual_seed(1)
    module = CosineCoAttention(16, key_channels=8)
    query, reference, extra = torch.randn(2, 16, 3, 5), torch.randn(2, 16, 4, 5), torch.rand(2, 2, 4, 5)
    memory = module.memorise(reference, extra)
    shown = attention.attention_of(module, query, memory)
    assert shown.shape == (2, 15, 20)
    read = (shown @ extra.flatten(2).transpose(1, 2)).transpose(1, 2).reshape(2, 2, 3, 5)
    torch.testing.assert_close(module(query, memory).extra_BEHW, read)


# Composed clips.


def make_pictures(root: Path, *, count: int) -> Dataset:
    """Wide pictures of noise, each with a disk of its own colour in its left half."""
    rng = np.random.default_rng(5)
    for name in ("images", "masks"):
        (root / name).mkdir(parents=True)
    for number in range(count):
        image = rng.integers(60, 120, size=(96, 288, 3)).astype(np.uint8)
        mask = np.zeros((96, 288), np.uint8)
        cv2.circle(mask, (98, 48), 24, 255, -1)
        image[mask > 0] = rng.integers(0, 255, size=3)
        cv2.imwrite(str(root / "images" / f"p{number:03}.png"), image)
        cv2.imwrite(str(root / "masks" / f"p{number:03}.png"), mask)
    return open_dataset(root)


@pytest.fixture
def pictures(tmp_path: Path) -> Dataset:
    return make_pictures(tmp_path / "disks", count=14)


def test_clips_are_the_same_each_time_and_another_seed_gives_others(composed: ModuleType, pictures: Dataset) -> None:
    clips = composed.compose_clips([pictures], count=1)
    assert [clip.name for clip in clips] == ["shared-00", "moving-00"]
    assert composed.fingerprint(clips) != composed.fingerprint(composed.compose_clips([pictures], count=1, seed=1))
    # A longer list begins with a shorter one.
    longer = composed.compose_clips([pictures], count=2)
    assert [clip.name for clip in longer] == ["shared-00", "shared-01", "moving-00", "moving-01"]
    assert composed.fingerprint(longer[::2]) == composed.fingerprint(clips)


def test_only_the_subject_is_in_every_frame_of_a_shared_clip(composed: ModuleType, pictures: Dataset) -> None:
    clip = composed.compose_clips([pictures], count=1)[0]
    assert [frame.index for frame in clip.frames] == [0, 2, 4, 6, 8, 10, 12, 14]  # no neighbours: no motion
    for frame, truth in zip(clip.frames, clip.truth, strict=True):
        assert frame.image.shape == (*composed.SIZE, 3)
        assert truth.dtype == np.bool_
        assert 0.01 < truth.mean() < 0.4
    # Its colour is one, up to the light; those beside it differ from frame to frame.
    colours = np.array([frame.image[truth].mean(axis=0) for frame, truth in zip(clip.frames, clip.truth, strict=True)])
    tints = colours / np.linalg.norm(colours, axis=1, keepdims=True)
    assert np.abs(tints - tints[0]).max() < 0.05


def test_the_subject_of_a_moving_clip_moves_against_its_ground(composed: ModuleType, pictures: Dataset) -> None:
    clip = composed.compose_clips([pictures], count=1)[1]
    assert [frame.index for frame in clip.frames] == list(range(composed.FRAMES))
    columns = [np.flatnonzero(truth.any(axis=0)).mean() for truth in clip.truth]
    steps = np.diff(columns)
    # The ground's own subject is on the left, so this one comes from the right.
    assert columns[0] > composed.SIZE[1] / 2
    assert (steps < -1).all()


def test_too_few_pictures_are_refused(composed: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="3 can be cut out, 3 have an empty part and 3 are wide enough"):
        composed.compose_clips([make_pictures(tmp_path / "few", count=3)])


# Staged clips.


@pytest.mark.parametrize("number", range(4))
def test_a_staged_clip_shows_its_objects_from_the_first_frame_on(staged: ModuleType, number: int) -> None:
    clip, again = (staged.staged_clip(number, frames=6, size=(120, 208)) for _ in range(2))
    objects = int(clip.name.rpartition("-")[2])
    assert clip.name.split("-")[1] == staged.PLOTS[number]
    assert clip.images.shape == (6, 120, 208, 3)
    assert set(np.unique(clip.labels[0])) == set(range(objects + 1))
    np.testing.assert_array_equal(clip.images, again.images)
    np.testing.assert_array_equal(clip.labels, again.labels)


# Identity switches.


def row(*spans: tuple[int, int, int]) -> np.ndarray:
    """Labels of a frame: (id, start, stop) each."""
    labels = np.zeros((4, 40), np.uint8)
    for object_id, start, stop in spans:
        labels[:, start:stop] = object_id
    return labels


TRUTH = [row((1, 0, 10), (2, 20, 30))] * 4


def test_ids_that_stay_are_no_switches_whatever_they_are_called(identity: ModuleType) -> None:
    assert identity.identity_switches([row((7, 0, 10), (3, 20, 30))] * 4, TRUTH) == {1: 0, 2: 0}


def test_objects_that_exchange_ids_switch_each(identity: ModuleType) -> None:
    before, after = row((1, 0, 10), (2, 20, 30)), row((2, 0, 10), (1, 20, 30))
    assert identity.identity_switches([before, after, after, before], TRUTH) == {1: 2, 2: 2}


def test_frames_without_a_match_are_passed_over(identity: ModuleType) -> None:
    found, nothing, poor = row((1, 0, 10)), row(), row((5, 0, 4))
    assert identity.identity_switches([found, nothing, poor, found], TRUTH) == {1: 0, 2: 0}
    assert identity.identity_switches([found, nothing, poor, row((5, 0, 10))], TRUTH)[1] == 1


def test_void_counts_for_nothing(identity: ModuleType) -> None:
    truth = row((1, 0, 10), (255, 10, 40))
    assert identity.identity_switches([row((1, 0, 40))] * 2, [truth] * 2) == {1: 0}


# The fit of the calibration.

COUNT = len(Signals._fields)
NOTHING = (0.0,) * (COUNT + 1)
JUMP = Signals._fields.index("jump")


def test_a_fit_comes_near_the_probabilities_that_the_data_were_drawn_by(calibration: ModuleType) -> None:
    rng = np.random.default_rng(0)
    signals = np.column_stack([rng.normal(0, 2, (4000, 2)), rng.uniform(0, 1, (4000, COUNT - 2))])
    truth = 1 / (1 + np.exp(-(0.8 * signals[:, 0] - 1.5 * signals[:, JUMP] + 0.5)))
    drawn = (rng.random(4000) < truth).astype(float)
    weights = calibration.fit(signals, drawn, start=NOTHING, rising=True)
    found = Calibration(jaccard=weights, absent=weights)
    guesses = np.array([estimate_mask(Signals(*row), found).jaccard for row in signals])
    assert np.abs(guesses - truth).mean() < 0.06
    assert np.abs(guesses - truth).mean() < np.abs(truth - truth.mean()).mean() / 3


def test_weights_that_would_turn_a_signal_round_are_zero(calibration: ModuleType) -> None:
    rng = np.random.default_rng(1)
    signals = rng.normal(0, 1, (500, COUNT))
    falling = 1 / (1 + np.exp(signals[:, 0] + signals[:, JUMP]))
    weights = calibration.fit(signals, falling, start=NOTHING, rising=True)
    assert weights[0] == 0
    assert weights[JUMP] < -0.3
    assert calibration.fit(signals, falling, start=NOTHING, rising=False)[0] < -0.3
    assert calibration.fit(signals, falling, start=NOTHING, rising=False, unused=("quality",))[0] == 0


def test_where_the_data_say_nothing_the_network_keeps_its_word(calibration: ModuleType) -> None:
    signals = np.array([SURE, SURE._replace(quality=-1.0, presence=-3.0)])
    found = calibration.fitted(signals, np.array([0.88, 0.0]), np.array([True, False]))
    assert found.jaccard[0] == pytest.approx(1, abs=0.5)
    assert -2 < found.absent[1] < -0.7
    assert estimate_mask(SURE, found).absent < 0.1
    assert estimate_mask(SURE._replace(presence=-4.0), found).absent > 0.7


@pytest.mark.parametrize(
    ("name", "room", "attribute"),
    [
        ("cue", FollowEngine, "within"),
        ("advice", advice, "ADVICE"),
        ("target", follow_network, "score"),
        ("flow", FollowEngine, "_flow"),
    ],
)
def test_a_help_that_is_left_out_is_there_again_afterwards(
    monkeypatch: pytest.MonkeyPatch, name: str, room: object, attribute: str
) -> None:
    monkeypatch.syspath_prepend(FOLDER)
    benchmark = import_module("follow")
    before = getattr(room, attribute)
    with benchmark.without(name):
        assert getattr(room, attribute) is not before
    assert getattr(room, attribute) is before
    with benchmark.without(None):
        assert getattr(room, attribute) is before


# Shadows.


def test_a_composed_shadow_is_multiplied_into_the_ground_and_scored_by_its_darkening(shadows: ModuleType) -> None:
    thing = shadows.Thing(np.full((60, 40, 3), 200, np.uint8), np.ones((60, 40), np.float32))
    flat = np.full((90, 120, 3), 150, np.uint8)
    for motion in shadows.MOTIONS:
        clip = shadows.compose(thing, flat, motion=motion, rng=np.random.default_rng(3))
        frame = clip[-1]
        dark = (frame.darkening > 0.3) & (frame.alpha == 0)
        assert dark.any()
        assert frame.image[dark].mean() < 0.9 * frame.image[(frame.darkening < 0.01) & (frame.alpha == 0)].mean()
        same = (clip[0].alpha == frame.alpha).all()
        assert same == (motion != "moves")
    none = [np.zeros_like(frame.darkening) for frame in clip]
    true, error, kept, *_ = shadows.score(clip, none)
    assert (error, kept) == (pytest.approx(true), 0)
    assert shadows.score(clip, [frame.darkening for frame in clip])[1:3] == [0, pytest.approx(100)]


def test_the_sheet_shows_the_worst_frame_of_each_object(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.syspath_prepend(FOLDER)
    benchmark = import_module("follow")
    truth = np.zeros((3, 60, 80), np.uint8)
    truth[:, 10:20, 10:20], truth[:, 40:50, 50:60] = 1, 2
    found = truth.copy()
    found[1, 40:45, 50:60] = 0  # half of object 2
    found[2, 10:20, 10:20] = 2  # object 2 takes all of object 1
    images = [np.full((60, 80, 3), 90, np.uint8)] * 3
    confidence = [ObjectStatus(id=identity, state="present", confidence=0.25 * identity) for identity in (1, 2)]
    results = [
        SimpleNamespace(labels=labels, objects=confidence, frame=SimpleNamespace(stem=f"{index:05}"))
        for index, labels in enumerate(found)
    ]
    monkeypatch.setattr(benchmark, "_videos", lambda _: [SimpleNamespace(name="clip")])
    monkeypatch.setattr(benchmark, "_clip", lambda *_: (tmp_path, images, list(truth)))
    monkeypatch.setattr(benchmark, "stream", lambda *_, **__: iter(results))
    worst = benchmark._worst_frames(None, SimpleNamespace(follower=""), tmp_path)
    assert [(each.name, each.identity, each.confidence) for each in worst] == [
        ("clip 00002", 1, 0.25),
        ("clip 00001", 2, 0.5),
    ]
    assert [each.j for each in worst] == pytest.approx([0, 0.5])
    benchmark._write_sheet(tmp_path / "sheet.png", worst)
    sheet = cv2.imread(str(tmp_path / "sheet.png"))
    assert sheet.shape[1] > 2 * benchmark.SHOWN


def test_a_picture_of_the_sheet_has_all_of_the_object_in_the_shape_of_the_frame(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(FOLDER)
    benchmark = import_module("follow")
    for top, left, height, width in ((0, 70, 3, 10), (20, 30, 4, 30), (0, 0, 60, 5)):
        mask = np.zeros((60, 80), bool)
        mask[top : top + height, left : left + width] = True
        part = benchmark._around(mask)
        assert mask[part].sum() == mask.sum()
        assert mask[part].shape[1] / mask[part].shape[0] == pytest.approx(4 / 3, abs=0.1)
        assert mask[part].shape[0] < 60 or height == 60
    assert mask[benchmark._around(np.zeros_like(mask))].shape == (60, 80)
