"""A server that does not answer: what is lost is said, what is there can be used, and it goes on by itself."""

from __future__ import annotations

from typing import Any

from serve.browser.test_races import opened
from serve.browser.test_story import click, number

COVERED = """(names) => names.filter((name) => {
  const box = document.getElementById(name).getBoundingClientRect();
  const top = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
  return !top?.closest(`#${name}`);
})"""

OUTAGE = """async () => {
  const { store } = await import("/static/state.js");
  const real = window.fetch;
  let asked = 0;
  window.fetch = (address, options) => {
    asked += String(address).endsWith("/formats");
    return real(address, options);
  };
  store.set({ offline: true });
  store.set({ offline: false });
  await new Promise((done) => setTimeout(done));
  window.fetch = real;
  return asked;
}"""
"""Lets the page miss the server for a moment; tells how often it then asks for the formats."""


def test_an_edit_that_is_lost_is_said_and_the_bar_can_be_used(page: Any, said: list[str], job: str) -> None:
    before = opened(page, job)
    page.keyboard.press("Home")
    number(page, 0)
    for width in (1280, 400):
        page.set_viewport_size({"width": width, "height": 800})
        page.context.set_offline(True)
        page.keyboard.press("c")
        page.wait_for_selector("#offline:visible")
        page.wait_for_selector("#alert:has-text('This was not done: the server does not answer.')")
        assert page.evaluate(COVERED, ["clip-name", "open-export", "open-help"]) == []
        click(page, 0.9, 0.8)
        page.wait_for_selector("#alert:has-text('This click was not taken: the server does not answer.')")
        page.context.set_offline(False)
        page.wait_for_selector("#offline", state="hidden")
    assert page.get_attribute("main", "data-revision") == str(before)
    said.clear()


def test_the_export_panel_says_why_it_is_empty_and_fills_by_itself(page: Any, said: list[str], job: str) -> None:
    opened(page, job)
    page.context.set_offline(True)
    page.keyboard.press("Control+e")
    page.wait_for_selector("#export-missing:has-text('The server does not answer.')")
    assert not page.is_visible("#formats")
    page.context.set_offline(False)
    page.wait_for_selector("#export-make:visible")
    assert not page.is_visible("#export-missing")
    assert page.evaluate(OUTAGE) == 0, "a panel that is full stays as it is in the user's hands"
    page.keyboard.press("Escape")

    refuse = """() => {
      const real = window.fetch;
      window.fetch = async (address, options) => {
        if (!String(address).endsWith("/formats")) return real(address, options);
        window.fetch = real;
        return new Response("", { status: 502 });
      };
    }"""
    page.evaluate(refuse)
    page.keyboard.press("Control+e")
    page.wait_for_selector("#export-missing:has-text('The server answered 502.')")
    page.click("#export-again")
    page.wait_for_selector("#export-make:visible")
    said.clear()
