"""Documents with wrong values in them: each place in turn gets what no writer would put there."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

NASTY: tuple[Any, ...] = (
    None, True, False, -1, 0, 1, 7, 255, 256, 1 << 31, 1 << 63, -(1 << 63), 10**400, 0.5, -0.0, 1e308, -1e308,
    math.inf, -math.inf, math.nan, "", "x", "-1", "1e-999999999", "1/0", "1/999999999999999999", "999999999999999999",
    "../x", "/etc/passwd", "a/b", "\0", "\ud800",
    "\x1b[2J", "9" * 5000, [], [[]], {}, [None], [0, 0], [1, 2, 3, 4], [[1, 2], [3, 4]], {"a": 1}, {"1": {}},
    {"size": [4, 4], "counts": "x"}, {"size": [1 << 20, 1 << 20], "counts": [0]},
)  # fmt: skip
"""Values of a wrong type, or out of every range."""

Path = tuple[str | int, ...]


def places(document: Any, *, above: Path = ()) -> Iterator[Path]:
    """Yield the place of every value, containers too."""
    yield above
    keyed = document if isinstance(document, dict) else dict(enumerate(document if isinstance(document, list) else ()))
    for key, value in keyed.items():
        yield from places(value, above=(*above, key))


def changed(document: Any, place: Path, value: Any) -> Any:
    """Return a copy with another value at a place."""
    if not place:
        return value
    made = copy.deepcopy(document)
    holder = made
    for key in place[:-1]:
        holder = holder[key]
    holder[place[-1]] = value
    return made


def without(document: Any, place: Path) -> Any:
    """Return a copy without what is at a place."""
    made = copy.deepcopy(document)
    holder = made
    for key in place[:-1]:
        holder = holder[key]
    del holder[place[-1]]
    return made


@st.composite
def mutants(draw: st.DrawFn, document: Any) -> Any:
    """Draw a document with one to three values changed, moved, repeated or taken away."""
    made = document
    for _ in range(draw(st.integers(1, 3))):
        every = sorted(places(made), key=repr)
        place = draw(st.sampled_from(every))
        match draw(st.sampled_from(["nasty", "nasty", "nasty", "any", "other", "without", "twice"])):
            case "nasty":
                made = changed(made, place, draw(st.sampled_from(NASTY)))
            case "any":
                made = changed(made, place, draw(st.integers() | st.floats() | st.text(max_size=6)))
            case "other":
                value = made
                for key in draw(st.sampled_from(every)):
                    value = value[key]
                made = changed(made, place, copy.deepcopy(value))
            case "without" if place:
                made = without(made, place)
            case "twice" if place and isinstance(place[-1], int):
                value = made
                for key in place[:-1]:
                    value = value[key]
                made = changed(made, place[:-1], [*value, copy.deepcopy(value[place[-1]])])
    return made
