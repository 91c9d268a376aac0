"""Encode the frames of a video: from pictures to what a network takes, and from its logits back.

A frame is encoded once, whatever is then done with it. Frames are *observed* first: beside their predecessors, so that
what moves in them is known.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from itertools import islice
from typing import Any, Generic, Protocol, TypedDict, TypeVar

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from covos.core.types import Frame, ImageArray, ProbabilityArray
from covos.engines.ladder import Ladder
from covos.engines.motion import Observed, mirror_motion, motion_batch, observe, with_neighbours
from covos.masks.scaling import to_size
from covos.media.picture import picture_at, reduced
from covos.media.source import Source
from covos.models.choices import Fusion
from covos.models.coattention import Memory

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
        """Fusions of several references that it can do, the best first."""

    @property
    def uses_motion(self) -> bool:
        """True if `encode` makes anything of the motion."""

    def encode(self, image_BCHW: Tensor, motion_B4HW: Tensor | None = None) -> FeaturesT:
        """Encode B x 3 x H x W float RGB frames in [0, 1], and their motion, B x 4 x H/4 x W/4 float32.

        The motion (see `covos.engines.motion.residual_motion`) is all zero for frames where it is not known; None if
        that holds for all.
        """

    def memorise(self, features: FeaturesT) -> Memory:
        """Turn encoded references into a memory."""

    def segment(self, features: FeaturesT, memories: Sequence[Memory], *, fusion: Fusion) -> Tensor:
        """Segment B queries by at least one memory of batch size 1: B x 1 x h x w float32 logits of the subject."""


def select_rows(features: FeaturesT, rows: Sequence[int]) -> FeaturesT:
    """Return the features of some of the frames in a batch."""
    return type(features)(*(part[list(rows)] for part in features))


def join_rows(features: Sequence[FeaturesT]) -> FeaturesT:
    """Return the features of frames, each of which has its own, as a batch."""
    return type(features[0])(*map(torch.cat, zip(*features, strict=True)))


class EncoderSettings(TypedDict):
    """The arguments that make an encoder of a network; see `FrameEncoder`."""

    device: torch.device
    precision: torch.dtype
    area: int
    batch: int
    mirrored: bool
    cuts: Collection[int]
    ladder: Ladder


class FrameEncoder(Generic[FeaturesT]):
    """Runs the encoder of a network on the frames of a video.

    Args:
        network: In evaluation mode, on ``device``.
        device: Device of the network.
        precision: Precision of the network's arithmetic: float32, or bfloat16 / float16 by autocast.
        area: Pixels of the encoded frame (see `working_size`), unless the network has a size of its own.
        batch: Frames encoded together, while the memory holds them.
        mirrored: If true, frames are encoded as a mirror shows them, left and right exchanged.
        cuts: Indices of the frames that begin a shot: what comes before them is no neighbour.
        ladder: Runs the network, and goes on with less when the memory runs out; with its own device and precision.
    """

    def __init__(
        self,
        network: VideoNetwork[FeaturesT],
        *,
        device: torch.device,
        precision: torch.dtype,
        area: int,
        batch: int,
        mirrored: bool = False,
        cuts: Collection[int] = (),
        ladder: Ladder | None = None,
    ) -> None:
        self.area = area
        self.batch = batch
        self.mirrored = mirrored
        self.cuts = frozenset(cuts)
        self.ladder = ladder or Ladder(device=device, precision=precision)
        self._network = network

    @property
    def network(self) -> VideoNetwork[FeaturesT]:
        """The network, on the device that is computed on now."""
        return self.ladder.here(self._network)

    @property
    def device(self) -> torch.device:
        """Device that is computed on now."""
        return self.ladder.device

    @property
    def precision(self) -> torch.dtype:
        """Precision of the arithmetic now."""
        return self.ladder.precision

    @property
    def together(self) -> int:
        """Frames that are encoded together now: the batch, or fewer since the memory ran out."""
        return self.ladder.frames(self.batch)

    def scaled(self, share: float, *, mirrored: bool = False) -> FrameEncoder[FeaturesT]:
        """Return an encoder of the same network, on the same ladder, that encodes at this share of the area.

        On a processor, a batch of frames of twice the area or more has fewer of them: it takes as much memory, and as
        long a time.
        """
        settings = self._settings()
        settings["area"], settings["mirrored"] = round(share * self.area), mirrored
        if share >= 2 and self.device.type == "cpu":
            settings["batch"] = max(1, int(self.batch / share))
        return FrameEncoder(self._network, **settings)

    def cut_at(self, cuts: Collection[int]) -> FrameEncoder[FeaturesT]:
        """Return the same encoder, on the same ladder, for a video with these cuts."""
        settings = self._settings()
        settings["cuts"] = cuts
        return FrameEncoder(self._network, **settings)

    def fresh(self) -> FrameEncoder[FeaturesT]:
        """Return the same encoder on a ladder of its own, for another video."""
        settings = self._settings()
        settings["cuts"], settings["ladder"] = (), self.ladder.fresh()
        return FrameEncoder(self._network, **settings)

    def _settings(self) -> EncoderSettings:
        """Return the arguments that make the same encoder of the network."""
        return {
            "device": self.device,
            "precision": self.precision,
            "area": self.area,
            "batch": self.batch,
            "mirrored": self.mirrored,
            "cuts": self.cuts,
            "ladder": self.ladder,
        }

    def observe(self, frames: Iterable[Frame], *, wanted: Collection[int] | None = None) -> Iterator[Observed]:
        """Give each frame its motion, if the network uses it, and its picture at the size that the network takes.

        See `covos.engines.motion.observe`. The pictures are made here since this runs ahead of the network.
        """
        if self._network.uses_motion:
            return observe(frames, size_of=self.size_of, wanted=wanted, cuts=self.cuts)
        chosen = (frame for frame in frames if wanted is None or frame.index in wanted)
        return (Observed(frame=each, motion=None, small=picture_at(each, self.size_of(each))) for each in chosen)

    def needed(self, indices: Iterable[int], *, frame_count: int) -> tuple[int, ...]:
        """Return the ascending indices of the frames that must be read so that `observe` can yield these."""
        if not self._network.uses_motion:
            return tuple(indices)
        return with_neighbours(indices, frame_count=frame_count, cuts=self.cuts)

    def select(self, source: Source, wanted: Sequence[int]) -> Iterator[Observed]:
        """Read some frames of a source, by ascending indices, and observe them."""
        pictures = source.select(self.needed(wanted, frame_count=source.info.frame_count))
        return self.observe(pictures, wanted=wanted)

    def encode(self, observed: Sequence[Observed]) -> FeaturesT:
        """Encode frames of one size as a batch; to be called while `computing`."""
        size = self.size_of(observed[0].frame)
        pictures = [
            picture_at(each.frame, size) if each.small is None or each.small.shape[:2] != size else each.small
            for each in observed
        ]
        image = to_batch(pictures, size=size, device=self.device)
        motion = motion_batch([each.motion for each in observed], size=size, device=self.device)
        if self.mirrored:
            image, motion = image.flip(3), None if motion is None else mirror_motion(motion)
        return self.network.encode(image, motion)

    def note(self, logits: Mapping[int, Tensor]) -> None:
        """Take the subject's logits in frames that were encoded, by index; `covos.engines.kept` keeps them."""

    def is_noted(self, index: int) -> bool:
        """Tell if the subject's logits in a frame are kept."""
        return False

    def noted(self, index: int) -> Tensor | None:
        """Return the subject's logits in a frame, h x w, if they are kept."""
        return None

    def size_of(self, frame: Frame) -> tuple[int, int]:
        """Return the (height, width) at which a frame is encoded."""
        size = frame.source_size or frame.size  # one for all frames of a source
        return self._network.fixed_size or working_size(size, area=self.area, stride=self._network.stride)

    def computing(self) -> AbstractContextManager[None]:
        """Set up what the network runs in: without gradients, in its precision."""
        return self.ladder.computing()


