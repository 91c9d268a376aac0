"""A server that is stopped while it works, and what the next one goes on with."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from covos.core.errors import CancelledError, EnvironmentProblem, SourceError
from covos.media.range import Range
from covos.serve.clip import RECORD, Clip, Kept
from covos.serve.running import _Server
from covos.serve.schema import Wanted
from covos.serve.views import view_of
from covos.serve.workers import Progress, TaskWorker
from serve.serving import QUICK, Endless, Stopped, serving
from serve.serving import wait_for as wait_for_work
from serve.test_desk import a_clip, started_again

FRAMES = 40
PATIENCE = 120.0
only_posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")


def wait_for(client: httpx.Client, job: str, right: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Wait until a job, or its masks, is as it should be, and return it."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        now: dict[str, Any] = client.get(f"/api/jobs/{job}").json()
        if right(now):
            return now
        time.sleep(0.02)
    raise AssertionError(now)


@only_posix
@pytest.mark.parametrize("end_by", [pytest.param(signal.SIGINT, marks=pytest.mark.thorough), signal.SIGTERM])  # alike
def test_a_search_goes_on_where_it_was(end_by: int, tmp_path: Path, make_clip: Callable[..., Path]) -> None:
    root, source = tmp_path / "clips", make_clip(frames=FRAMES)
    with (
        serving("--root", str(root), program=QUICK, end_by=end_by) as address,
        httpx.Client(base_url=address) as client,
    ):
        with source.open("rb") as file:
            job = client.post("/api/jobs", files={"file": ("clip.mp4", file)}, timeout=PATIENCE).json()["id"]
        wait_for(client, f"{job}/masks", lambda now: len(now["frames"]) > 16)

    kept = Kept.model_validate_json((root / job / RECORD).read_bytes())
    assert (kept.state, kept.task, kept.error) == ("running", "finding", None)
    journal = root / job / "run" / "journal.jsonl"
    before = journal.read_bytes().splitlines()
    assert 16 < len(before) < FRAMES

    with serving("--root", str(root), program=QUICK) as address, httpx.Client(base_url=address) as client:
        done = wait_for(client, job, lambda now: now["stage"] is None and now["state"] not in {"queued", "running"})
        assert (done["state"], done["error"], done["done"]) == ("done", None, FRAMES)
    after = journal.read_bytes().splitlines()
    assert len(after) == FRAMES
    assert after[:8] == before[:8], "each line has the time that its frame took: none was computed again"

    again = view_of(Clip.load(root / job), place=None, making={})
    assert (again.state, again.done, again.total) == ("done", FRAMES, FRAMES)


@only_posix
def test_a_download_is_written_again(tmp_path: Path, make_clip: Callable[..., Path]) -> None:
    root, source, log = tmp_path / "clips", make_clip(frames=FRAMES), tmp_path / "log"
    asked = {"matte": True, "range": {"start": "f1"}}
    with (
        serving("--root", str(root), "--log", str(log), program=QUICK) as address,
        httpx.Client(base_url=address, timeout=PATIENCE) as client,
    ):
        with source.open("rb") as file:
            job = client.post("/api/jobs", files={"file": ("clip.mp4", file)}).json()["id"]
        wait_for(client, job, lambda now: now["stage"] is None and now["state"] == "done")
        assert client.post(f"/api/jobs/{job}/results/prores", json=asked).status_code == 202
        wait_for(client, job, lambda now: now["stage"] == "exporting")

    (line,) = (line for line in log.read_text().splitlines() if "stage=exporting format=prores" in line)
    assert "status=cancelled" in line
    assert "the server ends" in line
    assert "you asked for that" not in line

    with (
        serving("--root", str(root), program=QUICK) as address,
        httpx.Client(base_url=address, timeout=PATIENCE) as client,
    ):
        now = wait_for(client, job, lambda now: "prores" in now["results"] and not now["stage"])
        assert (now["state"], now["results"]["prores"]["state"]) == ("done", "ready")
        assert (now["results"]["prores"]["matte"], now["results"]["prores"]["range"]["start"]) == (True, "f1")
        assert client.get(f"/api/jobs/{job}/results/prores").content
    assert Kept.model_validate_json((root / job / RECORD).read_bytes()).asked == {}


def test_a_download_that_was_cut_off_waits_again_and_is_forgotten_once_it_is_stopped_or_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "clips"
    wanted = Wanted(range=Range(start="f3"), matte=True)
    for name in ("one", "two"):
        a_clip(root, name).change(asked={"webm": wanted})
    desk = started_again(root, monkeypatch)
    for clip in desk.clips():
        made = desk.queue.view(clip).results["webm"]
        assert (made.state, made.range, made.matte) == ("making", wanted.range, True)

    desk.cancel(desk.clip("one"))
    assert Clip.load(root / "one").kept.asked == {}
    assert not desk.queue.view(desk.clip("one")).results

    def gone(*_: object, **__: object) -> None:
        raise SourceError("webm cannot be written", why="the run is gone", fix="open it again")

    monkeypatch.setattr("covos.serve.downloads.load_format", gone)
    threading.Thread(target=desk.queue._work, daemon=True).start()
    wait_for_work(desk.queue, desk.clip("two"))
    assert Clip.load(root / "two").kept.asked == {}
    assert desk.queue.view(desk.clip("two")).results["webm"].state == "failed"
    desk.close()


@pytest.mark.parametrize("ends", [True, False])
def test_a_task_that_is_stopped_says_by_whom(ends: bool, tmp_path: Path) -> None:
    worker = TaskWorker(None, root=tmp_path)
    answers = worker.run(Stopped(), name="clip.mp4")
    next(answers)
    if ends:
        worker.end()
    worker.stop()
    with pytest.raises(CancelledError) as caught:
        next(answers)
    assert (caught.value.what, caught.value.why) == (
        ("clip.mp4: the server ends", "it was stopped") if ends else ("the download was stopped", "you asked for that")
    )
    worker.close()


def test_who_waits_for_a_process_that_is_closed_hears_that_the_server_ends(tmp_path: Path) -> None:
    worker = TaskWorker(None, root=tmp_path)
    answers = worker.run(Endless(), name="clip.mp4")
    next(answers)
    closing = threading.Thread(target=worker.close)
    closing.start()
    with pytest.raises(CancelledError, match="the server ends"):
        for _ in answers:
            pass
    closing.join()


@only_posix
@pytest.mark.parametrize("together", [True, False])
def test_a_signal_that_ends_a_process_and_its_server_is_no_failure(together: bool, tmp_path: Path) -> None:
    worker = TaskWorker(None, root=tmp_path)
    answers = worker.run(Endless(), name="clip.mp4")
    told = next(answers)
    assert isinstance(told, Progress)
    os.kill(told.done, signal.SIGTERM)
    if together:
        threading.Timer(0.1, worker.end).start()
    with pytest.raises(CancelledError if together else EnvironmentProblem):
        for _ in answers:
            pass
    worker.close()


def test_a_process_to_which_nobody_listens_ends_without_a_word(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    worker = TaskWorker(None, root=tmp_path)
    answers = worker.run(Endless(), name="clip.mp4")
    next(answers)
    process = worker._worker
    assert process is not None
    process.close(patience=30.0)
    assert not process.was_stopped
    worker._closed.set()
    answers.close()  # type: ignore[attr-defined]
    assert capfd.readouterr().err == ""


@only_posix
def test_an_impatient_second_ctrl_c_is_no_failure(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "covos", "serve", "--port", "0", "--root", str(tmp_path / "clips")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as server:
        assert server.stdout is not None
        assert "http://" in server.stdout.readline()
        for _ in range(2):
            server.send_signal(signal.SIGINT)
            time.sleep(0.05)  # two that come together are one
        rest, _ = server.communicate(timeout=PATIENCE)
    assert "Traceback" not in rest, rest


def test_a_second_ctrl_c_in_the_midst_of_the_first_is_known_as_one() -> None:
    log = logging.getLogger("uvicorn.error")

    def end() -> None:
        if not log.disabled:
            server.handle_exit(signal.SIGINT, None)

    server = _Server(uvicorn.Config(lambda: None), end=end)
    try:
        server.handle_exit(signal.SIGINT, None)
        assert log.disabled, "uvicorn would print where everything waits"
        assert (server.should_exit, server.force_exit) == (True, True)
    finally:
        log.disabled = False
