"""The cut views: what the page shows of a cut-out is what downloads have."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from covos.masks import RLE, decode
from serve.browser.conftest import ask, send, until
from serve.browser.test_story import READY, click, revision

TRUE = "main[data-cut='true']"

PIXEL = """async ([across, down]) => {
  const canvas = document.getElementById("picture");
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", { willReadFrequently: true });
  copy.drawImage(canvas, 0, 0);
  const scale = Math.min(canvas.width / 192, canvas.height / 128);
  const [left, top] = [(canvas.width - 192 * scale) / 2, (canvas.height - 128 * scale) / 2];
  return [...copy.getImageData(left + (across + 0.5) * scale, top + (down + 0.5) * scale, 1, 1).data].slice(0, 3);
}"""
"""Reads the colour of a pixel of the clip off the canvas."""


def show(page: Any, view: str) -> None:
    page.check(f"input[value={view}]", force=True)


def cut_out(job: str, frame: int) -> np.ndarray:
    url, identity = job.split("#job=")
    return np.asarray(Image.open(io.BytesIO(send(f"{url}api/jobs/{identity}/frames/{frame}/cutout"))))


def test_the_frame_at_rest_is_shown_as_it_will_be_exported(page: Any, job: str, tmp_path: Path) -> None:
    page.goto(job)
    page.wait_for_selector(READY)
    page.keyboard.press("Home")
    for _ in range(8):
        page.keyboard.press("ArrowRight")
    assert not page.is_visible("#cut")
    show(page, "ground")
    page.wait_for_selector(TRUE)
    assert page.text_content("#cut-words") == "As it will be exported"
    page.fill("#ground-colour", "#2040c0")
    true = cut_out(job, 8)
    behind = np.array([0x20, 0x40, 0xC0])
    soft = np.argwhere((true[..., 3] > 60) & (true[..., 3] < 200))
    for down, across in [*soft[:: max(1, len(soft) // 4)], (10, 150), (56, 74)]:
        *colours, alpha = (int(each) for each in true[down, across])
        wanted = behind + (np.array(colours) - behind) * alpha / 255
        assert page.evaluate(PIXEL, [int(across), int(down)]) == pytest.approx(list(wanted), abs=40)

    red = tmp_path / "red.png"
    Image.new("RGB", (40, 30), (220, 0, 0)).save(red)
    page.set_input_files("#ground-file", red)
    page.wait_for_selector("#ground-name:has-text('red.png')")
    assert page.evaluate(PIXEL, [150, 10]) == pytest.approx([220, 0, 0], abs=3)
    page.click("#ground-clear")
    assert page.evaluate(PIXEL, [150, 10]) == pytest.approx(list(behind), abs=3)

    page.select_option("#matte", "yes")
    page.wait_for_selector("main[data-cut=coming]")
    page.wait_for_selector(TRUE)
    page.keyboard.press("Control+e")
    page.wait_for_selector("#formats input:checked")
    assert page.input_value("#export-matte") == "yes", "the export is as the page shows it"
    assert page.input_value("#export-colour") == "#2040c0"
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.select_option("#export-matte", "no")
    page.check("#formats li[data-format=prores] input")
    page.keyboard.press("Escape")
    page.wait_for_selector(TRUE)
    assert page.input_value("#matte") == "no", "and the page is as the export will be"
    assert any("matte=false" in each for each in asked)
    page.reload()
    page.wait_for_selector(READY)
    page.keyboard.press("Control+e")
    page.wait_for_selector("#formats li[data-format=prores] input:checked")
    page.keyboard.press("Escape")
    show(page, "matte")
    page.wait_for_selector(TRUE)
    assert page.evaluate(PIXEL, [74, 56]) == [255, 255, 255]
    assert page.evaluate(PIXEL, [150, 10]) == [0, 0, 0]


def test_all_but_the_subject_is_shown_as_it_will_be_exported(page: Any, job: str) -> None:
    """The ground shows where the subject was, and the clip around it: in the quick look, and in the true one."""
    page.goto(job)
    page.wait_for_selector(READY)
    page.keyboard.press("Home")
    for _ in range(8):
        page.keyboard.press("ArrowRight")
    show(page, "ground")
    page.fill("#ground-colour", "#2040c0")
    page.wait_for_selector(TRUE)
    around = page.evaluate(PIXEL, [150, 10])
    assert around == pytest.approx([0x20, 0x40, 0xC0], abs=3)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.check("#invert")
    for state in ("coming", "true"):
        page.wait_for_selector(f"main[data-cut='{state}']")
        assert page.evaluate(PIXEL, [74, 56]) == pytest.approx([0x20, 0x40, 0xC0], abs=12), state
        assert page.evaluate(PIXEL, [150, 10]) != pytest.approx([0x20, 0x40, 0xC0], abs=30), state
    assert any("invert=true" in each for each in asked)
    show(page, "matte")
    page.wait_for_selector(TRUE)
    assert [page.evaluate(PIXEL, place) for place in ([74, 56], [150, 10])] == [[0, 0, 0], [255, 255, 255]]

    page.keyboard.press("Control+e")
    page.wait_for_selector("#formats input:checked")
    page.check("#formats li[data-format=prores] input")
    assert page.is_checked("#export-invert"), "the export is as the page shows it"
    page.uncheck("#export-invert")
    page.keyboard.press("Escape")
    page.wait_for_selector(TRUE)
    assert not page.is_checked("#invert"), "and the page is as the export will be"
    assert page.evaluate(PIXEL, [74, 56]) == [255, 255, 255]


MASKS = """async () => {
  const { masks } = await import("/static/actions.js");
  return masks.at(0).objects.map((each) => [each.id, each.counts]);
}"""
"""Gives the masks of the first frame that the page has: pairs of the object's number and its run lengths."""


def test_a_new_object_takes_its_pixels_from_the_others_at_once(page: Any, job: str) -> None:
    page.goto(job)
    page.wait_for_selector(READY)
    page.keyboard.press("Home")
    before = int(page.get_attribute("main", "data-revision"))
    page.click("#new-object")
    click(page, 0.17, 0.45)
    revision(page, before + 1)
    url, identity = job.split("#job=")
    (true,) = ask(f"{url}api/jobs/{identity}/masks?start=0&stop=1")["frames"]
    known = {each["id"]: each["counts"] for each in true["objects"]}
    until(page, lambda: dict(page.evaluate(MASKS)) == known, what="the page has the masks of the server")
    shown = dict(page.evaluate(MASKS))
    masks = [decode(RLE.from_coco({"size": [128, 192], "counts": counts})) for counts in shown.values()]
    assert not np.logical_and.reduce(masks).any() or len(masks) == 1
    assert shown == known
    page.keyboard.press("Control+z")
    revision(page, before)


def test_after_a_click_on_a_tool_the_keys_go_on_with_the_clip(page: Any, job: str) -> None:
    page.goto(job)
    page.wait_for_selector(READY)
    page.keyboard.press("Home")
    page.check("input[value=brush]", force=True)
    page.wait_for_selector("#brush-size:visible")
    page.wait_for_function("() => document.activeElement.id === 'picture'")
    page.keyboard.press("ArrowRight")
    page.wait_for_selector("main[data-frame='1']")
    assert page.is_checked("input[value=brush]"), "the arrow chose no other tool"
    # By keys alone, the arrows choose among the tools.
    page.focus("input[value=brush]")
    page.keyboard.press("ArrowDown")
    assert page.is_checked("input[value=eraser]")
    assert page.evaluate("document.activeElement.value") == "eraser"
