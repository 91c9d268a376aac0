"""Runs that run out of memory: they go on with less and say so, or end in three lines and go on later."""

from __future__ import annotations

import contextlib
import gc
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from covos.cli import main
from covos.core.errors import EnvironmentProblem
from covos.core.memory import free_address_space, free_memory, give_back
from covos.core.progress import counted
from covos.engines.steps import LadderStep
from covos.events import Event, Started, SteppedDown, Warned
from covos.job import Job
from covos.model import Model
from covos.models.lite import CovosLite
from covos.plan import Plan
from covos.prompts.values import MaskPrompt
from covos.results.loading import load_result
from covos.runs.room import LEAST_ADDRESS_SPACE, memory_needed, memory_notes, refuse_little_memory
from covos.runs.schema import load_report
from covos.runs.writing import Saved
from covos.task import Find, Follow
from starving import above, always, at, starve

MakeClip = Callable[..., Path]


@pytest.fixture
def run(model: Model, clip: Path, tmp_path: Path) -> Callable[..., tuple[Saved, list[Event]]]:
    def run(name: str) -> tuple[Saved, list[Event]]:
        events: list[Event] = []
        plan = Plan(source=str(clip), formats=("palette",))
        saved = Job(plan, tmp_path / name, load=lambda _: model).run(events.append)
        assert isinstance(saved, Saved)
        return saved, events

    return run


