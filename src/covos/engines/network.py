"""What an engine asks of a network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from torch import Tensor

from covos.models.coattention import Memory
from covos.models.fusion import Fusion

FeaturesT = TypeVar("FeaturesT", bound=tuple[Tensor, ...])
"""A named tuple of tensors whose first dimension is the batch."""


class VideoNetwork(Protocol[FeaturesT]):
    """A network that encodes each frame by itself, and segments encoded queries by encoded references."""

    @property
    def stride(self) -> int:
        """Heights and widths of frames must be multiples of this, unless there is a fixed size."""

    @property
    def fixed_size(self) -> tuple[int, int] | None:
        """(height, width) that frames must have; None if any will do."""

    @property
    def fusions(self) -> tuple[Fusion, ...]:
        """How it can use several references, the best first."""

    @property
    def uses_motion(self) -> bool:
        """Whether `encode` makes anything of the motion."""

    def encode(self, image_BCHW: Tensor, motion_B4HW: Tensor | None = None) -> FeaturesT:
        """Encode B x 3 x H x W float RGB frames in [0, 1].

        Args:
            image_BCHW: The frames.
            motion_B4HW: B x 4 x H/4 x W/4 float32 (see `covos.engines.motion.residual_motion`), all zero for frames
                whose motion is not known; None if that holds for all.
        """

    def memorise(self, features: FeaturesT) -> Memory:
        """Turn encoded references into a memory."""

    def segment(self, features: FeaturesT, memories: Sequence[Memory], *, fusion: Fusion) -> Tensor:
        """Segment B queries by at least one memory of batch size 1: B x 1 x h x w float32 logits of the subject."""


def take(features: FeaturesT, rows: Sequence[int]) -> FeaturesT:
    """The features of some of the frames in a batch."""
    return type(features)(*(part[list(rows)] for part in features))
