"""The masks of one frame as JSON holds them: in the journal of a run, and in the edits of a clip."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from dataclasses import asdict
from fractions import Fraction
from typing import Any

from covos.core.types import ObjectStatus
from covos.masks.frame_mask import FrameMask
from covos.masks.object_ids import VOID
from covos.masks.rle import RLE
from covos.masks.soft import SoftMask


def mask_to_json(mask: FrameMask) -> dict[str, Any]:
    """Return all that is known of a frame's masks, but for the time base; each kind of file takes its own keys of it.

    Returns:
        ``soft`` with ``bits``, and ``matte`` with ``matte_bits``, are there if the masks have them. A confidence that
        is not known is None.
    """
    content: dict[str, Any] = {
        "index": mask.index,
        "stem": mask.stem,
        "pts": mask.pts,
        "status": mask.status,
        "confidence": float(mask.confidence) if math.isfinite(mask.confidence) else None,
        "size": list(mask.size),
        "objects": {str(identity): rle.to_coco()["counts"] for identity, rle in mask.objects.items()},
        "states": [asdict(state) for state in mask.states],
        "feather": mask.feather,
        "file": mask.file,
        "source_index": mask.source_index,
    }
    for name, bits, soft in (("soft", "bits", mask.soft), ("matte", "matte_bits", mask.kept_matte)):
        if soft is not None:
            content[name], content[bits] = soft_to_json(soft), soft.bits
    return content


def mask_from_json(content: Mapping[str, Any], *, time_base: Fraction) -> FrameMask:
    """Return the masks of `mask_to_json`.

    Args:
        content: All keys, or those that a kind of file keeps.
        time_base: Seconds per unit of ``pts``.

    Raises:
        AnnotationError: A mask is damaged.
        ValueError: Another value is; or a KeyError or a TypeError.
    """
    height, width = content["size"]
    size = (int(height), int(width))

    def soft(name: str, bits: str) -> SoftMask | None:
        return soft_from_json(content[name], size=size, bits=content.get(bits)) if name in content else None

    return FrameMask(
        index=content["index"],
        stem=content["stem"],
        pts=content["pts"],
        time_base=time_base,
        status=content["status"],
        confidence=math.nan if content["confidence"] is None else content["confidence"],
        size=size,
        objects={
            _identity(identity): RLE.from_coco({"size": size, "counts": counts})
            for identity, counts in dict(content["objects"]).items()
        },
        states=tuple(ObjectStatus(**state) for state in content.get("states", ())),
        file=content.get("file"),
        soft=soft("soft", "bits"),
        kept_matte=soft("matte", "matte_bits"),
        source_index=content.get("source_index"),
        feather=float(content.get("feather", 0.0)),
    )


def _identity(text: str) -> int:
    if not 1 <= (identity := int(text)) <= VOID:
        raise ValueError(f"object {text} is none of 1 to {VOID}")
    return identity


def soft_to_json(soft: SoftMask) -> str:
    """Return the data of a soft mask as text; the size and the bits are kept beside it."""
    return base64.b64encode(soft.data).decode("ascii")


def soft_from_json(text: str, *, size: tuple[int, int], bits: object) -> SoftMask:
    """Return the soft mask of `soft_to_json`; a ValueError or TypeError if it is no such text.

    Args:
        text: As it was returned.
        size: (height, width) in pixels.
        bits: 16, or anything else for 8: not all files state it.
    """
    return SoftMask(size=size, bits=16 if bits == 16 else 8, data=base64.b64decode(text))
