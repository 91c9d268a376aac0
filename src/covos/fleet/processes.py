"""Processes of this machine that do the errands of a batch."""

from __future__ import annotations

import shutil
import signal
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Unpack

from covos.core.device import available_devices, configure_threads, usable_cpus
from covos.core.errors import CovosError
from covos.core.memory import free_memory
from covos.core.process import Worker, ready
from covos.fleet.hands import LOOK_EVERY, Counted, Died, Hands, HandSettings
from covos.fleet.work import BatchEndsError, Errand, Row, run_errand
from covos.jobs import ModelCache

NEEDED, NEEDED_TO_FOLLOW = 1_500_000_000, 3_000_000_000
"""Bytes of memory that a worker takes at most, for clips of usual sizes: to find a subject, and to follow as well."""

STOPPING = 5.0
"""Seconds in which a worker that took too long may clear up: one that hangs is killed then."""


def choose_workers(device: str, *, follows: bool) -> int:
    """Return how many workers a machine takes: one for each GPU, else one for each processor, as memory allows.

    Those that follow anything need more memory. A network gains little by a second thread, so that two processes of
    one thread do more than one of two.
    """
    if gpus := _gpus_for(device):
        return len(gpus)
    if device not in {"auto", "cuda", "cpu"}:
        return 1
    memory = free_memory()
    most = usable_cpus() if memory is None else min(usable_cpus(), memory // (NEEDED_TO_FOLLOW if follows else NEEDED))
    return max(1, most)


def _gpus_for(device: str) -> list[str]:
    """Return the GPUs that workers share, where a device stands for all of them."""
    return [each for each in available_devices() if each.startswith("cuda")] if device in {"auto", "cuda"} else []


class Processes(Hands["Numbered"]):
    """Workers in processes of their own: a decoder that crashes costs one attempt at one clip.

    Args:
        device: See `Plan`; with several GPUs, ``"auto"`` and ``"cuda"`` give each worker the next.
        count: Workers.
        **settings: See `Hands`.
    """

    def __init__(self, *, device: str, count: int, **settings: Unpack[HandSettings]) -> None:
        super().__init__(count=count, **settings)
        self._devices = _gpus_for(device) or [device]
        self._free = list(range(self.count))

    def engage(self) -> Numbered:
        """Begin a process."""
        number = self._free.pop(0)
        device = self._devices[number % len(self._devices)]
        return Numbered(number, _serve, device, self.count)

    def send(self, hand: Numbered, errand: Errand) -> bool:
        """Give a process an errand."""
        try:
            hand.send(errand)
        except OSError:
            self._let_go(hand)
            return False
        return True

    def _let_go(self, hand: Numbered) -> None:
        """Give the place of a process that has ended, or never will, to the next one."""
        self._free.append(hand.number)
        hand.clear_up()

    def answered(self, hands: list[Numbered]) -> list[Numbered]:
        """Wait on the pipes of all."""
        found = set(ready(hands, timeout=LOOK_EVERY))
        return [each for each in hands if each in found]

    def answer(self, hand: Numbered) -> Row | Counted | Died | CovosError:
        """Read a process's pipe."""
        try:
            told: Row | Counted | CovosError = hand.receive()
        except (EOFError, OSError):
            self._let_go(hand)
            if hand.never_began:  # every other clip would meet the same
                return hand.cause_of_death(self._busy[hand].clip.input)
            return Died(error=hand.cause_of_death(self._busy[hand].clip.input))
        return told

    def has_begun(self, hand: Numbered) -> bool:
        """Ask its pipe."""
        return hand.has_begun

    def stop(self, hand: Numbered) -> Row | None:
        """End a process: it may remove its temporary files, if it still listens.

        One that not even a kill ends, as it waits for a disk, is left behind.
        """
        hand.end(patience=STOPPING)
        row: Row | None = None
        with suppress(EOFError, OSError):
            while hand.connection.poll():
                told = hand.receive()
                row = told if isinstance(told, Row) else row
        self._let_go(hand)
        return row

    def interrupt(self, hands: list[Numbered], stop: BaseException) -> None:
        """Pass the signal on to all, then wait for each."""
        number = signal.SIGTERM if isinstance(stop, SystemExit) else signal.SIGINT
        for hand in hands:
            hand.signal(number)
        for hand in hands:
            hand.join()

    def dismiss(self, hands: list[Numbered]) -> None:
        """Let each end."""
        for hand in hands:
            hand.close()
            hand.clear_up()


class Numbered(Worker):
    """A worker that knows its place among all, and has a folder for its temporary files: a killed one leaves them.

    Args:
        number: Its place.
        work: See `Worker`; it gets the folder last.
        *arguments: See `Worker`.
    """

    def __init__(self, number: int, work: Callable[..., None], *arguments: object) -> None:
        self.number, self._scratch = number, tempfile.mkdtemp(prefix="covos-")
        super().__init__(work, *arguments, self._scratch, loads=("covos.work.choice",))

    def clear_up(self) -> None:
        """Remove its temporary files, once it has ended."""
        shutil.rmtree(self._scratch, ignore_errors=True)


def _serve(connection: Connection, device: str, share: int, scratch: str) -> None:
    tempfile.tempdir = scratch  # copies of clips at URLs may be large
    configure_threads(pipeline=True, share=share)
    models = ModelCache()
    last = 0.0

    def tell(frames: int) -> None:
        nonlocal last
        if (now := time.monotonic()) - last >= LOOK_EVERY:
            last = now
            connection.send(Counted(frames=frames))

    while (errand := connection.recv()) is not None:
        try:
            told: Row | CovosError = run_errand(errand, models=models, device=device, tell=tell)
        except BatchEndsError as failed:
            told = failed.args[0]
        connection.send(told)
