"""Edits on the disk, as they came out: a line of JSON of what is shown, then one of each frame that was changed."""

from __future__ import annotations

import json
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

from covos.core.errors import CovosError, InputError
from covos.core.files import atomic_path, open_own
from covos.core.limits import limits
from covos.core.types import Point
from covos.masks import RLE
from covos.masks.edges import Edges
from covos.masks.frame_json import mask_from_json, mask_to_json
from covos.masks.frame_mask import FrameMask
from covos.prompts.seed_mask import Pointed, SeedMask
from covos.prompts.values import PointPrompt, RegionPrompt
from covos.serve.edits import Edit
from covos.serve.schema import Thing

_KEYS: Final = (
    *("index", "stem", "pts", "status", "confidence", "size", "objects", "states"),
    *("feather", "file", "source_index", "soft", "bits", "matte", "matte_bits"),
)
"""The fields of the line of a frame, in their order; an edge that was not feathered has no ``feather``."""


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
            stream.write(mask_line(mask))


def read_edit(file: Path, *, time_base: Fraction) -> Edit:
    """Read what `write_edit` wrote.

    Raises:
        InputError: It is damaged.
    """
    try:
        with open_own(file, "rb") as stream:
            head = json.loads(stream.readline(limits().bytes))
            frames = [mask_of(line, time_base=time_base) for line in stream]
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
    except (ValueError, KeyError, TypeError, CovosError) as error:
        raise InputError(
            f"{file.name} cannot be read",
            why=f"{type(error).__name__}: {' '.join(str(error).split())}",
            fix="the edits before it are safe; make this one again",
        ) from error


def mask_line(mask: FrameMask) -> str:
    """Return the line of a frame's masks, with its end."""
    content = mask_to_json(mask)
    if not mask.feather:
        del content["feather"]
    return json.dumps({name: content[name] for name in _KEYS if name in content}) + "\n"


def mask_of(line: bytes, *, time_base: Fraction) -> FrameMask:
    """Return the masks of a `mask_line`; an InputError, KeyError, TypeError or ValueError if they are damaged."""
    return mask_from_json(json.loads(line), time_base=time_base)


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
