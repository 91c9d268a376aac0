"""Labelling: what objects are called in annotations, all alike or each by its number."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final, TypeAlias

from pydantic import ConfigDict, Field, field_validator

from covos.core.errors import UsageError, listed
from covos.core.records import ObjectId, Record, parse_record
from covos.core.whole import whole_number
from covos.core.words import Words

NAMELESS: Final = "object"
"""The label of objects that have none: covos finds objects and does not name what they are."""
_MOST = 100
"""Characters of a label."""

_FURTHER: Final = re.compile(r"[,;]\s*(?=\d+\s*=)")
"""Where a label seems to end and that of another object to begin."""

Label: TypeAlias = str | Mapping[int, str]
"""One label of all objects, or one for each by its number."""


class Labelling(Record):
    """The labels of objects.

    Attributes:
        every: Label of the objects that have none of their own; None calls them ``"object"``.
        own: Labels by object id, 1 to 254.

    Raises:
        UsageError: A label is empty, too long, or holds line breaks or other control characters.
    """

    model_config = ConfigDict(extra="forbid")

    every: str | None = None
    own: dict[ObjectId, str] = Field(default_factory=dict)

    @field_validator("every")
    @classmethod
    def _one(cls, label: str | None) -> str | None:
        return None if label is None else check_label(label)

    @field_validator("own")
    @classmethod
    def _each(cls, own: dict[int, str]) -> dict[int, str]:
        return {identity: check_label(label) for identity, label in sorted(own.items())}

    def __bool__(self) -> bool:
        """Tell if anything has a label."""
        return self.every is not None or bool(self.own)

    def of(self, identity: int) -> str:
        """Return the label of an object."""
        return self.own.get(identity, self.every or NAMELESS)

    @property
    def categories(self) -> tuple[str, ...]:
        """All labels that may occur, each once: those of objects by their numbers, and that of all others last."""
        return tuple(dict.fromkeys((*self.own.values(), self.every or NAMELESS)))

    def category(self, identity: int) -> int:
        """Return the number of an object's label among `categories`, from 1."""
        return self.categories.index(self.of(identity)) + 1

    def listed(self, used: Iterable[str]) -> list[tuple[int, str]]:
        """Return the number and label of each category: those that were given, and that of nameless objects if used."""
        given = {*self.own.values(), *([] if self.every is None and self.own else [self.every or NAMELESS]), *used}
        return [(number, label) for number, label in enumerate(self.categories, start=1) if label in given]

    def over(self, other: Labelling) -> Labelling:
        """Return these labels, and those of another labelling where there are none of them."""
        return Labelling(every=self.every or other.every, own={**other.own, **self.own})

    def refuse_unknown(self, known: Collection[int]) -> None:
        """Refuse a label of an object that there is not, with a UsageError; ``known`` has the ids of all objects."""
        if other := [identity for identity in self.own if identity not in known]:
            raise UsageError(
                f"the label {self.own[other[0]]} is of object {other[0]}",
                why=f"there is no such object: {_ids(known)}",
                fix="label one of these, or all alike: " + Words("--label car", python='label="car"'),
            )

    def unused_note(self, known: Collection[int]) -> str:
        """Say which objects have a label and are in no frame; empty if all are."""
        unused = [f"object {identity} ({self.own[identity]})" for identity in self.own if identity not in known]
        return f"labelled, and in no frame: {listed(unused, shown=6)}; {_ids(known)}" if unused else ""

    @property
    def settings(self) -> dict[str, Any]:
        """The words of a report under ``"label"``; nothing if there are no labels."""
        said = {**({} if self.every is None else {"every": self.every})}
        own = {str(identity): label for identity, label in self.own.items()}
        return {"label": {**own, **said}} if self else {}

    @classmethod
    def of_settings(cls, settings: Mapping[str, Any]) -> Labelling:
        """Return the labels that a report has; none where it says nothing that is understood."""
        found = settings.get("label")
        if not isinstance(found, Mapping):
            return NO_LABELS
        try:
            own = {int(name): label for name, label in found.items() if name != "every"}
            return cls(every=found.get("every"), own=own)
        except (ValueError, UsageError):  # pydantic's errors are of this kind
            return NO_LABELS


