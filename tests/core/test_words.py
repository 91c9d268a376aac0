"""Words by the door: the command line, Python and the page each read their own."""

from __future__ import annotations

import json
import pickle

import pytest

from covos.core.errors import CovosError, UsageError, explained, reworded
from covos.core.words import OVERWRITE, Words
from covos.runs.schema import ProblemRecord
from covos.serve.guard import problem_of
from covos.serve.schema import Problem

LIMIT = Words("--limit frames=5", python="covos.set_limits(frames=5)", page="start the server with a higher limit")


def refused() -> CovosError:
    return UsageError("it is too long", why="it has 5 frames", fix="cut it; or " + LIMIT)


def test_texts_and_words_join() -> None:
    both = "cut it, or " + LIMIT + ", or " + OVERWRITE
    assert both.command == "cut it, or --limit frames=5, or -y"
    assert both.python == "cut it, or covos.set_limits(frames=5), or overwrite=True"
    assert both.page == "cut it, or start the server with a higher limit, or overwrite=True"


def test_python_shows_its_own() -> None:
    error = refused()
    assert error.fix == "cut it; or covos.set_limits(frames=5)"
    assert str(error).endswith("\n  fix: cut it; or covos.set_limits(frames=5)")
    assert "--limit" not in repr(error)


def test_each_door_shows_its_own() -> None:
    assert json.loads(bytes(problem_of(refused()).body))["fix"] == "cut it; or start the server with a higher limit"
    assert Problem.of(refused()).fix == "cut it; or start the server with a higher limit"
    assert ProblemRecord.of(refused()).fix == "cut it; or --limit frames=5"


def test_they_reach_the_process_that_asked() -> None:
    assert pickle.loads(pickle.dumps(refused())).remedy == refused().remedy


def test_a_change_is_of_every_text() -> None:
    changed = reworded(refused(), lambda text: text.replace("frames", "images"))
    assert type(changed) is UsageError
    assert changed.why == "it has 5 images"
    assert changed.remedy.command == "cut it; or --limit images=5"
    assert changed.fix == "cut it; or covos.set_limits(images=5)"


@pytest.mark.parametrize("error", [MemoryError(), ZeroDivisionError("x"), PermissionError(13, "denied")])
def test_only_the_command_line_has_debug(error: Exception) -> None:
    remedy = explained(error).remedy
    assert "--debug" in remedy.command
    assert "--" not in remedy.python + remedy.page
