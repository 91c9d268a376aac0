from __future__ import annotations

import re

import pytest

from covos.training.summary import curve_plot, thinned


def test_a_curve_spans_its_axes() -> None:
    page = curve_plot({"total": [(0, 4.0), (50, 2.0), (100, 0.0)], "none": []}, steps=100)
    (points,) = re.findall(r'points="([^"]+)"', page)
    assert points == "44.0,10.0 277.0,89.0 510.0,168.0"
    assert "none" not in page


@pytest.mark.parametrize("value", [0.0, 3.0, -3.0])
def test_a_level_curve_has_room(value: float) -> None:
    page = curve_plot({"a": [(1, value), (2, value)]}, steps=2)
    heights = {float(y) for y in re.findall(r"[\d.]+,([\d.]+)", re.findall(r'points="([^"]+)"', page)[0])}
    assert len(heights) == 1
    assert 10 <= heights.pop() <= 168


def test_nothing_to_draw_is_said() -> None:
    assert curve_plot({"a": []}, steps=5) == '<p class="quiet">nothing yet</p>'


def test_long_curves_are_thinned_to_means() -> None:
    points = [(step, float(step % 2)) for step in range(1, 8001)]
    few = thinned(points)
    assert len(few) == 400
    assert few[-1][0] == 8000
    assert {value for _, value in few} == {0.5}
    assert thinned(points[:10]) == points[:10]
