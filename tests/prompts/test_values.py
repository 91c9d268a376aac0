"""Points and boxes: what is accepted, and what is refused in which words."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from conftest import source_info
from covos.core.errors import UsageError
from covos.core.types import Box, Point
from covos.masks import write_label_map
from covos.prompts.placing import join_points
from covos.prompts.rows import as_boxes, as_points
from covos.prompts.values import MaskPrompt, PointPrompt, RegionPrompt, as_prompts, as_regions, check_points
from covos.task import Follow, Steer

INFO = source_info(frame_count=8, duration=None)


def pointing(*points: tuple[float, ...], box: tuple[float, float, float, float] | None = None) -> PointPrompt:
    return PointPrompt(
        frame=3, object=1, points=as_points(points) if points else (), box=None if box is None else as_boxes(box)[0]
    )


def refusal(asked: PointPrompt) -> tuple[str, str, str]:
    with pytest.raises(UsageError) as caught:
        check_points(asked, info=INFO)
    return caught.value.what, caught.value.why, caught.value.fix


@pytest.mark.parametrize("place", [(64, 0), (0, 48), (-1, 5), (5, -0.5), (float("nan"), 5), (5, float("inf"))])
def test_a_point_outside_the_frame(place: tuple[float, float]) -> None:
    what, why, fix = refusal(pointing(place))
    assert what == f"point {place[0]:g},{place[1]:g} lies outside frame 3"
    assert why == "the frame is 64 x 48 (width x height): x is 0 to 63, y 0 to 47"
    assert fix == "give x, then y, in pixels from the top left corner"


@given(x=st.floats(0, 64, exclude_max=True), y=st.floats(0, 48, exclude_max=True))
def test_any_point_inside_is_accepted(x: float, y: float) -> None:
    check_points(pointing((x, y)), info=INFO)


@pytest.mark.parametrize(
    ("box", "what", "why"),
    [
        ((5, 5, 5, 20), "box 5,5,5,20 on frame 3 has no area", "it is 0 wide and 15 high"),
        ((30, 5, 10, 20), "box 30,5,10,20 on frame 3 has no area", "it is -20 wide and 15 high"),
        ((0, 0, 65, 48), "box 0,0,65,48 lies outside frame 3", "the frame is 64 x 48 (width x height)"),
        ((-1, 0, 10, 10), "box -1,0,10,10 lies outside frame 3", "the frame is 64 x 48 (width x height)"),
        ((0, 0, float("nan"), 9), "box 0,0,nan,9 lies outside frame 3", "the frame is 64 x 48 (width x height)"),
    ],
)
def test_a_box_that_cannot_be(box: tuple[float, float, float, float], what: str, why: str) -> None:
    assert refusal(pointing(box=box))[:2] == (what, why)


def test_the_whole_frame_is_a_box() -> None:
    check_points(pointing((63.5, 47.5), box=(0, 0, 64, 48)), info=INFO)


def test_what_contradicts_itself() -> None:
    assert refusal(pointing()) == (
        "nothing is pointed at on frame 3",
        "there is no point and no box",
        "give a point on the object, or a box around it",
    )
    assert refusal(pointing((5, 5), (5.2, 5.9)))[:2] == ("point 5.2,5.9 is given twice on frame 3", "once is enough")
    assert refusal(pointing((5, 5, 1), (5, 5, 0)))[1] == "it cannot be both on the object and off it"
    assert refusal(pointing((5, 5), box=(10, 10, 20, 20)))[0] == "point 5,5 on frame 3 is not in box 10,10,20,20"
    check_points(pointing((5, 5, 0), box=(10, 10, 20, 20)), info=INFO)


def test_rows_of_points_and_boxes() -> None:
    assert as_points((5, 6)) == (Point(x=5, y=6),)
    assert as_points(np.array([[5, 6], [7, 8]]), labels=[True, 0]) == (
        Point(x=5, y=6),
        Point(x=7, y=8, positive=False),
    )
    assert as_points([(5, 6, 0)]) == (Point(x=5, y=6, positive=False),)
    assert as_boxes((1, 2, 3, 4)) == as_boxes([[1, 2, 3, 4]]) == (Box(x0=1, y0=2, x1=3, y1=4),)


@pytest.mark.parametrize("points", [[], [1], [(1, 2, 3, 4)], [[(1, 2)]], "here", [(1, 2), (3,)], [("a", "b")], None])
def test_what_is_no_row_of_points(points: object) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        as_points(points)


@pytest.mark.parametrize("labels", [[1], [1, 2], [1, -1], "ab", [[1, 0]]])
def test_labels_that_do_not_fit(labels: object) -> None:
    with pytest.raises(UsageError, match=r"labels .*cannot be read"):
        as_points([(1, 2), (3, 4)], labels=labels)


@pytest.mark.parametrize("boxes", [[], (1, 2, 3), [(1, 2, 3)], [[(1, 2, 3, 4)]], "here"])
def test_what_is_no_row_of_boxes(boxes: object) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        as_boxes(boxes)


def test_what_belongs_join_points() -> None:
    one, other = Point(x=1, y=2), Point(x=3, y=4, positive=False)
    box = Box(x0=0, y0=0, x1=9, y1=9)
    joined = join_points(
        [
            PointPrompt(frame=5, object=1, points=(one,)),
            PointPrompt(frame=0, object=2, points=(one,)),
            PointPrompt(frame=5, object=1, box=box),
            PointPrompt(frame=5, object=1, points=(other,)),
        ]
    )
    assert joined == (
        PointPrompt(frame=0, object=2, points=(one,)),
        PointPrompt(frame=5, object=1, points=(one, other), box=box),
    )
    assert [each.given_as for each in joined] == ["points", "box and points"]
    with pytest.raises(UsageError, match="object 1 has two boxes on frame 5"):
        join_points([joined[1], PointPrompt(frame=5, object=1, box=box)])


def test_a_mask_may_be_a_file_an_array_a_picture_bytes_or_an_open_file(tmp_path: Path) -> None:
    labels = np.zeros((20, 30), np.uint8)
    labels[2:9, 3:12], labels[12:18, 20:28] = 1, 7
    path = tmp_path / "mask.png"
    write_label_map(path, labels)
    with path.open("rb") as file:
        given = [labels, Image.open(path), path.read_bytes(), file]
        shown = [as_prompts(masks={3: each})[0] for each in given]
    for prompt in shown:
        assert isinstance(prompt, MaskPrompt)
        assert prompt.frame == 3
        assert np.array_equal(prompt.labels, labels)
    assert as_prompts(masks=[str(path), path]) == (MaskPrompt(file=path), MaskPrompt(file=path))


@pytest.mark.parametrize("what", ["masks", "points", "boxes"])
@pytest.mark.parametrize("frame", [-1, -7, 0.5, "0", None])
def test_a_key_that_is_no_number_of_a_frame_is_refused(what: str, frame: object) -> None:
    rows = {"masks": np.ones((4, 4), bool), "points": [(1, 2)], "boxes": [(0, 0, 2, 2)]}
    with pytest.raises(UsageError, match=rf"{what} of frame {frame!r}, which does not exist"):
        as_prompts(**{what: {frame: rows[what]}})  # type: ignore[arg-type]


@pytest.mark.parametrize("role", ["within", "exclude"])
def test_regions_of_a_frame_that_does_not_exist_are_refused(role: str) -> None:
    with pytest.raises(UsageError, match=f"{role} of frame -1, which does not exist"):
        as_regions(**{role: {-1: [(0, 0, 2, 2)]}})  # type: ignore[arg-type]


def test_a_key_may_be_any_whole_number() -> None:
    (shown,) = as_prompts(points={np.int64(3): [(1, 2)]})
    assert (shown.frame, type(shown.frame)) == (3, int)


@pytest.mark.parametrize("what", ["masks", "points", "boxes"])
@pytest.mark.parametrize("empty", [(), [], {}])
def test_what_shows_nothing_is_refused(what: str, empty: object) -> None:
    with pytest.raises(UsageError, match=r"is empty|points cannot be read|boxes cannot be read"):
        as_prompts(**{what: empty})  # type: ignore[arg-type]


@pytest.mark.parametrize("role", ["within", "exclude"])
def test_regions_of_no_frame_are_refused(role: str) -> None:
    with pytest.raises(UsageError, match=f"{role} is empty"):
        as_regions(**{role: {}})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "points",
    [
        [(5, 6), (7, 8)],
        ((5, 6, 1), (7, 8, 1)),
        np.array([[5, 6], [7, 8]]),
        (Point(x=5, y=6), Point(x=7, y=8)),
        [{"x": 5, "y": 6}, {"x": 7, "y": 8, "positive": True}],
        [(5, 6), {"x": 7, "y": 8}],
    ],
)
def test_a_prompt_takes_points_as_rows_and_as_tables(points: Any) -> None:
    assert PointPrompt(points=points).points == (Point(x=5, y=6), Point(x=7, y=8))


def test_a_prompt_takes_a_row_for_a_box() -> None:
    box = Box(x0=1, y0=2, x1=3, y1=4)
    for row in ((1, 2, 3, 4), np.array([1, 2, 3, 4]), box, {"x0": 1, "y0": 2, "x1": 3, "y1": 4}):
        assert PointPrompt(box=row).box == box
        assert RegionPrompt(box=row, role="within").box == box
    assert PointPrompt(points=(5, 6, 0)).points == (Point(x=5, y=6, positive=False),)
    assert PointPrompt(points=[]).points == ()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: PointPrompt(points=[(1, 2, 3, 4)]), "points cannot be read"),
        (lambda: PointPrompt(points=[("a", "b")]), "cannot be read"),
        (lambda: PointPrompt(points=np.array(5)), "points cannot be read"),
        (lambda: PointPrompt(points="here"), "points='here' cannot be used"),
        (lambda: PointPrompt(points=[{"x": 1}]), "points"),
        (lambda: PointPrompt(point=[(1, 2)]), "unknown setting 'point'"),
        (lambda: PointPrompt(box=(1, 2, 3)), "boxes cannot be read"),
        (lambda: PointPrompt(box=[(1, 2, 3, 4), (5, 6, 7, 8)]), "2 boxes for one prompt"),
        (lambda: PointPrompt(frame="first"), "frame='first' cannot be used"),
        (lambda: RegionPrompt(box=(0, 0, 5, 5), role="beside"), "role='beside' cannot be used"),
        (lambda: RegionPrompt(role="within"), "RegionPrompt without box"),
        (lambda: MaskPrompt(file=3), "file=3 cannot be used"),
        (lambda: Follow(prompts=("a.png",)), "cannot be used"),
        (lambda: Follow(prompts=(RegionPrompt(box=(0, 0, 5, 5), role="within"),)), "cannot be used"),
    ],
)
def test_a_wrong_prompt_is_a_wrong_call(make: Callable[[], object], said: str) -> None:
    with pytest.raises(UsageError, match=re.escape(said)):
        make()


def test_prompts_come_back_from_json_each_as_what_it_was() -> None:
    shown = (PointPrompt(frame=3, points=[(5, 6)]), MaskPrompt(file=Path("a.png"), frame=2))
    task = Follow(prompts=shown)
    assert Follow.model_validate_json(task.model_dump_json()).prompts == shown
    steering = (PointPrompt(points=[(5, 6, 0)]), RegionPrompt(box=(0, 0, 5, 5), role="exclude"))
    steer = Steer(shown=steering)
    assert Steer.model_validate_json(steer.model_dump_json()).shown == steering
