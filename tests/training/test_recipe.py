from __future__ import annotations

import pickle
import re
from pathlib import Path
from typing import Self

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError, model_validator

from covos.cli import main
from covos.core.errors import UsageError
from covos.core.guarded import parse_toml
from covos.training import registry
from covos.training.recipe import LiteRecipe, refused
from covos.training.recipe_text import recipe_text
from covos.training.registry import load_recipe, recipe_names


def test_every_packaged_recipe_loads() -> None:
    assert "lite" in recipe_names()
    for name in recipe_names():
        recipe = load_recipe(name)
        assert recipe.model_dump()["model"] == recipe.model
        assert pickle.loads(pickle.dumps(recipe)) == recipe
        with pytest.raises(ValidationError, match="frozen"):
            recipe.steps = 1  # type: ignore[misc]


def test_overrides_replace_fields() -> None:
    overrides = ("steps=10", "crops=[[64, 96]]", "crop_chances=[1]", "learning_rate=1", "group_sizes=[2]")
    recipe = load_recipe("lite", overrides=overrides)
    assert recipe.steps == 10
    assert recipe.crops == ((64, 96),)
    assert recipe.crop_chances == (1.0,)
    assert recipe.learning_rate == 1.0
    assert recipe.group_sizes == (2,)


@pytest.mark.parametrize(
    ("override", "reason"),
    [
        ("steps", "no '='"),
        ("steps=10 20", "cannot be read"),
        ("steps=ten", "should be a whole number"),
        ("steps='ten'", "should be a whole number"),
        ("steps=true", "should be a whole number"),
        ("steps=0", "1 or more"),
        ("stepps=3", r"unknown fields: stepps(.|\n)*did you mean steps"),
        ("model=litle", "did you mean lite"),
        ("crops=[[190, 320]]", "multiples of 32"),
        ("crops=[[192]]", "should be"),
        ("crops=[192, 320]", "should be"),
        ("crop_chances=[0.5, 0.5]", "3 crops"),
        ("crop_chances=[0.5, 0.5, 0.5]", "1 in all"),
        ("bystanders=-1", "0 or more"),
        ("motion_gap=0", "1 or more"),
        ("zoom=[1.2, 0.5]", "range"),
        ("zoom=['a', 'b']", "should be"),
        ("group_sizes=[3]", r"frames_per_step = 32(.|\n)*whole groups(.|\n)*among 2, 4, 8(.|\n)*a multiple of 3"),
        ("frames_per_step=6", r"frames_per_step = 6(.|\n)*among 2, 3, 6(.|\n)*a multiple of 4"),
        ("seed=-1", "whole number, 0 or more"),
        ("split_seed=-1", "whole number, 0 or more"),
        ("seed=9223372036854775808", "a whole number between 0 and 9223372036854775807"),
        ("learning_rate=abc", r"set learning_rate to a number, 0 or more, such as learning_rate=0.001"),
        ("warmup=1.5", r"set warmup to a whole number, 0 or more, such as warmup=300"),
        ("epochs=2", r"fix: did you mean steps\? docs"),
        ("batch=8", r"fix: did you mean frames_per_step\? docs"),
        ("nothing_like_it=8", r"fix: docs/recipes.md lists all fields$"),
        ("group_sizes=[]", "whole groups"),
        ("video_share=1.5", "between 0 and 1"),
        ("model='huge'", "no such kind of training"),
    ],
)
def test_bad_overrides_are_explained(override: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        load_recipe("lite", overrides=(override,))


def test_a_file_is_a_recipe_too(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("steps = 5\n")
    with pytest.raises(UsageError, match=r"missing: .*frames_per_step"):
        load_recipe(path)
    path.write_text('base = "lite-finetune"\nsteps = 5\n')
    assert load_recipe(path) == load_recipe("lite-finetune", steps=5)
    other = tmp_path / "chained.toml"
    other.write_text('base = "mine.toml"\nlearning_rate = 5e-5\n')
    assert load_recipe(other) == load_recipe("lite-finetune", steps=5, overrides=("learning_rate=5e-5",))
    for base, said in (('"chained.toml"', "in a circle"), ('"heavy"', "no such recipe"), ("3", "no name")):
        path.write_text(f"base = {base}\n")
        with pytest.raises(UsageError, match=said):
            load_recipe(other)
    with pytest.raises(UsageError, match="no such file"):
        load_recipe(tmp_path / "other.toml")
    for content in (None, "steps = ", b"\xff"):
        path.unlink()
        if content is not None:
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        else:
            path.symlink_to(tmp_path / "nothing.toml")
        with pytest.raises(UsageError, match=rf"mine\.toml, the base of {re.escape(str(other))}, cannot be read"):
            load_recipe(other)
    with pytest.raises(UsageError, match="one of: cosnet-resnet101, cosnet-resnet50, follow, lite"):
        load_recipe("heavy")


def test_a_base_is_beside_its_file_and_a_start_in_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "recipes").mkdir()
    (tmp_path / "base.toml").write_text('base = "lite-finetune"\nstart = "mine.safetensors"\n')
    (tmp_path / "recipes" / "mine.toml").write_text('base = "../base.toml"\n')
    monkeypatch.chdir(tmp_path)
    assert load_recipe("recipes/mine.toml").start == "mine.safetensors"


def test_a_validator_of_a_whole_recipe_is_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    class Picky(LiteRecipe):
        @model_validator(mode="after")
        def _fit(self) -> Self:
            if self.steps == 5:
                raise refused("steps and warmup do not go together", "set steps=6")
            raise ValueError("this and that do not go together")

    monkeypatch.setitem(registry.RECIPES, "picky", Picky)
    with pytest.raises(UsageError, match="recipe lite does not fit\n  why: this and that do not go together\n"):
        load_recipe("lite", settings={"model": "picky"})
    with pytest.raises(UsageError, match="why: steps and warmup do not go together\n  fix: set steps=6"):
        load_recipe("lite", settings={"model": "picky", "steps": 5})


@pytest.mark.parametrize("name", recipe_names())
def test_a_printed_recipe_is_one_to_start_from(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", name, "--print", "--set", "name=mine"]) == 0
    (tmp_path / "mine.toml").write_text(capsys.readouterr().out, encoding="utf-8")
    assert load_recipe(tmp_path / "mine.toml") == load_recipe(name, overrides=("name=mine",))


def test_a_name_of_any_characters_is_printed_so_that_it_reads_back(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "lite", "--print", "--set", 'name="bikes 🚲\u2028 \\u007F"']) == 0
    printed = capsys.readouterr().out
    assert printed.isascii()  # in whatever encoding it is redirected into a file
    assert parse_toml(printed)["name"] == "bikes 🚲\u2028 \x7f"


@given(start=st.text(st.characters(codec="utf-8")))
@example(start="bikes 🚲")
@example(start='C:\\bikes\\u0041 "b"\n\x7f\x85\u2028')
def test_any_text_of_a_recipe_reads_back(start: str) -> None:
    recipe = load_recipe("lite", settings={"start": start})
    assert parse_toml(recipe_text(recipe)) == recipe.model_dump(mode="json")


def test_a_word_needs_no_quotes() -> None:
    """A shell takes them away."""
    assert load_recipe("lite-finetune", overrides=("start=",)).start == ""
    assert load_recipe("cosnet-resnet50", overrides=("balance=none",)) == load_recipe(
        "cosnet-resnet50", overrides=('balance="none"',)
    )
    assert load_recipe("cosnet-resnet50", overrides=("frozen_norms=true",)).frozen_norms is True
