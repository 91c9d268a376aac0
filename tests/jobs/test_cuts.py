"""Cuts are found before the first frame, and belong to what a run is: its terms, its report, its way of going on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import covos
from covos.core.errors import UsageError
from covos.core.types import Frame
from covos.events import Advanced, Event, FrameDone, Started
from covos.job import Job
from covos.masks.edges import Edges
from covos.masks.hole_watch import HoleWatch
from covos.media.video import VideoSource
from covos.model import Model
from covos.plan import Plan
from covos.runs.schema import ReportContent, load_report
from stub_model import bright_model

CUT, FRAMES = 9, 16


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder of pictures of two shots."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    scenes = [cv2.resize(draw(seed), (64, 48), interpolation=cv2.INTER_CUBIC) for seed in (0, 1)]
    for index in range(FRAMES):
        scene = scenes[index >= CUT].copy()
        scene[10:30, 2 * index : 2 * index + 20] = 255
        cv2.imwrite(str(folder / f"{index:03}.png"), scene)
    return folder


def draw(seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    spots = random.integers(0, 120, (6, 8, 3), dtype=np.uint8)
    spots[..., seed] //= 4
    return spots


def plan_of(pictures: Path, **fields: Any) -> Plan:
    return Plan(**{"source": str(pictures), "formats": ("palette",), "device": "cpu", **fields})


def run(plan: Plan, folder: Path, *, stop_at: int | None = None) -> list[str]:
    """Run a job, or stop it at a frame; return its stages."""
    job, stages = Job(plan, folder, load=lambda _: bright_model()), []

    def listen(event: Event) -> None:
        if isinstance(event, Started):
            stages.append(event.stage)
        if isinstance(event, FrameDone) and event.index == stop_at:
            raise KeyboardInterrupt

    if stop_at is None:
        job.run(listen)
    else:
        with pytest.raises(KeyboardInterrupt):
            job.run(listen)
    return stages


def report_of(folder: Path) -> ReportContent:
    return load_report(folder)


def test_the_report_shows_the_cuts(pictures: Path, tmp_path: Path) -> None:
    assert "looking for cuts" in run(plan_of(pictures), tmp_path / "out")
    report = report_of(tmp_path / "out")
    assert report.cuts == (CUT,)
    assert report.settings["cuts"] == "auto"
    assert "1 cut was found, at 0.36 s" in " ".join((tmp_path / "out" / "report.html").read_text().split())
    assert "looking for cuts" not in run(plan_of(pictures, cuts="off"), tmp_path / "off")
    assert report_of(tmp_path / "off").cuts == ()


def test_a_stopped_run_goes_on_with_its_cuts(pictures: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    run(plan_of(pictures), folder, stop_at=10)
    assert json.loads((folder / "covos.json").read_text())["cuts"] == [CUT]
    with pytest.raises(UsageError, match="cuts: auto before, off now"):
        run(plan_of(pictures, cuts="off"), folder)
    assert "looking for cuts" not in run(plan_of(pictures), folder)
    assert report_of(folder).cuts == (CUT,)


def test_a_run_from_before_there_were_cuts_goes_on_as_one_shot(pictures: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    run(plan_of(pictures, cuts="off"), folder, stop_at=10)
    content = json.loads((folder / "covos.json").read_text())
    del content["settings"]["cuts"], content["cuts"]
    (folder / "covos.json").write_text(json.dumps(content))
    assert "looking for cuts" not in run(plan_of(pictures), folder)
    report = report_of(folder)
    assert (report.cuts, report.settings["cuts"]) == ((), "off")
    assert "looking for cuts" not in run(plan_of(pictures), folder)


def test_holes_are_judged_within_their_shot_wherever_masks_come_from(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known: list[tuple[int, ...]] = []
    begin = HoleWatch.__init__

    def noting(self: HoleWatch[Any], edges: Edges, *, cuts: Sequence[int] = ()) -> None:
        known.append(tuple(cuts))
        begin(self, edges, cuts=cuts)

    monkeypatch.setattr(HoleWatch, "__init__", noting)
    edges = Edges(fill_holes=30)
    run(plan_of(pictures, edges=edges), tmp_path / "out")
    Job(plan_of(pictures, edges=edges, formats=()), load=lambda _: bright_model()).run()
    covos.load_result(tmp_path / "out")
    covos.convert(tmp_path / "out", formats=["npz"], edges=edges, output=tmp_path / "later")
    assert len(known) >= 4
    assert set(known) == {(CUT,)}


def test_a_run_that_is_cancelled_while_it_looks_for_cuts_leaves_nothing(pictures: Path, tmp_path: Path) -> None:
    job = Job(plan_of(pictures), tmp_path / "out", load=lambda _: bright_model())
    for event in job:
        if isinstance(event, Advanced):
            job.cancel()
    assert job.state == "cancelled"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("frames", [1, 3, 16])
def test_references_of_one_shot_are_kept_while_it_is_looked_through(
    frames: int, make_clip: Callable[..., Path], model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are not read again, and are those that would be."""
    clip, selected = make_clip(frames=frames), []
    select = VideoSource.select

    def noting(self: VideoSource, indices: Sequence[int]) -> Iterator[Frame]:
        selected.append(tuple(indices))
        return select(self, indices)

    monkeypatch.setattr(VideoSource, "select", noting)
    shown = {"cuts": "auto"}, {"cuts": "off"}
    auto, off = (list(covos.stream(clip, model=model, **how)) for how in shown)
    assert len(selected) == (1 if frames == 16 else 2), "the first frame of a tiny clip is read"
    for one, other in zip(auto, off, strict=True):
        np.testing.assert_array_equal(one.probability, other.probability)
