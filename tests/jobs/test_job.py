"""Jobs: their events, and that they stop at once when they are cancelled from another thread."""

from __future__ import annotations

import pickle
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import covos
from checked_output import check_output
from covos.core.errors import CancelledError, SourceError, UsageError
from covos.core.types import Point
from covos.engines.choices import AROUND
from covos.events import Advanced, Cancelled, Event, Finished, FrameDone, Started, Warned
from covos.job import Job
from covos.jobs import ModelCache
from covos.model import Model
from covos.plan import Plan
from covos.prompts.values import MaskPrompt, PointPrompt
from covos.runs.schema import load_report
from covos.runs.writing import Saved
from covos.task import Discover, Find, Follow

FRAMES = 14
BATCH = 4


@pytest.fixture
def clip(make_clip: Callable[..., Path]) -> Path:
    return make_clip(frames=FRAMES)


def square(top: int = 10, left: int = 14) -> np.ndarray:
    mask = np.zeros((48, 64), bool)
    mask[top : top + 12, left : left + 12] = True
    return mask


def plans(clip: Path, follower: Path) -> dict[str, Plan]:
    given, name = (MaskPrompt(labels=square()),), str(follower)
    return {
        "find": Plan(source=str(clip), task=Find(), formats=("palette",)),
        "forward": Plan(
            source=str(clip), task=Follow(prompts=given, direction="forward", follower=name), formats=("palette",)
        ),
        "backward": Plan(
            source=str(clip),
            task=Follow(prompts=(MaskPrompt(labels=square(), frame=FRAMES - 1),), direction="backward", follower=name),
            formats=("palette",),
        ),
        "both": Plan(
            source=str(clip),
            task=Follow(prompts=(MaskPrompt(labels=square(), frame=7),), follower=name),
            formats=("palette",),
        ),
        "discover": Plan(source=str(clip), task=Discover(follower=name), formats=("palette",)),
    }


TASKS = ("find", "forward", "backward", "both", "discover")


def masks(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / "masks").iterdir())}


def is_followed(event: Event) -> bool:
    """True for a frame of a pass by a network."""
    return isinstance(event, FrameDone) or (isinstance(event, Advanced) and event.stage != "looking for cuts")


def open_files() -> set[str]:
    return {str(path.readlink()) for path in Path("/proc/self/fd").iterdir() if path.is_symlink()}


def test_the_events_of_a_job(model: Model, clip: Path, tmp_path: Path) -> None:
    job = Job(Plan(source=str(clip), formats=("palette",)), tmp_path / "out", load=lambda _: model)
    assert job.state == "queued"
    events = list(job)
    assert job.state == "done"
    assert [each.stage for each in events if isinstance(each, Started)] == [
        "opening",
        "loading",
        "ready",
        "looking for cuts",
        "frames",
    ]
    done = [each for each in events if isinstance(each, FrameDone)]
    assert [(each.index, each.total, each.resumed) for each in done] == [(k, FRAMES, False) for k in range(FRAMES)]
    assert done[3].masks.labels.shape == (48, 64)
    last = events[-1]
    assert isinstance(last, Finished)
    assert last.saved is not None
    assert last.saved.frames == FRAMES
    assert check_output(tmp_path / "out") == []
    with pytest.raises(UsageError, match="a job runs once"):
        list(job)
    again = list(Job(job.plan, tmp_path / "out", load=lambda _: model))
    assert [each.stage for each in again if isinstance(each, Started)][-1] == "done already"


def test_without_a_folder_the_masks_are_in_the_last_event(model: Model, clip: Path, tmp_path: Path) -> None:
    plan = pickle.loads(pickle.dumps(Plan(source=str(clip), formats=("palette",))))
    kept = Job(plan, load=lambda _: model).run()
    assert isinstance(kept, covos.Segmentation)
    saved = Job(plan, tmp_path / "out", load=lambda _: model).run()
    assert kept == covos.load_result(saved.folder)  # type: ignore[union-attr]
    assert [result.frame.index for result in Job(plan, load=lambda _: model).stream()] == list(range(FRAMES))


