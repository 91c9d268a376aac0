"""Single prompts on the page: each can be removed, and an object can be said not to be in a frame."""

from __future__ import annotations

from typing import Any

from serve.browser.conftest import HEIGHT, WIDTH, ask
from serve.browser.test_races import LATE, undone
from serve.browser.test_story import READY, at, click, drag, revision
from serve.browser.test_words import begin, status


def prompts(page: Any) -> list[str]:
    return [each.strip() for each in page.locator("#prompts li").all_inner_texts()]


def wait_for(page: Any, count: int) -> None:
    page.wait_for_function("(count) => document.querySelectorAll('#prompts li').length === count", arg=count)


def test_a_point_is_removed_by_a_click_on_it_by_the_list_and_by_a_key(page: Any, job: str) -> None:
    before = begin(page, job)
    for index, across in enumerate((0.4, 0.5, 0.6), 1):
        click(page, across, 0.8)
        revision(page, before + index)
    assert len(prompts(page)) == 3
    assert all(each.startswith("Point on it at") for each in prompts(page))
    first, second, third = prompts(page)
    page.wait_for_timeout(600)  # a second press right after the first says nothing new
    click(page, 0.5, 0.8)
    status(page, "The point is removed. The mask of object 1 is made of what else you have shown.")
    revision(page, before + 4)
    assert prompts(page) == [first, third]
    page.click("#told-undo")
    status(page, "Undone: the removal of a prompt.")
    revision(page, before + 3)
    wait_for(page, 3)
    page.focus("#prompts li:nth-child(1) button")
    page.keyboard.press("Enter")
    wait_for(page, 2)
    assert prompts(page) == [second, third]
    assert page.evaluate("document.activeElement.closest('#prompts') !== null"), "the focus outlives its button"
    page.keyboard.press("Backspace")
    wait_for(page, 1)
    page.keyboard.press("Backspace")
    status(page, "The mask of object 1 here is as it was before.")
    wait_for(page, 0)
    undone(page, before)


def test_the_second_press_of_a_double_click_gives_and_removes_nothing(page: Any, job: str) -> None:
    before = begin(page, job)
    box = page.locator("#picture").bounding_box()
    page.mouse.dblclick(box["x"] + 0.5 * box["width"], box["y"] + 0.8 * box["height"])
    revision(page, before + 1)
    wait_for(page, 1)
    page.wait_for_timeout(300)
    revision(page, before + 1)
    undone(page, before)


def test_a_painted_mask_is_removed(page: Any, job: str) -> None:
    before = begin(page, job)
    page.check("input[value=brush]", force=True)
    drag(page, (0.4, 0.3), (0.5, 0.3))
    revision(page, before + 1)
    drag(page, (0.4, 0.6), (0.5, 0.6))
    revision(page, before + 2)
    assert prompts(page) == ["Painted mask"]
    page.click("#prompts button")
    status(page, "The painted mask is removed. The mask of object 1 here is as it was before.")
    revision(page, before + 3)
    undone(page, before)


def test_an_object_is_said_not_to_be_in_a_frame(page: Any, job: str) -> None:
    url, identity = job.split("#job=")
    before = begin(page, job)
    page.wait_for_selector("#absent:enabled")
    page.click("#absent")
    status(page, "Object 1 is not in frame 0. Track goes by that.")
    page.wait_for_selector("#absent[aria-pressed=true]")
    assert prompts(page) == []
    assert page.is_disabled("#track"), "nothing is shown that could be followed"
    page.keyboard.press("ArrowRight")
    page.wait_for_selector(at(1))
    page.wait_for_selector("#absent[aria-pressed=false]")
    click(page, 0.35, 0.4)
    revision(page, before + 2)
    page.keyboard.press("t")
    revision(page, before + 3)
    masks = ask(f"{url}api/jobs/{identity}/masks?start=0&stop=3")["frames"]
    assert [len(each["objects"]) for each in masks][:2] == [0, 1], "a track keeps to it"
    page.keyboard.press("Home")
    page.wait_for_selector("#absent[aria-pressed=true]")
    page.keyboard.press("a")
    status(page, "Object 1 may be in frame 0 again.")
    page.wait_for_selector("#absent[aria-pressed=false]")
    undone(page, before)


