"""Work: the place where a plan's task becomes the work on an open source; it brings the networks."""

from __future__ import annotations

from collections.abc import Callable

from covos.media.source import Source
from covos.model import Model
from covos.plan import Plan
from covos.task import Find, Follow
from covos.work.base import TaskWork
from covos.work.find import FindWork
from covos.work.follow import DiscoverWork, FollowWork
from covos.work.steer import SteeredWork


def work_of(plan: Plan, *, source: Source, load: Callable[[], Model]) -> TaskWork:
    """Return the work of a plan on its source.

    Args:
        plan: The plan.
        source: Its source, open.
        load: Gives the model; called when it is first needed.

    Raises:
        UsageError: What is shown does not fit the source, or a label is of an object that nobody shows.
        AnnotationError: A mask does not fit the source.
        CovosError: The weights of the matte are not there, or are of another kind.
    """
    task = plan.task
    if isinstance(task, Find):
        if task.steer is None:
            return FindWork(task, plan=plan, source=source, load=load)
        return SteeredWork(task, steer=task.steer, plan=plan, source=source, load=load)
    if isinstance(task, Follow):
        return FollowWork(task, plan=plan, source=source, load=load)
    return DiscoverWork(task, plan=plan, source=source, load=load)
