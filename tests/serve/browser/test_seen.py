"""The picture that is seen and the frame that the page is at: what is said and taken is of the picture."""

from __future__ import annotations

from typing import Any

import pytest

from serve.browser.conftest import until
from serve.browser.test_races import opened
from serve.browser.test_story import at, number, revision


@pytest.fixture
def late(page: Any, job: str) -> Any:
    """The page of a job whose last frame's picture does not come before the fixture's function is called."""
    held: list[Any] = []
    is_open = False

    def hold(route: Any) -> None:
        if is_open:
            route.continue_()
        else:
            held.append(route)

    def let() -> None:
        nonlocal is_open
        is_open = True
        for route in held:
            route.continue_()

    page.route("**/frames/19?*", hold)
    return let


def press_on_the_picture(page: Any) -> None:
    box = page.locator("#picture").bounding_box()
    page.mouse.click(box["x"] + 0.8 * box["width"], box["y"] + 0.6 * box["height"])


def test_a_click_is_taken_once_the_picture_of_the_frame_is_there(page: Any, job: str, late: Any) -> None:
    before = opened(page, job)
    page.keyboard.press("Home")
    number(page, 0)
    page.keyboard.press("End")
    page.wait_for_selector(at(19))
    press_on_the_picture(page)
    page.wait_for_selector("#alert:has-text('The picture of frame 19 is not there yet, so this click was not taken.')")
    page.keyboard.press("p")
    page.keyboard.press("Enter")
    assert page.get_attribute("main", "data-revision") == str(before)
    late()
    number(page, 19)
    page.keyboard.press("Escape")
    press_on_the_picture(page)
    revision(page, before + 1)
    page.keyboard.press("Control+z")
    revision(page, before)


def test_a_cut_out_is_true_once_the_picture_on_the_canvas_is_of_its_frame(page: Any, job: str, late: Any) -> None:
    opened(page, job)
    page.keyboard.press("Home")
    number(page, 0)
    page.check("input[value=checker]", force=True)
    page.wait_for_selector("main[data-cut=true]")
    answers: list[str] = []
    page.on("response", lambda answer: answers.append(answer.url))
    page.keyboard.press("End")
    until(
        page, lambda: any("/frames/19/cutout" in each for each in answers), what="the cut-out of the last frame comes"
    )
    page.wait_for_timeout(300)
    assert page.get_attribute("main", "data-cut") == "coming"
    late()
    page.wait_for_selector("main[data-cut=true]")
    assert page.get_attribute("#picture", "data-frame") == "19"
