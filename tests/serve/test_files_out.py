"""Files that a server hands out: asked for with HEAD, in ranges, and while they are made anew."""

from __future__ import annotations

import errno
import os
import zipfile
from pathlib import Path

import httpx
import pytest

from covos.core.errors import EnvironmentProblem
from covos.serve import downloads
from covos.serve.desk import Desk
from covos.serve.downloads import Downloads, pack
from serve.in_process import asking

CONTENT = bytes(range(200))


@pytest.fixture
def file(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A download that is ready; the video that browsers play has the same content."""
    file = tmp_path / "coco.json"
    for each in (file, desk.clip("one").proxy):
        each.write_bytes(CONTENT)
    monkeypatch.setattr(Downloads, "download", lambda *_: file)
    return file


@pytest.mark.usefixtures("file")
def test_head_tells_all_but_the_content(desk: Desk) -> None:
    async def ask(client: httpx.AsyncClient) -> None:
        files = ("/api/jobs/one/results/coco", "/api/jobs/one/proxy")
        for address in ("/", "/health", "/metrics", *files):
            told, whole = await client.head(address), await client.get(address)
            assert told.status_code == whole.status_code == 200
            if address != "/metrics":  # it counts
                assert told.headers["content-length"] == whole.headers["content-length"] == str(len(whole.content))
            assert told.headers["content-type"] == whole.headers["content-type"]
        for address in files:
            told = await client.head(address)
            assert (told.content, told.headers["accept-ranges"]) == (b"", "bytes")
        described = (await client.get("/openapi.json")).json()["paths"]
        assert not [path for path, methods in described.items() if "head" in methods and "upload" not in path]

    asking(desk, ask)


@pytest.mark.usefixtures("file")
def test_a_download_that_broke_off_goes_on_where_it_was(desk: Desk, file: Path) -> None:
    async def ask(client: httpx.AsyncClient) -> None:
        address = "/api/jobs/one/results/coco"
        tag = (await client.get(address)).headers["etag"]
        rest = await client.get(address, headers={"range": "bytes=150-", "if-range": tag})
        assert (rest.status_code, rest.content) == (206, CONTENT[150:])
        assert rest.headers["content-range"] == "bytes 150-199/200"
        assert (await client.get(address, headers={"range": "bytes=200-"})).status_code == 416
        file.write_bytes(CONTENT + b"more")  # it was made anew meanwhile
        whole = await client.get(address, headers={"range": "bytes=150-", "if-range": tag})
        assert (whole.status_code, whole.content) == (200, CONTENT + b"more")

    asking(desk, ask)


def test_the_page_runs_where_the_system_knows_other_kinds_of_its_files(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("starlette.responses.guess_type", lambda *_: ("text/plain", None))  # as some Windows

    async def ask(client: httpx.AsyncClient) -> None:
        page, script, style, icon = [
            await client.get(address) for address in ("/", "/static/main.js", "/static/app.css", "/static/icon.svg")
        ]
        kinds = [answer.headers["content-type"].partition(";")[0] for answer in (page, script, style, icon)]
        assert kinds == ["text/html", "text/javascript", "text/css", "image/svg+xml"]
        same = await client.get("/static/main.js", headers={"if-none-match": script.headers["etag"]})
        assert (same.status_code, "content-type" in same.headers) == (304, False)

    asking(desk, ask)


@pytest.fixture
def masks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A download of several files, as it is written."""
    folder = tmp_path / "palette"
    (folder / "masks").mkdir(parents=True)
    for name in ("0.png", "1.png"):
        (folder / "masks" / name).write_bytes(CONTENT)

    class Report:
        outputs = ("masks",)

    monkeypatch.setattr(downloads, "load_report", lambda _: Report)
    return folder


def test_a_zip_that_does_not_fit_on_the_disk_is_not_there(masks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(zipfile.ZipFile, "write", fail)
        with pytest.raises(EnvironmentProblem, match="could not be written"):
            pack(masks, "palette")
    assert [each.name for each in masks.parent.iterdir() if "zip" in each.name] == []
    with zipfile.ZipFile(pack(masks, "palette")) as archive:
        assert archive.namelist() == ["masks/0.png", "masks/1.png"]


def test_files_of_a_machine_whose_clock_is_not_set_are_packed(masks: Path) -> None:
    for file in (masks / "masks").iterdir():
        os.utime(file, (0, 0))
    with zipfile.ZipFile(pack(masks, "palette")) as archive:
        assert archive.read("masks/1.png") == CONTENT
