"""The folder of one run: nothing in it is overwritten unasked, and nothing that covos did not write is ever touched.

A list of the written files, ``.covos-files``, shows whose a file is. It grows ahead of them, so that it is right even
if the run is killed.
"""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path, PurePosixPath

from covos.core.errors import EnvironmentProblem, UsageError
from covos.core.files import LOCK, atomic_path, exclusive, open_own, refuse_link, refuse_links
from covos.core.limits import limits
from covos.core.words import OVERWRITE

LIST = ".covos-files"
PROJECT = "covos.json"
_claiming = threading.Lock()
"""Held while a file is claimed: writers do so from several threads. One for all folders, which other processes get."""
PARTIAL = re.compile(r"\..*\.[0-9a-f]{8}\.partial(\.\w+)?")  # the temporary names of covos.core.files


class OutputFolder:
    """Holds the files of one run, for its writers.

    The folder, with its parents, is made with the first file, so that a run which fails before leaves nothing behind.
    With ``overwrite``, the first file also clears away what an earlier run of covos wrote here; other files stay. It is
    cleared under the folder's lock: never while another run is at work in it. With ``resumable``, the folder may hold a
    run that was begun: `covos.runs.state.RunState` decides if it can go on, with ``overwrite``, too. Without
    ``remakes``, it decides so of a result that is finished and would be overwritten.

    Raises:
        UsageError: The folder holds something and ``overwrite`` is off, or it holds files but no result of covos;
            or the path is a file.
        EnvironmentProblem: It cannot be written to.
    """

    def __init__(self, path: Path, *, overwrite: bool = False, resumable: bool = False, remakes: bool = True) -> None:
        self.path = path
        self.overwrites, self.remakes = overwrite, remakes
        self._begun = self._locked = False
        self._files: dict[str, None] = {}  # as a set that keeps the order
        self._replaced: set[str] = set()
        self._folders: list[Path] = []
        with explained(path):
            _check(path, overwrite=overwrite, resumable=resumable)

    def file(self, name: str) -> Path:
        """Claim a file such as ``masks/00000.png``: make its folder, note that it is ours, return the path to write to.

        Raises:
            UsageError: The name is taken: by an earlier call, or by a file that covos did not write.
            EnvironmentProblem: The folder cannot be made, or the disk is full.
        """
        return self._claimed(name, replaces=False)

    def _claimed(self, name: str, *, replaces: bool) -> Path:
        """Claim a file; one that `resume` has kept to be replaced may be there, if what is written replaces it."""
        target = self.path / name
        with _claiming, explained(target):
            refuse_links(self.path, target.parent)
            if not self._begun:
                if os.path.lexists(self.path / LIST):
                    with self.locked():
                        _clear(self.path)
                self._make(self.path)
                self._begun = True
            if name in self._files:
                raise UsageError(
                    f"{target} would be written over",
                    why="two frames have this name",
                    fix="give the frames different names",
                )
            if os.path.lexists(target) and not (replaces and name in self._replaced):
                raise UsageError(
                    f"{target} would be written over",
                    why="covos did not write this file",
                    fix="move it, or write elsewhere",
                )
            with open_own(self.path / LIST, "a", encoding="utf-8") as listing:
                listing.write(json.dumps(name) + "\n")
            # Behind the list: a kill in between leaves a list of too much, and not a folder that nobody knows.
            self._make(target.parent)
            refuse_links(self.path, target.parent)
            self._files[name] = None
        return target

    @contextmanager
    def whole(self, name: str) -> Iterator[Path]:
        """Claim a file, and give a temporary path to write to (see `covos.core.files.atomic_path`).

        If the block fails, the name is given back: the file may be written by another call. One that `resume` has kept
        to be replaced stays until then.

        Raises:
            UsageError: See `file`.
            EnvironmentProblem: As there.
        """
        target = self._claimed(name, replaces=True)
        try:
            with atomic_path(target) as temporary:
                yield temporary
        except BaseException:
            del self._files[name]
            raise

    def resume(self, *, keep: Sequence[str], replaced: Sequence[str] = ()) -> None:
        """Go on in a folder that a run has begun: clear away all that it wrote but these files and folders.

        Args:
            keep: Files and folders that stay.
            replaced: Files that stay until they are written again (see `whole`).
        """
        with explained(self.path):
            self._files = dict.fromkeys(_clear(self.path, keep=(*keep, *replaced)))
        self._replaced = set(replaced)
        for name in replaced:
            self._files.pop(name, None)
        self._begun = True

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other runs out of the folder for the time of a block; make it, and remove it if it stays empty.

        In a block of its own, nothing changes.

        Raises:
            EnvironmentProblem: Another run is at work in it, or it cannot be made.
        """
        if self._locked:
            yield
            return
        with explained(self.path):
            self._make(self.path)
        try:
            with exclusive(self.path / LOCK):
                self._locked = True
                yield
        finally:
            self._locked = False
            if not self._files:
                self._remove_empty_folders()

    @contextmanager
    def renewed(self, earlier: Path, *, last: str) -> Iterator[None]:
        """Replace what an earlier run wrote here in a block: if it fails, all is as it was before.

        Args:
            earlier: Folder on the same disk, which has the earlier files for the time of the block, and their list. If
                a run is killed in the block, `take_back` puts them back.
            last: Name of the file that is written last in the block.

        Raises:
            UsageError: The folder ``earlier`` is there, and is not covos's.
            EnvironmentProblem: Another run is at work here, or a file cannot be moved.
        """
        with self.locked(), explained(self.path):
            away = OutputFolder(earlier, overwrite=True)
            away.remove()
            earlier.mkdir()
            (earlier / LIST).write_bytes(_content(self.path / LIST))
            try:
                # While one of the same name lies here, it is the new one.
                for name in sorted(self._listed(earlier), key=lambda each: each != last):
                    if os.path.lexists(self.path / name):
                        (earlier / name).parent.mkdir(parents=True, exist_ok=True)
                        (self.path / name).rename(earlier / name)
                yield
            except BaseException:
                self.discard()
                self.take_back(earlier, last=last)
                raise
            away.remove()

    def take_back(self, earlier: Path, *, last: str) -> None:
        """Put back what `renewed` has set aside, unless all was replaced; what was written in its place is removed.

        Nothing is written, for the disk may be full.

        Raises:
            EnvironmentProblem: Another run is at work here, or a file cannot be moved.
        """
        if not os.path.lexists(earlier / LIST):
            return
        with self.locked(), explained(self.path):
            if os.path.lexists(self.path / last):
                OutputFolder(earlier, overwrite=True).remove()
                return
            names = self._listed(earlier)
            moved = [name for name in names if os.path.lexists(earlier / name)]
            for name in set(self._listed(self.path)) - (set(names) - set(moved)):
                (self.path / name).unlink(missing_ok=True)
            for name in moved:
                self._make((self.path / name).parent)
                (earlier / name).rename(self.path / name)
            (earlier / LIST).replace(self.path / LIST)
            below = {each for name in names for each in (earlier / name).parents if earlier in each.parents}
            for folder in (*sorted(below, key=lambda each: -len(each.parts)), earlier):
                remove_if_empty(folder)

    def _listed(self, folder: Path) -> list[str]:
        """Return the names of files in the list of a folder that may be those of files here."""
        found = (_listed(self.path, line) for line in _lines(_content(folder / LIST)))
        return [path.relative_to(self.path).as_posix() for path in found if path is not None]

    def remove(self) -> None:
        """Remove all that an earlier run wrote here, and the folder, unless other files are in it."""
        with explained(self.path):
            if self.path.is_dir():
                _clear(self.path)
            for name in (LIST, LOCK):
                (self.path / name).unlink(missing_ok=True)
            remove_if_empty(self.path)

    def discard(self) -> None:
        """Remove all that this run made, if it wrote nothing of value."""
        for name in self._files:
            (self.path / name).unlink(missing_ok=True)
        self._remove_empty_folders()
        if self.path.is_dir() and self._begun and {entry.name for entry in self.path.iterdir()} <= {LIST, LOCK}:
            (self.path / LIST).unlink(missing_ok=True)
            self._remove_empty_folders()
        self._files.clear()
        self._folders = [folder for folder in self._folders if folder.is_dir()]  # one is still locked
        self._begun = False

    def _remove_empty_folders(self) -> None:
        for folder in reversed(self._folders):
            remove_if_empty(folder)

    def _make(self, folder: Path) -> None:
        missing = []
        while not folder.is_dir():
            missing.append(folder)
            folder = folder.parent
        for each in reversed(missing):
            each.mkdir(exist_ok=True)  # another run may have made it in between: a batch makes subfolders of one
            self._folders.append(each)


def _check(path: Path, *, overwrite: bool, resumable: bool) -> None:
    if path.is_dir():
        here = path
        for name in (LIST, LOCK):
            refuse_link(path / name)
        is_ours = (path / LIST).is_file()
        held = next((entry.name for entry in path.iterdir() if not _is_unseen(entry.name, is_ours)), None)
        if held is not None and not overwrite and not (resumable and is_ours and (path / PROJECT).is_file()):
            what = "an earlier result" if is_ours else repr(held)
            raise UsageError(
                f"{path} is not empty",
                why=f"it holds {what}, and nothing is overwritten unless asked",
                fix="choose another folder"
                + (", or give " + OVERWRITE + " to replace the earlier result" if is_ours else ""),
            )
        if held is not None and not is_ours:
            raise UsageError(
                f"{path} is not a result of covos",
                why=f"it holds {held!r} but no list of files that covos wrote, so nothing here may be replaced",
                fix="choose another folder",
            )
    else:
        here = next(each for each in (path, *path.parents) if os.path.lexists(each))
        if not here.is_dir():
            raise UsageError(f"{path} cannot be a folder", why=f"{here} is a file", fix="choose another name")
    if not os.access(here, os.W_OK | os.X_OK):
        raise EnvironmentProblem(
            f"{path} cannot be written", why=f"no permission to write in {here}", fix="choose another folder"
        )


def _is_unseen(name: str, is_ours: bool) -> bool:
    """Tell if a folder with this entry still counts as empty: a run that was killed at once may leave such."""
    return name in (LIST, LOCK) or (is_ours and PARTIAL.fullmatch(name) is not None)


def _clear(root: Path, *, keep: Sequence[str] = ()) -> list[str]:
    """Remove what the list names, except for some files and folders, and what a killed run left of unfinished files.

    Return the names of the files that stay.
    """
    folders = {root}
    kept = {root / name for name in keep}
    stay = [name for name in keep if not (root / name).is_dir()]
    for line in _lines(_content(root / LIST)):
        if (target := _listed(root, line)) is None or target in kept:
            continue
        folders.update(takewhile(lambda each: each != root, target.parents))
        if kept.isdisjoint(target.parents):
            target.unlink(missing_ok=True)
        elif target.is_file():
            stay.append(target.relative_to(root).as_posix())
    for folder in sorted(folders, key=lambda each: -len(each.parts)):
        for entry in list(folder.iterdir()) if folder.is_dir() else ():
            if PARTIAL.fullmatch(entry.name):
                entry.unlink(missing_ok=True)
        if folder != root:
            remove_if_empty(folder)
    # Last, and not before: if this run is killed in between, the next one still knows what is ours.
    with atomic_path(root / LIST) as temporary:
        temporary.write_text("".join(json.dumps(name) + "\n" for name in stay), encoding="utf-8")
    return stay


def _content(listing: Path) -> bytes:
    """Return what is in a list of files; nothing where there is no list."""
    if not os.path.lexists(listing):
        return b""
    with open_own(listing, "rb") as file:
        content: bytes = file.read(limits().bytes)
    return content


def _lines(content: bytes) -> list[str]:
    return content.decode("utf-8", "replace").splitlines()


def _listed(root: Path, line: str) -> Path | None:
    """Return the file that a line of the list names; None if it is torn, or leads out of the folder."""
    try:
        name = json.loads(line)
    except ValueError:
        return None
    if not isinstance(name, str) or ".." in PurePosixPath(name).parts or PurePosixPath(name).is_absolute():
        return None
    target = root / name
    try:
        # A folder in between may have become a link to elsewhere.
        inside = target.parent.resolve().is_relative_to(root.resolve()) and not target.is_dir()
    except (OSError, RuntimeError, ValueError):  # no name of a file: too long, a null byte, links in a circle
        return None
    return target if inside and "\0" not in name else None


def remove_if_empty(folder: Path) -> None:
    """Remove a folder that is there and holds nothing."""
    if folder.is_dir() and next(folder.iterdir(), None) is None:
        folder.rmdir()


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn the system's refusal in a block into an error that names the path which could not be written."""
    try:
        yield
    except OSError as error:
        raise EnvironmentProblem(
            f"{path} could not be written",
            why=error.strerror or str(error),
            fix="free some space, or choose a folder that you may write to",
        ) from error
