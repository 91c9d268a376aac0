"""Answers that stand for those of a process, and the masks of a small clip, for the tests of editing."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from fractions import Fraction

import numpy as np

from covos.masks import encode
from covos.masks.frame_mask import FrameMask
from covos.prompts.seed_mask import SeedMask
from covos.serve.clip import Clip
from covos.serve.editing import Editing
from covos.serve.queue import Work, WorkQueue
from covos.serve.schema import NewPrompt
from covos.serve.tasks import Click, Export, Track
from covos.serve.workers import Answer, Clicked, Task
from serve.serving import SIZE

CLICK = NewPrompt(frame=0, points=((1, 1),))


def mask_of(index: int, *numbers: int) -> FrameMask:
    """Masks of objects, a column each."""
    columns = {number: np.zeros(SIZE, np.bool_) for number in numbers}
    for number, column in columns.items():
        column[:, number - 1] = True
    return FrameMask(
        index=index,
        stem=f"{index:05}",
        pts=index,
        time_base=Fraction(1, 25),
        status="ok",
        confidence=math.nan,
        size=SIZE,
        objects={number: encode(column) for number, column in columns.items()},
    )


class Answers:
    """A process that answers at once; ``meanwhile`` is called before each answer."""

    def __init__(self, meanwhile: Callable[[], object] = lambda: None) -> None:
        self.meanwhile = meanwhile

    def last(self, task: Task, *, name: str, job: str) -> Answer:
        assert isinstance(task, Click)
        self.meanwhile()
        mask = mask_of(task.frame, task.object).objects[task.object]
        seed = SeedMask(frame=task.frame, object=task.object, mask=mask, given_as="points")
        rest = [each for each in task.seeds if (each.frame, each.object) != (task.frame, task.object)]
        return Clicked(object=task.object, mask=mask, seeds=(*rest, seed))

    def run(self, task: Task, *, name: str, job: str, stopped: object) -> Iterator[Answer]:
        if isinstance(task, Export):
            return
        assert isinstance(task, Track)
        for _, first, count in task.parts:
            for index in range(first, first + count):
                yield mask_of(index, *{seed.object for seed in task.seeds})
        self.meanwhile()

    def stop(self) -> None:
        """Stop nothing: it is done at once."""


def queue_of(networks: Answers) -> WorkQueue:
    return WorkQueue(networks, limit=4)  # type: ignore[arg-type]


def editing_of(clicks: Answers, queue: WorkQueue | None = None) -> Editing:
    return Editing(queue or queue_of(Answers()), clicks=clicks)  # type: ignore[arg-type]


def settle(queue: WorkQueue, clip: Clip) -> None:
    """Run what waits, in the queue's own thread, to its end."""
    over = threading.Event()
    queue.put(Work(clip=clip, stage="exporting", run=over.set))
    queue.start()
    assert over.wait(30)
    queue.close()
