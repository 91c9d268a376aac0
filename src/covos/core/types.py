"""The small values that flow through covos. Everything here is frozen and cheap.

Shape legend, used in names and docstrings: ``H`` height, ``W`` width, ``C`` channels, ``N`` frames.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import partial
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from covos.core.shown import short_repr

ImageArray: TypeAlias = NDArray[np.uint8]
"""H x W x 3, uint8, RGB, 0..255."""
LabelArray: TypeAlias = NDArray[np.uint8]
"""H x W, uint8; 0 = background, 1.. = object ids; 255 = void, on reading annotations only."""
ProbabilityArray: TypeAlias = NDArray[np.float32]
"""H x W, float32, in [0, 1]."""
MaskArray: TypeAlias = NDArray[np.bool_]
"""H x W, bool."""
AlphaArray: TypeAlias = NDArray[np.uint8]
"""H x W, uint8: opacity; 255 is opaque."""

FrameStatus: TypeAlias = Literal["ok", "concealed", "unreadable", "uncomputed"]
"""State of a frame: whole; damaged and painted over by the decoder; not to be read, with another in its place; or one
that the network gave no numbers for (see `covos.engines.held`)."""
SourceKind: TypeAlias = Literal["video", "frames", "image", "masks"]
Times: TypeAlias = Literal["zero", "source"]
"""Times of a video that is made of a part of a source: from zero, or those of the source."""
Deinterlace: TypeAlias = Literal["auto", "on", "off"]
"""Pictures to deinterlace: those that are flagged as interlaced, all, or none."""
JobState: TypeAlias = Literal["queued", "running", "done", "failed", "cancelled"]
"""State of a job, in Python as on a server."""
Presence: TypeAlias = Literal["present", "occluded", "lost"]
"""State of a followed object: seen; not seen for a while; not seen for so long that it may be gone."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Planes:
    """A picture as videos code it: YUV 4:2:0 of limited range, even in height and width.

    Attributes:
        luma: H x W uint8.
        blue: H/2 x W/2 uint8, the difference of blue.
        red: Likewise of red.
        matrix: Matrix coefficients, see `Colour`.
    """

    luma: NDArray[np.uint8]
    blue: NDArray[np.uint8]
    red: NDArray[np.uint8]
    matrix: int


class Later:
    """A picture that is made when it is first looked at; threads may do so at once.

    Args:
        make: Makes the picture of (height, width), H x W x 3 uint8 RGB: whole, or smaller by the mean of areas.
        size: (height, width) of the whole.
    """

    def __init__(self, make: Callable[[tuple[int, int]], ImageArray], *, size: tuple[int, int]) -> None:
        self.make, self.shape = make, (*size, 3)
        self._lock = threading.Lock()
        self._whole: ImageArray | None = None

    @property
    def whole(self) -> ImageArray:
        """The picture."""
        with self._lock:
            if self._whole is None:
                self._whole = self.make(self.shape[:2])
        return self._whole

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle and copy as the picture itself: what makes it holds the decoder's memory."""
        return np.asarray, (self.whole,)


class LazyImage:
    """The attribute ``image`` of a `Frame`: most pictures of a video are never looked at as a whole.

    A descriptor as the default of a field gets the value that the constructor is given:
    https://docs.python.org/3/library/dataclasses.html#descriptor-typed-fields
    """

    def __get__(self, frame: Frame | None, owner: type[Frame]) -> ImageArray:
        if frame is None:
            raise AttributeError("image")  # this is how a dataclass asks for a default, and there is none
        given = frame.given
        return given.whole if isinstance(given, Later) else given

    def __set__(self, frame: Frame, image: ImageArray | Later) -> None:
        frame.__dict__["given"] = image


