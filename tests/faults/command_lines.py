"""Command lines drawn from the program's own list of options, with values that get past them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import typer
from hypothesis import strategies as st
from PIL import Image

from covos import cli
from covos.formats.table import FORMATS
from covos.masks import write_label_map
from faults.media_mutants import INPUTS

HEIGHT, WIDTH, FRAMES = 24, 32, 3
VERBS = ("segment", "convert", "evaluate", "doctor")
Strategy = st.SearchStrategy[str]

_PLACES = st.one_of(
    st.integers(0, WIDTH - 1).map(str), st.sampled_from(["-1", "7.5", "31", "32", "1e9", "nan", "x", ""])
)
_FRAME = st.sampled_from(["", "", "", "@0", "@2", "@3", "@-1", "@x", "@99999999999"])
_OBJECT = st.sampled_from(["", "", "", ":1", ":2", ":0", ":255", ":256", ":x"])
_POINT = st.builds(lambda x, y, frame, which: f"{x},{y}{frame}{which}", _PLACES, _PLACES, _FRAME, _OBJECT)
_CORNER = st.integers(0, HEIGHT)
_BOX = st.builds(lambda *each: ",".join(map(str, each[:4])) + each[4] + each[5], *[_CORNER] * 4, _FRAME, _OBJECT)
_FORMAT = st.one_of(
    st.sampled_from(FORMATS),
    st.sampled_from(["background=blur,wrap=1%", "background=blur:x", "blur=0", "blur=2%,wrap=1%"]),
    st.sampled_from(
        [
            "matte=16",
            "matte=9",
            "sheet=2",
            "sheet=0",
            "preview=gif",
            "background=#102030",
            "background=blur,wrap=1%",
            "blur=0",
            "nothing",
            "",
        ]
    ),
)
_NUMBER = st.sampled_from(["0", "1", "2", "3", "5", "-1", "64", "65", "10000000000000", "x", "0.5"])
_RATE = st.sampled_from(["25", "30000/1001", "0", "-1", "1/0", "1e999", "x"])
_TEXT = st.one_of(st.sampled_from(["auto", "cpu", "covos-lite", "1", "3", "none", ""]), st.text(max_size=5))


def make_inputs(folder: Path) -> list[str]:
    """Write small inputs of every kind, good and bad; return their paths."""
    folder.mkdir()
    INPUTS.make_clip(INPUTS.Kind(suffix="mkv", codec="ffv1", size=(HEIGHT, WIDTH)), folder, count=FRAMES)
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    labels[4:12, 6:16] = 1
    (folder / "frames").mkdir()
    (folder / "tree").mkdir()
    for index in range(FRAMES):
        Image.fromarray(INPUTS.picture(index, (HEIGHT, WIDTH))).save(folder / "frames" / f"{index:05d}.png")
        write_label_map(folder / "tree" / f"{index:05d}.png", labels)
    write_label_map(folder / "mask.png", labels)
    write_label_map(folder / "turned.png", labels.T.copy())
    prompts = {"points": [{"x": 8, "y": 8}], "boxes": [{"x0": 2, "y0": 2, "x1": 12, "y1": 12}]}
    (folder / "prompts.json").write_text(json.dumps(prompts))
    (folder / "bad.json").write_text('{"points": [1, {}, null]}')
    (folder / "text.mp4").write_text("no video")
    (folder / "empty.png").touch()
    return [*map(str, sorted(folder.iterdir())), str(folder / "missing.mkv")]


def command_lines(inputs: list[str], out: Callable[[], Path]) -> st.SearchStrategy[list[str]]:
    """Draw command lines of the verbs; ``out`` gives a folder that no other one has."""
    verbs = typer.main.get_command(cli.app).commands  # type: ignore[attr-defined]
    return st.sampled_from(VERBS).flatmap(lambda verb: _of_verb(verb, verbs[verb].params, inputs, out))


@st.composite
def _of_verb(
    draw: st.DrawFn, verb: str, parameters: list[Any], inputs: list[str], out: Callable[[], Path]
) -> list[str]:
    line = [verb]
    for parameter in parameters:
        if parameter.name == "help":
            continue
        if parameter.param_type_name == "argument":
            good = [path for path in inputs if path.endswith(("clip.mkv", "frames", "tree"))]
            line.append(draw(st.sampled_from(good) | st.sampled_from(inputs)))
        elif parameter.name == "output":
            line += ["-o", str(out())]
        elif draw(st.integers(0, 5)) == 0 or parameter.required:
            line += _option(draw, parameter, inputs, out)
    return line


def _option(draw: st.DrawFn, parameter: Any, inputs: list[str], out: Callable[[], Path]) -> list[str]:
    name = draw(st.sampled_from([*parameter.opts, *parameter.secondary_opts]))
    if parameter.is_flag:
        return [name]
    count = draw(st.integers(1, 2)) if parameter.multiple else 1
    value = _value(parameter, inputs, out)
    return [part for _ in range(count) for part in (name, draw(value))]


def _value(parameter: Any, inputs: list[str], out: Callable[[], Path]) -> Strategy:
    if (known := _BY_NAME.get(parameter.name)) is not None:
        return known
    if parameter.name == "mask":
        return st.builds(lambda path, frame, which: f"{path}{frame}{which}", st.sampled_from(inputs), _FRAME, _OBJECT)
    kinds = [kind for kind in _kinds(parameter.type_descriptor.annotation) if kind is not type(None)]
    if any(isinstance(kind, str) for kind in kinds):
        return st.sampled_from([*map(str, kinds), "none of them"])
    if kinds and kinds[0] in {int, float}:
        return _NUMBER
    if kinds and kinds[0] is Path:
        return st.sampled_from(inputs) | st.builds(lambda: str(out()))
    return _TEXT


def _kinds(annotation: Any) -> list[Any]:
    """Return the types that an option's values have, or the words, if it is a choice."""
    inner = get_args(annotation)
    return [kind for each in inner for kind in _kinds(each)] if inner else [annotation]


_BY_NAME: dict[str, Strategy] = {
    "formats": _FORMAT,
    "point": _POINT,
    "not_point": _POINT,
    "box": _BOX,
    "within": _BOX,
    "exclude_box": _BOX,
    "frame_rate": _RATE,
    "device": st.sampled_from(["auto", "cpu", "cuda", "cuda:7", "tpu", ""]),
    "model": st.sampled_from(["covos-lite", "covos-lite", "none such", "covos-follow"]),
    "follower": st.sampled_from(["covos-follow", "covos-lite", "none such"]),
    "prompter": st.sampled_from(["auto", "grabcut", "covos-prompt", "none such"]),
    "objects": st.sampled_from(["1", "auto", "2", "0", "-3", "many"]),
}
