"""The state of a training: weights, their average and the optimiser, from the start or a checkpoint.

The batch of a step is a function of the seed, the step and the process, and nothing else in the loop draws random
numbers after the start. So weights, average, optimiser and step are all that a checkpoint must hold.
"""

from __future__ import annotations

import copy
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from covos.core.errors import CheckpointError, UsageError
from covos.core.files import atomic_path
from covos.core.guarded import open_guarded, parse_json
from covos.core.words import Words
from covos.models.cards import read_card, sha256_of, stored_network
from covos.models.checkpoints import load_weights, settings_of
from covos.models.registry import settings_of_file
from covos.training.divergence import infinite_buffers
from covos.training.recipe import Recipe
from covos.training.skipping import SkipCount
from covos.training.task import Task

Network = TypeVar("Network", bound=nn.Module)


@dataclass(slots=True)
class TrainingState:
    """Everything that changes while a training goes.

    Attributes:
        average: Moving average of the network.
        step: Number of steps done.
        best_j: Highest validation J so far.
        due: True if the measurement after this step is still to be made.
        epoch_losses: Sum of the total loss over the steps of the epoch so far, and their number.
        started_from: Hash and recipe of the weights that were fine-tuned; None for a fresh start.
        start: J and F of those weights; None if they were not measured.
        best_f: F of the weights with the highest J.
        best_step: The step that they are of.
        extended: Numbers of steps that the run was to end at before it was made longer, each time.
        processes: Number of processes that share each step.
        skips: Files that could not be read, and the number of draws.
        infinite: Names of the buffers that held infinities before the training, on purpose.
    """

    network: nn.Module
    average: nn.Module
    optimizer: torch.optim.Optimizer
    step: int = 0
    best_j: float = -1.0
    due: bool = False
    epoch_losses: tuple[float, int] = (0.0, 0)
    started_from: dict[str, Any] | None = None
    start: tuple[float, float] | None = None
    best_f: float = 0.0
    best_step: int = 0
    extended: tuple[int, ...] = ()
    processes: int = 1
    skips: SkipCount = field(default_factory=SkipCount)
    infinite: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        self.infinite = infinite_buffers(self.network)


_PLAIN = (
    "step", "best_j", "due", "epoch_losses", "started_from", "start", "best_f", "best_step", "extended"
)  # fmt: skip
_LENGTHS = ("steps", "epochs")
"""Fields of a recipe that say how long a run is."""


def start_training(
    task: Task[Any],
    *,
    folder: Path,
    device: torch.device,
    weights: Path | None,
    extend: bool = False,
    processes: int = 1,
) -> tuple[TrainingState, str]:
    """Return the state that a run begins with or goes on from, and in words where its weights come from.

    With ``extend``, the recipe may make the run longer than its checkpoint says. So many ``processes`` share each step,
    which need not be those of the checkpoint: the words say so.
    """
    torch.manual_seed(task.recipe.seed)
    checkpoint = folder / "checkpoint.pt"
    content = _read_checkpoint(checkpoint, recipe=task.recipe, extend=extend) if checkpoint.exists() else None
    if extend and content is None:
        raise UsageError(
            f"{folder} holds no run to extend",
            why=f"there is no {checkpoint.name} in it",
            fix="check the folder; a new run is begun without " + Words("--extend", python="extend=True"),
        )
    origin = None if weights is None else origin_of(weights, task)
    if content is not None:
        # Not of the weights: a run goes on as it is, and an older checkpoint does not say.
        network = task.make_network(content.get("settings"))
        start = f"the checkpoint in {folder}{_other_share(content.get('processes'), now=processes)}"
    elif weights is not None:
        network = task.make_network(settings_of_file(weights))
        load_weights(weights, network)
        start = str(weights)
    else:
        network = task.make_network()
        task.fill(network)
        start = task.fresh_start
    network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = task.make_optimizer(network)
    state = TrainingState(network, make_average(network), optimizer, started_from=origin, processes=processes)
    if content is not None:
        _restore(content, state)
        if weights is not None and (state.started_from or {}).get("sha256") not in _hashes(weights):
            raise CheckpointError(
                f"the run in {folder} was not started from {weights}",
                why="it goes on with the weights of its checkpoint, whatever else is given",
                fix="leave the weights out to continue it, or start anew in another folder",
            )
    return state, start


def _other_share(before: int | None, *, now: int) -> str:
    """Say that another number of processes goes on; an older checkpoint does not say how many there were."""
    if before is None or before == now:
        return ""
    of = f"{before} process{'es' * (before > 1)}"
    return f", of {of}: {now} share{'s' * (now == 1)} each step from here on, which is as large as before"


