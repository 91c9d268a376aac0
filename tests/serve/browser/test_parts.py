"""A part of a video on the page: its frames have the numbers that the whole video, and the report, have for them."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from serve.browser.conftest import PATIENCE, ask
from serve.browser.test_story import READY, at, click, revision

START, EVERY, COUNT = 5, 2, 6


@pytest.fixture(scope="module")
def part(searched: str) -> str:
    """Address of the page on every second frame from frame 5 to 15, searched."""
    url, identity = searched.split("#job=")
    taken = {"start": f"f{START}", "end": f"f{START + EVERY * COUNT}", "every": EVERY}
    made = ask(f"{url}api/jobs", {"job": identity, "range": taken})["id"]
    end = time.monotonic() + PATIENCE / 1000
    while ask(f"{url}api/jobs/{made}")["state"] != "done":
        assert time.monotonic() < end, "the part is not searched"
        time.sleep(0.05)
    return f"{url}#job={made}"


def test_frames_have_their_numbers_in_the_whole_video(page: Any, part: str, started: tuple[str, Path]) -> None:
    report = started[1] / "clips" / part.split("#job=")[1] / "run" / "report.json"
    rows = json.loads(report.read_text("utf-8"))["frames"]
    assert [row["source_index"] for row in rows] == [5, 7, 9, 11, 13, 15]
    page.goto(part)
    page.wait_for_selector(READY)
    page.keyboard.press("Home")
    for index, row in enumerate(rows):
        number = row["source_index"]
        page.wait_for_selector(at(index))
        assert page.text_content("#frame-title") == f"Frame {number}"
        assert page.text_content("#clip-where").split()[0] == f"{number}/15"
        assert page.get_attribute("#timeline", "aria-valuenow") == str(number)
        assert page.get_attribute("#picture", "aria-label").startswith(f"Frame {number} of 15, ")
        page.keyboard.press("ArrowRight")
    assert page.get_attribute("#timeline", "aria-valuemin") == "5"
    assert page.get_attribute("#timeline", "aria-valuemax") == "15"
    page.keyboard.press("i")
    page.keyboard.press("Control+e")
    page.wait_for_selector("#export-part:visible >> text=frames 15 to 15")


def test_errors_name_frames_by_these_numbers(page: Any, said: list[str], part: str) -> None:
    page.goto(part)
    page.wait_for_selector(READY)
    page.keyboard.press("Home")
    before = int(page.get_attribute("main", "data-revision"))
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    click(page, 0.3, 0.45)
    revision(page, before + 1)
    page.keyboard.press("ArrowRight")
    page.wait_for_selector(at(3))
    page.keyboard.press("b")
    page.wait_for_selector("#alert:has-text('Frame 9')")
    assert "Nothing can be followed back from frame 11." in page.text_content("#alert")
    page.keyboard.press("Control+z")
    revision(page, before)
    assert all("409" in each for each in said), said
    said.clear()


HOLD = """() => {
  const real = window.fetch;
  window.fetch = async (address, ...rest) => {
    const answer = await real(address, ...rest);
    const held = String(address).endsWith("/timeline") && !window.release;
    if (held) await new Promise((done) => { window.release = done; });
    return answer;
  };
}"""
"""Keeps the first answer with a timeline back, until the page calls `release`."""


def test_a_timeline_that_was_asked_for_before_an_edit_is_not_the_last(page: Any, job: str) -> None:
    page.goto(job)
    page.wait_for_selector(READY)
    page.keyboard.press("Home")
    page.wait_for_selector("#frame-words:has-text('Confidence')")
    before = int(page.get_attribute("main", "data-revision"))
    page.evaluate(HOLD)
    page.keyboard.press("c")
    revision(page, before + 1)
    page.wait_for_function("() => !!window.release")
    page.keyboard.press("Control+z")
    revision(page, before)
    page.wait_for_timeout(500)
    page.evaluate("release()")
    page.wait_for_timeout(500)
    timeline = page.evaluate("async () => (await import('/static/state.js')).store.state.timeline")
    assert timeline["confirmed"] == []
