"""Go on with less when the memory runs out: the one place through which engines call their networks.

A call that the machine refuses is done again, at first as it was, with all that could be freed. If that fails, fewer
frames are computed together, half of them each time, down to one. After that, fewer objects are computed together, or
fewer tiles of mattes. The last step leads from a GPU to the processor. A step is never taken back. Each step is kept,
for a message to the user.
"""

from __future__ import annotations

import copy
import gc
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from threading import Condition, get_ident
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn

from covos.core.device import choose_precision
from covos.core.errors import is_out_of_memory, refusal
from covos.engines.steps import LadderStep, Together

T = TypeVar("T")
ItemT = TypeVar("ItemT")


class Ladder:
    """Runs calls of networks, each with as much at a time as the memory has held so far; several threads may share it.

    Args:
        device: Device of the networks.
        precision: Precision of their arithmetic: float32, or bfloat16 / float16 by autocast.
        below: Device to go on with in the end; None if there is none. By default the processor, from a GPU.

    Attributes:
        device: Device to compute on now.
        precision: Precision to compute in now.
        steps: The steps that were taken, in order.
        top: Device that was computed on before any step.
        listen: Called with each step as it is taken, if it is set.
    """

    def __init__(self, *, device: torch.device, precision: torch.dtype, below: torch.device | None = None) -> None:
        self.device = device
        self.precision = precision
        self.steps: list[LadderStep] = []
        self.top = device
        self.listen: Callable[[LadderStep], None] | None = None
        self._below = torch.device("cpu") if below is None and device.type != "cpu" else below
        self._at_first = precision, self._below
        self._most: dict[Together, int] = {}
        self._has_moved = False
        self._copies: dict[int, tuple[nn.Module, nn.Module]] = {}
        self._calls = Condition()
        self._running: Counter[int] = Counter()
        """Calls of each thread that are at work."""

    def fresh(self) -> Ladder:
        """Return one that stands at the top, for another video."""
        precision, below = self._at_first
        return Ladder(device=self.top, precision=precision, below=below)

    @property
    def bears_threads(self) -> bool:
        """True if several threads may compute on the device. By torch, Apple's Metal ends the process then."""
        return self.top.type != "mps"

    def frames(self, count: int) -> int:
        """Return how many of so many frames are computed together now."""
        return self._together("frames", count)

    def objects(self, count: int) -> int:
        """Return how many of so many objects are computed together now."""
        return self._together("objects", count)

    def _together(self, kind: Together, count: int) -> int:
        return min(count, self._most.get(kind, count))

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        """Be one of the calls at work; once the memory has run out, the only one."""
        own = get_ident()
        with self._calls:
            self._calls.wait_for(lambda: not self.steps or self._is_alone())
            self._running[own] += 1
        try:
            yield
        finally:
            with self._calls:
                self._running[own] -= 1
                self._calls.notify_all()

    def _is_alone(self) -> bool:
        own = get_ident()
        return not any(count for thread, count in self._running.items() if thread != own)

    @contextmanager
    def computing(self) -> Iterator[None]:
        """Set up what a network runs in: without gradients, in its precision."""
        with (
            torch.inference_mode(),
            torch.autocast(self.device.type, self.precision, enabled=self.precision != torch.float32),
        ):
            yield

    def run(self, work: Callable[[], T], *, frames: int = 1, objects: int = 1, tiles: int = 1) -> T:
        """Do something with a network; if the memory runs out, go a step down, and do it again.

        Args:
            work: Is done while `computing`. It may be done several times: it asks `frames`, `objects`, `here` and
                `moved` anew each time, and changes nothing until it is through.
            frames: Frames that it computes together at the most.
            objects: Objects that it computes together at the most.
            tiles: Tiles of a frame that it computes together at the most.

        Raises:
            MemoryError: There is no step left.
        """
        while True:
            taken = len(self.steps)
            try:
                with self._at_work(), self.computing():
                    return work()
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
                why = refusal(error)
            # Not while the error is handled: its traceback holds on to all that the call had made.
            with self._calls:
                self._calls.wait_for(self._is_alone)  # what others hold is freed, and their device stays what it was
                if len(self.steps) > taken:
                    continue  # another thread has made room
                step = self._next({"frames": frames, "objects": objects, "tiles": tiles}, why)
                if step is None:
                    raise MemoryError(why)
                self._take(step)

    def in_parts(
        self, items: Sequence[ItemT], work: Callable[[Sequence[ItemT]], T], *, of: Together = "frames"
    ) -> Iterator[tuple[Sequence[ItemT], T]]:
        """Do something with frames, as many at a time as the memory holds; yield each part with what came of it.

        Args:
            items: The frames.
            work: Gets a part of them; see `run`.
            of: What the items are, if not frames.
        """
        left = items

        def first_part() -> tuple[Sequence[ItemT], T]:
            part = left[: self._together(of, len(left))]
            return part, work(part)

        while left:
            part, found = self.run(first_part, **{of: len(left)})
            left = left[len(part) :]
            yield part, found

    def here(self, network: T) -> T:
        """Return a network on the device of now: itself, or a copy of it, for others may still compute with it."""
        if not self._has_moved or not isinstance(network, nn.Module):
            return network
        with self._calls:
            if id(network) not in self._copies:
                # Copied tensor by tensor to the other device: there is no room for a copy on its own.
                moved: dict[int, Any] = {
                    id(each): nn.Parameter(each.detach().to(self.device), requires_grad=each.requires_grad)
                    for each in network.parameters()
                }
                moved |= {id(each): each.detach().to(self.device) for each in network.buffers()}
                self._copies[id(network)] = network, copy.deepcopy(network, moved)
            return cast("T", self._copies[id(network)][1])

    def moved(self, value: T) -> T:
        """Return tensors, or tuples of them, on the device of now."""
        return moved_to(value, self.device) if self._has_moved else value

    def _next(self, together: dict[Together, int], why: str) -> LadderStep | None:
        if not self.steps:
            return LadderStep(kind="again", why=why)
        for kind, asked in together.items():
            if (count := self._together(kind, asked)) > 1:
                return LadderStep(kind=kind, together=(count + 1) // 2, why=why)
        if self._below is not None:
            return LadderStep(kind="processor", why=why)
        return None

    def _take(self, step: LadderStep) -> None:
        self.steps.append(step)
        if step.kind not in {"again", "processor"} and step.together is not None:
            self._most[cast("Together", step.kind)] = step.together
        elif step.kind == "processor" and self._below is not None:
            self.device, self._below, self._has_moved = self._below, None, True
            # As exact as before, or more: so the masks stay what they would be.
            kept = self.precision == torch.bfloat16
            self.precision = choose_precision(self.device) if kept else torch.float32
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if self.listen is not None:
            self.listen(step)


def moved_to(value: T, device: torch.device) -> T:
    """Return tensors, or tuples of them, named or not, on a device; anything else as it is."""
    if isinstance(value, Tensor):
        return cast("T", value.to(device))
    if isinstance(value, tuple):
        parts = [moved_to(each, device) for each in value]
        return cast("T", type(value)(*parts) if hasattr(value, "_fields") else tuple(parts))
    return value
