"""Edits on the disk, as they came out: a line of JSON of what is shown, then one of each frame that was changed."""

from __future__ import annotations

import base64
import json
import math
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import Any

from covos.core.errors import InputError
from covos.core.files import atomic_path, open_own
from covos.core.limits import limits
from covos.core.types import ObjectStatus, Point
from covos.masks import RLE
from covos.masks.edges import Edges
from covos.masks.frame_mask import FrameMask, codes_of, objects_from
from covos.masks.soft import SoftMask
from covos.prompts.seed_mask import Pointed, SeedMask
from covos.prompts.values import PointPrompt, RegionPrompt
from covos.serve.edits import Edit
from covos.serve.schema import Thing


def write_edit(edit: Edit, file: Path) -> None:
    """Write an edit, whole or not at all."""
    with atomic_path(file) as partial, partial.open("w", encoding="ascii") as stream:
        head = {
            "kind": edit.kind,
            "seeds": [_seed_to_json(seed) for seed in edit.seeds],
            "things": [thing.model_dump() for thing in edit.things],
            "regions": [region.model_dump() for region in edit.regions],
            "edges": edit.edges.model_dump(),
            **({} if edit.followed is None else {"followed": edit.followed}),
            **({} if edit.object is None else {"object": edit.object}),
        }
        stream.write(json.dumps(head) + "\n")
        for mask in edit.frames.values():
            stream.write(json.dumps(mask_to_json(mask)) + "\n")


def read_edit(file: Path, *, time_base: Fraction) -> Edit:
    """Read what `write_edit` wrote.

    Raises:
        InputError: It is damaged.
    """
    try:
        with open_own(file, "rb") as stream:
            head = json.loads(stream.readline(limits().bytes))
            frames = [mask_from_json(json.loads(line), time_base=time_base) for line in stream]
            return Edit(
                kind=head["kind"],
                seeds=tuple(_seed_from_json(seed) for seed in head["seeds"]),
                things=tuple(Thing.model_validate(thing) for thing in head["things"]),
                regions=tuple(RegionPrompt.model_validate(region) for region in head.get("regions", ())),
                edges=Edges.model_validate(head.get("edges", {})),
                frames={mask.index: mask for mask in frames},
                followed=None if (revision := head.get("followed")) is None else int(revision),
                object=None if (number := head.get("object")) is None else int(number),
            )
    except (ValueError, KeyError, TypeError, InputError) as error:
        raise InputError(
            f"{file.name} cannot be read",
            why=f"{type(error).__name__}: {' '.join(str(error).split())}",
            fix="the edits before it are safe; make this one again",
        ) from error


def mask_to_json(mask: FrameMask) -> dict[str, Any]:
    """Return a frame's masks as JSON can hold them."""
    content: dict[str, Any] = {
        "index": mask.index,
        "stem": mask.stem,
        "pts": mask.pts,
        "status": mask.status,
        "confidence": mask.confidence if math.isfinite(mask.confidence) else None,
        "size": list(mask.size),
        "objects": codes_of(mask.objects),
        "states": [asdict(state) for state in mask.states],
        "file": mask.file,
        "source_index": mask.source_index,
    }
    for name, soft in (("soft", mask.soft), ("matte", mask.kept_matte)):
        if soft is not None:
            content[name] = base64.b64encode(soft.data).decode("ascii")
            content["bits" if name == "soft" else "matte_bits"] = soft.bits
    return content


def mask_from_json(content: dict[str, Any], *, time_base: Fraction) -> FrameMask:
    """Return the masks of `mask_to_json`; a KeyError, TypeError or ValueError if they are damaged."""
    height, width = content["size"]
    size = (int(height), int(width))

    def soft(name: str, bits: str) -> SoftMask | None:
        if name not in content:
            return None
        return SoftMask(size=size, bits=16 if content[bits] == 16 else 8, data=base64.b64decode(content[name]))

    return FrameMask(
        index=content["index"],
        stem=content["stem"],
        pts=content["pts"],
        time_base=time_base,
        status=content["status"],
        confidence=math.nan if content["confidence"] is None else content["confidence"],
        size=size,
        objects=objects_from(content["objects"], size=size),
        states=tuple(ObjectStatus(**state) for state in content["states"]),
        file=content["file"],
        soft=soft("soft", "bits"),
        kept_matte=soft("matte", "matte_bits"),
        source_index=content.get("source_index"),
    )


def _seed_to_json(seed: SeedMask) -> dict[str, Any]:
    said: dict[str, Any] = {
        "frame": seed.frame,
        "object": seed.object,
        "mask": seed.mask.to_coco(),
        "given_as": seed.given_as,
    }
    if seed.pointed is not None:
        said["pointed"] = {
            "points": [[point.x, point.y, point.positive] for point in seed.pointed.at.points],
            "box": None if seed.pointed.at.box is None else asdict(seed.pointed.at.box),
            "prompter": seed.pointed.prompter,
            "corrects": seed.pointed.corrects,
        }
    return said


def _seed_from_json(said: dict[str, Any]) -> SeedMask:
    pointed = None
    if (kept := said.get("pointed")) is not None:
        at = PointPrompt(
            frame=said["frame"],
            object=said["object"],
            points=tuple(Point(x=x, y=y, positive=positive) for x, y, positive in kept["points"]),
            box=kept["box"],
        )
        pointed = Pointed(at=at, prompter=kept["prompter"], corrects=kept["corrects"])
    return SeedMask(
        frame=said["frame"],
        object=said["object"],
        mask=RLE.from_coco(said["mask"]),
        given_as=said["given_as"],
        pointed=pointed,
    )
