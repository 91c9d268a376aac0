"""The page's own path for `corrections.py --page`: prompts, tracks and edits, without a browser or processes."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from covos.core.types import LabelArray
from covos.masks import encode, objects_in
from covos.masks.frame_mask import FrameMask
from covos.media.inputs import open_input
from covos.media.range import Range
from covos.plan import Plan
from covos.serve.clip import Clip
from covos.serve.editing import Editing
from covos.serve.networks import Networks
from covos.serve.queue import Work, WorkQueue
from covos.serve.schema import MaskCode, NewPrompt, NewTrack
from covos.serve.workers import Answer, Here, Task, Video


class _Here:
    """Answers tasks in this very process."""

    def __init__(self, plan: Plan) -> None:
        self._told: list[Answer] = []
        self._here = Here(plan=plan, stop=threading.Event(), tell=self._told.append)  # type: ignore[arg-type]
        self._here.networks = Networks(plan)

    def run(self, task: Task, *, name: str) -> Iterator[Answer]:
        self._told.clear()
        task.run(self._here)
        yield from tuple(self._told)

    def last(self, task: Task, *, name: str) -> Answer:
        *_, answer = self.run(task, name=name)
        return answer

    def stop(self) -> None:
        """Stop nothing."""


class PageSession:
    """A clip of the page with the methods of a session that `corrections.py` uses.

    Args:
        frames: Folder of pictures.
        every: Take every so many of them.
        plan: Model and device.
        folder: Empty; the clip is kept there.
    """

    def __init__(self, frames: Path, *, every: int, plan: Plan, folder: Path) -> None:
        video = Video(path=str(frames), range=Range(every=every))
        with open_input(video.path, range=video.range) as source:
            info = source.info
            found = [
                FrameMask(
                    index=frame.index,
                    stem=frame.stem,
                    pts=frame.pts,
                    time_base=frame.time_base,
                    status=frame.status,
                    confidence=0.0,
                    size=(info.height, info.width),
                    objects={},
                    source_index=frame.source_index,
                )
                for frame in source
            ]
        self.clip = Clip.begin(folder, name=frames.name, video=video, info=info, size=1)
        self.clip.found(found)
        self.clip.change(state="done")
        self._answers, self._latest = _Here(plan), 0

    def add_labels(self, frame: int, *, labels: LabelArray) -> None:
        """Paint the masks of a frame."""
        for identity, mask in objects_in(labels).items():
            code = encode(mask).to_coco()
            drawn = MaskCode(size=tuple(code["size"]), counts=code["counts"])
            self._prompt(NewPrompt(frame=frame, object=identity, mask=drawn))

    def add_points(self, frame: int, identity: int, *, points: Any, labels: Sequence[int]) -> SimpleNamespace:
        """Click on a frame."""
        self._prompt(NewPrompt(frame=frame, object=identity, points=tuple(points), labels=tuple(labels)))
        return SimpleNamespace(mask=self.preview(frame) == identity)

    def preview(self, frame: int) -> LabelArray:
        """Return what the page shows of a frame."""
        return self.clip.frames[frame].labels

    def propagate(self, _direction: str) -> SimpleNamespace:
        """Track both ways from the frame of the latest prompt."""
        queue, over = WorkQueue(self._answers, limit=4), threading.Event()  # type: ignore[arg-type]
        Editing(queue, clicks=self._answers).track(self.clip, NewTrack(start=self._latest))  # type: ignore[arg-type]
        queue.put(Work(clip=self.clip, stage="exporting", run=over.set))
        queue.start()
        over.wait()
        queue.close()
        assert not self.clip.notes, self.clip.notes
        return SimpleNamespace(frames=[self.clip.frames[index] for index in sorted(self.clip.frames)])

    def _prompt(self, asked: NewPrompt) -> None:
        queue = WorkQueue(self._answers, limit=4)  # type: ignore[arg-type]
        Editing(queue, clicks=self._answers).prompt(self.clip, asked)  # type: ignore[arg-type]
        self._latest = int(asked.frame)
