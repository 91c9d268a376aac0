"""Uploads that go on after a lost connection, as tus clients send them."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import httpx
import pytest

from covos.serve.uploads import kept_as

TUS = {"tus-resumable": "1.0.0"}
PART = TUS | {"content-type": "application/offset+octet-stream"}
PATIENCE = 120.0


@pytest.fixture(scope="module")
def client(started: tuple[str, Path]) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=started[0], timeout=PATIENCE, headers=TUS) as client:
        yield client


def begin(client: httpx.Client, length: int, *, name: str = "shot.mp4") -> str:
    said = {"upload-length": str(length), "upload-metadata": f"filename {b64encode(name.encode()).decode()},empty"}
    answer = client.post("/api/uploads", headers=said)
    assert answer.status_code == 201, answer.text
    assert answer.headers["upload-expires"].endswith("GMT")
    return answer.headers["location"]


def test_a_file_in_parts(client: httpx.Client, started: tuple[str, Path], make_clip: Callable[..., Path]) -> None:
    content = make_clip().read_bytes()
    where = begin(client, len(content), name="../é.mp4")
    half = len(content) // 2
    first = client.patch(where, content=content[:half], headers=PART | {"upload-offset": "0"})
    assert (first.status_code, first.headers["upload-offset"]) == (204, str(half))
    assert client.post("/api/jobs", json={"upload": where.rsplit("/", 1)[1]}).status_code == 409
    assert client.patch(where, content=b"x", headers=PART | {"upload-offset": "0"}).status_code == 409
    there = client.head(where)
    assert there.headers["upload-offset"] == str(half)
    assert there.headers["upload-length"] == str(len(content))
    assert there.headers["cache-control"] == "no-store"
    # Some clients know no PATCH.
    more = {"upload-offset": str(half), "x-http-method-override": "PATCH"}
    assert client.post(where, content=content[half:], headers=PART | more).status_code == 204
    job = client.post("/api/jobs", json={"upload": where.rsplit("/", 1)[1]})
    assert job.status_code == 201, job.text
    assert job.json()["name"] == "é.mp4"
    assert job.json()["info"]["frame_count"] == 8
    assert client.head(where).status_code == 404, "it is the job's now"
    assert not list((started[1] / "clips").glob("sent-*"))
    client.delete(f"/api/jobs/{job.json()['id']}")


def test_a_client_of_others(client: httpx.Client, started: tuple[str, Path], make_clip: Callable[..., Path]) -> None:
    """tus.io's own client for Python: in parts, broken off, taken up again by its address."""
    tusclient = pytest.importorskip("tusclient.client", reason="tuspy is not installed")
    clip = make_clip()
    there = tusclient.TusClient(f"{started[0]}api/uploads")
    length = clip.stat().st_size
    said = {"filename": "shot.mp4", "filetype": "video/mp4"}
    with clip.open("rb") as file:
        first = there.uploader(file_stream=file, chunk_size=length // 3, metadata=said)
        first.upload_chunk()
        again = there.uploader(file_stream=file, url=first.url, chunk_size=length // 3)
        assert again.get_offset() == length // 3
        again.upload()
    job = client.post("/api/jobs", json={"upload": again.url.rsplit("/", 1)[1]})
    assert (job.json()["name"], job.json()["info"]["frame_count"]) == ("shot.mp4", 8)
    client.delete(f"/api/jobs/{job.json()['id']}")


def test_what_has_come_stays_when_the_client_vanishes(client: httpx.Client, started: tuple[str, Path]) -> None:
    where = begin(client, 1000)

    def broken() -> Iterator[bytes]:
        yield b"a" * 300
        time.sleep(0.3)
        raise OSError("the cable is out")

    with pytest.raises(OSError, match="cable"):
        client.patch(where, content=broken(), headers=PART | {"upload-offset": "0"})
    end = time.monotonic() + PATIENCE
    while client.patch(where, content=b"b" * 700, headers=PART | {"upload-offset": "300"}).status_code != 204:
        assert time.monotonic() < end
        time.sleep(0.05)
    (data,) = (started[1] / "clips").glob("sent-*/data")
    assert data.read_bytes() == b"a" * 300 + b"b" * 700
    assert client.delete(where).status_code == 204
    assert client.delete(where).status_code == 404


def test_what_tus_refuses(client: httpx.Client, started: tuple[str, Path]) -> None:
    able = client.options("/api/uploads")
    assert able.headers["tus-version"] == "1.0.0"
    assert {"creation", "expiration", "termination"} == set(able.headers["tus-extension"].split(","))
    most = int(able.headers["tus-max-size"])
    assert client.post("/api/uploads", headers={"upload-length": str(most + 1)}).status_code == 413
    assert client.post("/api/uploads", headers={"upload-length": "-1"}).status_code == 422
    assert client.post("/api/uploads", headers={"upload-length": "1", "upload-metadata": "a ?"}).status_code == 400
    other = client.post("/api/uploads", headers={"upload-length": "1", "tus-resumable": "0.2.2"})
    assert (other.status_code, other.headers["tus-version"]) == (412, "1.0.0")
    where = begin(client, 10)
    assert (
        client.patch(where, content=b"x", headers={"upload-offset": "0", "content-type": "text/plain"}).status_code
        == 415
    )
    long = client.patch(where, content=b"x" * 11, headers=PART | {"upload-offset": "0"})
    assert long.status_code == 413
    assert long.headers["tus-resumable"] == "1.0.0"
    assert client.head(f"{where}0").status_code == 404
    assert client.head("/api/uploads/..%2f..").status_code == 404
    (data,) = (started[1] / "clips").glob("sent-*/data")
    os.utime(data, (0, 0))
    assert client.head(where).status_code in {404, 410}, "expired; the server may have thrown it away by itself"
    assert not data.exists()


def test_room_is_kept_for_what_is_still_to_come(tmp_path: Path) -> None:
    from covos.plan import Plan
    from covos.serve.desk import Desk
    from covos.serve.errors import TooLargeError
    from covos.serve.rules import Rules

    desk = Desk(Rules(root=tmp_path, quota=1500), plan=Plan(source="clip"))
    desk.uploads.begin(name="a", length=1000)
    with pytest.raises(TooLargeError, match="no room"):
        desk.quota.refuse_new(600)
    folder = desk.arrivals.begin_upload(400)  # in one piece
    for came in (b"", bytes(300), bytes(410)):
        (folder / "source").write_bytes(came)
        with pytest.raises(TooLargeError, match="no room"):
            desk.arrivals.begin_upload(101)
    shutil.rmtree(folder)  # it was no video
    desk.quota.refuse_new(400)


def test_what_announces_no_size_is_weighed_when_it_is_there(tmp_path: Path) -> None:
    from covos.plan import Plan
    from covos.serve.app import make_app
    from covos.serve.desk import Desk
    from covos.serve.metrics import Metrics
    from covos.serve.rules import Rules

    async def body(size: int) -> AsyncIterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n'
        yield bytes(size)
        yield b"\r\n--b--\r\n"

    desk = Desk(Rules(root=tmp_path, quota=1000, upload=2000), plan=Plan(source="clip"))
    app = make_app(desk, token="", example=None, metrics=Metrics())

    async def sent(size: int) -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
            kind = {"content-type": "multipart/form-data; boundary=b"}
            return await client.post("/api/jobs", content=body(size), headers=kind)

    for size, said in ((1500, "the server has no room for this clip"), (2500, "the file has 2,500 bytes")):
        answer = asyncio.run(sent(size))
        assert "content-length" not in answer.request.headers
        assert (answer.status_code, answer.json()["title"]) == (413, said)
        assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("Harbour, in May.JPG", "Harbour, in May.JPG"),
        ("Schiff é.tar.mov", "Schiff é.tar.mov"),
        ("shot%04d[1].mp4", "shot_04d_1_.mp4"),
        ("con.mp4", "_con.mp4"),
        ("a\nb?.m:p4", "a_b_.mp4"),
        ("...", "clip"),
        ("木" * 119, "木" * 50),
    ],
)
def test_a_file_keeps_its_name_as_far_as_disks_and_readers_take_it(name: str, kept: str, tmp_path: Path) -> None:
    file = kept_as(tmp_path, name)
    file.write_bytes(b"")
    assert file == tmp_path / "source" / kept
