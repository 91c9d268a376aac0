"""Work on one clip of a batch, in whatever process: its plan is made, run and reported in a row."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from covos.core.errors import CovosError, EnvironmentProblem, UsageError, explained
from covos.core.files import NO_SPACE, is_disk_full
from covos.core.labelling import read_labels
from covos.core.remote import is_remote
from covos.engines.choices import AUTO, FOUND_AND_FOLLOWED
from covos.events import Event, FrameDone
from covos.fleet.manifests import Clip, from_folder_of
from covos.fleet.places import at_hand, is_there, joined, made_here
from covos.fleet.shown import shown_here
from covos.job import Job
from covos.jobs import ModelCache
from covos.media.opening import check_place
from covos.media.range import EndBeyondError, Range
from covos.plan import Plan
from covos.prompts.values import show_objects
from covos.runs.folder import PROJECT, OutputFolder
from covos.runs.journal import JOURNAL, count_entries
from covos.runs.schema import load_report
from covos.runs.writing import Saved, is_finished
from covos.task import choose_task, read_objects, read_prompts

if TYPE_CHECKING:
    from covos.model import Model

Status: TypeAlias = Literal["waiting", "begun", "done", "done before", "skipped", "damaged", "failed"]
"""State of a clip. ``"damaged"`` is done, but frames are missing, damaged or could not be computed.
``"begun"`` was cut off by the end of the batch: its frames, if any, are safe, and the same batch goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """The outcome of one clip.

    Attributes:
        name: See `Clip`.
        input: See `Clip`.
        folder: Where its results are.
        status: See `Status`.
        frames: Frames that have masks.
        computed: Those that this batch computed: not those of an earlier one.
        seconds: Wall clock, of all attempts.
        attempts: How often it was begun.
        doubtful: Frames that stand out, as the report has them; None without a report that says it.
        confidence: The mean of the frames' confidences, in [0, 1]; None likewise.
        empty: Frames whose mask is empty; None likewise.
        first_doubtful: The first frame that stands out, such as ``f12``; None if none does.
        warnings: Those of the run. Its notes are in its report alone: a manifest may carry a column of that name.
        error: What failed; None if nothing did.
        carried: Further columns of the manifest.
    """

    name: str
    input: str
    folder: str
    status: Status = "waiting"
    frames: int = 0
    computed: int = 0
    seconds: float = 0.0
    attempts: int = 0
    doubtful: int | None = None
    confidence: float | None = None
    empty: int | None = None
    first_doubtful: str | None = None
    warnings: tuple[str, ...] = ()
    error: CovosError | None = None
    carried: Mapping[str, object] = field(default_factory=dict)

    @property
    def over(self) -> bool:
        """True once nothing more is to be done for it."""
        return self.status not in ("waiting", "begun")

    @property
    def has_frames(self) -> bool:
        """True if the batch, or the one that it goes on with, has made frames that are there."""
        return self.status in ("done", "done before", "damaged") or (self.status == "begun" and self.frames > 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings that hold for all clips, unless a clip's row says otherwise.

    Attributes:
        plan: Fields of `covos.plan.Plan`, except for source and task.
        task: Arguments of `covos.task.choose_task`, except for prompts.
        overwrite: If true, earlier results are replaced.
        skip: If true, finished results are left as they are, whatever they were made with.
        trust_prompts: If true, prompt files may name masks outside their folders.
        computed: Precision and runtime where ``plan`` leaves them to ``"auto"``, which machines may choose differently.
            A clip that was begun goes on as it was begun.
    """

    plan: Mapping[str, Any] = field(default_factory=dict)
    task: Mapping[str, Any] = field(default_factory=dict)
    computed: Mapping[str, str] = field(default_factory=dict)
    overwrite: bool = False
    skip: bool = False
    trust_prompts: bool = False

    def loading(self, models: ModelCache) -> Callable[[Plan], Model]:
        """Return what loads the model of a plan, computed as `computed` says."""

        def load(plan: Plan) -> Model:
            chosen = {name: value for name, value in self.computed.items() if getattr(plan, name) == AUTO}
            return models(plan.model_copy(update=chosen))

        return load

    def follows(self, clip: Clip) -> bool:
        """Tell if anything may be followed in a clip: what is shown, objects that are found, or the subject at best."""
        objects = clip.objects if clip.objects is not None else self.task.get("objects")
        shown = clip.prompts is not None or clip.mask is not None
        return shown or objects not in {None, 1, "1"} or self.task.get("quality") in FOUND_AND_FOLLOWED

    def planned(self, clip: Clip, *, source: str, device: str | None = None) -> Plan:
        """Return the plan of a clip whose source lies at a path.

        Raises:
            CovosError: A value of its row is wrong, or its prompts cannot be read.
        """
        fields, task = dict(self.plan), dict(self.task)
        if device is not None:
            fields["device"] = device
        if clip.frame_rate is not None:
            fields["frame_rate"] = clip.frame_rate
        if clip.label is not None:
            fields["label"] = read_labels(clip.label.split(";"))
        if (clip.start, clip.end, clip.every) != (None, None, None):
            part = fields.get("range") or Range()
            given = {"start": clip.start, "end": clip.end, "every": clip.every}
            fields["range"] = Range(
                **{**part.model_dump(), **{name: value for name, value in given.items() if value is not None}}
            )
        if clip.objects is not None:
            task["objects"] = read_objects(clip.objects)
        shown = read_prompts(masks=clip.mask, prompts=clip.prompts, trust_prompts=self.trust_prompts)
        if shown:
            task["prompts"] = shown
            if clip.objects is None:
                task.pop("objects", None)
            task = {**task, "refine": "none"} if show_objects(shown) else task
        return Plan(source=source, task=choose_task(**task), **fields)

    def faults(self, clip: Clip, *, folder: str) -> list[CovosError]:
        """Return all that keeps a clip from being worked on: its values, its prompts and masks, and if it is not there.

        A URL of a clip is not asked for, and a clip that is left out, as its result is there, may be gone.
        """
        if self.skip and not is_remote(folder) and _is_made(folder):
            return []
        wrong = _raised(lambda: check_place(clip.input)) if not is_remote(clip.input) else []
        wrong += self._wrong_settings(clip)
        # Only now: of thousands of rows, each question at a URL takes its time.
        return [] if wrong and self.skip and is_remote(folder) and _is_made(folder) else wrong

    def _wrong_settings(self, clip: Clip) -> list[CovosError]:
        found = _raised(lambda: self._check(clip))
        # Each group of settings alone: one fault hides no other. Some are wrong together only.
        alone = [each for group in _GROUPS if found for each in _raised(partial(self._check, _with_alone(clip, group)))]
        told = {(each.what, each.why): each for each in alone or found}
        return list(told.values())

    def _check(self, clip: Clip) -> None:
        with shown_here(clip) as here:
            self.planned(here, source=clip.input).check_masks()


_GROUPS = (("prompts",), ("mask",), ("objects",), ("start", "end", "every"), ("objects", "label"), ("frame_rate",))
"""Settings of a row that have a meaning together."""


def _with_alone(clip: Clip, group: tuple[str, ...]) -> Clip:
    """Return a clip without its other settings. Which objects a label may name, what is shown decides."""
    others = {name: None for other in _GROUPS for name in other if name not in group}
    shown = "label" in group and (clip.prompts is not None or clip.mask is not None)
    return clip.model_copy(update=others | ({"objects": "auto"} if shown else {}))


def _raised(check: Callable[[], object]) -> list[CovosError]:
    try:
        check()
    except CovosError as error:
        return [error]
    return []


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """One clip on its way to a worker; picklable.

    Attributes:
        clip: The clip.
        settings: Those of all clips.
        folder: Where its results go.
        attempts: How often it was begun, and was not brought to its end.
        seconds: What these attempts took.
        is_own: True if the batch has made what is in the folder, before it was stopped: results of other settings are
            replaced, and this one is not made again.
        found: When the terms in the folder were written, as it was handed over first, in nanoseconds; 0 before.
    """

    clip: Clip
    settings: Settings
    folder: str
    attempts: int = 0
    seconds: float = 0.0
    is_own: bool = False
    found: int = 0

    @property
    def row(self) -> Row:
        """Its row, before it is begun."""
        clip = self.clip
        return Row(
            name=clip.name,
            input=clip.input,
            folder=self.folder,
            attempts=self.attempts,
            seconds=self.seconds,
            carried=clip.carried,
        )

    def handed_over(self) -> Errand:
        """Return the errand as a worker gets it: what it has done in the folder by then is known later."""
        return self if self.attempts else replace(self, found=self._written)

    @property
    def has_begun(self) -> bool:
        """True if the batch has begun the run in the folder, or gone on with it; of a URL it is not known."""
        return self.is_own or self._written != self.found

    @property
    def _written(self) -> int:
        if is_remote(self.folder):
            return 0
        try:
            return (Path(self.folder) / PROJECT).stat().st_mtime_ns
        except OSError:
            return 0

    def again(self) -> Errand:
        """Return the errand for a further attempt."""
        return replace(self, attempts=self.attempts + 1)


def errands(clips: tuple[Clip, ...], *, output: str, settings: Settings) -> list[Errand]:
    """Return an errand for each clip."""
    return [Errand(clip=clip, settings=settings, folder=joined(output, clip.name)) for clip in clips]


def cut_off(errand: Errand) -> Row:
    """Return the row of a clip whose batch ended early, with the frames that its journal keeps, if any."""
    return replace(errand.row, status="begun", frames=kept_frames(errand))


def kept_frames(errand: Errand) -> int:
    """Count the frames that the journal of a clip keeps; 0 of results at a URL, and of one that was to be replaced."""
    if is_remote(errand.folder) or (errand.settings.overwrite and not errand.has_begun):
        return 0
    return count_entries(Path(errand.folder) / JOURNAL)


class BatchEndsError(Exception):
    """Every other clip would meet the same: the model cannot be loaded, or the disk is full. ``args`` has the cause."""


def run_errand(
    errand: Errand, *, models: ModelCache, device: str | None = None, tell: Callable[[int], None] = lambda _: None
) -> Row:
    """Do one errand in this process; a failure is reported in the row.

    Args:
        errand: What to do.
        models: Models that are loaded already.
        device: Where to compute; None takes that of the settings.
        tell: Called with the number of frames that were computed so far.

    Raises:
        BatchEndsError: The model cannot be loaded, or the disk or quota is full.
    """
    began = time.perf_counter()
    row = replace(errand.row, attempts=errand.attempts + 1)
    job: Job | None = None
    load = errand.settings.loading(models)
    shorter = ""
    try:
        if errand.settings.skip and _is_made(errand.folder):
            return replace(row, status="skipped")
        overwrite, remakes = errand.settings.overwrite, not _is_own(errand)
        with (
            at_hand(errand.clip.input) as source,
            shown_here(errand.clip) as clip,
            made_here(errand.folder, overwrite=overwrite and remakes) as folder,
        ):
            plan = errand.settings.planned(clip, source=source, device=device)
            place = OutputFolder(folder, overwrite=overwrite, resumable=True, remakes=remakes)
            job = Job(plan, place, load=load)
            try:
                saved = job.run(_counting(tell))
            except EndBeyondError:
                if errand.clip.end is not None:
                    raise
                # An end for all clips is the most that is taken; one of the clip's own row is what its user meant.
                shorter = f"it ends before the end {plan.range.end}: all of it is taken up to its own end"
                plan = plan.model_copy(update={"range": plan.range.model_copy(update={"end": None})})
                job = Job(plan, place, load=load)
                saved = job.run(_counting(tell))
            assert isinstance(saved, Saved), "it writes to a folder"
            row = replace(row, **_told(saved), **_doubts(saved))
        warnings = (*row.warnings, shorter) if shorter else row.warnings
        return replace(row, warnings=warnings, seconds=errand.seconds + time.perf_counter() - began)
    except Exception as error:
        if job is not None and job.model_failed and isinstance(error, CovosError):
            raise BatchEndsError(error) from error
        if is_disk_full(error, kinds=NO_SPACE):
            full = explained(error)
            fix = full.remedy + "; the batch ends here, and the same command goes on once there is space"
            raise BatchEndsError(EnvironmentProblem(full.what, why=full.why, fix=fix)) from error
        told = _beside_manifest(explained(error), errand.clip)
        return replace(row, status="failed", error=told, seconds=errand.seconds + time.perf_counter() - began)


def _beside_manifest(error: CovosError, clip: Clip) -> CovosError:
    """Say where the paths of a manifest start, of a file that is not there."""
    if clip.manifest is not None:
        from_folder_of(error, clip.manifest)
    return error


def _is_made(folder: str) -> bool:
    return is_there(folder) if is_remote(folder) else is_finished(Path(folder))


def _is_own(errand: Errand) -> bool:
    """Tell if the batch has made the whole result that is there, before it was stopped, or in an earlier attempt."""
    try:
        return (errand.is_own or (errand.attempts > 0 and errand.has_begun)) and _is_made(errand.folder)
    except UsageError:  # its terms cannot be read
        return False


def _told(saved: Saved) -> dict[str, Any]:
    status: Status = "done before" if saved.was_done else "done"
    if saved.uncomputed or not saved.health.complete:
        status = "damaged"
    computed = 0 if saved.was_done else saved.frames - saved.resumed
    return {"status": status, "frames": saved.frames, "computed": computed, "warnings": saved.warnings}


def _doubts(saved: Saved) -> dict[str, Any]:
    """Return what the report says of frames that may be wrong."""
    if saved.report is None or saved.quality is None:
        return {}
    frames = load_report(saved.report.parent).frames
    sure = [frame.confidence for frame in frames if frame.confidence is not None]
    first = next((frame for frame in frames if frame.suspicion > 0), None)
    return {
        "doubtful": saved.quality.suspicious,
        "confidence": sum(sure) / len(sure) if sure else None,
        "empty": sum(not any(frame.area.values()) for frame in frames),
        "first_doubtful": None if first is None else f"f{first.number}",
    }


def _counting(tell: Callable[[int], None]) -> Callable[[Event], None]:
    done = 0

    def listen(event: Event) -> None:
        nonlocal done
        if isinstance(event, FrameDone) and not event.resumed:
            done += 1
            tell(done)

    return listen
