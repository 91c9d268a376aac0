"""Edits as they come to a server: at once, while others are made, or while a clip is followed. No network runs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from covos.core.errors import CancelledError, CovosError, UsageError
from covos.core.types import Box, JobState, ObjectStatus, Point
from covos.engines.choices import SUBJECT
from covos.masks import encode
from covos.masks.edges import NO_EDGES, Edges
from covos.masks.frame_mask import FrameMask
from covos.media.range import Range
from covos.plan import Plan
from covos.prompts.values import PointPrompt, RegionPrompt, check_points
from covos.serve import downloads
from covos.serve.backdrops import Backdrops
from covos.serve.clip import Clip, Ready
from covos.serve.desk import Desk
from covos.serve.downloads import Downloads
from covos.serve.editing import Editing
from covos.serve.errors import BusyError, NotThereError, NotYetError
from covos.serve.frame_numbers import bound_of
from covos.serve.queue import Work, WorkQueue
from covos.serve.rules import Rules
from covos.serve.schema import JobView, MaskCode, NewPrompt, NewResult, NewTrack
from covos.serve.tasks import Track
from covos.serve.uploads import Uploads
from covos.serve.views import view_of
from covos.serve.workers import Answer, Progress, Task, TaskWorker, Video
from serve.answers import CLICK, Answers, editing_of, mask_of, queue_of, settle
from serve.serving import COUNT, SIZE, begun


@pytest.fixture
def clip(tmp_path: Path) -> Clip:
    """A clip whose search was stopped after three of nine frames."""
    clip = begun(tmp_path / "clips" / "one")
    clip.found(mask_of(index, SUBJECT) for index in range(3))
    clip.change(state="cancelled")
    return clip


def numbers(clip: Clip) -> list[int]:
    return [thing.id for thing in clip.history.things]


def test_prompts_that_come_at_once_show_objects_of_their_own(clip: Clip) -> None:
    both = threading.Barrier(2)

    def wait_for_the_other() -> None:
        with suppress(threading.BrokenBarrierError):  # as it never comes
            both.wait(timeout=0.2)

    editing = editing_of(Answers(wait_for_the_other))
    with ThreadPoolExecutor(2) as at_once:
        made = sorted(each.object for each in at_once.map(lambda _: editing.prompt(clip, CLICK), range(2)))
    assert made == [2, 3]
    assert numbers(clip) == [1, 2, 3]
    assert [seed.object for seed in clip.history.seeds] == made
    assert sorted(clip.history.frames[0].objects) == [1, 2, 3]


def test_edits_that_come_while_a_mask_is_made_stay(clip: Clip) -> None:
    editing = editing_of(clicks := Answers())
    editing.prompt(clip, CLICK)
    editing.prompt(clip, CLICK)

    def edit() -> None:
        editing.drop(clip, 2)
        editing.show(clip, SUBJECT, name="dog", hidden=None)
        editing.confirm(clip, 1)

    clicks.meanwhile = edit
    assert editing.prompt(clip, CLICK).object == 4
    assert numbers(clip) == [1, 3, 4]
    assert clip.history.things[0].name == "dog"
    assert [(seed.frame, seed.object) for seed in clip.history.seeds] == [(0, 3), (0, 4), (1, 1)]
    assert sorted(clip.history.frames[0].objects) == [1, 3, 4]


def exported(queue: WorkQueue, clip: Clip, **asked: Range) -> None:
    backdrops = Backdrops(None, Uploads(clip.folder))
    pictures = TaskWorker(None, root=clip.folder)
    Downloads(queue, pictures=pictures, backdrops=backdrops).export(clip, "webm", NewResult(**asked))


def fail() -> None:
    raise CancelledError("it was stopped", why="you asked for that", fix="ask again")


@pytest.mark.parametrize("state", ["cancelled", "done", "failed"])
@pytest.mark.parametrize("end", ["done", "stopped while it waits", "stopped"])
def test_a_track_leaves_the_state_of_before(clip: Clip, state: JobState, end: str) -> None:
    queue = queue_of(Answers(fail if end == "stopped" else lambda: None))
    editing = editing_of(Answers(), queue)
    editing.prompt(clip, CLICK)
    clip.change(state=state)
    assert editing.track(clip, NewTrack(start=0, stop=4)).state == "queued"
    if end == "stopped while it waits":
        assert queue.cancel(clip).state == state
    settle(queue, clip)
    assert clip.kept.state == state
    assert len(clip.history.frames) == (3 if end == "stopped while it waits" else 5)


def test_a_track_follows_what_was_shown_while_it_waited(clip: Clip) -> None:
    queue = queue_of(Answers())
    editing = editing_of(Answers(), queue)
    editing.prompt(clip, CLICK)
    editing.track(clip, NewTrack(start=0))
    editing.prompt(clip, CLICK)
    with pytest.raises(NotYetError, match="busy"):  # it would run on what is there no more
        editing.go(clip, back=True)
    with pytest.raises(NotYetError, match="busy"):
        editing.track(clip, NewTrack(start=0))
    settle(queue, clip)
    assert sorted(clip.history.frames[8].objects) == [2, 3]
    assert editing.go(clip, back=True).redo == "track"


def test_the_rest_of_a_search_can_be_found_whatever_the_state(clip: Clip, tmp_path: Path) -> None:
    """A clip that an edit has left ``done`` while its search was not."""
    clip.change(state="done")
    desk = Desk(Rules(root=tmp_path / "other"), plan=Plan(source="clip", device="cpu"))
    assert desk.retry(clip).state == "queued"
    with pytest.raises(NotYetError, match="queued"):
        desk.retry(clip)


@pytest.mark.parametrize(
    ("part", "lacking"), [({}, 6), ({"start": "f1"}, 6), ({"start": "f1", "end": "f3"}, 0), ({"end": "0.08"}, 0)]
)
def test_a_download_tells_of_frames_without_masks(
    clip: Clip, part: dict[str, str], lacking: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    (clip.folder / "file").write_bytes(b"masks")
    monkeypatch.setattr(downloads, "pack", lambda folder, name: clip.folder / "file")
    for _ in range(2):  # told once, however often it is asked for
        queue = queue_of(Answers())
        exported(queue, clip, range=Range(**part))
        settle(queue, clip)
        view = view_of(clip, place=None, making={})
        made = view.results["webm"]
        assert made.state == "ready"
        assert [f"{lacking} of {COUNT}" in note for note in made.notes] == [True] * bool(lacking)
        assert view.notes == (), "they go with the download"
    with pytest.raises(CovosError, match="beyond the end"):
        exported(queue, clip, range=Range(start="f5"))


def test_a_killed_track_keeps_its_frames_but_those_that_the_user_has_changed(clip: Clip) -> None:
    editing = editing_of(Answers())
    editing.prompt(clip, CLICK)
    editing.prompt(clip, CLICK.model_copy(update={"object": 5}))
    clip.begin_track()
    for index in (0, 1, 2):
        clip.follow(mask_of(index, 5))
    editing.prompt(clip, CLICK)  # on frame 0, while the track goes on
    with clip.folder.joinpath("track.jsonl").open("a") as file:
        file.write('{"index": 3, "st')  # the kill came here
    for _ in range(2):
        again = Clip.load(clip.folder)
        assert sorted(again.history.frames[0].objects) == [5, 6], "the user's edit of frame 0 stays"
        assert [sorted(again.history.frames[index].objects) for index in (1, 2)] == [[5], [5]]
        assert again.history.revision == clip.history.revision + 1
        assert not clip.folder.joinpath("track.jsonl").exists()
    assert again.go(back=True)


def test_a_track_knows_the_cuts(clip: Clip) -> None:
    tasks: list[Task] = []

    class Noting(Answers):
        def run(self, task: Task, *, name: str, job: str, stopped: object) -> Iterator[Answer]:
            tasks.append(task)
            return super().run(task, name=name, job=job, stopped=stopped)

    queue = queue_of(Noting())
    clip.cut_at((4,))
    editing = editing_of(Answers(), queue)
    editing.prompt(clip, CLICK)
    editing.track(clip, NewTrack(start=0))
    settle(queue, clip)
    (track,) = [task for task in tasks if isinstance(task, Track)]
    assert track.cuts == (4,)
    assert Clip.load(clip.folder).timeline().cuts == (4,)


def test_two_that_change_the_edges_at_once_change_both(clip: Clip) -> None:
    editing = editing_of(Answers())
    changes = [{"grow": "2"}, {"feather": "3"}, {"min_area": "9"}, {"fill_holes": "all"}]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda change: editing.set_edges(clip, change), changes))
    kept = clip.kept.edges
    assert (kept.grow, kept.feather, kept.min_area, kept.fill_holes) == ("2", "3", "9", "all")


def test_frames_are_named_by_their_number_in_the_whole_video(clip: Clip) -> None:
    """Of a part that begins with frame 100, and has one of three."""
    clip.change(info=replace(clip.info, start=100, every=3, times="zero"))
    editing = editing_of(Answers())
    assert editing.prompt(clip, NewPrompt(frame="f106", points=((1, 1),))).frame == 2
    for other in ("f107", "f99"):
        with pytest.raises(UsageError, match="is not taken"):
            editing.prompt(clip, NewPrompt(frame=other, points=((1, 1),)))
    with pytest.raises(UsageError, match=r"f100 to f124 of the video") as caught:
        editing.prompt(clip, NewPrompt(frame=99, points=((1, 1),)))
    assert caught.value.fix == "give one of 0 to 8, or f100 to f124"
    with pytest.raises(NotYetError, match=r"frame 5 \(f115 of the video\) has no masks"):
        editing.prompt(clip, NewPrompt(frame=5, points=((1, 1),)))
    outside = Answers(lambda: check_points(PointPrompt(frame=106, points=(Point(x=99, y=1),)), info=clip.info))
    with pytest.raises(UsageError, match=r"lies outside frame 2 \(f106 of the video\)"):
        editing_of(outside).prompt(clip, NewPrompt(frame=2, points=((99, 1),)))
    assert [bound_of(each, info=clip.info) for each in (5, "f100", "f101", "f103", "f0")] == [5, 0, 1, 1, 0]


@pytest.fixture
def both_ways(monkeypatch: pytest.MonkeyPatch) -> Track:
    """A track of two stretches, in a session that gives masks at once."""
    info = SimpleNamespace(numbers=range(14))

    def stream(direction: str, *, start: int, limit: int) -> list[FrameMask]:
        return [mask_of(start + (at if direction == "forward" else -at), SUBJECT) for at in range(limit)]

    session = SimpleNamespace(source=SimpleNamespace(info=info), stream=stream)
    networks = SimpleNamespace(session=lambda *_, **__: session)
    monkeypatch.setattr("covos.serve.networks.Networks.of", lambda _: networks)
    monkeypatch.setattr("covos.serve.tasks.FrameMask", SimpleNamespace(of=lambda mask: mask))
    return Track(video=Video(path="clip.mp4"), seeds=(), parts=(("forward", 5, 9), ("backward", 5, 6)))


def test_a_track_that_is_stopped_begins_no_other_stretch(both_ways: Track) -> None:
    told, stop = list[int](), threading.Event()

    def tell(answer: Answer) -> None:
        if isinstance(answer, FrameMask):
            told.append(answer.index)
            if answer.index == 13:  # the last of the first stretch
                stop.set()

    with pytest.raises(CancelledError, match="the track was stopped"):
        both_ways.run(SimpleNamespace(tell=tell, stop=stop))  # type: ignore[arg-type]
    assert told == [*range(5, 14)]


def test_a_track_both_ways_counts_each_frame_once(both_ways: Track) -> None:
    told: list[Answer] = []
    both_ways.run(SimpleNamespace(tell=told.append, stop=threading.Event()))  # type: ignore[arg-type]
    loading, computing, *progress = [each for each in told if isinstance(each, Progress)]
    assert (loading, computing) == (Progress(done=0, total=14, step="loading"), Progress(done=0, total=14))
    assert (progress[-1], len(progress)) == (Progress(done=14, total=14), 15)


def test_points_beside_an_object_that_is_not_there(clip: Clip) -> None:
    with pytest.raises(NotThereError, match="no object 7"):
        editing_of(Answers()).prompt(clip, NewPrompt(frame=0, object=7, points=((1, 1),), labels=(0,)))


def test_a_mask_that_is_broken_is_told_by_what_was_sent(clip: Clip) -> None:
    def refused(size: tuple[int, int], counts: str) -> str:
        with pytest.raises(CovosError) as caught:
            editing_of(Answers()).prompt(clip, NewPrompt(frame=0, mask=MaskCode(size=size, counts=counts)))
        return f"{caught.value.what}: {caught.value.why}. {caught.value.fix}"

    assert "size is [2, 2]: a frame of the clip has [4, 6]" in refused((2, 2), "04")
    broken = refused(SIZE, encode(np.eye(3, 5, dtype=np.bool_)).to_coco()["counts"])
    assert "they have 15 pixels, and not 24" in broken
    assert "COCO file" not in broken


def test_a_download_does_not_begin_before_its_job(clip: Clip) -> None:
    clip.change(info=replace(clip.info, start=16, times="zero"))
    downloads_of = Downloads(queue_of(Answers()), pictures=None, backdrops=None)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="begins with f16"):
        downloads_of.export(clip, "palette", NewResult(range=Range(start="f2")))


@pytest.mark.parametrize("how", ["drop", "merge", "undo"])
def test_a_new_object_is_never_born_hidden(clip: Clip, how: str) -> None:
    editing = editing_of(Answers())
    number = editing.prompt(clip, CLICK).object
    editing.show(clip, number, name=None, hidden=True)
    if how == "undo":
        editing.go(clip, back=True)
    elif how == "drop":
        editing.drop(clip, number)
    else:
        editing.merge(clip, number, into=SUBJECT)
    again = editing.prompt(clip, CLICK)
    assert again.object == number
    assert not any(thing.hidden for thing in again.job.objects)


def test_edges_are_edits(clip: Clip) -> None:
    editing = editing_of(Answers())
    wide, wider = Edges(grow="2"), Edges(grow="3")
    assert editing.set_edges(clip, {"grow": "2"}).revision == 1
    assert editing.set_edges(clip, {"grow": "2"}).revision == 1  # nothing that could be taken back
    editing.prompt(clip, CLICK)
    editing.set_edges(clip, {"grow": "3"})
    assert Clip.load(clip.folder).history.edges == wider
    assert editing.go(clip, back=True).edges == wide
    undone = editing.go(clip, back=True)
    assert (undone.edges, len(undone.objects)) == (wide, 1)  # the prompt's own step leaves the edges alone
    assert editing.go(clip, back=True).edges == NO_EDGES
    assert editing.go(clip, back=False).edges == wide
    again = Clip.load(clip.folder)
    assert (again.history.edges, again.kept.edges) == (wide, wide)


def test_a_frame_is_confirmed_once(clip: Clip) -> None:
    editing = editing_of(Answers())
    editing.prompt(clip, CLICK)
    assert editing.confirm(clip, 0).revision == 2
    assert editing.confirm(clip, 0).revision == 2
    editing.prompt(clip, CLICK.model_copy(update={"object": 1}))
    assert editing.confirm(clip, 0).revision == 4, "it was corrected since"


def test_a_confirmation_that_is_taken_back_leaves_what_was_shown_before(clip: Clip) -> None:
    editing = editing_of(Answers())
    editing.prompt(clip, CLICK)
    shown = clip.history.seeds
    editing.confirm(clip, 0)
    editing.confirm(clip, 0)  # as some client may
    editing.confirm(clip, 1)
    assert clip.confirmed == {0, 1}
    editing.unconfirm(clip, 0)
    editing.unconfirm(clip, 1)
    assert clip.confirmed == frozenset()
    assert clip.history.seeds == shown
    with pytest.raises(NotYetError, match="is not confirmed"):
        editing.unconfirm(clip, 1)
    editing.go(clip, back=True)
    assert clip.confirmed == {1}


def test_a_confirmation_that_is_taken_back_gives_back_what_a_region_had_taken(clip: Clip) -> None:
    editing, half = editing_of(Answers()), np.zeros(SIZE, np.bool_)
    half[:, :4] = True
    clip.found(replace(mask_of(index, SUBJECT), objects={SUBJECT: encode(half)}) for index in range(3))
    region = RegionPrompt(role="exclude", box=Box(x0=0, y0=2, x1=SIZE[1], y1=SIZE[0]))

    def areas() -> list[int]:
        return [mask.objects[SUBJECT].area for mask in clip.shown(clip.frames.values())]

    editing.prompt(clip, CLICK.model_copy(update={"frame": 1, "object": SUBJECT}))  # it shows the first column
    shown = clip.history.seeds
    assert areas() == [16, 4, 16]
    editing.set_regions(clip, (region,))
    for frame in range(3):
        editing.confirm(clip, frame)
    editing.drop(clip, editing.prompt(clip, CLICK.model_copy(update={"frame": 2})).object)
    editing.confirm(clip, 2)
    editing.show(clip, SUBJECT, name="dog", hidden=None)
    assert areas() == [8, 2, 8]
    editing.set_regions(clip, ())
    assert areas() == [8, 2, 8], "what is confirmed stays"
    for frame in range(3):
        editing.unconfirm(clip, frame)
    assert areas() == [16, 4, 8], "the last was cut already when it was confirmed again"
    assert clip.history.seeds == shown
    again = Clip.load(clip.folder)
    assert {each.index: each.objects for each in again.frames.values()} == {
        each.index: each.objects for each in clip.frames.values()
    }
    editing.go(clip, back=True)
    editing.go(clip, back=True)
    assert areas() == [16, 2, 8]
    assert clip.confirmed == {1, 2}


def test_two_objects_that_become_one_are_confirmed_where_both_were(clip: Clip) -> None:
    editing = editing_of(Answers())
    editing.prompt(clip, CLICK)
    editing.prompt(clip, CLICK)
    for frame in range(3):
        editing.confirm(clip, frame)
    editing.prompt(clip, NewPrompt(frame=1, object=2, points=((1, 1),)))
    assert clip.confirmed == {0, 2}
    editing.merge(clip, 3, into=2)
    assert clip.confirmed == {0, 2}
    editing.merge(clip, 2, into=1)
    assert clip.confirmed == {0, 2}
    (seed,) = [each for each in clip.history.seeds if each.frame == 0]
    assert (seed.object, seed.mask) == (1, clip.frames[0].objects[1])


def test_no_edit_holds_a_clip_while_it_asks_the_queue(clip: Clip) -> None:
    """The queue holds its own lock when it asks for the clip's: the other way round, both would wait for ever."""
    asked = threading.Event()

    class Asked(WorkQueue):
        def view(self, clip: Clip) -> JobView:
            asked.set()
            return super().view(clip)

    editing = editing_of(Answers(), queue := Asked(Answers(), limit=4))  # type: ignore[arg-type]
    editing.confirm(clip, 0)
    for edit in (
        lambda: editing.confirm(clip, 0),
        lambda: editing.confirm(clip, 1),
        lambda: editing.unconfirm(clip, 1),
        lambda: editing.show(clip, SUBJECT, name="dog", hidden=True),
        lambda: editing.set_regions(clip, ()),
        lambda: editing.set_edges(clip, {"grow": "1"}),
    ):
        asked.clear()
        with ThreadPoolExecutor(1) as other:
            with queue.idle(clip):
                over = other.submit(edit)
                assert asked.wait(30)
                assert clip.lock.acquire(timeout=2), "the edit holds the clip, and waits for the queue"
                clip.lock.release()
            over.result()


