"""The package's models, loaded once for all tests of a process: jobs change nothing in a model."""

from __future__ import annotations

import os
from typing import Any

from covos import model
from covos.core.limits import limits
from covos.models.registry import find_model, list_models
from covos.runtimes.choice import choose_computing

USERS = ("covos.api", "covos.correction", "covos.job")
"""Modules whose ``load_model`` is this one in tests."""

_kept: dict[tuple[object, ...], model.Model] = {}


def load_model(name: str | os.PathLike[str] = model.DEFAULT_MODEL, **how: Any) -> model.Model:
    """Load a model as `covos.load_model` does, with the same errors; one that was loaded before is given again.

    Files of weights that a test has made are always read.
    """
    if os.fspath(name) not in {each.name for each in list_models()}:
        return model.load_model(name, **how)
    made_for = find_model(name), choose_computing(**how), limits(), model.DEFAULT_AREA
    key = (made_for[0].path, *made_for[1:], how.get("runtime"))
    if key not in _kept:
        _kept[key] = model.load_model(name, **how)
    return _kept[key].fresh()
