"""Correct the masks of a finished run, and write what comes of it as another run; the first one stays as it is."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from reprlib import repr as shortened
from typing import TYPE_CHECKING, Any, cast

import cv2
import numpy as np

from covos.core.arguments import checked
from covos.core.device import Precision
from covos.core.errors import CovosError, UsageError, listed
from covos.core.labelling import Labelling
from covos.core.places import path_text
from covos.core.words import Words
from covos.engines.choices import AUTO, DEFAULT_MEMORY, DEFAULT_QUALITY, SUBJECT, Direction, Quality
from covos.formats.table import DEFAULT_FORMATS
from covos.masks import decode
from covos.masks.rims import left_of
from covos.media.range import place_of
from covos.models.registry import DEFAULT_FOLLOWER, DEFAULT_MODEL, find_matter
from covos.prompts.file import read_prompt_file
from covos.prompts.one_frame import alpha_mask
from covos.prompts.placing import join_points, place_prompts
from covos.prompts.values import MaskPrompt, PointPrompt, Prompt, RegionPrompt, mask_files, on_frames
from covos.results.loading import load_result, refuse_output, write_aside
from covos.results.reopened import seeds_of
from covos.results.replay import Listener
from covos.results.segmentation import Segmentation
from covos.runs.onefile import choose_output
from covos.runs.writing import Saved
from covos.runtimes.choice import ChosenRuntime

if TYPE_CHECKING:
    from covos.sessions.session import Session

_KEPT = ("edges", "matte", "range")
"""Settings of a run that are in its masks, and so in those of the corrected one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Corrected:
    """A corrected run, and what is other in it.

    Attributes:
        saved: The new result on disk.
        frames: Number of frames whose masks have changed.
        changed: For each object of which a mask has changed, the number of frames, by id.
        agreed: Frame and object of each correction that has left the mask there as it was.
        partly: Frame and object where points have taken a part of the thing under them away and left the rest of it,
            with the share of the object there that is gone, in 0 to 1.
        followed: False if all that was shown is what the masks have there, so that nothing had to be followed.
        notes: Say of which mask files soft edges were cut, and where.
    """

    saved: Saved
    frames: int
    changed: Mapping[int, int]
    agreed: tuple[tuple[int, int], ...] = ()
    partly: tuple[tuple[int, int, float], ...] = ()
    followed: bool = True
    notes: tuple[str, ...] = ()


