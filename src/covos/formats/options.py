"""A table of the options that matter for each format: an option that changes nothing that is written is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, TypeAlias, get_args

from covos.core.errors import UsageError, listed
from covos.core.records import spoken
from covos.core.words import Words
from covos.formats.base import Format
from covos.formats.composition import Composition
from covos.formats.table import FORMATS, load_format, parse_format
from covos.media.presets import SoundChoice

_Shows: TypeAlias = Callable[[type[Format], str | None], bool]
_BY_VALUE = ("alpha", "sound")
"""Fields of a composition that some formats know with some values alone."""
_SHOWN = 6
"""Formats that a message names."""


def _composing(field: str) -> _Shows:
    return lambda kind, value: kind.takes(field, value)


def _sounding(which: str) -> _Shows:
    return lambda kind, value: kind.takes("sound", value, given=which)


def _alpha(which: str) -> _Shows:
    return lambda kind, _value: kind.has_alpha and which in kind.alpha_kinds


def _soft(kind: type[Format], _value: str | None) -> bool:
    return not kind.labels_only


SHOWN_IN: Final[Mapping[str, _Shows]] = {
    **{field: _composing(field) for field in Composition.model_fields if field not in _BY_VALUE},
    "alpha straight": _alpha("straight"),
    "alpha premultiplied": _alpha("premultiplied"),
    **{f"sound {each}": _sounding(each) for each in get_args(SoundChoice)},
    "feather": _soft,
    "matte": _soft,
    "label": lambda kind, value: kind.names_objects(value),
    "times source": lambda kind, _value: kind.shape == "video",
}
"""The formats in which an option of what is written is seen, by the option. Others, such as ``grow``, are in all."""


def refuse_idle(names: Sequence[str], options: Iterable[str]) -> None:
    """Refuse an option that is seen in none of the formats.

    Args:
        names: The formats, with or without a value.
        options: The options that are asked for, as `SHOWN_IN` has them.

    Raises:
        UsageError: One of them changes nothing that is written.
    """
    asked = [parse_format(name) for name in names]
    for option in options:
        shows = SHOWN_IN[option]
        if any(shows(kind, value) for kind, value in asked):
            continue
        every = [kind.name for kind in map(load_format, FORMATS) if shows(kind, None)]
        raise UsageError(
            f"{spoken(option)} is asked for, and nothing is written that has it",
            why=f"the formats are {listed(names, shown=_SHOWN)}",
            fix="add a format that has it: "
            + Words(
                f"-f {listed(every, shown=_SHOWN).replace(', ', ' or -f ')}",
                python=listed(every, shown=_SHOWN).replace(", ", " or "),
            )
            + "; or leave it out",
        )


def composed_formats(names: Sequence[str], composition: Composition) -> tuple[str, ...]:
    """Write what an editor asks for into the names of the formats that know it; a background asks for its format.

    Raises:
        UsageError: Something is asked for that none of the formats knows.
    """
    chosen = composition.chosen
    every = [names] if isinstance(names, str) else list(names)
    if composition.background is not None and all(parse_format(name)[0].name != "background" for name in every):
        every.append("background")
    composed = []
    for kind, value in map(parse_format, every):
        said = {field: given for field, given in chosen.items() if kind.takes(field, value, given=given)}
        if said.get("alpha") == kind.alpha_kinds[0] and not kind.parsed(value)[0]:
            del said["alpha"]  # it is so anyway, and the name stays that of a run which did not say it
        composed.append(kind.composed(value, said))
    refuse_idle(every, [f"{field} {given}" if field in _BY_VALUE else field for field, given in chosen.items()])
    return tuple(composed)