@pytest.mark.parametrize("task", TASKS)
def test_a_cancelled_job_stops_within_a_batch_and_goes_on(
    model: Model, clip: Path, random_follower: Path, tmp_path: Path, task: str
) -> None:
    plan = plans(clip, random_follower)[task]
    counted: list[Event] = []
    job = Job(plan, tmp_path / "out", load=lambda _: model)
    for event in job:
        if is_followed(event):
            counted.append(event)
        if len(counted) == 3 and job.state == "running":
            canceller = threading.Thread(target=job.cancel)
            canceller.start()
            canceller.join()
    assert isinstance(event, Cancelled)
    assert job.state == "cancelled"
    assert len(counted) == 3, "no frame comes after the call"
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("covos-")]
    if sys.platform == "linux":
        assert not [name for name in open_files() if str(tmp_path) in name]
    if isinstance(counted[-1], FrameDone):
        problem = load_report(tmp_path / "out").problem
        assert problem is not None
        assert problem.what == "the job was cancelled"
    else:
        assert not (tmp_path / "out" / "masks").exists()
    again = Job(plan, tmp_path / "out", load=lambda _: model)
    again.cancel()
    assert list(again)[-1] == event, "it has kept as much as before"
    saved = Job(plan, tmp_path / "out", load=lambda _: model).run()
    assert isinstance(saved, Saved)
    assert saved.resumed == event.frames
    Job(plan, tmp_path / "whole", load=lambda _: model).run()
    assert masks(tmp_path / "out") == masks(tmp_path / "whole")
    assert check_output(tmp_path / "out") == []


@pytest.mark.parametrize("replaced", [True, False])
def test_a_cancelled_job_counts_no_frames_of_a_run_that_it_replaces(
    model: Model, clip: Path, tmp_path: Path, replaced: bool
) -> None:
    plan, out = Plan(source=str(clip), formats=("palette",)), tmp_path / "out"
    stopped = Job(plan, out, load=lambda _: model)
    for event in stopped:
        if isinstance(event, FrameDone) and event.index == 5:
            stopped.cancel()
    assert event == Cancelled(frames=BATCH)
    asked = plan.model_copy(update={"task": Find(references=3)}) if replaced else plan
    begun = (out / "covos.json").read_bytes()
    job = Job(asked, out, overwrite=True, load=lambda _: model)
    for event in job:
        if isinstance(event, Started) and event.stage == "ready":
            job.cancel()
    assert (out / "covos.json").read_bytes() == begun, "the run that is there was not replaced yet"
    assert event == Cancelled(frames=0 if replaced else BATCH)
    undecided = Job(asked, out, overwrite=True, load=lambda _: model)
    undecided.cancel()
    assert list(undecided)[-1] == Cancelled(frames=0)
    assert Job(asked, out, overwrite=True, load=lambda _: model).run().resumed == event.frames  # type: ignore[union-attr]


@pytest.mark.parametrize("task", ["backward", "both", "discover"])
def test_passes_before_the_first_mask_say_how_far_they_are(
    model: Model, clip: Path, random_follower: Path, task: str
) -> None:
    advanced = [
        each for each in Job(plans(clip, random_follower)[task], load=lambda _: model) if isinstance(each, Advanced)
    ]
    assert advanced
    stages = {each.stage for each in advanced}
    assert stages <= {"looking for cuts", "discovering", "following backward"}
    for stage in stages:
        own = [each for each in advanced if each.stage == stage]
        assert [each.done for each in own] == list(range(1, own[0].total + 1))


def test_cancelled_before_it_begins(model: Model, clip: Path, tmp_path: Path) -> None:
    job = Job(Plan(source=str(clip)), tmp_path / "out", load=lambda _: model)
    job.cancel()
    with pytest.raises(CancelledError, match="cancelled"):
        job.run()
    assert not (tmp_path / "out").exists()


def test_an_error_in_a_listener_ends_the_run_in_order(model: Model, clip: Path, tmp_path: Path) -> None:
    def listen(event: Event) -> None:
        if isinstance(event, FrameDone) and event.index == 5:
            raise KeyboardInterrupt

    job = Job(Plan(source=str(clip), formats=("palette",)), tmp_path / "out", load=lambda _: model)
    with pytest.raises(KeyboardInterrupt) as caught:
        job.run(listen)
    assert job.state == "failed"
    assert caught.value.__notes__ == [f"6 frames are safe in {tmp_path / 'out'}, the same command goes on from there"]


def test_a_source_or_a_prompt_that_cannot_be_is_refused_before_the_model(tmp_path: Path, clip: Path) -> None:
    def load(plan: Plan) -> Model:
        raise AssertionError("nothing is loaded")

    with pytest.raises(SourceError):
        Job(Plan(source="missing.mp4"), tmp_path / "out", load=load).run()
    outside = PointPrompt(points=(Point(x=900, y=3),))
    with pytest.raises(UsageError, match="lies outside frame 0"):
        Job(Plan(source=str(clip), task=Follow(prompts=(outside,))), tmp_path / "out", load=load).run()
    assert not (tmp_path / "out").exists()


