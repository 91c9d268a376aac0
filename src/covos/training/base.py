"""What every recipe has."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, NoReturn

from covos.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What every training run has; each kind of training adds its own. All rates are per step.

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
    steps: int
    learning_rate: float
    weight_decay: float
    warmup: int
    power: float
    gradient_norm: float
    accumulate: int = 1
    ema: float
    validate_every: int
    checkpoint_every: int
    ratio: float = 0.0
    videos: int = 0
    seed: int

    def __post_init__(self) -> None:
        self.require("accumulate", at_least=1)
        for name in (
            "learning_rate", "weight_decay", "warmup", "power", "gradient_norm", "validate_every", "checkpoint_every",
            "videos",
        ):  # fmt: skip
            self.require(name, at_least=0)
        if not 0 <= self.ratio < 1:
            self.refuse("ratio", "both parts need videos", "set it between 0 and 1, or 0 for whole lists")
        self.require_share("ema")

    def refuse(self, name: str, why: str, fix: str) -> NoReturn:
        """Refuse the value of a field."""
        raise UsageError(f"recipe: {name} = {getattr(self, name)}", why=why, fix=fix)

    def require(self, name: str, *, at_least: int) -> None:
        """Refuse a field that is less."""
        if getattr(self, name) < at_least:
            self.refuse(name, "it is too small", f"set it to {at_least} or more")

    def require_share(self, name: str) -> None:
        """Refuse a field that is no share."""
        if not 0 <= getattr(self, name) <= 1:
            self.refuse(name, "it is a share", "set it between 0 and 1")

    def check_division(self, *, processes: int) -> None:
        """Refuse a number of processes that a step cannot be divided among evenly.

        Raises:
            UsageError: It cannot.
        """
        raise NotImplementedError

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for the card and the run's folder."""
        return asdict(self)


def check_division(what: str, count: int, *, processes: int, accumulate: int, unit: int = 1) -> None:
    """Refuse a step that cannot be divided evenly.

    Args:
        what: Is divided, in the plural.
        count: How many of them make a step.
        processes: That share the step.
        accumulate: Parts of each share.
        unit: How many must stay together.

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
