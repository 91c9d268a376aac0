"""docs/recipes.md lists every field of every recipe, in the words of the docstrings.

After a change of a field or its explanation:  UPDATE_DOCS=1 .venv/bin/pytest tests/test_recipe_docs.py
"""

from __future__ import annotations

import inspect
import os
import re
from pathlib import Path

from covos.training.recipe import Recipe
from covos.training.registry import RECIPES, load_recipe, recipe_names

PAGE = Path(__file__).parents[1] / "docs" / "recipes.md"
HEAD = """# Recipes, field by field

A recipe of the package is named in the first row of its table; any field can be replaced by `--set field=value` or in a
TOML file of your own, which takes the others from its `base = "NAME"`. `covos train NAME --print` prints a recipe.
A `base` may be another TOML file: its path is relative to the file that names it. Paths in `start` and `encoder` are
relative to the folder in which `covos` runs, wherever the file lies. [training.md](training.md) says how recipes are
used.
"""


def explained(kind: type[Recipe]) -> dict[str, str]:
    """Field to explanation, from the section "Attributes" of a docstring."""
    section = inspect.cleandoc(kind.__doc__ or "").partition("Attributes:\n")[2]
    entries = re.split(r"\n {4}(?=\w+: )", "\n" + section.split("\n\n")[0])[1:]
    pairs = (entry.partition(": ") for entry in entries)
    return {name: re.sub(r"\s+", " ", text).strip() for name, _, text in pairs}


def table(kind: type[Recipe]) -> str:
    """One column for each recipe of this kind, one row for each field."""
    recipes = {name: load_recipe(name) for name in recipe_names() if type(load_recipe(name)) is kind}
    said = explained(Recipe) | explained(kind)
    rows = [f"| field | {' | '.join(f'`{name}`' for name in recipes)} | what |", "|---" * (len(recipes) + 2) + "|"]
    # In the order of the explanations, some of which go on from the one before.
    assert set(said) == set(kind.model_fields)
    for name, words in said.items():
        values = (str(getattr(recipe, name)) for recipe in recipes.values())
        rows.append(f"| `{name}` | {' | '.join(values)} | {words.replace('|', chr(92) + '|')} |")
    return "\n".join(rows)


def test_the_page_of_recipes_says_what_the_recipes_are() -> None:
    page = HEAD + "".join(f"\n## {kind.__name__}\n\n{table(kind)}\n" for kind in dict.fromkeys(RECIPES.values()))
    if "UPDATE_DOCS" in os.environ:
        PAGE.write_text(page)
    assert PAGE.read_text() == page
