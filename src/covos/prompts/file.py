"""Prompt files: masks, points and boxes in JSON or TOML, read strictly.

    {
      "masks":  [{"file": "dog.png", "frame": 0, "object": 1}],
      "points": [{"frame": 0, "object": 2, "positive": [[320, 200]], "negative": [[100, 50]]}],
      "boxes":  [{"frame": 40, "object": 3, "box": [10, 20, 300, 400]}]
    }

or, to steer the subject that is found by itself:

    {
      "points":  [{"frame": 30, "negative": [[160, 250]]}],
      "within":  [{"box": [0, 0, 640, 300]}],
      "exclude": [{"frame": 20, "box": [10, 20, 300, 400]}]
    }

All lists may be missing, and so may ``frame``, the number of a frame in the whole source (the first that is taken; of
``within`` and ``exclude`` all frames), ``label`` (what the object is called in annotations), ``object`` (see
`covos.prompts.placing.place_prompts`) and one of ``positive`` and ``negative``. Mask files are looked for beside the
prompt file, and lie in its folder or below, unless the file is trusted.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from pydantic import ConfigDict, Field, ValidationError

from covos.core.errors import AnnotationError, one_of
from covos.core.guarded import is_there, parse_json, parse_toml, read_guarded, text_of
from covos.core.records import Record
from covos.core.types import Box, Point
from covos.core.words import Words
from covos.masks.label_files import as_pictures
from covos.prompts.values import MaskPrompt, PointPrompt, Prompt, RegionPrompt

SUFFIXES = (".json", ".toml")
_LAYOUT = "the layout is in docs/follow.md, Prompt files"

# Frames are far smaller; a number in a file may be too large for a float.
_Number = Annotated[float, Field(ge=-(2**31), le=2**31, allow_inf_nan=False)]
_Frame = Annotated[int, Field(ge=0)]


class _Strict(Record):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Masks(_Strict):
    file: str | None = None
    alpha: bool = False
    frame: _Frame | None = None
    object: int | None = None
    label: str | None = None


class _Points(_Strict):
    frame: _Frame | None = None
    object: int | None = None
    label: str | None = None
    positive: tuple[tuple[_Number, _Number], ...] = ()
    negative: tuple[tuple[_Number, _Number], ...] = ()


class _Box(_Strict):
    frame: _Frame | None = None
    object: int | None = None
    label: str | None = None
    box: tuple[_Number, _Number, _Number, _Number]


class _Region(_Strict):
    frame: _Frame | None = None
    box: tuple[_Number, _Number, _Number, _Number]


class _File(_Strict):
    masks: tuple[_Masks, ...] = ()
    points: tuple[_Points, ...] = ()
    boxes: tuple[_Box, ...] = ()
    within: tuple[_Region, ...] = ()
    exclude: tuple[_Region, ...] = ()


_KINDS: dict[str, type[_Strict]] = {
    "masks": _Masks,
    "points": _Points,
    "boxes": _Box,
    "within": _Region,
    "exclude": _Region,
}


def read_prompt_file(path: Path, *, trusted: bool = False) -> tuple[Prompt | RegionPrompt, ...]:
    """Read a prompt file: its masks, then its points, its boxes and its regions.

    Args:
        path: The file.
        trusted: If true, it may name masks outside its folder.

    Raises:
        AnnotationError: It is not there, is neither JSON nor TOML, has an unknown key or a value of another kind, or
            names a mask file that is not there, or lies outside its folder.
    """
    content = _content(path)
    prompts: list[Prompt | RegionPrompt] = list(_masks(path, content.masks, trusted=trusted))
    for number, each in enumerate(content.points):
        points = [Point(x=x, y=y) for x, y in each.positive]
        points += [Point(x=x, y=y, positive=False) for x, y in each.negative]
        if not points:
            raise AnnotationError(
                f"{path}: points[{number}] has no points",
                why="neither positive nor negative lists any",
                fix="give it one",
            )
        prompts.append(PointPrompt(frame=each.frame, object=each.object, points=tuple(points), label=each.label))
    for box in content.boxes:
        prompts.append(PointPrompt(frame=box.frame, object=box.object, box=_box(box.box), label=box.label))
    prompts += [RegionPrompt(box=_box(each.box), role="within", frame=each.frame) for each in content.within]
    prompts += [RegionPrompt(box=_box(each.box), role="exclude", frame=each.frame) for each in content.exclude]
    if not prompts:
        raise AnnotationError(
            f"{path} shows nothing", why="it lists no mask, point, box or region", fix="add one, or leave it out"
        )
    return tuple(prompts)


def masks_named(path: Path) -> tuple[str, ...]:
    """Return the mask files that a prompt file names, as it writes them; they need not be there.

    Raises:
        AnnotationError: The file cannot be read, is neither JSON nor TOML, or is no prompt file.
    """
    return tuple(each.file for each in _content(path).masks if each.file is not None)


def _content(path: Path) -> _File:
    loaded = _load(path)
    try:
        # By way of JSON, where a strict reader still takes a list for a tuple.
        return _File.model_validate_json(json.dumps(loaded, default=str))
    except ValidationError as error:
        raise _refusal(path, loaded, error) from None


def _box(edges: tuple[float, float, float, float]) -> Box:
    x0, y0, x1, y1 = edges
    return Box(x0=x0, y0=y0, x1=x1, y1=y1)


def _masks(path: Path, entries: tuple[_Masks, ...], *, trusted: bool) -> Iterator[MaskPrompt]:
    for number, entry in enumerate(entries):
        if (entry.file is None) != entry.alpha:
            raise AnnotationError(
                f"{path}: masks[{number}] names {'neither a file nor alpha' if entry.file is None else 'both'}",
                why="a mask is a file, or the alpha of the frame itself",
                fix='give it "file", or "alpha": true',
            )
        if entry.file is None:
            yield MaskPrompt(alpha=True, frame=entry.frame, object=entry.object, label=entry.label)
            continue
        file = path.parent / entry.file
        # Links are followed first: one inside the folder may lead out of it.
        if not trusted and not _resolved(file).is_relative_to(_resolved(path.parent)):
            raise AnnotationError(
                f"{path}: masks[{number}]: {entry.file} lies outside the folder of the prompt file",
                why="a prompt file of somebody else could name any file of this machine",
                fix="put the mask beside it; or trust the file: "
                + Words("--trust-prompts", python="trust_prompts=True"),
            )
        if not is_there(file):
            raise AnnotationError(
                f"{path}: masks[{number}]: there is no file {file}",
                why="mask files are looked for beside the prompt file",
                fix="correct the path, or put the file there",
            )
        yield MaskPrompt(file=file, frame=entry.frame, object=entry.object, label=entry.label)


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError) as error:  # links in a circle, a null byte
        raise AnnotationError(f"{path} cannot be looked for", why=str(error), fix="correct the path") from error


def _load(path: Path) -> object:
    if path.suffix.lower() not in SUFFIXES:
        raise AnnotationError(
            f"prompt file {path}", why=f"its name does not end in {' or '.join(SUFFIXES)}", fix="name it for what it is"
        )
    read = read_guarded(path, what=f"prompt file {path} cannot be read", fix="check the path", error=AnnotationError)
    try:
        content = text_of(read)
        loaded: object = parse_json(content) if path.suffix.lower() == ".json" else parse_toml(content)
    except ValueError as error:  # undecodable, or not in the language that its name says
        reason = str(error).splitlines()[0]
        raise AnnotationError(
            f"{path} is not {path.suffix[1:].upper()}", why=reason, fix="correct it there, or name it for what it is"
        ) from error
    return loaded


_EXPECTED = {
    "file": "a file's name",
    "alpha": "true or false",
    "frame": "a whole number from 0",
    "object": "a whole number",
    "label": "a word for the object",
    "positive": "a list of points, each [x, y]",
    "negative": "a list of points, each [x, y]",
    "box": "[left, top, right, bottom]",
}


def _refusal(path: Path, content: Any, error: ValidationError) -> AnnotationError:
    if isinstance(content, dict) and "annotations" in content and not content.keys() & _KINDS.keys():
        return AnnotationError(
            f"{path} is no prompt file", why="it holds annotations, as COCO has them", fix=as_pictures(path)
        )
    first = error.errors(include_url=False)[0]
    place, extra = list(first["loc"]), first["type"] == "extra_forbidden"
    # All numbers of a point or a box are shown, not the wrong one alone.
    keep = next((k + 2 for k, part in enumerate(place) if part in {"positive", "negative"}), len(place))
    keep = next((k + 1 for k, part in enumerate(place) if part == "box"), keep)
    place = place[:keep]
    name = place.pop() if extra else place[-1] if place else ""
    where = str(path)
    for depth, part in enumerate(place):
        where += f"[{part}]" if isinstance(part, int) else f": {part}"
        content = content.get(part) if isinstance(content, dict) else content[part] if depth else content
    if extra:
        names = tuple((_KINDS[str(place[0])] if place else _File).model_fields)
        return AnnotationError(
            f"{where} has an unknown key {name!r}",
            why="a key that means nothing is more often a slip than a wish",
            fix=f"leave it out; {one_of(name, names)}",
        )
    said = "is missing" if content is None else f"is {json.dumps(content, default=str)}"
    if isinstance(name, int):
        expected = "a table of names and values" if len(place) == 2 else "[x, y]"
    else:
        expected = _EXPECTED.get(str(name), "a list of tables" if name else "a table of lists")
    return AnnotationError(f"{where} {said}", why=f"it should be {expected}", fix=_LAYOUT)
