"""The state of the run in a folder: it begins there, goes on there, and is done there.

``covos.json`` holds it, with the terms (see `covos.runs.terms`). The journal lies beside it (see `covos.runs.journal`)
and stays when the run is done: further formats, other edges and other labels are made of it, without the network; a
matte that it has is used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias, TypedDict, Unpack

from covos.core.errors import UsageError
from covos.core.guarded import is_there
from covos.core.records import write_record
from covos.core.types import SourceInfo
from covos.core.words import OVERWRITE
from covos.engines.steps import LadderStep
from covos.formats.table import check_formats
from covos.runs.folder import PROJECT, OutputFolder, explained
from covos.runs.journal import JOURNAL, Journal, count_entries, read_entries, short
from covos.runs.other_terms import refuse_others, refuse_variants
from covos.runs.page import HTML
from covos.runs.schema import REPORT, has_report, load_report
from covos.runs.terms import RunFile, RunHead, RunTerms

EARLIER: Final = "journal.earlier.jsonl"
"""Journal of a run before pictures of its source were mended."""

Touched: TypeAlias = Callable[[Sequence[int], Sequence[int]], tuple[int, ...] | None]
"""Returns the frames to compute again, by the pictures that changed, and those that could not be read; None for all."""


class _Changes(TypedDict, total=False):
    """The fields of a run's record that change while it is under way; see `RunTerms` and `RunHead`."""

    formats: tuple[str, ...]
    complete: bool
    whole: bool
    mendable: bool
    redo: None
    written: tuple[str, ...]
    outputs: tuple[str, ...]
    made: dict[str, int]
    steps_down: tuple[LadderStep, ...]
    cuts: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A run that is under way in its folder.

    Attributes:
        journal: The frames that are done, and those to come.
        formats: The formats to write.
        written: The formats that are there already.
        outputs: The files and folders of these, relative to the folder.
        anew: The reason for which outputs that were there are written anew, in words; empty if none are.
        edited: An output that somebody changed since it was written, and that stays; None if there is none.
        device: The device that computed masks which are there, in words; empty if it is not known, or they are not.
    """

    journal: Journal
    formats: tuple[str, ...]
    written: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    anew: str = ""
    edited: Path | None = None
    device: str = ""

    @property
    def every(self) -> tuple[str, ...]:
        """All formats of the folder."""
        return (*self.written, *self.formats)


class RunState:
    """The run that a folder holds, if it holds one.

    Its file is read once. Who changes the run keeps others out meanwhile (see `OutputFolder.locked`).

    Args:
        folder: Of the run. One that is overwritten holds none but a run that was stopped, or if it does not remake what
            is finished, any; and none once `replaces` has told so.

    Raises:
        UsageError: Its ``covos.json`` cannot be read, and it is not overwritten.
    """

    def __init__(self, folder: OutputFolder) -> None:
        self._folder = folder
        self._project = folder.path / PROJECT
        self._now = _held(folder, self._project)

    @property
    def formats(self) -> tuple[str, ...]:
        """The formats that stay beside further ones; none if there is no run, or if it may be replaced."""
        return () if self._now is None or self._folder.overwrites else self._now.formats

    def replaces(self, terms: RunTerms, *, plain: bool = False) -> bool:
        """Tell if the run is overwritten, for it is of other terms; there is none then any more.

        Args:
            terms: As they are asked for.
            plain: See `RunTerms.joined`.
        """
        now = self._now
        if now is None or not self._folder.overwrites or terms.joined(now, plain=plain).are_those_of(now):
            return False
        self._now = None
        return True

    @property
    def begun_settings(self) -> dict[str, Any] | None:
        """The settings of a run whose masks are not all there, or may be mended; None if there is no such run."""
        now = self._now
        return now.settings if now is not None and (now.mendable or not now.is_whole) else None

    @property
    def steps_down(self) -> tuple[LadderStep, ...]:
        """The steps that the run has taken so far, because the memory ran out."""
        return () if self._now is None else self._now.steps_down

    @property
    def kept(self) -> int:
        """Number of frames from which the run goes on; 0 if there is none."""
        now = self._now
        return 0 if now is None else count_entries(self._folder.path / JOURNAL, batch=1 if now.is_whole else now.batch)

    @property
    def cuts(self) -> tuple[int, ...]:
        """The cuts of the run, of whatever files; none if there is none."""
        return () if self._now is None else self._now.cuts or ()

    def known_cuts(self, terms: RunTerms) -> tuple[int, ...] | None:
        """Return the cuts that the run has found before it was stopped; None if it has not looked at these files."""
        now = self._now
        return None if now is None or now.inputs.fingerprint != terms.inputs.fingerprint else now.cuts

    def joined(self, terms: RunTerms, *, plain: bool = False) -> RunTerms:
        """Return terms as they hold for the run, if there is one (see `RunTerms.joined`)."""
        return terms if self._now is None else terms.joined(self._now, plain=plain)

    def is_done(self, terms: RunTerms, *, info: SourceInfo) -> bool:
        """Tell if the folder holds the finished result of these terms; refuse a folder that holds a run of others.

        Args:
            terms: As they are asked for.
            info: The source, as the part of it that is taken.

        Raises:
            UsageError: It does.
        """
        found = self._now
        if found is None:
            return False
        mends = terms.mends(found)
        if not mends:
            refuse_others(terms, found, folder=self._folder.path, info=info)
        refuse_variants(terms, found, folder=self._folder.path)
        return not mends and found.complete and set(terms.formats) <= set(found.formats) and not terms.anew(found)

    def begin(self, terms: RunTerms, *, touched: Touched = lambda _changed, _unreadable: None) -> Begun:
        """Start the run in its folder, or go on with it: all but the journal is then cleared away.

        A run that is done keeps its outputs, and gets those of further formats; with other edges or labels, its outputs
        are written anew. If pictures of the source were mended since, the journal of the run before is kept for the
        frames that do not depend on them. If some were added or removed, all is computed anew.
        """
        found = self._now
        if found is None:
            return self._begin_anew(terms)
        every = check_formats((*found.formats, *terms.formats))
        terms = terms.model_copy(update={"formats": every, "shown": {**found.shown, **terms.shown}})
        if found.inputs.fingerprint != terms.inputs.fingerprint:
            return self._mend(terms, found, touched)
        if found.is_whole:
            return self._write_more(terms, found)
        keep = (PROJECT, JOURNAL) if found.redo is None else (PROJECT, JOURNAL, EARLIER)
        self._folder.resume(keep=keep)
        state = RunHead(complete=False, redo=found.redo, steps_down=found.steps_down, cuts=found.cuts)
        self._write(RunFile.of(terms, state))
        path, earlier = self._folder.path / JOURNAL, None if found.redo is None else self._folder.path / EARLIER
        journal = Journal(path, batch=terms.batch, earlier=earlier, redo=found.redo or ())
        return Begun(journal=journal, formats=terms.formats)

    def _begin_anew(self, terms: RunTerms) -> Begun:
        try:
            self._folder.file(PROJECT)
            self._write(RunFile.of(terms, RunHead(complete=False)))
            journal = Journal(self._folder.file(JOURNAL), batch=terms.batch)
        except BaseException:
            self._folder.discard()
            raise
        return Begun(journal=journal, formats=terms.formats)

    def _write_more(self, terms: RunTerms, found: RunFile) -> Begun:
        """Write further formats of a run that is done, or all anew; it is not done until these are there, too."""
        path = self._folder.path
        if not is_there(path / JOURNAL):
            raise UsageError(
                f"{path} holds a result without its journal",
                why=f"{JOURNAL} was removed, and further formats, other edges and labels are made of it",
                fix="put it back; covos convert makes formats of the masks; or start anew with " + OVERWRITE,
            )
        written, outputs, anew, made = found.written, found.outputs, terms.anew(found), found.made
        report = load_report(path) if found.complete or has_report(path) else None
        if report is not None and found.complete:
            written, outputs = found.formats, report.outputs
            made = _made(path, outputs, made)
        edited = _edited(path, made)
        if anew and edited is not None:
            raise UsageError(
                f"{edited} would be written anew: {anew}",
                why="it was changed since the run was done",
                fix="leave it as it is and write elsewhere (covos convert), or start anew with " + OVERWRITE,
            )
        if report is not None and (count := count_entries(path / JOURNAL)) < report.totals.frames:
            raise short(path / JOURNAL, count=count, frames=report.totals.frames)
        if anew:
            written, outputs, made = (), (), {}
        state = RunHead(
            complete=False,
            whole=True,
            written=written,
            outputs=outputs,
            made=made,
            mendable=found.mendable,
            steps_down=found.steps_down,
            cuts=found.cuts,
        )
        self._write(RunFile.of(terms, state))
        # The report of outputs that stay is good until that of all takes its place.
        self._folder.resume(keep=(PROJECT, JOURNAL, *outputs), replaced=(HTML, REPORT) if outputs else ())
        return Begun(
            journal=Journal(path / JOURNAL, batch=1, whole=True),
            formats=tuple(name for name in terms.formats if name not in written),
            written=written,
            outputs=outputs,
            anew=anew,
            edited=edited,
            device="" if report is None else report.device,
        )

    def _mend(self, terms: RunTerms, found: RunFile, touched: Touched) -> Begun:
        journal, earlier = self._folder.path / JOURNAL, self._folder.path / EARLIER
        redo, count = None, len(terms.inputs.each)
        changed = found.inputs.changed(terms.inputs)
        # A run that was stopped while it mended holds two journals: which frames are of which files is not known.
        if changed is not None and found.redo is None and journal.is_file() != earlier.is_file():
            entries = [entry.masks.status for entry in read_entries(journal if journal.is_file() else earlier)]
            redo = touched(changed, [index for index, status in enumerate(entries) if status == "unreadable"])
            if redo is not None:
                redo = tuple(sorted({*redo, *range(len(entries) // terms.batch * terms.batch, count)}))
        if redo is None or len(redo) == count:
            self._folder.resume(keep=())
            return self._begin_anew(terms)
        self._folder.resume(keep=(PROJECT, JOURNAL, EARLIER))
        with explained(earlier):
            if journal.is_file():
                journal.replace(earlier)
        # Behind the renaming: a kill in between leaves the old terms, and the one journal under its new name.
        state = RunHead(complete=False, redo=redo, steps_down=found.steps_down)
        self._write(RunFile.of(terms, state))
        again = Journal(journal, batch=terms.batch, earlier=earlier, redo=redo)
        return Begun(journal=again, formats=terms.formats)

    def note_cuts(self, cuts: Sequence[int]) -> None:
        """Note the cuts, so that a run that goes on need not look for them again."""
        self._note(cuts=tuple(cuts))

    def note_steps(self, steps: Sequence[LadderStep]) -> None:
        """Note all steps that the run has taken, so that its report has them, however often it is stopped."""
        self._note(steps_down=tuple(steps))

    def finish(self, *, formats: tuple[str, ...], outputs: Sequence[Path] = (), mendable: bool = False) -> None:
        """Note that the run is done.

        Args:
            formats: All formats of the folder, whose outputs are there.
            outputs: Their files and folders.
            mendable: True if pictures could not be read, and may be mended.
        """
        names = [path.relative_to(self._folder.path).as_posix() for path in outputs]
        self._note(
            formats=formats,
            complete=True,
            whole=False,
            mendable=mendable,
            redo=None,
            written=(),
            outputs=(),
            made=_made(self._folder.path, names, self._begun.made) if names else {},
        )
        self.remove_leftovers()

    def remove_leftovers(self) -> None:
        """Remove the journal of the run before, which one that was killed as it finished may have left."""
        (self._folder.path / EARLIER).unlink(missing_ok=True)

    @property
    def _begun(self) -> RunFile:
        assert self._now is not None, "the run was begun"
        return self._now

    def _note(self, **changes: Unpack[_Changes]) -> None:
        self._write(self._begun.model_copy(update=changes))

    def _write(self, now: RunFile) -> None:
        write_record(now, self._project)
        self._now = now


def _held(folder: OutputFolder, project: Path) -> RunFile | None:
    """Return the run of a folder; of one that is overwritten, if it may go on."""
    if not project.is_file():
        return None
    try:
        found = RunFile.read(project)
    except UsageError:
        if folder.overwrites:
            return None
        raise
    return None if folder.overwrites and folder.remakes and found.is_whole else found


def _made(folder: Path, outputs: Sequence[str], known: Mapping[str, int]) -> dict[str, int]:
    """Return when each output was finished: if that is not noted, when the report was, which is written last."""
    done = (folder / REPORT).stat().st_mtime_ns
    return {name: known.get(name, done) for name in outputs}


def _edited(folder: Path, made: Mapping[str, int]) -> Path | None:
    """Return a file of the outputs that was changed since it was made; None if there is none."""
    for name, when in made.items():
        output = folder / name
        files = output.rglob("*") if output.is_dir() else [output]
        for file in files:
            if file.is_file() and file.stat().st_mtime_ns > when:
                return file
    return None