@dataclass(frozen=True, kw_only=True, eq=False)
class Frame:
    """One decoded picture, as it is displayed (rotation applied, HDR and interlaced ones made like any other).

    Attributes:
        index: 0-based position among the decoded frames.
        stem: Name for this frame's outputs: the file's stem, or the index in five digits for a video.
        image: H x W x 3 uint8 RGB, as networks see it: over grey where the input is transparent. Given as a `Later`,
            it is made when it is first asked for.
        pts: Presentation time in units of ``time_base``, as the source has it.
        time_base: Seconds per unit of ``pts``.
        status: See `FrameStatus`.
        file: Name of the picture file without its folder; None for a frame of a video.
        alpha: H x W uint8, the opacity that the input has; None if all of it is opaque.
        bare: H x W x 3 uint8 RGB, the input's own colours, under its alpha, too; None if all of it is opaque.
        source_size: (height, width) of the source where this frame has another; networks see it at that aspect.
        deep: Gives H x W x 3 uint16 RGB of full range, where the input has more than 8 bits a sample.
        source_index: Index among the frames of the whole source where a part of it was opened; None if there is no
            other than ``index``.
        coded: The picture as it was coded; None where it is displayed otherwise, or was coded in another way.
        hdr: Gives the same as ``deep`` with the transfer and primaries of the source, where these are HDR or BT.2020;
            all else of the frame has ordinary ones.
        duration: Units of ``time_base`` for which it is shown, known of the last frame; None of others, which are shown
            up to the next, and where the source does not say.
    """

    index: int
    stem: str
    image: LazyImage = LazyImage()
    pts: int
    time_base: Fraction
    status: FrameStatus = "ok"
    file: str | None = None
    alpha: AlphaArray | None = None
    bare: ImageArray | None = None
    source_size: tuple[int, int] | None = None
    deep: Callable[[], NDArray[np.uint16]] | None = None
    source_index: int | None = None
    coded: Planes | None = None
    hdr: Callable[[], NDArray[np.uint16]] | None = None
    duration: int | None = None

    __repr__ = short_repr

    def __getstate__(self) -> dict[str, object]:
        """Pickle and copy with the deep colours themselves: what gives them holds the decoder's memory, or a file."""
        given = {name: getattr(self, name) for name in ("deep", "hdr")}
        return self.__dict__ | {name: partial(np.asarray, each()) for name, each in given.items() if each is not None}

    @property
    def number(self) -> int:
        """Number of the frame in the whole source, from 0: prompts, annotations and messages name it by that."""
        return self.index if self.source_index is None else self.source_index

    @property
    def colours(self) -> ImageArray:
        """The input's own colours: H x W x 3 uint8 RGB."""
        return self.image if self.bare is None else self.bare

    @property
    def time(self) -> float:
        """Presentation time in seconds."""
        return float(self.pts * self.time_base)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        shape = self.given.shape
        return int(shape[0]), int(shape[1])

    @property
    def given(self) -> ImageArray | Later:
        """The picture as the constructor was given it; `image` without being made."""
        given: ImageArray | Later = self.__dict__["given"]
        return given

    @property
    def later(self) -> Later | None:
        """The maker of the picture, whole or smaller; None if the picture was given as it is."""
        given = self.given
        return given if isinstance(given, Later) else None

    @property
    def unmapped(self) -> Frame:
        """The frame whose deep colours are HDR or BT.2020, as the source has them; itself if they are neither."""
        return self if self.hdr is None else replace(self, image=self.given, deep=self.hdr, hdr=None)

    def placed(self, index: int, *, source_index: int) -> Frame:
        """Return the frame at another position; a picture that is still to be made stays so."""
        return replace(self, index=index, source_index=source_index, image=self.given)


@dataclass(frozen=True, slots=True, kw_only=True)
class Colour:
    """The meaning of a picture's red, green and blue, in numbers of ITU-T H.273.

    Attributes:
        primaries: Colour primaries: 1 is BT.709, 5 and 6 are those of BT.601.
        transfer: Transfer characteristics: 1 is BT.709.
        matrix: Matrix coefficients by which a video codes it: 1 is BT.709, 6 is BT.601.
    """

    primaries: int
    transfer: int
    matrix: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tags:
    """Facts that a file states about itself, and that editing programs want to find in what is made of it.

    Attributes:
        colour: Of the displayed frames; None for pictures, which are taken for sRGB.
        bits: Of a sample; displayed frames have 8 of them.
        timecode: Of the first frame, as ``01:00:00:00``.
        reel: Name of the reel.
        hdr: Colours of the source itself, where they are HDR or BT.2020 and displayed frames have others.
        mastered: True if it states the display that HDR was graded on, or the largest light that it has.
        counts_on: True if its times count from the start of a broadcast or a recording, of which it is a piece: in
            MPEG transport and program streams.
    """

    colour: Colour | None = None
    bits: int = 8
    timecode: str | None = None
    reel: str | None = None
    hdr: Colour | None = None
    mastered: bool = False
    counts_on: bool = False

    @property
    def unmapped(self) -> Tags:
        """Those of frames that keep HDR or BT.2020, which show steps below 10 bits a sample."""
        return self if self.hdr is None else replace(self, colour=self.hdr, bits=max(self.bits, 10))


