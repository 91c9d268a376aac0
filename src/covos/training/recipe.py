"""Settings of a training as one frozen record; each kind of training adds its own fields to `Recipe`."""

from __future__ import annotations

from typing import Annotated, Any, NoReturn, TypeAlias

from pydantic import AfterValidator, Field, NonNegativeFloat, NonNegativeInt, field_validator
from pydantic_core import PydanticCustomError

from covos.core.errors import UsageError
from covos.core.records import Record

# Types of fields that several recipes have.


def refused(why: str, fix: str) -> PydanticCustomError:
    """Return the error of a validator of one field, for `covos.training.registry.load_recipe` to show."""
    return PydanticCustomError("refused", "{why}", {"why": why, "fix": fix})


def _check_crops(crops: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
    if any(side < 32 or side % 32 for crop in crops for side in crop):
        raise refused("the encoder halves the frame five times", "use multiples of 32")
    return crops


def _check_crop(crop: tuple[int, int]) -> tuple[int, int]:
    return _check_crops((crop,))[0]


def _check_zoom(zoom: tuple[float, float]) -> tuple[float, float]:
    if not 0 < zoom[0] <= zoom[1]:
        raise refused("it is a range of positive numbers", "write [least, most]")
    return zoom


Count: TypeAlias = Annotated[int, Field(ge=1)]
Share: TypeAlias = Annotated[float, Field(ge=0, le=1)]
Crop: TypeAlias = Annotated[tuple[int, int], AfterValidator(_check_crop)]
"""(height, width) in pixels."""
Crops: TypeAlias = Annotated[tuple[tuple[int, int], ...], AfterValidator(_check_crops)]
Zoom: TypeAlias = Annotated[tuple[float, float], AfterValidator(_check_zoom)]
"""(least, most)."""


class Recipe(Record, extra="forbid", strict=True):
    """Settings of every training run; each kind of training adds its own. All rates are per step.

    A step is one change of the weights. How many processes share it, and in how many parts each computes its share,
    changes what it costs; what it learns, only as far as batch norm takes its statistics from one part.

    Attributes:
        model: Which network is trained.
        steps: In all.
        learning_rate: Peak rate.
        weight_decay: Of the optimiser.
        warmup: Steps of linear warm-up.
        power: Exponent of the polynomial decay to zero (DeepLab, section 4.1); 0 keeps the rate.
        gradient_norm: The gradient is scaled down to this norm; 0 leaves it.
        accumulate: Parts that a process computes its share of a step in, one after the other, to need less memory.
        ema: Decay of the exponential moving average of the weights, which is what is kept; 0 keeps the last weights.
        validate_every: Steps between measurements on the validation set; 0 leaves it to the ends of epochs and run.
        checkpoint_every: Steps between checkpoints; 0 likewise.
        ratio: Share of the videos in a data set's training list that is trained on, where it has no validation list;
            the rest is measured on. 0 trains on the whole list.
        videos: How many of each data set's training videos are used, at random; 0 uses all.
        seed: Of the initial weights and of everything drawn.
    """

    model: str
    steps: Count
    learning_rate: NonNegativeFloat
    weight_decay: NonNegativeFloat
    warmup: NonNegativeInt
    power: NonNegativeFloat
    gradient_norm: NonNegativeFloat
    accumulate: Count = 1
    ema: Share
    validate_every: NonNegativeInt
    checkpoint_every: NonNegativeInt
    ratio: float = 0.0
    videos: NonNegativeInt = 0
    seed: int

    @field_validator("*", mode="before")
    @classmethod
    def _lists_as_tuples(cls, value: Any) -> Any:
        # TOML has no tuples, and a strict record takes no lists for them.
        return tuple(cls._lists_as_tuples(item) for item in value) if isinstance(value, list) else value

    @field_validator("ratio")
    @classmethod
    def _both_parts_have_videos(cls, ratio: float) -> float:
        if not 0 <= ratio < 1:
            raise refused("both parts need videos", "set it between 0 and 1, or 0 for whole lists")
        return ratio

    def refuse(self, name: str, why: str, fix: str) -> NoReturn:
        """Refuse the value of a field that does not go together with others.

        Raises:
            UsageError: Always.
        """
        raise UsageError(f"recipe: {name} = {getattr(self, name)}", why=why, fix=fix)

    def check_division(self, *, processes: int) -> None:
        """Refuse a number of processes that a step cannot be divided among evenly.

        Raises:
            UsageError: It cannot.
        """
        raise NotImplementedError


def check_division(what: str, count: int, *, processes: int, accumulate: int, unit: int = 1) -> None:
    """Refuse a step that cannot be divided evenly.

    Args:
        what: Name of the things that are divided, in the plural.
        count: Number of them in a step.
        processes: Number of processes that share the step.
        accumulate: Parts of each share.
        unit: Number of things that must stay together.

    Raises:
        UsageError: The parts would not be equal.
    """
    if count % (processes * accumulate * unit):
        together = f", {unit} of which belong together" if unit > 1 else ""
        raise UsageError(
            f"{count} {what} a step cannot be divided among {processes} processes in {accumulate} parts each",
            why=f"{processes * accumulate} equal parts are needed{together}",
            fix="change the number of processes, accumulate, or the size of the step",
        )
