"""Measure the page of `covos serve` as a person meets it, in Chromium, on this machine: waiting times, rates, memory.

    python benchmarks/serve.py                                   # the example clip, over and over for half a minute
    python benchmarks/serve.py --minutes 10 --size 256x144 --known   # a long clip whose masks are known: memory, edits
    python benchmarks/serve.py --picture docs/pictures/serve.jpg # the pictures of the documents, of the example clip

Playwright's Python package and a Chromium are needed (`CHROMIUM` names another). Memory is what processes have for
themselves and their share of what they have in common (PSS), so Linux alone.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from recorded import keep

EXAMPLE = Path(__file__).parents[1] / "examples" / "car.mp4"
SIZE = (768, 432)
"""Width and height of the example."""
READY = "main[data-state=ready]"
MASKED = "#frame-words:has-text('Confidence')"
"""The frame that is shown has its mask."""
PATIENCE = 3_600_000
"""Milliseconds."""
EXAMPLE_FRAMES = 60
LOOKS = 60
"""Places of a long clip that are looked at."""
SHOWN = 27
"""Frame of the example that the picture shows."""
BEHIND = "#e8b04a"
"""Colour behind the subject in the second picture."""


def write_long(path: Path, *, minutes: float, size: tuple[int, int]) -> int:
    """Write the example over and over, forth and back, for so many minutes; return the number of frames.

    ``size`` is (width, height).
    """
    import av

    width, height = size
    with av.open(str(EXAMPLE)) as video:
        rate = video.streams.video[0].average_rate
        once = [frame.reformat(width, height, "rgb24").to_ndarray() for frame in video.decode(video=0)]
    there_and_back = [*once, *once[-2:0:-1]]
    count = round(minutes * 60 * float(rate or 25))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(rate or 25), options={"preset": "veryfast", "crf": "20"})
        stream.height, stream.width, stream.pix_fmt = *once[0].shape[:2], "yuv420p"
        for index in range(count):
            picture = there_and_back[index % len(there_and_back)]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return count


def write_run(clip: Path, folder: Path) -> None:
    """Write a finished run of a long clip: the masks of the example, over and over, as the pictures are."""
    import covos
    from covos.media.inputs import open_input

    with open_input(str(clip)) as source:
        once = covos.segment(clip, range=range(EXAMPLE_FRAMES))
        there_and_back = [*once.frames, *once.frames[-2:0:-1]]
        frames = tuple(
            replace(
                there_and_back[frame.index % len(there_and_back)],
                index=frame.index,
                stem=frame.stem,
                pts=frame.pts,
                time_base=frame.time_base,
            )
            for frame in source
        )
        long = replace(once, info=source.info, health=source.health, frames=frames)
    long.save(folder, formats=["palette"])


@contextmanager
def server(root: Path, *, run: Path | None = None) -> Iterator[tuple[str, int]]:
    """Run `covos serve`, or `covos open` on a run; gives its address and its process."""
    verb = ["serve"] if run is None else ["open", str(run), "--no-browser"]
    command = [sys.executable, "-m", "covos", *verb, "--root", str(root), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        found = re.search(r"http://127\.0\.0\.1:\d+/\S*", process.stdout.readline())
        assert found, "the server has not begun"
        try:
            yield found[0], process.pid
        finally:
            process.terminate()


@contextmanager
def opened(url: str, *, height: int = 800, state: str = "empty") -> Iterator[tuple[Any, Any]]:
    """Open the page in Chromium, and wait for a state of it; gives the browser and the page."""
    from playwright.sync_api import sync_playwright

    found = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        page = browser.new_context(viewport={"width": 1280, "height": height}, color_scheme="light").new_page()
        page.set_default_timeout(PATIENCE)
        page.goto(url)
        page.wait_for_selector(f"main[data-state={state}]")
        yield browser, page
        browser.close()


def memory(process: int) -> float:
    """Return the megabytes of a process and its children."""
    total = 0.0
    try:
        rollup = Path(f"/proc/{process}/smaps_rollup").read_text()
        total = int(re.findall(r"^Pss:\s+(\d+)", rollup, re.MULTILINE)[0]) / 1024
        children = Path(f"/proc/{process}/task").glob("*/children")
        return total + sum(memory(int(child)) for file in children for child in file.read_text().split())
    except OSError:  # it has ended meanwhile
        return total


def tab_memory(browser: Any) -> float:
    """Return the megabytes of the processes that show pages."""
    told = browser.new_browser_cdp_session().send("SystemInfo.getProcessInfo")["processInfo"]
    return sum(memory(each["id"]) for each in told if each["type"] == "renderer")


class Told:
    """Numbers that are printed as they come, and kept as a table."""

    def __init__(self) -> None:
        self._rows: list[list[str]] = []

    def say(self, what: str, number: str) -> None:
        """Print a number, and remember it."""
        print(f"{what}: {number}", flush=True)
        self._rows.append([what, number])

    def say_clicks(self, times: list[float]) -> None:
        """Say how long a mask takes after a click."""
        self.say("mask of a click, median, s", f"{statistics.median(times):.2f}")
        self.say("mask of a click, slowest, s", f"{max(times):.2f}")

    def say_memory(self, browser: Any, process: int) -> None:
        """Say what the page and the server hold."""
        self.say("memory of the browser's tab, MB", f"{tab_memory(browser):.0f}")
        self.say("memory of the server with its processes, MB", f"{memory(process):.0f}")

    def keep(self, json: Path | None, name: str, *, frames: int, size: tuple[int, int]) -> None:
        """Write the table into a file of results, if there is to be one."""
        keep(json, name, columns=[f"a clip of {frames} frames at {size[0]} x {size[1]}", ""], rows=self._rows)


def go_to(page: Any, share: float) -> None:
    """Go to a place of the clip, a share of its length, by the timeline."""
    box = page.locator("#timeline").bounding_box()
    page.mouse.click(box["x"] + share * box["width"] + 1, box["y"] + box["height"] / 2)
    if not share:  # a pixel is several frames
        page.keyboard.press("Home")


def click_times(page: Any, *, clicks: int) -> list[float]:
    """Click on as many frames, and return the seconds until each mask is there; the first waits for the network."""
    taken = []
    box = page.locator("#picture").bounding_box()
    for number in range(clicks + 1):
        go_to(page, number / (clicks + 1))
        page.wait_for_timeout(1000)  # a person looks before clicking
        before = int(page.get_attribute("main", "data-revision"))
        began = time.monotonic()
        page.mouse.click(box["x"] + 0.5 * box["width"], box["y"] + 0.5 * box["height"])
        page.wait_for_selector(f"main[data-revision='{before + 1}']")
        taken.append(time.monotonic() - began)
    return taken[1:]


def track_rate(page: Any, button: str, *, frames: int) -> float:
    """Press the button that follows so many frames, and return the frames a second."""
    before = int(page.get_attribute("main", "data-revision"))
    began = time.monotonic()
    page.click(button)
    page.wait_for_selector(f"{READY}[data-revision='{before + 1}']")
    return frames / (time.monotonic() - began)


def command_line_rate(clip: Path, *, frames: int, size: tuple[int, int]) -> float:
    """Return the frames a second of the same work on the command line: a box on the first frame, followed."""
    across, down = size[0] / SIZE[0], size[1] / SIZE[1]
    with tempfile.TemporaryDirectory() as out:
        began = time.monotonic()
        box = ["--box", ",".join(f"{round(at)}" for at in (300 * across, 150 * down, 470 * across, 280 * down))]
        command = [sys.executable, "-m", "covos", "segment", str(clip), *box, "-o", f"{out}/run", "-f", "palette", "-q"]
        subprocess.run(command, check=True)
        return frames / (time.monotonic() - began)


def measure(*, minutes: float, clicks: int, size: tuple[int, int], json: Path | None) -> None:
    """Print all numbers."""
    told = Told()
    with tempfile.TemporaryDirectory() as root:
        clip = Path(root) / "long.mp4"
        frames = write_long(clip, minutes=minutes, size=size)
        with server(Path(root) / "clips") as (url, process), opened(url) as (browser, page):
            began = time.monotonic()
            page.set_input_files("#file", clip)
            page.wait_for_selector("#picture[aria-label*='subject']")
            told.say("first mask after the drop, s", f"{time.monotonic() - began:.1f}")
            page.wait_for_selector(READY)
            found = frames / (time.monotonic() - began)
            told.say("frames found a second, the upload included", f"{found:.1f}")
            told.say_clicks(click_times(page, clicks=clicks))
            page.keyboard.press("Home")
            page.wait_for_timeout(1000)
            told.say("frames followed a second", f"{track_rate(page, '#track-on', frames=frames):.1f}")
            told.say_memory(browser, process)
        alone = command_line_rate(clip, frames=frames, size=size)
        told.say("frames followed a second, on the command line", f"{alone:.1f}")
    told.keep(json, "page", frames=frames, size=size)


def measure_known(*, minutes: float, clicks: int, size: tuple[int, int], tracked: int, json: Path | None) -> None:
    """Print the numbers of a clip whose masks are known, as after a night of computing: no minutes are waited for them.

    Dropped on the page, it is searched until its first mask shows. Opened as a run, it is looked at from end to end,
    clicked on, and followed for so many frames; the command line follows a clip of as many.
    """
    told = Told()
    with tempfile.TemporaryDirectory() as root:
        clip, run = Path(root) / "long.mp4", Path(root) / "run"
        frames = write_long(clip, minutes=minutes, size=size)
        with server(Path(root) / "dropped") as (url, _), opened(url) as (_, page):
            began = time.monotonic()
            page.set_input_files("#file", clip)
            page.wait_for_selector(MASKED)
            told.say("first mask after the drop, s", f"{time.monotonic() - began:.1f}")
        write_run(clip, run)
        began = time.monotonic()
        with (
            server(Path(root) / "opened", run=run) as (url, process),
            opened(url, state="opening") as (browser, page),
        ):
            told.say("the page after `covos open`, s", f"{time.monotonic() - began:.1f}")
            page.wait_for_selector(MASKED)
            told.say("its masks, s", f"{time.monotonic() - began:.1f}")
            for place in range(LOOKS):
                go_to(page, place / LOOKS)
                page.wait_for_timeout(300)
            told.say_clicks(click_times(page, clicks=clicks))
            page.keyboard.press("Home")
            for _ in range(tracked // 10):
                page.keyboard.press("Shift+ArrowRight")
            page.keyboard.press("o")
            page.keyboard.press("Home")
            rate = track_rate(page, "#track-mark:enabled", frames=tracked)
            told.say(f"frames followed a second, of {tracked}", f"{rate:.1f}")
            told.say_memory(browser, process)
        short = Path(root) / "short.mp4"
        count = write_long(short, minutes=minutes * tracked / frames, size=size)
        alone = command_line_rate(short, frames=count, size=size)
        told.say("the same on the command line, its start included", f"{alone:.1f}")
    told.keep(json, "long", frames=frames, size=size)


def draw(file: Path) -> None:
    """Make pictures of the page on the example clip: of its masks, of a cut-out, and of the export panel."""
    with tempfile.TemporaryDirectory() as root, server(Path(root)) as (url, _), opened(url, height=760) as (_, page):
        page.click("#example")
        page.wait_for_selector(READY)
        for hint in page.locator(".hint:visible button").all():
            hint.click()
        page.keyboard.press("Home")
        for _ in range(SHOWN):
            page.keyboard.press("ArrowRight")
        page.wait_for_timeout(3000)  # the strip of pictures fills
        page.screenshot(path=file, type="jpeg", quality=80)
        page.check("input[value=ground]", force=True)
        page.fill("#ground-colour", BEHIND)
        page.wait_for_selector("main[data-cut=true]")
        page.screenshot(path=file.with_stem(f"{file.stem}-cut"), type="jpeg", quality=80)
        page.keyboard.press("Control+e")
        page.check("#formats li[data-format=background] input")
        page.wait_for_selector("#export-make:enabled")
        page.screenshot(path=file.with_stem(f"{file.stem}-export"), type="jpeg", quality=80)


def main() -> None:
    """Measure, or draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=0.5, help="length of the clip")
    parser.add_argument("--size", default="768x432", help="width x height of the clip, both even")
    parser.add_argument("--clicks", type=int, default=10, help="clicks that are timed")
    parser.add_argument("--known", action="store_true", help="do not wait until all masks are found: see measure_known")
    parser.add_argument("--tracked", type=int, default=200, help="with --known, frames that are followed")
    parser.add_argument(
        "--picture",
        type=Path,
        help="make this picture instead, and beside it those of the cut-out and the export panel",
    )
    parser.add_argument("--json", type=Path, help="keep the table in this file: see recorded.py")
    given = parser.parse_args()
    width, height = map(int, given.size.split("x"))
    if given.picture is not None:
        draw(given.picture)
    elif given.known:
        measure_known(
            minutes=given.minutes, clicks=given.clicks, size=(width, height), tracked=given.tracked, json=given.json
        )
    else:
        measure(minutes=given.minutes, clicks=given.clicks, size=(width, height), json=given.json)


if __name__ == "__main__":
    main()
