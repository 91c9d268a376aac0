"""What the page says was done: no more and no less than what happened, and Undo stands beside it."""

from __future__ import annotations

from typing import Any

from serve.browser.test_races import copied
from serve.browser.test_story import READY, at, click, drag, revision


def status(page: Any, words: str) -> None:
    page.wait_for_selector(f"#status:visible:has-text('{words}')")


def begin(page: Any, job: str) -> int:
    page.goto(job)
    page.wait_for_selector(READY)
    page.keyboard.press("Home")
    page.wait_for_selector(at(0))
    page.wait_for_selector("#frame-words:has-text('Confidence')")
    return int(page.get_attribute("main", "data-revision"))


def test_a_confirmation_and_its_end_are_said(page: Any, job: str) -> None:
    before = begin(page, job)
    page.keyboard.press("c")
    status(page, "Frame 0 is confirmed. No track changes it.")
    page.wait_for_selector("#confirm[aria-pressed=true]")
    page.keyboard.press("c")
    status(page, "Frame 0 is open again. A track may change it.")
    page.click("#told-undo")
    status(page, "Undone: the change of a confirmation.")
    revision(page, before + 1)
    assert not page.is_visible("#told-undo")
    assert page.get_attribute("#redo", "title") == "Do the change of a confirmation again (Ctrl+Shift+Z)"
    page.wait_for_selector("#confirm[aria-pressed=true]")  # the timeline has come, by which the words below are chosen
    click(page, 0.9, 0.2)
    status(page, "Object 1 is corrected on frame 0. Confirm this frame again when it is right.")
    page.wait_for_selector("#frame-words:has-text('Corrected, not tracked yet')")
    for shown in (before + 1, before):
        page.keyboard.press("Control+z")
        revision(page, shown)


def test_what_a_prompt_has_done_is_said(page: Any, job: str) -> None:
    before = begin(page, job)
    click(page, 0.17, 0.45)
    status(page, "The mask of object 1 stays as it was: it agrees with you.")
    page.click("#new-object")
    click(page, 0.8, 0.6)
    status(page, "Object 2 is new, on frame 0 alone. Track follows it.")
    for shown in (before + 1, before):
        page.keyboard.press("Control+z")
        revision(page, shown)
    status(page, "Undone: the correction.")


def test_what_is_deleted_is_said_and_comes_back(page: Any, job: str) -> None:
    before = begin(page, job)
    page.click("[aria-label='Hide object 1']")
    status(page, "Object 1 is hidden on this page alone. Downloads have it; delete it to leave it out.")
    page.click("[aria-label='Hide object 1']")
    status(page, "Object 1 is shown again.")
    page.keyboard.press("Delete")
    status(page, "Object 1 is deleted, with its masks on 20 frames and its corrections.")
    revision(page, before + 1)
    page.wait_for_selector("#told-undo:visible")
    page.wait_for_timeout(200)
    page.evaluate("async () => (await import('/static/state.js')).store.set({ told: null })")
    status(page, "No object is left. Click on what you want, or undo.")
    page.keyboard.press("Control+z")
    status(page, "Undone: the change of an object.")
    revision(page, before)
    page.wait_for_selector("#objects li:has-text('object 1')")
    page.check("input[value=within]", force=True)
    drag(page, (0.2, 0.2), (0.6, 0.8))
    status(page, "The subject stays within this region.")
    page.click("#regions li button")
    status(page, "The region is removed. The subject may leave it.")
    for shown in (before + 1, before):
        page.keyboard.press("Control+z")
        revision(page, shown)


def test_before_a_work_is_deleted_the_page_says_what_goes(page: Any, job: str) -> None:
    begin(page, job)
    asked: list[str] = []

    def answer(dialog: Any) -> None:
        asked.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", answer)
    page.click("#open-settings")
    page.click("#delete-job")
    (question,) = asked
    assert question.startswith("Delete the work on found.mp4 from the server? Its masks")
    assert question.endswith("its downloads go. This cannot be undone.")


def test_a_part_is_told_from_its_whole_before_it_is_deleted(page: Any, job: str) -> None:
    part = copied(job)
    asked: list[str] = []

    def answer(dialog: Any) -> None:
        asked.append(dialog.message)
        dialog.accept()

    page.on("dialog", answer)
    page.goto(job.split("#", maxsplit=1)[0])
    page.wait_for_selector("[aria-label='Delete found.mp4']")
    gone = page.locator(f"li:has([href='#{part.split('#')[1]}']) button")
    assert gone.get_attribute("aria-label") == "Delete found.mp4, frames 0 to 16"
    gone.click()
    gone.wait_for(state="detached")
    assert asked[0].startswith("Delete the work on found.mp4, frames 0 to 16 from the server?")


def test_escape_leaves_the_name_of_an_object_as_it_was(page: Any, job: str) -> None:
    before = begin(page, job)
    for key, name in (("Escape", "object 1"), ("Enter", "horse")):
        page.click("[aria-label='More about object 1']")
        page.fill("#object-name", "horse")
        page.keyboard.press(key)
        page.wait_for_selector("#object", state="hidden")
        page.wait_for_timeout(200)
        page.wait_for_selector(f"#objects li:has-text('{name}')")
    revision(page, before + 1)
    page.keyboard.press("Control+z")
    revision(page, before)


def test_a_clip_in_which_nothing_was_found_is_told_from_one_whose_objects_were_deleted(page: Any, job: str) -> None:
    begin(page, job)
    change = """async () => {
      const { store } = await import("/static/state.js");
      const { job, timeline } = store.state;
      store.set({ job: { ...job, revision: 0 }, timeline: { ...timeline, objects: { 1: [[0, 20, "absent"]] } } });
    }"""
    page.evaluate(change)
    status(page, "Nothing was found that moves apart from the camera. Click on what you want.")


def test_before_the_first_frame_is_there_the_page_says_what_goes_on(page: Any, job: str) -> None:
    begin(page, job)
    change = """async (job) => {
      const { store } = await import("/static/state.js");
      store.set({ told: null, progress: null, job: { ...store.state.job, state: "running", ...job } });
    }"""
    for stage, words in (("finding", "Finding what moves"), ("tracking", "Tracking")):
        page.evaluate(change, {"stage": stage, "step": "loading", "done": 0, "total": 0})
        status(page, "Loading the networks")
        page.evaluate(change, {"stage": stage, "step": "", "done": 0, "total": 20})
        status(page, f"{words}: computing the first frames")
        assert page.get_attribute("#bar", "value") is None, "it moves by itself"
        page.evaluate(change, {"stage": stage, "step": "", "done": 3, "total": 20})
        status(page, f"{words}, frame 3 of 20")
        assert page.get_attribute("#bar", "value") is not None
