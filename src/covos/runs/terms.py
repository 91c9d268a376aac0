"""Terms of a run, in a file of its folder: a stopped run goes on under them, and nothing else is mixed in.

``covos.json`` holds those of a source that is segmented. Its journal lies beside it (see `covos.runs.journal`) and
stays when the run is done: further formats, other edges and other labels are made of it, without the network; a matte
that it has is used. Those of a data set are in `covos.runs.predict_terms`.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

from pydantic import Field, model_validator

from covos._version import __version__
from covos.core.errors import UsageError
from covos.core.guarded import is_there
from covos.core.records import Record, read_record, write_record
from covos.core.types import SourceInfo
from covos.engines.steps import LadderStep
from covos.formats.table import check_formats, parse_format, plain_formats
from covos.runs.beside import convert_command, part_options
from covos.runs.folder import PROJECT, OutputFolder, explained
from covos.runs.journal import Journal, read_entries
from covos.runs.schema import REPORT, SCHEMA, Versioned, load_report
from covos.runs.terms_in_words import TASK, Terms, model_in_words, settings_in_words, shown_value, task_in_words

JOURNAL: Final = "journal.jsonl"
WRITTEN: Final = "kept.jsonl"
"""Journal of masks that were not found here but corrected, converted or saved: as they were written, after edges."""
EARLIER: Final = "journal.earlier.jsonl"
LATER: Final = ("edges", "label")
"""Settings that concern what is written of the journal's masks, not the masks."""
COMPUTED: Final = ("runtime", "precision")
"""Settings of how masks were computed, which an `auto` may choose otherwise on another machine."""
PRECISIONS: Final = {"float32": "fp32", "bfloat16": "bf16", "float16": "fp16"}
"""Names of precisions as a user gives them, by those in records of a run."""
KEPT: Final = ("matte", *COMPUTED)
"""Settings that concern masks which are there: a run that is done keeps its own."""


class Inputs(Record):
    """The files that a run reads: the path as the user gave it, their number, bytes and fingerprint.

    They may be moved or renamed; their content may not change, but for pictures of a folder (see `RunTerms.begin`):
    ``each`` has the name and fingerprint of each.
    """

    path: str
    files: int
    size: int
    fingerprint: str
    each: tuple[tuple[str, str], ...] = ()

    def changed(self, now: Inputs) -> list[int] | None:
        """Return the indices of the pictures that are others now; None if some were added or removed."""
        if [name for name, _ in self.each] != [name for name, _ in now.each]:
            return None
        pairs = zip(self.each, now.each, strict=True)
        return [index for index, (before, after) in enumerate(pairs) if before != after]


