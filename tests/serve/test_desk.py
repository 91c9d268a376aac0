"""The desk: what a server that was stopped goes on with, and what none of its messages name."""

from __future__ import annotations

import asyncio
import errno
import math
import os
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from covos.core.errors import CancelledError, CovosError, EnvironmentProblem, UsageError
from covos.media.range import Range
from covos.plan import Plan
from covos.serve import workers
from covos.serve.address import Address
from covos.serve.clip import Clip
from covos.serve.desk import Desk
from covos.serve.edits import Edit
from covos.serve.errors import BusyError, NotYetError, SilentError
from covos.serve.guard import status_of
from covos.serve.index import Index
from covos.serve.queue import Work, WorkQueue
from covos.serve.rules import Rules
from covos.serve.running import run_server
from covos.serve.schema import Problem
from covos.serve.to_open import ToOpen
from covos.serve.workers import Note, TaskWorker, Video
from serve.answers import CLICK, mask_of
from serve.serving import Deaf, Endless, begun, wait_for, wait_until

PLAN = Plan(source="clip")


def a_clip(root: Path, name: str, *, opened: Path | None = None) -> Clip:
    """A clip that is done; of a finished run, if one is given."""
    clip = begun(root / name, source=root.parent / "films" / "shot.mp4")
    clip.change(state="done")
    if opened is not None:
        clip.open(Edit(kind="opened", seeds=(), things=(), frames={}), run=(str(opened), 1))
    return clip


