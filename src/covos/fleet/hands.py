"""Hands: whoever does the errands of a batch, be they processes of this machine or actors of a cluster."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Generic, Required, TypedDict, TypeVar

from covos.core.errors import CovosError, EnvironmentProblem
from covos.fleet.work import Errand, Row, kept_frames

HandT = TypeVar("HandT")

LOOK_EVERY = 0.5
"""Seconds after which a batch looks up, though nothing was answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Died:
    """A worker died at its errand."""

    error: CovosError


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """A worker reports the number of frames of its errand that are done."""

    frames: int


class HandSettings(TypedDict, total=False):
    """The settings of each kind of workers, but for their number; see `Hands`."""

    retry: Required[int]
    limit: float | None
    listen: Callable[[str, int], None]
    note: Callable[[str], None]
    clock: Callable[[], float]


class Hands(ABC, Generic[HandT]):
    """Does errands side by side, one at a time for each worker. Each kind of worker is a subclass.

    Only an idle worker gets an errand, so that nothing queues where it cannot be seen, and one that waits costs the
    same whether ten clips follow or ten thousand. A worker that has yet to be placed has none: it may never be, and the
    others do what is there. A worker that dies costs one attempt, and another takes its place; one that is at a clip
    for too long is ended, which costs the same.

    Args:
        count: Workers.
        retry: How often a clip is begun again whose worker died, or that took too long.
        limit: Seconds in which a clip has to be done, from when its worker has begun to work; None waits.
        listen: Called with a clip's name and the number of its frames that are done.
        note: Called with what differs from what was asked for, and what is waited for, in words.
        clock: Tells seconds.
    """

    def __init__(
        self,
        *,
        count: int,
        retry: int,
        limit: float | None = None,
        listen: Callable[[str, int], None] = lambda *_: None,
        note: Callable[[str], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.count, self._retry, self._limit = count, retry, limit
        self._listen, self._note, self._clock = listen, note, clock
        self.late: list[Row] = []
        """Rows of clips that ended while the run was being cut off; `run` did not yield them."""
        self._coming: list[HandT] = []
        """Workers that were engaged and are not placed yet."""
        self._busy: dict[HandT, Errand] = {}
        self._given: dict[HandT, float] = {}
        """When a worker was given its errand."""
        self._since: dict[HandT, float] = {}
        """When a worker began with its errand; those that still load their libraries are not there."""
        self._waiting: deque[Errand] = deque()

    def run(self, errands: Sequence[Errand]) -> Iterator[Row]:
        """Do all errands; yield a row for each, as they end.

        Raises:
            CovosError: The model cannot be loaded, or the workers cannot be had.
            KeyboardInterrupt, SystemExit: A signal came; what the workers have done is kept in the clips' journals.
        """
        waiting = self._waiting = deque(errands)
        idle: list[HandT] = []
        try:
            while waiting or self._busy:
                self._hand_out(idle, waiting)
                for hand in self.answered([*self._busy, *self._coming]):
                    if hand in self._coming:  # it is placed, and gets an errand if one is left
                        continue
                    match self.answer(hand):
                        case Counted(frames=frames):
                            self._listen(self._busy[hand].clip.name, frames)
                        case Died(error=error):
                            yield from self._lost(self._freed(hand), error, waiting)
                        case Row() as row:
                            self._freed(hand)
                            idle.append(hand)
                            yield row
                        case CovosError() as error:
                            raise error
                for hand in self._overdue():
                    late = self.stop(hand)
                    errand = self._freed(hand)
                    yield from [late] if late else self._lost(errand, self._too_long(errand), waiting)
        except (KeyboardInterrupt, SystemExit) as stop:
            self.interrupt([*self._busy, *idle], stop)
            self._collect(idle)
            raise
        except CovosError:
            self._collect(idle, working=True)
            raise
        finally:
            self.dismiss([*self._busy, *idle, *self._coming])

    def _hand_out(self, idle: list[HandT], waiting: deque[Errand]) -> None:
        """Give errands to idle workers, and engage as many more as there is work for."""
        if self._coming:
            idle += (came := self.placed(self._coming))
            self._coming = [hand for hand in self._coming if hand not in came]
        while waiting:
            if idle:
                self._give(idle.pop(), waiting.popleft(), waiting)
            elif len(self._coming) < min(len(waiting), self.count - len(self._busy)):
                hand = self.engage()
                (idle if self.placed([hand]) else self._coming).append(hand)
            else:
                return

    def _collect(self, idle: list[HandT], *, working: bool = False) -> None:
        """Keep the rows that workers have sent, of clips that ended while the batch was being cut off.

        These workers are idle then. One that is still ``working`` says how far it is, and is not waited for.
        """
        asked = list(self._busy)
        while asked and (answered := self.answered(asked)):
            for hand in answered:
                match self.answer(hand):
                    case Counted() if not working:
                        continue
                    case Row() as row:
                        self.late.append(row)
                        self._freed(hand)
                        idle.append(hand)
                asked.remove(hand)  # it has sent its row, or is dead

    @property
    def begun(self) -> tuple[Errand, ...]:
        """Errands that workers had when the run ended early, and those whose worker had died: their attempts so far."""
        at_work = (self._so_far(hand).again() for hand in self._busy)
        return (*at_work, *(each for each in self._waiting if each.attempts))

    def _so_far(self, hand: HandT) -> Errand:
        """Return the errand of a worker with the seconds that it took until now."""
        errand = self._busy[hand]
        return replace(errand, seconds=errand.seconds + self._clock() - self._given[hand])

    def _freed(self, hand: HandT) -> Errand:
        errand = self._so_far(hand)
        self._since.pop(hand, None)
        del self._busy[hand], self._given[hand]
        return errand

    def _overdue(self) -> list[HandT]:
        """Return the workers that are at a clip for longer than it may take."""
        if self._limit is None:
            return []
        now = self._clock()
        for hand in self._busy:
            if hand not in self._since and self.has_begun(hand):
                self._since[hand] = now
        return [hand for hand, since in self._since.items() if now - since > self._limit]

    def _too_long(self, errand: Errand) -> CovosError:
        return EnvironmentProblem(
            f"{errand.clip.input}: it takes longer than {self._limit:g} s",
            why="a clip was given no more time, and its process was ended",
            fix="give the same command with more time: in a folder it goes on where it was; a decoder may hang on it",
        )

    def _give(self, hand: HandT, errand: Errand, waiting: deque[Errand]) -> None:
        errand = errand.handed_over()
        if self.send(hand, errand):
            self._busy[hand], self._given[hand] = errand, self._clock()
        else:  # it died while it was idle: no fault of this clip
            waiting.appendleft(errand)

    def _lost(self, errand: Errand, error: CovosError, waiting: deque[Errand]) -> Iterator[Row]:
        again = errand.again()
        if again.attempts <= self._retry:
            waiting.append(again)  # behind the others: what killed it may pass
        else:
            yield replace(again.row, status="failed", error=error, frames=kept_frames(errand))

    @abstractmethod
    def engage(self) -> HandT:
        """Begin a worker."""

    def placed(self, hands: list[HandT]) -> list[HandT]:
        """Return those that may be given an errand; all, unless somebody else decides when a worker begins."""
        return hands

    @abstractmethod
    def send(self, hand: HandT, errand: Errand) -> bool:
        """Give a worker an errand; False if it is dead."""

    @abstractmethod
    def answered(self, hands: list[HandT]) -> list[HandT]:
        """Wait until some have something to report, are placed, or died, at most `LOOK_EVERY`."""

    @abstractmethod
    def answer(self, hand: HandT) -> Row | Counted | Died | CovosError:
        """Take the report of a worker; an error is one of the model."""

    @abstractmethod
    def has_begun(self, hand: HandT) -> bool:
        """Return True if a worker has come to its work; False while it is placed, or loads its libraries."""

    @abstractmethod
    def stop(self, hand: HandT) -> Row | None:
        """End a worker in the midst of its errand; return the row if it has sent one by then."""

    @abstractmethod
    def interrupt(self, hands: list[HandT], stop: BaseException) -> None:
        """Stop workers, which may finish what must not be cut in two."""

    @abstractmethod
    def dismiss(self, hands: list[HandT]) -> None:
        """End workers."""
