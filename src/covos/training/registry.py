"""Find and read recipes, and make the task of each kind of training.

A kind of training is a `Task` under a name, which a recipe gives as its ``model``. The package has a few; `register`
adds one to a running program, and an installed package adds its own by entry points of the group ``covos_tasks``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from covos.core.errors import UsageError, one_of
from covos.core.extensions import Extensions
from covos.core.guarded import parse_toml, read_guarded, text_of
from covos.core.words import Words
from covos.training.recipe import CosnetRecipe, FollowRecipe, LiteRecipe, MatteRecipe, PromptRecipe, Recipe
from covos.training.recipe_refusals import refusal

if TYPE_CHECKING:
    from covos.data import Dataset
    from covos.training.task import Task

TaskT = TypeVar("TaskT", bound="type[Task[Any]]")

RECIPES: dict[str, type[Recipe]] = {
    "lite": LiteRecipe,
    "follow": FollowRecipe,
    "prompt": PromptRecipe,
    "matte": MatteRecipe,
    "cosnet_resnet50": CosnetRecipe,
    "cosnet_resnet101": CosnetRecipe,
}
"""The kind of recipe of each kind of training."""
TASKS: dict[str, str | type[Task[Any]]] = {
    "lite": "covos.training.lite:LiteTask",
    "follow": "covos.training.follow:FollowTask",
    "prompt": "covos.training.prompt:PromptTask",
    "matte": "covos.training.matte:MatteTask",
    "cosnet_resnet50": "covos.training.cosnet:CosnetTask",
    "cosnet_resnet101": "covos.training.cosnet:CosnetTask",
}
"""The task of each kind of training; those of the package by their place, as a recipe is read without torch."""
ADDED = Extensions(what="the kind of training", several="kinds", group="covos_tasks")
BASE = "base"
"""Field of a recipe's file that names the recipe with the fields that the file lacks."""
DEFAULT = "lite"
"""The network of a recipe that does not name one."""


def register(name: str) -> Callable[[TaskT], TaskT]:
    """Make a kind of training known under a name; use it as a decorator of a `Task`.

    A recipe with ``model = NAME`` is then trained by it. The recipe has the fields of the task's ``recipe_type``.

    Raises:
        UsageError: Another kind of training has the name.
    """

    def keep(task: TaskT) -> TaskT:
        _refuse_other_things(name, task)
        ADDED.refuse_taken(name, TASKS.get(name), task)
        RECIPES[name], TASKS[name] = task.recipe_type, task
        return task

    return keep


def _refuse_other_things(name: str, task: object) -> None:
    from covos.training.task import Task  # brings torch, and who registers a task has it

    if not isinstance(task, type) or not issubclass(task, Task) or not hasattr(task, "recipe_type"):
        raise UsageError(
            f"{getattr(task, '__name__', repr(task))} is no kind of training, and cannot be registered as {name!r}",
            why="it is not a class derived from covos.training.Task that has a recipe_type",
            fix="derive it from one of the package's, such as covos.training.LiteTask",
        )


def kind_of(model: str) -> type[Recipe] | None:
    """Return the kind of recipe of a kind of training; None if there is none of that name.

    Raises:
        EnvironmentProblem: An installed package names it and cannot be loaded.
    """
    if model not in RECIPES:
        ADDED.bring(model, register)
    return RECIPES.get(model)


def kinds() -> tuple[str, ...]:
    """Return the names of all kinds of training, those of installed packages last."""
    return tuple(dict.fromkeys((*RECIPES, *ADDED.brought())))


def make_task(recipe: Recipe, datasets: Sequence[Dataset]) -> Task[Any]:
    """Make the task of a recipe on some data."""
    kind = TASKS[recipe.model]
    task: Task[Any] = (resolve_name(kind) if isinstance(kind, str) else kind)(recipe, datasets)
    return task


def recipes() -> dict[str, Recipe]:
    """Return the package's recipes by name, each with the values of its fields."""
    return {name: load_recipe(name) for name in recipe_names()}


def recipe_names() -> tuple[str, ...]:
    """Return the names of the recipes that the package carries."""
    folder = resources.files("covos.training") / "recipes"
    return tuple(sorted(Path(item.name).stem for item in folder.iterdir() if item.name.endswith(".toml")))


