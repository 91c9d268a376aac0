"""Data sets for torch's DataLoader: frames, pairs of frames and groups of frames, with their masks.

Shape legend: K frames of an item, H height, W width.
"""

from __future__ import annotations

import copy
import inspect
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from reprlib import repr as shortened
from typing import Any, Literal, NamedTuple, Protocol, SupportsIndex, TypeAlias

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset

from covos.core.errors import AnnotationError, UsageError, listed
from covos.core.progress import counted
from covos.core.types import ImageArray
from covos.data.base import FrameRecord, Size, checked_position, checked_size
from covos.data.dataset import Dataset
from covos.data.reading import read_foreground, read_image, read_labels
from covos.data.sampling import PairIndex, sample_group
from covos.data.video import Video
from covos.masks import VOID

MaskArray: TypeAlias = NDArray[np.uint8] | NDArray[np.float32]
"""H x W, as ``mask`` asks for: uint8 ids, or float32 shares."""


class Item(NamedTuple):
    """A frame with its mask: ``image, mask = item``; K frames of a pair or group have a K in front of each shape.

    Attributes:
        image: 3 x H x W uint8 RGB, 0..255, or what the transform makes of it. Bytes are a quarter of floats on the way
            from the workers and to a GPU, and networks differ in how they normalise: ``image.float() / 255`` there.
        mask: H x W uint8 ids, 0 = background, 255 = void (``ignore_index=255``); or H x W float32 shares in [0, 1],
            255 = void.
    """

    image: Tensor
    mask: Tensor


class Transform(Protocol):
    """A function of a picture and its mask, called with keywords, as albumentations are.

    It takes H x W x 3 uint8 RGB and H x W (uint8 ids or float32 shares, 255 = void), and returns the pair, or a
    dictionary with ``image`` and ``mask``: arrays of these shapes, or tensors of 3 x H x W and H x W. One with a
    parameter ``rng`` gets a numpy generator. To be used with workers it has to pickle: a function or class of a module.
    """

    def __call__(self, *, image: ImageArray, mask: MaskArray) -> Any:
        """Return the changed pair."""


