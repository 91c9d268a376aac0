"""What a training tells, collected."""

from __future__ import annotations

from covos.training import Measured, StepDone, TrainingEvent


class Seen(list[StepDone]):
    """The steps of a run, beside all of its events."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[TrainingEvent] = []

    @property
    def measured(self) -> list[Measured]:
        return [event for event in self.events if isinstance(event, Measured)]

    def __call__(self, event: TrainingEvent) -> None:
        self.events.append(event)
        if isinstance(event, StepDone):
            self.append(event)
