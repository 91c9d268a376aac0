"""The keys of the page: those that point do as the chosen tool does, and those that step always step."""

from __future__ import annotations

from typing import Any

from covos.masks import RLE
from serve.browser.conftest import ask
from serve.browser.test_races import opened, undone
from serve.browser.test_story import at, number, revision


def area(job: str, frame: int) -> int:
    url, name = job.split("#job=")
    page = ask(f"{url}api/jobs/{name}/masks?start={frame}&stop={frame + 1}&edges=false")
    (mask,) = page["frames"][0]["objects"]
    return int(RLE.from_coco({"size": page["size"], "counts": mask["counts"]}).area)


def kinds(job: str) -> list[str]:
    return [each["kind"] for each in ask(job.replace("#job=", "api/jobs/"))["prompts"]]


def test_at_the_crosshair_the_brush_paints_and_the_eraser_takes_away(page: Any, job: str) -> None:
    before = opened(page, job)
    page.keyboard.press("Home")
    number(page, 0)
    first = area(job, 0)
    page.keyboard.press("p")  # in the middle, where there is nothing
    page.check("input[value=eraser]", force=True)
    page.focus("#picture")
    page.keyboard.press("Enter")
    revision(page, before + 1)
    assert kinds(job) == ["mask"], "an eraser makes no point"
    assert area(job, 0) == first
    page.check("input[value=brush]", force=True)
    page.focus("#picture")
    page.keyboard.press("Enter")
    revision(page, before + 2)
    painted = area(job, 0)
    size = page.evaluate("async () => (await import('/static/state.js')).store.state.brush")
    assert abs(painted - first - 3.14 * (size / 2) ** 2) < size, "a round dab"
    page.keyboard.press("Alt+Enter")
    revision(page, before + 3)
    assert area(job, 0) == first, "with the other button a brush erases"
    undone(page, before)


def test_comma_and_full_stop_step_with_the_crosshair_on_and_the_arrows_move_it(page: Any, job: str) -> None:
    opened(page, job)
    page.keyboard.press("Home")
    page.keyboard.press("p")
    for key, frame in ((".", 1), (".", 2), (",", 1), ("ArrowRight", 1)):
        page.keyboard.press(key)
        page.wait_for_selector(at(frame))
    page.wait_for_selector("#picture[aria-label*='Crosshair at 106, 64']")
