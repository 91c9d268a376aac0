"""Flags of frames that stand out; none of frames that do not; what is shown is bounded."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from covos.core.types import Frame, FrameResult, ObjectStatus
from covos.runs.page import render_report
from covos.runs.quality import APART, KINDS, MOST_SHOWN, SPAN, Watch, find_flags, suspicion
from covos.runs.report import frame_row
from covos.runs.schema import FrameRow, ReportContent

SIZE = 60, 100
Box = tuple[int, int, int, int]
Clip = Sequence[tuple[dict[int, Box], float]]


def results(result: Callable[..., FrameResult], clip: Clip) -> list[FrameResult]:
    """Frames with these boxes (left, top, width, height) of each object, and this confidence."""
    made = []
    for index, (boxes, confidence) in enumerate(clip):
        labels = np.zeros(SIZE, np.uint8)
        for identity, (left, top, width, height) in boxes.items():
            labels[top : top + height, left : left + width] = identity
        frame: Frame = result(index, size=SIZE).frame
        made.append(FrameResult(frame=frame, probability=labels > 0, labels=labels, confidence=confidence))
    return made


def rows_of(made: Sequence[FrameResult]) -> list[FrameRow]:
    before = [None, *(each.labels for each in made)]
    return [frame_row(each, seconds=0, before=last) for each, last in zip(made, before, strict=False)]


def flagged(result, clip: Clip) -> list[list[str]]:
    rows = rows_of(results(result, clip))
    return [[flag.kind for flag in find_flags(rows, at, size=SIZE)] for at in range(len(rows))]


def steady(count: int = 9) -> list[tuple[dict[int, Box], float]]:
    return [({1: (20 + 2 * index, 20, 20, 20)}, 0.95) for index in range(count)]


def changed(at: int, boxes: dict[int, Box], confidence: float = 0.95, count: int = 9) -> Clip:
    clip = steady(count)
    clip[at] = boxes, confidence
    return clip


def test_what_moves_steadily_has_no_flag(result) -> None:
    assert flagged(result, steady(20)) == [[]] * 20


def test_an_object_of_a_pixel_in_a_large_frame_has_an_area(result) -> None:
    made = []
    for index, side in enumerate((40, 40, 40, 1, 40, 1, 1)):
        labels = np.zeros((1080, 1920), np.uint8)
        labels[500 : 500 + side, 900 : 900 + side] = 1
        frame: Frame = result(index, size=labels.shape).frame
        made.append(FrameResult(frame=frame, probability=labels > 0, labels=labels, confidence=0.95))
    rows = rows_of(made)
    assert rows[3].area[1] > 0
    assert "area jump" in [flag.kind for flag in find_flags(rows, 3, size=(1080, 1920))]


def test_shots_are_compared_with_themselves(result) -> None:
    clip = [*steady(6), *(({2: (4 + index, 30, 8, 8)}, 0.95) for index in range(6))]
    rows = rows_of(results(result, clip))
    kinds = [
        [flag.kind for flag in find_flags(rows, at, size=SIZE, cuts=cuts)] for cuts in ((), (6,)) for at in range(12)
    ]
    assert "lost" in kinds[6]
    assert kinds[12:] == [[]] * 12


def test_each_kind(result) -> None:
    assert flagged(result, changed(4, {1: (28, 20, 20, 20)}, 0.5))[4] == ["uncertain"]
    assert flagged(result, changed(4, {1: (28, 20, 20, 20)}, float("nan")))[4] == ["uncertain"]
    assert flagged(result, changed(4, {1: (26, 18, 25, 25)}))[4] == ["area jump"]
    assert "area jump" in flagged(result, changed(4, {1: (28, 20, 12, 20)}))[4]
    assert flagged(result, changed(4, {1: (28, 35, 20, 20)}))[4] == ["position jump"]
    assert flagged(result, changed(4, {1: (28, 40, 20, 20)}))[4] == ["position jump", "border"]
    assert flagged(result, changed(4, {}))[4] == ["empty", "lost"]
    assert flagged(result, changed(0, {}))[0] == ["empty"]
    assert flagged(result, changed(8, {1: (80, 20, 20, 20)}))[8][-1] == "border"
    assert set(KINDS) == {"uncertain", "area jump", "position jump", "lost", "empty", "border"}


def test_one_doubtful_object_among_sure_ones_is_flagged(result) -> None:
    boxes = {identity: (12 * identity - 8, 20, 8, 8) for identity in range(1, 8)}
    (made,) = results(result, [(boxes, 0.857)])
    sure = {identity: 0.3 if identity == 4 else 0.95 for identity in boxes}

    def flags_with(confidence: dict[int, float], states: dict[int, str]) -> list[tuple[str, str]]:
        objects = tuple(ObjectStatus(id=k, state=states.get(k, "present"), confidence=c) for k, c in confidence.items())
        return [(flag.kind, flag.text) for flag in find_flags(rows_of([replace(made, objects=objects)]), 0, size=SIZE)]

    assert flags_with(sure, {}) == [("uncertain", "object 4: confidence 0.30")]
    assert flags_with(sure | {2: 0.5}, {}) == [
        ("uncertain", "object 2: confidence 0.50"),
        ("uncertain", "object 4: confidence 0.30"),
    ]
    # An object without a mask says how surely it is out of sight, and its frame is not doubtful by that.
    assert flags_with(dict.fromkeys(boxes, 0.95) | {9: 0.3}, {9: "occluded"}) == []


def test_a_street_without_a_subject_is_not_suspicious(result) -> None:
    watch, _ = watched(result, [({}, 0.95)] * 20)
    assert watch.kinds == {"empty": 20}
    assert watch.suspicious == 0
    gone, _ = watched(result, [*steady(6), *[({}, 0.95)] * 14])
    assert list(gone.marks) == [6, 7, 8, 9], "an object has gone away there"


def test_a_lost_object_is_flagged_until_it_is_forgotten(result) -> None:
    two = [({1: (20, 20, 20, 20), 2: (60, 20, 20, 20)}, 0.95)] * 3
    kinds = flagged(result, [*two, *[({1: (20, 20, 20, 20)}, 0.95)] * 9])
    assert kinds == [[]] * 3 + [["lost"]] * SPAN + [[]] * (9 - SPAN)


def test_a_change_that_lasts_is_flagged_at_most_around_its_start(result) -> None:
    small, large = {1: (20, 20, 10, 10)}, {1: (20, 20, 20, 20)}
    kinds = flagged(result, [*[(small, 0.95)] * 10, *[(large, 0.95)] * 10])
    assert all(kinds[at] == [] for at in range(20) if abs(at - 9.5) > SPAN + 0.5)


def test_more_is_more_suspicious(result) -> None:
    def worth(clip: Clip) -> float:
        return suspicion(find_flags(rows_of(results(result, clip)), 4, size=SIZE))

    place = {1: (28, 20, 20, 20)}
    assert worth(steady()) == 0
    assert worth(changed(4, {1: (28, 0, 20, 60)}, 0.95)) > 0
    assert 0 < worth(changed(4, place, 0.8)) < worth(changed(4, place, 0.3)) < worth(changed(4, {1: (0, 0, 4, 4)}, 0.3))
    assert worth(changed(4, {1: (0, 0, 4, 4)}, 0.0)) <= 1


def test_a_single_frame_and_two(result) -> None:
    for count in (1, 2):
        assert flagged(result, steady(count)) == [[]] * count


def watched(result, clip: Clip) -> tuple[Watch, list[FrameRow]]:
    made = results(result, clip)
    watch = Watch(size=SIZE)
    judged = [row for row, each in zip(rows_of(made), made, strict=True) for row in watch.add(row, each)]
    return watch, [*judged, *watch.rest()]


@pytest.mark.parametrize("count", [1, 3, SPAN, SPAN + 1, 2 * SPAN + 1, 40])
def test_rows_gone_by_have_the_flags_that_all_rows_together_have(result, count: int) -> None:
    clip = [({} if index % 7 == 3 else {1: (20, 20, 20, 20)}, 0.5 if index % 5 == 2 else 0.9) for index in range(count)]
    watch, judged = watched(result, clip)
    assert [list(row.flags) for row in judged] == flagged(result, clip)
    assert [row.index for row in judged] == list(range(count))
    assert watch.count == count
    assert list(watch.marks) == [row.index for row in judged if row.suspicion > 0]
    assert watch.suspicious == len(watch.marks)
    assert list(watch.times) == [row.time for row in judged]


def test_what_is_shown_is_bounded_apart_and_the_worst(result) -> None:
    place = {1: (20, 20, 20, 20)}
    clip = [(place, 0.8 - 0.001 * (index % 97)) for index in range(700)]
    watch, _ = watched(result, clip)
    first = watch.first()
    assert watch.suspicious == 700
    assert len(first) <= MOST_SHOWN
    indices = sorted(seen.row.index for seen in first)
    assert min(np.diff(indices)) >= APART
    assert [seen.suspicion for seen in first] == sorted((seen.suspicion for seen in first), reverse=True)
    assert first[0].row.confidence == pytest.approx(0.704)
    assert all(seen.picture.shape == (60, 100, 3) for seen in first)


def page(result, clip: Clip) -> str:
    watch, _ = watched(result, clip)
    content = {
        "schema": 1,
        "source": {"path": "in/<b>.mp4", "width": 100, "height": 60, "duration": 1.0, "kind": "video", "codec": "h264",
                   "has_audio": True, "sha256": None, "frame_count": 9, "frame_rate": "25", "time_base": "1/25",
                   "rotation": 0, "pixel_aspect": "1"},
        "totals": {"frames": len(clip), "seconds": 2.0, "fps": None, "resumed": 3},
        "model": {"name": "m", "sha256": "ab"},
        "settings": {"references": 5, "formats": ["palette"], "fusion": None},
        "health": {"decoded": 7, "missing": 2, "expected": 9, "undecodable": 0, "cut": False,
                   "warnings": ["cut <short>"]},
        "warnings": ["padded"], "device": "cpu", "outputs": ["masks"], "tool": {"name": "covos", "version": "1"},
        "problem": None, "frames": [],
    }  # fmt: skip
    card = {
        "name": "m", "parameters": 12, "architecture": "lite", "sha256": "ab", "licence": "none",
        "data": [{"name": "d", "items": 3, "licence": "l"}], "scores": {"val": {"J": 0.5, "each": [1, 2]}},
    }  # fmt: skip
    return render_report(ReportContent.model_validate(content), watch=watch, card=card)


def test_the_page_holds_all_and_loads_nothing(result) -> None:
    text = page(result, changed(4, {1: (2, 2, 8, 8), 3: (50, 20, 20, 20)}, 0.3))
    assert "<b>.mp4" not in text.replace("<b>frame", "")
    assert "&lt;b&gt;.mp4" in text
    for said in ("cut &lt;short&gt;", "padded", "2 of 9 frames could not be read", "3 frames by an earlier run",
                 "frame 00004, 0.16 s", "confidence 0.30", "J 0.500: val", "d, 3 items: l", "object 3"):  # fmt: skip
        assert said in text, said
    assert re.findall(r'(?:src|href)="(?!data:image/webp;base64,)', text) == []
    assert "url(" not in text
    assert "<script" not in text
    assert "@import" not in text
    pictures = re.findall(r"<img [^>]*>", text)
    assert pictures
    assert all(re.search(r'alt="frame \d+, [^"]{10,}"', each) for each in pictures)
    assert all('role="img" aria-label="' in each for each in re.findall(r"<svg [^>]*>", text))
    assert "prefers-color-scheme: dark" in text
    assert "nan" not in text


def test_a_page_with_nothing_to_say(result) -> None:
    text = page(result, [({1: (20, 20, 20, 20)}, 0.95)])
    assert "Nothing stands out" in text
    assert "<img" not in text
    empty = page(result, [])
    assert "Over time" not in empty
    none = page(result, [({}, float("nan"))] * 3)
    assert "nan" not in none
