"""A server that was killed leaves nothing behind that the next one would trip over."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path

import pytest

from covos.core.errors import CancelledError
from covos.media.range import WHOLE
from covos.plan import Plan
from covos.serve.backdrops import Backdrops
from covos.serve.clip import RECORD, Clip, Ready
from covos.serve.desk import Desk
from covos.serve.downloads import Downloads
from covos.serve.leftovers import remove_leftovers
from covos.serve.queue import WorkQueue
from covos.serve.rules import Rules
from covos.serve.schema import NewResult
from covos.serve.tasks import Export
from covos.serve.uploads import Uploads
from covos.serve.workers import Answer, Task, TaskWorker, Video
from serve.answers import Answers, mask_of, queue_of, settle
from serve.serving import begun

HALF = ".000002.0123abcd.partial.jsonl"
"""An edit that a killed server was writing."""


def test_what_nobody_was_told_of_goes_and_what_goes_on_stays(tmp_path: Path) -> None:
    root = tmp_path / "clips"
    clip, cut_off = begun(root / ("0" * 16)), begun(root / ".upload-0123")  # as it was looked at, and not yet renamed
    sent = Uploads(root).begin(name="film.mp4", length=7)
    never_begun, unsent, empty = root / ("1" * 16), root / "sent-0123", root / ("2" * 16)
    for file in ("source/film.mp4", "edits/000001.jsonl", ".job.0123abcd.partial.json"):
        (never_begun / file).parent.mkdir(parents=True, exist_ok=True)
        (never_begun / file).write_bytes(b"some of it")
    for folder in (unsent, empty):
        folder.mkdir()
    (unsent / "data").write_bytes(b"a video")
    others = {"my films", "0123456789abcdef", "sent-letters"}  # a user's own, though they lie at an odd place
    for name in others:
        (root / name / "source").mkdir(parents=True)
        (root / name / "thesis.tex").write_bytes(b"years of work")
    for name in (".proxy.0123abcd.partial.mp4", ".job.0123abcd.partial.json", f"edits/{HALF}"):
        (clip.folder / name).write_bytes(b"half")
    remove_leftovers(root)
    assert {each.name for each in root.iterdir()} == {clip.id, sent.folder.name, *others}
    assert all((root / name / "thesis.tex").is_file() for name in others)
    assert {each.name for each in clip.folder.rglob("*")} == {RECORD, "edits"}
    assert not cut_off.folder.exists()


def test_a_folder_that_nobody_may_read_keeps_no_server_from_its_clips(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed, behind = tmp_path / ("0" * 16), tmp_path / ("1" * 16)
    for folder in (closed, behind):
        folder.mkdir()
    read = Path.iterdir

    def refused(folder: Path) -> Iterator[Path]:
        if folder == closed:
            raise PermissionError(errno.EACCES, "Permission denied", str(folder))
        return iter(sorted(read(folder)))

    monkeypatch.setattr(Path, "iterdir", refused)
    remove_leftovers(tmp_path)
    assert closed.is_dir()
    assert not behind.exists()


def test_an_edit_that_was_being_written_hinders_no_other(tmp_path: Path) -> None:
    clip = begun(tmp_path / "one")
    clip.add(clip.history.edit("object"))
    (clip.folder / "edits" / HALF).write_text("half")
    again = Clip.load(clip.folder)
    assert again.history.revision == 1
    again.add(again.history.edit("object"))
    assert again.edited
    assert Clip.load(clip.folder).history.revision == 2


def test_an_upload_whose_record_cannot_be_written_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(Rules(root=tmp_path / "clips"), plan=Plan(source="clip"))
    info = begun(tmp_path / "other").info
    monkeypatch.setattr(TaskWorker, "last", lambda *_, **__: info)
    folder = desk.arrivals.begin_upload(7)
    (folder / "source.mp4").write_bytes(b"a video")

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("covos.serve.clip.write_record", fail)
    video = Video(path=str(folder / "source.mp4"), range=WHOLE)
    with pytest.raises(OSError, match="No space left"):
        desk.arrivals.add_upload(folder, video=video, name="shot.mp4")
    assert not [each for each in desk.rules.root.iterdir() if each.is_dir()]


def test_nothing_is_left_of_a_download_that_did_not_come_to_its_end(tmp_path: Path) -> None:
    class Stopped(Answers):
        """Writes some of a format, until somebody presses Stop."""

        def run(self, task: Task, *, name: str, job: str, stopped: object) -> Iterator[Answer]:
            assert isinstance(task, Export)
            written.append(Path(task.folder))
            (written[0] / "masks").mkdir(parents=True)
            (written[0] / "masks" / "0.png").write_bytes(b"a mask")
            raise CancelledError("it was stopped", why="a test", fix="none")

    written = list[Path]()
    clip = begun(tmp_path / "clips" / "one")
    clip.found([mask_of(0, 1)])
    clip.change(state="done")
    queue = queue_of(Stopped())
    Downloads(queue, pictures=None, backdrops=Backdrops(None, Uploads(tmp_path))).export(  # type: ignore[arg-type]
        clip, "binary", NewResult()
    )
    settle(queue, clip)
    assert written[0].parent == clip.folder / "results"
    assert not [*written[0].parent.iterdir()]


def test_a_download_that_a_killed_server_was_writing_goes_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for each in (TaskWorker, "offer"), (WorkQueue, "start"), (Desk, "_make_proxies"):
        monkeypatch.setattr(*each, lambda *_, **__: None)
    root = tmp_path / "clips"
    clip = begun(root / "one")
    clip.change(state="cancelled", results={"npz": Ready(bytes=7)})
    results = clip.folder / "results"
    for name in ("npz", "exr"):
        (results / name).mkdir(parents=True)
        (results / f"{name}.zip").write_bytes(b"a zip")
    (results / ".exr.0123abcd.partial.zip").write_bytes(b"half")
    desk = Desk(Rules(root=root), plan=Plan(source="clip"))
    desk.start()
    assert {each.name for each in results.iterdir()} == {"npz", "npz.zip"}
    desk.close()