def hidden_from(clip: Clip, first: int) -> Editing:
    """Show object 2 on frame 0, and follow it: from a frame on, it is hidden behind something."""
    editing = editing_of(Answers())
    editing.prompt(clip, CLICK)
    clip.begin_track()
    for index in range(COUNT):
        there = index < first
        states = (
            ObjectStatus(id=1, state="present", confidence=0.9),
            ObjectStatus(id=2, state="present" if there else "occluded", confidence=0.8),
        )
        clip.follow(replace(mask_of(index, *((1, 2) if there else (1,))), states=states))
    clip.end_track()
    return editing


def states_of(clip: Clip, number: int) -> dict[int, str]:
    """Return the states of an object, by frame."""
    return {index: each.state for index, mask in clip.frames.items() for each in mask.states if each.id == number}


def test_a_new_object_is_not_hidden_where_one_was_that_had_its_number(clip: Clip) -> None:
    editing = hidden_from(clip, 4)
    assert [states_of(clip, 2)[index] for index in (3, 4)] == ["present", "occluded"]
    editing.drop(clip, 2)
    assert states_of(clip, 2) == {}
    assert set(states_of(clip, 1)) == set(range(COUNT))
    editing.prompt(clip, CLICK)
    assert numbers(clip) == [1, 2]
    assert clip.timeline().objects[2] == ((0, 1, "present"), (1, COUNT, "absent"))
    for _ in range(2):
        editing.go(clip, back=True)
    assert states_of(clip, 2)[COUNT - 1] == "occluded"


