"""The page in a browser, against the server as users start it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from covos.masks import RLE, decode, encode
from hdr_clips import PQ
from hdr_clips import write as write_hdr
from serve.browser.conftest import ask, send, until

READY = "main[data-state=ready]"

NUMBER = """async () => {
  const canvas = document.getElementById("picture");
  const [width, height] = [192, 128];
  const scale = Math.min(canvas.width / width, canvas.height / height);
  const [left, top] = [(canvas.width - width * scale) / 2, (canvas.height - height * scale) / 2];
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", { willReadFrequently: true });
  copy.drawImage(canvas, 0, 0);
  let number = 0;
  for (let bit = 0; bit < 6; bit++) {
    const pixel = copy.getImageData(left + (bit * 16 + 8) * scale, top + 120 * scale, 1, 1).data;
    number += (pixel[1] > 128) << bit;
  }
  return number;
}"""
"""Reads the number that a frame carries off the canvas."""


def at(frame: int) -> str:
    return f"main[data-frame='{frame}']"


def number(page: Any, expected: int) -> int:
    """The number on the canvas, once the picture has come."""
    until(page, lambda: page.evaluate(NUMBER) == expected, what=f"the canvas shows frame {expected}")
    return int(page.evaluate(NUMBER))


def seen(page: Any) -> None:
    """Wait until the picture on the canvas is that of the frame that the page is at."""
    same = "() => document.getElementById('picture').dataset.frame === document.getElementById('main').dataset.frame"
    page.wait_for_function(same)


def click(page: Any, across: float, down: float, **options: Any) -> None:
    seen(page)
    box = page.locator("#picture").bounding_box()
    page.mouse.click(box["x"] + across * box["width"], box["y"] + down * box["height"], **options)


def revision(page: Any, value: int) -> None:
    page.wait_for_selector(f"{READY}[data-revision='{value}']")


def test_a_clip_is_dropped_corrected_tracked_confirmed_and_downloaded(
    page: Any, started: tuple[str, Path], clip: Path, tmp_path: Path
) -> None:
    page.goto(started[0])
    page.wait_for_selector("main[data-state=empty]")
    page.set_input_files("#file", clip)
    page.wait_for_selector(READY)
    assert page.text_content("#clip-name") == clip.name
    assert "object 1" in page.text_content("#objects")
    click(page, 0.9, 0.2)
    revision(page, 1)
    click(page, 0.9, 0.2 + 0.3, button="right")
    revision(page, 2)
    page.click("#undo")
    revision(page, 1)
    page.keyboard.press("Control+Shift+z")
    revision(page, 2)
    page.keyboard.press("Control+z")
    revision(page, 1)

    page.keyboard.press("ArrowRight")
    page.keyboard.press("c")
    revision(page, 2)
    page.wait_for_selector("#frame-words:has-text('confirmed')")
    assert page.text_content("#confirmed") == "1 of 20 confirmed"
    page.keyboard.press("c")
    revision(page, 3)
    page.wait_for_selector("#confirm[aria-pressed=false]")
    assert page.text_content("#confirmed") == ""
    page.click("#confirm")
    revision(page, 4)
    page.wait_for_selector("#confirm[aria-pressed=true]")

    page.click("#track-on")
    revision(page, 5)

    page.keyboard.press("Control+e")
    page.check("#formats li[data-format=webm] input")
    with page.expect_download() as download:
        page.click("#export-make")
    file = tmp_path / "cut.webm"
    download.value.save_as(file)
    with av.open(str(file)) as container:
        video = container.streams.video[0]
        assert video.metadata.get("alpha_mode", video.metadata.get("ALPHA_MODE")) == "1"
        assert len(container.streams.audio) == 1
        assert sum(1 for _ in container.decode(video)) == 20
    page.keyboard.press("Escape")
    page.wait_for_selector("#export", state="hidden")  # keys belong to an open dialog

    page.keyboard.press("End")
    page.wait_for_selector(at(19))
    page.wait_for_function("() => Object.values(localStorage).some((kept) => JSON.parse(kept).frame === 19)")
    page.reload()
    page.wait_for_selector(f"{READY}[data-frame='19'][data-revision='5']")


def test_the_frame_on_the_canvas_is_the_one_that_was_asked_for(page: Any, job: str) -> None:
    page.goto(job)
    page.wait_for_selector(READY)
    page.keyboard.press("Home")
    page.keyboard.press("h")  # the view without the mask
    for key, frame in (("Home", 0), ("ArrowRight", 1), ("Shift+ArrowRight", 11), (",", 10), ("End", 19), (".", 19)):
        page.keyboard.press(key)
        page.wait_for_selector(at(frame))
        assert number(page, frame) == frame
    page.keyboard.press("Home")
    page.wait_for_selector(at(0))
    page.keyboard.press("Space")
    page.wait_for_selector("main:not([data-frame='0'])")
    page.wait_for_timeout(400)
    page.keyboard.press("Space")
    stopped = int(page.get_attribute("main", "data-frame"))
    assert number(page, stopped) == stopped


def test_the_keyboard_alone_is_enough(page: Any, job: str) -> None:
    page.goto(job)
    page.wait_for_selector(READY)
    before = int(page.get_attribute("main", "data-revision"))
    page.keyboard.press("p")
    for _ in range(3):
        page.keyboard.press("ArrowUp")
    page.keyboard.press("Shift+ArrowLeft")
    page.keyboard.press("Enter")
    revision(page, before + 1)
    page.keyboard.press("Control+z")
    revision(page, before)
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    page.wait_for_selector("#help[open]")
    page.keyboard.press("Escape")

    reached = set()
    for _ in range(80):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.name"))
    wanted = page.evaluate(
        """[...document.querySelectorAll("button, input, [tabindex='0']")]
             .filter((each) => each.checkVisibility() && !each.disabled).map((each) => each.id || each.name)"""
    )
    assert set(wanted) <= reached


def test_an_object_is_added_renamed_hidden_and_deleted(page: Any, job: str) -> None:
    page.goto(job)
    page.wait_for_selector(READY)
    before = int(page.get_attribute("main", "data-revision"))
    page.click("#new-object")
    click(page, 0.8, 0.6)
    page.wait_for_selector("#objects li:nth-child(2).chosen")
    page.click("#objects li:nth-child(2) [aria-haspopup=dialog]")
    page.fill("#object-name", "corner")
    page.keyboard.press("Enter")
    page.wait_for_selector("#objects li:nth-child(2) >> text=corner")
    page.click("[aria-label='Hide corner']")
    page.wait_for_selector("[aria-label='Hide corner'][aria-pressed=true]")
    page.keyboard.press("Delete")
    page.wait_for_selector("#objects li:nth-child(2)", state="detached")
    while int(page.get_attribute("main", "data-revision")) > before:
        shown = int(page.get_attribute("main", "data-revision"))
        page.keyboard.press("Control+z")
        revision(page, shown - 1)


def drag(page: Any, start: tuple[float, float], end: tuple[float, float]) -> None:
    seen(page)
    box = page.locator("#picture").bounding_box()
    (left, top), (right, bottom) = (
        (box["x"] + across * box["width"], box["y"] + down * box["height"]) for across, down in (start, end)
    )
    page.mouse.move(left, top)
    page.mouse.down()
    page.mouse.move(right, bottom, steps=4)
    page.mouse.up()


def test_the_subject_is_kept_out_of_a_region_and_within_one(page: Any, job: str) -> None:
    page.goto(job)
    page.wait_for_selector(READY)
    before = int(page.get_attribute("main", "data-revision"))
    page.check("input[value=exclude]", force=True)
    page.wait_for_selector("#regions-none:visible")
    drag(page, (0.2, 0.2), (0.6, 0.8))
    revision(page, before + 1)
    page.wait_for_selector("#regions li:has-text('Not in')")
    # By keys: a corner, and the other.
    page.check("input[value=within]", force=True)
    page.focus("#picture")
    page.keyboard.press("p")
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    revision(page, before + 2)
    page.wait_for_selector("#regions li:has-text('Only in 10 × 10')")
    page.click("#regions li:nth-child(1) button")
    revision(page, before + 3)
    page.wait_for_selector("#regions li:nth-child(2)", state="detached")
    for shown in range(before + 2, before - 1, -1):
        page.keyboard.press("Control+z")
        revision(page, shown)


def test_the_part_between_the_marks_is_downloaded_or_searched_alone(page: Any, job: str, tmp_path: Path) -> None:
    page.goto(job)
    page.wait_for_selector(READY)
    page.keyboard.press("Home")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("i")
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("o")
    page.keyboard.press("Control+e")
    page.wait_for_selector("#export-part:visible >> text=frames 10 to 14")
    page.check("#formats li[data-format=green] input")
    page.wait_for_selector("#export-times:visible")
    with page.expect_download() as download:
        page.click("#export-make")
    file = tmp_path / "part.mp4"
    download.value.save_as(file)
    with av.open(str(file)) as container:
        assert sum(1 for _ in container.decode(video=0)) == 5
    page.wait_for_selector("#export-download.main")
    page.uncheck("#export-marked")
    page.wait_for_selector("#export-make")
    page.keyboard.press("Escape")
    page.click("#part")
    page.wait_for_function("(before) => location.href !== before", arg=job)
    page.wait_for_selector(READY)
    page.keyboard.press("End")
    page.keyboard.press("h")
    page.wait_for_selector(at(4))
    assert number(page, 14) == 14


def options_of(page: Any, name: str) -> set[str]:
    """Choose a format; return its options that are shown."""
    page.check(f"#formats li[data-format='{name}'] input")
    rows = "[...document.querySelectorAll('#export-choice [data-option]')].filter((each) => each.checkVisibility())"
    return set(page.evaluate(f"{rows}.map((each) => each.dataset.option)"))


def test_the_tones_of_hdr_are_an_option_of_a_clip_that_has_them(page: Any, started: tuple[str, Path]) -> None:
    url, root = started
    write_hdr(root / "media" / "hdr.mov", transfer=PQ)
    identity = ask(f"{url}api/jobs", {"path": "hdr.mov"})["id"]
    until(page, lambda: ask(f"{url}api/jobs/{identity}")["state"] == "done", what="the subject is found")
    page.goto(f"{url}#job={identity}")
    page.wait_for_selector(READY)
    page.keyboard.press("Control+e")
    assert "keep_hdr" not in options_of(page, "webm")
    assert "keep_hdr" in options_of(page, "rgba")
    page.select_option("#export-value", "webp")
    assert not page.is_visible("#export-hdr"), "WebP has eight bits"
    assert "keep_hdr" in options_of(page, "prores")
    page.check("#export-hdr")
    with page.expect_download() as download:
        page.click("#export-make")
    with av.open(str(download.value.path())) as container:
        assert container.streams.video[0].codec_context.color_trc == PQ


def test_the_options_of_the_chosen_format_and_no_others_are_shown(
    page: Any, job: str, started: tuple[str, Path], tmp_path: Path
) -> None:
    page.goto(job)
    page.wait_for_selector(READY)
    page.keyboard.press("Control+e")
    shown = partial(options_of, page)
    assert shown("webm") == {"matte", "each_object", "invert"}
    assert shown("prores") == {"matte", "alpha", "each_object", "invert"}
    assert shown("coco") == set()
    assert shown("matte") == {"matte", "value", "each_object", "invert"}
    assert shown("blur") == {"matte", "value", "light_wrap", "invert"}
    assert shown("background") == {"matte", "background", "light_wrap", "shadow", "invert"}

    behind = tmp_path / "red, and blue.png"
    Image.new("RGB", (40, 30), (220, 0, 0)).save(behind)
    page.select_option("#export-behind", "file")
    assert page.is_disabled("#export-make"), "no file is chosen yet"
    page.set_input_files("#export-file", behind)
    page.wait_for_selector("#export-make:enabled")
    with page.expect_download() as download:
        page.click("#export-make")
    with av.open(str(download.value.path())) as container:
        picture = next(container.decode(video=0)).to_ndarray(format="rgb24")
    red, _, blue = picture[5, -5]
    assert red > 150, "what was sent lies behind the subject"
    assert blue < 100
    page.wait_for_selector("#export-download.main")
    page.select_option("#export-behind", "colour")
    page.wait_for_selector("#export-make:enabled")
    assert page.is_visible("#export-download"), "the one made before is still there"
    page.select_option("#export-behind", "file")
    page.wait_for_selector("#export-make", state="detached")


def test_the_mark_of_a_click_goes_when_it_is_undone(page: Any, job: str) -> None:
    page.goto(job)
    page.wait_for_selector(READY)
    before = int(page.get_attribute("main", "data-revision"))
    marks = "async () => (await import('/static/state.js')).store.state.job.prompts.length"
    assert page.evaluate(marks) == 0
    click(page, 0.5, 0.45)
    revision(page, before + 1)
    assert page.evaluate(marks) == 1
    page.keyboard.press("Control+z")
    revision(page, before)
    page.keyboard.press("c")  # another edit of the same number
    revision(page, before + 1)
    assert page.evaluate(marks) == 0
    page.keyboard.press("Control+z")
    revision(page, before)


def test_the_page_is_there_before_the_clip_that_the_server_was_started_on(page: Any, job: str) -> None:
    address, identity = job.split("#job=")
    told = {"version": "", "formats": [], "example": True, "media": False, "limits": {}}
    answers = [{"name": "moving.mp4", "job": ""}] * 2 + [{"name": "moving.mp4", "job": identity}]
    page.route(
        "**/api/info", lambda route: route.fulfill(json={**told, "opening": answers.pop(0) if answers else None})
    )
    page.goto(f"{address}#opening")
    page.wait_for_selector("main[data-state=opening] #waiting:has-text('Opening moving.mp4')")
    page.wait_for_selector(READY)
    assert page.url == job


def test_an_upload_goes_on_after_a_lost_connection_and_after_a_reload(
    page: Any, said: list[str], started: tuple[str, Path], clip: Path
) -> None:
    content, parts = clip.read_bytes(), list[int]()

    def cut(route: Any) -> None:
        """Let a thousand bytes through, twice."""
        if route.request.method == "PATCH":
            parts.append(int(route.request.headers["upload-offset"]))
            if len(parts) < 3:
                kept = {
                    name: route.request.headers[name] for name in ("tus-resumable", "content-type", "upload-offset")
                }
                some = content[parts[-1] : parts[-1] + 1000]
                send(route.request.url, some, method="PATCH", **kept)
                route.abort("connectionreset")
                return
        route.continue_()

    page.route("**/api/uploads/*", cut)
    page.goto(started[0])
    page.wait_for_selector("main[data-state=empty]")
    page.set_input_files("#file", clip)
    page.wait_for_selector("#sending-rate:has-text('goes on by itself')")
    until(page, lambda: len(parts) >= 2, what="the page sends the upload's rest by itself")
    page.reload()
    page.wait_for_selector("#rests li:has-text('moving.mp4')")
    page.set_input_files("#file", clip)
    page.wait_for_selector(READY)
    assert parts == [0, 1000, 2000]
    page.click("#home")
    page.wait_for_selector("main[data-state=empty]")
    assert not page.is_visible("#rests")
    assert all("net::ERR" in each for each in said), said
    said.clear()


def test_a_file_that_is_no_video_is_refused_in_words(
    page: Any, said: list[str], started: tuple[str, Path], tmp_path: Path
) -> None:
    letter = tmp_path / "letter.mp4"
    letter.write_text("Dear editor")
    page.goto(started[0])
    page.wait_for_selector("main[data-state=empty]")
    page.set_input_files("#file", letter)
    page.wait_for_selector("main[data-state=refused]")
    assert page.locator("#refusal p").count() == 2
    assert all("status of 4" in each for each in said), said
    said.clear()


def test_work_goes_on_when_the_server_answers_again(page: Any, said: list[str], job: str) -> None:
    page.goto(job)
    page.wait_for_selector(READY)
    before = int(page.get_attribute("main", "data-revision"))
    page.context.set_offline(True)
    page.keyboard.press("c")
    page.wait_for_selector("#offline:not([hidden])")
    page.context.set_offline(False)
    page.wait_for_selector("#offline", state="hidden")
    page.keyboard.press("c")
    revision(page, before + 1)
    page.keyboard.press("Control+z")
    revision(page, before)
    assert all("ERR_INTERNET_DISCONNECTED" in each for each in said), said
    said.clear()


@pytest.mark.parametrize("dark", [False, True])
def test_a_narrow_screen_shows_everything_below_one_another(page: Any, job: str, dark: bool) -> None:
    page.emulate_media(color_scheme="dark" if dark else "light", reduced_motion="reduce")
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(job)
    page.wait_for_selector(READY)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    small = page.evaluate(
        """[...document.querySelectorAll("#work button, #work .toolset label")].filter((each) => each.checkVisibility())
             .map((each) => each.getBoundingClientRect().height).filter((height) => height < 44).length"""
    )
    assert small == 0


def test_axe_finds_nothing(page: Any, job: str) -> None:
    source = Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"
    if not source.is_file():
        pytest.skip("axe-core is not installed: npm install in tests/serve/browser")
    axe = source.read_text("utf-8")

    def look() -> list[Any]:
        page.evaluate(axe)
        # What passes has many nodes, and they would all be sent here.
        found: list[Any] = page.evaluate(
            """async () => (await axe.run({ resultTypes: ["violations"] })).violations.map(
                 (each) => [each.id, each.nodes.map((node) => node.html)])"""
        )
        return found

    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # colours do not change slowly
        page.goto(job)
        page.wait_for_selector(READY)
        assert look() == []
        for opener, dialog in (("#open-help", "help"), ("#open-settings", "settings"), ("#open-export", "export")):
            page.click(opener)
            page.wait_for_selector(f"#{dialog}[open]")
            assert look() == []
            page.keyboard.press("Escape")
        page.click("[aria-label='More about object 1']")
        page.wait_for_selector("#object[open]")
        assert look() == []
        page.keyboard.press("Escape")
        page.check("input[value=ground]", force=True)
        page.wait_for_selector("main[data-cut=true]")
        page.check("input[value=exclude]", force=True)
        page.wait_for_selector("#regions-none:visible")
        assert look() == []
        page.check("input[value=overlay]", force=True)
    page.goto(job.split("#", maxsplit=1)[0])
    page.wait_for_selector("main[data-state=empty]")
    assert look() == []


def test_run_lengths_are_those_of_covos(page: Any, started: tuple[str, Path]) -> None:
    page.goto(started[0])
    random = np.random.default_rng(1)
    rough = random.random((37, 53)) < 0.5
    masks = [rough, np.zeros_like(rough), np.ones_like(rough), np.kron(rough, np.ones((9, 9), bool))]
    for mask in masks:
        height, width = mask.shape
        counts = encode(mask).to_coco()["counts"]
        pixels, written, halved = page.evaluate(
            """async ([counts, height, width]) => {
                 const { encode, raster } = await import("/static/rle.js");
                 const { data } = raster(counts, height, width);
                 return [[...data], encode(data, height, width), [...raster(counts, height, width, 2).data]];
               }""",
            [counts, height, width],
        )
        assert np.array_equal(np.reshape(pixels, mask.shape).astype(bool), mask)
        assert np.array_equal(decode(RLE.from_coco({"size": [height, width], "counts": written})), mask)
        assert np.array_equal(np.reshape(halved, mask[::2, ::2].shape).astype(bool), mask[::2, ::2])
