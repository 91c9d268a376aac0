"""The queue: what waits, as clients see it."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from covos.media.range import Range
from covos.plan import Plan
from covos.serve import clip as clips
from covos.serve import workers
from covos.serve.clip import Clip
from covos.serve.queue import Work, WorkQueue
from covos.serve.schema import JobView, Wanted
from covos.serve.workers import Note, Progress, Task, TaskWorker
from serve.answers import mask_of
from serve.serving import COUNT, Deaf, Held, Written, begun, wait_for, wait_until


def test_a_download_that_is_stopped_while_it_waits_is_not_in_the_making(tmp_path: Path) -> None:
    queue = WorkQueue(TaskWorker(Plan(source="clip"), root=tmp_path), limit=4)  # not started: all waits
    clip = begun(tmp_path / "one")
    clip.change(state="cancelled")  # its search was stopped, and could go on
    part = Range(start="f3")
    wanted = Wanted(range=part, matte=True)
    queue.put(Work(clip=clip, stage="exporting", run=lambda: None, download="webm", wanted=wanted))
    (name, made), *rest = queue.view(clip).results.items()
    assert (name, made.state, made.range, made.matte, rest) == ("webm", "making", part, True, [])
    stopped = queue.cancel(clip)
    assert (stopped.results, stopped.state) == ({}, "cancelled")
    again = queue.view(Clip.load(clip.folder))
    assert (again.results, again.state) == ({}, "cancelled")


def test_notes_are_of_the_last_time_and_a_step_before_the_work_is_named(tmp_path: Path) -> None:
    """Who opens the page meanwhile is not told that frames are found that were only looked at for cuts."""
    seen, notes = list[str](), [Note(text="the first time"), Note(text="the second time")]

    class Networks:
        def run(self, task: Task, *, name: str, job: str, stopped: object) -> Iterator[Progress | Note]:
            yield Progress(done=9, total=9, step="looking for cuts")
            seen.append(queue.view(clip).step)
            yield Progress(done=1, total=9)
            seen.append(queue.view(clip).step)
            yield notes[0]
            yield notes.pop(0)

    clip = begun(tmp_path / "one")
    queue = WorkQueue(Networks(), limit=4)  # type: ignore[arg-type]
    queue.start()
    for told in (("the first time",), ("the second time",)):
        queue.put(Work(clip=clip, stage="tracking", run=lambda: queue.follow(clip, None)), state="queued")  # type: ignore[arg-type]
        wait_for(queue, clip)
        assert queue.view(clip).notes == told
    assert seen == ["looking for cuts", ""] * 2


def test_a_job_at_rest_counts_its_frames_not_those_of_its_last_work(tmp_path: Path) -> None:
    seen = list[tuple[int, int]]()

    def write() -> None:
        clip.done, clip.total, clip.step = 3, 4, "looking at edges"
        seen.append(counts(clip))

    def counts(clip: Clip) -> tuple[int, int]:
        view = queue.view(clip)
        return view.done, view.total

    clip = begun(tmp_path / "one")
    clip.found(mask_of(index, 1) for index in range(5))
    clip.change(state="cancelled")
    queue = WorkQueue(TaskWorker(Plan(source="clip"), root=tmp_path), limit=4)
    queue.start()
    queue.put(Work(clip=clip, stage="exporting", run=write, download="webm"))
    wait_for(queue, clip)
    assert seen == [(3, 4)]
    assert (counts(clip), queue.view(clip).step) == ((5, COUNT), "")
    assert counts(Clip.load(clip.folder)) == (5, COUNT), "as after a start of the server"
    queue.close()


def test_a_search_is_done_when_nothing_is_refused_for_it(tmp_path: Path) -> None:
    """Else a client that waits for the end would be told that the clip is busy."""
    seen = list[str]()

    def search() -> None:
        clip.change(state="done")
        seen.append(queue.view(clip).state)

    clip = begun(tmp_path / "one")
    queue = WorkQueue(TaskWorker(Plan(source="clip"), root=tmp_path), limit=4)
    queue.start()
    queue.put(Work(clip=clip, stage="finding", run=search), state="queued")
    wait_for(queue, clip)
    assert (seen, queue.view(clip).state) == (["running"], "done")


def test_a_disk_that_is_full_for_a_while_costs_one_work_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full, ran = threading.Event(), list[str]()
    write = clips.write_record

    def write_if_there_is_room(*given: Any) -> None:
        if full.is_set():
            raise OSError(errno.ENOSPC, "No space left on device")
        write(*given)

    def note(_: JobView) -> None:
        if full.is_set():
            raise OSError(errno.ENOSPC, "No space left on device")

    def search() -> None:
        full.set()
        one.change(state="running")

    monkeypatch.setattr(clips, "write_record", write_if_there_is_room)
    one, other = begun(tmp_path / "one"), begun(tmp_path / "other")
    queue = WorkQueue(TaskWorker(Plan(source="clip"), root=tmp_path), limit=4, note=note)
    queue.start()
    queue.put(Work(clip=one, stage="finding", run=search), state="queued")
    wait_for(queue, one)
    assert one.kept.state == "failed"
    assert one.kept.error is not None
    assert "No space left" in str(one.kept.error)
    other.kept = other.kept.model_copy(update={"state": "cancelled"})
    with pytest.raises(OSError, match="No space left"):
        queue.put(Work(clip=other, stage="finding", run=lambda: ran.append("too early")), state="queued")
    assert (other.kept.state, queue.busy(other)) == ("cancelled", None), "it does not wait, and does not say so"

    full.clear()
    queue.put(Work(clip=other, stage="finding", run=lambda: ran.append("other")), state="queued")
    wait_for(queue, other)
    assert ran == ["other"]
    queue.close()


@pytest.mark.parametrize("deleted", [False, True])
def test_work_that_is_stopped_while_it_waits_for_its_process_is_not_done(deleted: bool, tmp_path: Path) -> None:
    networks = TaskWorker(None, root=tmp_path)
    noted = list[str]()
    queue = WorkQueue(networks, limit=4, note=lambda view: noted.append(view.id))
    queue.start()
    clip = begun(tmp_path / "one")
    clip.change(state="done")
    held = tmp_path / "held"
    held.touch()
    before = networks.run(Held(file=str(held)), name="a cut-out")
    next(before)
    task = Written(folder=str(clip.run))
    queue.put(Work(clip=clip, stage="tracking", run=lambda: queue.follow(clip, task)), state="queued")
    wait_until(lambda: queue.view(clip).stage is not None, what="the track does not begin")
    if deleted:
        queue.drop(clip)
        clip.remove()
        noted.clear()
    else:
        queue.cancel(clip)
    wait_for(queue, clip)  # though the task before it goes on
    held.unlink()
    list(before)
    assert not clip.run.exists()
    assert clip.folder.exists() != deleted
    assert (noted == []) == deleted
    if not deleted:
        assert (clip.kept.state, queue.view(clip).notes) == ("done", ())
    queue.close()
    networks.close()


@pytest.mark.parametrize("deleted", [False, True])
def test_a_clip_whose_decoder_never_answers_is_cancelled_within_seconds(
    deleted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "DEAF", 0.2)
    networks = TaskWorker(None, root=tmp_path)
    queue = WorkQueue(networks, limit=4)
    queue.start()
    clip, other = begun(tmp_path / "one"), begun(tmp_path / "other")
    task = Written(folder=str(other.run))
    queue.put(Work(clip=clip, stage="finding", run=lambda: queue.follow(clip, Deaf())), state="queued")
    queue.put(Work(clip=other, stage="finding", run=lambda: queue.follow(other, task)), state="queued")
    wait_until(lambda: clip.done > 0, what="the search does not begin")
    process = clip.done
    if deleted:
        queue.drop(clip)
        clip.remove()
    else:
        assert queue.cancel(clip).stage == "finding", "it says that it works until it has ended"
    wait_for(queue, clip)
    if not deleted:
        view = queue.view(clip)
        assert (view.state, view.error) == ("cancelled", None)
        (note,) = view.notes
        assert "its process was ended" in note
    assert clip.folder.exists() != deleted
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)
    wait_for(queue, other)
    assert (other.run / "masks").read_text() == "found", "another process works on"
    assert networks.restarts == 1
    queue.close()
    networks.close()


def test_whoever_has_heard_enough_of_a_decoder_that_never_answers_is_not_held_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "DEAF", 0.2)
    worker = TaskWorker(None, root=tmp_path)
    answers = worker.run(Deaf(), name="clip.mp4")
    next(answers)
    answers.close()  # type: ignore[attr-defined]
    assert (worker.is_free, worker.restarts) == (True, 1)
    list(worker.run(Written(folder=str(tmp_path / "run")), name="clip.mp4"))
    assert (tmp_path / "run" / "masks").is_file()
    worker.close()


def test_what_a_work_writes_after_its_clip_was_deleted_goes_as_well(tmp_path: Path) -> None:
    noted = list[str]()
    queue = WorkQueue(TaskWorker(None, root=tmp_path), limit=4, note=lambda view: noted.append(view.id))
    clip = begun(tmp_path / "one")

    def search() -> None:
        queue.drop(clip)
        clip.remove()
        noted.clear()
        clip.run.mkdir(parents=True)

    queue.put(Work(clip=clip, stage="finding", run=search), state="queued")
    queue.start()
    wait_for(queue, clip)
    assert not clip.folder.exists()
    assert noted == []
    queue.close()


def test_a_step_that_begins_is_told_at_once(tmp_path: Path) -> None:
    """The next news of it may be seconds away, and the last of the step before would stand meanwhile."""
    clip, told = begun(tmp_path / "one"), list[tuple[str, int]]()

    class Networks:
        def run(self, task: Task, *, name: str, job: str, stopped: object) -> Iterator[Progress]:
            for step, done in (("loading", 0), ("looking for cuts", 1), ("looking for cuts", 9), ("", 0)):
                yield Progress(done=done, total=9, step=step)
            seen.extend(told)

    class Heard(WorkQueue):
        def tell(self, clip: Clip, kind: str, content: Any) -> None:
            if kind == "progress":
                told.append((content["step"], content["done"]))

    seen = list[tuple[str, int]]()
    queue = Heard(Networks(), limit=4)  # type: ignore[arg-type]
    queue.start()
    queue.put(Work(clip=clip, stage="finding", run=lambda: queue.follow(clip, None)))  # type: ignore[arg-type]
    wait_for(queue, clip)
    assert [each for each in seen if each != ("looking for cuts", 9)] == [
        ("loading", 0),
        ("looking for cuts", 1),
        ("", 0),
    ]
