"""A clip as clients of the API see it: how it gets on, and the masks of its frames."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

from covos.masks.edges import NO_EDGES, Edges
from covos.masks.frame_mask import FrameMask, objects_of
from covos.masks.hole_watch import watched
from covos.masks.holes import REACH
from covos.masks.rle import RLE
from covos.serve.clip import Clip
from covos.serve.schema import (
    FrameMasks,
    Info,
    JobView,
    Made,
    MasksView,
    ObjectMask,
    Problem,
    Region,
    Wanted,
)

MOST_FRAMES = 300
"""Frames whose masks one answer has."""


def view_of(clip: Clip, *, place: int | None, making: Mapping[str, Wanted]) -> JobView:
    """Return the clip as the API describes it.

    Args:
        clip: The clip.
        place: Its place in the queue.
        making: Downloads that are being made, or wait for that, each as it was asked for.
    """
    clip.read()
    with clip.lock:
        kept, info = clip.kept, clip.info
        at_rest = len(clip.history.frames), info.frame_count
        done, total = at_rest if clip.stage is None else (clip.done, clip.total)
        rate = float(info.frame_rate or 25)
        return JobView(
            id=kept.id,
            name=kept.name,
            # Until the search lets go of the clip, an edit or a download would still be refused.
            state="running" if clip.stage == "finding" else kept.state,
            stage=clip.stage,
            step=clip.step,
            done=done,
            total=total,
            info=Info(
                width=info.width,
                height=info.height,
                frame_count=info.frame_count,
                frame_rate=rate,
                duration=info.duration or info.frame_count / rate,
                sound=info.has_audio,
                size_bytes=kept.size_bytes,
                start=info.start,
                every=info.every,
            ),
            objects=tuple(
                thing.model_copy(update={"hidden": thing.id in kept.hidden}) for thing in clip.history.things
            ),
            revision=kept.revision,
            undo=clip.history.undoes,
            redo=clip.history.redoes,
            error=kept.error,
            notes=_notes(clip),
            place=place,
            proxy=clip.proxy.is_file(),
            edges=kept.edges,
            regions=tuple(Region.of(each) for each in clip.history.regions),
            prompts=clip.prompts,
            range=kept.range,
            results={
                **_results(clip),
                **{name: Made(state="making", **each.model_dump(exclude_unset=True)) for name, each in making.items()},
            },
            created=kept.created,
        )


def _notes(clip: Clip) -> tuple[str, ...]:
    with clip.lock:
        return tuple(note for notes in clip.notes.values() for note in notes)


def _results(clip: Clip) -> dict[str, Made]:
    """Return the downloads that could not be made, and those that are ready."""
    with clip.lock:
        failed = {name: Made(state="failed", error=Problem.of(error)) for name, error in clip.broken.items()}
        ready = {
            name: Made(state="ready", **each.model_dump(exclude_unset=True)) for name, each in clip.kept.results.items()
        }
    return {**failed, **ready}


def view_of_unread(clip: Clip, known: JobView) -> JobView:
    """Return a clip whose masks are not in memory, as the index knows it, at rest."""
    kept = clip.kept
    now = {
        "state": kept.state,
        "stage": None,
        "step": "",
        "place": None,
        "notes": _notes(clip),
        "error": kept.error,
        "results": _results(clip),
    }
    return known.model_copy(update={**now, "proxy": clip.proxy.is_file()})


def masks_view(clip: Clip, start: int, stop: int, *, edges: bool) -> MasksView:
    """Return the masks of some frames, with the edges that the user chose, or without them."""
    chosen = clip.kept.edges if edges else NO_EDGES
    known, asked = clip.frames, range(start, min(stop, start + MOST_FRAMES))
    near = [known[index] for index in around(asked, chosen) if index in known]
    shown = clip.shown(near, soft=chosen.changes_frames)
    return MasksView(
        size=(clip.info.height, clip.info.width),
        frames=tuple(
            _frame_view(each, objects=objects)
            for each, objects in edged(shown, chosen, asked=asked, cuts=clip.kept.cuts, every=clip.info.every)
        ),
    )


def around(asked: range, edges: Edges) -> range:
    """Return the frames that it takes to change the edges of some: with ``fill_holes``, those on each side."""
    reach = REACH if edges.watches_holes else 0
    return range(max(0, asked.start - reach), asked.stop + reach)


def edged(
    masks: Iterable[FrameMask], edges: Edges, *, asked: range, cuts: Sequence[int], every: int = 1
) -> Iterator[tuple[FrameMask, Mapping[int, RLE]]]:
    """Give frames that are asked for, with masks of other edges; smoothing over time shows in downloads alone.

    Args:
        masks: Of these frames and those `around` them.
        edges: The changes.
        asked: Indices of the frames.
        cuts: Indices of the frames with which shots begin, ascending.
        every: Frames of the whole source from one index to the next.
    """
    for mask, hole in watched(masks, edges, cuts=cuts, every=every):
        if mask.index not in asked:
            continue
        if edges.changes_frames:
            yield mask, objects_of(edges.apply(mask.labels, mask.probability, hole=hole)[0])
        else:
            yield mask, mask.objects


def _frame_view(mask: FrameMask, *, objects: Mapping[int, RLE]) -> FrameMasks:
    states = {each.id: each for each in mask.states}
    return FrameMasks(
        index=mask.index,
        time=mask.time,
        confidence=float(mask.confidence) if math.isfinite(mask.confidence) else None,
        status=mask.status,
        objects=tuple(
            ObjectMask(
                id=identity,
                counts=rle.to_coco()["counts"],
                state=states[identity].state if identity in states else "present",
                confidence=states[identity].confidence if identity in states else None,
            )
            for identity, rle in sorted(objects.items())
        ),
    )
