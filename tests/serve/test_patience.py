"""Clients that are slow, and many at once."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from covos.plan import Plan
from covos.serve.app import make_app
from covos.serve.clip import Clip
from covos.serve.desk import Desk
from covos.serve.guard import BodyTooSlowError, Guard, ServerEndsError
from covos.serve.metrics import Metrics
from covos.serve.patience import PatientProtocol
from covos.serve.rules import Rules
from serve.serving import begun

PATIENCE = 60.0


class Hasty(PatientProtocol):
    head = 0.2
    unread = 0.2


class Server:
    """A server that reads bodies, and answers ``/endless`` for ever."""

    def __init__(self) -> None:
        self.ended = threading.Event()
        self.slow = threading.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        try:
            while (await receive()).get("more_body"):
                pass
        except BodyTooSlowError:
            self.slow.set()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while scope["path"] == "/endless" and (await asyncio.sleep(0)) is None:
            await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
            if (await receive_now(receive)) is not None:
                self.ended.set()
                return
        await send({"type": "http.response.body", "body": b"done"})


async def receive_now(receive: Any) -> Any:
    try:
        return await asyncio.wait_for(receive(), 0.01)
    except TimeoutError:
        return None


@pytest.fixture
def hasty() -> Iterator[tuple[Server, int]]:
    """A server whose patience is short, and its port."""
    app = Server()
    guard = Guard(app, largest_upload=1 << 20, patience=0.3)
    server = uvicorn.Server(uvicorn.Config(guard, port=0, http=Hasty, ws="none", log_level="critical", lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield app, server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = server.force_exit = True
    thread.join()


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)


def rest(connection: socket.socket) -> bytes:
    """All that comes until the server closes the connection."""
    came = b""
    while part := connection.recv(65536):
        came += part
    return came


HEAD = b"GET / HTTP/1.1\r\nHost: localhost\r\n"


def test_a_head_has_to_end(hasty: tuple[Server, int]) -> None:
    with connect(hasty[1]) as connection:
        connection.sendall(HEAD)
        head, _, body = rest(connection).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 ")
    assert json.loads(body)["title"] == "the request comes too slowly"
    with connect(hasty[1]) as connection:
        assert rest(connection) == b"", "a connection without a request is closed without a word"
    with connect(hasty[1]) as connection:
        connection.sendall(HEAD + b"\r\n" + HEAD)  # the second comes along with the first
        came = rest(connection)
    assert came.startswith(b"HTTP/1.1 200 ")
    assert b"HTTP/1.1 408 " in came


def test_a_body_has_to_come(hasty: tuple[Server, int]) -> None:
    with connect(hasty[1]) as connection:
        connection.sendall(HEAD.replace(b"GET", b"POST") + b"Content-Length: 100\r\n\r\n")
        for _ in range(4):  # a byte now and then does not help
            connection.sendall(b"x")
            time.sleep(0.1)
        assert hasty[0].slow.wait(PATIENCE)


def test_a_body_ends_with_the_server() -> None:
    """The client is told so, and no request is left for uvicorn to cancel."""
    told: list[Any] = []

    async def reads(scope: Any, receive: Any, send: Any) -> None:
        with pytest.raises(ServerEndsError):
            await receive()
        told.append("ends")
        await asyncio.sleep(PATIENCE)

    async def ask() -> None:
        guard = Guard(reads, largest_upload=1)
        scope = {"type": "http", "method": "POST", "path": "/", "headers": [(b"host", b"localhost")]}
        task = asyncio.create_task(guard(scope, asyncio.Event().wait, told.append))
        await asyncio.sleep(0.1)
        guard.closing = True
        while not told:
            await asyncio.sleep(0.01)
        task.cancel()  # as uvicorn does, after its own patience
        await task

    asyncio.run(ask())


def test_a_client_is_not_slow_while_the_server_makes_up_its_mind() -> None:
    """An answer that takes longer than a body may: what has come is then read."""
    heard: list[Any] = []

    async def thinks(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(0.3)
        heard.append(await receive())

    async def came() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {"type": "http", "method": "GET", "path": "/", "headers": [(b"host", b"localhost")]}
    asyncio.run(Guard(thinks, largest_upload=1, patience=0.1)(scope, came, came))
    assert [each["type"] for each in heard] == ["http.request"]


def test_no_frame_is_read_for_who_has_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a hundred frames that were asked for and given up, none keeps the one that is waited for waiting."""
    desk = Desk(Rules(root=tmp_path), plan=Plan(source="clip"))
    clip = begun(tmp_path / "one")
    monkeypatch.setattr(desk, "clip", lambda _: clip)
    read: list[int] = []

    def picture(_clip: Clip, index: int, *, width: int, kind: str) -> bytes:
        read.append(index)
        return b"jpeg"

    monkeypatch.setattr(desk, "picture", picture)
    app = Guard(make_app(desk, token="", example=None, metrics=Metrics()), largest_upload=1)

    async def ask(index: int, *, gone: bool) -> None:
        coming = [{"type": "http.request", "body": b"", "more_body": False}]
        told: list[Any] = []

        async def receive() -> Any:
            if coming:
                return coming.pop()
            if not gone:
                await asyncio.sleep(PATIENCE)
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            told.append(message)

        path = f"/api/jobs/one/frames/{index}"
        scope = {"type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "query_string": b""}
        await app({**scope, "headers": [(b"host", b"localhost")], "scheme": "http"}, receive, send)
        assert told[0]["status"] == (204 if gone else 200)

    async def every() -> None:
        await asyncio.gather(*(ask(index, gone=index != 7) for index in range(9)))

    asyncio.run(every())
    assert read == [7]


def test_an_answer_has_to_be_read(hasty: tuple[Server, int]) -> None:
    with connect(hasty[1]) as connection:
        connection.sendall(HEAD.replace(b"/ ", b"/endless ") + b"\r\n")
        assert hasty[0].ended.wait(PATIENCE)


def memory(client: httpx.Client) -> float:
    return float(re.findall(r"^process_resident_memory_bytes (\S+)", client.get("/metrics").text, re.MULTILINE)[0])


def test_fifty_at_once(started: tuple[str, Path], make_clip: Callable[..., Path]) -> None:
    """Fifty listen, some of them read nothing; everyone else is answered, and the server grows no larger."""
    host, port = started[0].removeprefix("http://").rstrip("/").split(":")
    with httpx.Client(base_url=started[0], timeout=PATIENCE) as client:
        make_clip().rename(started[1] / "media" / "fifty.mp4")
        job = client.post("/api/jobs", json={"path": "fifty.mp4"}).json()["id"]
        while client.get(f"/api/jobs/{job}").json()["state"] != "done":
            time.sleep(0.05)
        before = memory(client)
        asked = f"GET /api/jobs/{job}/events HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode()
        streams = [connect(int(port)) for _ in range(50)]
        try:
            for stream in streams:
                stream.sendall(asked)

            def ask(number: int) -> int:
                grow = client.patch(f"/api/jobs/{job}/edges", json={"grow": str(number % 3)})
                return grow.status_code + client.get(f"/api/jobs/{job}/masks").status_code

            with ThreadPoolExecutor(8) as pool:
                assert set(pool.map(ask, range(100))) == {400}
            for stream in streams[::2]:
                came = b""
                while came.count(b"event: job") < 2:
                    part = stream.recv(65536)
                    assert part, "the stream goes on"
                    came += part
            assert memory(client) - before < 64e6
        finally:
            for stream in streams:
                stream.close()
        client.delete(f"/api/jobs/{job}")
