"""Prompt files: what they say, and each way in which they are refused."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from covos.core.errors import AnnotationError
from covos.core.types import Box, Point
from covos.prompts.file import read_prompt_file
from covos.prompts.values import MaskPrompt, PointPrompt, RegionPrompt

TOML = """
[[masks]]
file = "dog.png"
object = 1

[[points]]
frame = 4
object = 2
positive = [[320, 200], [330.5, 210]]
negative = [[100, 50]]

[[boxes]]
frame = 40
box = [10, 20, 300, 400]
"""


def written(folder: Path, content: Any) -> Path:
    path = folder / "prompts.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_json_and_toml_say_the_same(tmp_path: Path) -> None:
    (tmp_path / "dog.png").touch()
    (tmp_path / "prompts.toml").write_text(TOML)
    as_json = {
        "masks": [{"file": "dog.png", "object": 1}],
        "points": [{"frame": 4, "object": 2, "positive": [[320, 200], [330.5, 210]], "negative": [[100, 50]]}],
        "boxes": [{"frame": 40, "box": [10, 20, 300, 400]}],
    }
    found = read_prompt_file(tmp_path / "prompts.toml")
    assert found == read_prompt_file(written(tmp_path, as_json))
    assert found[:1] == (MaskPrompt(file=tmp_path / "dog.png", object=1),)
    assert found[1:] == (
        PointPrompt(
            frame=4,
            object=2,
            points=(Point(x=320, y=200), Point(x=330.5, y=210), Point(x=100, y=50, positive=False)),
        ),
        PointPrompt(frame=40, box=Box(x0=10, y0=20, x1=300, y1=400)),
    )


def test_a_mark_at_its_beginning_is_no_content(tmp_path: Path) -> None:
    path = tmp_path / "prompts.json"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps({"points": [{"positive": [[1, 2]]}]}).encode())
    assert read_prompt_file(path) == (PointPrompt(points=(Point(x=1, y=2),)),)


@pytest.mark.parametrize(
    ("content", "what", "why"),
    [
        (
            {"point": []},
            "has an unknown key 'point'",
            "did you mean points? use one of: masks, points, boxes",
        ),
        (
            {"points": [{"postive": [[1, 2]]}]},
            "points[0] has an unknown key 'postive'",
            "did you mean positive?",
        ),
        ({"points": [{"zzz": 1}]}, "unknown key 'zzz'", "use one of: frame, object, label, positive, negative"),
        ({"points": [{"frame": 3}]}, "points[0] has no points", "neither positive nor negative"),
        ({"points": [{"positive": [1, 2]}]}, "positive[0] is 1", "it should be [x, y]"),
        ({"points": [{"positive": [[1, 2, 3]]}]}, "positive[0] is [1, 2, 3]", "it should be [x, y]"),
        ({"points": [{"positive": [[1, True]]}]}, "positive[0] is [1, true]", "it should be [x, y]"),
        ({"points": [{"positive": "here"}]}, 'positive is "here"', "a list of points"),
        ({"points": [{"frame": "3", "positive": [[1, 2]]}]}, 'frame is "3"', "a whole number"),
        ({"points": [{"frame": 1.5, "positive": [[1, 2]]}]}, "frame is 1.5", "a whole number"),
        ({"points": [{"object": True, "positive": [[1, 2]]}]}, "object is true", "a whole number"),
        ({"points": {"positive": [[1, 2]]}}, "points is {", "it should be a list of tables"),
        ({"points": [[1, 2]]}, "points[0] is [1, 2]", "it should be a table"),
        ({"boxes": [{"frame": 1}]}, "boxes[0]: box is missing", "[left, top, right, bottom]"),
        ({"boxes": [{"box": [1, 2, 3]}]}, "box is [1, 2, 3]", "[left, top, right, bottom]"),
        ({"masks": [{"frame": 1}]}, "masks[0] names neither a file nor alpha", "or the alpha of the frame"),
        ({"masks": [{"file": "a.png", "alpha": True}]}, "masks[0] names both", "or the alpha of the frame"),
        ({"masks": [{"alpha": 1}]}, "masks[0]: alpha is 1", "true or false"),
        ({"masks": [{"file": "none.png", "frame": -1}]}, "masks[0]: frame is -1", "a whole number from 0"),
        ({"points": [{"positive": [[1, 1]], "frame": -1}]}, "points[0]: frame is -1", "a whole number from 0"),
        ({"masks": [{"file": "none.png"}]}, "masks[0]: there is no file", "beside the prompt file"),
        ({"points": [{"positive": [[10**400, 1]]}]}, "positive[0] is", "it should be [x, y]"),
        ([], "is []", "it should be a table"),
        ({}, "shows nothing", "it lists no mask, point, box or region"),
        ("{", "is not JSON", "line 1"),
        ('{"points": [{"positive": [[NaN, 1]]}]}', "positive[0] is [NaN, 1]", "it should be [x, y]"),
    ],
)
def test_refusals(tmp_path: Path, content: Any, what: str, why: str) -> None:
    with pytest.raises(AnnotationError) as caught:
        read_prompt_file(written(tmp_path, content))
    assert what in caught.value.what
    assert "prompts.json" in caught.value.what
    assert why in str(caught.value)
    assert "\n" not in caught.value.what + caught.value.why + caught.value.fix


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match="no such file"):
        read_prompt_file(tmp_path / "none.json")
    (tmp_path / "prompts.yaml").touch()
    with pytest.raises(AnnotationError, match=r"does not end in \.json or \.toml"):
        read_prompt_file(tmp_path / "prompts.yaml")
    (tmp_path / "bad.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(AnnotationError, match="is not TOML"):
        read_prompt_file(tmp_path / "bad.toml")


values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 9) | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["masks", "points", "boxes", "file", "frame", "object", "positive", "negative", "box"]),
            inner,
        )
    ),
    max_leaves=12,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(document=values)
def test_whatever_is_in_it_is_read_or_refused(tmp_path: Path, document: Any) -> None:
    with suppress(AnnotationError):
        assert read_prompt_file(written(tmp_path, document))


def test_regions_and_negative_points_steer(tmp_path: Path) -> None:
    content = {
        "points": [{"frame": 30, "negative": [[160, 250]]}],
        "within": [{"box": [0, 0, 640, 300]}],
        "exclude": [{"frame": 20, "box": [10, 20, 300, 400]}],
    }
    assert read_prompt_file(written(tmp_path, content)) == (
        PointPrompt(frame=30, points=(Point(x=160, y=250, positive=False),)),
        RegionPrompt(box=Box(x0=0, y0=0, x1=640, y1=300), role="within"),
        RegionPrompt(box=Box(x0=10, y0=20, x1=300, y1=400), role="exclude", frame=20),
    )
    with pytest.raises(AnnotationError, match="unknown key 'object'"):
        read_prompt_file(written(tmp_path, {"within": [{"box": [0, 0, 9, 9], "object": 1}]}))


def test_a_coco_file_is_told_from_a_prompt_file(tmp_path: Path) -> None:
    path = written(tmp_path, {"info": {}, "images": [], "annotations": [], "categories": []})
    with pytest.raises(AnnotationError, match="as COCO has them") as caught:
        read_prompt_file(path)
    assert f"covos convert {path} -f palette first" in caught.value.fix