class SharedEncoder(FrameEncoder[Any]):
    """Keeps the features of its latest batches, for two engines that take the same frames in turn.

    Args:
        encoder: Encodes the frames.
        ahead: Frames by which one engine may be ahead of the other. So the latest batches are kept that hold more than
            these together.
    """

    def __init__(self, encoder: FrameEncoder[Any], *, ahead: int = 0) -> None:
        super().__init__(encoder._network, **encoder._settings())
        self._ahead = ahead
        self._kept: deque[tuple[list[int], Any]] = deque()
        """Batches: the indices of their frames, and their features."""

    def encode(self, observed: Sequence[Observed]) -> Any:
        """See `FrameEncoder.encode`."""
        indices = [each.frame.index for each in observed]
        known = {index for kept, _ in self._kept for index in kept}
        if not set(indices) <= known:
            # What is known again was observed anew, such as for a second pass.
            self._kept = deque(each for each in self._kept if not set(indices) & set(each[0]))
            self._kept.append((indices, super().encode(observed)))
            while sum(len(kept) for kept, _ in islice(self._kept, 1, None)) > self._ahead:
                self._kept.popleft()
        parts = [
            (kept, self.ladder.moved(features)) for kept, features in self._kept if not set(indices).isdisjoint(kept)
        ]
        if len(parts) == 1:
            ((kept, features),) = parts
            return features if indices == kept else select_rows(features, [kept.index(index) for index in indices])
        rows = {index: (features, row) for kept, features in parts for row, index in enumerate(kept)}
        return join_rows([select_rows(features, [row]) for features, row in (rows[index] for index in indices)])


