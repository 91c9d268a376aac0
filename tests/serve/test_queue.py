"""The queue: what waits, as clients see it."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from covos.core.types import SourceInfo
from covos.media.range import Range
from covos.plan import Plan
from covos.serve.clip import Clip
from covos.serve.queue import Work, WorkQueue
from covos.serve.workers import TaskWorker, Video


def test_a_download_that_is_stopped_while_it_waits_is_not_in_the_making(tmp_path: Path) -> None:
    queue = WorkQueue(TaskWorker(Plan(source="clip"), root=tmp_path), limit=4)  # not started: all waits
    info = SourceInfo(
        path="clip.mp4",
        kind="video",
        height=4,
        width=6,
        frame_count=9,
        frame_rate=Fraction(25),
        duration=0.36,
        time_base=Fraction(1, 25),
    )
    folder = tmp_path / "one"
    folder.mkdir()
    clip = Clip.begin(folder, name="clip.mp4", video=Video(path="clip.mp4"), info=info, size=7)
    clip.change(state="cancelled")  # its search was stopped, and could go on
    part = Range(start="f3")
    queue.put(Work(clip=clip, stage="exporting", run=lambda: None, download="webm", range=part))
    (name, made), *rest = queue.view(clip).results.items()
    assert (name, made.state, made.range, rest) == ("webm", "making", part, [])
    stopped = queue.cancel(clip)
    assert (stopped.results, stopped.state) == ({}, "cancelled")
    again = queue.view(Clip.load(folder))
    assert (again.results, again.state) == ({}, "cancelled")
