"""Hands: whoever does the errands of a batch, be they processes of this machine or actors of a cluster."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from covos.core.errors import CovosError
from covos.fleet.work import Errand, Row

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


class Hands(ABC, Generic[HandT]):
    """Does errands side by side, one at a time for each worker. Each kind of worker is a subclass.

    Only an idle worker gets an errand, so that nothing queues where it cannot be seen, and one that waits costs the
    same whether ten clips follow or ten thousand. A worker that dies costs one attempt, and another takes its place.

    Args:
        count: Workers.
        retry: How often a clip is begun again whose worker died.
        listen: Called with a clip's name and the number of its frames that are done.
    """

    def __init__(self, *, count: int, retry: int, listen: Callable[[str, int], None] = lambda *_: None) -> None:
        self.count, self._retry, self._listen = count, retry, listen
        self.note = ""
        """What differs from what was asked for, in words; empty if nothing does."""
        self.late: list[Row] = []
        """Rows of clips that ended while the run was being cut off; `run` did not yield them."""
        self._busy: dict[HandT, Errand] = {}
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
                while waiting and len(self._busy) < self.count:
                    self._give(idle.pop() if idle else self.engage(), waiting.popleft(), waiting)
                for hand in self.answered(list(self._busy)):
                    match self.answer(hand):
                        case Counted(frames=frames):
                            self._listen(self._busy[hand].clip.name, frames)
                        case Died(error=error):
                            yield from self._lost(self._busy.pop(hand), error, waiting)
                        case Row() as row:
                            del self._busy[hand]
                            idle.append(hand)
                            yield row
                        case CovosError() as error:
                            raise error
        except (KeyboardInterrupt, SystemExit) as stop:
            self.interrupt([*self._busy, *idle], stop)
            self._collect()
            raise
        except CovosError:
            self._collect(working=True)
            raise
        finally:
            self.dismiss([*self._busy, *idle])

    def _collect(self, *, working: bool = False) -> None:
        """Keep the rows that workers have sent, of clips that ended while the batch was being cut off.

        One that is still ``working`` says how far it is, and is not waited for.
        """
        asked = list(self._busy)
        while asked and (answered := self.answered(asked)):
            for hand in answered:
                match self.answer(hand):
                    case Counted() if not working:
                        continue
                    case Row() as row:
                        self.late.append(row)
                        del self._busy[hand]
                asked.remove(hand)  # it has sent its row, or is dead

    @property
    def begun(self) -> tuple[Errand, ...]:
        """Errands that workers had when the run ended early, and those whose worker had died."""
        return (*self._busy.values(), *(each for each in self._waiting if each.attempts))

    def _give(self, hand: HandT, errand: Errand, waiting: deque[Errand]) -> None:
        if self.send(hand, errand):
            self._busy[hand] = errand
        else:  # it died while it was idle: no fault of this clip
            waiting.appendleft(errand)

    def _lost(self, errand: Errand, error: CovosError, waiting: deque[Errand]) -> Iterator[Row]:
        again = errand.again()
        if again.attempts <= self._retry:
            waiting.append(again)  # behind the others: what killed it may pass
        else:
            yield replace(again.row, status="failed", error=error)

    @abstractmethod
    def engage(self) -> HandT:
        """Begin a worker."""

    @abstractmethod
    def send(self, hand: HandT, errand: Errand) -> bool:
        """Give a worker an errand; False if it is dead."""

    @abstractmethod
    def answered(self, hands: list[HandT]) -> list[HandT]:
        """Wait until some have something to report, or died, at most `LOOK_EVERY`."""

    @abstractmethod
    def answer(self, hand: HandT) -> Row | Counted | Died | CovosError:
        """Take the report of a worker; an error is one of the model."""

    @abstractmethod
    def interrupt(self, hands: list[HandT], stop: BaseException) -> None:
        """Stop workers, which may finish what must not be cut in two."""

    @abstractmethod
    def dismiss(self, hands: list[HandT]) -> None:
        """End workers."""
