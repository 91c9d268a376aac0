"""The best quality: the subject is found, and followed from where it was found most surely."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import covos
from clips import bright_clip
from covos.core.types import Point
from covos.engines import surest
from covos.engines.choices import VIEWS, View
from covos.engines.follow import FollowEngine
from covos.events import Advanced, FrameDone, Started
from covos.job import Job
from covos.media.source import Source
from covos.model import Model
from covos.plan import Plan
from covos.prompts.values import PointPrompt
from covos.runs.writing import Saved
from covos.task import Find, Steer
from frame_encodings import note_encodings

FRAMES = 11
BEST = Find(quality="best")


@pytest.fixture
def clip(make_clip: Callable[..., Path]) -> Path:
    return make_clip(frames=FRAMES)


def shorten(patch: pytest.MonkeyPatch) -> None:
    """Make three stretches of the clip, in which small networks are sure enough."""
    patch.setattr(surest, "STRETCH", 4)
    patch.setattr(surest, "PART", 2)
    patch.setattr(surest, "SURE", 0.0)
    patch.setattr(surest, "LESS_SURE", 1.0)


@pytest.fixture
def _stretches(monkeypatch: pytest.MonkeyPatch) -> None:
    shorten(monkeypatch)


def run(model: Model, clip: Path, folder: Path, **fields: Any) -> Saved:
    plan = Plan(source=str(clip), task=fields.pop("task", BEST), formats=("palette",), **fields)
    saved = Job(plan, folder, load=lambda _: model).run()
    assert isinstance(saved, Saved)
    return saved


@pytest.fixture(scope="module")
def whole(model: Model, tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Masks of a run that nothing stopped."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        shorten(patch)
        run(model, bright_clip(folder / "clip.mp4", frames=FRAMES), folder / "out")
    return masks(folder / "out")


def negative(x: int, y: int) -> Point:
    return Point(x=int(x), y=int(y), positive=False)


def masks(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted((folder / "masks").iterdir())]


def followed_from(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The seeds, as they are given."""
    seeds: list[int] = []
    given = surest.SeedChoice.given

    def noting(self: surest.SeedChoice) -> Any:
        chosen = given(self)
        seeds.extend(sorted(chosen))
        return chosen

    monkeypatch.setattr(surest.SeedChoice, "given", noting)
    return seeds