class _Frames(TorchDataset[Item]):
    """The base of the three kinds: it chooses the videos, and reads and transforms a frame."""

    def __init__(
        self,
        data: Dataset | Video | Iterable[Dataset | Video],
        *,
        size: Size | None,
        transform: Transform | None,
        mask: Literal["ids", "subject"],
        seed: int | None,
    ) -> None:
        if mask not in ("ids", "subject"):
            raise UsageError(
                f"mask={mask!r} is no kind of mask",
                why='"ids" are object ids, "subject" is the share of each pixel that belongs to any object',
                fix="take one of the two",
            )
        if seed is not None and seed < 0:
            raise UsageError(f"seed={seed} is no seed", why="seeds are 0 or more", fix="take 0, or None to draw anew")
        videos = _videos(data)
        self.videos = [video for video in videos if video.annotated]
        self.size = None if size is None else checked_size(size)
        self.transform = transform
        self.mask = mask
        self.seed = seed
        self._draws = transform is not None and _checked(transform)
        if not self.videos:
            raise AnnotationError(
                "there are no frames with an annotation",
                why=f"none of {counted(len(videos), 'video')} has any: {listed(video.name for video in videos)}",
                fix="open a part that has them, such as subset=train; look with: covos data inspect ROOT",
            )

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of items."""

    def _rng(self, index: int) -> Generator:
        if self.seed is not None:
            return np.random.default_rng((self.seed, index))
        # torch's own generator: torch.manual_seed repeats it, and DataLoader gives each worker another.
        return np.random.default_rng(int(torch.randint(2**63 - 1, ())))

    def _read(self, video: Video, record: FrameRecord, rng: Generator) -> Item:
        image = read_image(record, size=self.size)
        mask: MaskArray
        if self.mask == "ids":
            mask = read_labels(video, record, size=self.size)
        else:
            share, valid = read_foreground(video, record, size=self.size)
            mask = np.where(valid, share, np.float32(VOID))
        if self.transform is None:
            return _as_item(image, mask)
        drawn: dict[str, Any] = {"rng": rng} if self._draws else {}
        changed = self.transform(image=image, mask=mask, **drawn)
        try:
            image, mask = (changed["image"], changed["mask"]) if isinstance(changed, Mapping) else changed
            return _as_item(image, mask)
        except (KeyError, TypeError, ValueError, UsageError) as error:
            said = error.what if isinstance(error, UsageError) else str(error)
            raise UsageError(
                f"the transform {_name(self.transform)} does not return a picture and its mask",
                why=" ".join(said.split()) or type(error).__name__,
                fix="return (image, mask) or {'image': ..., 'mask': ...}: arrays of H x W x 3 and H x W, or tensors of "
                "3 x H x W and H x W",
            ) from error

    def _read_together(self, video: Video, records: Sequence[FrameRecord], rng: Generator, *, same_draws: bool) -> Item:
        """Read frames of one video, each transformed with draws of its own or with those of the first."""
        items = [self._read(video, record, copy.deepcopy(rng) if same_draws else rng) for record in records]
        shapes = {tuple(item.image.shape) for item in items}
        if len(shapes) > 1:
            raise UsageError(
                f"frames of {video.name} have several sizes: {listed(sorted(shapes))}",
                why=f"the {len(items)} of one item become one tensor",
                fix="give a size, such as size=(480, 854), or a transform that ends with one",
            )
        return Item(torch.stack([item.image for item in items]), torch.stack([item.mask for item in items]))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({counted(len(self), 'item')} of {counted(len(self.videos), 'video')})"


class FrameDataset(_Frames):
    """Every annotated frame of some videos or pictures: 3 x H x W and H x W.

    Args:
        data: A data set, a video, or several of these. Frames without annotation are left out.
        size: (height, width) that frames are read at; None leaves them as they are, and then a batch of several needs
            frames of one size, or a transform that makes them so.
        transform: Called for each frame, see `Transform`.
        mask: ``"ids"`` for uint8 object ids, or ``"subject"`` for float32: how much of a pixel belongs to any object.
        seed: None draws anew each time, by torch's generator; a number gives an item the same draws each time.

    Raises:
        AnnotationError: There is no annotated frame.
        UsageError: An argument is none of these.
    """

    def __init__(
        self,
        data: Dataset | Video | Iterable[Dataset | Video],
        *,
        size: Size | None = None,
        transform: Transform | None = None,
        mask: Literal["ids", "subject"] = "ids",
        seed: int | None = None,
    ) -> None:
        super().__init__(data, size=size, transform=transform, mask=mask, seed=seed)
        self.frames = [(video, record) for video in self.videos for record in video.annotated]

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, index: SupportsIndex) -> Item:
        """Return item ``index``, of frame and video ``self.frames[index]``.

        Raises:
            IndexError: There is no such item.
            InputError: A file cannot be read.
            UsageError: The transform returns something else than a picture and a mask.
        """
        number = checked_position(index, count=len(self), what="frame")
        return self._read(*self.frames[number], self._rng(number))


class PairDataset(_Frames):
    """All pairs of annotated frames of each video, ``combinations(frames, 2)``: 2 x 3 x H x W and 2 x H x W.

    The pairs are numbered, not listed: 560 videos of 150 frames have six million. The earlier frame comes first.

    Args:
        data: A data set, a video, or several of these; still pictures have no pairs.
        size: As for `FrameDataset`.
        transform: As for `FrameDataset`.
        mask: As for `FrameDataset`.
        seed: As for `FrameDataset`.
        same_draws: Give both frames the same draws: a flip flips both.

    Raises:
        AnnotationError: No video has two annotated frames.
        UsageError: An argument is none of these.
    """

    def __init__(
        self,
        data: Dataset | Video | Iterable[Dataset | Video],
        *,
        size: Size | None = None,
        transform: Transform | None = None,
        mask: Literal["ids", "subject"] = "ids",
        seed: int | None = None,
        same_draws: bool = False,
    ) -> None:
        super().__init__(data, size=size, transform=transform, mask=mask, seed=seed)
        self.pairs = PairIndex(self.videos)
        self.same_draws = same_draws
        if not len(self.pairs):
            raise AnnotationError(
                "there are no pairs of frames",
                why=f"none of {counted(len(self.videos), 'annotated video')} has two annotated frames",
                fix="take videos with more annotations, such as the training list; or FrameDataset for still pictures",
            )

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: SupportsIndex) -> Item:
        """Return item ``index``, of video and frames ``self.pairs[index]``; errors as for `FrameDataset`."""
        number = checked_position(index, count=len(self), what="pair")
        video, *records = self.pairs[number]
        return self._read_together(video, records, self._rng(number), same_draws=self.same_draws)


class GroupDataset(_Frames):
    """Random groups of K annotated frames of one video, as a training with co-attention takes them.

    Item i is of video i, over and over: K x 3 x H x W and K x H x W, in the order of time. The frames are distinct,
    except in videos that have fewer.

    Args:
        data: A data set, a video, or several of these; of a still picture, a group is K times that picture, each
            transformed with draws of its own.
        frames: K, 1 or more.
        max_gap: Largest step between two neighbours of a group, counted in annotated frames; None for the whole video.
        per_video: Groups of each video in one pass.
        size: As for `FrameDataset`.
        transform: As for `FrameDataset`.
        mask: As for `FrameDataset`.
        seed: As for `FrameDataset`; draws the frames, too.
        same_draws: Give all frames of a group the same draws of the transform.

    Raises:
        AnnotationError: There is no annotated frame.
        UsageError: An argument is none of these.
    """

    def __init__(
        self,
        data: Dataset | Video | Iterable[Dataset | Video],
        *,
        frames: int = 3,
        max_gap: int | None = None,
        per_video: int = 1,
        size: Size | None = None,
        transform: Transform | None = None,
        mask: Literal["ids", "subject"] = "ids",
        seed: int | None = None,
        same_draws: bool = False,
    ) -> None:
        super().__init__(data, size=size, transform=transform, mask=mask, seed=seed)
        for name, value in (("frames", frames), ("max_gap", max_gap), ("per_video", per_video)):
            if value is not None and value < 1:
                raise UsageError(
                    f"{name}={value} makes no groups", why="it is a number from 1 up", fix="leave it out, or raise it"
                )
        self.group = frames
        self.max_gap = max_gap
        self.per_video = per_video
        self.same_draws = same_draws

    def __len__(self) -> int:
        return len(self.videos) * self.per_video

    def __getitem__(self, index: SupportsIndex) -> Item:
        """Return a group of the video ``self.videos[index % len(self.videos)]``; errors as for `FrameDataset`."""
        number = checked_position(index, count=len(self), what="group")
        rng = self._rng(number)
        video = self.videos[number % len(self.videos)]
        records = sample_group(video, size=self.group, max_gap=self.max_gap, rng=rng)
        return self._read_together(video, records, rng, same_draws=self.same_draws)


def _videos(data: object) -> list[Video]:
    videos: list[Video] = []
    for part in data if isinstance(data, Iterable) and not isinstance(data, Video | str) else [data]:
        if not isinstance(part, Dataset | Video):
            raise UsageError(
                f"a {type(part).__name__} is no video of a data set",
                why="frames are taken from a data set, one of its videos, or several of these, such as a collection",
                fix='open it first: covos.data.open_dataset(root, subset="train")',
            )
        videos += part if isinstance(part, Dataset) else [part]
    return videos


def _as_item(image: object, mask: object) -> Item:
    pixels = image if isinstance(image, Tensor) else _channels_first(np.asarray(image))
    values = mask if isinstance(mask, Tensor) else torch.from_numpy(np.array(mask))
    if pixels.ndim != 3 or values.ndim != 2 or pixels.shape[-2:] != values.shape:
        raise UsageError(
            f"the picture is {tuple(pixels.shape)}, the mask {tuple(values.shape)}",
            why="both are of one frame: C x H x W or H x W x 3, and H x W",
            fix="let the transform change both alike",
        )
    return Item(pixels, values)


def _channels_first(image: NDArray[Any]) -> Tensor:
    if image.ndim != 3 or image.shape[2] != 3:
        raise UsageError(
            f"the picture is {image.shape}", why="an array has H x W x 3 values", fix="give three channels, or a tensor"
        )
    return torch.from_numpy(np.array(image.transpose(2, 0, 1), order="C"))  # a copy: pictures may be read-only


def _checked(transform: object) -> bool:
    """Return True if a transform takes a generator; refuse what cannot be called with a picture and its mask."""
    fix = "def transform(image, mask): return image, mask, if you like with a third parameter rng"
    if not callable(transform):
        raise UsageError(
            f"transform={shortened(transform)} is no transform", why=f"it is a {type(transform).__name__}", fix=fix
        )
    if isinstance(transform, type):
        raise UsageError(
            f"the transform {transform.__name__} is a class",
            why="an object of it is called, with a picture and its mask",
            fix=f"write {transform.__name__}(...)",
        )
    try:
        signature = inspect.signature(transform)
    except (TypeError, ValueError):  # some functions of C state no parameters
        return False
    draws = "rng" in signature.parameters
    try:
        signature.bind(image=None, mask=None, **({"rng": None} if draws else {}))
    except TypeError as error:
        raise UsageError(
            f"the transform {_name(transform)}{signature} cannot be called with a picture and its mask",
            why=f"it is called as transform(image=..., mask=...): {error}",
            fix=fix,
        ) from error
    return draws


def _name(transform: object) -> str:
    return str(getattr(transform, "__name__", type(transform).__name__))
