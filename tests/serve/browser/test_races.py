"""Answers that come late, in another order or not at all, and presses that come quickly."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from serve.browser.conftest import ask, send, until
from serve.browser.test_story import READY, at, click, drag, revision

STATE = "async () => (await import('/static/state.js')).store.state"
LATE = """(part) => {
  const real = window.fetch;
  window.asked = [];
  window.fetch = async (address, options = {}) => {
    if (!String(address).includes(part) || options.method === "GET") return real(address, options);
    window.asked.push(String(address));
    await new Promise((done) => setTimeout(done, 400));
    return real(address, options);
  };
}"""
"""Lets requests wait whose address has this part, and notes them."""


def copied(job: str) -> str:
    """Address of the page on every second frame of the same clip: another job."""
    url, identity = job.split("#job=")
    made = ask(f"{url}api/jobs", {"job": identity, "range": {"start": None, "end": None, "every": 4}})["id"]
    return f"{url}#job={made}"


def opened(page: Any, address: str) -> int:
    """Open a job that is ready; return its revision."""
    page.goto(address)
    page.wait_for_selector(READY)
    page.wait_for_selector("#frame-words:has-text('Confidence')")
    return int(page.get_attribute("main", "data-revision"))


def undone(page: Any, before: int) -> None:
    while (now := int(page.get_attribute("main", "data-revision"))) > before:
        page.keyboard.press("Control+z")
        revision(page, now - 1)


def test_clicks_in_line_go_to_the_object_and_the_job_that_they_were_made_on(page: Any, job: str) -> None:
    other = copied(job)
    before = opened(page, job)
    page.evaluate(LATE, "/prompts")
    page.click("#new-object")
    click(page, 0.8, 0.6)
    click(page, 0.82, 0.62)
    page.keyboard.press("1")  # chosen while the clicks wait: they still show the new object, and 1 stays chosen
    page.wait_for_selector(f"{READY}[data-revision='{before + 2}']")
    state = page.evaluate(STATE)
    assert state["object"] == state["job"]["objects"][0]["id"]
    assert [point["object"] for point in state["job"]["prompts"]][-2:] == [2, 2]
    undone(page, before)
    click(page, 0.9, 0.2)
    click(page, 0.92, 0.22)
    page.evaluate("(address) => { location.hash = address.split('#')[1]; }", other)
    page.wait_for_function("() => window.asked.length === 4")
    identity = job.split("#job=")[1]
    assert all(identity in each for each in page.evaluate("window.asked"))
    page.wait_for_selector(READY)
    assert page.get_attribute("main", "data-revision") == "0"
    page.evaluate("(address) => { location.hash = address.split('#')[1]; }", job)
    revision(page, before + 2)
    undone(page, before)


def test_regions_that_are_drawn_quickly_are_all_kept(page: Any, job: str) -> None:
    before = opened(page, job)
    page.evaluate(LATE, "/regions")
    page.check("input[value=exclude]", force=True)
    drag(page, (0.2, 0.2), (0.3, 0.4))
    drag(page, (0.5, 0.2), (0.6, 0.4))
    revision(page, before + 2)
    assert page.locator("#regions li").count() == 2
    undone(page, before)


def test_a_slider_changes_its_own_value_alone(page: Any, job: str) -> None:
    before = opened(page, job)
    url, identity = job.split("#job=")
    send(f"{url}api/jobs/{identity}/edges", b'{"fill_holes": "40"}', method="PATCH")
    revision(page, before + 1)
    page.evaluate("document.getElementById('edges').open = true")
    page.focus("#feather")
    page.keyboard.press("ArrowRight")
    revision(page, before + 2)
    edges = ask(f"{url}api/jobs/{identity}")["edges"]
    assert (edges["feather"], edges["fill_holes"]) == ("1", "40")
    page.focus("#picture")
    undone(page, before)


def test_undo_says_what_it_undoes_after_a_click_that_waited(page: Any, job: str) -> None:
    before = opened(page, job)
    page.keyboard.press("c")
    revision(page, before + 1)
    page.evaluate(LATE, "/prompts")
    click(page, 0.9, 0.2)
    page.keyboard.press("Control+z")
    page.wait_for_selector("#status:has-text('Undone: the correction.')")
    revision(page, before + 1)
    undone(page, before)


def test_a_click_that_does_not_answer_can_be_stopped(page: Any, said: list[str], job: str) -> None:
    before = opened(page, job)
    page.evaluate(
        """() => {
          const real = window.fetch;
          let free = () => {};
          window.fetch = async (address, options = {}) => {
            if (String(address).endsWith("/cancel")) free();
            if (!String(address).endsWith("/prompts")) return real(address, options);
            await new Promise((done) => { free = done; });
            window.fetch = real;
            throw new TypeError("the process was ended");
          };
        }"""
    )
    click(page, 0.9, 0.2)
    assert not page.is_visible("#stop"), "most clicks are quick"
    page.wait_for_selector("#stop")
    with page.expect_response(lambda answer: answer.url.endswith("/cancel")):
        page.keyboard.press("Escape")
    page.wait_for_selector(READY)
    page.wait_for_selector("#offline", state="hidden")
    assert not page.is_visible("#stop")
    assert int(page.get_attribute("main", "data-revision")) == before
    said.clear()


def test_an_answer_that_breaks_off_stops_no_later_edit(page: Any, said: list[str], job: str) -> None:
    before = opened(page, job)
    page.evaluate(
        """() => {
          const real = window.fetch;
          window.fetch = async (address, options) => {
            if (!String(address).endsWith("/prompts")) return real(address, options);
            window.fetch = real;
            return { ok: true, text: () => Promise.reject(new TypeError("network error")) };
          };
        }"""
    )
    click(page, 0.9, 0.2)
    page.wait_for_selector("main[data-state=ready]")
    page.wait_for_selector("#offline", state="hidden")
    page.keyboard.press("c")
    revision(page, before + 1)
    undone(page, before)
    said.clear()


def test_a_work_that_was_deleted_while_nobody_listened_is_told(page: Any, said: list[str], job: str) -> None:
    other = copied(job)
    page.goto(other)
    page.wait_for_selector(READY)
    hide = """(hidden) => {
      Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
      document.dispatchEvent(new Event("visibilitychange"));
    }"""
    page.evaluate(hide, True)
    url, identity = other.split("#job=")
    send(f"{url}api/jobs/{identity}", method="DELETE")
    page.evaluate(hide, False)
    page.wait_for_selector("main[data-state=expired]")
    page.wait_for_selector("#offline", state="hidden")
    page.wait_for_timeout(1500)
    assert not page.is_visible("#offline")
    said.clear()


def test_a_clip_that_played_does_not_run_on_in_another(page: Any, job: str) -> None:
    opened(page, job)
    page.keyboard.press("End")
    page.keyboard.press("j")
    page.wait_for_selector("main:not([data-frame='19'])")
    page.click("#open-export")
    page.click("#home", force=True)
    page.evaluate("location.hash = ''")
    page.wait_for_selector("main[data-state=empty]")
    assert page.locator("dialog[open]").count() == 0
    page.evaluate("(address) => { location.hash = address.split('#')[1]; }", job)
    page.wait_for_selector(READY)
    shown = page.get_attribute("main", "data-frame")
    page.wait_for_timeout(400)
    assert page.get_attribute("main", "data-frame") == shown


def test_who_corrects_a_frame_stays_on_it_while_masks_are_found(page: Any, job: str) -> None:
    page.goto(job.split("#", maxsplit=1)[0])
    live = """async () => {
      const { FIRST, reduce } = await import("/static/state.js");
      return reduce({ ...FIRST, live: true }, { type: "asked", click: [] }).live;
    }"""
    assert page.evaluate(live) is False


@pytest.mark.parametrize("times", [pytest.param("double click", marks=pytest.mark.thorough), "quick keys"])
def test_a_frame_is_confirmed_once_however_often_it_is_pressed(page: Any, job: str, times: str) -> None:
    before = opened(page, job)
    page.keyboard.press("Home")
    page.wait_for_selector(at(0))
    page.wait_for_selector("#confirm:not([disabled])")
    if times == "double click":
        page.dblclick("#confirm")
    else:
        page.evaluate(LATE, "/confirm")
        page.keyboard.press("c")
        page.keyboard.press("c")
    page.wait_for_selector("#status:has-text('Frame 0 is confirmed already. The second press changes nothing.')")
    revision(page, before + 1)
    assert page.text_content("#confirmed") == "1 of 20 confirmed"
    page.keyboard.press("c")
    page.wait_for_selector("#status:has-text('Frame 0 is open again')")
    revision(page, before + 2)
    undone(page, before)


def test_keys_that_other_keyboards_make_with_alt(page: Any, job: str) -> None:
    opened(page, job)
    page.check("input[value=brush]", force=True)
    page.focus("#picture")
    press = "(options) => window.dispatchEvent(new KeyboardEvent('keydown', options))"
    size = int(page.input_value("#brush"))
    page.evaluate(press, {"key": "]", "ctrlKey": True, "altKey": True, "modifierAltGraph": True})  # German, on Windows
    assert int(page.input_value("#brush")) > size
    page.keyboard.press("i")
    assert page.evaluate(STATE)["marks"]["in"] is not None
    page.evaluate(press, {"key": "ˆ", "code": "KeyI", "altKey": True})  # on a Mac
    assert page.evaluate(STATE)["marks"]["in"] is None


def test_escape_drops_a_box_that_is_begun(page: Any, job: str) -> None:
    before = opened(page, job)
    page.check("input[value=box]", force=True)
    click(page, 0.3, 0.3)
    page.keyboard.press("Escape")
    click(page, 0.6, 0.6)  # a first corner again
    assert page.evaluate(STATE)["asking"] == 0
    page.keyboard.press("Escape")
    assert int(page.get_attribute("main", "data-revision")) == before


def test_pictures_in_memory_are_fewer_where_they_are_larger(page: Any, job: str) -> None:
    page.goto(job.split("#", maxsplit=1)[0])
    most = """async () => {
      const { Frames } = await import("/static/frames.js");
      const frames = new Frames(() => undefined);
      return [[640, 640, 360], [3840, 3840, 2160]].map(([pixels, width, height]) => {
        frames.fit(pixels, { width, height });
        frames.fill = () => undefined;
        frames.want(50, 100);
        return [frames.most, frames.wanted.length];
      });
    }"""
    assert page.evaluate(most) == [[24, 17], [8, 8]]


def test_a_download_is_the_one_that_was_asked_for_last(page: Any, job: str) -> None:
    url, identity = job.split("#job=")
    results = f"{url}api/jobs/{identity}/results"
    ask(f"{results}/preview", {})
    until(page, lambda: at_rest(f"{url}api/jobs/{identity}"), what="the first preview is made")
    opened(page, job)
    page.keyboard.press("Control+e")
    page.check("#formats li[data-format=preview] input")
    page.wait_for_selector("#export-download.main")
    page.select_option("#export-value", "gif")
    fetched: list[str] = []
    page.on("download", lambda download: fetched.append(download.suggested_filename))
    page.click("#export-make")
    page.wait_for_selector("#export-download.main")
    until(page, lambda: bool(fetched), what="the preview is fetched")
    assert fetched == ["found-preview.gif"]

    # One that failed is made again: the failure of before is not that of now.
    failed = """async () => {
      const { store } = await import("/static/state.js");
      const error = { what: "It failed", why: "the disk is full", fix: "make room", status: 503 };
      const preview = { ...store.state.job.results.preview, state: "failed", error };
      store.set({ job: { ...store.state.job, results: { preview } } });
    }"""
    page.select_option("#export-value", "webp")
    page.evaluate(failed)
    page.wait_for_selector("#export-action .bad")
    page.click("#export-make")
    page.wait_for_selector("#export-download.main")
    until(page, lambda: len(fetched) == 2, what="the second try is fetched")
    assert fetched == ["found-preview.gif", "found-preview.webp"]


def test_a_file_behind_the_subject_of_one_clip_is_not_awaited_in_another(page: Any, job: str, tmp_path: Path) -> None:
    behind = tmp_path / "beach.png"
    Image.new("RGB", (40, 30), (220, 0, 0)).save(behind)
    opened(page, job)

    def choose() -> None:
        page.keyboard.press("Control+e")
        page.check("#formats li[data-format=background] input")
        page.select_option("#export-behind", "file")

    choose()
    for _ in range(2):  # the same file again is one that is sent again
        with page.expect_response(lambda answer: answer.request.method == "PATCH"):
            page.set_input_files("#export-file", behind)
        page.wait_for_selector("#export-make:enabled")
    assert page.text_content("#export-picked") == "beach.png"
    page.keyboard.press("Escape")
    page.evaluate("(address) => { location.hash = address.split('#')[1]; }", copied(job))
    page.wait_for_selector(f"{READY}[data-revision='0']")
    page.wait_for_function("(job) => !location.href.endsWith(job)", arg=job.split("#")[1])
    choose()
    page.wait_for_selector("#export-action:has-text('Choose a file first.')")
    assert page.text_content("#export-picked") == ""
    page.set_input_files("#export-file", behind)
    page.wait_for_selector("#export-make:enabled")


def test_an_upload_that_is_stopped_takes_no_other_of_its_name_away(
    page: Any, said: list[str], started: tuple[str, Path], tmp_path: Path
) -> None:
    one, two = (tmp_path / name / "IMG_0001.mov" for name in ("one", "two"))
    for size, file in enumerate((one, two), 99):
        file.parent.mkdir()
        file.write_bytes(b"x" * size)
    asked, held = list[tuple[str, str]](), list[Any]()

    def hold(route: Any) -> None:
        """Let no part through, nor the beginning of the third upload."""
        asked.append((route.request.method, route.request.url))
        if route.request.method == "PATCH" or [method for method, _ in asked].count("POST") == 3:
            held.append(route)
        else:
            route.continue_()

    page.route(re.compile(r"/api/uploads(/\w+)?$"), hold)
    page.goto(started[0])
    page.wait_for_selector("main[data-state=empty]")
    page.set_input_files("#file", one)
    until(page, lambda: bool(held), what="the first is being sent")
    page.reload()
    page.wait_for_selector("#rests li:has-text('IMG_0001.mov')")
    left = asked[-1][1]

    page.set_input_files("#file", two)
    until(page, lambda: len(held) == 2, what="the second is being sent")
    page.click("#sending-stop")
    until(page, lambda: asked[-1][0] == "DELETE", what="what came of the second is deleted")
    assert asked[-1][1] == asked[-2][1] != left
    page.wait_for_selector("#rests li")
    assert page.locator("#rests li").count() == 1

    # To stop it before it has an address counts as well.
    page.set_input_files("#file", two)
    until(page, lambda: len(held) == 3, what="the third begins")
    page.click("#sending-stop")
    held[-1].continue_()
    until(page, lambda: asked[-1][0] == "DELETE" and asked[-2][0] == "POST", what="nothing of the third is sent")
    page.wait_for_selector("main[data-state=empty]")
    assert not [url for method, url in asked if method == "DELETE" and url == left]
    page.click("#rests button")
    until(page, lambda: asked[-1] == ("DELETE", left), what="the first is removed, as the person wants it")
    said.clear()


def at_rest(address: str) -> bool:
    """Nothing is done for a job, nor waits."""
    now = ask(address)
    return now["stage"] is None and all(each["state"] != "making" for each in now["results"].values())
