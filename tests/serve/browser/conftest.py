"""A browser, and a clip whose frames carry their number, for the tests of the page."""

from __future__ import annotations

import json
import os
import shutil
import time
import urllib.request
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

FRAMES, HEIGHT, WIDTH, BLOCK = 20, 128, 192, 16
BITS = 6
PATIENCE = 120_000
"""Milliseconds that a page may take for a job: the machine of the tests may be busy."""


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


# Playwright keeps an event loop running in this thread, which other modules' asyncio cannot have.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """Debian's browser: the one that Playwright would fetch by itself may not be had."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: pip install playwright")
    found = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        pytest.skip("there is no chromium: apt-get install chromium")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=found, args=["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
        )
        yield browser
        browser.close()


@pytest.fixture
def said() -> list[str]:
    """What the browser said on its console; anything that is left there fails the test."""
    return []


@pytest.fixture
def page(chromium: Any, said: list[str]) -> Iterator[Any]:
    """A page of a fresh visitor."""
    context = chromium.new_context(viewport={"width": 1280, "height": 800}, accept_downloads=True)
    opened = context.new_page()
    opened.set_default_timeout(PATIENCE)
    opened.on("console", lambda message: said.append(message.text))
    opened.on("pageerror", lambda error: said.append(str(error)))
    yield opened
    context.close()
    assert not said


def ask(url: str, body: object = None) -> Any:
    """Send JSON, read JSON."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


@pytest.fixture(scope="session")
def job(started: tuple[str, Path], clip: Path) -> str:
    """Address of the page on a job whose subject is found."""
    url, root = started
    shutil.copy(clip, root / "media" / "found.mp4")
    identity = ask(f"{url}api/jobs", {"path": "found.mp4"})["id"]
    end = time.monotonic() + PATIENCE / 1000
    while (found := ask(f"{url}api/jobs/{identity}"))["state"] != "done" or not found["proxy"]:
        assert found["state"] in {"queued", "running", "done"}, found
        assert time.monotonic() < end, found
        time.sleep(0.2)
    return f"{url}#job={identity}"
