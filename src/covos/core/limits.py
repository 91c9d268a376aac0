"""Limits on what is read, so that no file hangs or floods the machine; each can be raised, by name.

They are those of the process: `set_limits`, or ``--limit NAME=NUMBER`` on the command line.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import Literal, TypeAlias

from covos.core.errors import UsageError, one_of
from covos.core.words import Words

LimitName: TypeAlias = Literal[
    "pixels", "total", "frames", "duration", "streams", "bytes", "weights", "values", "depth", "points"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The most that is read of anything.

    Attributes:
        pixels: Pixels of a frame, a picture or a mask.
        total: Pixels of all masks of a file that stores each of them.
        frames: Frames of a video, of a folder of pictures, or of a file of masks.
        duration: Seconds of a video, by its frames and their rate.
        streams: Streams of a video file.
        bytes: Bytes of a file that is read whole: a mask, a prompt file, annotations, a report, a card.
        weights: Bytes of a file of weights, and of its tensors in memory.
        values: Values of a JSON or XML file.
        depth: Levels of a JSON, TOML or XML file.
        points: Points on one frame, of all objects.
    """

    pixels: int = 8192 * 8192
    total: int = 1 << 36
    frames: int = 1_000_000
    duration: int = 7 * 24 * 3600
    streams: int = 64
    bytes: int = 1 << 28
    weights: int = 1 << 31
    values: int = 20_000_000
    depth: int = 64
    points: int = 256


_current = Limits()


def limits() -> Limits:
    """Return the limits of this process."""
    return _current


def set_limits(**values: int) -> Limits:
    """Set limits of this process, by name (see `Limits`); the others stay.

    Returns:
        The limits as they were, so that ``set_limits(**dataclasses.asdict(before))`` brings them back.

    Raises:
        UsageError: There is no such limit, or a value is no whole number from 1 up.
    """
    global _current
    names = [each.name for each in fields(Limits)]
    for name, value in values.items():
        if name not in names:
            raise UsageError(f"there is no limit {name!r}", why="no limit has this name", fix=one_of(name, names))
        if type(value) is not int or value < 1:
            raise UsageError(f"the limit {name} = {value!r}", why="it is no whole number from 1 up", fix="give one")
    before, _current = _current, replace(_current, **values)
    return before


def parse_limit(text: str) -> tuple[str, int]:
    """Read ``NAME=NUMBER``.

    Raises:
        UsageError: It is not of this form.
    """
    name, _, value = text.partition("=")
    number = value.replace("_", "")
    if not (number.isascii() and number.isdigit() and len(number) < 19):
        raise UsageError(
            f"--limit {text}",
            why="it is not of the form NAME=NUMBER",
            fix=f"give a name and a whole number, such as frames={2 * Limits().frames}",
        )
    return name, int(number)


def raising(name: LimitName, needed: int | None = None) -> Words:
    """Say how a limit is raised, for the ``fix`` of an error; twice the limit if what is needed is not known."""
    value = _enough(name, needed)
    return "raise the limit if you trust the file: " + Words(
        f"--limit {name}={value}",
        python=f"covos.set_limits({name}={value})",
        page=f"start the server with --limit {name}={value}",
    )


def raised(name: LimitName, needed: int | None = None) -> str:
    """Say the same for the ``why`` of an error, which is alike at all doors."""
    return f"the limit {name}={_enough(name, needed)} lets it through, if you trust the file"


def _enough(name: LimitName, needed: int | None) -> int:
    return needed or 2 * int(asdict(limits())[name])
