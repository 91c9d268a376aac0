"""Records: everything that covos reads or writes as JSON or TOML is a pydantic model, checked here in one way.

A record that cannot be read raises the error of its caller in three lines, and says where in the file the fault is.
"""

from __future__ import annotations

import json
import re
import reprlib
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from covos.core.errors import CovosError, InputError, UsageError, one_of
from covos.core.fault_words import fault_words
from covos.core.files import atomic_path
from covos.core.guarded import SafeFraction, parse_json, parse_toml, read_guarded, text_of
from covos.core.words import Words

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from covos.core.places import Place

_LISTED = 3


class Record(BaseModel):
    """A value that is read from a file, or written to one. Frozen; unknown fields, of later versions, are ignored.

    A record that people write by hand refuses them, so that no misspelt one is lost: ``extra="forbid"``.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=True, ser_json_inf_nan="null")


class Value(Record):
    """A record that users make by a call, too: a wrong one is refused as a wrong call, in three lines."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="wrap")
    @classmethod
    def _refuse(cls, values: Any, make: Callable[[Any], Any]) -> Any:
        try:
            return make(values)
        except ValidationError as error:
            what, why, fix = refused(error, cls)
            raise UsageError(what, why=why, fix=fix) from None


def _plain(given: object) -> object:
    if isinstance(given, bool | str):
        raise ValueError("it is no number")
    return given


PLAIN_NUMBER = BeforeValidator(_plain)
"""Refuses what Python takes for a number, and JSON does not: ``true``, and digits in quotes."""
Count = Annotated[int, Field(ge=0, le=1 << 53)]
"""A number of things, or the place of one among them."""
Side = Annotated[int, Field(ge=1, le=1 << 31)]
"""Height or width in pixels."""
Ticks = Annotated[int, Field(ge=-(1 << 63), lt=1 << 63)]
"""A time in units of a time base."""
Finite = Annotated[float, Field(allow_inf_nan=False)]
"""A number that is one."""
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
"""A time that something took or lasts."""
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
"""A part of a whole, or a probability."""
ObjectId = Annotated[int, Field(ge=1, le=255)]
"""Id of an object in a label map; 255 in a 0/255 mask."""
TimeBase = Annotated[SafeFraction, Field(ge=1e-12, le=1e12)]
"""Seconds a unit of time."""
Rate = Annotated[SafeFraction, Field(ge=1e-6, le=1e6)]
"""Frames a second, from one in eleven days to a million; or the aspect of a pixel."""


RecordT = TypeVar("RecordT", bound=BaseModel)


def read_record(
    kind: type[RecordT], file: Place, *, what: str, fix: str | Words, error: type[CovosError] = InputError
) -> RecordT:
    """Read a record from a JSON file, or from a TOML file if its name ends so, or raise ``error``."""
    content = read_guarded(file, what=what, fix=fix, error=error)

    def parsed() -> object:
        text = text_of(content)
        return parse_toml(text) if file.suffix == ".toml" else parse_json(text)

    return parse_record(kind, parsed, what=what, fix=fix, error=error)


def parse_record(
    kind: type[RecordT], parsed: Callable[[], object], *, what: str, fix: str | Words, error: type[CovosError]
) -> RecordT:
    """Make a record of what a function that parses returns, or raise ``error``."""
    try:
        return kind.model_validate(parsed())
    except ValidationError as fault:  # a ValueError too
        raise error(what, why=faults(fault), fix=fix) from None
    except ValueError as fault:
        raise error(what, why=" ".join(str(fault).split()), fix=fix) from fault


def write_record(record: BaseModel, file: Path) -> None:
    """Write a record as JSON; see `write_json`."""
    write_json(record.model_dump(mode="json", by_alias=True), file)


def write_json(content: object, file: Path, *, indent: int | None = 2) -> None:
    """Write what JSON takes, whole or not at all; replaces the file.

    Args:
        content: Dictionaries, lists, texts, numbers.
        file: Its folder must be there.
        indent: Spaces of each level; None writes one line.

    Raises:
        EnvironmentProblem: The disk is full, or the folder is not writable.
    """
    # Names of files that are not UTF-8 hold lone surrogates; JSON's own escapes bring them back.
    text = json.dumps(content, indent=indent)
    with atomic_path(file) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def spoken(field: str | None) -> str:
    """Return the name of a field as messages have it: that of the option ``--fill-holes`` and of ``fill_holes=``."""
    return (field or "it").replace("_", "-")


def refused(error: ValidationError, kind: type[BaseModel]) -> tuple[str, str, str]:
    """Say what, why and fix of a value that a record of this kind does not take, in the words of a call."""
    first = error.errors(include_url=False)[0]
    name = ".".join(map(str, first["loc"])) or kind.__name__
    given, why = reprlib.repr(first["input"]), fault_words(first)
    if first["type"] == "extra_forbidden":
        return f"unknown setting {name!r}", f"{kind.__name__} has none of this name", one_of(name, kind.model_fields)
    if first["type"] == "missing":
        return f"{kind.__name__} without {name}", "it has to be given", f"add {name}="
    if first["type"] == "literal_error":
        choices = re.findall(r"'([^']*)'", first["ctx"]["expected"])
        return f"{name}={given} cannot be used", "it is none of the choices", one_of(first["input"], choices)
    return f"{name}={given} cannot be used", why, f"give {name} another value, or leave it out"


def faults(error: ValidationError) -> str:
    """Say in one line where a record is wrong: the first faults, each with its place in the file."""
    every = error.errors(include_url=False, include_input=False)
    said = [f"{'.'.join(map(str, each['loc'])) or 'all of it'}: {fault_words(each)}" for each in every[:_LISTED]]
    return "; ".join(said) + (f"; and {len(every) - _LISTED} more" if len(every) > _LISTED else "")