NO_LABELS: Final = Labelling()


def _ids(known: Collection[int]) -> str:
    if not known:
        return "no object was found"
    return f"the {'object is' if len(known) == 1 else 'objects are'} {listed(sorted(known), shown=8)}"


def check_label(label: str) -> str:
    """Return a label without spaces around it.

    Raises:
        UsageError: It is empty, too long, or holds line breaks or other control characters.
    """
    text = label.strip()
    if not text or len(text) > _MOST or not text.isprintable():
        raise UsageError(
            f"{label!r} is no label",
            why=f"it takes 1 to {_MOST} characters that can be printed, in one line",
            fix="write car, say, or 1=car for object 1",
        )
    return text


def as_labelling(given: Any) -> Labelling:
    """Return what a caller gives as a `Labelling`: a label, labels by object id, or None; a record stays one.

    Ids are whole numbers of any type, or their digits as text, as JSON has keys. The JSON of a record is taken too.

    Raises:
        UsageError: It is nothing of this, an id cannot be, or an object has two labels.
    """
    if given is None:
        return NO_LABELS
    if isinstance(given, Labelling):
        return given
    if isinstance(given, str):
        return Labelling(every=given)
    fix = 'write "car", or {1: "car"}'
    if not isinstance(given, Mapping):
        raise UsageError(f"label = {given!r}", why="it is neither a label nor labels by object id", fix=fix)
    if given.keys() <= Labelling.model_fields.keys():
        return parse_record(
            Labelling, lambda: dict(given), what=f"label = {given!r} cannot be read", fix=fix, error=UsageError
        )
    own: dict[int, str] = {}
    for key, label in given.items():
        identity = _id_of(key)
        if identity in own:
            raise UsageError(
                f"object {identity} has two labels",
                why=f"{own[identity]!r} and {label!r}, under two keys that are the same number",
                fix="give each object one label",
            )
        if not isinstance(label, str):
            raise UsageError(f"the label of object {identity} is {label!r}", why="it is no text", fix=fix)
        own[identity] = label
    return Labelling(own=own)


def _id_of(key: Any) -> int:
    identity = whole_number(key, digits=True)
    if identity is None:
        raise UsageError(f"object {key!r} has a label", why="an id is a whole number", fix='write {1: "car"}, say')
    if not 1 <= identity <= 254:
        raise UsageError(f"object {identity} has a label", why="ids are 1 to 254", fix="give it one of these")
    return identity


def read_labels(texts: Iterable[str]) -> Labelling:
    """Read labels as the command line has them: ``car``, ``1=car``.

    Raises:
        UsageError: One cannot be read, has its object last (``car=1``), or holds several (``1=car,2=dog``); or an
            object has two.
    """
    every: str | None = None
    own: dict[int, str] = {}
    for text in texts:
        number, equals, label = text.partition("=")
        identity = whole_number(number, digits=True)
        if number.strip() and identity is None and whole_number(label, digits=True) is not None:
            raise UsageError(
                f"--label {text}",
                why="the number of an object comes before the equals sign",
                fix=f"write --label {shlex.quote(f'{label.strip()}={number.strip()}')}",
            )
        if not equals or identity is None:
            identity, label = None, text
        if further := _FURTHER.split(label)[1:]:
            raise UsageError(
                f"--label {text}",
                why="an option has one label, and this holds several",
                fix="repeat " + " ".join(f"--label {shlex.quote(each.strip())}" for each in further),
            )
        before = every if identity is None else own.get(identity)
        if before is not None and before != label:
            raise UsageError(
                f"--label {text}",
                why=f"{'all objects are' if identity is None else f'object {identity} is'} called {before} already",
                fix="give each object one label: --label 1=car --label 2=dog",
            )
        if identity is None:
            every = label
        else:
            own[identity] = label
    return (as_labelling(own) if own else NO_LABELS).over(Labelling(every=every))
