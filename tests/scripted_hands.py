"""Workers of a batch that are numbers, and do as a test says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from covos.core.errors import CheckpointError, CovosError, EnvironmentProblem
from covos.fleet.hands import Counted, Died, Hands
from covos.fleet.work import Errand, Row

DEATH = EnvironmentProblem("it died", why="a test", fix="none")


class Scripted(Hands[int]):
    """Workers that are numbers. ``deaths`` says how often a clip kills its worker."""

    def __init__(self, *, deaths: dict[str, int], model: bool = True, **settings: Any) -> None:
        super().__init__(**settings)
        self.deaths, self.model = deaths, model
        self.engaged: list[int] = []
        self.dismissed: list[int] = []
        self.interrupted: list[int] = []
        self.order: list[str] = []
        self.most = 0

    def engage(self) -> int:
        self.engaged.append(len(self.engaged))
        return self.engaged[-1]

    def send(self, hand: int, errand: Errand) -> bool:
        self.order.append(errand.clip.name)
        return True

    def answered(self, hands: list[int]) -> list[int]:
        self.most = max(self.most, len(hands))
        return hands[:1]

    def answer(self, hand: int) -> Row | Counted | Died | CovosError:
        errand = self._busy[hand]
        if not self.model:
            return CheckpointError("no weights", why="a test", fix="none")
        if self.deaths.get(errand.clip.name, 0) > errand.attempts:
            return Died(error=DEATH)
        return replace(errand.row, status="done", attempts=errand.attempts + 1)

    def has_begun(self, hand: int) -> bool:
        return True

    def stop(self, hand: int) -> Row | None:
        return None

    def interrupt(self, hands: list[int], stop: BaseException) -> None:
        self.interrupted = hands

    def dismiss(self, hands: list[int]) -> None:
        self.dismissed = hands
