"""``covos segment --point``, ``--box``, ``--prompts``: from the command line to the outputs, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from covos.cli import main
from covos.cli.prompting import box, point
from covos.core.errors import UsageError
from covos.core.types import Box, Point
from covos.masks import read_label_map, write_label_map
from covos.prompts.values import PointPrompt

SIZE = (48, 64)
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def larger(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks see enough to tell what a box holds from what is beside it."""
    monkeypatch.setattr("covos.model.DEFAULT_AREA", 192 * 256)


def run(clip: Path, out: Path, *more: str) -> int:
    return main(
        ["segment", str(clip), "-o", str(out), "--device", "cpu", "--precision", "fp32", "-q", "-f", "palette", *more]
    )


def prompts_of(out: Path) -> list[dict[str, object]]:
    found = json.loads((out / "report.json").read_text())["settings"]["prompts"]
    assert isinstance(found, list)
    return found


def square(frame: int = 0) -> np.ndarray:
    mask = np.zeros(SIZE, bool)
    mask[12:28, 2 * frame : 2 * frame + 16] = True
    return mask


def jaccard(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / (one | other).sum())


def test_a_click_is_followed(clip: Path, random_follower: Path, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "out"
    options = ["--follower", str(random_follower), "--point", "8,20", "--point", "10,15"]
    assert run(clip, out, *options) == 0
    written = sorted((out / "masks").glob("*.png"))
    assert len(written) == 8
    assert jaccard(read_label_map(written[0]) == 1, square()) > 0.8
    assert prompts_of(out) == [
        {
            "frame": 0,
            "object": 1,
            "given_as": "points",
            "points": [[8, 20, 1], [10, 15, 1]],
            "prompter": "grabcut+covos-prompt",
        }
    ]
    assert run(clip, out, *options) == 0, "it is done"
    assert run(clip, out, *options, "--not-point", "50,40") == 2
    assert "prompt 1" in capsys.readouterr().err


@pytest.mark.usefixtures("larger")
def test_boxes_and_points_of_several_objects_on_several_frames(
    clip: Path, random_follower: Path, tmp_path: Path
) -> None:
    options = ["--box", "0,12,16,28", "--box", "40,32,60,46@3:7", "--point", "50,40@3:7", "--not-point", "2,2@3:7"]
    assert run(clip, tmp_path / "out", "--follower", str(random_follower), *options) == 0
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["settings"]["direction"] == "both"
    said = [(each["frame"], each["object"], each["given_as"]) for each in report["settings"]["prompts"]]
    assert said == [(0, 8, "box"), (3, 7, "box and points")]
    third = read_label_map(tmp_path / "out" / "masks" / "00003.png")
    assert third[40, 50] == 7
    assert not (third[:32] == 7).any()


@pytest.mark.usefixtures("larger")
def test_a_prompt_file_says_what_the_options_say(clip: Path, random_follower: Path, tmp_path: Path) -> None:
    write_label_map(tmp_path / "mask.png", square().astype(np.uint8) * 5)
    content = {
        "masks": [{"file": "mask.png"}],
        "points": [{"frame": 0, "object": 5, "negative": [[1, 13]]}],
        "boxes": [{"frame": 2, "object": 6, "box": [40, 32, 60, 46]}],
    }
    (tmp_path / "prompts.json").write_text(json.dumps(content))
    options = ["--follower", str(random_follower)]
    assert run(clip, tmp_path / "file", *options, "--prompts", str(tmp_path / "prompts.json")) == 0
    same = ["--mask", str(tmp_path / "mask.png"), "--not-point", "1,13", "--box", "40,32,60,46@2:6"]
    assert run(clip, tmp_path / "said", *options, *same[:2], "--not-point", "1,13:5", *same[4:]) == 0
    assert prompts_of(tmp_path / "file") == prompts_of(tmp_path / "said")
    for path in sorted((tmp_path / "file" / "masks").iterdir()):
        assert path.read_bytes() == (tmp_path / "said" / "masks" / path.name).read_bytes()
    assert read_label_map(tmp_path / "file" / "masks" / "00000.png")[13, 1] != 5


def test_points_without_a_number_are_of_the_only_object(clip: Path, random_follower: Path, tmp_path: Path) -> None:
    write_label_map(tmp_path / "mask.png", square().astype(np.uint8) * 5)
    options = ["--follower", str(random_follower), "--mask", str(tmp_path / "mask.png"), "--point", "20,14"]
    assert run(clip, tmp_path / "out", *options) == 0
    (prompt,) = prompts_of(tmp_path / "out")
    assert prompt["object"] == 5
    assert "corrects" in prompt


def test_what_is_wrong_is_said_before_the_model_loads(
    clip: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unloaded(*_: object, **__: object) -> None:
        raise AssertionError("the model was loaded")

    monkeypatch.setattr("covos.model.load_model", unloaded)
    out = tmp_path / "out"
    both = np.zeros(SIZE, np.uint8)
    both[:10], both[30:] = 1, 2
    write_label_map(tmp_path / "both.png", both)
    write_label_map(tmp_path / "last.png", (both == 1).astype(np.uint8) * 254)
    (tmp_path / "bad.json").write_text('{"points": [{"postive": [[1, 2]]}]}')
    (tmp_path / "lost.json").write_text('{"masks": [{"file": "none.png"}]}')
    for options, code, said in [
        (["--point", "64,20"], 2, "point 64,20 lies outside frame 0"),
        (["--point", "-1,20"], 2, "point -1,20 lies outside frame 0"),
        (["--point", "8,20@99"], 2, "frame 99 does not exist"),
        (["--point", "8,20:0"], 2, "object 0"),
        (["--point", "8,20:255"], 2, "object 255"),
        (["--point", "8,20:255"], 2, "give it a free one of these"),
        (["--point", "8"], 2, "it has 1 number before the frame, not 2"),
        (["--point", "8,20", "--point", "8,20"], 2, "point 8,20 is given twice on frame 0"),
        (["--point", "8,20", "--not-point", "8,20"], 2, "point 8,20 is given twice on frame 0"),
        (["--point", "8,20", "--point", "8,20:2"], 2, "point 8,20 on frame 0 cannot be given for object 2"),
        (["--not-point", "8,20:1"], 2, "object 1 has negative points only on frame 0"),
        (["--not-point", "64,20"], 2, "point 64,20 lies outside frame 0"),
        (["--not-point", "8,20@99"], 2, "frame 99 does not exist"),
        (["--not-point", "8,20", "--not-point", "8,20"], 2, "point 8,20 is given twice on frame 0"),
        (["--exclude-box", "8,20,8,30"], 2, "box 8,20,8,30 on every frame has no area"),
        (["--exclude-box", "8,20,70,30@3"], 2, "box 8,20,70,30 lies outside frame 3"),
        (["--within", "8,20,16,30@8"], 2, "frame 8 does not exist"),
        (["--within", "8,20,16"], 2, "--within '8,20,16' cannot be read"),
        (["--within", "8,20,16,30:2"], 2, "has an object's number"),
        (["--within", "8,20,16,30", "--point", "8,20"], 2, "a region beside masks, points or boxes of objects"),
        (["--within", "8,20,16,30", "--objects", "3"], 2, "--objects 3 beside --within or --exclude-box"),
        (["--within", "8,20,16,30", "--memory", "9"], 2, "--memory 9 changes nothing here"),
        (["--within", "8,20,16,30", "--prompter", "grabcut"], 2, "--prompter grabcut changes nothing here"),
        (["--not-point", "8,20", "--direction", "both"], 2, "--direction both changes nothing here"),
        ([str(clip), "--within", "8,20,16,30@2"], 2, "objects are shown for 2 inputs"),
        (["--not-point", "8,20@2", "--point", "9,20@3"], 2, "object 1 has negative points only on frame 2"),
        (["--mask", str(tmp_path / "both.png"), "--point", "8,20"], 2, "as in 8,20@0:2"),
        (["--mask", str(tmp_path / "last.png"), "--box", "0,30,9,40"], 2, "object 255"),
        (["--box", "8,20,8,30"], 2, "box 8,20,8,30 on frame 0 has no area"),
        (["--box", "8,20,70,30"], 2, "box 8,20,70,30 lies outside frame 0"),
        (["--box", "0,0,9,9:1", "--box", "9,9,20,20:1"], 2, "object 1 has two boxes on frame 0"),
        (["--box", "0,0,9"], 2, "--box '0,0,9' cannot be read"),
        (["--prompts", str(tmp_path / "none.json")], 3, "none.json"),
        (["--prompts", str(tmp_path / "bad.json")], 3, "did you mean positive?"),
        (["--prompts", str(tmp_path / "lost.json")], 3, "there is no file"),
        ([str(clip), "--point", "8,20"], 2, "objects are shown for 2 inputs"),
        (["--memory", "9"], 2, "--memory 9 changes nothing here"),
        (["--follower", "other.safetensors"], 2, "--follower other.safetensors changes nothing here"),
        (["--point", "8,20", "--refine", "crf"], 2, "where objects are followed"),
        (["--point", "8,20", "--references", "9"], 2, "--references 9 changes nothing here"),
        (["--point", "8,20", "--fusion", "group"], 2, "--fusion group changes nothing here"),
        (["--objects", "auto", "--reference-seed", "3"], 2, "--reference-seed 3 changes nothing here"),
    ]:
        assert run(clip, out, *options) == code, options
        assert said in capsys.readouterr().err, options
    assert not out.exists()


numbers = st.floats(0, 9999, allow_nan=False).map(lambda value: round(value, 2))


@given(
    x=numbers,
    y=numbers,
    frame=st.none() | st.integers(0, 10**6),
    identity=st.none() | st.integers(0, 999),
    positive=st.booleans(),
)
def test_points_are_read_as_they_are_written(
    x: float, y: float, frame: int | None, identity: int | None, positive: bool
) -> None:
    text = f"{x:.2f},{y:.2f}" + ("" if frame is None else f"@{frame}") + ("" if identity is None else f":{identity}")
    expected = PointPrompt(frame=frame, object=identity, points=(Point(x=x, y=y, positive=positive),))
    assert point(text, positive=positive) == expected


def test_boxes_are_read_as_they_are_written() -> None:
    expected = Box(x0=1, y0=2.5, x1=30, y1=40)
    assert box("1,2.5,30,40") == PointPrompt(box=expected)
    assert box("1,2.5,30,40@12:3") == PointPrompt(frame=12, object=3, box=expected)


@given(text=st.text(alphabet="0123456789,.:@-+ xe\n", max_size=16))
def test_anything_else_is_refused_in_one_way(text: str) -> None:
    for read, form in ((point, "X,Y"), (box, "X0,Y0,X1,Y1")):
        try:
            found = read(text)
        except UsageError as refused:
            said = refused
        else:
            assert found.points or found.box
            continue
        assert said.fix == f"write {form}, {form}@FRAME or {form}@FRAME:OBJECT"
        assert repr(text) in said.what