def load_recipe(
    given: str | os.PathLike[str] | Recipe,
    *,
    overrides: tuple[str, ...] = (),
    settings: Mapping[str, Any] | None = None,
    steps: int | None = None,
    epochs: int | None = None,
) -> Recipe:
    """Read a recipe: one of `recipe_names`, or a TOML file; or change one that was read.

    Args:
        given: Its name, a file that ends in ``.toml``, or a recipe. A file has all fields, or names another recipe as
            ``base``, whose fields it takes. The path of a base is relative to the file; those in ``start`` and
            ``encoder`` are relative to the working folder.
        overrides: Fields to replace, ``field=value`` each, in TOML's notation; a word needs no quotes.
        settings: Fields to replace, by name, as values.
        steps: How long, in steps, whatever the recipe counts by itself.
        epochs: How long, in passes over all pairs, in place of ``steps``.

    Raises:
        UsageError: There is no such recipe, a value does not fit, or epochs are asked of a recipe that has none.
    """
    values, origin = _values_of(given)
    usual = dict(values)
    for override in overrides:
        if "=" not in override:
            raise UsageError(f"--set {override}", why="there is no '='", fix="write field=value")
        values |= _parse(_quoted(override), origin=f"--set {override}")
    values |= settings or {}
    model = values.setdefault("model", DEFAULT)
    kind = kind_of(model) if isinstance(model, str) else None
    if kind is None:
        raise UsageError(
            f"recipe {origin}: model = {model!r}",
            why="there is no such kind of training",
            fix=one_of(model, kinds()),
        )
    values |= _length(kind, steps=steps, epochs=epochs, origin=origin)
    try:
        return kind.model_validate(values)
    except ValidationError as fault:
        raise refusal(fault, kind, values, origin=origin, usual=usual) from None


def _values_of(given: object) -> tuple[dict[str, Any], str]:
    """Return the fields of a recipe, and what messages call it."""
    if isinstance(given, Recipe):
        return dict(given), f"of {given.model}"
    if not isinstance(given, (str, os.PathLike)):
        raise UsageError(
            f"{given!r} is no recipe",
            why=f"it is a {type(given).__name__}",
            fix=f'give a name, such as "{DEFAULT}", a .toml file, or a recipe of covos.recipes()',
        )
    name = os.fspath(given)
    if Path(name).suffix == ".toml":
        return _with_base(Path(name), above=()), name
    if name in recipe_names():
        text = (resources.files("covos.training") / "recipes" / f"{name}.toml").read_text(encoding="utf-8")
        return _parse(text, origin=name), name
    raise UsageError(
        f"unknown recipe {name!r}",
        why="neither a recipe of the package nor a .toml file",
        fix=one_of(name, recipe_names()) + "; or the path of a .toml file",
    )


def _with_base(path: Path, *, above: tuple[Path, ...]) -> dict[str, Any]:
    """Return the fields of a file, and those that it lacks from the recipe that it names as its ``base``.

    The base is a recipe of the package, or a .toml file, which may have a base too; its path is relative to this file.
    """
    called = f"{path}, the base of {above[-1]}," if above else str(path)
    values = _parse(_text(path, called=called), origin=called)
    if BASE not in values:
        return values
    base, here = values.pop(BASE), path.resolve()
    if not isinstance(base, str):
        raise UsageError(f"recipe {path}: base = {base!r}", why="it is no name", fix=_bases(base))
    if here in above:
        raise UsageError(
            f"recipe {path}: base = {base!r}",
            why=f"the files go round in a circle: {' -> '.join(each.name for each in (*above, here))}",
            fix="let one of them name a recipe of the package, or none",
        )
    if Path(base).suffix == ".toml":
        return _with_base(path.parent / base, above=(*above, here)) | values
    if base not in recipe_names():
        raise UsageError(f"recipe {path}: base = {base!r}", why="there is no such recipe", fix=_bases(base))
    return _values_of(base)[0] | values


def _bases(base: object) -> str:
    return one_of(base, recipe_names()) + "; or the path of a .toml file"


def _length(kind: type[Recipe], *, steps: int | None, epochs: int | None, origin: str) -> dict[str, int]:
    """Return the fields that say how long, of a kind of recipe that counts steps, or one of steps and epochs."""
    if steps is not None and epochs is not None:
        raise UsageError(
            f"recipe {origin}: {steps} steps and {epochs} epochs", why="a run has one length", fix="give one of the two"
        )
    if epochs is not None and "epochs" not in kind.model_fields:
        raise UsageError(
            f"recipe {origin} counts no epochs",
            why="what it trains on is drawn at random, step by step, so there is no pass over all of it",
            fix="say how long in steps: " + Words("--steps N", python="steps=..."),
        )
    length = {"steps": steps, "epochs": epochs}
    if steps is None and epochs is None:
        return {}
    return {name: value or 0 for name, value in length.items() if name in kind.model_fields}


def _text(path: Path, *, called: str) -> str:
    what = f"recipe {called} cannot be read"
    content = read_guarded(path, what=what, fix="check the path", error=UsageError)
    try:
        return text_of(content)
    except UnicodeDecodeError as error:
        raise UsageError(what, why=str(error), fix="save it as UTF-8 text") from error


def _parse(text: str, *, origin: str) -> dict[str, Any]:
    try:
        return parse_toml(text)
    except ValueError as error:
        raise UsageError(f"{origin} cannot be read", why=str(error), fix="write it in TOML's notation") from error


def _quoted(override: str) -> str:
    """Put a word in quotes, as shells take them away: ``model=lite`` means ``model="lite"``."""
    name, _, value = override.partition("=")
    if not value.strip():
        return f'{name}=""'
    word = re.fullmatch(r"[A-Za-z_][\w.-]*", value.strip())
    return f'{name}="{word[0]}"' if word and word[0] not in ("true", "false", "inf", "nan") else override
