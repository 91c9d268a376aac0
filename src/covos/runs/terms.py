"""Terms of a run, in a file of its folder: a stopped run goes on under them, and nothing else is mixed in.

``covos.json`` holds those of a source that is segmented, with the state of the run (see `covos.runs.state`). Those of
a data set are in `covos.runs.predict_terms`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import Field, model_validator

from covos._version import __version__
from covos.core.errors import SourceError, UsageError
from covos.core.records import Record, read_record
from covos.core.words import OVERWRITE
from covos.engines.steps import LadderStep
from covos.formats.table import plain_formats
from covos.media.source import Source
from covos.runs.schema import SCHEMA, Versioned
from covos.runs.terms_in_words import TASK, Terms, model_in_words, settings_in_words, shown_value, task_in_words

LATER: Final = ("edges", "label")
"""Settings that concern what is written of the journal's masks, not the masks."""
COMPUTED: Final = ("runtime", "precision")
"""Settings of how masks were computed, which an `auto` may choose otherwise on another machine."""
_DEVICE: Final = "device"
"""The setting of the kind of device that computed. A report has it beside its settings."""
PRECISIONS: Final = {"float32": "fp32", "bfloat16": "bf16", "float16": "fp16"}
"""Names of precisions as a user gives them, by those in records of a run."""
KEPT: Final = ("matte", *COMPUTED)
"""Settings that concern masks which are there: a run that is done keeps its own."""


class Inputs(Record):
    """The files that a run reads: the path as the user gave it, their number, bytes and fingerprint.

    They may be moved or renamed; their content may not change, but for pictures of a folder (see
    `covos.runs.state.RunState.begin`): ``each`` has the name and fingerprint of each.
    """

    path: str
    files: int
    size: int
    fingerprint: str
    each: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, source: Source) -> Inputs:
        """Look at the files of a source; a SourceError if one cannot be read."""
        try:
            size, digest = source.content()
        except OSError as error:
            raise SourceError(
                f"{source.info.path} cannot be read",
                why=f"{error.filename}: {error.strerror}",
                fix="check the disk or network that it is on",
            ) from error
        return cls(
            path=source.info.path,
            files=len(source.files),
            size=size,
            fingerprint=digest,
            each=source.content_of_files(),
        )

    def changed(self, now: Inputs) -> list[int] | None:
        """Return the indices of the pictures that are others now; None if some were added or removed."""
        if [name for name, _ in self.each] != [name for name, _ in now.each]:
            return None
        pairs = zip(self.each, now.each, strict=True)
        return [index for index, (before, after) in enumerate(pairs) if before != after]


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

    def joined(self, found: RunFile, *, plain: bool = False) -> RunTerms:
        """Return these terms as they hold for a run that is there.

        One from before there were cuts takes the video as one shot. One that is done keeps its matte, unless one is
        asked for, and its device, batch, runtime and precision: its masks are there, and nothing is computed again.

        Args:
            found: The run.
            plain: If true, formats are asked for without a matte: where the run has one, their names then say so.
        """
        terms = self
        if "cuts" not in found.settings:
            terms = self._with({name: value for name, value in self.settings.items() if name != "cuts"})
        if not terms.has_masks_in(found):
            return terms
        asked = {name: value for name, value in terms.settings.items() if name not in (_DEVICE, *COMPUTED)}
        device = {name: value for name, value in found.settings.items() if name == _DEVICE}
        joined = terms._with({**found.kept, **device, **asked}).model_copy(update={"batch": found.batch})
        return joined._plain if plain and "matte" in found.kept else joined

    def _with(self, settings: dict[str, Any]) -> RunTerms:
        return self.model_copy(update={"settings": settings})

    @property
    def _plain(self) -> RunTerms:
        """The same with formats that leave the matte out."""
        names = dict(zip(self.formats, plain_formats(self.formats), strict=True))
        shown = {names.get(name, name): content for name, content in self.shown.items()}
        return self.model_copy(update={"formats": tuple(names.values()), "shown": shown})

    def has_masks_in(self, found: RunFile) -> bool:
        """Tell if a run has the masks of all frames of the same files."""
        return found.is_whole and found.inputs.fingerprint == self.inputs.fingerprint

    def mends(self, found: RunFile) -> bool:
        """Tell if a run may go on with pictures that are others now: it was stopped, or some could not be read."""
        if found.inputs.fingerprint == self.inputs.fingerprint or not (found.inputs.each and self.inputs.each):
            return False
        same = self.model_copy(update={"inputs": found.inputs})
        return (found.mendable or not found.complete) and not found.differences(same)

    def is_but_for(self, names: Sequence[str], found: RunFile) -> bool:
        """Tell if some settings are all that differs from a run."""
        settings = {name: value for name, value in self.settings.items() if name not in names}
        settings |= {name: value for name, value in found.settings.items() if name in names}
        return not found.differences(self._with(settings))

    def are_those_of(self, found: RunTerms) -> bool:
        """Tell if a run is that of the same command: its masks, and all that is written of them."""
        is_same = not found.differences(self) and not self.later_than(found)
        return is_same and {*self.formats} == {*found.formats} and self.shown == found.shown

    def anew(self, found: RunTerms) -> str:
        """Say what is asked for of the same masks in another way, of `LATER`; empty if nothing is."""
        return "; ".join(
            f"{name} {shown_value(self.settings.get(name))}, before {shown_value(found.settings.get(name))}"
            for name in self.later_than(found)
        )

    def later_than(self, found: RunTerms) -> tuple[str, ...]:
        """Return the names of the settings of `LATER` that differ from those of a run."""
        return tuple(name for name in LATER if self.settings.get(name) != found.settings.get(name))


class RunHead(Record):
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


class RunFile(RunTerms, RunHead, Versioned):
    """The content of ``covos.json``. The fields of the bases stand in it from the last base to the first."""

    @classmethod
    def of(cls, terms: RunTerms, head: RunHead) -> RunFile:
        """Join the terms and the state of a run."""
        return cls(schema=SCHEMA, **dict(head), **dict(terms))

    @classmethod
    def read(cls, file: Path) -> RunFile:
        """Read a ``covos.json``.

        Raises:
            UsageError: It cannot be read.
        """
        return read_record(
            cls,
            file,
            what=f"{file} cannot be read",
            fix="update covos if a newer one wrote it; else another folder, or start anew with " + OVERWRITE,
            error=UsageError,
        )

    @model_validator(mode="before")
    @classmethod
    def _of_earlier_versions(cls, content: Any) -> Any:
        # The formats stood among the settings.
        if not isinstance(content, dict) or "formats" in content or not isinstance(content.get("settings"), dict):
            return content
        settings = dict(content["settings"])
        return {**content, "formats": settings.pop("formats", ()), "settings": settings}