def test_a_model_is_loaded_once_for_many_jobs(clip: Path, monkeypatch: pytest.MonkeyPatch, model: Model) -> None:
    loaded: list[str] = []
    monkeypatch.setattr("covos.model.load_model", lambda name, **_: loaded.append(name) or model)
    cache = ModelCache()
    for stop in (2, 3):
        Job(Plan(source=str(clip), range=range(stop)), load=cache).run()
    assert loaded == ["covos-lite"]


def test_a_part_and_frames_in_memory(model: Model, clip: Path, tmp_path: Path) -> None:
    frames = [result.frame.image for result in covos.stream(clip, model=model, range=range(6))]
    assert len(frames) == 6
    result = covos.segment(frames, model=model)
    assert len(result) == 6
    saved = result.save(tmp_path / "memory", formats=("palette", "overlay"))
    assert check_output(saved.folder) == []
    part = covos.segment(clip, model=model, range=range(4, 9))
    assert [mask.stem for mask in part] == [f"{index:05d}" for index in range(4, 9)]
    saved = part.save(tmp_path / "part", formats=("palette", "overlay"))
    assert check_output(saved.folder) == []
    plan = Plan(source=str(clip), range=range(5), formats=("palette",))
    assert Job(plan, tmp_path / "stopped", load=lambda _: model).run().frames == 5  # type: ignore[union-attr]
    with pytest.raises(UsageError) as caught:
        Job(plan.model_copy(update={"range": covos.Range(end="f6")}), tmp_path / "stopped", load=lambda _: model).run()
    assert caught.value.why == (
        "range: frames 0 to 4 of the source, times from zero before, frames 0 to 5 of the source, times from zero now"
    )
    job = Job(Plan(source=frames, formats=("palette",)), tmp_path / "job", load=lambda _: model)
    assert job.run().frames == 6  # type: ignore[union-attr]


def test_a_stream_that_is_cancelled_says_so(model: Model, clip: Path) -> None:
    job = Job(Plan(source=str(clip)), load=lambda _: model)
    results = job.stream()
    next(results)
    job.cancel()
    with pytest.raises(CancelledError, match="the job was cancelled"):
        list(results)
    early = Job(Plan(source=str(clip)), load=lambda _: model)
    early.cancel()
    with pytest.raises(CancelledError):
        early.stream()


def test_the_state_is_that_of_the_work(model: Model, clip: Path, tmp_path: Path) -> None:
    left = Job(Plan(source=str(clip)), load=lambda _: model)
    for event in (events := iter(left)):
        if isinstance(event, FrameDone):
            break
    events.close()  # type: ignore[attr-defined]
    assert left.state == "cancelled"

    def fail(event: Event) -> None:
        if isinstance(event, Finished):
            raise ValueError("the listener's own")

    done = Job(Plan(source=str(clip), formats=("palette",)), tmp_path / "out", load=lambda _: model)
    with pytest.raises(ValueError, match="the listener's own"):
        done.run(fail)
    assert done.state == "done"
    assert check_output(tmp_path / "out") == []


@pytest.mark.parametrize("task", ["forward", "backward"])
def test_following_stops_within_a_batch(model: Model, clip: Path, random_follower: Path, task: str) -> None:
    from covos.engines.follow_pass import FollowPass

    steps: list[int] = []
    job = Job(plans(clip, random_follower)[task], load=lambda _: model)
    step = FollowPass.step
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            FollowPass, "step", lambda self, index, *a, **k: steps.append(index) or step(self, index, *a, **k)
        )
        for event in job:
            if is_followed(event) and job.state == "running":
                job.cancel()
    # As many are computed ahead, and the first frame waits for those that it is brought together with.
    assert len(steps) <= 1 + BATCH + AROUND


def warned_of_masks(model: Model, clip: Path, random_follower: Path, masks: dict[int, np.ndarray]) -> list[str]:
    prompts = tuple(MaskPrompt(frame=frame, labels=labels) for frame, labels in masks.items())
    plan = Plan(source=str(clip), task=Follow(prompts=prompts, follower=str(random_follower)))
    return [each.text for each in Job(plan, load=lambda _: model) if isinstance(each, Warned)]


def test_masks_without_an_id_on_several_frames_are_spoken_of(model: Model, clip: Path, random_follower: Path) -> None:
    mask = np.zeros((48, 64), bool)
    mask[10:30, 10:30] = True
    (text,) = warned_of_masks(model, clip, random_follower, {0: mask, 3: mask})
    assert "on frames 0, 3, show as many objects: 1, 2" in text
    assert text.endswith("if they are of one object, give all the id 1")
    assert warned_of_masks(model, clip, random_follower, {0: mask}) == []
    named = mask.astype(np.uint8)
    assert warned_of_masks(model, clip, random_follower, {0: named, 3: named}) == []
