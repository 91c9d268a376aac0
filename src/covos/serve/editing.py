"""A user's edits of a clip: prompts, tracks, confirmations, objects, edges."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from covos.core.errors import AnnotationError, CovosError, UsageError
from covos.core.labelling import check_label
from covos.core.types import Point, SourceInfo
from covos.masks import RLE
from covos.masks.edges import Edges
from covos.masks.frame_mask import FrameMask
from covos.masks.mended import with_edge_of
from covos.prompts.known_size import areas_around
from covos.prompts.seed_mask import ABSENT, CONFIRMED, MAX_ID, SeedMask, confirmed_frames
from covos.prompts.values import RegionPrompt, check_region
from covos.serve.clip import Clip
from covos.serve.edits import thing_of, with_new_seeds, with_own_seeds, with_pixels_back
from covos.serve.errors import NotThereError, NotYetError
from covos.serve.frame_edits import as_shown, back_to, merged, tells_of, without
from covos.serve.frame_numbers import check_frame, name_of, with_indices
from covos.serve.prompt_steps import Said, is_in_force, told_of
from covos.serve.queue import WorkQueue
from covos.serve.removal import Removal
from covos.serve.schema import GivenKind, JobView, MaskCode, NewPrompt, NewTrack, Prompted, Shown
from covos.serve.tasks import Click
from covos.serve.tracks import track_parts, track_work
from covos.serve.workers import Clicked, TaskWorker


class Editing:
    """The edits of clips.

    Args:
        queue: Runs what takes long.
        clicks: The process that answers prompts.
    """

    def __init__(self, queue: WorkQueue, *, clicks: TaskWorker) -> None:
        self._queue, self._clicks = queue, clicks
        self._prompting = threading.Lock()

    def prompt(self, clip: Clip, asked: NewPrompt) -> Prompted:
        """Make a mask of points or a box, or take one that was drawn.

        Raises:
            CovosError: It makes no sense there.
        """
        frame = check_frame(asked.frame, info=clip.info)
        with self._prompting:  # each gets the result of the one before; the process takes one after another anyway
            return self._prompt(clip, asked, frame=frame)

    def _prompt(self, clip: Clip, asked: NewPrompt, *, frame: int) -> Prompted:
        with clip.lock:
            whole, things = self._known(clip, frame), clip.history.things
        number = asked.object or max((thing.id for thing in things), default=0) + 1
        if number > MAX_ID:
            raise UsageError(f"object {number}", why=f"{MAX_ID} is the most", fix="delete an object first")
        known, seeds = self._start(clip, whole, number=number)
        labels = asked.labels or (1,) * len(asked.points)
        if asked.object is not None and labels and not any(labels) and asked.box is None:
            self._refuse_unknown(clip, number)  # points beside an object take away from it
        drawn = None if asked.mask is None else _drawn(asked.mask, info=clip.info)
        if drawn is not None and not drawn.area:
            self._refuse_unseen(clip, asked.object)
        points = tuple(Point(x=x, y=y, positive=bool(on)) for (x, y), on in zip(asked.points, labels, strict=True))
        said = Said(points=points, box=asked.box, mask=drawn)
        mask, after = self._made(clip, known, said=(said,), seeds=seeds, number=number)
        with clip.lock:  # other edits may have come while the mask was made: they stay
            things = clip.history.things
            former = clip.frames.get(frame, whole)
            whole, now = self._start(clip, former, number=number)
            if number not in {thing.id for thing in things}:
                things = (*things, thing_of(number))
            after = with_new_seeds(now, before=seeds, after=after)
            frames = {frame: with_edge_of(as_shown(whole, number, mask), former)}
            clip.add(clip.history.edit("prompt", seeds=after, things=things, frames=frames, shown=number))
        job = self._queue.changed(clip, (frame,))
        code = mask.to_coco()
        return Prompted(
            object=number, frame=frame, mask=MaskCode(size=tuple(code["size"]), counts=code["counts"]), job=job
        )

    def take_back(
        self, clip: Clip, asked: Shown, *, number: int, kind: GivenKind, at: tuple[int, int] | None
    ) -> JobView:
        """Take one prompt of an object on a frame back; the mask there is made anew of those that are left.

        If what is left was all that was said at an earlier time, the mask of then comes back. Pixels that other
        objects have got since stay theirs, but for an object on which a point lies that is left.

        Args:
            clip: The clip.
            asked: The frame.
            number: The object.
            kind: The kind of prompt.
            at: Column and row of a point's pixel.

        Raises:
            CovosError: It was not given, what is left makes no mask, or the clip is being followed.
        """
        frame = check_frame(asked, info=clip.info)
        self._refuse_tracked(clip)
        with self._prompting:
            removal, seeds = self._removal(clip, frame, number=number, kind=kind, at=at)
            made: SeedMask | None = None
            if removal.rest:
                known, said = removal.start()
                _, after = self._made(clip, known, said=said, seeds=(*seeds, *removal.kept), number=number)
                made = removal.cut(next(each for each in after if (each.frame, each.object) == (frame, number)))
            self._remove(clip, removal, made)
        return self._queue.changed(clip, (frame,))

    def _removal(
        self, clip: Clip, frame: int, *, number: int, kind: GivenKind, at: tuple[int, int] | None
    ) -> tuple[Removal, tuple[SeedMask, ...]]:
        """Return what is left without a prompt, and the seeds of the clip but for the object's on the frame."""
        with clip.lock:
            self._refuse_unknown(clip, number)
            seed = next((each for each in clip.history.seeds if (each.frame, each.object) == (frame, number)), None)
            if seed is None or not is_in_force(clip.history, seed, kind, at=at):
                raise NotThereError(
                    f"there is no such prompt of object {number} on {name_of(frame, info=clip.info)}",
                    why="it was taken back, or never given, or the frame was confirmed since",
                    fix="name one of the job's prompts",
                )
            now = self._known(clip, frame)
            whole, seeds = self._start(clip, now, number=number)
            told = told_of(clip.history, frame, number)
        left = told.without(kind, at=at)
        stage = told.stage_for(left, now=now, number=number)
        removal = Removal(
            number=number, now=now, whole=whole, told=told, left=left, stage=stage, name=name_of(frame, info=clip.info)
        )
        return removal, tuple(each for each in seeds if (each.frame, each.object) != (frame, number))

    def _remove(self, clip: Clip, removal: Removal, made: SeedMask | None) -> None:
        """Put what is left into the clip as an edit: the mask that was made anew, or that of an earlier time."""
        frame, number = removal.now.index, removal.number
        with clip.lock:  # other edits may have come while the mask was made: they stay
            now = clip.frames.get(frame, removal.now)
            whole, seeds = self._start(clip, now, number=number)
            history = clip.history
            if made is None:
                mask, mine = back_to(whole, removal.stage.masks, number, now=now), removal.kept
            else:
                mask, mine = with_edge_of(as_shown(whole, number, made.mask), now), (made,)
            after = with_own_seeds(seeds, mine, frame=frame, number=number)
            frames, masks = {frame: mask}, {**history.frames, frame: mask}
            left_over = number in history.objects_found or number in {each.object for each in after}
            stays = left_over or any(number in each.objects for each in masks.values())
            things = tuple(each for each in history.things if stays or each.id != number)
            if not stays:  # nor does it stay hidden: another may get its number
                hidden = {index: each for index, each in masks.items() if tells_of(each, number)}
                frames |= {index: without(each, number, left=()) for index, each in hidden.items()}
            clip.add(history.edit("removal", seeds=after, things=things, frames=frames, shown=number))
            self._show_gone(clip)

    def _made(
        self, clip: Clip, known: FrameMask, *, said: tuple[Said, ...], seeds: tuple[SeedMask, ...], number: int
    ) -> tuple[RLE, tuple[SeedMask, ...]]:
        """Make the mask of prompts on a frame, of which the masks are known; return it, and the seeds with it."""
        shown = clip.shown([known])[0]
        areas = areas_around(clip.frames, known.index, number)
        task = Click(
            video=clip.video, seeds=seeds, known=shown, frame=known.index, object=number, said=said, areas=areas
        )
        return self._clicked(clip, task)

    @staticmethod
    def _known(clip: Clip, frame: int) -> FrameMask:
        if (known := clip.frames.get(frame)) is None:
            raise NotYetError(
                f"{name_of(frame, info=clip.info)} has no masks yet",
                why="it is still being looked at",
                fix="wait until it is there",
            )
        return known

    @staticmethod
    def _start(clip: Clip, whole: FrameMask, *, number: int) -> tuple[FrameMask, tuple[SeedMask, ...]]:
        """Return what a prompt of an object starts from: what its prompts here took before is the others' again."""
        with clip.lock:
            before, seeds = clip.history.before_prompts(whole.index, number)
            if before is None or clip.frames.get(whole.index) is not clip.history.frames.get(whole.index):
                return whole, clip.history.seeds  # a track that goes on has changed the frame since
            # An object that was deleted since, or became part of another, does not come back.
            there = {thing.id for thing in clip.history.things} - {number}
            before = replace(
                before,
                objects={identity: rle for identity, rle in before.objects.items() if identity in there},
                states=tuple(each for each in before.states if each.id in there),
            )
            if (own := whole.objects.get(number)) is None:
                return before, seeds
            states = [each for each in whole.states if each.id == number]
            return replace(
                before,
                objects=dict(sorted({**before.objects, number: own}.items())),
                states=tuple(sorted((*before.states, *states), key=lambda each: each.id)),
            ), seeds

    def _clicked(self, clip: Clip, task: Click) -> tuple[RLE, tuple[SeedMask, ...]]:
        try:
            answer = self._clicks.last(task, name=clip.kept.name, job=clip.id)
        except CovosError as error:
            raise with_indices(error, info=clip.info) from None
        assert isinstance(answer, Clicked), "a click gives a mask or an error"
        return answer.mask, answer.seeds

    def track(self, clip: Clip, asked: NewTrack) -> JobView:
        """Follow all objects that were shown, from a frame to the end, a mark, or the next frame that was confirmed.

        Raises:
            CovosError: Nothing was shown, or not on this side of the frame; or the clip is busy.
        """
        start = check_frame(asked.start, info=clip.info)
        stop = None if asked.stop is None else check_frame(asked.stop, info=clip.info)
        name = partial(name_of, info=clip.info)
        parts = partial(track_parts, asked.direction, start=start, stop=stop, count=clip.info.frame_count, name=name)
        with self._queue.idle(clip):
            parts(seeds=clip.history.seeds)
            self._queue.put(track_work(self._queue, clip, parts, between=asked.direction == "both"), state="queued")
        return self._queue.changed(clip)

    def confirm(self, clip: Clip, asked: Shown) -> JobView:
        """Take a frame's masks as right: tracks end before it, and never change it.

        A frame that is confirmed already is left as it is: to say so twice is no edit.
        """
        frame = check_frame(asked, info=clip.info)
        with clip.lock:
            fresh = frame not in clip.confirmed
            if fresh:
                self._confirm(clip, frame)
        return self._queue.changed(clip, (frame,)) if fresh else self._queue.view(clip)

    @staticmethod
    def _confirm(clip: Clip, frame: int) -> None:
        whole, history = clip.frames.get(frame), clip.history
        mask = None if whole is None else clip.shown([whole], soft=True)[0]
        absent = tuple(seed for seed in history.seeds if seed.frame == frame and seed.is_absent)
        if mask is None or not (mask.objects or absent):
            raise NotYetError(
                f"{name_of(frame, info=clip.info)} cannot be confirmed",
                why="it shows no object",
                fix="show one first",
            )
        rest = tuple(seed for seed in history.seeds if seed.frame != frame)
        right = {**{seed.object: seed.mask for seed in absent}, **mask.objects}
        seeds = tuple(
            SeedMask(frame=frame, object=identity, mask=rle, given_as=CONFIRMED) for identity, rle in right.items()
        )
        after = tuple(sorted((*rest, *seeds), key=lambda seed: seed.frame))
        clip.add(history.edit("confirm", seeds=after, frames={frame: mask}))

    def unconfirm(self, clip: Clip, asked: Shown) -> JobView:
        """Take the confirmation of a frame back: what the user had shown there before is what counts again.

        So do its masks of before, from which a region had taken something away, unless another edit has changed them.
        """
        frame = check_frame(asked, info=clip.info)
        with clip.lock:
            if frame not in clip.confirmed:
                raise NotYetError(
                    f"{name_of(frame, info=clip.info)} is not confirmed",
                    why="nobody confirmed it, or one of its objects was corrected since",
                    fix="leave it as it is",
                )
            history = clip.history
            rest = (seed for seed in history.seeds if seed.frame != frame)
            mask, shown = history.before_confirmed(frame)
            after = tuple(sorted((*rest, *shown), key=lambda seed: seed.frame))
            changed = {} if mask is None or mask is history.frames.get(frame) else {frame: mask}
            clip.add(history.edit("confirm", seeds=after, frames=changed))
        return self._queue.changed(clip, (frame,))

    def go(self, clip: Clip, *, back: bool) -> JobView:
        """Undo or redo an edit."""
        self._refuse_tracked(clip)
        with clip.lock:
            frames = clip.go(back=back)
            if clip.history.edges != clip.kept.edges:
                clip.set_edges(clip.history.edges)
                frames = tuple(clip.history.frames)
            self._show_gone(clip)
        return self._queue.changed(clip, frames)

    @staticmethod
    def _show_gone(clip: Clip) -> None:
        """Hide no object that is not there: another may get its number."""
        there = {thing.id for thing in clip.history.things}
        if not there.issuperset(clip.kept.hidden):
            clip.change(hidden=tuple(number for number in clip.kept.hidden if number in there))

    def show(self, clip: Clip, number: int, *, name: str | None, hidden: bool | None) -> JobView:
        """Rename an object, or hide it."""
        with clip.lock:
            self._refuse_unknown(clip, number)
            if name is not None:
                check_label(name)
                things = tuple(
                    thing.model_copy(update={"name": name}) if thing.id == number else thing
                    for thing in clip.history.things
                )
                clip.add(clip.history.edit("object", things=things))
            if hidden is not None:
                rest = tuple(each for each in clip.kept.hidden if each != number)
                clip.change(hidden=(*rest, number) if hidden else rest)
        return self._queue.changed(clip)

    def drop(self, clip: Clip, number: int) -> JobView:
        """Delete an object from all frames."""
        self._queue.refuse_busy(clip)
        with clip.lock:
            self._refuse_unknown(clip, number)
            history = clip.history
            taken = history.taken_by(number)
            things = tuple(thing for thing in history.things if thing.id != number)
            left = {thing.id for thing in things}
            absent = {(seed.frame, seed.object) for seed in history.seeds if seed.is_absent}
            frames = {
                index: without(
                    mask, number, left={each for each in left if (index, each) not in absent}, taken=taken.get(index)
                )
                for index, mask in history.frames.items()
                if tells_of(mask, number)
            }
            seeds = tuple(seed for seed in history.seeds if seed.object != number)
            clip.add(
                history.edit(
                    "object",
                    seeds=with_pixels_back(seeds, frames, before=history.frames),
                    things=things,
                    frames=frames,
                )
            )
            self._show_gone(clip)
        return self._queue.changed(clip, tuple(frames))

    def merge(self, clip: Clip, number: int, *, into: int) -> JobView:
        """Make an object a part of another, in all frames.

        A frame that is confirmed stays so: both were right, and together they are.
        """
        self._queue.refuse_busy(clip)
        with clip.lock:
            self._refuse_unknown(clip, number)
            self._refuse_unknown(clip, into)
            if number == into:
                raise UsageError("an object cannot be a part of itself", why="both are the same", fix="choose another")
            history = clip.history
            frames = {
                index: merged(mask, number, into) for index, mask in history.frames.items() if tells_of(mask, number)
            }
            after = {**history.frames, **frames}
            both = [seed for seed in history.seeds if seed.object in (number, into)]
            shown = {seed.frame: after[seed.frame].objects[into] for seed in both if into in after[seed.frame].objects}
            absent = {seed.frame: seed.mask for seed in both if seed.is_absent}
            right = confirmed_frames(both)
            seeds = tuple(seed for seed in history.seeds if seed not in both) + tuple(
                SeedMask(
                    frame=frame,
                    object=into,
                    mask=mask,
                    given_as=CONFIRMED if frame in right else "mask" if mask.area else ABSENT,
                )
                for frame, mask in sorted({**absent, **shown}.items())
            )
            things = tuple(thing for thing in history.things if thing.id != number)
            clip.add(history.edit("object", seeds=seeds, things=things, frames=frames))
            self._show_gone(clip)
        return self._queue.changed(clip, tuple(frames))

    def _refuse_tracked(self, clip: Clip) -> None:
        if self._queue.busy(clip) == "tracking":
            raise NotYetError("the clip is busy", why="it is being followed, or will be", fix="stop it first")

    def _refuse_unknown(self, clip: Clip, number: int) -> None:
        if number not in {thing.id for thing in clip.history.things}:
            raise NotThereError(f"there is no object {number}", why="it was deleted, or never was", fix="name another")

    def _refuse_unseen(self, clip: Clip, number: int | None) -> None:
        """Refuse to say that an object is not in a frame if it is on none."""
        if number is None:
            raise UsageError(
                "the mask of a new object is empty",
                why="there is nothing in it to follow",
                fix="show the object on a frame where it is to be seen",
            )
        self._refuse_unknown(clip, number)

    def set_edges(self, clip: Clip, changes: Mapping[str, Any]) -> JobView:
        """Choose how the edges are changed, in what is shown and in downloads: an edit of all frames.

        Values that are not named stay, also if two clients ask at once.
        """
        with clip.lock:
            edges = Edges.model_validate({**clip.kept.edges.model_dump(), **changes})
            if edges != clip.kept.edges:
                clip.add(clip.history.edit("edges", edges=edges))
                clip.set_edges(edges)
        return self._queue.changed(clip, tuple(clip.history.frames))

    def set_regions(self, clip: Clip, regions: tuple[RegionPrompt, ...]) -> JobView:
        """Choose the boxes that the subject may not lie in, or has to: an edit of all frames that are not confirmed."""
        for each in regions:
            check_region(each, info=clip.info)
        with clip.lock:
            clip.add(clip.history.edit("region", regions=regions))
        return self._queue.changed(clip, tuple(clip.history.frames))


def _drawn(sent: MaskCode, *, info: SourceInfo) -> RLE:
    """Return a mask that was drawn; refuse one that is broken, or of another size than the clip."""
    size = f"[{info.height}, {info.width}]"
    if tuple(sent.size) != (info.height, info.width):
        raise UsageError(
            f"the mask's size is {list(sent.size)}",
            why=f"a frame of the clip has {size}: height, then width",
            fix="send a mask of the whole frame",
        )
    try:
        return RLE.from_coco(sent.model_dump())
    except AnnotationError as error:
        raise AnnotationError(
            "the mask that was sent cannot be read",
            why=error.why,
            fix=f"send COCO's compressed run lengths of a mask of {size}, height and width, down the columns",
        ) from None
