"""The page behind a proxy that gives it a path of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from covos.serve.guard import Message, Receive, Send
from serve.browser.conftest import send, until
from serve.browser.test_drop import DROP
from serve.browser.test_story import READY, click, revision

PATH = "/covos"


class Proxy:
    """Passes on what lies below a path, without the path, as `proxy_pass` of nginx does; all else is not there."""

    def __init__(self, target: str) -> None:
        self.target, self.elsewhere = target.rstrip("/"), list[str]()

    async def __call__(self, scope: Message, receive: Receive, answer: Send) -> None:
        path, query = scope["path"], scope["query_string"].decode()
        if not path.startswith(f"{PATH}/"):
            self.elsewhere.append(path)
            await answer({"type": "http.response.start", "status": 404, "headers": []})
            await answer({"type": "http.response.body"})
            return
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        url = f"{self.target}{path.removeprefix(PATH)}{'?' * bool(query)}{query}"
        async with (
            httpx.AsyncClient(timeout=None) as client,
            client.stream(scope["method"], url, headers=scope["headers"], content=body) as got,
        ):
            await answer({"type": "http.response.start", "status": got.status_code, "headers": got.headers.raw})
            async for part in got.aiter_raw():
                await answer({"type": "http.response.body", "body": part, "more_body": True})
        await answer({"type": "http.response.body"})


@pytest.fixture
def proxy(started: tuple[str, Path]) -> Iterator[tuple[str, Proxy]]:
    """Address of the page behind the proxy."""
    app = Proxy(started[0])
    config = uvicorn.Config(app, port=0, ws="none", log_level="critical", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}{PATH}/", app
    server.should_exit = server.force_exit = True
    thread.join()


def test_a_clip_is_sent_corrected_and_downloaded_below_a_path(
    page: Any, said: list[str], proxy: tuple[str, Proxy], clip: Path, job: str
) -> None:
    address, app = proxy
    page.goto(f"{address}#job={job.split('#job=')[1]}")
    page.wait_for_selector(READY)
    page.wait_for_selector("#frame-words:has-text('Confidence')")
    before = int(page.get_attribute("main", "data-revision"))
    click(page, 0.9, 0.2)
    revision(page, before + 1)
    page.keyboard.press("Control+z")
    revision(page, before)
    page.keyboard.press("Control+e")
    page.check("#formats li[data-format=coco] input")
    with page.expect_download() as fetched:
        page.click("#export-make")
    assert fetched.value.url.startswith(address)
    page.keyboard.press("Escape")
    page.on("dialog", lambda dialog: dialog.accept())
    page.evaluate(DROP, ["letter.mp4", "Dear editor"])
    page.wait_for_selector("main[data-state=refused]")
    assert page.url == address
    page.click("#refusal a:has-text('Back to found.mp4')")
    page.wait_for_selector(READY)
    said.clear()  # the browser tells of the refusal

    page.goto(address)
    page.wait_for_selector("main[data-state=empty]")
    page.set_input_files("#file", clip)
    page.wait_for_selector("#clip:not([hidden])")
    until(page, lambda: "#job=" in page.url, what="the clip has come")
    sent = page.url
    assert sent.startswith(address)
    page.goto("about:blank")  # the proxy ends before the page
    send(f"{app.target}/api/jobs/{sent.split('#job=')[1]}", method="DELETE")
    assert not [path for path in app.elsewhere if path != "/favicon.ico"]
