"""A file that shows objects by masks, points and boxes: JSON or TOML, read strictly.

    {
      "masks":  [{"file": "dog.png", "frame": 0, "object": 1}],
      "points": [{"frame": 0, "object": 2, "positive": [[320, 200]], "negative": [[100, 50]]}],
      "boxes":  [{"frame": 40, "object": 3, "box": [10, 20, 300, 400]}]
    }

All three lists may be missing, and so may ``frame`` (0), ``object`` (see `covos.api.following.Shown`) and one of
``positive`` and ``negative``. Mask files are looked for beside the prompt file.
"""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from covos.api.pointing import Pointing
from covos.core.errors import AnnotationError
from covos.core.types import Box, Point

SUFFIXES = (".json", ".toml")
LARGEST = 2**31
"""Of a number in a file; frames are far smaller."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskFile:
    """A file of masks.

    Attributes:
        path: See `Session.add_file`.
        frame: Index of the frame that it belongs to.
        object: Of a file of one object, its id; None takes the file's.
    """

    path: Path
    frame: int = 0
    object: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptFile:
    """What a prompt file says."""

    masks: tuple[MaskFile, ...]
    pointings: tuple[Pointing, ...]


def read_prompt_file(path: Path) -> PromptFile:
    """Read a prompt file.

    Raises:
        AnnotationError: It is not there, is neither JSON nor TOML, has an unknown key or a value of another kind, or
            names a mask file that is not there.
    """
    document = _Table(_load(path), where=str(path))
    masks, pointings = [], []
    with_points = document.tables("masks", "points", "boxes")
    for entry in with_points["masks"]:
        entry.check("file", "frame", "object")
        file = path.parent / entry.text("file")
        if not file.is_file():
            raise AnnotationError(
                f"{entry.where}: there is no file {file}",
                why="mask files are looked for beside the prompt file",
                fix="correct the path, or put the file there",
            )
        masks.append(MaskFile(path=file, frame=entry.whole("frame", default=0), object=entry.whole("object")))
    for entry in with_points["points"]:
        entry.check("frame", "object", "positive", "negative")
        points = [Point(x=x, y=y) for x, y in entry.rows("positive", length=2)]
        points += [Point(x=x, y=y, positive=False) for x, y in entry.rows("negative", length=2)]
        if not points:
            raise entry.wrong("has no points", why="neither positive nor negative lists any", fix="give it one")
        pointings.append(entry.pointing(points=tuple(points)))
    for entry in with_points["boxes"]:
        entry.check("frame", "object", "box")
        x0, y0, x1, y1 = entry.numbers(entry.values.get("box"), "box", length=4)
        pointings.append(entry.pointing(box=Box(x0=x0, y0=y0, x1=x1, y1=y1)))
    if not masks and not pointings:
        raise AnnotationError(
            f"{path} shows nothing", why="it lists no mask, point or box", fix="add one, or leave it out"
        )
    return PromptFile(masks=tuple(masks), pointings=tuple(pointings))


class _Table:
    """A table of the document, that knows where it stands."""

    def __init__(self, values: object, *, where: str) -> None:
        self.where = where
        if not isinstance(values, dict):
            raise self.wrong(f"is {_kind(values)}", why="it should be a table of names and values", fix=_LAYOUT)
        self.values: dict[str, Any] = values

    def wrong(self, what: str, *, why: str, fix: str) -> AnnotationError:
        return AnnotationError(f"{self.where} {what}", why=why, fix=fix)

    def check(self, *known: str) -> None:
        for key in self.values:
            if key not in known:
                raise self.wrong(
                    f"has an unknown key {key!r}", why=_known(key, known), fix="correct it or leave it out"
                )

    def tables(self, *names: str) -> dict[str, list[_Table]]:
        self.check(*names)
        found = {}
        for name in names:
            entries = self.values.get(name, [])
            if not isinstance(entries, list):
                raise self.wrong(f"has {_kind(entries)} as {name}", why="it should be a list", fix=_LAYOUT)
            found[name] = [_Table(each, where=f"{self.where}: {name}[{k}]") for k, each in enumerate(entries)]
        return found

    def text(self, key: str) -> str:
        value = self.values.get(key)
        if not isinstance(value, str):
            raise self._kind_of(key, value, "a file's name")
        return value

    def whole(self, key: str, default: int | None = None) -> Any:
        value = self.values.get(key, default)
        if value is default:
            return default
        # A bool is an int to Python, and nothing that counts frames to a user.
        if not isinstance(value, int) or isinstance(value, bool):
            raise self._kind_of(key, value, "a whole number")
        return value

    def rows(self, key: str, *, length: int) -> list[tuple[float, ...]]:
        rows = self.values.get(key, [])
        if not isinstance(rows, list):
            raise self._kind_of(key, rows, "a list of points, each [x, y]")
        return [self.numbers(row, f"{key}[{k}]", length=length) for k, row in enumerate(rows)]

    def numbers(self, value: object, key: str, *, length: int) -> tuple[float, ...]:
        expected = "[x, y]" if length == 2 else "[left, top, right, bottom]"
        if not isinstance(value, list) or len(value) != length or not all(map(_is_number, value)):
            raise self._kind_of(key, value, expected)
        return tuple(float(each) for each in value)

    def pointing(self, *, points: tuple[Point, ...] = (), box: Box | None = None) -> Pointing:
        frame, identity = self.whole("frame", default=0), self.whole("object")
        return Pointing(frame=frame, object=identity, points=points, box=box)

    def _kind_of(self, key: str, value: object, expected: str) -> AnnotationError:
        said = "is missing" if value is None else f"is {json.dumps(value, default=str)}"
        return AnnotationError(f"{self.where}: {key} {said}", why=f"it should be {expected}", fix=_LAYOUT)


_LAYOUT = "the layout is in docs/follow.md, Prompt files"


def _load(path: Path) -> object:
    if path.suffix.lower() not in SUFFIXES:
        raise AnnotationError(
            f"prompt file {path}", why=f"its name does not end in {' or '.join(SUFFIXES)}", fix="name it for what it is"
        )
    try:
        content = path.read_bytes().decode("utf-8-sig")
        loaded: object = json.loads(content) if path.suffix.lower() == ".json" else tomllib.loads(content)
    except OSError as error:
        raise AnnotationError(
            f"prompt file {path} cannot be read", why=error.strerror or "unknown", fix="check the path"
        ) from error
    except (ValueError, RecursionError) as error:  # undecodable, or not in the language that its name says
        reason = str(error).splitlines()[0]
        raise AnnotationError(
            f"{path} is not {path.suffix[1:].upper()}", why=reason, fix="correct it there, or name it for what it is"
        ) from error
    return loaded


def _known(key: str, known: Collection[str]) -> str:
    close = difflib.get_close_matches(key, known, n=1)
    nearest = f"the nearest name is {close[0]!r}; " if close else ""
    return f"{nearest}the names are {', '.join(known)}"


def _is_number(value: object) -> bool:
    # A whole number may be too large for a float.
    return isinstance(value, int | float) and not isinstance(value, bool) and -LARGEST <= value <= LARGEST


def _kind(value: object) -> str:
    names = {list: "a list", str: "a text", bool: "a truth value", int: "a number", float: "a number"}
    return names.get(type(value), "nothing" if value is None else "a table")
