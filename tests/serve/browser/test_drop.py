"""A file that is dropped while a clip is open: the page asks, and the way back leads to the clip."""

from __future__ import annotations

from typing import Any

from serve.browser.test_races import opened
from serve.browser.test_story import READY

DROP = """([name, text]) => {
  const dataTransfer = new DataTransfer();
  dataTransfer.items.add(new File([text], name));
  dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true }));
}"""


def test_an_open_clip_is_left_only_if_the_user_says_so(page: Any, job: str) -> None:
    opened(page, job)
    asked: list[str] = []

    def refuse(dialog: Any) -> None:
        asked.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", refuse)
    page.evaluate(DROP, ["letter.mp4", "Dear editor"])
    (question,) = asked
    assert question.startswith("Leave found.mp4, and open letter.mp4? The work on found.mp4 is kept")
    assert page.url == job
    assert page.get_attribute("main", "data-state") == "ready"


def test_from_a_file_that_was_refused_two_ways_lead_back_to_the_clip(page: Any, said: list[str], job: str) -> None:
    opened(page, job)
    page.on("dialog", lambda dialog: dialog.accept())
    for way in ("link", "browser"):
        page.evaluate(DROP, ["letter.mp4", "Dear editor"])
        page.wait_for_selector("main[data-state=refused]")
        if way == "link":
            page.click("#refusal a:has-text('Back to found.mp4')")
        else:
            page.go_back()
        page.wait_for_selector(READY)
        assert page.url == job
        assert not page.is_visible("#refusal")
    said.clear()  # the browser tells of the refusals
