"""From frames to what a network takes, and back."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
import torch
from torch import Tensor

from covos.types import ImageArray, ProbabilityArray


def working_size(size: tuple[int, int], *, area: int, stride: int) -> tuple[int, int]:
    """The size at which a frame is encoded: of a given area, of the frame's aspect, in multiples of the stride.

    An area rather than a side, so that tall, wide and square videos cost the same and show their subject equally
    large. A 480 x 854 frame with an area of 256 x 448 is encoded at 256 x 448.

    Args:
        size: (height, width) of the frame.
        area: Pixels.
        stride: Of the network's deepest features.
    """
    height, width = size
    # Beyond 4:1 the short side would shrink to a few cells; such frames are squeezed instead.
    aspect = min(max(width / height, 1 / 4), 4.0)
    rows = max(round(math.sqrt(area / aspect) / stride), 1)
    columns = max(round(math.sqrt(area * aspect) / stride), 1)
    return rows * stride, columns * stride


def to_batch(images: Sequence[ImageArray], *, size: tuple[int, int], device: torch.device) -> Tensor:
    """Resize frames and stack them.

    Args:
        images: H x W x 3 uint8 RGB each.
        size: (height, width) to resize to.
        device: Where to put the batch.

    Returns:
        B x 3 x height x width float32 in [0, 1], channels-last in memory.
    """
    height, width = size
    resized = [
        # Area averaging when shrinking: anything else aliases, and aliasing flickers from frame to frame.
        cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if image.shape[1] > width else cv2.INTER_LINEAR)
        for image in images
    ]
    batch = torch.from_numpy(np.stack(resized)).to(device).permute(0, 3, 1, 2)
    return batch.to(torch.float32, memory_format=torch.channels_last) / 255


def to_probability(logit: Tensor, *, size: tuple[int, int]) -> ProbabilityArray:
    """Up-sample a logit map to a frame's size and take the sigmoid.

    Logits, not probabilities, are interpolated: the contour (logit 0) then lies where the line between two cells
    crosses zero.

    Args:
        logit: h x w float32.
        size: (height, width) of the frame.

    Returns:
        H x W float32 in [0, 1].
    """
    height, width = size
    full = cv2.resize(logit.cpu().numpy(), (width, height), interpolation=cv2.INTER_LINEAR)
    # In place: a full-size temporary costs more than the arithmetic.
    np.negative(full, out=full)
    np.exp(np.minimum(full, 80.0, out=full), out=full)
    full += 1
    np.reciprocal(full, out=full)
    return np.asarray(full, np.float32)
