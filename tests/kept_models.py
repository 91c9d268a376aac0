"""The package's models, loaded once for all tests of a process: nothing that uses a model changes it."""

from __future__ import annotations

import functools
import os
from typing import Any

from torch import nn

import covos.model
import covos.training.api
from covos.core.limits import limits
from covos.model import DEFAULT_MODEL, Model
from covos.models.registry import find_model, list_models
from covos.runtimes.choice import choose_computing
from remembered import KEPT

USERS = (covos.model, covos.training.api)
"""Modules whose ``load_model`` is this one in tests. All others ask `covos.model` for it when they need it."""

_load = covos.model.load_model
_kept: dict[tuple[object, ...], Model] = {}


@functools.wraps(_load)
def load_model(name: str | os.PathLike[str] = DEFAULT_MODEL, **how: Any) -> Model:
    """Load a model as `covos.load_model` does, with the same errors; one that was loaded before is given again.

    Files of weights that a test has made are always read, and what is no name or setting is refused.
    """
    if not isinstance(name, str | os.PathLike) or not {type(each) for each in how.values()} <= {str, type(None)}:
        return _load(name, **how)
    if os.fspath(name) not in {each.name for each in list_models()}:
        return _load(name, **how)
    key = (find_model(name).path, choose_computing(**how), limits(), covos.model.DEFAULT_AREA, how.get("runtime"))
    if key not in _kept:
        _kept[key] = _load(name, **how)
        if isinstance(_kept[key].network, nn.Module):
            KEPT.add(_kept[key].network)
    return _kept[key].fresh()
