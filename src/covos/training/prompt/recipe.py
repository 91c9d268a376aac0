"""Recipe of a training of covos-prompt."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import NonNegativeFloat, field_validator, model_validator

from covos.training.recipe import Count, Crop, Recipe, Share, Zoom, check_division, refused


class PromptRecipe(Recipe):
    """Settings of a training of covos-prompt, beside those of `Recipe`. All sizes in pixels.

    The optimiser is AdamW; norms, biases and the scales are not decayed. The encoder is not trained.

    Attributes:
        encoder: The covos-lite whose features it works on: a name, or a .safetensors file.
        encoder_sha256: Hash of the encoder's weights. Left empty, it is filled in; the card then says which it was.
        frames_per_step: Frames in a batch; in each, one object is asked for.
        rounds: Each step draws from these how often the network is asked; between two rounds a click is put where it
            was most wrong.
        most_clicks: Clicks before the first round, at most.
        box_share: Share of the frames on which a box is drawn round the object, half of them without clicks.
        previous_share: Share of the frames on which a mask is to be corrected, with one click, and no box.
        video_share: Share of the frames that come from videos; the others are still pictures.
        crowd_share: Share of the frames over which further objects, cut out of still pictures, are laid.
        most_objects: Objects that are laid over a frame, at most.
        twin_share: Share of the frames that show another instance of one of the objects near it.
        component_share: Share of the masks in several pieces of which one piece is asked for.
        spoil_share: Share of the frames that are blurred, coarse, dim or noisy.
        motion_share: Share of the frames whose motion is known (see `covos.engines.motion`).
        crop: (height, width) of the training frames.
        zoom: Range of the window's width over that of the largest window that fits the picture.
        edge_weight: Weight of a cell of the contour beyond that of one of the inside, at most; see
            `covos.training.losses.contour_weight`.
    """

    model: Literal["prompt"] = "prompt"
    encoder: str = "covos-lite"
    encoder_sha256: str = ""
    frames_per_step: Count
    rounds: tuple[int, ...]
    most_clicks: Count
    box_share: Share
    previous_share: Share
    video_share: Share
    crowd_share: Share
    most_objects: Count
    twin_share: Share
    component_share: Share
    spoil_share: Share
    motion_share: Share
    crop: Crop
    zoom: Zoom
    edge_weight: NonNegativeFloat

    @field_validator("rounds")
    @classmethod
    def _asked_at_least_once(cls, rounds: tuple[int, ...]) -> tuple[int, ...]:
        if not rounds or min(rounds) < 1:
            raise refused("the network is asked at least once", "use 1 or more")
        return rounds

    @model_validator(mode="after")
    def _fields_fit(self) -> Self:
        if self.box_share + self.previous_share > 1:
            self.refuse("box_share", "with previous_share it is more than all frames", "lower one of them")
        return self

    def check_division(self, *, processes: int) -> None:
        """Refuse a number of processes that a step's frames cannot be divided among."""
        check_division("frames", self.frames_per_step, processes=processes, accumulate=self.accumulate)
