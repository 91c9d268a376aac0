"""What is kept of a frame's result, so that any output can be made from it and the source alone."""

from __future__ import annotations

import base64
import json
import math
import zlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, Self

import cv2
import numpy as np

from covos.errors import InputError, SourceError
from covos.masks import RLE
from covos.outputs.frame_mask import labels_of, objects_of
from covos.types import FrameResult, ObjectStatus

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from covos.types import Frame, FrameStatus, LabelArray

Bits = Literal[0, 8, 16]
"""How finely the probability is kept; 0 is not at all."""

_LEVEL = 1  # of zlib: higher ones save a quarter at twice the time


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FrameRecord:
    """A frame's result without its picture.

    Attributes:
        index: 0-based position among the decoded frames.
        stem: Name for this frame's outputs.
        pts: Presentation time in units of the source's time base.
        status: Whether the decoder painted over damage.
        confidence: See `covos.types.FrameResult`; may be NaN.
        seconds: That computing it took.
        labels: H x W uint8; 0 = background, 1.. = object ids.
        matte: H x W uint8 or uint16, the probability times 255 or 65535, rounded; None where no output needs it.
        objects: The state of each object that is followed.
    """

    index: int
    stem: str
    pts: int
    status: FrameStatus
    confidence: float
    seconds: float
    labels: LabelArray
    matte: NDArray[np.uint8] | NDArray[np.uint16] | None
    objects: tuple[ObjectStatus, ...] = ()

    @classmethod
    def of(cls, result: FrameResult, *, seconds: float, bits: Bits) -> Self:
        """Keep a result, and its probability as finely as asked."""
        frame = result.frame
        matte: NDArray[np.uint8] | NDArray[np.uint16] | None = None
        if bits == 8:  # saturating and rounding to nearest, in one pass
            matte = np.asarray(cv2.convertScaleAbs(result.probability, alpha=255), np.uint8)
        elif bits == 16:
            matte = np.rint(result.probability * np.float32(65535)).astype(np.uint16)
        return cls(
            index=frame.index,
            stem=frame.stem,
            pts=frame.pts,
            status=frame.status,
            confidence=float(result.confidence),
            seconds=seconds,
            labels=result.labels,
            matte=matte,
            objects=result.objects,
        )

    def restore(self, frame: Frame) -> FrameResult:
        """The result, with the frame's picture; the probability in the steps that were kept, or 0 and 1 if none was.

        Raises:
            SourceError: It is another frame than the one that was kept.
        """
        kept = (self.index, self.stem, self.pts, self.labels.shape)
        if (frame.index, frame.stem, frame.pts, frame.size) != kept:
            raise SourceError(
                f"frame {self.index} is no longer what it was",
                why=f"it was {_described(*kept)}, it is {_described(frame.index, frame.stem, frame.pts, frame.size)}",
                fix="put the source back as it was, or start anew with -y (overwrite=True)",
            )
        if self.matte is None:
            soft = (self.labels > 0).astype(np.float32)
        else:
            soft = self.matte * np.float32(1 / np.iinfo(self.matte.dtype).max)
        return FrameResult(
            frame=frame, probability=soft, labels=self.labels, confidence=self.confidence, objects=self.objects
        )

    def to_json(self) -> str:
        """As one line, without its end."""
        content: dict[str, Any] = {
            "index": self.index,
            "stem": self.stem,
            "pts": self.pts,
            "status": self.status,
            "confidence": self.confidence if math.isfinite(self.confidence) else None,
            "seconds": round(self.seconds, 4),
            "size": list(self.labels.shape),
            "objects": {str(identity): rle.to_coco()["counts"] for identity, rle in objects_of(self.labels).items()},
        }
        if self.objects:
            content["states"] = [asdict(status) for status in self.objects]
        if self.matte is not None:
            content["bits"] = 8 * self.matte.itemsize
            content["matte"] = base64.b64encode(zlib.compress(self.matte.data, _LEVEL)).decode("ascii")
        return json.dumps(content)

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read `to_json`'s line.

        Raises:
            InputError: It is not one.
        """
        try:
            content = json.loads(text)
            height, width = content["size"]
            objects = {
                int(identity): RLE.from_coco({"size": [height, width], "counts": counts})
                for identity, counts in content["objects"].items()
            }
            matte: NDArray[np.uint8] | NDArray[np.uint16] | None = None
            if "matte" in content:
                packed = zlib.decompress(base64.b64decode(content["matte"]))
                if content["bits"] == 16:
                    matte = np.frombuffer(packed, np.uint16).reshape(height, width)
                else:
                    matte = np.frombuffer(packed, np.uint8).reshape(height, width)
            return cls(
                index=content["index"],
                stem=content["stem"],
                pts=content["pts"],
                status=content["status"],
                confidence=math.nan if content["confidence"] is None else content["confidence"],
                seconds=content["seconds"],
                labels=labels_of(objects, size=(height, width)),
                matte=matte,
                objects=tuple(ObjectStatus(**status) for status in content.get("states", ())),
            )
        except (ValueError, KeyError, TypeError, AttributeError, InputError, zlib.error) as error:
            raise InputError(
                "a record of the journal cannot be read",
                why=f"{type(error).__name__}: {' '.join(str(error).split())}",
                fix="start anew with -y (overwrite=True)",
            ) from error


def _described(index: int, stem: str, pts: int, size: tuple[int, ...]) -> str:
    return f"frame {index} {stem!r} at {pts}, {size[1]}x{size[0]}"
