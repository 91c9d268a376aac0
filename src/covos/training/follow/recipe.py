"""Recipe of a training of covos-follow."""

from __future__ import annotations

from typing import Literal

from pydantic import field_validator

from covos.training.recipe import Count, Crop, Recipe, Share, Zoom, check_division, refused


class FollowRecipe(Recipe):
    """Settings of a training of covos-follow, beside those of `Recipe`. All sizes in pixels.

    The optimiser is AdamW; norms, biases and the temperature are not decayed. The encoder is not trained.

    Attributes:
        encoder: The covos-lite whose features it works on: a name, or a .safetensors file.
        encoder_sha256: Hash of the encoder's weights. Left empty, it is filled in; the card then says which it was.
        clips_per_step: Clips in a batch.
        clip_sizes: Each step draws the number of frames in its clips from these.
        most_objects: Objects that are followed in a clip, at most.
        video_share: Share of the clips whose scene is a video; the scene of the others is a still picture that a
            camera moves over.
        crowd_share: Share of the video clips over which further objects, cut out of still pictures, are moved. Over
            still pictures they always are.
        twin_share: Share of the clips in which another instance of one of the objects moves about near it, in front of
            everything or behind, and is not to be followed.
        motion_share: Share of the clips whose motion is known (see `covos.engines.motion`).
        max_gap: Most annotated frames from one frame of a video clip to the next.
        crop: (height, width) of the training frames.
        zoom: Range of the window's width over that of the largest window that fits the picture.
        read_weight: Weight of the loss on the masks as read from the memory.
        judge_weight: Weight of the loss on presence and expected quality.
    """

    model: Literal["follow"] = "follow"
    encoder: str = "covos-lite"
    encoder_sha256: str = ""
    clips_per_step: Count
    clip_sizes: tuple[int, ...]
    most_objects: Count
    video_share: Share
    crowd_share: Share
    twin_share: Share
    motion_share: Share
    max_gap: Count
    crop: Crop
    zoom: Zoom
    read_weight: float
    judge_weight: float

    @field_validator("clip_sizes")
    @classmethod
    def _frames_to_find(cls, sizes: tuple[int, ...]) -> tuple[int, ...]:
        if not sizes or min(sizes) < 2:
            raise refused("the first frame is given and at least one is to be found", "use 2 or more")
        return sizes

    def check_division(self, *, processes: int) -> None:
        """Refuse a number of processes that a step's clips cannot be divided among."""
        check_division("clips", self.clips_per_step, processes=processes, accumulate=self.accumulate)