UNTAGGED = Tags()
"""A file that says nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceInfo:
    """The facts of a source that are known before its frames are decoded.

    Attributes:
        path: The path or pattern as the user gave it.
        kind: ``"video"``, ``"frames"`` (a folder or glob) or ``"image"``; ``"masks"`` where all there is are masks
            that were read back, without pictures.
        height: Displayed height in pixels (rotation applied), of the first frame.
        width: Displayed width in pixels.
        frame_count: Frames that the source promises: packets of the video stream, or files.
        frame_rate: Average frames a second; None for a single image.
        duration: Seconds, from the container's header; None where it has none.
        time_base: Seconds per unit of the frames' ``pts``.
        rotation: Degrees, counter-clockwise, that the container asks for and that reading applies.
        has_audio: True if there is an audio stream.
        codec: Name of the video codec, or the image format.
        pixel_aspect: Displayed width of a pixel over its height; frames are not resampled to square pixels.
        start: Index in the whole source of its first frame; 0 unless a part of it was opened.
        tags: What its file says beside; known while it is open, and not kept in reports.
        every: Frames of the whole source from one of its frames to the next; 1 unless some were left out.
        times: Times of the videos that are written of a part: they start at ``"zero"``, or keep those of the
            ``"source"``; None where the whole source was opened and nothing was said about times.
        whole: True where ``times`` was said of the whole source, of which no frame was left out.
        deinterlace: Frames of a video that are made whole pictures: those that are flagged as interlaced (``"auto"``),
            all (``"on"``) or none (``"off"``).
        file: Path of the temporary file of a source that was given as bytes, which ``path`` only names; known while it
            is there, and not kept in reports.
    """

    path: str
    kind: SourceKind
    height: int
    width: int
    frame_count: int
    frame_rate: Fraction | None
    duration: float | None
    time_base: Fraction
    rotation: int = 0
    has_audio: bool = False
    codec: str = ""
    pixel_aspect: Fraction = Fraction(1)
    start: int = 0
    tags: Tags = field(default=UNTAGGED, compare=False)
    every: int = 1
    times: Times | None = None
    whole: bool = False
    deinterlace: Deinterlace = "auto"
    file: str | None = field(default=None, compare=False)

    @property
    def is_part(self) -> bool:
        """True if a part of the source was opened."""
        return self.times is not None and not self.whole

    @property
    def whole_rate(self) -> Fraction | None:
        """Frames a second of the whole source, of which `every` may leave some out; None for a single image."""
        return None if self.frame_rate is None else self.frame_rate * self.every

    @property
    def is_still(self) -> bool:
        """True for a single picture: alone, in a folder, or taken of a video; a whole video of one frame stays one."""
        return self.frame_count == 1 and (self.kind != "video" or self.is_part)

    @property
    def numbers(self) -> range:
        """Numbers of its frames in the whole source."""
        return range(self.start, self.start + self.frame_count * self.every, self.every)


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A place in a frame that a user points at.

    Attributes:
        x: Column of the pixel, from 0 at the left, below the frame's width; fractions lie between pixels' centres.
        y: Row, from 0 at the top, below its height.
        positive: True if it is on the object, False if it is on something else.
    """

    x: float
    y: float
    positive: bool = True

    @property
    def pixel(self) -> tuple[int, int]:
        """The (column, row) of the pixel that it lies in."""
        return int(self.x), int(self.y)


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A rectangle around an object, within the frame: the pixels (x, y) with x0 <= x < x1 and y0 <= y < y1."""

    x0: float
    y0: float
    x1: float
    y1: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectStatus:
    """The state of one followed object in one frame.

    Attributes:
        id: Its id in the label map.
        state: Present or not; the mask of an object that is not present is empty.
        confidence: In [0, 1]. For a mask, the Jaccard index that it is expected to have; for an empty one, the
            probability that the object is not to be seen.
    """

    id: int
    state: Presence
    confidence: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FrameResult:
    """The masks that an engine makes of one frame, at the frame's own size.

    Attributes:
        frame: The frame, with its picture.
        probability: H x W float32 in [0, 1]: the probability that a pixel belongs to the subject.
        labels: H x W uint8; 0 = background, 1.. = object ids.
        confidence: In [0, 1]. Where one subject is found, the Jaccard index that its mask is expected to have, or, if
            it is empty, the chance that nothing is there (see `covos.engines.find.expected_jaccard`). Where objects are
            followed, the mean of theirs, and 1 if there is none. NaN where nothing could be computed.
        objects: State of each followed object; empty where nothing is followed.
        matte: H x W float32 in [0, 1]: the opacity of all objects together, strands and blur with it (see
            `covos.engines.matting`); None where none was asked for.
        between: True if it was made of the neighbours of the frame, and no network has looked at it (see
            `covos.engines.between`).
        feather: Pixels over which the edge was made soft on request.
    """

    frame: Frame
    probability: ProbabilityArray
    labels: LabelArray
    confidence: float
    objects: tuple[ObjectStatus, ...] = ()
    matte: ProbabilityArray | None = None
    between: bool = False
    feather: float = 0.0

    __repr__ = short_repr
