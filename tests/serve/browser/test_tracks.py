"""Tracks on the page: what they leave out, and what one that was stopped has done, is said."""

from __future__ import annotations

from typing import Any

from serve.browser.conftest import ask, until
from serve.browser.test_races import opened, undone
from serve.browser.test_story import READY, at, click
from serve.browser.test_words import status

EARS = """window.EventSource = class extends EventSource {
  constructor(address) {
    super(address);
    window.events = this;
  }
};"""
TELL = """async (changes) => {
  const { store } = await import("/static/state.js");
  window.events.dispatchEvent(new MessageEvent("job", { data: JSON.stringify({ ...store.state.job, ...changes }) }));
}"""
"""Brings the page the job with other values, as an event of the server does."""
TRACKING = {"stage": "tracking", "state": "running"}
OVER = {"stage": None, "state": "done"}


def spans(job: str, identity: int) -> list[list[Any]]:
    url, name = job.split("#job=")
    told: list[list[Any]] = ask(f"{url}api/jobs/{name}/timeline")["objects"].get(str(identity), [])
    return told


def new_object(page: Any, frame: int) -> None:
    page.keyboard.press("Home")
    for _ in range(frame):
        page.keyboard.press("ArrowRight")
    page.wait_for_selector(at(frame))
    page.click("#new-object")
    click(page, 0.8, 0.6)
    status(page, f"Object 2 is new, on frame {frame} alone.")
    page.wait_for_selector("#frame-words:has-text('Corrected, not tracked yet')")


def test_a_track_both_ways_that_begins_elsewhere_leaves_no_frame_out(page: Any, job: str) -> None:
    before = opened(page, job)
    new_object(page, 4)
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    page.wait_for_selector(at(9))
    page.keyboard.press("f")
    status(page, "Frames 5 to 8 stay as they were. Track both ways (T) changes all frames.")
    undone(page, before + 1)
    page.wait_for_selector(READY)
    page.keyboard.press("t")
    page.wait_for_selector(f"{READY}[data-revision='{before + 2}']")
    absent = [span for span in spans(job, 2) if span[2] != "present"]
    assert not absent, "a still place on still noise is found on every frame"
    undone(page, before)


def test_a_track_that_is_stopped_says_so_and_the_correction_waits_for_another(page: Any, job: str) -> None:
    before = opened(page, job)
    new_object(page, 4)
    page.keyboard.press("t")
    page.wait_for_selector("#stop:visible")
    page.keyboard.press("Escape")
    status(page, "Stopped: ")
    status(page, "Track again")
    revision = int(page.get_attribute("main", "data-revision"))
    name = job.replace("#job=", "api/jobs/")
    if revision == before + 1:  # no frame beside it was followed
        until(page, lambda: ask(f"{name}/timeline")["corrected"] == [4], what="the correction waits")
        page.wait_for_selector("#frame-words:has-text('Corrected, not tracked yet')")
    undone(page, before)


def told(page: Any, job: str) -> int:
    """Open a job whose tracks and stops the server does not get; return its revision."""
    page.add_init_script(EARS)
    view = ask(job.replace("#job=", "api/jobs/"))
    for verb in ("track", "cancel"):
        page.route(f"**/{verb}", lambda route: route.fulfill(json={**view, **TRACKING}))
    return opened(page, job)


def stopped(page: Any, **changes: Any) -> None:
    """Stop the work; its end then changes the job."""
    with page.expect_response("**/cancel"):
        page.click("#stop")
    page.evaluate(TELL, {**OVER, **changes})


def test_a_track_that_another_page_began_is_kept_when_it_is_stopped_here(page: Any, job: str) -> None:
    before = told(page, job)
    page.evaluate(TELL, TRACKING)
    stopped(page, revision=before + 1, undo="track")
    status(page, "Stopped: what was followed is kept.")
    assert page.is_visible("#told-undo")


def test_a_click_during_a_track_is_not_what_the_track_has_found(page: Any, job: str) -> None:
    before = told(page, job)
    page.keyboard.press("t")
    page.wait_for_selector("main[data-state=tracking]")
    page.evaluate(TELL, {"revision": before + 1, "undo": "prompt"})
    stopped(page, revision=before + 1, undo="prompt")
    status(page, "Stopped: no other frame was followed yet. Track again.")
    assert not page.is_visible("#told-undo")


def test_the_stop_of_a_search_is_not_said_of_the_track_after_it(page: Any, job: str) -> None:
    before = told(page, job)
    page.evaluate(TELL, {"stage": "finding", "state": "running"})
    stopped(page)
    page.evaluate(TELL, TRACKING)
    page.evaluate(TELL, {**OVER, "revision": before + 1, "undo": "track"})
    page.wait_for_selector(f"{READY}[data-revision='{before + 1}']")
    assert "Stopped" not in page.text_content("#status")


def test_the_export_panel_tells_of_corrections_that_were_not_tracked(page: Any, job: str) -> None:
    before = opened(page, job)
    page.keyboard.press("Control+e")
    page.wait_for_selector("#export-make")
    assert not page.is_visible("#export-untracked")
    page.keyboard.press("Escape")
    page.wait_for_selector("#export", state="hidden")
    new_object(page, 4)
    page.keyboard.press("End")
    page.keyboard.press("Control+e")
    page.wait_for_selector("#export-untracked:has-text('Frame 4 is corrected, not tracked yet.')")
    page.click("#export-track")
    page.wait_for_selector(f"{READY}[data-revision='{before + 2}']")
    page.keyboard.press("Control+e")
    page.wait_for_selector("#export-untracked", state="hidden")
    page.keyboard.press("Escape")
    page.wait_for_selector("#export", state="hidden")
    undone(page, before)


def test_many_frames_that_were_not_tracked_are_counted(page: Any, job: str) -> None:
    opened(page, job)
    words = """async (corrected) => {
      const { untracked } = await import("/static/words.js");
      const { store } = await import("/static/state.js");
      return untracked({ ...store.state, timeline: { ...store.state.timeline, corrected } });
    }"""
    assert page.evaluate(words, []) == ""
    assert page.evaluate(words, [3, 5]) == "Frames 3 and 5 are corrected, not tracked yet."
    assert page.evaluate(words, [3, 5, 6]) == "Frames 3, 5 and 6 are corrected, not tracked yet."
    assert page.evaluate(words, [3, 5, 6, 7, 9]) == "Frames 3, 5, 6 and 2 more are corrected, not tracked yet."
