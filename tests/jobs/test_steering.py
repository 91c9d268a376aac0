"""The found subject, steered: what is excluded goes from the whole clip, and a stopped run goes on."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

import covos
from covos.core.errors import UsageError
from covos.core.types import FrameResult
from covos.engines.encoding import SharedEncoder
from covos.engines.find import THRESHOLD, FindEngine, expected_jaccard
from covos.engines.motion import Observed
from covos.events import FrameDone
from covos.job import Job
from covos.masks import read_label_map
from covos.model import Model
from covos.plan import Plan
from covos.prompts.values import as_prompts, as_regions
from covos.task import Find, Steer, choose_task
from frame_encodings import note_encodings

AT_FULL_SIZE = True
"""See `conftest.py`."""
SIZE = (96, 160)
FRAMES = 14
PART = covos.Range(end="f9")
"""Frames on either side of the one that is shown, for runs whose networks see all of each."""
SIDE = 24


def left_of(frame: int) -> tuple[int, int]:
    """The left edges of the upper and the lower square: they pass each other."""
    return 10 + 6 * frame, 122 - 6 * frame


@pytest.fixture
def small(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model.engine.encoder, "area", 96 * 160)


@pytest.fixture(scope="module")
def squares(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A yellow square above that goes right, and a blue one below that goes left, over dark noise."""
    path = tmp_path_factory.mktemp("clips") / "squares.mp4"
    noise = np.random.default_rng(0).integers(0, 60, (*SIZE, 3), dtype=np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(25), options={"crf": "12"})
        stream.height, stream.width, stream.pix_fmt = *SIZE, "yuv420p"
        for index in range(FRAMES):
            image = noise.copy()
            upper, lower = left_of(index)
            image[14 : 14 + SIDE, upper : upper + SIDE] = (230, 200, 40)
            image[58 : 58 + SIDE, lower : lower + SIDE] = (60, 120, 240)
            for packet in stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path


