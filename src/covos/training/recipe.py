"""What a training does, as one frozen value: read from TOML, overridden by ``name=value``, written to the card."""

from __future__ import annotations

import tomllib
from dataclasses import asdict, dataclass, fields
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from covos.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Settings of a training run. All sizes in pixels, all rates per step.

    Attributes:
        model: Which network is trained.
        steps: Optimiser steps in all.
        frames_per_step: Frames in a batch; divided into groups of frames of one video.
        group_sizes: Each step draws its group size from these; the frames of a group are each other's references.
        video_share: Share of the groups that come from videos; the others are views of one still picture. Within a
            share, a data set is drawn in proportion to the square root of its number of videos or pictures.
        paste_share: Share of the groups that show a small subject of a still picture moving over a background.
        motion_share: Share of the groups whose motion is known; in the others the network sees pictures alone.
        distractor_share: Share of the pasted groups whose background keeps its own subject: it moves with the scene,
            and only the motion tells that the pasted one is meant.
        crop: (height, width) of the training frames.
        zoom: Range of the window's width over that of the largest window that fits the picture: what is seen at
            320 pixels of half a picture is as large as in use, where the whole is seen at 448.
        large_crop: Size for the last ``large_share`` of the steps: the size in use.
        large_zoom: Range for these steps.
        large_share: See above, 0..1.
        learning_rate: Peak rate of AdamW for everything but the encoder.
        encoder_learning_rate: Peak rate for the encoder, which starts from ImageNet weights.
        weight_decay: Of AdamW; norms, biases and the temperature have none.
        warmup: Steps of linear warm-up.
        power: Exponent of the polynomial decay to zero (DeepLab, section 4.1).
        gradient_norm: The gradient is scaled down to this norm.
        still_weight: Weight of the still-image head's loss.
        match_weight: Weight of the loss on the subject mask as read from the references through the attention.
        ema: Decay of the exponential moving average of the weights, which is what is kept.
        validate_every: Steps between measurements on the validation set.
        checkpoint_every: Steps between checkpoints.
        seed: Of the initial weights and of everything drawn.
    """

    model: Literal["lite"] = "lite"
    steps: int
    frames_per_step: int
    group_sizes: tuple[int, ...]
    video_share: float
    paste_share: float
    motion_share: float
    distractor_share: float
    crop: tuple[int, int]
    zoom: tuple[float, float]
    large_crop: tuple[int, int]
    large_zoom: tuple[float, float]
    large_share: float
    learning_rate: float
    encoder_learning_rate: float
    weight_decay: float
    warmup: int
    power: float
    gradient_norm: float
    still_weight: float
    match_weight: float
    ema: float
    validate_every: int
    checkpoint_every: int
    seed: int

    def __post_init__(self) -> None:
        def refuse(name: str, why: str, fix: str) -> None:
            raise UsageError(f"recipe: {name} = {getattr(self, name)}", why=why, fix=fix)

        for name in ("steps", "frames_per_step", "validate_every", "checkpoint_every"):
            if getattr(self, name) < 1:
                refuse(name, "it counts steps or frames", "set it to 1 or more")
        for name in ("video_share", "paste_share", "motion_share", "distractor_share", "large_share", "ema"):
            if not 0 <= getattr(self, name) <= 1:
                refuse(name, "it is a share", "set it between 0 and 1")
        for name in ("crop", "large_crop"):
            if any(side < 32 or side % 32 for side in getattr(self, name)):
                refuse(name, "the encoder halves the frame five times", "use multiples of 32")
        for name in ("zoom", "large_zoom"):
            if not 0 < getattr(self, name)[0] <= getattr(self, name)[1]:
                refuse(name, "it is a range of positive numbers", "write [least, most]")
        bad = [size for size in self.group_sizes if size < 2 or self.frames_per_step % size]
        if bad or not self.group_sizes:
            refuse("group_sizes", f"{self.frames_per_step} frames must divide into whole groups of 2 or more", "change")

    def framing_at(self, step: int) -> tuple[tuple[int, int], tuple[float, float]]:
        """(height, width) of the frames of this 0-based step, and their range of zoom."""
        if step >= self.steps * (1 - self.large_share):
            return self.large_crop, self.large_zoom
        return self.crop, self.zoom

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for the card and the run's folder."""
        return asdict(self)


def recipe_names() -> tuple[str, ...]:
    """Recipes that the package carries."""
    folder = resources.files("covos.training") / "recipes"
    return tuple(sorted(Path(item.name).stem for item in folder.iterdir() if item.name.endswith(".toml")))


def load_recipe(name_or_file: str | Path, *, overrides: tuple[str, ...] = ()) -> Recipe:
    """Read a recipe.

    Args:
        name_or_file: A name of `recipe_names`, or a TOML file.
        overrides: ``field=value`` each, the value in TOML's notation.

    Raises:
        UsageError: Unknown recipe, field or value.
    """
    path = Path(name_or_file)
    if path.suffix == ".toml":
        if not path.is_file():
            raise UsageError(f"recipe {path} not found", why="there is no such file", fix="check the path")
        text = path.read_text()
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
    return _build(values, origin=str(name_or_file))


def _parse(text: str, *, origin: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{origin} cannot be read", why=str(error), fix="write it in TOML's notation") from error


def _build(values: dict[str, Any], *, origin: str) -> Recipe:
    known = {field.name: field for field in fields(Recipe)}
    unknown = sorted(set(values) - set(known))
    missing = sorted(set(known) - set(values) - {"model"})
    if unknown or missing:
        raise UsageError(
            f"recipe {origin} does not fit",
            why=f"unknown fields: {', '.join(unknown) or 'none'}; missing: {', '.join(missing) or 'none'}",
            fix=f"the fields are: {', '.join(known)}",
        )
    if values.get("model", "lite") != "lite":
        raise UsageError(f"recipe {origin}: model = {values['model']!r}", why="no such network", fix="use 'lite'")
    return Recipe(**{name: _typed(name, value, str(known[name].type), origin=origin) for name, value in values.items()})


def _typed(name: str, value: Any, annotation: str, *, origin: str) -> Any:
    """A value of TOML as a field's type; whole numbers may stand for fractions, lists for tuples."""
    if annotation == "float" and type(value) is int:
        return float(value)
    if annotation.startswith("tuple"):
        item_type, numbers = (float, (int, float)) if "float" in annotation else (int, (int,))
        fits = isinstance(value, list) and all(type(item) in numbers for item in value)
        if fits and ("..." in annotation or len(value) == 2):
            return tuple(item_type(item) for item in value)
    elif type(value).__name__ == annotation or (annotation.startswith("Literal") and isinstance(value, str)):
        return value
    raise UsageError(f"recipe {origin}: {name} = {value!r}", why=f"it should be {annotation}", fix="change the value")
