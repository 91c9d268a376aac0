"""The base of formats that write each object by itself if they are asked to (``each``), a file or a folder for each."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np

from covos.core.labelling import NAMELESS
from covos.core.types import Frame, FrameResult
from covos.formats.base import Format
from covos.formats.compose import ComposedResult
from covos.formats.composition import PLAIN_ALPHA
from covos.masks.object_ids import present_ids

_LONGEST = 40
"""Characters of a label in the name of a file: with more in other letters, the name would be too long."""


@dataclass(frozen=True, slots=True)
class _Moment:
    """A frame before an object appeared, as far as it is needed to write that nothing is there."""

    index: int
    stem: str
    pts: int
    time_base: Fraction
    size: tuple[int, int]

    @property
    def empty(self) -> ComposedResult:
        """A black frame with no object."""
        nothing = np.zeros(self.size, np.uint8)
        image = np.zeros((*self.size, 3), np.uint8)
        frame = Frame(index=self.index, stem=self.stem, image=image, pts=self.pts, time_base=self.time_base)
        return ComposedResult(frame=frame, probability=nothing.astype(np.float32), labels=nothing, confidence=1.0)


class EachObjectFormat(Format):
    """A format of the subject, or with ``each`` of each object by itself.

    The file of an object that appears later begins with frames in which nothing is: all objects have all frames
    of the clip.
    """

    flags: ClassVar[tuple[str, ...]] = ("each", "invert", PLAIN_ALPHA)
    composes: ClassVar[Mapping[str, str]] = {"each_object": "each", "invert": "invert"}

    @classmethod
    def is_each(cls, value: str | None) -> bool:
        """Tell if a value asks for each object by itself."""
        return "each" in cls.parsed(value)[1]

    @classmethod
    def names_objects(cls, value: str | None) -> bool:
        """Tell if files are called by the labels."""
        return cls.is_each(value)

    @classmethod
    def suffix_of(cls, value: str | None) -> str:
        """Return none with a file for each object."""
        return "" if cls.is_each(value) else super().suffix_of(value)

    @classmethod
    def still_suffixes(cls, value: str | None) -> tuple[str, ...]:
        """Return none with a file for each object."""
        return () if cls.is_each(value) else super().still_suffixes(value)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Also that there was no object to write, or that all is one."""
        told = {
            0: "no object was found, and no file is written",
            1: "these frames have one object, which is written alone; if one object is several things, let all objects "
            "be found (objects: auto), or point at each",
        }.get(len(self._known))
        more = (f"{self.name}: {told}",) if self._is_each and self._written and told else ()
        return *super().warnings, *more

    @abstractmethod
    def _add_named(self, name: str, result: FrameResult) -> None:
        """Add a frame of the object of a name, a part of that of a file; of the whole subject if there is none."""

    @cached_property
    def _is_each(self) -> bool:
        return self.is_each(self._value)

    @classmethod
    def left_whole(cls, writers: Sequence[Format]) -> tuple[str, ...]:
        """Say which formats have all objects in one picture where others have each by itself."""
        if not any(isinstance(each, cls) and each._is_each for each in writers):
            return ()
        names = ", ".join(each.name for each in writers if each.lays_over)
        return (f"{names}: all objects are in one picture; formats with alpha have each by itself",) if names else ()

    def _add(self, result: FrameResult) -> None:
        if not self._is_each:
            self._add_named("", result)
            return
        composed, frame = ComposedResult.of(result), result.frame
        for identity in present_ids(composed.labels):
            if identity not in self._known:
                self._known.append(identity)
                for earlier in self._earlier:
                    self._add_named(self._called(identity), earlier.empty)
        for identity in self._known:
            self._add_named(self._called(identity), composed.only(identity))
        self._earlier.append(_Moment(frame.index, frame.stem, frame.pts, frame.time_base, frame.size))

    def _finish_all(self) -> tuple[Path, ...]:
        return () if self._is_each and not self._known else super()._finish_all()

    def _called(self, identity: int) -> str:
        """Return the name of an object in those of files: its number, and what it is called if it is called something.

        A folder's mark, a colon or the like is taken by no system.
        """
        label = "" if (said := self._labels.of(identity)) == NAMELESS else said
        said = re.sub(r"[^\w-]+", "_", label)[:_LONGEST].strip("_")
        return f"{identity}" + (f"-{said}" if said else "")

    @cached_property
    def _known(self) -> list[int]:
        return []

    @cached_property
    def _earlier(self) -> list[_Moment]:
        return []