def test_an_object_whose_only_prompt_is_taken_back_leaves_no_state(clip: Clip) -> None:
    editing = hidden_from(clip, 0)
    assert set(states_of(clip, 2)) == set(range(COUNT))
    editing.take_back(clip, 0, number=2, kind="mask", at=None)
    assert numbers(clip) == [1]
    assert states_of(clip, 2) == {}


def test_two_objects_that_become_one_are_seen_where_one_of_them_is(clip: Clip) -> None:
    editing = hidden_from(clip, 4)
    editing.merge(clip, 1, into=2)
    assert states_of(clip, 1) == {}
    assert states_of(clip, 2) == dict.fromkeys(range(COUNT), "present")
    editing.go(clip, back=True)
    editing.merge(clip, 2, into=1)
    assert states_of(clip, 2) == {}
    assert states_of(clip, 1) == dict.fromkeys(range(COUNT), "present")


def test_a_download_that_is_refused_leaves_the_one_of_before(clip: Clip, tmp_path: Path) -> None:
    queue = WorkQueue(Answers(), limit=1)  # type: ignore[arg-type]
    backdrops = Backdrops(None, Uploads(tmp_path))
    made = Downloads(queue, pictures=TaskWorker(None, root=tmp_path), backdrops=backdrops)
    clip.change(results={"npz": Ready(bytes=5)})
    queue.put(Work(clip=begun(tmp_path / "clips" / "other"), stage="exporting", run=lambda: None))
    with pytest.raises(BusyError):
        made.export(clip, "npz", NewResult())
    assert queue.view(clip).results["npz"].state == "ready"
    assert Clip.load(clip.folder).kept.results == clip.kept.results
    queue.limit = 2
    assert made.export(clip, "npz", NewResult()).results["npz"].state == "making"
