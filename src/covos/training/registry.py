"""Find and read recipes, and make the task of each kind of training."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from covos.core.errors import UsageError
from covos.core.guarded import parse_toml, read_guarded
from covos.training.recipe import CosnetRecipe, FollowRecipe, LiteRecipe, PromptRecipe, Recipe

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from covos.data import Dataset
    from covos.training.task import Task

RECIPES: dict[str, type[Recipe]] = {
    "lite": LiteRecipe,
    "follow": FollowRecipe,
    "prompt": PromptRecipe,
    "cosnet_resnet50": CosnetRecipe,
    "cosnet_resnet101": CosnetRecipe,
}
"""The kind of recipe that trains each network."""
TASKS: dict[type[Recipe], str] = {
    LiteRecipe: "covos.training.lite:LiteTask",
    FollowRecipe: "covos.training.follow:FollowTask",
    PromptRecipe: "covos.training.prompt:PromptTask",
    CosnetRecipe: "covos.training.cosnet:CosnetTask",
}
"""The task of each kind of recipe, by name: a recipe is read without torch."""
DEFAULT = "lite"
"""The network of a recipe that does not name one."""
STARTS = {"lite-finetune": "covos-lite"}
"""The model that a recipe of the package goes on from, unless other weights are given."""


def make_task(recipe: Recipe, datasets: Sequence[Dataset]) -> Task[Any]:
    """Make the task of a recipe on some data."""
    kind = resolve_name(TASKS[type(recipe)])
    task: Task[Any] = kind(recipe, datasets)
    return task


def recipe_names() -> tuple[str, ...]:
    """Return the names of the recipes that the package carries."""
    folder = resources.files("covos.training") / "recipes"
    return tuple(sorted(Path(item.name).stem for item in folder.iterdir() if item.name.endswith(".toml")))


def load_recipe(name_or_file: str | Path, *, overrides: tuple[str, ...] = ()) -> Recipe:
    """Read a recipe: one of `recipe_names`, or a TOML file; overrides are ``field=value`` each, in TOML's notation."""
    path = Path(name_or_file)
    if path.suffix == ".toml":
        text = _text(path)
    elif str(name_or_file) in recipe_names():
        text = (resources.files("covos.training") / "recipes" / f"{name_or_file}.toml").read_text()
    else:
        raise UsageError(
            f"unknown recipe {name_or_file!r}",
            why="neither a recipe of the package nor a .toml file",
            fix=f"use one of: {', '.join(recipe_names())}",
        )
    values = _parse(text, origin=str(name_or_file))
    for override in overrides:
        if "=" not in override:
            raise UsageError(f"--set {override}", why="there is no '='", fix="write field=value")
        values |= _parse(override, origin=f"--set {override}")
    model = values.setdefault("model", DEFAULT)
    if not isinstance(model, str) or model not in RECIPES:
        raise UsageError(
            f"recipe {name_or_file}: model = {model!r}", why="no such network", fix=f"use one of: {', '.join(RECIPES)}"
        )
    kind = RECIPES[model]
    try:
        return kind.model_validate(values)
    except ValidationError as fault:
        raise _refusal(fault, kind, values, origin=str(name_or_file)) from None


def _text(path: Path) -> str:
    content = read_guarded(path, what=f"recipe {path} cannot be read", fix="check the path", error=UsageError)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"recipe {path} cannot be read", why=str(error), fix="save it as UTF-8 text") from error


def _parse(text: str, *, origin: str) -> dict[str, Any]:
    try:
        return parse_toml(text)
    except ValueError as error:
        raise UsageError(f"{origin} cannot be read", why=str(error), fix="write it in TOML's notation") from error


def _refusal(fault: ValidationError, kind: type[Recipe], values: dict[str, Any], *, origin: str) -> UsageError:
    """Return the error of a recipe that does not fit: all fields that are unknown or missing, or one wrong value."""
    faults = fault.errors(include_url=False)
    unknown = sorted(str(each["loc"][0]) for each in faults if each["type"] == "extra_forbidden")
    missing = sorted(str(each["loc"][0]) for each in faults if each["type"] == "missing" and len(each["loc"]) == 1)
    if unknown or missing:
        return UsageError(
            f"recipe {origin} does not fit",
            why=f"unknown fields: {', '.join(unknown) or 'none'}; missing: {', '.join(missing) or 'none'}",
            fix=f"the fields are: {', '.join(kind.model_fields)}",
        )
    name, context = str(faults[0]["loc"][0]), faults[0].get("ctx", {})
    return UsageError(
        f"recipe {origin}: {name} = {values[name]!r}",
        why=context.get("why") or f"it should be {_allowed(kind.model_fields[name])}",
        fix=context.get("fix", "change the value"),
    )


def _allowed(field: FieldInfo) -> str:
    """Return the values that a field may have, in words: ``"int, 1 or more"``."""
    said = field.annotation.__name__ if field.annotation in (bool, float, int, str) else str(field.annotation)
    least = next((each.ge for each in field.metadata if hasattr(each, "ge")), None)
    most = next((each.le for each in field.metadata if hasattr(each, "le")), None)
    if least is None:
        return said.replace("typing.", "")
    return f"{said} between {least} and {most}" if most is not None else f"{said}, {least} or more"