def started_again(root: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A desk as it stands after its start, but nothing is computed."""
    monkeypatch.setattr(TaskWorker, "offer", lambda *_, **__: None)
    monkeypatch.setattr(WorkQueue, "start", lambda _: None)
    monkeypatch.setattr(Desk, "_make_proxies", lambda _: None)
    desk = Desk(Rules(root=root), plan=PLAN)
    desk.start()
    return desk


@pytest.mark.parametrize("state", ["queued", "running"])
def test_a_track_that_was_cut_off_leaves_the_clip_as_it_was(
    state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "clips"
    queue = WorkQueue(TaskWorker(PLAN, root=root), limit=9)  # not started: all waits
    for name, opened, stage in (
        ("own", None, "tracking"),
        ("half", None, "tracking"),
        ("run", tmp_path, "tracking"),
        ("new", None, "finding"),
    ):
        clip = a_clip(root, name, opened=opened)
        queue.put(Work(clip=clip, stage=stage, run=lambda: None), state="queued")  # type: ignore[arg-type]
        clip.change(state=state)
    before = a_clip(root, "before", opened=tmp_path)  # a server of before looked for a subject in the user's run
    before.change(state="failed")

    monkeypatch.setattr("covos.serve.desk.is_finished", lambda run: run.parent.name == "own")
    desk = started_again(root, monkeypatch)
    views = {clip.id: desk.queue.view(clip) for clip in desk.clips()}
    assert {name: view.state for name, view in views.items()} == {
        "own": "done",
        "half": "cancelled",  # its search was stopped before, and can go on
        "run": "done",
        "before": "done",
        "new": "queued",
    }
    assert not any(view.notes for view in views.values())
    assert {clip.id for clip in desk.clips() if desk.queue.busy(clip)} == {"new"}


@pytest.mark.parametrize("state", ["done", "failed", "cancelled"])
def test_in_a_run_that_was_opened_nothing_is_found_anew(state: str, tmp_path: Path) -> None:
    desk = Desk(Rules(root=tmp_path / "clips"), plan=PLAN)
    clip = a_clip(tmp_path / "clips", "run", opened=tmp_path)
    clip.change(state=state)
    with pytest.raises(NotYetError, match="a finished run"):
        desk.retry(clip)
    assert desk.queue.busy(clip) is None


def test_a_file_that_is_opened_again_goes_on_with_the_work_of_before(tmp_path: Path) -> None:
    file = tmp_path / "shot.mp4"
    file.write_bytes(b"a video")
    root = tmp_path / "clips"
    clip = begun(root / "one", source=file)
    written = file.stat()
    clip.change(state="done", size_bytes=written.st_size, modified=written.st_mtime_ns)
    part = begun(root / "part", source=file)
    part.change(
        state="done",
        size_bytes=written.st_size,
        modified=written.st_mtime_ns,
        range=Range(start="f1"),
        info=replace(part.info, start=1, frame_count=part.info.frame_count - 1, times="zero"),
        created="2999-01-01T00:00:00+00:00",
    )
    desk = Desk(Rules(root=root), plan=PLAN)
    desk._clips = {each.id: each for each in (clip, part)}
    try:
        assert desk.open(ToOpen(path=file)) is clip
        assert desk.opening is not None
        assert desk.opening.job == clip.id
        with pytest.raises(CovosError):  # it is read anew, and is no video
            desk.open(ToOpen(path=file), fresh=True)
        os.utime(file, ns=(1, 1))
        with pytest.raises(CovosError):
            desk.open(ToOpen(path=file))
    finally:
        desk.close()


@pytest.mark.parametrize("deleted", [False, True])
@pytest.mark.parametrize("process", ["_pictures", "_clicks", pytest.param("_networks", marks=pytest.mark.thorough)])
def test_a_picture_or_a_click_that_never_comes_holds_no_other_up(
    process: str, deleted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "DEAF", 0.2)
    clip, other = (begun(tmp_path / "clips" / name) for name in ("one", "other"))
    assert clip.video == other.video
    desk = Desk(Rules(root=tmp_path / "clips"), plan=PLAN)
    end = desk.delete if deleted else desk.cancel
    worker: TaskWorker = getattr(desk, process)
    answers = worker.run(Deaf(video=clip.video), name="clip.mp4", job=clip.id)
    next(answers)
    end(other)
    assert worker._now is not None
    assert not worker._now[1].is_set(), "the task is of another job, though of the same file"
    end(clip)
    with pytest.raises(CancelledError):
        list(answers)
    assert worker.is_free
    desk.close()


def test_a_file_that_makes_a_decoder_spin_is_refused_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "LOOK", 0.2)
    monkeypatch.setattr("covos.serve.arrivals.Probe", Deaf)
    monkeypatch.setattr("covos.serve.desk.MakeProxy", lambda video, target: Deaf(video=video))
    file = tmp_path / "films" / "shot.mp4"
    file.parent.mkdir()
    file.write_bytes(b"a video")
    desk = Desk(Rules(root=tmp_path / "clips"), plan=PLAN)
    with pytest.raises(SilentError, match=r"^shot\.mp4: it cannot be read") as refused:
        desk.arrivals.add_path(Video(path=str(file)), name="shot.mp4")
    assert status_of(refused.value) == 422
    assert "for 0 seconds, so its process was ended" in refused.value.why
    assert not desk.clips()
    assert not [each for each in desk.rules.root.iterdir() if each.is_dir()]
    assert (desk._pictures.is_free, desk._pictures.restarts) == (True, 1)

    clip = begun(tmp_path / "clips" / "one", source=file)
    desk._make_proxy(clip)
    (note,) = desk.queue.view(clip).notes
    assert note.startswith("it cannot be played here, only looked at frame by frame: nothing came of it")
    desk.close()


def test_a_click_that_never_comes_ends_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOOK", "COMPUTING"):
        monkeypatch.setattr(workers, name, 0.2)
    file = tmp_path / "shot.mp4"
    file.write_bytes(b"a video")
    clip = begun(tmp_path / "clips" / "one", source=file)
    clip.found([mask_of(0)])
    monkeypatch.setattr("covos.serve.editing.Click", lambda **_: Deaf(video=clip.video))
    desk = Desk(Rules(root=tmp_path / "clips"), plan=PLAN)
    with pytest.raises(SilentError, match=r"^shot\.mp4: no answer came") as refused:
        desk.editing.prompt(clip, CLICK)
    assert status_of(refused.value) == 422
    assert "damaged" not in refused.value.fix
    assert (desk._clicks.is_free, desk._clicks.restarts, clip.history.revision) == (True, 1, 0)
    desk.close()


def test_the_patience_with_a_file_grows_with_its_size(tmp_path: Path) -> None:
    file = tmp_path / "film.mov"
    with file.open("wb") as content:
        content.truncate(3_000_000_000)
    assert Video(path=str(file)).patience == 60 + 300
    assert Video(path=str(tmp_path)).patience == math.inf, "a folder of pictures says nothing of their number"


def test_two_servers_never_have_the_same_clips(tmp_path: Path) -> None:
    one, other = (Desk(Rules(root=tmp_path / "clips"), plan=PLAN) for _ in range(2))
    with one.alone():
        with pytest.raises(EnvironmentProblem, match="are open in another covos") as refused, other.alone():
            pass
        assert f"process {os.getpid()} on " in refused.value.why
        assert "--root" in refused.value.fix
    with other.alone():
        pass


def test_the_time_of_the_last_edit_is_known(tmp_path: Path) -> None:
    clip = a_clip(tmp_path / "clips", "one")
    assert clip.edited == datetime.fromisoformat(clip.kept.created)
    clip.add(clip.history.edit("object"))
    (edit,) = clip.folder.joinpath("edits").glob("*.jsonl")
    os.utime(edit, (86400, 86400))
    assert clip.edited == datetime(1970, 1, 2, tzinfo=UTC)


def test_no_message_names_the_places_of_a_clip(tmp_path: Path) -> None:
    run = tmp_path / "a user's" / "r9"
    clip = a_clip(tmp_path / "clips", "run", opened=run)
    said = f"{run} holds another result, {tmp_path}/films/other.mp4 and {clip.folder}/edits do not"

    class Networks:
        def run(self, task: Any, *, name: str, job: str, stopped: object) -> Iterator[Note]:
            yield Note(text=said)
            raise UsageError(said, why=said, fix="")

    queue = WorkQueue(Networks(), limit=4)  # type: ignore[arg-type]
    work = Work(clip=clip, stage="exporting", run=lambda: queue.follow(clip, None, take=print), download="npz")  # type: ignore[arg-type]
    queue.put(work)
    queue.start()
    wait_for(queue, clip)
    hidden = "shot.mp4 holds another result, shot.mp4 and shot.mp4 do not"
    assert queue.view(clip).notes == (hidden,)
    error = queue.view(clip).results["npz"].error
    assert error is not None
    assert str(tmp_path) not in str(error)
    # A request that fails beside the queue is answered by the desk.
    desk = Desk(Rules(root=tmp_path / "clips"), plan=PLAN)
    desk._clips[clip.id] = clip
    assert str(tmp_path) not in str(desk.in_public(UsageError(said, why=said, fix=said)))


def test_the_places_of_a_video() -> None:
    assert Video(path="/films/shot.mp4").places == ("/films/shot.mp4", "/films")
    for path in ("/shot.mp4", "shot.mp4", "films/shot.mp4"):  # the folder's name is no word to take out of sentences
        assert Video(path=path).places == (path,)


def test_a_list_of_jobs_reads_no_masks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "clips"
    before = Desk(Rules(root=root), plan=PLAN)
    for name in ("one", "two"):
        clip = before._clips[name] = a_clip(root, name)
        (clip.run / "report.json").parent.mkdir()
        before.queue.changed(clip)
    told = before.views()
    monkeypatch.setattr("covos.serve.desk.is_finished", lambda _: True)

    desk = started_again(root, monkeypatch)
    assert desk.views() == told
    assert not any(clip.is_read for clip in desk.clips())
    assert desk.queue.view(desk.clip("one")).info == next(view for view in told if view.id == "one").info
    assert [clip.id for clip in desk.clips() if clip.is_read] == ["one"]

    # What the index does not know as it is now is read: it was lost, damaged, or is older than the clip.
    desk.clip("two").change(revision=1)
    assert {view.revision for view in desk.views()} == {0, 1}
    for damage in (b"", b"no table" * 600):
        (root / "index.sqlite").write_bytes(damage)
        assert {view.id for view in started_again(root, monkeypatch).views()} == {"one", "two"}
    again = started_again(root, monkeypatch)
    assert {view.id for view in again.views()} == {"one", "two"}
    assert not any(clip.is_read for clip in again.clips()), "it was made anew"
    again.delete(again.clip("two"))
    assert Index(root).get("two") is None


def test_a_file_whose_name_is_not_utf_8_is_a_clip_like_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, source = tmp_path / "clips", os.fsdecode(b"/films/caf\xe9.mp4")
    clip = begun(root / "one", source=source)
    clip.change(state="done")
    assert clip.kept.name == "caf\\udce9.mp4"
    record = clip.folder / "job.json"
    record.write_text(record.read_text().replace("caf\\\\udce9", "caf\\udce9"))  # as it was written before
    other = begun(root / "two")
    other.change(state="done")
    desk = started_again(root, monkeypatch)
    names = {view.name for view in desk.views()}
    assert names == {"caf\\udce9.mp4", "clip.mp4"}
    assert Index(root).get("one") is not None
    assert desk.clip("one").video.path == source, "the file itself is found"
    desk.clip("one").note("playing", "it plays \udce9")  # a text from elsewhere
    assert desk.queue.changed(desk.clip("one")).id == "one"
    with pytest.raises(CovosError):
        desk.open(ToOpen(path=Path(source)))
    assert desk.opening is not None
    assert desk.opening.name == "caf\\udce9.mp4"
    desk.close()


def test_a_clip_that_cannot_be_read_costs_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("one", "two", "three"):
        a_clip(tmp_path / "clips", name)
    go_on = Desk._go_on

    def fail(desk: Desk, clip: Clip) -> None:
        if clip.id == "two":
            raise RuntimeError("the folder is odd")
        go_on(desk, clip)

    monkeypatch.setattr(Desk, "_go_on", fail)
    monkeypatch.setattr("covos.serve.desk.is_finished", lambda _: True)
    desk = started_again(tmp_path / "clips", monkeypatch)
    assert {"one", "three"} <= {clip.id for clip in desk.clips()}
    assert "the folder is odd" in caplog.text


def test_a_clip_that_a_full_disk_stopped_at_the_start_is_found_by_a_retry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "clips"
    clip = a_clip(root, "one")
    clip.change(state="running", task="finding")

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr("covos.serve.clip.write_record", fail)
        desk = started_again(root, monkeypatch)
        stuck = desk.clip("one")
        assert (stuck.kept.state, desk.queue.busy(stuck)) == ("running", None)
        with pytest.raises(OSError, match="No space left"):
            desk.retry(stuck)
    assert desk.retry(stuck).state == "queued"
    assert desk.queue.busy(stuck) == "finding"
    with pytest.raises(NotYetError, match="nothing to do again"):
        desk.retry(stuck)


def test_a_clip_that_a_full_disk_refuses_as_it_arrives_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = started_again(tmp_path / "clips", monkeypatch)
    clip = begun(tmp_path / "clips" / "one")

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("covos.serve.clip.write_record", fail)
    with pytest.raises(OSError, match="No space left"):
        desk._take(clip)
    assert (desk.clips(), clip.folder.exists()) == ([], False)


def test_a_start_that_fails_is_not_laid_on_the_port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: Desk) -> None:
        raise UsageError("the disk is odd", why="it is", fix="mend it")

    monkeypatch.setattr(Desk, "start", fail)
    with pytest.raises(UsageError, match="the disk is odd"):
        run_server(Rules(root=tmp_path / "clips"), address=Address(port=0), plan=PLAN)


def test_a_clip_expires_after_its_last_use_and_not_while_it_is_used(tmp_path: Path) -> None:
    desk = Desk(Rules(root=tmp_path / "clips", expiry=3600.0), plan=PLAN)
    for name in ("waits", "works", "heard", "old"):
        desk._clips[name] = a_clip(tmp_path / "clips", name)

    def expire() -> set[str]:
        """Let each clip be forgotten for long; return those that are left."""
        for each in desk.clips():
            each.seen -= 7200
        desk.expire()
        return {each.id for each in desk.clips()}

    left = list[set[str]]()
    both = [("works", lambda: left.append(expire())), ("waits", lambda: None)]
    for name, run in both:
        desk.queue.put(Work(clip=desk.clip(name), stage="exporting", run=run))

    async def listen() -> None:
        with desk.queue.listening(desk.clip("heard")):
            assert expire() == {"waits", "works", "heard"}
            desk.queue.start()
            await asyncio.to_thread(wait_for, desk.queue, desk.clip("waits"))

    asyncio.run(listen())
    assert left == [{"waits", "works", "heard"}]
    desk.expire()
    assert {each.id for each in desk.clips()} == {"waits", "works", "heard"}, "each was used just now"
    assert expire() == set()
    desk.queue.close()


def test_a_clip_that_nobody_looks_at_leaves_the_memory_and_comes_back_as_it_was(tmp_path: Path) -> None:
    desk = Desk(Rules(root=tmp_path / "clips"), plan=PLAN)
    for name in ("rests", "works", "seen"):
        clip = desk._clips[name] = a_clip(tmp_path / "clips", name)
        clip.found(mask_of(index, 1) for index in range(9))
        desk.editing.confirm(clip, 3)
        desk.editing.show(clip, 1, name="horse", hidden=None)
        desk.editing.go(clip, back=True)
        clip.note("finding", "the clip is dark")
        clip.broken["npz"] = UsageError("it failed", why="it is odd", fix="mend it")
    desk.queue.put(Work(clip=desk.clip("works"), stage="exporting", run=lambda: None))  # not started: it waits
    clip = desk.clip("rests")
    before, frames, glance = desk.queue.view(clip), dict(clip.frames), clip.timeline()
    for name in ("rests", "works"):
        desk.clip(name).seen -= 2 * workers.IDLE
    desk.expire()
    assert [each.id for each in desk.clips() if not each.is_read] == ["rests"]

    assert next(view for view in desk.views() if view.id == "rests") == before, "the index knows it"
    assert not clip.is_read
    assert (desk.queue.view(clip), dict(clip.frames), clip.timeline()) == (before, frames, glance)
    desk.editing.go(clip, back=False)
    assert clip.history.things[0].name == "horse"


def test_no_thread_writes_after_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TaskWorker, "offer", lambda *_, **__: None)
    monkeypatch.setattr("covos.serve.desk.MakeProxy", lambda video, target: Endless())
    desk = Desk(Rules(root=tmp_path / "clips"), plan=PLAN)
    desk.start()
    clip = a_clip(tmp_path / "clips", "one")
    ended = threading.Event()

    def track() -> None:
        try:
            desk.queue.follow(clip, Endless())
        finally:
            time.sleep(0.2)  # it writes what it has found
            ended.set()

    desk.queue.put(Work(clip=clip, stage="tracking", run=track), state="queued")
    desk._without_proxy.put(clip)
    wait_until(lambda: clip.done > 0, what="the track does not begin")
    wait_until(lambda: not desk._proxies.is_free, what="the video is not begun")
    desk.close()
    assert ended.is_set()
    assert not desk.queue._thread.is_alive()
    assert not desk._proxy_thread.is_alive()


def test_a_search_that_is_refused_leaves_the_record_as_it_was(tmp_path: Path) -> None:
    desk = Desk(Rules(root=tmp_path / "clips", waiting=1), plan=PLAN)  # not started: all waits
    one, other = (a_clip(tmp_path / "clips", name) for name in ("one", "other"))
    error = Problem.of(UsageError("it is odd", why="it is", fix="mend it"))
    for clip in (one, other):
        clip.change(state="failed", error=error)
    view = desk.retry(one)
    assert (view.state, view.error) == ("queued", None)
    with pytest.raises(BusyError):
        desk.retry(other)
    assert desk.queue.waiting == 1
    again = Clip.load(other.folder).kept
    assert (again.state, again.error) == ("failed", error)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_the_address_that_is_printed_answers(host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET).close()
    except OSError:
        pytest.skip(f"this machine has no {host}")
    monkeypatch.setattr(TaskWorker, "offer", lambda *_, **__: None)
    answered = list[bytes]()

    def ready(url: str) -> None:
        assert url.startswith("http://[::1]:" if host == "::1" else "http://127.0.0.1:")
        with urlopen(f"{url}health") as answer:
            answered.append(answer.read())
        raise KeyError("that is all")

    with pytest.raises(KeyError, match="that is all"):
        run_server(Rules(root=tmp_path / "clips"), address=Address(host=host, port=0), plan=PLAN, ready=ready)
    assert b'"ok"' in answered[0]
