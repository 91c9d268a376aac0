"""A browser, and a clip whose frames carry their number, for the tests of the page."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

FRAMES, HEIGHT, WIDTH, BLOCK = 20, 128, 192, 16
BITS = 6
PATIENCE = 60_000
"""Milliseconds that a page may take for a job: the machine of the tests may be busy."""
LIMIT = 300.0
"""Seconds of one test, at most: a wait of the page's own ends before, with a message of what was waited for."""


def write_clip(path: Path) -> Path:
    """A bright square that moves over noise; blocks along the lower edge give the frame's number, lowest bit first.

    It lies on its side, as phones film, and says so; it has sound.
    """
    noise = np.random.default_rng(0).integers(30, 90, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=Fraction(25, 2), options={"crf": "10"})
        video.height, video.width, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        video.set_display_rotation(90)
        sound = container.add_stream("aac", rate=48000, layout="mono")
        for index in range(FRAMES):
            image = noise.copy()
            image[32:80, 10 + 5 * index : 58 + 5 * index] = (230, 200, 40)
            for bit in range(BITS):
                image[-BLOCK:, bit * BLOCK : (bit + 1) * BLOCK] = 255 * (index >> bit & 1)
            for packet in video.encode(
                av.VideoFrame.from_ndarray(np.ascontiguousarray(np.rot90(image, -1)), format="rgb24")
            ):
                container.mux(packet)
        tone = np.sin(np.arange(round(48000 * FRAMES * 0.08)) / 20).astype(np.float32)[None] / 4
        heard = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
        heard.sample_rate = 48000
        for packet in (*sound.encode(heard), *sound.encode(None), *video.encode(None)):
            container.mux(packet)
    return path


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("browser") / "moving.mp4")


@contextmanager
def ended_after(seconds: float, browser: Any) -> Iterator[None]:
    """Kill a browser if the block takes longer: scripts of a page, and its end, are waited for without any bound.

    Whatever waits for the browser then raises an error, which names the line.
    """
    told = browser.new_browser_cdp_session().send("SystemInfo.getProcessInfo")["processInfo"]
    (pid,) = (each["id"] for each in told if each["type"] == "browser")
    over = threading.Event()

    def watch() -> None:
        if not over.wait(seconds):
            print(f"the page took longer than {seconds:.0f} s: its browser was ended", file=sys.stderr)
            os.kill(pid, signal.SIGKILL)

    watching = threading.Thread(target=watch, daemon=True, name="watches the browser")
    watching.start()
    try:
        yield
    finally:
        over.set()
        watching.join()


def until(page: Any, right: Callable[[], bool], *, what: str) -> None:
    """Wait until something that the page brings about is so, for `PATIENCE` at most."""
    end = time.monotonic() + PATIENCE / 1000
    while not right():
        assert time.monotonic() < end, f"still not so after {PATIENCE / 1000:.0f} s: {what}"
        page.wait_for_timeout(50)


def launch(playwright: Any) -> Any:
    """Begin Debian's browser: the one that Playwright would fetch by itself may not be had.

    The headless shell has no windows to draw, and takes less of a processor for the same tests.
    """
    names = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if found is None:
        pytest.skip("there is no chromium: apt-get install chromium-headless-shell, or chromium")
    return playwright.chromium.launch(
        executable_path=found, args=["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
    )


def close(browser: Any) -> None:
    """End a browser, if nothing has ended it before."""
    if browser.is_connected():
        with ended_after(LIMIT, browser):
            browser.close()


# Playwright keeps an event loop running in this thread, which asyncio in modules of other folders cannot have.
@pytest.fixture(scope="package")
def playwright() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: pip install playwright")
    with sync_api.sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="package")
def browsers(playwright: Any) -> Iterator[list[Any]]:
    """The browser of all tests of the page, the last of the list; another one comes when it was ended."""
    browsers = [launch(playwright)]
    yield browsers
    for each in browsers:
        close(each)


@pytest.fixture
def chromium(browsers: list[Any], playwright: Any) -> Any:
    if not browsers[-1].is_connected():
        browsers.append(launch(playwright))
    return browsers[-1]


@pytest.fixture
def said() -> list[str]:
    """What the browser said on its console; anything that is left there fails the test."""
    return []


@pytest.fixture(scope="package")
def visits() -> dict[Any, Any]:
    """Of each browser a page that stays open: those that come after it share its process, and begin sooner."""
    return {}


@pytest.fixture
def context(chromium: Any, visits: dict[Any, Any], started: tuple[str, Path]) -> Any:
    """A visitor who has not been here before."""
    with ended_after(LIMIT, chromium):
        if chromium not in visits:
            fresh = chromium.new_context(viewport={"width": 1280, "height": 800}, accept_downloads=True)
            visits[chromium] = fresh.new_page()
            visits[chromium].goto(f"{started[0]}health")
        visits[chromium].evaluate("localStorage.clear()")
        context = visits[chromium].context
        context.clear_cookies()
        context.set_offline(False)
        return context


@pytest.fixture
def page(chromium: Any, context: Any, said: list[str]) -> Iterator[Any]:
    """A page of such a visitor."""
    with ended_after(LIMIT, chromium):
        opened = context.new_page()
        opened.set_default_timeout(PATIENCE)
        opened.on("console", lambda message: said.append(message.text))
        opened.on("pageerror", lambda error: said.append(str(error)))
        yield opened
        opened.close()
    assert not said


def send(url: str, data: bytes | None = None, *, method: str | None = None, **headers: str) -> bytes:
    """Send a request; return what is answered within `PATIENCE`."""
    request = urllib.request.Request(url, data, {"content-type": "application/json", **headers}, method=method)
    with urllib.request.urlopen(request, timeout=PATIENCE / 1000) as answer:
        content: bytes = answer.read()
        return content


def ask(url: str, body: object = None) -> Any:
    """Send JSON, read JSON."""
    return json.loads(send(url, None if body is None else json.dumps(body).encode()))


@pytest.fixture(scope="session")
def searched(started: tuple[str, Path], clip: Path) -> str:
    """Address of the page on a job whose subject is found."""
    url, root = started
    shutil.copy(clip, root / "media" / "found.mp4")
    identity = ask(f"{url}api/jobs", {"path": "found.mp4"})["id"]
    end = time.monotonic() + PATIENCE / 1000
    while (found := ask(f"{url}api/jobs/{identity}"))["state"] != "done" or not found["proxy"]:
        assert found["state"] in {"queued", "running", "done"}, found
        assert time.monotonic() < end, found
        time.sleep(0.05)
    return f"{url}#job={identity}"


@pytest.fixture
def job(searched: str) -> Iterator[str]:
    """The same; the edits of a test that fails go, as those after it would each wait in vain for what they know."""
    url, identity = searched.split("#job=")
    before = ask(f"{url}api/jobs/{identity}")["revision"]
    yield searched
    end = time.monotonic() + PATIENCE / 1000
    while (now := ask(f"{url}api/jobs/{identity}"))["revision"] > before:
        assert time.monotonic() < end, now
        if now["stage"] is None:
            send(f"{url}api/jobs/{identity}/undo", b"")
        else:
            time.sleep(0.05)