def at_source_size(frame: Frame) -> Frame:
    """Return a frame scaled to the size of its source, where prompts are given, if it has another."""
    if frame.source_size is None:
        return frame
    image = to_size(frame.image, frame.source_size, interpolation=cv2.INTER_LINEAR)
    return replace(frame, image=image, alpha=None, bare=None, source_size=None, coded=None)


def working_size(size: tuple[int, int], *, area: int, stride: int) -> tuple[int, int]:
    """Choose the size (height, width) at which a frame is encoded: a given area, its aspect, multiples of the stride.

    An area rather than a side, so that tall, wide and square videos cost the same and show their subject equally
    large. A 480 x 854 frame with an area of 256 x 448 is encoded at 256 x 448.
    """
    height, width = size
    # Beyond 4:1 the short side would shrink to a few cells; such frames are squeezed instead.
    aspect = min(max(width / height, 1 / 4), 4.0)
    rows = max(round(math.sqrt(area / aspect) / stride), 1)
    columns = max(round(math.sqrt(area * aspect) / stride), 1)
    return rows * stride, columns * stride


def to_batch(images: Sequence[ImageArray], *, size: tuple[int, int], device: torch.device) -> Tensor:
    """Resize frames, H x W x 3 uint8 RGB each, to (height, width), and stack them.

    Returns:
        B x 3 x height x width float32 in [0, 1], channels-last in memory.
    """
    stacked = torch.from_numpy(np.stack([reduced(image, size) for image in images]))
    if device.type == "cuda":
        # From pinned memory the copy goes on beside the work that the device still has.
        stacked = stacked.pin_memory()
    batch = stacked.to(device, non_blocking=True).permute(0, 3, 1, 2)
    return batch.to(torch.float32, memory_format=torch.channels_last) / 255


def sigmoid(logit: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the probabilities of logits of any shape."""
    return np.asarray(1 / (1 + np.exp(-np.clip(logit, -30, 30))), np.float32)


def to_probability(logit: Tensor, *, size: tuple[int, int]) -> ProbabilityArray:
    """Up-sample a logit map, h x w float32, to a frame's size (height, width), and take the sigmoid.

    Logits, not probabilities, are interpolated: the contour (logit 0) then lies where the line between two cells
    crosses zero.
    """
    height, width = size
    full = cv2.resize(logit.cpu().numpy(), (width, height), interpolation=cv2.INTER_LINEAR)
    # In place: a full-size temporary costs more than the arithmetic.
    np.negative(full, out=full)
    cv2.exp(np.minimum(full, 80.0, out=full), full)  # in a fifth of numpy's time
    full += 1
    np.reciprocal(full, out=full)
    return np.asarray(full, np.float32)
