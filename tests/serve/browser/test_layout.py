"""The page keeps its places: the picture never moves, and main controls are reached without scrolling."""

from __future__ import annotations

from typing import Any

import pytest

from serve.browser.test_story import READY, click, revision

SIZES = [(800, 500), pytest.param((1366, 768), marks=pytest.mark.thorough)]
"""The smaller one is where places are scarce."""
MAIN = """() => {
  const names = [".bar button", ".tools label", "#confirm", "#new-object", "#status", "#views label", ".zoom button",
    ".transport button", "#timeline"];
  const wanted = [...document.querySelectorAll(names.join())];
  return wanted.filter((each) => each.checkVisibility()).filter((each) => {
    const { left, top, right, bottom } = each.getBoundingClientRect();
    const hit = document.elementFromPoint((left + right) / 2, (top + bottom) / 2);
    const within = left >= 0 && top >= 0 && right <= innerWidth && bottom <= innerHeight;
    return !within || !(hit && (each.contains(hit) || hit.contains(each)));
  }).map((each) => each.id || each.textContent.trim());
}"""
"""Names the controls that are not wholly seen, or lie below something else."""


@pytest.fixture(params=SIZES, ids=["small", "usual"])
def sized(page: Any, request: pytest.FixtureRequest, job: str) -> Any:
    """The page at a size, without the hints of a first visit."""
    width, height = request.param
    page.set_viewport_size({"width": width, "height": height})
    page.add_init_script("localStorage.covos = JSON.stringify({ hints: ['hint-click', 'hint-track'] })")
    page.goto(job)
    page.wait_for_selector(READY)
    page.wait_for_selector("#frame-words:has-text('Confidence')")
    return page


def test_main_controls_are_reached_without_scrolling(sized: Any) -> None:
    for tool in ("point", "brush", "exclude"):
        sized.check(f"input[value={tool}]", force=True)
        assert sized.evaluate(MAIN) == []


def place(page: Any) -> list[dict[str, float]]:
    page.wait_for_timeout(100)
    return [page.locator(each).bounding_box() for each in ("#picture", "#views", "#timeline")]


def test_the_picture_stays_where_it_is(sized: Any, said: list[str]) -> None:
    page = sized
    before = int(page.get_attribute("main", "data-revision"))
    first = place(page)
    for key in "iovvvvv":  # marks, and all views
        page.keyboard.press(key)
        assert place(page) == first, key
    click(page, 0.5, 0.45)
    page.wait_for_selector("main[data-state=clicking]")
    assert place(page) == first
    revision(page, before + 1)
    page.wait_for_selector("#told-undo:visible")
    assert place(page) == first
    assert page.evaluate(MAIN) == []
    page.click("#told-undo")
    revision(page, before)
    page.evaluate("localStorage.covos = JSON.stringify({ hints: [] })")
    page.click("#open-settings")
    page.click("#hints-again")
    page.wait_for_selector("#hint-click:visible")
    assert place(page) == first
    assert page.evaluate(MAIN) == [], "a hint covers no control"
    change = """async (job) => {
      const { store } = await import("/static/state.js");
      store.set({ job: { ...store.state.job, ...job } });
    }"""
    page.evaluate(change, {"notes": ["a note of the clip"]})
    page.wait_for_selector("#notes-box:visible")
    assert place(page) == first
    page.evaluate(change, {"state": "cancelled"})
    page.wait_for_selector("#search-on:visible")
    assert place(page) == first
    page.evaluate(change, {"state": "running", "stage": "finding"})
    page.wait_for_selector("#bar:visible")
    assert place(page) == first
    page.context.set_offline(True)
    page.keyboard.press("c")
    page.wait_for_selector("#offline:visible")
    assert place(page) == first
    page.context.set_offline(False)
    page.wait_for_selector("#offline", state="hidden")
    said.clear()


def test_a_long_name_is_cut_off_and_where_the_page_is_stays(sized: Any) -> None:
    change = """async (name) => {
      const { store } = await import("/static/state.js");
      store.set({ job: { ...store.state.job, name } });
    }"""
    name = "a very long name of a clip that says when, where and by whom it was filmed, " * 3 + "take 2.mp4"
    sized.evaluate(change, name)
    cut = "() => document.getElementById('clip-name').scrollWidth > document.getElementById('clip-name').clientWidth"
    assert sized.evaluate(cut)
    assert sized.get_attribute("#clip-name", "title") == name
    where, undo = (sized.locator(each).bounding_box() for each in ("#clip-where", "#undo"))
    assert where["width"] > 60
    assert where["x"] + where["width"] <= undo["x"]
    assert sized.evaluate(MAIN) == []


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (800, 500), (390, 844)])
def test_the_list_of_keys_scrolls_down_and_never_sideways(page: Any, job: str, width: int, height: int) -> None:
    page.set_viewport_size({"width": width, "height": height})
    page.goto(job)
    page.wait_for_selector(READY)
    page.keyboard.press("?")
    page.wait_for_selector("#help[open]")
    wide = "() => { const box = document.querySelector('.keys-box'); return box.scrollWidth - box.clientWidth; }"
    assert page.evaluate(wide) == 0
    page.focus(".keys-box")
    page.keyboard.press("End")
    end = "(box) => box.scrollTop + box.clientHeight > box.scrollHeight - 2"
    page.wait_for_function(f"() => ({end})(document.querySelector('.keys-box'))")
