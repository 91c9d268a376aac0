"""Tracks: which stretches of a clip a user wants followed, and the work that follows them."""

from __future__ import annotations

from collections.abc import Callable

from covos.masks.frame_mask import FrameMask
from covos.prompts.seed_mask import SeedMask, confirmed_frames, to_follow
from covos.serve.clip import Clip
from covos.serve.errors import NotYetError
from covos.serve.queue import Work, WorkQueue
from covos.serve.schema import Direction
from covos.serve.spreading import Parts, Spreading, Way
from covos.serve.tasks import Track


def track_parts(
    direction: Direction,
    *,
    start: int,
    stop: int | None,
    seeds: tuple[SeedMask, ...],
    count: int,
    name: Callable[[int], str] = "frame {}".format,
) -> Parts:
    """Return the stretches to follow: direction, first frame and number of frames.

    Frames that were confirmed are barriers: what lies beyond them is right already. Both ways begin with the frame that
    is nearest to ``start`` and no further than what is shown, so that none is left out. ``name`` says a frame in words.

    Raises:
        NotYetError: No object is shown, or none on that side of the frame.
    """
    shown = {seed.frame for seed in seeds if not seed.is_absent}
    if not shown:
        raise NotYetError(
            "there is nothing to follow", why="no object was shown on a frame", fix="click on what you want first"
        )
    if direction == "both":
        start = min(max(start, min(shown)), max(shown))
    barriers = confirmed_frames(seeds)
    last = min((frame - 1 for frame in barriers if frame > start), default=count - 1)
    first = max((frame + 1 for frame in barriers if frame < start), default=0)
    if stop is not None:
        last, first = (min(last, stop), first) if stop >= start else (last, max(first, stop))
    parts: list[tuple[Way, int, int]] = []
    if direction != "backward" and (stop is None or stop >= start) and min(shown) <= start:
        parts.append(("forward", start, last - start + 1))
    if direction != "forward" and (stop is None or stop <= start) and max(shown) >= start:
        parts.append(("backward", start, start - first + 1))
    if not parts:  # all that is shown lies on the other side
        back = start > max(shown)
        way, border, side, place = (
            ("back", "last", "before", max(shown)) if back else ("on", "first", "after", min(shown))
        )
        raise NotYetError(
            f"nothing can be followed {way} from {name(start)}",
            why=f"the {border} frame on which an object is shown is {name(place)}",
            fix=f"go to {name(place)} or {side}, track the other way, or click on an object here",
        )
    return tuple(parts)


def track_work(queue: WorkQueue, clip: Clip, parts: Callable[..., Parts], *, between: bool) -> Work:
    """Return the work of following a clip, which is then in the state that it has now, however the track ends.

    Args:
        queue: Runs it, and hears of each frame.
        clip: The clip.
        parts: Returns the stretches to follow with the ``seeds`` that there are when the work begins.
        between: See `Spreading`.
    """
    after = clip.kept.state

    def run() -> None:
        clip.change(state="running")
        with clip.lock:  # with what the user has shown while it waited
            clip.begin_track()
            seeds = clip.history.seeds
            spreading = Spreading(clip.history, parts(seeds=seeds), between=between)
        queue.changed(clip)
        task = Track(video=clip.video, seeds=to_follow(seeds), parts=spreading.parts, cuts=clip.kept.cuts)

        def follow(masks: list[FrameMask]) -> list[int]:
            for mask in masks:
                clip.follow(mask)
            return [mask.index for mask in masks]

        try:
            queue.follow(clip, task, take=lambda mask: follow(spreading.take(mask)))
        finally:
            if not clip.gone:
                follow(spreading.end())
            frames = tuple(clip.live)
            clip.end_track()
            clip.change(state=after)
            queue.changed(clip, frames)

    return Work(clip=clip, stage="tracking", run=run, after=after)
