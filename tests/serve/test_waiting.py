"""Requests that wait, for a process or for a disk, hold no other up."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import httpx
import pytest

from covos.serve.arrivals import Arrivals
from covos.serve.desk import Desk
from covos.serve.editing import Editing
from covos.serve.routes.waiting import MOST_WAITING
from covos.serve.uploads import Uploads
from serve.in_process import asking
from serve.serving import END

MANY = 100
"""More than there are threads for requests in all."""
PROMPT = {"frame": 0, "points": [[1, 1]]}
TUS = {"tus-resumable": "1.0.0", "upload-offset": "0", "content-type": "application/offset+octet-stream"}


@pytest.mark.parametrize("what", ["clicks", "uploads"])
def test_requests_that_wait_leave_threads_to_all_others(what: str, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    free, asked = threading.Event(), threading.Semaphore(0)

    def hang(*_: object) -> None:
        asked.release()
        assert free.wait(END)
        raise ValueError("it was stopped")

    monkeypatch.setattr(Editing, "prompt", hang)
    monkeypatch.setattr(Arrivals, "begin_upload", hang)

    def send(client: httpx.AsyncClient) -> Coroutine[Any, Any, httpx.Response]:
        if what == "clicks":
            return client.post("/api/jobs/one/prompts", json=PROMPT)
        return client.post("/api/jobs", files={"file": ("clip.mp4", b"a video")})

    async def ask(client: httpx.AsyncClient) -> None:
        sent = [asyncio.create_task(send(client)) for _ in range(MANY)]
        for _ in range(MOST_WAITING):
            assert await asyncio.to_thread(asked.acquire, timeout=END)
        try:
            assert (await asyncio.wait_for(client.post("/api/jobs/one/cancel"), END)).status_code == 200
            assert (await asyncio.wait_for(client.get("/api/jobs"), END)).status_code == 200
            assert not free.is_set()
        finally:
            free.set()
            await asyncio.gather(*sent, return_exceptions=True)

    asking(desk, ask)


def test_a_disk_that_does_not_answer_does_not_hold_the_event_loop(desk: Desk) -> None:
    held, free = threading.Event(), threading.Event()

    def hold() -> None:
        """A record that is written holds this lock until the disk has it."""
        with desk.queue._lock:
            held.set()
            free.wait(END)

    disk = threading.Thread(target=hold)
    disk.start()
    assert held.wait(END)

    async def ask(client: httpx.AsyncClient) -> None:
        stream = asyncio.create_task(client.get("/api/jobs/one/events?until=done"))
        try:
            for _ in range(20):
                await asyncio.sleep(0.01)
                assert (await client.get("/health")).status_code == 200
            assert not free.is_set()
            assert not stream.done()
        finally:
            free.set()
        assert "event: done" in (await stream).text

    asking(desk, ask)
    disk.join()


def test_no_file_is_touched_on_the_event_loop(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    upload, touched, get = desk.uploads.begin(name="film.mp4", length=3), list[str](), Uploads.get

    def noted(uploads: Uploads, identity: str) -> Any:
        touched.append(threading.current_thread().name)
        return get(uploads, identity)

    monkeypatch.setattr(Uploads, "get", noted)

    async def ask(client: httpx.AsyncClient) -> None:
        where = f"/api/uploads/{upload.id}"
        assert (await client.patch(where, content=b"abc", headers=TUS)).status_code == 204
        assert (await client.post(where, headers=TUS | {"x-http-method-override": "HEAD"})).status_code == 200

    asking(desk, ask)
    assert len(touched) == 2
    assert threading.current_thread().name not in touched


def test_an_upload_that_is_deleted_while_it_comes_is_not_there(desk: Desk) -> None:
    upload = desk.uploads.begin(name="film.mp4", length=6)

    async def parts() -> AsyncIterator[bytes]:
        yield b"abc"
        desk.uploads.delete(upload)
        yield b"def"

    async def ask(client: httpx.AsyncClient) -> None:
        answer = await client.patch(f"/api/uploads/{upload.id}", content=parts(), headers=TUS)
        assert (answer.status_code, answer.json()["title"]) == (404, "there is no such upload")

    asking(desk, ask)
