"""Single frames as downloads will have them: the subject with the true colours and the true opacity of its edges."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import replace

from covos.masks.frame_mask import FrameMask
from covos.masks.soft import SoftMask
from covos.serve.clip import Clip
from covos.serve.errors import NotYetError
from covos.serve.frame_numbers import check_frame, name_of
from covos.serve.pictures import CutOut
from covos.serve.schema import Shown
from covos.serve.tasks import FindMatte
from covos.serve.views import around
from covos.serve.workers import Matted, TaskWorker

KEPT = 64
"""Mattes that are remembered. They are not those of downloads, which know the frame before as well."""


class Cutouts:
    """Shows single frames as downloads will have them.

    Args:
        pictures: The process that reads pictures.
        networks: The process that finds and follows. A matte is found there if it has nothing to do.
        clicks: The process that answers clicks: it finds the others, and a click waits for that.
    """

    def __init__(self, *, pictures: TaskWorker, networks: TaskWorker, clicks: TaskWorker) -> None:
        self._pictures, self._networks, self._clicks = pictures, networks, clicks
        self._lock = threading.Lock()
        self._found: OrderedDict[tuple[str, int], tuple[FrameMask, SoftMask]] = OrderedDict()

    def picture(self, clip: Clip, asked: Shown, *, width: int, matte: bool | None, invert: bool = False) -> bytes:
        """Return a frame's subject as a PNG with straight alpha.

        Args:
            clip: The clip.
            asked: The frame.
            width: Pixels, at most.
            matte: True finds the frame's matte if it is not known, false leaves it out. None finds it if other frames
                have one, as downloads do.
            invert: If true, it is all but the subject.

        Raises:
            UsageError: There is no such frame.
            NotYetError: It has no masks yet.
            SourceError: It cannot be read.
        """
        index = check_frame(asked, info=clip.info)
        with clip.lock:
            frames, edges, hidden = clip.frames, clip.kept.edges, clip.kept.hidden
            confirmed, regions, cuts = clip.confirmed, clip.history.regions, clip.kept.cuts
            whole = frames.get(index)
            near = [frames[each] for each in around(range(index, index + 1), edges) if each in frames]
        if whole is None:
            raise NotYetError(
                f"{name_of(index, info=clip.info)} has no masks yet",
                why="it is still being looked at, or the search was stopped before it",
                fix="wait until it is there, or follow an object to it",
            )
        mask = clip.shown([whole], soft=True)[0].with_soft_edge()

        def found_of(each: FrameMask) -> SoftMask | None:
            return clip.mattes.of(each, () if each.index in confirmed else regions)

        known = mask.kept_matte or found_of(whole)
        if known is None and matte is None:
            matte = any((each.kept_matte or found_of(each)) is not None for each in clip.frames.values())
        if matte and known is None and mask.objects:
            known = self._matte(clip, mask)
        shown = replace(mask, kept_matte=None if matte is False else known)
        task = CutOut(
            video=clip.video,
            mask=shown,
            near=tuple(clip.shown(near)),
            cuts=cuts,
            edges=edges,
            hidden=hidden,
            width=width,
            invert=invert,
        )
        answer = self._pictures.last(task, name=clip.kept.name, job=clip.id)
        assert isinstance(answer, bytes)
        return answer

    def _matte(self, clip: Clip, mask: FrameMask) -> SoftMask:
        place = clip.id, mask.index
        with self._lock:
            of, matte = self._found.get(place, (None, None))
        if matte is not None and of == mask:
            return matte
        worker = self._networks if self._networks.is_free else self._clicks
        answer = worker.last(FindMatte(video=clip.video, mask=mask), name=clip.kept.name, job=clip.id)
        assert isinstance(answer, Matted)
        with self._lock:
            self._found[place] = mask, answer.matte
            while len(self._found) > KEPT:
                self._found.popitem(last=False)
        return answer.matte
