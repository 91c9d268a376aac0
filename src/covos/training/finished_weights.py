"""Measure weights that are finished, as the training of a recipe measures: by its scores and losses, on its videos."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from pydantic import ValidationError
from torch import nn

from covos.core.device import resolve_device
from covos.core.errors import InputError, UsageError
from covos.core.records import faults
from covos.core.words import Words
from covos.data import Dataset, open_collection
from covos.models.cards import Card
from covos.models.checkpoints import load_weights
from covos.models.registry import ModelEntry, find_model, settings_of_file
from covos.training.arguments import precision_of, sources_of
from covos.training.gather import Data, gather
from covos.training.measuring import VALIDATION_STRIDE, measure_all, named
from covos.training.pools import LEAST
from covos.training.recipe import Recipe
from covos.training.registry import kind_of, load_recipe, make_task, recipes
from covos.training.state import origin_of
from covos.training.task import Task
from covos.training.validate import Measurement, SetScores


def measure(
    weights: str | os.PathLike[str],
    data: Data | Iterable[Data],
    *,
    recipe: str | os.PathLike[str] | Recipe | None = None,
    subset: str | None = None,
    every: int = VALIDATION_STRIDE,
    device: str = "auto",
    precision: str = "auto",
    on_set: Callable[[str, SetScores], None] = lambda name, scores: None,
    **settings: Any,
) -> Measurement:
    """Measure finished weights as a training does, which is quicker than to segment and score all frames.

        >>> found = covos.training.measure("runs/mine/best.safetensors", "MY_FOLDER")
        >>> found.j, found.sets["MY_FOLDER"].videos.sequences

    Each frame is found by itself, in one view, so the scores are those of the training's curves, and lower than those
    that `covos.evaluate` gives of what users get.

    Args:
        weights: A name, or a ``.safetensors`` file with its card.
        data: The folder of a data set or of several, of which the part is measured on that the recipe holds back; a
            data set that is open, which is measured on whole; or several of these.
        recipe: As for `covos.train`; None takes the one that the card of the weights has.
        subset: Measure on this list of each folder instead, such as ``"val"``; see `covos.data.open_collection`.
        every: Frames from one that is scored to the next.
        device: See `covos.train`, as for ``precision``.
        precision: See ``device``.
        on_set: Called with the name and the scores of each data set, once it is measured.
        **settings: Fields of the recipe to replace, such as ``ratio=0.8`` or ``split_seed=3``.

    Raises:
        UsageError: A name or value is wrong, or there is no recipe; or the kind of network is not measured on videos.
        InputError: There is nothing to measure on, or a folder has no list of that name.
        CheckpointError: The weights are of another network than the recipe's, or damaged.
        EnvironmentProblem: The device is not there.
    """
    entry = find_model(os.fspath(weights))
    chosen = recipe_of(entry.card) if recipe is None else recipe
    return FinishedWeights.prepare(
        entry, sources_of(data), recipe=load_recipe(chosen, settings=settings), subset=subset, device=device,
        precision=precision,
    ).measure(every=every, on_set=on_set)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedWeights:
    """Weights that are about to be measured: their network, the data, and the machine.

    Attributes:
        entry: The weights, with their card.
        recipe: Says what is measured, and how.
        datasets: What is measured on, by name.
    """

    entry: ModelEntry
    recipe: Recipe
    datasets: Mapping[str, Dataset]
    device: torch.device
    precision: torch.dtype
    task: Task[Any]
    network: nn.Module

    @classmethod
    def prepare(
        cls,
        entry: ModelEntry,
        sources: Iterable[Data],
        *,
        recipe: Recipe,
        subset: str | None,
        device: str,
        precision: str,
    ) -> FinishedWeights:
        """Find the data, and load the weights; the arguments and errors are those of `measure`."""
        target = resolve_device(device)
        dtype = precision_of(target, precision)
        sets = held_back(sources, recipe=recipe, subset=subset)
        task = make_task(recipe, tuple(sets.values()))
        origin_of(entry.path, task)
        network = task.make_network(settings_of_file(entry.path))
        load_weights(entry.path, network)
        network = network.to(target, memory_format=torch.channels_last)  # type: ignore[call-overload]
        return cls(
            entry=entry, recipe=recipe, datasets=sets, device=target, precision=dtype, task=task, network=network.eval()
        )

    @property
    def known(self) -> dict[str, tuple[str, ...]]:
        """Names of the videos that the weights were trained on by their card, of each data set that has some."""
        return {name: seen for name, dataset in self.datasets.items() if (seen := trained_on(self.entry.card, dataset))}

    def measure(self, *, every: int, on_set: Callable[[str, SetScores], None]) -> Measurement:
        """Measure on one data set after the other."""
        if every < 1:
            raise UsageError(f"every = {every}", why="it counts frames from one to the next", fix="give 1 or more")
        sets: dict[str, SetScores] = {}
        for name, dataset in self.datasets.items():
            found = measure_all(
                self.task,
                self.network,
                {name: dataset},
                device=self.device,
                precision=self.precision,
                every=every,
            )
            sets |= found.sets
            on_set(name, found.sets[name])
        return Measurement(sets=sets)


def held_back(sources: Iterable[Data], *, recipe: Recipe, subset: str | None) -> dict[str, Dataset]:
    """Return what is measured on, by name: of a folder the part that a training by the recipe measures on.

    Raises:
        InputError: There is nothing, or a folder has no such list.
        UsageError: A list of a data set that is open is asked for.
    """
    sets: list[Dataset] = []
    reasons: list[str] = []
    trained: list[Dataset] = []
    folders: list[str] = []
    for source in sources:
        if isinstance(source, Dataset):
            if subset is not None:
                raise UsageError(
                    f"the list {subset!r} of a data set that is open",
                    why="its videos are taken as they are",
                    fix="give the root of the data set with it; or open the list: covos.data.open_dataset",
                )
            sets.append(source)
        elif subset is not None:
            sets += open_collection(os.fspath(source), subset=subset)
        else:
            folders.append(os.fspath(source))
            found = gather(
                [source],
                seed=recipe.split_seed,
                ratio=recipe.ratio,
                videos=recipe.videos,
                overfit=recipe.overfit,
                pictures=recipe.measures_pictures,
            )
            sets += found.validation
            reasons += found.unmeasured
            trained += found.train
    sets = [each for each in sets if any(video.annotated for video in each)]
    if not sets:
        raise _nothing(trained, reasons, folders=folders, pictures=recipe.measures_pictures)
    return named(sets)


def _nothing(
    trained: Sequence[Dataset], reasons: Sequence[str], *, folders: Sequence[str], pictures: bool
) -> InputError:
    """Return the error of data of which nothing is held back; a ratio is its remedy only where it divides any."""
    stills = [each.name for each in trained if any(video.kind == "image" for video in each)]
    alone = [each for each in trained if each.name not in stills and len(each) == 1]
    # A training takes a part of a data set: by a list, by a limit, and only what has masks.
    whole = {each.root: len(each) for folder in folders for each in open_collection(folder)} if alone else {}
    why = [*reasons, *(f"{each.name} has {_one_of(whole[each.root])} is trained on" for each in alone)]
    if pictures:
        kept = f"fewer than {LEAST} still pictures, all of which are trained on: a ratio divides videos alone"
        why += [f"{name} has {kept}" for name in stills]
    else:
        why += [f"{name} has still pictures, and this recipe measures on videos alone" for name in stills]
    if not trained or len(stills) + len(alone) < len(trained):
        fix = Words(
            "name a list: --subset val, or divide the videos: --set ratio=0.8",
            python='name a list: subset="val", or divide the videos: a recipe with ratio=0.8',
        )
    elif pictures or alone:
        fix = "before you train, put some into a folder of their own, and measure on all of it: " + Words(
            "covos predict, and covos evaluate",
            python="covos.training.measure(weights, covos.data.open_dataset(FOLDER))",
        )
    else:
        fix = Words.of("give videos with masks")
    return InputError(
        "there is nothing to measure on",
        why="; ".join(why)
        or "the recipe holds nothing back of these data: they have no list of validation, and it divides none",
        fix=fix,
    )


def _one_of(videos: int) -> str:
    return "one video, which" if videos == 1 else f"{videos} videos, of which one alone"


def recipe_of(card: Card) -> Recipe:
    """Return the recipe that weights were trained by, as their card has it.

    Raises:
        UsageError: The card has none, or one of a kind of training that is not known here.
    """
    model = card.recipe.get("model")
    kind = kind_of(model) if isinstance(model, str) else None
    fix = "name one, such as " + Words("--recipe lite", python='recipe="lite"')
    if kind is None:
        raise UsageError(
            f"the card of {card.name} has no recipe",
            why="the weights were converted, or trained by another program",
            fix=fix,
        )
    # The mean of several trainings lacks fields in which they differ; the card also says where a training began.
    usual = next((dict(each) for each in recipes().values() if each.model == model), {})
    own = {name: card.recipe[name] for name in kind.model_fields if name in card.recipe}
    try:
        return kind.model_validate(usual | own)
    except ValidationError as error:
        raise UsageError(f"the recipe on the card of {card.name} cannot be used", why=faults(error), fix=fix) from error


def trained_on(card: Card, dataset: Dataset) -> tuple[str, ...]:
    """Return the names of a data set's videos that the card of some weights has among what they were trained on."""
    entries: Iterator[Mapping[str, Any]] = (each for each in card.data if each["name"] == dataset.name)
    known = {name for each in entries for name in each.get("videos", ())}
    return tuple(video.name for video in dataset if video.name in known)
