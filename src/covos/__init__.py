"""covos: cut the moving subject out of a video; train, run and score co-attention segmentation models.

    >>> import covos
    >>> result = covos.segment("clip.mp4")
    >>> result.save("out")

Importing this package loads nothing heavy: the functions below bring torch with them when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from covos._version import __version__
from covos.core.errors import (
    AnnotationError,
    CheckpointError,
    CovosError,
    EnvironmentProblem,
    IncompleteError,
    InputError,
    SourceError,
    UsageError,
)

if TYPE_CHECKING:
    from covos.api import Segmentation, load_model, load_result, segment, stream
    from covos.evaluation import evaluate

__all__ = [
    "AnnotationError",
    "CheckpointError",
    "CovosError",
    "EnvironmentProblem",
    "IncompleteError",
    "InputError",
    "Segmentation",
    "SourceError",
    "UsageError",
    "__version__",
    "evaluate",
    "load_model",
    "load_result",
    "segment",
    "stream",
]

_HOMES = {
    "Segmentation": "covos.api",
    "evaluate": "covos.evaluation",
    "load_model": "covos.api",
    "load_result": "covos.api",
    "segment": "covos.api",
    "stream": "covos.api",
}


def __getattr__(name: str) -> object:
    """Import a public name where it lives, on first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
