"""The model of a call or a plan: as it is given, or loaded by its name."""

from __future__ import annotations

import os

import covos  # its types bring torch, once somebody asks for them (`typing.get_type_hints`)
from covos.core.device import Precision
from covos.engines.choices import AUTO
from covos.plan import Plan
from covos.runtimes.choice import ChosenRuntime
from covos.task import check_model


def loaded(
    model: str | os.PathLike[str] | covos.Model,
    *,
    device: str = AUTO,
    precision: Precision = AUTO,
    runtime: ChosenRuntime = AUTO,
) -> covos.Model:
    """Return a model as it is given, or load the one that a name or a file stands for.

    Args:
        model: The model, a name, or a weights file.
        device: As for `covos.load_model`, like ``precision`` and ``runtime``: for one that is loaded here.
        precision: See ``device``.
        runtime: See ``device``.

    Raises:
        UsageError: It is nothing of these.
        CovosError: It cannot be loaded.
    """
    if not isinstance(model, (str, os.PathLike)):
        check_model(model)
        return model
    from covos.model import load_model  # brings torch, which refusing does not need

    return load_model(model, device=device, precision=precision, runtime=runtime)


def load_planned(plan: Plan) -> covos.Model:
    """Load the model of a plan."""
    return loaded(plan.model, device=plan.device, precision=plan.precision, runtime=plan.runtime)
