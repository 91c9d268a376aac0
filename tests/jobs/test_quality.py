"""Qualities of finding and following: what the command writes, and that a stopped run goes on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import covos
from covos.cli import main
from covos.core.errors import UsageError
from covos.engines.choices import APART, SMALL, VIEWS, Quality, View
from covos.engines.follow import FollowEngine
from covos.events import FrameDone
from covos.job import Job
from covos.media.displayed import PictureReader
from covos.model import Model
from covos.plan import Plan
from covos.prompts.values import Point, PointPrompt
from covos.runs.writing import Saved
from covos.sessions.following import Following
from covos.task import Find, Follow
from frame_encodings import note_encodings

FRAMES = 10
CPU = ["--device", "cpu", "--precision", "fp32"]


@pytest.fixture
def clip(make_clip: Callable[..., Path]) -> Path:
    return make_clip(frames=FRAMES)


def masks(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / "masks").iterdir())}


def test_each_quality_finds_otherwise_and_says_so(model: Model, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("covos.engines.find.DOUBT", 9.0)  # small networks flicker, and `fast` would look at each frame
    found = {quality: list(covos.stream(clip, model=model, quality=quality)) for quality in VIEWS}
    usual = list(covos.stream(clip, model=model))
    for quality, results in found.items():
        same = all(np.array_equal(a.probability, b.probability) for a, b in zip(results, usual, strict=True))
        assert same == (quality == "balanced")
        assert covos.segment(clip, model=model, quality=quality).origin.settings["quality"] == quality


@pytest.mark.parametrize("quality", ["draft", "fast", "best"])
def test_a_stopped_run_goes_on_to_the_same_masks(model: Model, clip: Path, tmp_path: Path, quality: str) -> None:
    plan = Plan(source=str(clip), task=Find(quality=quality), formats=("palette",))  # type: ignore[arg-type]
    Job(plan, tmp_path / "whole", load=lambda _: model).run()
    stopped = Job(plan, tmp_path / "out", load=lambda _: model)
    for event in stopped:
        if isinstance(event, FrameDone) and event.index == 5:
            stopped.cancel()
    assert stopped.state == "cancelled"
    other = plan.model_copy(update={"task": Find()})
    with pytest.raises(UsageError, match=f"quality: {quality} before, balanced now"):
        Job(other, tmp_path / "out", load=lambda _: model).run()
    assert Job(plan, tmp_path / "out", load=lambda _: model).run().resumed > 0  # type: ignore[union-attr]
    assert masks(tmp_path / "out") == masks(tmp_path / "whole")


@pytest.mark.parametrize(
    ("quality", "looked"),
    [("fast", (0, 2, 4, 6, 8, 9)), ("draft", (0, 4, 8, 9))],  # 9 is the last, and has no neighbour after it
)
def test_the_network_looks_at_some_frames_and_the_others_are_marked(
    quality: Quality,
    looked: tuple[int, ...],
    model: Model,
    clip: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The network is small here, and what it finds flickers.
    monkeypatch.setattr("covos.engines.find.DOUBT", 9.0)
    plan = Plan(source=str(clip), task=Find(quality=quality), formats=("palette",))
    encoded = note_encodings(monkeypatch)
    saved = Job(plan, tmp_path / "out", load=lambda _: model).run()
    assert isinstance(saved, Saved)
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    made = [row["index"] for row in report["frames"] if row.get("between")]
    assert made == sorted(set(range(10)) - set(looked))
    references = {1, 3, 5, 7, 9}
    assert {index for _, index in encoded} - references == set(looked) - references
    journal = (tmp_path / "out" / "journal.jsonl").read_text().splitlines()
    assert [index for index, line in enumerate(journal) if '"between": true' in line] == made


def test_no_picture_is_made_in_full_that_nothing_looks_at(
    model: Model, make_clip: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = set()
    read = PictureReader.later

    def noting(self: PictureReader, picture: Any) -> Any:
        later = read(self, picture)
        assert later is not None
        make = later.make
        later.make = lambda size: (sizes.add(size), make(size))[1]
        return later

    monkeypatch.setattr(PictureReader, "later", noting)
    clip = make_clip(frames=4, height=384, width=512)
    Job(Plan(source=str(clip), formats=("palette", "overlay")), tmp_path / "out", load=lambda _: model).run()
    assert (96, 128) in sizes  # the network's
    assert (384, 512) not in sizes


@pytest.mark.parametrize("apart", [2, 4])
def test_what_is_doubted_is_looked_at(apart: int, model: Model, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("covos.engines.find.DOUBT", -1.0)
    monkeypatch.setitem(APART, "fast", apart)
    monkeypatch.setitem(VIEWS, "balanced", VIEWS["fast"])
    usual = list(covos.stream(clip, model=model))
    for one, other in zip(covos.stream(clip, model=model, quality="fast"), usual, strict=True):
        assert not one.between
        np.testing.assert_allclose(one.probability, other.probability, atol=1e-4)


def test_the_command_takes_a_quality(clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    line = ["segment", str(clip), "-o", str(out), "-f", "palette", "-q", *CPU, "--quality"]
    assert main([*line, "fast"]) == 0
    assert json.loads((out / "report.json").read_text())["settings"]["quality"] == "fast"
    assert main([*line, "balanced"]) == 2
    assert "quality: fast before, balanced now" in capsys.readouterr().err
    assert main([*line, "good"]) == 2


@pytest.fixture
def shown() -> dict[str, np.ndarray]:
    mask = np.zeros((48, 64), np.uint8)
    mask[12:28, :16] = 3
    return {"masks": mask}


def test_each_quality_follows_otherwise_and_says_so(model: Model, clip: Path, shown: dict[str, np.ndarray]) -> None:
    usual = list(covos.stream(clip, model=model, **shown))
    assert "quality" not in covos.segment(clip, model=model, **shown).origin.settings, "records stay as they were"
    for quality in ("fast", "best"):
        found = list(covos.stream(clip, model=model, quality=quality, **shown))
        assert np.array_equal(found[0].labels, shown["masks"])
        assert not np.array_equal(found[1].probability, usual[1].probability)
        assert (found[5].labels == 3)[18:22, 16:20].all(), "it is followed"
        assert covos.segment(clip, model=model, quality=quality, **shown).origin.settings["quality"] == quality


@pytest.mark.parametrize("quality", ["draft", pytest.param("fast", marks=pytest.mark.thorough), "best"])
def test_a_stopped_run_that_follows_goes_on_to_the_same_masks(
    model: Model, clip: Path, tmp_path: Path, quality: str
) -> None:
    prompts = (PointPrompt(points=(Point(x=8, y=20),)), PointPrompt(frame=7, object=1, points=(Point(x=22, y=20),)))
    plan = Plan(
        source=str(clip),
        task=Follow(prompts=prompts, quality=quality),  # type: ignore[arg-type]
        formats=("palette",),
    )
    Job(plan, tmp_path / "whole", load=lambda _: model).run()
    stopped = Job(plan, tmp_path / "out", load=lambda _: model)
    for event in stopped:
        if isinstance(event, FrameDone) and event.index == 5:
            stopped.cancel()
    assert stopped.state == "cancelled"
    other = plan.model_copy(update={"task": Follow(prompts=prompts)})
    with pytest.raises(UsageError, match=f"quality: {quality} before, balanced now"):
        Job(other, tmp_path / "out", load=lambda _: model).run()
    Job(plan, tmp_path / "out", load=lambda _: model).run()
    assert masks(tmp_path / "out") == masks(tmp_path / "whole")


@pytest.mark.parametrize(("quality", "between"), [("fast", {3, 5, 7}), ("draft", {2, 3, 5, 6, 7})])
def test_frames_are_left_out_while_following_or_the_pass_goes_back(
    model: Model,
    clip: Path,
    shown: dict[str, np.ndarray],
    quality: Quality,
    between: set[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("covos.engines.sparse.DOUBT", 9.0)
    results = list(covos.stream(clip, model=model, quality=quality, **shown))
    # Frame 1 lies beside the one that is shown, and 9 is the last: none comes after it.
    assert {result.frame.index for result in results if result.between} <= between
    assert any(result.between for result in results)
    assert all(result.objects for result in results if result.between)
    monkeypatch.setattr("covos.engines.sparse.DOUBT", -1.0)
    every = list(covos.stream(clip, model=model, quality=quality, **shown))
    assert not any(result.between for result in every)
    # A pass that goes back looks at all frames, as one that never left one out.
    monkeypatch.setattr("covos.engines.choices.FOLLOWED_APART", {})
    usual = covos.stream(clip, model=model, quality=quality, **shown)
    for one, other in zip(every, usual, strict=True):
        np.testing.assert_allclose(one.probability, other.probability, atol=1e-3)


def test_the_command_follows_what_it_finds_at_a_quality(clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    line = ["segment", str(clip), "-o", str(out), "-f", "palette", "-q", *CPU, "--quality", "best"]
    assert main([*line, "--objects", "auto"]) == 0
    assert json.loads((out / "report.json").read_text())["settings"]["quality"] == "best"


def test_small_objects_are_followed_in_larger_frames(model: Model, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each object counts where it was shown largest. A pass in another view begins anew."""
    monkeypatch.setattr(Following, "_correct", lambda *_: None)  # which would keep masks of the pass before
    seen: list[tuple[int, int]] = []
    forward = FollowEngine.forward

    def noting(self: FollowEngine, *args: Any, **kwargs: Any) -> Any:
        seen.append(self.finder.encoders[0].size_of(frame))
        return forward(self, *args, **kwargs)

    monkeypatch.setattr(FollowEngine, "forward", noting)
    with model.session(clip) as session:
        info = session.source.info
        frame = next(iter(session.source))
        large, small = np.zeros((2, info.height, info.width), bool)
        large[: info.height // 2, : info.width // 2] = True
        small[-4:, -4:] = True
        assert small.mean() < SMALL < large.mean()
        session.add_mask(0, 1, mask=large)
        session.add_mask(2, 1, mask=small)  # the same object, nearly hidden
        assert session.origin().settings["views"] == "320x576"
        session.propagate("forward")
        session.add_mask(0, 2, mask=small)
        assert session.origin().settings["views"] == "448x768"
        again = session.propagate("forward")
    usual = model.engine.encoder.scaled(View(320, 576).share).size_of(frame)
    larger = model.engine.encoder.scaled(View(448, 768).share).size_of(frame)
    assert usual != larger
    assert seen == [usual, larger]
    with model.session(clip) as fresh:
        for number, identity, mask in ((0, 1, large), (2, 1, small), (0, 2, small)):
            fresh.add_mask(number, identity, mask=mask)
        anew = fresh.propagate("forward")
    for one, other in zip(again, anew, strict=True):
        np.testing.assert_array_equal(one.labels, other.labels)


@pytest.mark.parametrize("quality", ["fast", "draft"])
def test_a_session_looks_at_each_frame_whoever_listens(
    model: Model, clip: Path, shown: dict[str, np.ndarray], quality: Quality, tmp_path: Path
) -> None:
    found = []
    for listen in (None, lambda *_: None):
        with model.session(clip, quality=quality) as session:
            session.add_labels(0, labels=shown["masks"])
            found.append(session.propagate("forward", listen=listen))
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one.labels, other.labels)
    with model.session(clip, quality=quality) as session:
        session.add_labels(0, labels=shown["masks"])
        assert not any(result.between for result in session.stream("forward"))
    assert "apart" not in found[0].origin.settings
    run = covos.segment(clip, model=model, quality=quality, **shown).save(tmp_path / "out")
    settings = json.loads((run.folder / "report.json").read_text())["settings"]
    assert settings["apart"] == {"fast": 2, "draft": 4}[quality]
