"""Parts of a batch: several machines share its clips, each knowing only its own number and how many there are."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Self
from unicodedata import normalize

from covos.core.errors import UsageError
from covos.core.words import Words

_FORM = re.compile(r"(?P<number>\d{1,6})/(?P<of>\d{1,6})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Part:
    """One of several parts of a batch.

    The name of a clip alone decides its part. So machines agree that begin at different times, or see the inputs in
    another order, and a clip that is added moves no other. The parts are therefore only about equally large.

    Attributes:
        number: From 1.
        of: The number of parts.
    """

    number: int
    of: int

    @classmethod
    def read(cls, text: str) -> Self:
        """Read ``I/N``.

        Raises:
            UsageError: It is not of this form, or I is not in 1 to N.
        """
        found = _FORM.fullmatch(text)
        part = None if found is None else cls(int(found["number"]), int(found["of"]))
        if part is None or not 1 <= part.number <= part.of:
            raise UsageError(
                f"--shard {text}",
                why="it is not I/N, with I from 1 to N" if part is None else f"there are parts 1 to {part.of}",
                fix="write " + Words("--shard 3/8", python="shard='3/8'") + " for the third of eight parts",
            )
        return part

    def has(self, name: str) -> bool:
        """Return True if a clip of this name is in this part."""
        # Systems write the same name of a shared folder with composed or with decomposed letters.
        digest = hashlib.sha256(normalize("NFC", name).encode("utf-8", "surrogateescape")).digest()
        return int.from_bytes(digest[:8], "big") % self.of == self.number - 1

    def table(self, place: str) -> str:
        """Return the place of this part's table: that of the whole batch with the part in its name."""
        suffix = PurePosixPath(place).suffix  # as `is_table` has it
        return f"{place.removesuffix(suffix)}-{self.number:0{len(str(self.of))}}-of-{self.of}{suffix}"


def is_table(given: str, place: str) -> bool:
    """Tell if a place is the table of a whole batch, ``place``, or that of any part of it."""
    suffix = PurePosixPath(place).suffix
    form = f"{re.escape(place.removesuffix(suffix))}(-[0-9]+-of-[0-9]+)?{re.escape(suffix)}"
    return re.fullmatch(form, given) is not None
