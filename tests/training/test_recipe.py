from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from pydantic import ValidationError

from covos.core.errors import UsageError
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
        ("steps=ten", "should be int"),
        ("steps='ten'", "should be int"),
        ("steps=true", "should be int"),
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
        ("group_sizes=[3]", "whole groups"),
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
    with pytest.raises(UsageError, match="no such file"):
        load_recipe(tmp_path / "other.toml")
    with pytest.raises(UsageError, match="one of: cosnet-resnet101, cosnet-resnet50, follow, lite"):
        load_recipe("heavy")


def test_a_word_needs_no_quotes() -> None:
    """A shell takes them away."""
    assert load_recipe("cosnet-resnet50", overrides=("balance=none",)) == load_recipe(
        "cosnet-resnet50", overrides=('balance="none"',)
    )
    assert load_recipe("cosnet-resnet50", overrides=("frozen_norms=true",)).frozen_norms is True