def test_to_erase_all_of_an_object_says_that_it_is_not_there(page: Any, job: str) -> None:
    before = begin(page, job)
    page.check("input[value=eraser]", force=True)
    widest = "(size) => { size.value = 200; size.dispatchEvent(new Event('input')); }"
    page.locator("#brush").evaluate(widest)
    drag(page, (0.1, 0.5), (0.9, 0.5))
    status(page, "Object 1 is not in frame 0. Track goes by that.")
    page.wait_for_selector("#absent[aria-pressed=true]")
    page.wait_for_selector(f"{READY} #confirm:enabled")
    page.keyboard.press("c")
    status(page, "Frame 0 is confirmed. No track changes it.")
    undone(page, before)


def test_clicks_on_one_place_for_two_frames_or_with_the_other_button_are_two(page: Any, job: str) -> None:
    before = begin(page, job)
    click(page, 0.5, 0.8)
    page.keyboard.press("ArrowRight")
    click(page, 0.5, 0.8)
    revision(page, before + 2)
    wait_for(page, 1)
    box = page.locator("#picture").bounding_box()
    click(page, 0.4, 0.8)
    page.mouse.click(box["x"] + 0.4 * box["width"], box["y"] + 0.8 * box["height"], button="right")
    revision(page, before + 4)
    wait_for(page, 2)
    assert [each.split(" at ")[0] for each in prompts(page)] == ["Point on it", "Point beside it"]
    undone(page, before)


def test_two_quick_presses_remove_two_prompts(page: Any, job: str) -> None:
    before = begin(page, job)
    for across in (0.4, 0.5, 0.6):
        click(page, across, 0.8)
    revision(page, before + 3)
    first = prompts(page)[0]
    page.evaluate(LATE, "/prompts")
    page.keyboard.press("Backspace")
    page.keyboard.press("Backspace")
    revision(page, before + 5)
    wait_for(page, 1)
    assert prompts(page) == [first]
    undone(page, before)


def test_a_second_quick_press_takes_back_that_an_object_is_absent(page: Any, job: str) -> None:
    before = begin(page, job)
    page.wait_for_selector("#absent:enabled")
    page.evaluate(LATE, "/prompts")
    page.keyboard.press("a")
    page.keyboard.press("a")
    status(page, "Object 1 may be in frame 0 again.")
    revision(page, before + 2)
    page.wait_for_selector("#absent[aria-pressed=false]")
    undone(page, before)


def test_two_quick_presses_confirm_two_frames(page: Any, job: str) -> None:
    before = begin(page, job)
    page.wait_for_selector(f"{READY} #confirm:enabled")
    press = "(detail) => document.getElementById('confirm').dispatchEvent(new MouseEvent('click', { detail }))"
    page.evaluate(press, 1)
    page.keyboard.press("ArrowRight")
    page.wait_for_selector(at(1))
    page.evaluate(press, 2)
    status(page, "Frame 1 is confirmed. No track changes it.")
    revision(page, before + 2)
    undone(page, before)


def test_a_box_that_is_drawn_to_the_border_takes_the_last_pixels_in(page: Any, job: str) -> None:
    page.goto(job)
    page.wait_for_selector(READY)
    page.keyboard.press("Home")
    before = int(page.get_attribute("main", "data-revision"))
    url, identity = job.split("#job=")
    page.check("input[value=exclude]", force=True)
    drag(page, (0.5, 0.5), (0.999, 0.999))
    revision(page, before + 1)
    drag(page, (0.5, 0.5), (0.001, 0.001))
    revision(page, before + 2)
    regions = ask(f"{url}api/jobs/{identity}")["regions"]
    assert regions[0]["box"][2:] == [WIDTH, HEIGHT]
    assert regions[1]["box"][:2] == [0, 0]

    # By keys, the crosshair stands on pixels.
    page.keyboard.press("p")
    cross = "async (cross) => (await import('/static/state.js')).store.set({ cross })"
    page.evaluate(cross, [100, 60])
    page.keyboard.press("Enter")
    page.evaluate(cross, [WIDTH - 1, HEIGHT - 1])
    page.keyboard.press("Enter")
    revision(page, before + 3)
    assert ask(f"{url}api/jobs/{identity}")["regions"][2]["box"] == [100, 60, WIDTH, HEIGHT]

    # And a box that shows an object may end there as well.
    page.keyboard.press("Escape")
    page.check("input[value=box]", force=True)
    drag(page, (0.6, 0.4), (0.999, 0.999))
    revision(page, before + 4)
    (box,) = [each["box"] for each in ask(f"{url}api/jobs/{identity}")["prompts"]]
    assert box[2:] == [WIDTH, HEIGHT]
