"""The mark of a batch that replaces earlier results: which results it has made itself, until all clips have one."""

from __future__ import annotations

import json
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal

from covos.core.errors import EnvironmentProblem, InputError
from covos.core.files import hidden_beside
from covos.core.remote import is_remote
from covos.fleet.places import exists, read_file, remove_file, write_file

_TAIL: Final = ".own"
_FIX: Final = "remove it: the batch then begins with all clips anew"


class Own:
    """A hidden file beside the table of a batch, with the names of the clips whose results are its own.

    Without it, a batch that was stopped could not tell its results from those that it is to replace. Each line is a
    name, as JSON.

    Args:
        table: The place of the table, a path or a URL.
    """

    def __init__(self, table: str) -> None:
        if is_remote(table):
            folder, _, name = table.rpartition("/")
            self.place = f"{folder}/.{name}{_TAIL}"
        else:
            self.place = str(hidden_beside(Path(table), _TAIL))
        self._noted: set[str] = set()
        self._file: Literal["as found", "lacking", "whole"] = "as found"

    def names(self) -> frozenset[str]:
        """Return the names; none without the file.

        Raises:
            InputError: It cannot be read.
            EnvironmentProblem: Its URL cannot be reached.
        """
        if not exists(self.place):
            return frozenset()
        lines = read_file(self.place, fix=_FIX).splitlines(keepends=True)
        what = f"{self.place} cannot be read"
        if other := next((line for line in lines if not line.startswith(b'"')), None):
            raise InputError(what, why=f"{other[:40]!r} is no name of a clip", fix=_FIX)
        try:
            # Half a line is left where the machine lost its power as it was written.
            return frozenset(json.loads(line) for line in lines if line.endswith(b"\n"))
        except ValueError as error:
            raise InputError(what, why=str(error), fix=_FIX) from None

    def begin(self) -> frozenset[str]:
        """Return the names, to which `note` adds others; errors are those of `names`."""
        found = self.names()
        self._noted = set(found)
        return found

    def note(self, name: str) -> None:
        """Add a name: here at once, as the batch may be killed; at a URL, or if the disk refuses, with `save`."""
        if name in self._noted:
            return
        self._noted.add(name)
        before, self._file = self._file, "lacking"
        if is_remote(self.place):  # which takes whole files alone
            return
        with suppress(OSError, EnvironmentProblem):
            if before == "whole":
                with Path(self.place).open("ab") as file:
                    file.write(_line(name))
                self._file = "whole"
            else:
                self.save()

    def save(self) -> None:
        """Write the file, if it lacks a name.

        Raises:
            EnvironmentProblem: It cannot be written.
        """
        if self._file == "lacking":
            self.write(self._noted)
            self._file = "whole"

    def write(self, names: Collection[str]) -> None:
        """Write these names in place of all others.

        Raises:
            EnvironmentProblem: It cannot be written.
        """
        write_file(self.place, b"".join(map(_line, sorted(names))))

    def drop(self, names: Collection[str]) -> None:
        """Take names out of the file, if it is there, and remove it if none is left; a damaged one stays as it is.

        Raises:
            EnvironmentProblem: It cannot be written or removed.
        """
        if not exists(self.place):
            return
        try:
            found = self.names()
        except InputError:  # a batch that replaces nothing does not need it, and another one says so
            return
        if left := found.difference(names):
            self.write(left)
        else:
            remove_file(self.place)


def _line(name: str) -> bytes:
    return json.dumps(name).encode() + b"\n"