@checked()
def correct(
    run: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    prompts: str | os.PathLike[str] | Sequence[Prompt | RegionPrompt | str | os.PathLike[str]],
    trust_prompts: bool = False,
    source: str | os.PathLike[str] | None = None,
    formats: Sequence[str] | None = None,
    direction: Direction = AUTO,
    resize_masks: bool = False,
    model: str | os.PathLike[str] = DEFAULT_MODEL,
    quality: Quality | None = None,
    memory: int = DEFAULT_MEMORY,
    follower: str | os.PathLike[str] = DEFAULT_FOLLOWER,
    prompter: str | os.PathLike[str] = AUTO,
    device: str = AUTO,
    precision: Precision = AUTO,
    runtime: ChosenRuntime = AUTO,
    overwrite: bool = False,
    keep: bool = False,
    listen: Listener | None = None,
    expect: Callable[..., None] | None = None,
) -> Corrected:
    """Correct the masks of a result, and write all of them anew.

    A correction changes what it is about; all else stays (see `covos.engines.corrections`). The objects are followed
    from their prompts, as far as the result names them, and from the corrections. Objects of which no prompt is known
    are shown on a corrected frame as they are there.

    Args:
        run: As for `covos.load_result`; it is only read.
        output: Folder, or one file (see `covos.runs.onefile`).
        prompts: The corrections, each of an object of the result. If that has one object, they need no number. A
            path stands for what its prompt file shows.
        trust_prompts: If true, a prompt file may name masks outside its own folder.
        source: As for `covos.load_result`.
        formats: Names of `covos.formats.table.FORMATS`; None takes those of the run, and for a file that of its name.
        direction: The way in time in which a correction spreads.
        resize_masks: If true, masks of another size are resized (nearest neighbour).
        model: A covos-lite, whose features are followed: a name, or a ``.safetensors`` file.
        quality: As of `covos.Model.session`; None takes that of the run.
        memory: As of `covos.Model.session`, like ``follower`` and ``prompter``.
        follower: See ``memory``.
        prompter: See ``memory``.
        device: As for `covos.load_model`, like ``precision`` and ``runtime``.
        precision: See ``device``.
        runtime: See ``device``.
        overwrite: True if an earlier result at ``output`` may be replaced.
        keep: If true, the folder of one file stays beside it, with its report: what it holds can be corrected in turn.
        listen: Called with the number of frames that are done, and of all: once for each way in time, once for the
            matte, if the run has one, and once for what is written.
        expect: Called with the names of what is counted next: ``"backward"``, ``"forward"``, ``"matte"``,
            ``"writing"``.

    Raises:
        UsageError: Nothing is corrected, or no object of the result; a frame or a value cannot be; no source is known;
            the output is not empty, or holds the result itself.
        AnnotationError: The masks of the result, of a prompt or a prompt file, cannot be read, or do not fit.
        SourceError: The source cannot be read, or has changed.
        EnvironmentProblem: Weights are missing, or the disk is full or not writable.
    """
    given = _listed(prompts)
    files = [each for each in given if isinstance(each, Path)]
    shown = _only_corrections(_read(given, trusted=trust_prompts))
    before = load_result(run, source=source)
    settings = before.origin.settings
    chosen = choose_output(
        output,
        formats,
        usual=tuple(settings.get("formats") or DEFAULT_FORMATS),
        still=before.info.is_still,
        overwrite=overwrite,
        keep=keep,
    )
    inputs = (*mask_files(shown), *files)
    refuse_output(chosen, path=Path(run), result=before, overwrite=overwrite, reads=inputs)
    there = _objects_of(before)
    named = [_named(each, there) for each in on_frames(shown, info=before.info)]
    for each in named:
        place_of(each.number, before.info)
    told_of = expect or _nothing_expected
    from covos.model import load_model  # brings torch, which refusing a wrong correction does not need

    network = load_model(model, device=device, precision=precision, runtime=runtime)
    with network.session(
        before,
        follower=follower,
        memory=memory,
        prompter=prompter,
        quality=quality or cast("Quality", settings.get("quality") or DEFAULT_QUALITY),
    ) as session:
        labels = _show(session, named, there=there, before=before, resize=resize_masks)
        way = session.direction(direction)
        told_of(*(("backward", "forward") if way == "both" else (way,)))
        after = session.propagate(direction, listen=listen)
        followed, notes = session.has_followed, session.seeds.cut_notes
    labels = labels.over(Labelling.of_settings(settings))
    said: dict[str, Any] = {
        **after.origin.settings,
        **{name: settings[name] for name in _KEPT if name in settings},
        **labels.settings,
        "corrected_from": os.fspath(run),
        "formats": [*chosen.formats],
    }
    steps = (*before.origin.steps_down, *after.origin.steps_down)
    origin = replace(after.origin, settings=said, cuts=before.origin.cuts, steps_down=steps)
    after = replace(after, origin=origin)
    told = tuple(step.text for step in after.origin.steps_down[len(before.origin.steps_down) :])
    if "matte" in settings:
        told_of("matte")
        after, lacking = _with_matte(
            after, settings["matte"], device=device, precision=precision, runtime=runtime, listen=listen
        )
        told = (*told, *lacking)
    told_of("writing")
    saved = write_aside(after, chosen, told=told, overwrite=overwrite, labelled=labels, listen=listen)
    frames, changed = _changes(before, after)
    agreed, partly = _agreed(named, before, after), _partly(named, before, after)
    return Corrected(
        saved=saved, frames=frames, changed=changed, agreed=agreed, partly=partly, followed=followed, notes=notes
    )


def _listed(given: Any) -> list[Prompt | RegionPrompt | Path]:
    """Return what a caller shows, with paths in place of the names of prompt files."""
    every = given if isinstance(given, Iterable) and not isinstance(given, (str, os.PathLike)) else [given]
    shown = [
        Path(path_text(each, what="the prompt file")) if isinstance(each, (str, os.PathLike)) else each
        for each in every
    ]
    if wrong := [each for each in shown if not isinstance(each, (Path, MaskPrompt, PointPrompt, RegionPrompt))]:
        raise UsageError(
            f"prompts: {shortened(wrong[0])} corrects nothing",
            why=f"it is of the type {type(wrong[0]).__name__}",
            fix="give covos.PointPrompt, covos.MaskPrompt or prompt files, one or several",
        )
    return shown


def _read(given: Sequence[Prompt | RegionPrompt | Path], *, trusted: bool) -> list[Prompt | RegionPrompt]:
    """Return the prompts, and in the place of each prompt file those that it has."""
    shown: list[Prompt | RegionPrompt] = []
    for each in given:
        shown += read_prompt_file(each, trusted=trusted) if isinstance(each, Path) else [each]
    return shown


def _only_corrections(prompts: Sequence[Prompt | RegionPrompt]) -> list[Prompt]:
    if not prompts:
        raise UsageError(
            "no correction is given",
            why="nothing says what is wrong with the masks",
            fix=Words(
                "point at it: --point X,Y@FRAME:OBJECT, or --not-point, --box, --mask, --prompts",
                python="give covos.PointPrompt, covos.MaskPrompt or prompt files",
            ),
        )
    shown = [each for each in prompts if not isinstance(each, RegionPrompt)]
    if len(shown) < len(prompts):
        raise UsageError(
            "a region cannot correct the masks of a run",
            why="regions steer the search for a subject, and nothing is searched here",
            fix="point at what is wrong on a frame",
        )
    return shown


def _objects_of(result: Segmentation) -> tuple[int, ...]:
    """Return the ids of all objects that a result knows, seen or not; that of the subject if it has none."""
    followed = {each.id for frame in result for each in frame.states}
    seeded = {seed.object for seed in seeds_of(result, name=lambda mask: mask.number)}
    return tuple(sorted({*result.object_ids, *followed, *seeded})) or (SUBJECT,)


