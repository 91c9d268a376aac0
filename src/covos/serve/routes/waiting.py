"""Requests that wait for a process of the server have threads of their own: all others are answered meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final, ParamSpec, TypeVar

from anyio import CapacityLimiter, to_thread

GivenT = ParamSpec("GivenT")
ResultT = TypeVar("ResultT")
MOST_WAITING: Final = 16
"""Threads in which requests of one kind wait; further ones wait without a thread."""


class Waiting:
    """Requests of one kind: those of no other kind wait for them."""

    def __init__(self) -> None:
        self._limiter = CapacityLimiter(MOST_WAITING)

    async def run(self, work: Callable[GivenT, ResultT], /, *given: GivenT.args, **named: GivenT.kwargs) -> ResultT:
        """Return what a function returns that may wait for long."""
        return await to_thread.run_sync(partial(work, *given, **named), limiter=self._limiter)
