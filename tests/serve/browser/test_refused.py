"""Errors in the export panel: beside what they are about, before the dialog, and in the words of its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from serve.browser.test_races import opened

ON_TOP = """(name) => {
  const box = document.getElementById(name).getBoundingClientRect();
  return document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2)?.id === name;
}"""
SERVER = """async (media) => {
  const { store } = await import("/static/state.js");
  store.set({ server: { ...store.state.server, media } });
}"""


def background(page: Any, behind: str) -> None:
    page.keyboard.press("Control+e")
    page.check("input[name=format][value=background]")
    page.select_option("#export-behind", behind)


def test_a_file_that_cannot_lie_behind_the_subject_is_refused_beside_its_field(
    page: Any, said: list[str], job: str, tmp_path: Path
) -> None:
    letter = tmp_path / "letter.txt"
    letter.write_text("Dear editor")
    opened(page, job)
    background(page, "file")
    page.set_input_files("#export-file", letter)
    page.click("#export-make:not(:disabled)")
    page.wait_for_selector("#export-refused:visible")
    words = page.text_content("#export-refused")
    assert words.startswith("The background: it is a text file.")
    assert words.endswith("Give a video or an image.")
    assert page.evaluate(ON_TOP, "export-refused")
    field, refusal = (page.locator(each).bounding_box() for each in ("#export-pick", "#export-refused"))
    assert 0 < refusal["y"] - field["y"] < 120
    assert page.text_content("#alert") == ""
    page.keyboard.press("Escape")
    page.wait_for_selector("#export", state="hidden")
    page.keyboard.press("Control+e")
    page.wait_for_selector("#export-make")
    assert not page.is_visible("#export-refused"), "it may be of another clip"
    page.click("#export-make:not(:disabled)")
    page.wait_for_selector("#export-refused:visible")
    page.select_option("#export-behind", "white")
    assert not page.is_visible("#export-refused")
    said.clear()  # the browser tells of the refusal


def test_files_of_the_server_are_offered_where_it_has_a_folder_of_them(page: Any, job: str) -> None:
    opened(page, job)
    background(page, "path")
    page.keyboard.press("Escape")
    page.evaluate(SERVER, False)
    background(page, "file")
    assert page.locator("#export-behind option").all_text_contents()[-1] == "A picture or video of mine"


def test_an_error_lies_before_the_dialog_that_is_open(page: Any, job: str) -> None:
    opened(page, job)
    warn = "async (text) => (await import('/static/status.js')).warn(text)"
    page.keyboard.press("Control+e")
    page.wait_for_selector("#export-make")
    page.evaluate(warn, "Something is wrong.")
    assert page.evaluate(ON_TOP, "alert")
    page.keyboard.press("Escape")
    page.evaluate(warn, "Something else is wrong.")
    assert page.evaluate(ON_TOP, "alert")
