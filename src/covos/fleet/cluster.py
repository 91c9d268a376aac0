"""Actors of a Ray cluster that do the errands of a batch.

Ray places, restarts and counts them; covos only hands out clips. An actor does the work of a process of a batch on one
machine, so a clip has the same result in both.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from importlib import import_module
from typing import Any, Unpack

from covos._version import __version__
from covos.core.device import configure_threads
from covos.core.errors import CovosError, EnvironmentProblem, UsageError
from covos.core.limits import Limits, limits, set_limits
from covos.core.progress import counted
from covos.core.words import Words
from covos.engines.choices import AUTO
from covos.fleet.connection import connect, disconnections, lost
from covos.fleet.hands import LOOK_EVERY, Counted, Died, Hands, HandSettings
from covos.fleet.work import BatchEndsError, Errand, Row, run_errand
from covos.jobs import ModelCache
from covos.runs.terms import PRECISIONS

_QUIET = 30.0
"""Seconds without a worker, after which a batch says what the cluster lacks."""
_STARTS = 3
"""Workers that die one after the other before any has begun, until it is held that none can."""


class Actor:
    """One worker: a process of some machine of the cluster, which loads its model once."""

    def __init__(self, computing: Mapping[str, str], threads: int, version: str, bounds: Limits) -> None:
        set_limits(**asdict(bounds))
        import_module("covos.work.choice")  # a worker that cannot load the networks has not begun
        configure_threads(pipeline=True, cpus=threads)
        self._computing, self._asked = computing, version
        self._models = ModelCache()

    def begun(self) -> dict[str, str]:
        """Return the precision and the runtime that this machine chooses for what is asked; it has its libraries.

        Nothing is returned if it cannot compute so: its first clip will say why.
        """
        from covos.runtimes.choice import choose_computing

        try:
            _, precision, runtime = choose_computing(**self._computing)  # type: ignore[arg-type]
        except CovosError:
            return {}
        return {"precision": PRECISIONS[str(precision).removeprefix("torch.")], "runtime": runtime}

    def run(self, errand: Errand) -> Row | CovosError:
        """Do an errand; an error is one that every clip would meet."""
        if self._asked != __version__:
            return EnvironmentProblem(
                f"a machine of the cluster runs covos {__version__}",
                why=f"the batch was begun by covos {self._asked}, and results may differ",
                fix="install the same release on every machine",
            )
        try:
            return run_errand(errand, models=self._models, device=self._computing["device"])
        except BatchEndsError as failed:
            error: CovosError = failed.args[0]
            return error


class Cluster(Hands[Any]):
    """Workers on a Ray cluster.

    Args:
        address: Of the cluster, as ``ray.init`` takes it: ``"auto"``, ``"local"``, ``host:port``, ``ray://host:10001``.
        device: See `Plan`; with ``"cuda"`` each worker takes a GPU of the cluster; ``"auto"`` takes GPUs if the cluster
            has any.
        count: Workers; None takes one for each GPU, or one for each processor.
        threads: Processors that each worker takes.
        gpu_share: Part of a GPU that each worker takes, above 0 and up to 1: several may share one.
        precision: See `Plan`, as for ``runtime``. All workers take what the first one chooses for ``"auto"``.
        runtime: See ``precision``.
        **settings: See `Hands`.

    Raises:
        UsageError: Ray is not installed.
        EnvironmentProblem: The cluster cannot be reached, or has no GPU that was asked for.
    """

    def __init__(
        self,
        *,
        address: str,
        device: str,
        count: int | None,
        threads: int = 1,
        gpu_share: float = 1.0,
        precision: str = AUTO,
        runtime: str = AUTO,
        **settings: Unpack[HandSettings],
    ) -> None:
        self._ray, self._address = _ray(), address
        self._mine = not self._ray.is_initialized()
        if self._mine:
            connect(self._ray, address)
        try:
            there = self._ray.cluster_resources()
            gpus = int(there.get("GPU", 0)) if device in ("auto", "cuda") else 0
            if device == "cuda" and not gpus:
                raise EnvironmentProblem(
                    f"the cluster {address} has no GPU",
                    why="Ray knows of none",
                    fix="use " + Words("--device cpu", python='device="cpu"') + ", or add machines",
                )
        except BaseException as error:  # nobody else would leave the cluster
            self.dismiss([])
            if isinstance(error, disconnections()):
                raise lost(address, error) from error
            raise
        cpus = int(there.get("CPU", 1))
        # A little more: 1 / 0.1 is 10 in the end, not 9.
        most = gpus * int(1 / gpu_share + 1e-6) or max(1, cpus // threads)
        super().__init__(count=min(count or most, most), **settings)
        if count is not None and count > most:
            room, each = (counted(gpus, "GPU"), gpu_share) if gpus else (counted(cpus, "processor"), threads)
            few = f"{counted(most, 'worker')} of the {count} that were asked for"
            self._note(f"{few}: the cluster has {room}, and each takes {each:g}")
        self._takes: dict[str, float] = {"CPU": threads, **({"GPU": gpu_share} if gpus else {})}
        self._make = self._ray.remote(num_cpus=threads, num_gpus=gpu_share if gpus else 0, max_restarts=0)(Actor).remote
        place = "cuda" if gpus else "cpu" if device == "auto" else device
        computing = {"device": place, "precision": precision, "runtime": runtime}
        self._arguments = (computing, threads, __version__, limits())
        self._asked: dict[Any, Any] = {}
        """The answer that an actor owes: at first that it has begun, then that of its errand."""
        self._begun: dict[Any, Any] = {}
        self._computed: dict[str, str] = {}
        """Precision and runtime of all clips, as the first worker chose them; empty before there is one."""
        self._without: float | None = None
        """Since when there is no worker; None if there is one, and infinity once it was told."""
        self._unstarted: int | None = 0
        """Workers that died before they had begun; None once one has begun."""

    def run(self, errands: Sequence[Errand]) -> Iterator[Row]:
        """Do all errands; yield a row for each, as they end. A lost connection ends the batch.

        Raises:
            CovosError: See `Hands.run`.
            EnvironmentProblem: The connection to the cluster is lost.
            KeyboardInterrupt, SystemExit: See `Hands.run`.
        """
        try:
            yield from super().run(errands)
        except BrokenPipeError:  # of whoever is told a note: Ray has none
            raise
        except disconnections() as error:
            raise lost(self._address, error) from error

    def engage(self) -> Any:
        """Ask Ray for an actor, which begins when it is placed."""
        hand = self._make(*self._arguments)
        self._begun[hand] = self._asked[hand] = hand.begun.remote()
        return hand

    def placed(self, hands: list[Any]) -> list[Any]:
        """Return those that have begun, or died: an errand that Ray has yet to place might wait for ever."""
        asked = {self._begun[hand]: hand for hand in hands}
        done, _ = self._ray.wait(list(asked), num_returns=len(asked), timeout=0)
        return [asked[each] for each in done]

    def send(self, hand: Any, errand: Errand) -> bool:
        """Give an actor an errand; a dead one shows it when it has to answer."""
        with suppress(self._ray.exceptions.RayError):
            self._computed = self._computed or self._ray.get(self._begun[hand])
        settings = replace(errand.settings, computed=self._computed)
        self._asked[hand] = hand.run.remote(replace(errand, settings=settings))
        return True

    def answered(self, hands: list[Any]) -> list[Any]:
        """Wait for the first.

        Raises:
            ConnectionError: Ray has lost the cluster meanwhile. Asked for anything, it would begin one of its own.
        """
        if not self._ray.is_initialized():
            raise ConnectionError("Ray is no longer connected")
        self._tell_lack()
        # One whose answer was an error has no other to give.
        if not (asked := {self._asked[hand]: hand for hand in hands if hand in self._asked}):
            return []
        done, _ = self._ray.wait(list(asked), num_returns=1, timeout=LOOK_EVERY)
        return [asked[each] for each in done]

    def answer(self, hand: Any) -> Row | Counted | Died | CovosError:
        """Fetch what an actor returned."""
        name = self._busy[hand].clip.input
        try:
            told: Row | CovosError = self._ray.get(self._asked.pop(hand))
        except _losses(self._ray) as error:
            begun = self.has_begun(hand)
            del self._begun[hand]
            return self._lost_at(name, error, begun=begun)
        except self._ray.exceptions.RayError as error:
            return EnvironmentProblem(f"{name}: the cluster cannot run it", why=_last_line(error), fix="see Ray's logs")
        self._unstarted = None
        return told

    def has_begun(self, hand: Any) -> bool:
        """Look at the first answer of an actor."""
        try:
            self._ray.get(self._begun[hand], timeout=0)
        except self._ray.exceptions.RayError:  # it died before, or has not answered
            return False
        return True

    def stop(self, hand: Any) -> Row | None:
        """Kill an actor, unless it has answered."""
        asked = self._asked.pop(hand)
        del self._begun[hand]
        done, _ = self._ray.wait([asked], num_returns=1, timeout=0)
        self._ray.kill(hand)
        try:
            told = self._ray.get(asked) if done else None
        except self._ray.exceptions.RayError:
            return None
        return told if isinstance(told, Row) else None

    def _collect(self, idle: list[Any], *, working: bool = False) -> None:
        # What ended the batch is to be told, not that the connection went as well.
        with suppress(*disconnections()):
            super()._collect(idle, working=working)

    def _tell_lack(self) -> None:
        """Say once why a batch stands still: nothing else would show until the cluster has room."""
        if self._busy:
            self._without = None
            return
        if self._without is None:
            self._without = self._clock()
        if self._clock() - self._without < _QUIET:
            return
        self._without = math.inf
        there, free = self._ray.cluster_resources(), self._ray.available_resources()
        has = " and ".join(
            f"{counted(int(there.get(kind, 0)), _KINDS[kind])}, {int(free.get(kind, 0))} of them free,"
            for kind in self._takes
        )
        each = " and ".join(_told(number, _KINDS[kind]) for kind, number in self._takes.items())
        large = any(
            node["Alive"] and all(node["Resources"].get(kind, 0) >= number for kind, number in self._takes.items())
            for node in self._ray.nodes()
        )
        why = "" if large else ", which no machine of it has"
        self._note(
            f"no worker has begun for {_QUIET:g} s: the cluster has {has} and each takes {each}{why}; the batch waits"
        )

    def _lost_at(self, name: str, error: Exception, *, begun: bool) -> Died | CovosError:
        if begun or _is_memory(error):
            self._unstarted = None if begun else self._unstarted
            return Died(error=EnvironmentProblem(f"{name}: its worker died", why=_cause(error), fix=_remedy(error)))
        why, fix = f"{_last_line(error)} ({type(error).__name__})", "pip install 'covos[ray]', on every machine"
        if self._unstarted is not None:
            self._unstarted += 1
            if self._unstarted >= _STARTS:
                return EnvironmentProblem(
                    f"no worker of the cluster starts: {_STARTS} died before they began", why=why, fix=fix
                )
        return Died(error=EnvironmentProblem(f"{name}: its worker could not start", why=why, fix=fix))

    def interrupt(self, hands: list[Any], stop: BaseException) -> None:
        """Nothing is to be waited for: a journal is whole at every moment."""

    def dismiss(self, hands: list[Any]) -> None:
        """End the actors, and leave the cluster; without a connection, they end with it."""
        with suppress(*disconnections()):
            for hand in hands if self._ray.is_initialized() else ():
                self._ray.kill(hand)
        if self._mine:
            self._ray.shutdown()


def _told(number: float, kind: str) -> str:
    return f"{number:g} of a {kind}" if number < 1 else counted(int(number), kind)


def _ray() -> Any:
    try:
        import ray
    except ImportError:
        raise UsageError(
            "a cluster needs Ray", why="ray is not installed", fix="pip install 'covos[ray]', on every machine"
        ) from None
    return ray


_KINDS = {"CPU": "processor", "GPU": "GPU"}
"""Names of what a worker takes of a cluster."""

_LOSSES = (
    "RayActorError",
    "OutOfMemoryError",
    "NodeDiedError",
    "WorkerCrashedError",
    "LocalRayletDiedError",
    "ActorUnschedulableError",
    "ObjectLostError",
)
"""Errors of Ray that one worker meets, or one machine. They have no class in common."""


def _losses(ray: Any) -> tuple[type[Exception], ...]:
    return tuple(getattr(ray.exceptions, name) for name in _LOSSES if hasattr(ray.exceptions, name))


def _last_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[-1].strip() if lines else type(error).__name__


def _is_memory(error: Exception) -> bool:
    # One that Ray ends while it is idle or starts is told as a dead actor, with the reason in its words.
    return type(error).__name__ == "OutOfMemoryError" or "low on memory" in str(error)


def _cause(error: Exception) -> str:
    name = type(error).__name__
    if _is_memory(error):
        return f"its machine ran out of memory, and Ray ended it ({name})"
    return f"a crash, too little memory, or a machine that left the cluster ({name})"


def _remedy(error: Exception) -> str:
    if _is_memory(error):
        return "give fewer workers, or more threads each, so that fewer share a machine; or use machines with more"
    return "run the same command again; if it dies again, the clip may be damaged"