@pytest.mark.usefixtures("_stretches")
def test_each_stretch_is_followed_from_its_surest_frames(
    model: Model, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeds = followed_from(monkeypatch)
    best = list(covos.stream(clip, model=model, quality="best"))
    assert [each.frame.index for each in best] == list(range(FRAMES))
    assert len(seeds) == 6, "two parts in each of three stretches"
    monkeypatch.setattr(surest, "SURE", 2.0)
    found = list(covos.stream(clip, model=model, quality="best"))
    assert len(seeds) == 6, "nothing is sure"
    assert [each.frame.index for each in found] == list(range(FRAMES))
    differ = [not np.allclose(a.probability, b.probability, atol=0.05) for a, b in zip(best, found, strict=True)]
    assert sum(differ) > FRAMES / 2


def test_where_nothing_is_sure_it_is_as_it_was_found(model: Model, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surest, "SURE", 2.0)
    unsure = list(covos.stream(clip, model=model, quality="best"))
    monkeypatch.setattr("covos.model.FOUND_AND_FOLLOWED", frozenset())
    alone = list(covos.stream(clip, model=model, quality="best"))
    for one, other in zip(unsure, alone, strict=True):
        # It waited in eight bits: an eighth of a logit is 0.03 at most.
        np.testing.assert_allclose(one.probability, other.probability, atol=0.02)


@pytest.mark.usefixtures("_stretches")
@pytest.mark.parametrize("stop", [1, 4, *(pytest.param(stop, marks=pytest.mark.thorough) for stop in (6, 9))])
def test_a_stopped_run_goes_on_at_its_stretch(
    model: Model, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: list[bytes], stop: int
) -> None:
    """In the first stretch, and at the first frame of the second; later ones are done as the second is."""
    plan = Plan(source=str(clip), task=BEST, formats=("palette",))
    stopped = Job(plan, tmp_path / "out", load=lambda _: model)
    for event in stopped:
        if isinstance(event, FrameDone) and event.index == stop:
            stopped.cancel()
    seeds = followed_from(monkeypatch)
    resumed = run(model, clip, tmp_path / "out").resumed
    bounds = [each.stop for each in surest.stretches_of(surest.Shots(frame_count=FRAMES))]
    assert len(seeds) == 2 * sum(bound > resumed for bound in bounds), "stretches that were done are not done again"
    assert masks(tmp_path / "out") == whole


@pytest.mark.usefixtures("_stretches")
def test_the_stages_are_those_of_the_first_stretch(model: Model, clip: Path) -> None:
    job = Job(Plan(source=str(clip), task=BEST), load=lambda _: model)
    events = list(job)
    stages = [each.stage for each in events if isinstance(each, Started)]
    assert stages[-3:] == ["finding", "following backward", "frames"]
    first = next(at for at, each in enumerate(events) if isinstance(each, FrameDone))
    assert not any(isinstance(each, (Advanced, Started)) for each in events[first:])
    found = [each for each in events if isinstance(each, Advanced) and each.stage == "finding"]
    assert [each.done for each in found] == list(range(1, found[0].total + 1))


@pytest.mark.usefixtures("_stretches")
def test_a_later_stretch_can_be_cancelled_before_it_has_a_result(model: Model, clip: Path) -> None:
    job = Job(Plan(source=str(clip), task=BEST), load=lambda _: model)
    see = surest.SeedChoice.see
    seen: list[int] = []

    def noting(self: surest.SeedChoice, result: Any) -> None:
        see(self, result)
        seen.append(result.frame.index)
        if result.frame.index == 5:
            job.cancel()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(surest.SeedChoice, "see", noting)
        done = [each.index for each in job if isinstance(each, FrameDone)]
    assert job.state == "cancelled"
    assert max(done, default=-1) < 4
    assert max(seen) < FRAMES - 1


def test_a_report_says_with_which_follower(model: Model, clip: Path, tmp_path: Path) -> None:
    run(model, clip, tmp_path / "out")
    settings = json.loads((tmp_path / "out" / "report.json").read_text())["settings"]
    assert settings["then_followed"]["name"] == "covos-follow"
    assert settings["then_followed"]["views"] == "384x672; 448x768 if it is small"
    run(model, clip, tmp_path / "usual", task=Find())
    assert "then_followed" not in json.loads((tmp_path / "usual" / "report.json").read_text())["settings"]


@pytest.mark.usefixtures("_stretches")
@pytest.mark.parametrize("refine", ["none", "crf"])
def test_a_steered_subject_is_followed_without_what_was_taken_away(
    model: Model, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refine: str
) -> None:
    seeds = followed_from(monkeypatch)
    box = (0, 0, 40, 40)
    steered = list(covos.stream(clip, model=model, quality="best", within=[box], refine=refine))
    assert len(seeds) == 6
    assert [each.frame.index for each in steered] == list(range(FRAMES))
    for each in steered:
        assert not each.probability[40:].any()
        assert not each.probability[:, 40:].any()
    monkeypatch.setattr(surest, "SURE", 2.0)
    found = list(covos.stream(clip, model=model, quality="best", within=[box], refine=refine))
    assert any(not np.allclose(a.probability, b.probability, atol=1e-3) for a, b in zip(steered, found, strict=True))


@pytest.mark.usefixtures("_stretches")
def test_a_steered_subject_takes_no_further_pass_through_the_video(
    model: Model, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes: list[Source] = []
    read = Source.__iter__

    def noting(self: Source) -> Any:
        passes.append(self)
        return read(self)

    monkeypatch.setattr(Source, "__iter__", noting)
    assert len(list(covos.stream(clip, model=model, quality="best"))) == FRAMES
    usual = len(passes)
    assert len(list(covos.stream(clip, model=model, quality="best", within=[(0, 0, 40, 40)]))) == FRAMES
    assert len(passes) == 2 * usual > 0


@pytest.mark.usefixtures("_stretches")
def test_what_is_left_beside_an_excluded_thing_is_followed(
    model: Model, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeds = followed_from(monkeypatch)
    subject = next(iter(covos.stream(clip, model=model, quality="best"))).labels > 0
    rows, columns = np.nonzero(subject)
    seeds.clear()
    task = Find(quality="best", steer=Steer(shown=(PointPrompt(frame=0, points=(negative(columns[0], rows[0]),)),)))
    run(model, clip, tmp_path / "whole", task=task)
    settings = json.loads((tmp_path / "whole" / "report.json").read_text())["settings"]
    assert {"steer", "then_followed", "follower"} <= settings.keys()
    stopped = Job(Plan(source=str(clip), task=task, formats=("palette",)), tmp_path / "out", load=lambda _: model)
    for event in stopped:
        if isinstance(event, FrameDone) and event.index == 6:
            stopped.cancel()
    assert run(model, clip, tmp_path / "out", task=task).resumed > 0
    assert masks(tmp_path / "out") == masks(tmp_path / "whole")


@pytest.mark.usefixtures("_stretches")
@pytest.mark.parametrize(("small", "view"), [(0.0, View(384, 672)), (1.1, View(448, 768))])
def test_a_small_subject_is_followed_in_larger_frames(
    model: Model, clip: Path, monkeypatch: pytest.MonkeyPatch, small: float, view: View
) -> None:
    monkeypatch.setattr(surest, "SMALL", small)
    seen: set[int] = set()
    forward = FollowEngine.forward

    def noting(self: FollowEngine, *args: Any, **kwargs: Any) -> Any:
        seen.add(self.encoder.area)
        return forward(self, *args, **kwargs)

    monkeypatch.setattr(FollowEngine, "forward", noting)
    assert len(list(covos.stream(clip, model=model, quality="best"))) == FRAMES
    assert seen == {model.engine.encoder.scaled(view.share).area}


@pytest.mark.usefixtures("_stretches")
def test_a_frame_is_encoded_once_for_what_finds_and_what_follows(
    model: Model, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeds = followed_from(monkeypatch)
    monkeypatch.setattr("covos.engines.sparse.DOUBT", 99.0)
    monkeypatch.setattr(surest, "SMALL", 0.0)
    usual, large = VIEWS["best"]
    areas = [model.engine.encoder.scaled(each.share).area for each in (usual, large)]
    encoded = note_encodings(monkeypatch)
    assert len(list(covos.stream(clip, model=model, quality="best", references=1))) == FRAMES
    assert {encoder.area for encoder, _ in encoded} == {*areas}
    small, larger = ([index for encoder, index in encoded if encoder.area == area] for area in areas)
    reference = 5
    assert sorted(small) == sorted({*range(0, FRAMES, 2), reference})
    assert max(Counter(larger).values()) == 1
    stretches = surest.stretches_of(surest.Shots(frame_count=FRAMES))
    ends = {index for each in stretches for index in (each.start, each.stop - 1)}
    shown = {seed + step for seed in seeds for step in (-1, 0, 1)}
    assert {*range(1, FRAMES, 2)} <= {*larger} <= {*range(1, FRAMES, 2), reference, *ends, *shown}


@pytest.mark.usefixtures("_stretches")
def test_a_picture_is_not_followed(
    model: Model, make_clip: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    seeds = followed_from(monkeypatch)
    assert len(list(covos.stream(make_clip(frames=1), model=model, quality="best"))) == 1
    assert seeds == []


@pytest.mark.usefixtures("_stretches")
def test_the_mean_is_what_is_refined(model: Model, clip: Path) -> None:
    plain = list(covos.stream(clip, model=model, quality="best"))
    refined = list(covos.stream(clip, model=model, quality="best", refine="crf"))
    for one, other in zip(plain, refined, strict=True):
        assert one.confidence == pytest.approx(other.confidence, abs=1e-6)
    assert any(not np.array_equal(a.probability, b.probability) for a, b in zip(plain, refined, strict=True))