def test_each_step_is_told_and_stands_in_the_report(run, model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, events = run("whole")
    assert not any(isinstance(event, Warned) for event in events)
    before = json.loads(whole.report.read_text())
    assert before["degraded"] is False
    starve(monkeypatch, CovosLite, "encode", rule=above(1))
    saved, events = run("short")
    told = [event for event in events if isinstance(event, SteppedDown)]
    report = json.loads(saved.report.read_text())
    assert saved.degraded
    assert report["degraded"] is True
    assert [step["kind"] for step in report["steps_down"]] == ["again", "frames"]
    assert [event.step.kind for event in told] == ["again", "frames"]
    assert "CUDA out of memory" in report["steps_down"][0]["why"]
    assert "2 frames at a time" in told[-1].text
    assert told[-1].text in saved.page.read_text().replace("&#39;", "'")
    assert not model.engine.ladder.steps, "the next video begins with whole batches"
    one, other = load_result(saved.folder), load_result(whole.folder)
    assert len(one) == len(other) == 8
    for ours, theirs in zip(one, other, strict=True):
        assert (ours.labels != theirs.labels).mean() < 1e-3
    assert [step.kind for step in one.origin.steps_down] == ["again", "frames"]
    kept = one.save(saved.folder.with_name("again"), formats=("coco",))
    assert load_report(kept.folder).degraded, "masks that are written again come from the same run"


def test_the_end_is_three_lines_and_the_same_command_goes_on(
    run, make_clip: MakeClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_clip(frames=12)  # in place of `clip`
    expected, _ = run("whole")
    with monkeypatch.context() as short:
        # The references and the first two batches are computed; the frames of the first need those of the second.
        starve(short, CovosLite, "encode", rule=lambda call, *_: call > 13, kind="processor")
        with pytest.raises(EnvironmentProblem) as caught:
            run("stopped")
    assert caught.value.exit_code == 5
    assert "out of memory" in caught.value.what
    assert "can't allocate memory" in caught.value.why
    assert "frames of 64 x 48 take about" in caught.value.why
    assert "the same command goes on from there" in caught.value.fix
    report = load_report(tmp_path / "stopped")
    assert report.problem is not None
    assert report.degraded
    saved, _ = run("stopped")
    assert saved.resumed == 4
    assert load_report(saved.folder).degraded, "a part of its masks was made with less"
    masks = [np.asarray(each.labels) for each in load_result(saved.folder)]
    for ours, theirs in zip(masks, load_result(expected.folder), strict=True):
        assert (ours != theirs.labels).mean() < 1e-3


def test_masks_in_memory_say_so_too(model: Model, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    starve(monkeypatch, CovosLite, "encode", rule=at(2))
    result = Job(Plan(source=str(clip)), load=lambda _: model).run()
    assert not isinstance(result, Saved)
    assert [step.kind for step in result.origin.steps_down] == ["again"]


def test_nothing_is_left_where_no_frame_was_computed(run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    starve(monkeypatch, CovosLite, "encode", rule=always, kind="python")
    with pytest.raises(EnvironmentProblem, match="out of memory"):
        run("nothing")
    assert not (tmp_path / "nothing").exists()


def test_on_the_command_line(
    clip: Path, tmp_path: Path, model: Model, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("covos.job.load_planned", lambda _: model)
    monkeypatch.setattr("covos.job.Job", lambda plan, folder: Job(plan, folder, load=lambda _: model))
    # In the midst of the frames, whose bar goes on.
    starve(monkeypatch, CovosLite, "encode", rule=at(7))
    assert main(["segment", str(clip), "-o", str(tmp_path / "out"), "-f", "palette"]) == 0
    said = capsys.readouterr().err
    assert "warning" in said
    assert "the memory ran out" in said
    assert "8 frames in" in said


def test_a_step_in_words() -> None:
    assert LadderStep(kind="objects", together=2, why="no").text.endswith("2 objects at a time from here on")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the limit is that of Linux")
@pytest.mark.parametrize("left", [60, 120])
def test_a_limit_on_the_address_space(clip: Path, tmp_path: Path, left: int) -> None:
    """Left after the libraries are loaded: libraries end the process there, so it is refused before.

    After many other tests the child finds some 200 MB more: it unmaps what threads of its parent had.
    """
    from children import in_child  # it needs POSIX, too

    child = in_child(lambda: segment_within(left * 1_000_000, clip, tmp_path / "out"), seconds=60)
    assert child.end == "answered", child.answer
    code, said = child.answer
    assert code == 5, said
    assert "error: out of memory" in said
    assert "frames of 64 x 48 take about" in said
    assert "fix: raise the limit" in said
    assert not (tmp_path / "out").exists()


def segment_within(left: int, clip: Path, out: Path) -> tuple[int, str]:
    """Segment where so many bytes of address space are left; return the exit code and what is said."""
    import resource

    gc.collect()
    give_back()  # or what other tests have left in the heap would be free as well
    rows = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    taken = next(int(row.split()[1]) for row in rows if row.startswith("VmSize")) * 1024
    resource.setrlimit(resource.RLIMIT_AS, (taken + left, taken + left))
    with contextlib.redirect_stderr(io.StringIO()) as said:
        code = main(["segment", str(clip), "-o", str(out)])
    return code, said.getvalue()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the limit is that of Linux")
def test_a_limit_under_which_nothing_can_be_loaded(clip: Path, tmp_path: Path) -> None:
    program = "import resource, sys; resource.setrlimit(resource.RLIMIT_AS, (800_000_000,) * 2); "
    program += "from covos.cli import main; sys.exit(main(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", program, "segment", str(clip), "-o", str(tmp_path / "out")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 5, done.stderr
    assert "out of memory before the libraries are loaded" in done.stderr
    assert "0.7 GB of address space" in done.stderr or "0.8 GB of address space" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.thorough
@pytest.mark.skipif(sys.platform != "linux", reason="the limit is one of Linux")
@pytest.mark.parametrize("kilobytes", range(1_500_000, 3_300_000, 100_000))
def test_any_limit_ends_in_clear_words_or_in_the_whole_result(clip: Path, tmp_path: Path, kilobytes: int) -> None:
    command = (
        f"ulimit -v {kilobytes}; exec {sys.executable} -m covos segment {clip} -o {tmp_path / 'out'} --device cpu -q"
    )
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode in {0, 5}, done.stderr
    assert done.returncode == 0 or "memory" in done.stderr
    assert "bug of ours" not in done.stderr


def test_large_frames_are_warned_of(info, monkeypatch: pytest.MonkeyPatch) -> None:
    small, large = info(), info(height=4320, width=7680)
    assert memory_needed(large) > 5e9 > memory_needed(small)
    monkeypatch.setattr("covos.runs.room.free_address_space", lambda: None)
    monkeypatch.setattr("covos.runs.room.free_memory", lambda: 2_000_000_000)
    assert memory_notes(small) == ()
    (note,) = memory_notes(large)
    assert "7680 x 4320" in note
    assert "2.0 GB are free" in note
    assert "which follow" not in note
    monkeypatch.setattr("covos.runs.room.free_address_space", lambda: LEAST_ADDRESS_SPACE - 1)
    with pytest.raises(EnvironmentProblem, match="before the first frame"):
        refuse_little_memory(small)


def test_objects_that_are_followed_take_more(info, monkeypatch: pytest.MonkeyPatch) -> None:
    found, one, two, three = (memory_needed(info(), objects=count) for count in range(4))
    assert one - found > three - two == two - one > 0
    monkeypatch.setattr("covos.runs.room.free_address_space", lambda: None)
    monkeypatch.setattr("covos.runs.room.free_memory", lambda: one)
    assert memory_notes(info(), objects=1) == ()
    (note,) = memory_notes(info(), objects=2)
    assert "for the networks, which follow 2 objects, and" in note


def test_a_job_counts_the_objects_that_it_follows(
    model: Model, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("covos.runs.room.free_memory", lambda: 1_000_000_000)
    labels = np.zeros((48, 64), np.uint8)
    labels[8:16, 8:16], labels[24:32, 30:40] = 1, 2
    tasks = {
        0: Find(),
        1: Find(quality="best"),
        2: Follow(prompts=(MaskPrompt(labels=labels),)),
    }
    for count, task in tasks.items():
        job = Job(Plan(source=str(clip), task=task), tmp_path / str(count), load=lambda _: model)
        warned = []
        for event in job:
            warned += [event.text] if isinstance(event, Warned) else []
            if isinstance(event, Started) and event.stage == "ready":
                job.cancel()
        spoken = [text for text in warned if "it may run out" in text]
        assert len(spoken) == (count > 0)
        if count:
            assert f"which follow {counted(count, 'object')}" in spoken[0]


@pytest.mark.skipif(sys.platform != "linux", reason="the system does not tell")
def test_memory_that_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    import resource

    free, machine = free_memory(), os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert free is not None
    assert 0 < free < machine
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert free_address_space() is None
    limit = 1 << 46
    monkeypatch.setattr(resource, "getrlimit", lambda _: (limit, limit))
    left = free_address_space()
    assert left is not None
    assert limit // 2 < left < limit - (1 << 28)  # this process takes some itself
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1 << 20, limit))
    assert free_address_space() == 0


def test_a_session_tells_each_step(
    model: Model, random_follower: Path, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[LadderStep] = []
    mask = np.zeros((48, 64), np.uint8)
    mask[12:28, 0:16] = 1
    with model.session(clip, follower=random_follower, listen=told.append) as session:
        session.add_labels(0, labels=mask)
        whole = session.propagate()
        assert (told, session.steps_down, whole.origin.steps_down) == ([], (), ())
    with model.session(clip, follower=random_follower, listen=told.append) as session:
        session.add_labels(0, labels=mask)
        starve(monkeypatch, CovosLite, "encode", rule=above(1))
        result = session.propagate()
        assert [step.kind for step in told] == ["again", *["frames"] * (len(told) - 1)]
        assert told[-1].together == 1
        assert session.steps_down == tuple(told) == result.origin.steps_down
    assert model.engine.ladder.listen is None


def test_a_session_without_memory_says_how_much_it_takes(
    model: Model, random_follower: Path, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    starve(monkeypatch, CovosLite, "encode", rule=always)
    with model.session(clip, follower=random_follower) as session:
        session.add_labels(0, labels=np.eye(48, 64, dtype=np.uint8))
        for run in (session.propagate, lambda: list(session.stream()), session.discover):
            with pytest.raises(EnvironmentProblem, match="out of memory") as failed:
                run()
            assert "take about" in failed.value.why