Touched: TypeAlias = Callable[[Sequence[int], Sequence[int]], tuple[int, ...] | None]
"""Returns the frames to compute again, by the pictures that changed, and those that could not be read; None for all."""


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
    """

    journal: Journal
    formats: tuple[str, ...]
    written: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    anew: str = ""
    edited: Path | None = None

    @property
    def every(self) -> tuple[str, ...]:
        """All formats of the folder."""
        return (*self.written, *self.formats)


class RunTerms(Terms):
    """Terms under which a source is segmented; ``batch`` frames are computed together.

    The masks do not depend on ``formats``: a folder takes further ones at any time; nor on `LATER`: the outputs are
    then written anew. ``shown`` has the fingerprint of what a format shows beside the source, such as the picture
    behind the subject.
    """

    inputs: Inputs
    model: str
    weights_sha256: str
    settings: dict[str, Any]
    batch: int
    formats: tuple[str, ...]
    shown: dict[str, str] = Field(default_factory=dict)
    covos: str = __version__

    def in_words(self) -> dict[str, str]:
        """See `Terms`."""
        settings = {name: value for name, value in self.settings.items() if name not in LATER}
        return {
            "the input": f"{self.inputs.size} bytes with fingerprint {self.inputs.fingerprint[:12]}",
            "the model": model_in_words(self.weights_sha256),
            TASK: task_in_words(settings),
            **settings_in_words(settings),
            "frames computed together": str(self.batch),
            "covos": self.covos,
        }

    @property
    def kept(self) -> dict[str, Any]:
        """The settings that a run which is done keeps, whatever further outputs are asked for: see `KEPT`."""
        return {name: value for name, value in self.settings.items() if name in KEPT}

    def joined(self, folder: OutputFolder, *, plain: bool = False) -> RunTerms:
        """Return these terms as they hold for the run in a folder, if there is one.

        One from before there were cuts takes the video as one shot. One that is done keeps its matte, unless one is
        asked for, its runtime and its precision: its masks are there, and nothing is computed again.

        Args:
            folder: Of the run.
            plain: If true, formats are asked for without a matte: where the run has one, their names then say so.
        """
        if not _is_begun(folder):
            return self
        found = _read(folder)
        if "cuts" not in found.settings:
            settings = {name: value for name, value in self.settings.items() if name != "cuts"}
            return self.model_copy(update={"settings": settings})._joined(found, plain=plain)
        return self._joined(found, plain=plain)

    def _joined(self, found: _RunFile, *, plain: bool) -> RunTerms:
        if not found.is_whole or found.inputs.fingerprint != self.inputs.fingerprint:
            return self
        asked = {name: value for name, value in self.settings.items() if name not in COMPUTED}
        joined = self.model_copy(update={"settings": {**found.kept, **asked}})
        return joined._plain if plain and "matte" in found.kept else joined

    @property
    def _plain(self) -> RunTerms:
        """The same with formats that leave the matte out."""
        names = dict(zip(self.formats, plain_formats(self.formats), strict=True))
        shown = {names.get(name, name): content for name, content in self.shown.items()}
        return self.model_copy(update={"formats": tuple(names.values()), "shown": shown})

    def is_done(self, folder: OutputFolder, *, info: SourceInfo) -> bool:
        """Tell if the folder holds the finished result of these terms; refuse a folder that holds a run of others.

        Args:
            folder: Of the run.
            info: The source, as the part of it that is taken.
        """
        if not _is_begun(folder):
            return False
        found = _read(folder)
        if self._is_mended(found):
            self._refuse_variants(found, folder)
            return False
        held = "the result" if found.complete else "an unfinished run"
        fix = self._way_out(found, folder, info)
        found.refuse_others(self, what=f"{folder.path} holds {held} of other terms", fix=fix)
        if changed := [name for name in self.shown if self.shown[name] != found.shown.get(name, self.shown[name])]:
            raise UsageError(
                f"{folder.path} holds {held} of {changed[0]}",
                why="the file that it names has another content now",
                fix="choose another folder, convert to one (covos convert), or start anew with -y (overwrite=True)",
            )
        self._refuse_variants(found, folder)
        return found.complete and set(self.formats) <= set(found.formats) and not self._anew(found)

    def _way_out(self, found: _RunFile, folder: OutputFolder, info: SourceInfo) -> str:
        """Say what to do where the folder holds a run of other terms: the command, if the masks of the run will do."""
        fix = "go back to those, choose another folder, or start anew with -y (overwrite=True)"
        if found.is_whole and self._is_but_for(("matte",), found):
            soft = [name for name in self.formats if not parse_format(name)[0].labels_only]
            convert = convert_command(folder.path, soft or ["prores"], "--matte")
            return f"a matte of the masks that are there: {convert} (covos.convert(..., matte=True)); else {fix}"
        if how := found._computed_otherwise(self):
            return f"{how} goes on, on a machine that has it; else choose another folder, or start anew with -y"
        is_same = found.is_whole and found.inputs.fingerprint == self.inputs.fingerprint
        if found.complete and is_same and self._is_but_for(("range", "frame_rate"), found):
            part = part_options(folder.path, info)
            if part is not None:
                convert = convert_command(folder.path, self.formats, *part, name="part")
                added = self._to_add(found)
                return f"for this part of the masks that are there, without the network: {convert}{added}; else {fix}"
        if is_same and not set(self.formats) <= set(found.formats):
            convert = convert_command(folder.path, self.formats)
            return f"for another format of the masks that are there: {convert}; else {fix}"
        return fix

    def _is_but_for(self, names: Sequence[str], found: _RunFile) -> bool:
        """Tell if some settings are all that differs from a run."""
        settings = {name: value for name, value in self.settings.items() if name not in names}
        settings |= {name: value for name, value in found.settings.items() if name in names}
        return not found.differences(self.model_copy(update={"settings": settings}))

    def _to_add(self, found: _RunFile) -> str:
        """Say which settings of what is written differ from those of a run, to be added to a command; or nothing."""
        changed = " and ".join(name for name in LATER if self.settings.get(name) != found.settings.get(name))
        return f"; add your {changed}" if changed else ""

    def _computed_otherwise(self, now: RunTerms) -> str:
        """Return the options that compute as this run does, if these terms compute otherwise; else an empty text."""
        options = {
            "runtime": self.settings.get("runtime", "torch"),
            "precision": PRECISIONS.get(str(self.settings.get("precision")), "auto"),
        }
        other = any(self.in_words().get(name) != now.in_words().get(name) for name in COMPUTED)
        return " ".join(f"--{name} {value}" for name, value in options.items()) if other else ""

    def _refuse_variants(self, found: _RunFile, folder: OutputFolder) -> None:
        """Refuse a format that the folder has with another value: its files would take the place of those there."""
        there = {name.partition("=")[0]: name for name in found.formats}
        more = [name for name in self.formats if name not in found.formats]
        clash = next((name for name in more if name.partition("=")[0] in there), None)
        if clash is None:
            return
        kind = clash.partition("=")[0]
        convert = convert_command(folder.path, more, name=kind)
        is_done = found.is_whole and found.inputs.fingerprint == self.inputs.fingerprint
        begin = "" if is_done else f"finish this run without it (-f {shlex.quote(there[kind])}), then: "
        raise UsageError(
            f"the format {clash} beside the format {there[kind]} in {folder.path}",
            why="their files would have the same names",
            fix=f"{begin}{convert} writes it without the network{self._to_add(found)}",
        )

    def _anew(self, found: RunTerms) -> str:
        """Say what is asked for of the same masks in another way; empty if nothing is."""
        return "; ".join(
            f"{name} {shown_value(self.settings.get(name))}, before {shown_value(found.settings.get(name))}"
            for name in LATER
            if self.settings.get(name) != found.settings.get(name)
        )

    def begin(self, folder: OutputFolder, *, touched: Touched = lambda _changed, _unreadable: None) -> Begun:
        """Start the run in its folder, or go on with it: all but the journal is then cleared away.

        A run that is done keeps its outputs, and gets those of further formats; with other edges or labels, its outputs
        are written anew. If pictures of the source were mended
        since, the journal of the run before is kept for the frames that do not depend on them. If some were added or
        removed, all is computed anew.
        """
        if not _is_begun(folder):
            return self._begin_anew(folder)
        found = _read(folder)
        every = check_formats((*found.formats, *self.formats))
        now = self.model_copy(update={"formats": every, "shown": {**found.shown, **self.shown}})
        if found.inputs.fingerprint != self.inputs.fingerprint:
            return now._mend(found, folder, touched)
        if found.is_whole:
            return now._write_more(found, folder)
        keep = (PROJECT, JOURNAL) if found.redo is None else (PROJECT, JOURNAL, EARLIER)
        folder.resume(keep=keep)
        now._write(folder.path / PROJECT, complete=False, redo=found.redo, steps_down=found.steps_down, cuts=found.cuts)
        path, earlier = folder.path / JOURNAL, None if found.redo is None else folder.path / EARLIER
        journal = Journal(path, batch=self.batch, earlier=earlier, redo=found.redo or ())
        return Begun(journal=journal, formats=now.formats)

    def _begin_anew(self, folder: OutputFolder) -> Begun:
        try:
            self._write(folder.file(PROJECT), complete=False)
            journal = Journal(folder.file(JOURNAL), batch=self.batch)
        except BaseException:
            folder.discard()
            raise
        return Begun(journal=journal, formats=self.formats)

    def _write_more(self, found: _RunFile, folder: OutputFolder) -> Begun:
        """Write further formats of a run that is done, or all anew; it is not done until these are there, too."""
        if not is_there(folder.path / JOURNAL):
            raise UsageError(
                f"{folder.path} holds a result without its journal",
                why=f"{JOURNAL} was removed, and further formats, other edges and labels are made of it",
                fix="put it back; covos convert makes formats of the masks; or start anew with -y (overwrite=True)",
            )
        written, outputs, anew, made = found.written, found.outputs, self._anew(found), found.made
        if found.complete:
            written, outputs = found.formats, load_report(folder.path).outputs
            made = _made(folder.path, outputs, made)
        edited = _edited(folder.path, made)
        if anew and edited is not None:
            raise UsageError(
                f"{edited} would be written anew: {anew}",
                why="it was changed since the run was done",
                fix="leave it as it is and write elsewhere (covos convert), or start anew with -y (overwrite=True)",
            )
        if anew:
            written, outputs, made = (), (), {}
        self._write(
            folder.path / PROJECT,
            complete=False,
            whole=True,
            written=written,
            outputs=outputs,
            made=made,
            mendable=found.mendable,
            steps_down=found.steps_down,
            cuts=found.cuts,
        )
        folder.resume(keep=(PROJECT, JOURNAL, *outputs))
        return Begun(
            journal=Journal(folder.path / JOURNAL, batch=1, whole=True),
            formats=tuple(name for name in self.formats if name not in written),
            written=written,
            outputs=outputs,
            anew=anew,
            edited=edited,
        )

    def _is_mended(self, found: _RunFile) -> bool:
        """Tell if a run may go on with pictures that are others now: it was stopped, or some could not be read."""
        if found.inputs.fingerprint == self.inputs.fingerprint or not (found.inputs.each and self.inputs.each):
            return False
        same = self.model_copy(update={"inputs": found.inputs})
        return (found.mendable or not found.complete) and not found.differences(same)

    def _mend(self, found: _RunFile, folder: OutputFolder, touched: Touched) -> Begun:
        journal, earlier = folder.path / JOURNAL, folder.path / EARLIER
        redo = None
        changed = found.inputs.changed(self.inputs)
        # A run that was stopped while it mended holds two journals: which frames are of which files is not known.
        if changed is not None and found.redo is None and journal.is_file() != earlier.is_file():
            entries = [entry.masks.status for entry in read_entries(journal if journal.is_file() else earlier)]
            redo = touched(changed, [index for index, status in enumerate(entries) if status == "unreadable"])
            if redo is not None:
                redo = tuple(sorted({*redo, *range(len(entries) // self.batch * self.batch, len(self.inputs.each))}))
        if redo is None or len(redo) == len(self.inputs.each):
            folder.resume(keep=())
            return self._begin_anew(folder)
        folder.resume(keep=(PROJECT, JOURNAL, EARLIER))
        with explained(earlier):
            if journal.is_file():
                journal.replace(earlier)
        # Behind the renaming: a kill in between leaves the old terms, and the one journal under its new name.
        self._write(folder.path / PROJECT, complete=False, redo=redo, steps_down=found.steps_down)
        again = Journal(journal, batch=self.batch, earlier=earlier, redo=redo)
        return Begun(journal=again, formats=self.formats)

    def earlier_steps(self, folder: OutputFolder) -> tuple[LadderStep, ...]:
        """Return the steps that this run has taken before it was stopped, because the memory ran out."""
        return _read(folder).steps_down

    def known_cuts(self, folder: OutputFolder) -> tuple[int, ...] | None:
        """Return the cuts that this run has found before it was stopped; None if it has not looked at these files."""
        found = _read(folder) if _is_begun(folder) else None
        return None if found is None or found.inputs.fingerprint != self.inputs.fingerprint else found.cuts

    def cuts_before(self, folder: OutputFolder) -> tuple[int, ...]:
        """Return the cuts of the run that the folder holds, of whatever files; none if it holds none."""
        return (_read(folder).cuts or ()) if _is_begun(folder) else ()

    def note_cuts(self, folder: OutputFolder, cuts: Sequence[int]) -> None:
        """Note the cuts, so that a run that goes on need not look for them again."""
        write_record(_read(folder).model_copy(update={"cuts": tuple(cuts)}), folder.path / PROJECT)

    def note_steps(self, folder: OutputFolder, steps: Sequence[LadderStep]) -> None:
        """Note all steps that this run has taken, so that its report has them, however often it is stopped."""
        write_record(_read(folder).model_copy(update={"steps_down": tuple(steps)}), folder.path / PROJECT)

    def finish(
        self,
        folder: OutputFolder,
        *,
        formats: tuple[str, ...],
        outputs: Sequence[Path] = (),
        mendable: bool = False,
    ) -> None:
        """Note that the outputs of all formats are there, and if pictures that could not be read may be mended."""
        done = self.model_copy(update={"formats": formats, "shown": {**_read(folder).shown, **self.shown}})
        steps, cuts = self.earlier_steps(folder), _read(folder).cuts
        names = [path.relative_to(folder.path).as_posix() for path in outputs]
        made = _made(folder.path, names, _read(folder).made) if names else {}
        done._write(folder.path / PROJECT, complete=True, mendable=mendable, made=made, steps_down=steps, cuts=cuts)
        remove_leftovers(folder)

    def _write(self, file: Path, **state: Any) -> None:
        """Write the terms and the state of the run: fields of `_RunHead`."""
        write_record(_RunFile(schema=SCHEMA, **state, **dict(self)), file)


class _RunHead(Versioned):
    """The state of a run.

    Attributes:
        complete: True if the outputs of all formats are there.
        whole: True if the journal has all frames, while outputs are made of it.
        mendable: True if pictures could not be read: the run goes on after they are mended.
        redo: Frames that are computed again after mending; None if none are.
        written: Formats that were there before further ones were asked for.
        outputs: Files and folders of these.
        made: When each output was finished, in nanoseconds of the disk's clock: what changed since was edited.
        steps_down: Steps that it has taken because the memory ran out (see `covos.engines.ladder`).
        cuts: Frames with which shots begin, but for the first; None if they were not looked for.
    """

    complete: bool
    whole: bool = False
    mendable: bool = False
    redo: tuple[int, ...] | None = None
    written: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    made: dict[str, int] = Field(default_factory=dict)
    steps_down: tuple[LadderStep, ...] = ()
    cuts: tuple[int, ...] | None = None

    @property
    def is_whole(self) -> bool:
        """True if the masks of all frames are there."""
        return self.complete or self.whole or bool(self.written)


class _RunFile(RunTerms, _RunHead):
    """The content of ``covos.json``. The head stands last among the bases: its fields then come first in the file."""

    @model_validator(mode="before")
    @classmethod
    def _of_earlier_versions(cls, content: Any) -> Any:
        # The formats stood among the settings.
        if not isinstance(content, dict) or "formats" in content or not isinstance(content.get("settings"), dict):
            return content
        settings = dict(content["settings"])
        return {**content, "formats": settings.pop("formats", ()), "settings": settings}


def _read(folder: OutputFolder) -> _RunFile:
    return _read_project(folder.path / PROJECT)


def _read_project(file: Path) -> _RunFile:
    return read_record(
        _RunFile,
        file,
        what=f"{file} cannot be read",
        fix="update covos if a newer one wrote it; else another folder, or start anew with -y (overwrite=True)",
        error=UsageError,
    )


def begun_settings(folder: OutputFolder) -> dict[str, Any] | None:
    """Return the settings of a run whose masks are not all there, or may be mended; None if a folder holds none."""
    if not _is_begun(folder):
        return None
    found = _read(folder)
    return found.settings if found.mendable or not found.is_whole else None


def formats_there(folder: OutputFolder) -> tuple[str, ...]:
    """Return the formats of the run that a folder holds; none if it holds none."""
    return _read(folder).formats if _is_begun(folder) else ()


def is_complete(project: Path) -> bool:
    """Tell if a ``covos.json`` is that of a run that is done, under whatever terms."""
    return _read_project(project).complete


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


def _is_begun(folder: OutputFolder) -> bool:
    return not folder.overwrites and (folder.path / PROJECT).is_file()


def remove_leftovers(folder: OutputFolder) -> None:
    """Remove the journal of the run before, which one that was killed as it finished may have left."""
    (folder.path / EARLIER).unlink(missing_ok=True)