def _named(prompt: Prompt, there: tuple[int, ...]) -> Prompt:
    """Return a prompt with its object; only masks whose values are the ids may go without, where there are several."""
    if prompt.object is not None:
        _refuse_others({prompt.object}, there)
        return prompt
    if len(there) == 1:
        return prompt.model_copy(update={"object": there[0]})
    if isinstance(prompt, PointPrompt):
        raise UsageError(
            f"a correction on frame {prompt.number} does not say of which object",
            why=f"it could be any of {listed(map(str, there))}",
            fix=f"add the object's number, as in X,Y@{prompt.number}:{there[-1]}",
        )
    return prompt


def _refuse_others(objects: Iterable[int], there: tuple[int, ...]) -> None:
    if others := sorted({*objects} - {*there}):
        raise UsageError(
            f"there is no object {others[0]} to correct",
            why=f"the run has {listed(map(str, there))}",
            fix="name one of these; covos open RUN adds objects, and so does covos segment",
        )


def _show(
    session: Session, named: Sequence[Prompt], *, there: tuple[int, ...], before: Segmentation, resize: bool
) -> Labelling:
    """Show the corrections, and on their frames the objects of which no prompt is known: they keep others off."""
    seeds = session.seeds
    place = partial(place_prompts, seeds, resize=resize, alpha_of=partial(alpha_mask, session.source))
    prompted = set(seeds.objects)
    labels = place([each for each in named if isinstance(each, MaskPrompt)])
    _refuse_others(seeds.objects, there)
    labels = place([each for each in named if isinstance(each, PointPrompt)], point=session.show).over(labels)
    kept = {frame.number: frame for frame in before}
    for number in sorted({each.number for each in named} & kept.keys()):
        given = {seed.object: decode(seed.mask) for seed in seeds.current if seed.frame == number}
        found = {}
        for identity, code in kept[number].objects.items():
            if kept[number].size != (before.info.height, before.info.width) or identity in {*prompted, *given}:
                continue
            mask = decode(code)
            for other in given.values():
                mask = left_of(mask, other)
            if mask.any():
                found[identity] = mask
        if found:
            seeds.add(number, found, given_as="confirmed")
    return labels


def _with_matte(
    result: Segmentation,
    matte: Mapping[str, str],
    *,
    device: str,
    precision: Precision,
    runtime: ChosenRuntime,
    listen: Listener | None,
) -> tuple[Segmentation, tuple[str, ...]]:
    """Find the matte of the frames that have changed, by the network of the run; say so if that is not there."""
    try:
        name = find_matter(matte["name"]).name
    except CovosError as error:
        return result, (f"the frames that have changed have no matte: {error.what}",)
    found = result.with_matte(name, device=device, precision=precision, runtime=runtime, anew=False, listen=listen)
    return found, ()


def _agreed(named: Sequence[Prompt], before: Segmentation, after: Segmentation) -> tuple[tuple[int, int], ...]:
    """Return frame and object of the corrections that have left the mask there as it was."""
    old, new = ({frame.number: frame.objects for frame in result} for result in (before, after))
    shown = dict.fromkeys((each.number, each.object) for each in named if each.object is not None)
    return tuple(
        (frame, identity)
        for frame, identity in shown
        if frame in old and old[frame].get(identity) == new.get(frame, {}).get(identity)
    )


def _partly(named: Sequence[Prompt], before: Segmentation, after: Segmentation) -> tuple[tuple[int, int, float], ...]:
    """Return frame, object and share of what negative points have taken away, where a part under one of them is left.

    Positive points and boxes say themselves what is to stay.
    """
    old, new = ({frame.number: frame for frame in result} for result in (before, after))
    found = []
    for prompt in join_points([each for each in named if isinstance(each, PointPrompt)]):
        frame, identity = prompt.number, prompt.object
        if not prompt.negative_only or identity is None or frame not in old or frame not in new:
            continue
        was, now = ((each[frame].labels == identity) for each in (old, new))
        if was.shape != now.shape or was.shape != (before.info.height, before.info.width):
            continue  # a point names a pixel of the source
        gone = was & ~now
        _, parts = cv2.connectedComponents(was.view(np.uint8), connectivity=8)
        under = {int(parts[row, column]) for column, row in (point.pixel for point in prompt.points)} - {0}
        if gone.any() and any(left_of(parts == part, gone).any() for part in under):
            found.append((frame, identity, float(gone.sum() / was.sum())))
    return tuple(found)


def _nothing_expected(*_phases: str) -> None:
    """Tell nobody."""


def _changes(before: Segmentation, after: Segmentation) -> tuple[int, dict[int, int]]:
    """Return the number of frames whose masks differ, and the numbers by object."""
    known = {frame.number: frame.objects for frame in before}
    frames, changed = 0, dict[int, int]()
    for frame in after:
        old = known.get(frame.number, {})
        others = [each for each in {*old, *frame.objects} if old.get(each) != frame.objects.get(each)]
        frames += bool(others)
        for identity in others:
            changed[identity] = changed.get(identity, 0) + 1
    return frames, dict(sorted(changed.items()))