@pytest.fixture
def bright(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the subject be what is bright, with a soft border, so that nothing here depends on a network's specks."""

    def stream(
        _: object, frames: Iterable[Observed], *__: object, known: int = 0, **___: object
    ) -> Iterator[FrameResult]:
        for observed in islice(frames, known, None):
            light = (observed.frame.image.max(axis=2) > 100).astype(np.float32)
            probability = np.asarray(cv2.GaussianBlur(light, (9, 9), 1.5), np.float32)
            mask = probability > THRESHOLD
            yield FrameResult(
                frame=observed.frame,
                probability=probability,
                labels=mask.astype(np.uint8),
                confidence=expected_jaccard(probability, mask),
            )

    monkeypatch.setattr(FindEngine, "stream", stream)


def halves(masks: Any) -> tuple[list[int], list[int]]:
    """The areas of what is found of the upper and of the lower square, by frame."""
    return [int(mask[:48].sum()) for mask in masks], [int(mask[48:].sum()) for mask in masks]


def upper_alone(masks: Any) -> bool:
    upper, lower = halves(masks)
    return len(upper) == FRAMES and min(upper) > 0.7 * SIDE**2 and not any(lower)


HAD = pytest.mark.thorough
"""For a case that another one has in it."""
LOWER = (122 - 6 * 6 + 12, 70)
"""A pixel of the lower square in frame 6."""
BOX = (122 - 36 - 3, 55, 122 - 36 + SIDE + 3, 85)


def test_of_what_the_network_finds_the_excluded_goes(model: Model, squares: Path) -> None:
    upper, lower = halves([each.mask for each in covos.segment(squares, model=model, range=PART)])
    assert min(*upper, *lower) > 0.7 * SIDE**2, "by itself, both are the subject"
    for index, each in enumerate(covos.segment(squares, model=model, range=PART, exclude={6: BOX})):
        left = left_of(index)[1]
        assert not each.mask[58 : 58 + SIDE, left : left + SIDE].any()
        assert each.mask[:48].sum() == upper[index]


@pytest.mark.usefixtures("bright", "small")
@pytest.mark.parametrize(
    "steering",
    [
        pytest.param({"points": {6: [(*LOWER, 0)]}}, marks=HAD),
        {"points": {6: [(*LOWER, 0), (LOWER[0] + 5, LOWER[1], 0)], 10: [(122 - 60 + 12, 70, 0)]}},
        {"exclude": {6: BOX}},
        {"within": {6: (0, 0, 160, 45)}},
        {"within": {6: (0, 0, 160, 96)}, "points": {6: [(*LOWER, 0)]}},
        {"within": (0, 0, 160, 48)},
        {"exclude": [(0, 48, 80, 96), (80, 48, 160, 96)]},
    ],
)
def test_the_excluded_goes_from_the_whole_clip(model: Model, squares: Path, steering: dict[str, Any]) -> None:
    assert upper_alone([each.mask for each in covos.segment(squares, model=model, **steering)])


def test_finding_and_following_take_a_frame_from_one_encoding(
    model: Model, squares: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded = note_encodings(monkeypatch)
    # Shown on the first frame, so that there is no backward pass.
    box = (122 - 3, 55, 122 + SIDE + 3, 85)
    task = Find(steer=Steer(shown=as_regions(exclude={0: box})), quality="fast")
    for _ in covos.Job(Plan(source=str(squares), task=task, range=PART), load=lambda _: model):
        pass
    assert Counter(index for encoder, index in encoded if isinstance(encoder, SharedEncoder)) == Counter(range(9))


@pytest.mark.usefixtures("bright", "small")
def test_a_stream_gives_the_same_and_clears_the_probability(model: Model, squares: Path) -> None:
    whole = covos.segment(squares, model=model, exclude={6: BOX})
    results = list(covos.stream(squares, model=model, exclude={6: BOX}))
    for one, other in zip(whole, results, strict=True):
        np.testing.assert_array_equal(one.labels, other.labels)
        assert other.probability[50:].max() < 0.02
        np.testing.assert_array_equal(other.labels > 0, other.probability > 0.5)
        assert not other.objects


@pytest.mark.usefixtures("bright", "small")
@pytest.mark.parametrize(
    ("steering", "what"),
    [
        ({"points": {6: [(5, 90, 0)]}}, "nothing of the subject is at point 5,90 on frame 6"),
        ({"exclude": {6: (0, 50, 9, 60)}}, "nothing of the subject is in box 0,50,9,60 on frame 6"),
        ({"within": {6: (0, 50, 9, 60)}}, "nothing of the subject is in box 0,50,9,60 on frame 6"),
        ({"points": [(160, 20, 0)]}, "point 160,20 lies outside frame 0"),
        ({"within": {99: (0, 50, 9, 60)}}, "frame 99 does not exist"),
    ],
)
def test_what_cannot_be_steered_is_refused_and_writes_nothing(
    model: Model, squares: Path, tmp_path: Path, steering: dict[str, Any], what: str
) -> None:
    shown = (
        *as_prompts(points=steering.get("points")),
        *as_regions(within=steering.get("within"), exclude=steering.get("exclude")),
    )
    plan = Plan(source=str(squares), task=choose_task(prompts=shown))
    with pytest.raises(UsageError) as caught:
        Job(plan, tmp_path / "out", load=lambda _: model).run()
    assert what in caught.value.what
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("bright", "small")
@pytest.mark.parametrize(
    "steering",
    [
        as_regions(exclude={6: BOX}),
        as_regions(within=(0, 0, 160, 48)),
        pytest.param(as_prompts(points={6: [(*LOWER, 0)]}), marks=HAD),  # followed from a frame as the first is
    ],
)
def test_a_stopped_run_goes_on_under_the_same_terms(model: Model, squares: Path, tmp_path: Path, steering: Any) -> None:
    task = choose_task(prompts=steering)
    assert isinstance(task, Find)
    plan = Plan(source=str(squares), task=task, formats=("palette", "matte"))
    job = Job(plan, tmp_path / "part", load=lambda _: model)
    for event in job:
        if isinstance(event, FrameDone) and event.index == 6:
            job.cancel()
    assert job.state == "cancelled"
    saved = Job(plan, tmp_path / "part", load=lambda _: model).run()
    assert saved.resumed == 4  # type: ignore[union-attr]
    Job(plan, tmp_path / "whole", load=lambda _: model).run()
    for name in sorted((tmp_path / "whole").glob("ma*/*.png")):
        assert name.read_bytes() == (tmp_path / "part" / name.relative_to(tmp_path / "whole")).read_bytes()
    assert upper_alone([read_label_map(path) for path in sorted((tmp_path / "part" / "masks").glob("*.png"))])
    settings = json.loads((tmp_path / "part" / "report.json").read_text())["settings"]
    assert settings["steer"] == task.settings["steer"]
    assert ("follower" in settings) == (settings["steer"][0]["frame"] is not None)
    with pytest.raises(UsageError, match="of other settings") as caught:
        Job(plan.model_copy(update={"task": Find()}), tmp_path / "part", load=lambda _: model).run()
    assert "steering 1: " in caught.value.why