def origin_of(weights: Path, task: Task[Any]) -> dict[str, Any]:
    """Return what is known of the weights that a run is started from; refuse those of another network."""
    card, stored = read_card(weights), stored_network(weights)
    for says in (card, stored):
        if says is not None and says.architecture != task.architecture:
            own = task.recipe.start
            raise CheckpointError(
                f"{weights} is for the network {says.architecture}",
                why=f"the recipe trains {task.architecture}" + (f", and its own start is {own}" if own else ""),
                fix="choose weights of that network, or a recipe for these"
                + ("; or begin without any: " + Words("--set start=", python='start=""') if own else ""),
            )
    return {"sha256": sha256_of(weights), "recipe": {} if card is None else card.recipe}


def _hashes(weights: Path) -> frozenset[str]:
    card = read_card(weights)
    return frozenset({sha256_of(weights)}) | (frozenset() if card is None else card.hashes)


def make_average(network: Network) -> Network:
    """Return a copy that holds the moving average (Polyak & Juditsky, 1992): in evaluation mode, no gradients."""
    return copy.deepcopy(network).eval().requires_grad_(False)


@torch.no_grad()
def update_average(
    average: nn.Module, network: nn.Module, *, decay: float, step: int, infinite: frozenset[str] = frozenset()
) -> None:
    """Move the average towards the network, buffers (batch-norm statistics) too.

    The buffers ``infinite`` are copied: an infinity less itself is no number.

    At the start the decay is (1 + step) / (10 + step) if that is less: so the first weights are forgotten.
    """
    rate = 1 - min(decay, (1 + step) / (10 + step))
    moving, towards = [], []
    for (name, kept), new in zip(average.state_dict().items(), network.state_dict().values(), strict=True):
        if kept.dtype.is_floating_point and name not in infinite:
            moving.append(kept)
            towards.append(new)
        else:
            kept.copy_(new)
    # One kernel for all, as `torch.optim.swa_utils` does it: hundreds of small ones take a GPU longer than the step.
    torch._foreach_lerp_(moving, towards, rate)


def save_checkpoint(path: Path, state: TrainingState, *, recipe: Recipe) -> None:
    """Write a checkpoint in place of the one before, whole or not at all."""
    content = {
        "network": state.network.state_dict(),
        "average": state.average.state_dict(),
        "optimizer": state.optimizer.state_dict(),
        "recipe": json.dumps(recipe.model_dump(mode="json")),
        "skips": asdict(state.skips),
        "settings": settings_of(state.network),
        "processes": state.processes,
        **{name: getattr(state, name) for name in _PLAIN},
    }
    with atomic_path(path) as temporary:
        torch.save(content, temporary)


def _read_checkpoint(path: Path, *, recipe: Recipe, extend: bool) -> dict[str, Any]:
    """Read a checkpoint, and refuse that of another recipe; with ``extend``, one that only ends earlier will do.

    In what is returned, ``extended`` then has the end that the run had so far, too.
    """
    what, fix = f"{path} cannot be read", Words.of("start anew in another folder")
    try:
        with open_guarded(path, what=what, fix=fix, error=CheckpointError, limit="weights") as file:
            content: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
        kept = parse_json(content["recipe"])
    except CheckpointError:
        raise
    except Exception as error:
        raise CheckpointError(what, why=(str(error).splitlines() or [type(error).__name__])[0], fix=fix) from error
    current = recipe.model_dump(mode="json")
    # A field that is newer than the checkpoint had its default's effect.
    defaults = {name: each.default for name, each in type(recipe).model_fields.items() if not each.is_required()}
    # An older run divided its data by its only seed, and its start is not asked for again.
    before = defaults | {"split_seed": kept.get("seed"), "start": current["start"]} | kept
    changed = sorted(name for name in current if before.get(name) != current[name])
    lengths = [name for name in changed if name in _LENGTHS]
    shorter = [name for name in lengths if 0 < current[name] < before[name]]
    extended = extend and lengths == changed and not shorter
    if changed and not extended:
        what, fix = f"{path} was made with another recipe", Words.of("use that recipe")
        if lengths == changed:
            what = f"{path.parent} holds a run of another length"
            fix = "add " + Words("--extend", python="extend=True") + " to make it longer"
            if shorter:
                fix = Words.of(f"ask for {before[shorter[0]]} {shorter[0]} or more")
        fix += ", or give a new run another folder"
        raise CheckpointError(
            what,
            why="; ".join(f"{name}: {before.get(name)} there, {current[name]} here" for name in changed),
            fix=fix,
        )
    if changed:
        content["extended"] = (*content.get("extended", ()), int(before.get("steps") or content["step"]))
    return content


def _restore(content: dict[str, Any], state: TrainingState) -> None:
    names = [group.get("name") for group in state.optimizer.param_groups]
    state.network.load_state_dict(content["network"])
    state.average.load_state_dict(content["average"])
    state.optimizer.load_state_dict(content["optimizer"])
    # Older checkpoints lack some.
    for name in _PLAIN:
        setattr(state, name, content.get(name, getattr(state, name)))
    state.skips = SkipCount(**content.get("skips", {}))
    for group, label in zip(state.optimizer.param_groups, names, strict=True):
        group.setdefault("name", label)
