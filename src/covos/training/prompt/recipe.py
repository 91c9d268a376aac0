"""What a training of covos-prompt does, as one frozen value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from covos.training.task import Recipe, check_division


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptRecipe(Recipe):
    """Settings of a training of covos-prompt, beside those of `Recipe`. All sizes in pixels.

    The optimiser is AdamW; norms, biases and the scales are not decayed. The encoder is not trained.

    Attributes:
        encoder: The covos-lite whose features it works on: a name, or a .safetensors file.
        encoder_sha256: Of the encoder's weights. Left empty, it is filled in; the card then says which it was.
        frames_per_step: Frames in a batch; in each, one object is asked for.
        rounds: Each step draws from these how often the network is asked; between two rounds a click is put where it
            was most wrong.
        most_clicks: Clicks before the first round, at most.
        box_share: Share of the frames on which a box is drawn round the object, half of them without clicks.
        previous_share: Share of the frames on which a mask is to be corrected, with one click, and no box.
        video_share: Share of the frames that come from videos; the others are still pictures.
        crowd_share: Share of the frames over which further objects, cut out of still pictures, are laid.
        most_objects: That are laid over a frame.
        twin_share: Share of the frames that show another instance of one of the objects near it.
        component_share: Share of the masks in several pieces of which one piece is asked for.
        spoil_share: Share of the frames that are blurred, coarse, dim or noisy.
        motion_share: Share of the frames whose motion is known (see `covos.engines.motion`).
        crop: (height, width) of the training frames.
        zoom: Range of the window's width over that of the largest window that fits the picture.
        edge_weight: What a cell of the contour weighs more than one of the inside, at most; see
            `covos.training.lite.task.contour_weight`.
    """

    model: Literal["prompt"] = "prompt"
    encoder: str = "covos-lite"
    encoder_sha256: str = ""
    frames_per_step: int
    rounds: tuple[int, ...]
    most_clicks: int
    box_share: float
    previous_share: float
    video_share: float
    crowd_share: float
    most_objects: int
    twin_share: float
    component_share: float
    spoil_share: float
    motion_share: float
    crop: tuple[int, int]
    zoom: tuple[float, float]
    edge_weight: float

    def __post_init__(self) -> None:
        # Not super(): a dataclass with slots is another class than the one that its methods were defined in.
        Recipe.__post_init__(self)
        for name in ("steps", "frames_per_step", "most_clicks", "most_objects"):
            self.require(name, at_least=1)
        for name in (
            "box_share", "previous_share", "video_share", "crowd_share", "twin_share", "component_share",
            "spoil_share", "motion_share",
        ):  # fmt: skip
            self.require_share(name)
        self.require("edge_weight", at_least=0)
        if self.box_share + self.previous_share > 1:
            self.refuse("box_share", "with previous_share it is more than all frames", "lower one of them")
        if any(side < 32 or side % 32 for side in self.crop):
            self.refuse("crop", "the encoder halves the frame five times", "use multiples of 32")
        if not 0 < self.zoom[0] <= self.zoom[1]:
            self.refuse("zoom", "it is a range of positive numbers", "write [least, most]")
        if not self.rounds or min(self.rounds) < 1:
            self.refuse("rounds", "the network is asked at least once", "use 1 or more")

    def check_division(self, *, processes: int) -> None:
        """Refuse a number of processes that a step's frames cannot be divided among."""
        check_division("frames", self.frames_per_step, processes=processes, accumulate=self.accumulate)
