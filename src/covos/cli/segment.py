"""``covos segment``: cut the moving subject out of videos."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from covos.cli import existing, groups, options
from covos.cli.doubt import doubt, tinted
from covos.cli.failures import show
from covos.cli.grouping import grouped
from covos.cli.progress import JobDisplay
from covos.cli.terminal import say
from covos.cli.verdict import refuse_incomplete
from covos.core.memory import refuse_small_address_space
from covos.core.progress import counted
from covos.media.first_look import refuse_missing

if TYPE_CHECKING:
    from covos.jobs import Outcome
    from covos.masks.edges import Edges
    from covos.media.range import Range
    from covos.runs.writing import Saved


@grouped
def segment(
    inputs: options.Inputs,
    output: options.FileOrFolder,
    formats: options.Formats = None,
    objects: options.Objects = "1",
    mask: options.Masks = None,
    alpha_as_mask: options.AlphaAsMask = False,
    point: options.Points = None,
    not_point: options.NotPoints = None,
    box: options.Boxes = None,
    within: options.Within = None,
    exclude_box: options.ExcludeBoxes = None,
    prompts: options.PromptFile = None,
    overwrite: options.OverwriteRun = False,
    skip_existing: options.SkipExisting = False,
    keep: options.Keep = False,
    allow_errors: options.AllowErrors = False,
    quiet: options.Quiet = False,
    *,
    finding: groups.FindOptions,
    following: groups.FollowOptions,
    planned: groups.Planned,
    part: groups.Part,
    rims: groups.Rims,
    composing: groups.Composing,
    machine: groups.Machine,
) -> int:
    """Cut the moving subject out of videos: masks, an overlay video with the sound, a report.

    With --mask, --alpha-as-mask, --point, --box or --prompts, covos follows the objects that they show instead. Options
    that only matter in finding, such as --references, are then refused. With --not-point alone, --within and
    --exclude-box, you steer the subject that covos finds.
    """
    refuse_small_address_space()  # before anything large is imported
    if len(inputs) == 1 and not skip_existing:  # of several, and of a finished one, the others count
        refuse_missing(inputs[0])
    fields = groups.plan_fields(finding, planned, part, rims, machine)
    composition = composing.composition()
    existing.refuse_both(overwrite=overwrite, skip=skip_existing)
    from dataclasses import replace
    from functools import partial

    from covos.cli import prompting
    from covos.core.device import configure_threads
    from covos.isolation import run_isolated
    from covos.job import Job
    from covos.jobs import output_folders, plan_folders, run_job
    from covos.models.registry import find_model
    from covos.plan import Plan
    from covos.prompts.values import mask_files
    from covos.runs.onefile import choose_output

    configure_threads(pipeline=True)
    find_model(finding.model)

    task = prompting.task_of(
        mask or (),
        alpha_as_mask=alpha_as_mask,
        points=point or (),
        not_points=not_point or (),
        boxes=box or (),
        within=within or (),
        exclude_boxes=exclude_box or (),
        prompts=prompts,
        trust_prompts=prompting.trusted(following, prompts),
        inputs=inputs,
        objects=objects,
        **groups.task_settings(finding, following),
    )
    target = choose_output(
        output,
        formats,
        composition=composition,
        inputs=len(inputs),
        **_single(inputs, output, range=fields["range"]),
        overwrite=overwrite,
        keep=keep,
    )
    masks = mask_files(getattr(task, "prompts", ()))
    target.refuse_read((*inputs, *masks, *(() if prompts is None else (prompts,))))
    if skip_existing and target.is_file and target.path.is_file():
        existing.say_skipped(inputs[0], target.path, quiet=quiet)
        return 0
    target.refuse_existing()
    # Soft edges may be seen in formats that the run has.
    target.refuse_idle(labelled=fields["label"], range=fields["range"], matted=bool(fields["matte"]))
    plans = {name: Plan(source=name, task=task, formats=target.formats, **fields) for name in inputs}
    folders = plan_folders(inputs, output=target.folder, overwrite=overwrite, skip=skip_existing)
    for name in dict.fromkeys(inputs):
        if name not in folders:
            existing.say_skipped(name, output_folders(inputs, output=target.folder)[name], quiet=quiet)
    tasks = [(plans[name], folder) for name, folder in folders.items()]
    outcomes = []
    tell = partial(_tell, edges=fields["edges"], shown=task.kind == "follow", quiet=quiet)
    try:
        if len(tasks) == 1:
            with JobDisplay(quiet=quiet) as display:
                outcomes = [run_job(Job(*tasks[0]), listen=display)]
                display.end(failed=outcomes[0].error is not None)
            saved = None if outcomes[0].saved is None else target.take(outcomes[0].saved)
            outcomes = [replace(outcomes[0], saved=saved)]
            tell(outcomes[0], named=tinted(saved, formats=formats, background=composing.background), alone=True)
        else:
            for outcome in run_isolated(tasks, display=partial(JobDisplay, quiet=quiet)):
                outcomes.append(outcome)
                tell(outcome)
    except (KeyboardInterrupt, SystemExit) as stopped:
        # A run that has done a frame notes how many are safe.
        for note in getattr(stopped, "__notes__", () if outcomes or len(tasks) > 1 else (_NOTHING_NEW,)):
            say(note, err=True)
        raise
    return _verdict(outcomes, allow_errors=allow_errors)


_NOTHING_NEW = (
    "no frame was done, so nothing new is kept: the same command begins anew, or goes on with what an earlier one kept"
)


_FILE_ALONE = (
    "note: only the file was kept. With --keep, its masks and soft edges stay beside it, and covos convert makes other "
    "formats of them without the networks"
)


def _single(inputs: list[str], output: str, *, range: Range) -> dict[str, Any]:
    """Return ``still`` and ``frame`` as `choose_output` takes them; a folder opens nothing."""
    from covos.media.inputs import still_of
    from covos.runs.onefile import is_folder

    if len(inputs) > 1 or is_folder(output):
        return {}
    still, frame = still_of(inputs[0], range=range)
    return {"still": still, "frame": frame}


def _tell(
    outcome: Outcome, *, edges: Edges, shown: bool, quiet: bool, named: str | None = None, alone: bool = False
) -> None:
    if outcome.saved is not None and not quiet:
        say(_closing_line(outcome.saved), err=True)
        if outcome.saved.report is None:
            say(_FILE_ALONE, err=True)
        if named:
            say(f"note: {named}", err=True)
        if said := doubt(outcome.saved, outcome.name, edges=edges, shown=shown):
            say(f"note: {said}", err=True)
    elif outcome.error is not None and not alone:
        show(outcome.error)


def _closing_line(saved: Saved) -> str:
    parts = ", ".join(map(str, saved.paths))
    frames = counted(saved.frames, "frame")
    if saved.was_done:
        return f"{frames} done already, -y starts anew: {parts}"
    if saved.resumed == saved.frames:
        return f"{frames} that {'was' if saved.frames == 1 else 'were'} done, in {saved.seconds:.1f} s: {parts}"
    if saved.resumed:
        return f"{frames}, {saved.resumed} of them by an earlier run, in {saved.seconds:.1f} s: {parts}"
    speed = saved.frames / saved.seconds if saved.seconds else 0.0
    return f"{frames} in {saved.seconds:.1f} s ({speed:.1f} a second): {parts}"


def _verdict(outcomes: list[Outcome], *, allow_errors: bool) -> int:
    from covos.core.errors import IncompleteError

    failed = [outcome.error for outcome in outcomes if outcome.error is not None]
    if failed and len(failed) == len(outcomes):
        raise failed[0]
    done = [(each.name, each.saved) for each in outcomes if each.saved is not None]
    if failed:
        damaged = [name for name, saved in done if not saved.health.complete]
        cut = f"; frames are missing or damaged in {', '.join(damaged)}" if damaged else ""
        raise IncompleteError(
            f"{len(failed)} of {len(outcomes)} inputs failed",
            why=f"the first: {failed[0].what}: {failed[0].why}",
            fix=f"the others are done{cut}; run the failed ones again",
        )
    if not allow_errors:
        refuse_incomplete(done)
    return 0
