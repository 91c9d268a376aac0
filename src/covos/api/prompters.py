"""Who answers when a user points."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from covos.api.model import Model
from covos.core.errors import CheckpointError, EnvironmentProblem, UsageError
from covos.engines.grabcut import GrabCutPrompter
from covos.engines.prompt import NetworkPrompter, Prompter, RelayPrompter
from covos.models.registry import DEFAULT_PROMPTER, build_prompter, find_prompter, list_models

AUTO = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenPrompter:
    """A prompter, and what a report says of it.

    Attributes:
        prompter: Makes the masks.
        described: Its name; the hash of its weights, if it has any; and, where it answers in place of another, of
            which and why.
    """

    prompter: Prompter
    described: Mapping[str, str]


def choose_prompter(name: str | Path, *, model: Model) -> ChosenPrompter:
    """Find and load a prompter.

    Args:
        name: ``"grabcut"``; a covos-prompt, by its name or a ``.safetensors`` file; or ``"auto"``: both in turn (see
            `covos.engines.prompt`), and GrabCut alone if the weights of covos-prompt are not there or belong to
            another model.
        model: A covos-lite, whose features it works on.

    Raises:
        UsageError: It is another kind of network, or unknown.
        CheckpointError: It was trained on the features of another model, or its file is damaged.
        EnvironmentProblem: Its weights are not there.
    """
    grabcut = GrabCutPrompter(model.engine.encoder)
    wanted = DEFAULT_PROMPTER if str(name) == AUTO else name
    if str(wanted) == grabcut.name:
        return ChosenPrompter(prompter=grabcut, described={"name": grabcut.name})
    if str(wanted) not in {DEFAULT_PROMPTER, *(entry.name for entry in list_models())} and not Path(wanted).is_file():
        raise UsageError(
            f"unknown prompter {str(wanted)!r}",
            why="neither one of covos nor a file",
            fix=f"use one of: {AUTO}, {grabcut.name}, {DEFAULT_PROMPTER}; or the path of a .safetensors file",
        )
    try:
        entry = find_prompter(wanted, encoder=model.entry)
    except (CheckpointError, EnvironmentProblem) as missing:
        if str(name) != AUTO:
            raise
        why = {"name": grabcut.name, "instead_of": str(wanted), "why": f"{missing.what}: {missing.why}"}
        return ChosenPrompter(prompter=grabcut, described=why)
    network = build_prompter(entry, encoder=model.entry).to(model.device)
    prompter: Prompter = NetworkPrompter(model.engine.encoder, network)
    if str(name) == AUTO:
        prompter = RelayPrompter(grabcut, prompter)
    return ChosenPrompter(prompter=prompter, described={"name": prompter.name, "sha256": entry.card.sha256})
