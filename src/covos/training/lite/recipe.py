"""Recipe of a training of covos-lite."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import NonNegativeFloat, NonNegativeInt, model_validator

from covos.training.recipe import Count, Crops, Recipe, Share, Zoom, check_division


class LiteRecipe(Recipe):
    """Settings of a training of covos-lite, beside those of `Recipe`. All sizes in pixels.

    The optimiser is AdamW; norms, biases and the temperature are not decayed.

    Attributes:
        frames_per_step: Frames in a batch; divided into groups of frames of one video.
        group_sizes: Each step draws its group size from these; the frames of a group are each other's references.
        video_share: Share of the groups that come from videos; the others are views of one still picture. Within a
            share, a data set is drawn in proportion to the square root of its number of videos or pictures.
        paste_share: Share of the groups that show a small subject of a still picture moving over a background.
        motion_share: Share of the groups whose motion is known; in the others the network sees pictures alone.
        motion_gap: Frames to the neighbour that the motion is found by, at most: videos have 15 to 60 a second.
        distractor_share: Share of the pasted groups whose background keeps its own subject: it moves with the scene,
            and only the motion tells that the pasted one is meant.
        bystanders: Up to so many others of the subject's kind stand in such a background.
        scatter_share: Share of the pasted groups each of whose frames has another background, with its own subject:
            what the frames share is meant, and only the references tell it.
        spoil_share: Share of the frames that are blurred, dim, noisy or coarse beyond what they tell by themselves.
        crops: (height, width) that the frames of a step may have; the middle of their range is the size in use.
        crop_chances: Chance of each; they sum to 1.
        zoom: Range of the window's width over that of the largest window that fits the picture.
        edge_weight: Weight of a cell of the contour beyond that of one of the inside, at most; see
            `covos.training.losses.contour_weight`.
        encoder_learning_rate: Peak rate for the encoder, which starts from ImageNet weights.
        still_weight: Weight of the still-image head's loss.
        match_weight: Weight of the loss on the subject mask as read from the references through the attention.
    """

    model: Literal["lite"] = "lite"
    frames_per_step: Count
    group_sizes: tuple[int, ...]
    video_share: Share
    paste_share: Share
    motion_share: Share
    motion_gap: Count
    distractor_share: Share
    bystanders: NonNegativeInt
    scatter_share: Share
    spoil_share: Share
    crops: Crops
    crop_chances: tuple[float, ...]
    zoom: Zoom
    edge_weight: NonNegativeFloat
    encoder_learning_rate: float
    still_weight: float
    match_weight: float

    @model_validator(mode="after")
    def _fields_fit(self) -> Self:
        if len(self.crop_chances) != len(self.crops) or abs(sum(self.crop_chances) - 1) > 1e-6 or not self.crops:
            self.refuse("crop_chances", f"there are {len(self.crops)} crops", "give one each, 1 in all")
        bad = [size for size in self.group_sizes if size < 2 or self.frames_per_step % size]
        if bad or not self.group_sizes:
            self.refuse(
                "group_sizes", f"{self.frames_per_step} frames must divide into whole groups of 2 or more", "change"
            )
        return self

    def check_division(self, *, processes: int) -> None:
        """Refuse a number of processes that a step's groups cannot be divided among."""
        for size in self.group_sizes:
            check_division("frames", self.frames_per_step, processes=processes, accumulate=self.accumulate, unit=size)
