"""What a training of covos-lite does, as one frozen value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from covos.training.task import Recipe, check_division


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
        motion_gap: Frames to the neighbour that the motion is found by, at most: videos have 15 to 60 a second.
        distractor_share: Share of the pasted groups whose background keeps its own subject: it moves with the scene,
            and only the motion tells that the pasted one is meant.
        bystanders: Up to so many others of the subject's kind stand in such a background.
        scatter_share: Share of the pasted groups each of whose frames has another background, with its own subject:
            what the frames share is meant, and only the references tell it.
        spoil_share: Share of the frames that are blurred, dim, noisy or coarse beyond what they tell by themselves.
        crops: (height, width) that the frames of a step may have; the middle of their range is the size in use.
        crop_chances: Of each; they sum to 1.
        zoom: Range of the window's width over that of the largest window that fits the picture.
        edge_weight: What a cell of the contour weighs more than one of the inside, at most; see
            `covos.training.lite.task.contour_weight`.
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
    motion_gap: int
    distractor_share: float
    bystanders: int
    scatter_share: float
    spoil_share: float
    crops: tuple[tuple[int, int], ...]
    crop_chances: tuple[float, ...]
    zoom: tuple[float, float]
    edge_weight: float
    encoder_learning_rate: float
    still_weight: float
    match_weight: float

    def __post_init__(self) -> None:
        # Not super(): a dataclass with slots is another class than the one that its methods were defined in.
        Recipe.__post_init__(self)
        for name in ("steps", "frames_per_step", "motion_gap"):
            self.require(name, at_least=1)
        for name in (
            "video_share", "paste_share", "motion_share", "distractor_share", "scatter_share", "spoil_share",
        ):  # fmt: skip
            self.require_share(name)
        for name in ("edge_weight", "bystanders"):
            self.require(name, at_least=0)
        if any(side < 32 or side % 32 for crop in self.crops for side in crop):
            self.refuse("crops", "the encoder halves the frame five times", "use multiples of 32")
        if len(self.crop_chances) != len(self.crops) or abs(sum(self.crop_chances) - 1) > 1e-6 or not self.crops:
            self.refuse("crop_chances", f"there are {len(self.crops)} crops", "give one each, 1 in all")
        if not 0 < self.zoom[0] <= self.zoom[1]:
            self.refuse("zoom", "it is a range of positive numbers", "write [least, most]")
        bad = [size for size in self.group_sizes if size < 2 or self.frames_per_step % size]
        if bad or not self.group_sizes:
            self.refuse(
                "group_sizes", f"{self.frames_per_step} frames must divide into whole groups of 2 or more", "change"
            )

    def check_division(self, *, processes: int) -> None:
        """Refuse a number of processes that a step's groups cannot be divided among."""
        for size in self.group_sizes:
            check_division("frames", self.frames_per_step, processes=processes, accumulate=self.accumulate, unit=size)
