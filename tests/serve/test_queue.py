"""The queue: what waits, as clients see it."""

from __future__ import annotations

from pathlib import Path

from covos.media.range import Range
from covos.plan import Plan
from covos.serve.clip import Clip
from covos.serve.queue import Work, WorkQueue
from covos.serve.schema import Wanted
from covos.serve.workers import TaskWorker
from serve.serving import begun


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
