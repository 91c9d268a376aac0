"""The mark of a batch that replaces earlier results: which results it has made itself, until all clips have one."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Final

from covos.core.errors import InputError
from covos.core.files import atomic_path, hidden_beside
from covos.core.guarded import read_guarded
from covos.core.remote import is_remote
from covos.fleet.places import exists, read_bytes, remove_file, write_bytes

_TAIL: Final = ".own"
_FIX: Final = "remove it: the batch then begins with all clips anew"


class Own:
    """A hidden file beside the table of a batch, with the names of the clips whose results are its own.

    Without it, a batch that was stopped could not tell its results from those that it is to replace.

    Args:
        table: The place of the table, a path or a URL.
    """

    def __init__(self, table: str) -> None:
        if is_remote(table):
            folder, _, name = table.rpartition("/")
            self.place = f"{folder}/.{name}{_TAIL}"
        else:
            self.place = str(hidden_beside(Path(table), _TAIL))

    def names(self) -> frozenset[str]:
        """Return the names; none without the file.

        Raises:
            InputError: It cannot be read.
            EnvironmentProblem: Its URL cannot be reached.
        """
        if not exists(self.place):
            return frozenset()
        what = f"{self.place} cannot be read"
        far = is_remote(self.place)
        content = read_bytes(self.place, what=what) if far else read_guarded(Path(self.place), what=what, fix=_FIX)
        try:
            return frozenset(map(str, json.loads(content)))
        except (ValueError, TypeError) as error:
            raise InputError(what, why=str(error), fix=_FIX) from None

    def write(self, names: Collection[str]) -> None:
        """Write the names.

        Raises:
            EnvironmentProblem: It cannot be written.
        """
        content = json.dumps(sorted(names)).encode()
        if is_remote(self.place):
            write_bytes(self.place, content)
            return
        Path(self.place).parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(Path(self.place)) as temporary:
            temporary.write_bytes(content)

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
