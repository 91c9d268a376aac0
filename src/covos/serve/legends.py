"""The note beside mask pictures in a download: it says what each colour, or each folder, shows."""

from __future__ import annotations

from collections.abc import Iterable

from covos.masks import davis_palette
from covos.serve.edits import is_named
from covos.serve.schema import Thing

LEGEND = "read-me.txt"
"""Name of the note in the ZIP."""

_COLOURS = ("black", "dark red", "dark green", "olive", "dark blue", "purple", "teal", "grey")
"""The first colours of the palette, as people call them."""


def legend_of(format: str, *, clip: str, things: Iterable[Thing]) -> str:
    """Return the note for a format; empty if its files explain themselves.

    Args:
        format: Name of the format.
        clip: Name of the clip.
        things: The objects.
    """
    every = [(thing.id, f"{thing.name} (object {thing.id})" if is_named(thing) else thing.name) for thing in things]
    if format == "palette":
        begin = f"Masks of {clip}. Each picture shows one frame, and its name has the number of the frame."
        rows = [_colour(0, "no object"), *(_colour(number, name) for number, name in every)]
        end = "A pixel has the number of its object. Programs that show colours show those above."
        return "\n".join([begin, "", *rows, "", end, ""])
    if format == "binary":
        begin = f"Masks of {clip}. Each picture shows one object on one frame: white is the object, black is all else."
        rows = [f"binary/{number}/  {name}" for number, name in every]
        return "\n".join([begin, "The name of a picture has the number of its frame.", "", *rows, ""])
    return ""


def _colour(number: int, name: str) -> str:
    red, green, blue = (int(each) for each in davis_palette()[number])
    word = f"{_COLOURS[number]}, " if number < len(_COLOURS) else ""
    return f"{number}  {word}#{red:02x}{green:02x}{blue:02x}  {name}"
