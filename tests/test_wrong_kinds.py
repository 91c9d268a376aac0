"""An argument of a kind that a public function does not take is refused in words, before anything is computed."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import covos
from covos.core.arguments import checked
from covos.core.errors import UsageError

GIVEN: dict[str, dict[str, Any]] = {
    "batch": {"inputs": ["clip.mp4"], "output": "out"},
    "convert": {"path": "masks", "formats": ["coco"], "output": "out"},
    "correct": {"run": "masks", "output": "out", "prompts": "prompts.json"},
    "evaluate": {"predictions": "masks", "truth": "masks", "protocol": "davis2017-semi"},
    "live": {},
    "load_model": {},
    "load_result": {"path": "masks"},
    "reproduce_davis2016": {"root": "davis", "output": Path("out"), "model": "covos-lite"},
    "segment": {"source": "clip.mp4"},
    "solve_trimap": {"image": np.zeros((4, 4, 3), np.uint8), "trimap": np.zeros((4, 4), np.float32)},
    "stream": {"source": "clip.mp4"},
    "train": {"recipe": "lite", "data": "masks", "output": "out"},
}
"""Arguments of each function that takes any, which are of the right kinds."""
OTHERWISE = {"convert": {"label"}, "reproduce_davis2016": {"model"}}
"""Arguments that are refused once the files are read; and a model, which only `load_model` makes."""


def arguments(name: str) -> Iterator[str]:
    """Yield the arguments of a function, but for switches: there, whatever is true will do."""
    for each in inspect.signature(getattr(covos, name)).parameters.values():
        kept = each.kind is not each.VAR_KEYWORD and each.annotation != "bool"
        if kept and each.name not in OTHERWISE.get(name, ()):
            yield each.name


@pytest.mark.parametrize("name", GIVEN)
def test_an_argument_of_no_kind_that_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    tried = [*arguments(name)]
    assert tried
    for argument in tried:
        with pytest.raises(UsageError) as caught:
            getattr(covos, name)(**{**GIVEN[name], argument: object()})
        assert "object" in str(caught.value), f"it says what {argument} is not"
        assert not any(tmp_path.iterdir())


def test_every_function_is_tried() -> None:
    every = {name for name in covos.__all__ if inspect.isfunction(getattr(covos, name))}
    assert every - GIVEN.keys() == {"limits", "recipes", "set_limits"}


@pytest.mark.parametrize("objects", [(1, 2), None, "two", 1.5, 0])
def test_what_is_no_number_of_objects(objects: Any) -> None:
    with pytest.raises(UsageError, match=r"neither auto nor a whole number|not from 1 to 20"):
        covos.segment("clip.mp4", objects=objects)


@pytest.mark.parametrize("prompts", [1.5, (1, 2), b"prompts.json", {"a": 1}])
def test_what_is_no_prompt_file(prompts: Any) -> None:
    with pytest.raises(UsageError, match=r"the prompt file: .* is no path"):
        covos.segment("clip.mp4", prompts=prompts)


@pytest.mark.parametrize("prompts", [1.5, [1.5], [(1, 2)], [None]])
def test_what_corrects_nothing(prompts: Any) -> None:
    with pytest.raises(UsageError, match="corrects nothing"):
        covos.correct("masks", "out", prompts=prompts)


@pytest.mark.parametrize("inputs", [1.5, None, (1, 2), b"clip.mp4"])
def test_what_are_no_inputs_of_a_batch(tmp_path: Path, inputs: Any) -> None:
    with pytest.raises(UsageError):
        covos.batch(inputs, tmp_path / "out")
    assert not any(tmp_path.iterdir())


Call = Callable[[], None]


@checked("own")
def taken(
    path: str | Path, *, often: int = 1, names: tuple[str, ...] = (), own: int = 0, call: Call | None = None
) -> str:
    return f"{path} {often} {names} {own} {call}"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"path": 5}, ["path = 5", "it is of the type int", "give a text, or a path"]),
        ({"path": "x", "often": "2"}, ["often = '2'", "it is of the type str", "give a number"]),
        ({"path": "x", "call": 5}, ["call = 5", "it is of the type int", "give a function, or None"]),
    ],
)
def test_what_is_said(given: dict[str, Any], said: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        taken(**given)
    assert [caught.value.what, caught.value.why, caught.value.fix] == [f"covos.taken: {said[0]}", *said[1:]]


def test_the_rest_is_left_to_the_function() -> None:
    assert taken("x", often=np.int64(2), names=5, own="y") == "x 2 5 y None"  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="unexpected keyword argument 'offen'"):
        taken("x", offen=2)  # type: ignore[call-arg]
