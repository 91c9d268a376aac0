"""What a training of covos-lite does, as one frozen value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from covos.training.base import Recipe, check_division


@dataclass(frozen=True, slots=True, kw_only=True)
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
        distractor_share: Share of the pasted groups whose background keeps its own subject: it moves with the scene,
            and only the motion tells that the pasted one is meant.
        crop: (height, width) of the training frames.
        zoom: Range of the window's width over that of the largest window that fits the picture: what is seen at
            320 pixels of half a picture is as large as in use, where the whole is seen at 448.
        large_crop: Size for the last ``large_share`` of the steps: the size in use.
        large_zoom: Range for these steps.
        large_share: See above, 0..1.
        encoder_learning_rate: Peak rate for the encoder, which starts from ImageNet weights.
        still_weight: Weight of the still-image head's loss.
        match_weight: Weight of the loss on the subject mask as read from the references through the attention.
    """

    model: Literal["lite"] = "lite"
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
    encoder_learning_rate: float
    still_weight: float
    match_weight: float

    def __post_init__(self) -> None:
        # Not super(): a dataclass with slots is another class than the one that its methods were defined in.
        Recipe.__post_init__(self)
        for name in ("steps", "frames_per_step"):
            self.require(name, at_least=1)
        for name in ("video_share", "paste_share", "motion_share", "distractor_share", "large_share"):
            self.require_share(name)
        for name in ("crop", "large_crop"):
            if any(side < 32 or side % 32 for side in getattr(self, name)):
                self.refuse(name, "the encoder halves the frame five times", "use multiples of 32")
        for name in ("zoom", "large_zoom"):
            if not 0 < getattr(self, name)[0] <= getattr(self, name)[1]:
                self.refuse(name, "it is a range of positive numbers", "write [least, most]")
        bad = [size for size in self.group_sizes if size < 2 or self.frames_per_step % size]
        if bad or not self.group_sizes:
            self.refuse(
                "group_sizes", f"{self.frames_per_step} frames must divide into whole groups of 2 or more", "change"
            )

    def framing_at(self, step: int) -> tuple[tuple[int, int], tuple[float, float]]:
        """(height, width) of the frames of this 0-based step, and their range of zoom."""
        if step >= self.steps * (1 - self.large_share):
            return self.large_crop, self.large_zoom
        return self.crop, self.zoom

    def check_division(self, *, processes: int) -> None:
        """Refuse a number of processes that a step's groups cannot be divided among."""
        for size in self.group_sizes:
            check_division("frames", self.frames_per_step, processes=processes, accumulate=self.accumulate, unit=size)
