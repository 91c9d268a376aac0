"""Go on with an unfinished run in the way in which it is computed, where the user leaves that choice to covos.

Another machine, or a runtime that was installed meanwhile, may make ``auto`` choose otherwise, and the masks of one run
are computed in one way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from covos.core.errors import CovosError
from covos.engines.choices import AUTO
from covos.runs.state import RunState
from covos.runs.terms import PRECISIONS

if TYPE_CHECKING:
    from covos.runs.folder import OutputFolder
    from covos.runtimes.choice import Computing


@dataclass(frozen=True, slots=True, kw_only=True)
class Continued:
    """The way in which an unfinished run goes on.

    Attributes:
        fields: Names of its device, precision and runtime, as a plan takes them.
        computing: What these stand for on this machine.
        note: Says it in words, beside what this machine would choose; empty if that is the same.
    """

    fields: dict[str, str]
    computing: Computing
    note: str


def continued(folder: OutputFolder | None, **asked: str) -> Continued | None:
    """Return how the run in a folder goes on; None if that is not to be chosen here.

    This is so if the folder holds no unfinished run, or if this machine cannot compute as the run did. Its terms are
    then refused, in words that name the difference.

    Args:
        folder: Of the results, if there is one.
        **asked: ``device``, ``precision`` and ``runtime``, as of `covos.runtimes.choice.choose_computing`; what is not
            ``"auto"`` stays.
    """
    began = None if folder is None else RunState(folder).begun_settings
    if began is None or AUTO not in asked.values():
        return None
    known = {
        "device": began.get("device", AUTO),
        "precision": PRECISIONS.get(str(began.get("precision")), AUTO),
        "runtime": began.get("runtime", "torch"),
    }
    fields = {name: known[name] if value == AUTO else value for name, value in asked.items()}
    from covos.runtimes.choice import choose_computing  # loads torch, which a folder without a run does not need

    try:
        usual = choose_computing(**asked)  # type: ignore[arg-type]
        computing = choose_computing(**fields)  # type: ignore[arg-type]
    except CovosError:
        return None
    note = f"the run goes on as it was begun, {_in_words(computing)}; this machine would choose {_in_words(usual)}"
    return Continued(fields=fields, computing=computing, note="" if computing == usual else note)


def _in_words(computing: Computing) -> str:
    precision = str(computing.precision).removeprefix("torch.")
    return f"{precision} by {computing.runtime} on {computing.device}"
