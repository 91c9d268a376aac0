"""Clicks, a box or an earlier mask in, a mask out, by covos-prompt on the features of covos-lite."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from torch import Tensor

from covos.engines.geometry import to_probability
from covos.engines.motion import Observed
from covos.engines.unsupervised import THRESHOLD, UnsupervisedEngine
from covos.errors import UsageError
from covos.models.lite import Features
from covos.models.prompt import OUTPUT_STRIDE, CovosPrompt, Prompt, PromptView
from covos.types import Box, MaskArray, Point

SPOT = 3
"""Radius in pixels of what a point says for sure."""


class NetworkPrompter:
    """A `covos.engines.prompter.Prompter`: the network `covos-prompt`.

    What the prompts on a frame share is kept until another frame is asked for, so that each further click costs a
    fraction of the first.

    Args:
        eyes: Encodes the frames; its network is the covos-lite that ``network`` was trained on.
        network: In evaluation mode, on the same device.
    """

    name = "covos-prompt"

    def __init__(self, eyes: UnsupervisedEngine[Features], network: CovosPrompt) -> None:
        self.eyes = eyes
        self.network = network
        self._latest: tuple[Observed, PromptView] | None = None

    def mask(
        self, observed: Observed, *, points: Sequence[Point], box: Box | None, previous: MaskArray | None
    ) -> MaskArray:
        """See `covos.engines.prompter.Prompter.mask`.

        Args:
            observed: The frame, from `UnsupervisedEngine.observe`.
            points: All clicks so far, in pixels of the frame.
            box: Around the object, in pixels of the frame.
            previous: The mask that the latest click corrects, H x W bool of the frame's size.

        Raises:
            UsageError: Nothing at all is shown, or the mask has another size.
        """
        height, width = observed.frame.size
        if not points and box is None and previous is None:
            raise UsageError(
                f"nothing is shown on frame {observed.frame.index}",
                why="there is no click, no box and no mask",
                fix="click on the object, or draw a box around it",
            )
        if previous is not None and previous.shape != (height, width):
            raise UsageError(
                f"the mask to be corrected on frame {observed.frame.index} does not have the frame's size",
                why=f"it is {previous.shape[0]} x {previous.shape[1]} (height x width), the frame {height} x {width}",
                fix="give it at the frame's size",
            )
        encoded = self.eyes.size_of(observed.frame)
        prompt = as_prompt(points, box, previous, size=(height, width), encoded=encoded, device=self.eyes.device)
        with self.eyes.computing():
            logit = self.network.find(self._view(observed), prompt)[0, 0]
        found = to_probability(logit, size=(height, width)) > THRESHOLD
        return with_points(found, points)

    def _view(self, observed: Observed) -> PromptView:
        if self._latest is None or not _same(self._latest[0], observed):
            self._latest = observed, self.network.view(self.eyes.encode([observed]))
        return self._latest[1]


def _same(one: Observed, other: Observed) -> bool:
    """Whether two frames look the same and move the same; a frame may be read anew for each click."""
    if one is other:
        return True
    if (one.motion is None) != (other.motion is None) or not np.array_equal(one.frame.image, other.frame.image):
        return False
    return one.motion is None or other.motion is None or np.array_equal(one.motion, other.motion)


def with_points(mask: MaskArray, points: Sequence[Point]) -> MaskArray:
    """A mask that agrees with all points: round those that it contradicts, a spot is changed."""
    changed = mask.astype(np.uint8)
    for point in points:
        column, row = int(point.x), int(point.y)
        if mask[row, column] != point.positive:
            cv2.circle(changed, (column, row), SPOT, int(point.positive), thickness=cv2.FILLED)
    # Spots of two points may overlap.
    for point in points:
        changed[int(point.y), int(point.x)] = point.positive
    return changed.astype(np.bool_)


def as_prompt(
    points: Sequence[Point],
    box: Box | None,
    previous: MaskArray | None,
    *,
    size: tuple[int, int],
    encoded: tuple[int, int],
    device: torch.device,
) -> Prompt:
    """What was shown of one object on one frame, as the network takes it.

    Args:
        points: In pixels of the frame: (0, 0) is the centre of the first.
        box: In pixels of the frame.
        previous: H x W bool; None for none.
        size: (H, W) of the frame.
        encoded: (height, width) at which it is encoded.
        device: Where to put the tensors.
    """
    height, width = size
    rows = [((each.x + 0.5) / width, (each.y + 0.5) / height, 1.0 if each.positive else -1.0) for each in points]
    sides = [0.0] * 5 if box is None else [box.x0 / width, box.y0 / height, box.x1 / width, box.y1 / height, 1.0]
    cells = encoded[0] // OUTPUT_STRIDE, encoded[1] // OUTPUT_STRIDE
    return Prompt(
        torch.tensor([rows or [(0.0, 0.0, 0.0)]], device=device),
        torch.tensor([sides], device=device),
        torch.zeros(1, 1, *cells, device=device) if previous is None else _small(previous, cells).to(device),
    )


def _small(mask: MaskArray, cells: tuple[int, int]) -> Tensor:
    shrinks = mask.shape[0] >= cells[0] and mask.shape[1] >= cells[1]
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    small = cv2.resize(mask.astype(np.float32), cells[::-1], interpolation=interpolation)
    return torch.from_numpy(np.clip(small, 0, 1))[None, None]
