"""An upload that has come becomes one clip, and is lost by no fault of the server."""

from __future__ import annotations

import errno
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from covos.core.errors import CancelledError, CovosError, EnvironmentProblem, SourceError
from covos.plan import Plan
from covos.serve.desk import Desk
from covos.serve.errors import NotYetError, SilentError
from covos.serve.rules import Rules
from covos.serve.uploads import KEPT, Upload
from covos.serve.workers import TaskWorker
from serve.serving import END, begun


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A desk whose queue takes clips, and does nothing with them."""
    desk = Desk(Rules(root=tmp_path / "clips"), plan=Plan(source="clip"))
    yield desk
    desk.close()


@pytest.fixture
def upload(desk: Desk) -> Upload:
    """An upload all of which has come."""
    upload = desk.uploads.begin(name="film.mp4", length=7)
    upload.file.write_bytes(b"a video")
    return upload


@pytest.mark.parametrize(
    ("kind", "stays"),
    [(SourceError, False), (SilentError, True), (CancelledError, True), (EnvironmentProblem, True)],
)
def test_an_upload_is_lost_by_its_own_fault_alone(
    kind: type[CovosError], stays: bool, desk: Desk, upload: Upload, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise kind("it ends", why="a test", fix="none")

    monkeypatch.setattr(TaskWorker, "last", fail)
    with pytest.raises(kind):
        desk.arrivals.add_sent(upload)
    assert [each.name for each in desk.rules.root.iterdir() if each.is_dir()] == [upload.folder.name] * stays


def test_who_asks_twice_gets_one_clip(
    desk: Desk, upload: Upload, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info, looks, goes_on = begun(tmp_path / "other").info, threading.Event(), threading.Event()

    def look(*_: object, **__: object) -> object:
        looks.set()
        assert goes_on.wait(END)
        return info

    monkeypatch.setattr(TaskWorker, "last", look)
    first = threading.Thread(target=desk.arrivals.add_sent, args=(upload,))
    first.start()
    assert looks.wait(END)
    with pytest.raises(NotYetError, match="the upload is in use"):
        desk.arrivals.add_sent(upload)
    goes_on.set()
    first.join(END)
    assert len(desk.clips()) == 1
    assert not upload.folder.exists()


def test_a_disk_that_is_full_while_a_file_is_copied_keeps_nothing_of_it(
    desk: Desk, upload: Upload, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("covos.serve.arrivals.link", fail)
    with pytest.raises(OSError, match="No space left"):
        desk.arrivals.add_sent(upload)
    assert [each.name for each in desk.rules.root.iterdir() if each.is_dir()] == [upload.folder.name]


@pytest.mark.parametrize("record", ["", None], ids=["a damaged record", "a record"])
def test_an_upload_expires_whatever_became_of_its_record(
    record: str | None, desk: Desk, upload: Upload, monkeypatch: pytest.MonkeyPatch
) -> None:
    if record is not None:
        (upload.folder / "upload.json").write_text(record)
    desk.expire()
    assert upload.folder.exists()
    monkeypatch.setattr("covos.serve.uploads.KEPT", -KEPT)
    desk.expire()
    assert not upload.folder.exists()
