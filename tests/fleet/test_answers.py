"""The answers of a cluster's workers are taken as they are meant: by a stand-in for Ray, which starts nothing."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from batch_tables import table
from covos.cli import main
from covos.core.errors import EnvironmentProblem
from covos.fleet import cluster
from covos.fleet.manifests import Clip
from covos.fleet.work import Errand, Row, Settings, errands


class RayError(Exception):
    """As in Ray."""


LOST = (*cluster._LOSSES, "ActorDiedError")
ERRORS: dict[str, type[RayError]] = {
    name: type(name, (RayError,), {}) for name in (*cluster._LOSSES, "RaySystemError", "GetTimeoutError")
}
ERRORS["ActorDiedError"] = type("ActorDiedError", (ERRORS["RayActorError"],), {})


HANGS = ERRORS["GetTimeoutError"]("it does not answer")
"""The answer to an errand that never ends."""


class StandIn:
    """The part of Ray that a batch asks. An answer is a row, or the error that fetching it raises.

    Args:
        answers: One for each errand, in order; errands beyond these are done.
        cpus: Processors of the cluster.
        room: Actors that are placed, one after the other; those beyond wait for ever. None places all.
        machine: Processors of its one machine; None has all there.
        starts: True if its actors begin before they die.
    """

    exceptions = SimpleNamespace(RayError=RayError, **ERRORS)

    def __init__(
        self,
        *answers: Exception | None,
        cpus: int = 1,
        starts: bool = True,
        room: int | None = None,
        machine: int | None = None,
    ) -> None:
        self.answers = list(answers)
        self.room, self.machine = room, machine
        self.starts = starts
        self.cpus = cpus
        self.engaged = self.killed = 0

    def is_initialized(self) -> bool:
        return True

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": float(self.cpus)}

    def available_resources(self) -> dict[str, float]:
        return {}  # Ray leaves out what is taken

    def nodes(self) -> list[dict[str, Any]]:
        cpus = float(self.cpus if self.machine is None else self.machine)
        return [{"Alive": True, "Resources": {"CPU": cpus}}, {"Alive": False, "Resources": {"CPU": 99.0}}]

    def remote(self, **resources: Any) -> Any:
        def engage(*arguments: Any) -> Any:
            self.engaged += 1
            return StandInActor(self)

        return lambda actor: SimpleNamespace(remote=engage)

    def wait(self, asked: list[Any], *, num_returns: int, timeout: float) -> tuple[list[Any], list[Any]]:
        done = [each for each in asked if each.value is not HANGS][:num_returns]
        return done, [each for each in asked if each not in done]

    def get(self, asked: Any, timeout: float | None = None) -> Any:
        if asked.value is HANGS:
            raise ERRORS["ActorDiedError"]("it was killed")
        if isinstance(asked.value, Exception):
            raise asked.value
        return asked.value

    def kill(self, actor: Any) -> None:
        self.killed += 1


class Asked:
    """Stands for an answer to come."""

    def __init__(self, value: Any) -> None:
        self.value = value


class StandInActor:
    def __init__(self, ray: StandIn) -> None:
        begun: Any = True if ray.starts else ERRORS["GetTimeoutError"]("not yet")
        if ray.room is not None and ray.engaged > ray.room:
            begun = HANGS
        self.begun = SimpleNamespace(remote=lambda: Asked(begun))
        self.run = SimpleNamespace(remote=lambda errand: Asked(self._answer(ray, errand)))

    def _answer(self, ray: StandIn, errand: Errand) -> Row | Exception:
        error = ray.answers.pop(0) if ray.answers else None
        return error or replace(errand.row, status="done", attempts=errand.attempts + 1)


def made(monkeypatch: pytest.MonkeyPatch, ray: StandIn, **settings: Any) -> cluster.Cluster:
    monkeypatch.setattr(cluster, "_ray", lambda: ray)
    return cluster.Cluster(**{"address": "auto", "device": "cpu", "count": 1, "retry": 1, **settings})


def clips(*names: str) -> list[Errand]:
    return errands(tuple(Clip(input=name, name=name) for name in names), output="out", settings=Settings())


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (ConnectionError("Initialization failure:\n\n  the server\nhas another Python\n"),
         "Initialization failure: the server has another Python"),
        (ConnectionAbortedError(), "ConnectionAbortedError"),
    ],
)  # fmt: skip
def test_a_cluster_that_refuses_says_all_of_why(monkeypatch: pytest.MonkeyPatch, error: Exception, why: str) -> None:
    def refuse(**settings: Any) -> None:
        raise error

    ray = StandIn()
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", refuse, raising=False)
    with pytest.raises(EnvironmentProblem, match="cannot be reached") as refused:
        made(monkeypatch, ray)
    assert refused.value.why == why


@pytest.mark.parametrize("name", LOST)
def test_a_lost_worker_costs_one_attempt_however_ray_calls_it(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    rows = {row.name: row for row in made(monkeypatch, StandIn(None, ERRORS[name]("gone"))).run(clips("a", "b", "c"))}
    assert {row.status for row in rows.values()} == {"done"}
    assert [rows[each].attempts for each in "abc"] == [1, 2, 1]


@pytest.mark.parametrize(
    "error",
    [
        ERRORS["OutOfMemoryError"]("killed"),
        ERRORS["ActorDiedError"]("Task was killed due to the node running low on memory."),
    ],
)
def test_too_little_memory_is_named(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    rows = list(made(monkeypatch, StandIn(None, error), retry=0).run(clips("a", "b")))
    (failed,) = (row.error for row in rows if row.status == "failed")
    assert failed is not None
    assert "ran out of memory" in failed.why


def test_an_error_of_the_cluster_ends_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EnvironmentProblem, match="cannot run it"):
        list(made(monkeypatch, StandIn(None, ERRORS["RaySystemError"]("broken"))).run(clips("a", "b")))


GONE = ConnectionError("Request can't be sent because the Ray client\n has already been disconnected.")


class Losing(StandIn):
    """A cluster whose connection is lost at a call of this name; what was asked for later would begin a new cluster."""

    def __init__(self, call: str, *answers: Exception | None, after: int = 0, **there: Any) -> None:
        super().__init__(*answers, **there)
        self.call, self.left, self.ended = call, after, 0
        self.connected = self.lost = False

    def is_initialized(self) -> bool:
        return self.connected and not self.lost

    def _meet(self, call: str) -> None:
        assert not self.lost
        if call == self.call:
            self.left -= 1
            if self.left < 0:
                self.lost = True
                raise GONE

    def cluster_resources(self) -> dict[str, float]:
        self._meet("cluster_resources")
        return super().cluster_resources()

    def wait(self, asked: list[Any], *, num_returns: int, timeout: float) -> tuple[list[Any], list[Any]]:
        self._meet("wait")
        return super().wait(asked, num_returns=num_returns, timeout=timeout)

    def get(self, asked: Any, timeout: float | None = None) -> Any:
        self._meet("get")
        return super().get(asked, timeout)

    def kill(self, actor: Any) -> None:
        self._meet("kill")
        super().kill(actor)

    def init(self, **settings: Any) -> None:
        self.connected = True

    def shutdown(self) -> None:
        self.ended += 1


def losing(monkeypatch: pytest.MonkeyPatch, *arguments: Any, **there: Any) -> Losing:
    """A cluster that the batch itself connects to, and has to leave."""
    ray = Losing(*arguments, **there)
    monkeypatch.setattr(cluster, "_ray", lambda: ray)
    return ray


@pytest.mark.parametrize(("call", "after"), [("wait", 0), ("wait", 1), ("wait", 3), ("get", 0), ("get", 1), ("get", 3)])
def test_a_connection_that_is_lost_ends_the_batch_in_words(
    monkeypatch: pytest.MonkeyPatch, call: str, after: int
) -> None:
    ray = losing(monkeypatch, call, after=after)
    hands = made(monkeypatch, ray)
    with pytest.raises(EnvironmentProblem, match="the connection to the cluster auto is lost") as stopped:
        list(hands.run(clips("a", "b", "c")))
    assert stopped.value.why == "Request can't be sent because the Ray client has already been disconnected."
    assert "run the same command again" in stopped.value.fix
    assert (ray.killed, ray.ended) == (0, 1), "a call without a connection would begin a cluster"


def test_a_connection_that_is_lost_between_two_calls_ends_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = losing(monkeypatch, "none")
    rows = made(monkeypatch, ray).run(clips("a", "b"))
    next(rows)
    ray.lost = True
    with pytest.raises(EnvironmentProblem, match="is lost"):
        next(rows)
    assert (ray.killed, ray.ended) == (0, 1)


def test_a_connection_that_is_lost_at_once_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = losing(monkeypatch, "cluster_resources")
    with pytest.raises(EnvironmentProblem, match="is lost"):
        made(monkeypatch, ray)
    assert ray.ended == 1


def test_a_connection_that_is_lost_in_the_end_harms_no_row(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = losing(monkeypatch, "kill")
    assert [row.status for row in made(monkeypatch, ray).run(clips("a", "b"))] == ["done"] * 2
    assert (ray.lost, ray.ended) == (True, 1)


def test_an_error_that_ended_the_batch_is_told_though_the_connection_went_as_well(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ray = losing(monkeypatch, "wait", ERRORS["RaySystemError"]("broken"), None, cpus=2, after=3)
    with pytest.raises(EnvironmentProblem, match="cannot run it"):
        list(made(monkeypatch, ray, count=2).run(clips("a", "b")))
    assert ray.lost


def test_somebody_who_no_longer_hears_notes_is_no_lost_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    def deaf(note: str) -> None:
        raise BrokenPipeError

    ticks = count(step=60)
    hands = made(monkeypatch, StandIn(room=0), note=deaf, clock=lambda: float(next(ticks)))
    with pytest.raises(BrokenPipeError):
        list(hands.run(clips("a")))


def test_a_lost_connection_leaves_the_table_and_says_how_to_go_on(
    monkeypatch: pytest.MonkeyPatch, make_clip, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    losing(monkeypatch, "wait", after=2)
    videos = [str(make_clip(name, frames=2)) for name in ("a.mp4", "b.mp4", "c.mp4")]
    line = ["batch", *videos, "-o", str(tmp_path / "out"), "--ray", "auto", "--device", "cpu"]
    assert main(line) == EnvironmentProblem.exit_code
    said = capsys.readouterr().err
    assert "the connection to the cluster auto is lost" in said
    assert "1 of 3 clips done, 1 begun; the same command goes on from there" in said
    assert "Traceback" not in said
    rows = {name: row["status"] for name, row in table(tmp_path / "out" / "batch.csv").items()}
    assert list(rows) == ["a", "b", "c"]
    assert rows["a"] == "done"
    assert sorted(rows.values()) == ["begun", "done", "waiting"]


def gone(count: int) -> list[Exception]:
    return [ERRORS["ActorDiedError"]("in its creation task\n\nModuleNotFoundError: No module named 'covos'\n")] * count


def test_workers_that_never_start_end_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = StandIn(*gone(99), starts=False)
    with pytest.raises(EnvironmentProblem, match="no worker of the cluster starts") as stopped:
        list(made(monkeypatch, ray, retry=1).run(clips(*"abcdefgh")))
    assert ray.engaged == cluster._STARTS
    assert "No module named 'covos'" in stopped.value.why
    assert "covos[ray]" in stopped.value.fix


def test_one_clip_whose_workers_never_start_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    (row,) = made(monkeypatch, StandIn(*gone(2), starts=False)).run(clips("a"))
    assert row.error is not None
    assert "could not start" in row.error.what
    assert "No module named 'covos'" in row.error.why


def test_clips_that_kill_the_workers_that_take_them_end_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = list(made(monkeypatch, StandIn(*gone(8))).run(clips(*"abcde")))
    assert sorted(row.status for row in rows) == ["done"] * 2 + ["failed"] * 3


def test_more_workers_than_the_cluster_has_room_for_are_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    told: list[str] = []
    for workers in (4, None):
        made(monkeypatch, StandIn(cpus=4), count=workers, note=told.append)
    assert told == []
    monkeypatch.setattr(cluster, "_ray", lambda: StandIn(cpus=4))
    line = ["batch", "a.mp4", "-o", str(tmp_path), "--ray", "auto", "--device", "cpu"]
    assert main([*line, "--workers", "9", "--threads", "2"]) == 0
    note = "note: 2 workers of the 9 that were asked for: the cluster has 4 processors, and each takes 2"
    assert note in capsys.readouterr().err.splitlines()


def test_a_worker_that_is_never_placed_has_no_clip(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = StandIn(None, ERRORS["NodeDiedError"]("gone"), cpus=2, room=2)
    told: list[str] = []
    rows = {row.name: row for row in made(monkeypatch, ray, count=2, note=told.append).run(clips("a", "b", "c", "d"))}
    assert {row.status for row in rows.values()} == {"done"}
    assert sorted(row.attempts for row in rows.values()) == [1, 1, 1, 2], "the one that was lost was not at fault"
    assert ray.engaged == 3
    assert ray.killed == 2, "the one that was not placed does not stay in the queue of Ray"
    assert told == [], "one works"


@pytest.mark.parametrize(("threads", "why"), [(1, ""), (2, ", which no machine of it has")])
def test_a_batch_that_no_worker_takes_up_says_once_what_it_waits_for(
    monkeypatch: pytest.MonkeyPatch, threads: int, why: str
) -> None:
    ray, ticks, told = StandIn(cpus=2, room=0, machine=1), count(), []
    wait = ray.wait

    def patient(asked: list[Any], *, num_returns: int, timeout: float) -> tuple[list[Any], list[Any]]:
        if next(ticks) > 200:
            raise KeyboardInterrupt
        return wait(asked, num_returns=num_returns, timeout=timeout)

    monkeypatch.setattr(ray, "wait", patient)
    hands = made(monkeypatch, ray, threads=threads, note=told.append, clock=lambda: float(next(ticks)))
    with pytest.raises(KeyboardInterrupt):
        list(hands.run(clips("a")))
    each = "1 processor" if threads == 1 else "2 processors"
    assert told == [
        "no worker has begun for 30 s: the cluster has 2 processors, 0 of them free, "
        f"and each takes {each}{why}; the batch waits"
    ]
    assert (ray.engaged, ray.killed) == (1, 1)


def test_an_actor_that_is_at_a_clip_for_too_long_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = StandIn(None, HANGS, None, HANGS)
    ticks = count()
    hands = made(monkeypatch, ray, retry=1, limit=30, clock=lambda: float(next(ticks)))
    rows = {row.name: row for row in hands.run(clips("a", "b", "c"))}
    assert [rows[each].status for each in "abc"] == ["done", "failed", "done"]
    assert rows["b"].error is not None
    assert "takes longer than 30 s" in rows["b"].error.what
    assert (ray.engaged, ray.killed) == (2, 2)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_ray_has_these_errors() -> None:
    exceptions = pytest.importorskip("ray.exceptions", reason="Ray is not installed: pip install 'covos[ray]'")
    assert [name for name in cluster._LOSSES if not issubclass(getattr(exceptions, name), exceptions.RayError)] == []
