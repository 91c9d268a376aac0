"""A connection to a cluster is begun again where only Ray's own server did not start; a stand-in for Ray says how."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from covos.core.errors import EnvironmentProblem
from covos.fleet import cluster, connection

UNSTARTED = ConnectionAbortedError(
    "Initialization failure from server:\nTraceback (most recent call last):\n"
    "RuntimeError: Starting Ray client server failed. See ray_client_server_23000.err for detailed logs.\n"
)


class StandIn:
    """The part of Ray that connects. It fails by these errors, one after the other, and connects then."""

    def __init__(self, *errors: Exception, connected: bool = False, has: dict[str, float] | Exception | None = None):
        self.errors = list(errors)
        self.calls: list[str] = []
        self.connected, self.has = connected, has or {"CPU": 2.0}

    def is_initialized(self) -> bool:
        return self.connected

    def cluster_resources(self) -> dict[str, float]:
        if isinstance(self.has, Exception):
            raise self.has
        return self.has

    def init(self, **settings: object) -> None:
        self.calls.append("init")
        if self.errors:
            raise self.errors.pop(0)

    def shutdown(self) -> None:
        self.calls.append("shutdown")


@pytest.fixture
def head() -> Iterator[str]:
    """An address at which somebody answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"127.0.0.1:{listening.getsockname()[1]}"


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    seconds: list[float] = []
    monkeypatch.setattr(connection.time, "sleep", seconds.append)
    return seconds


def test_a_server_of_the_client_that_did_not_start_is_asked_for_again(head: str, pauses: list[float]) -> None:
    ray = StandIn(UNSTARTED, ConnectionAbortedError("psutil.ZombieProcess: PID still exists but it's a zombie"))
    connection.connect(ray, f"ray://{head}")
    assert ray.calls == ["init", "shutdown", "init", "shutdown", "init"]
    assert pauses == [1.0, 1.0]


def test_a_server_of_the_client_that_never_starts_is_told(head: str, pauses: list[float]) -> None:
    ray = StandIn(*[UNSTARTED] * 9)
    with pytest.raises(EnvironmentProblem, match="cannot be reached") as refused:
        connection.connect(ray, f"ray://{head}")
    assert ray.calls == ["init", "shutdown"] * 3
    assert "Starting Ray client server failed" in refused.value.why
    assert len(pauses) == 2, "nothing is waited for in the end"


@pytest.mark.parametrize(
    ("scheme", "error", "calls"),
    [
        ("ray://", ConnectionError("ray client connection timeout"), ["init", "shutdown"]),
        ("ray://", RuntimeError("Version mismatch"), ["init", "shutdown"]),
        ("", UNSTARTED, ["init"]),  # no client is there
    ],
)
def test_what_another_try_would_not_mend_is_told_at_once(
    head: str, pauses: list[float], scheme: str, error: Exception, calls: list[str]
) -> None:
    ray = StandIn(error)
    with pytest.raises(EnvironmentProblem, match="cannot be reached"):
        connection.connect(ray, scheme + head)
    assert (ray.calls, pauses) == (calls, [])


@pytest.mark.parametrize(("connected", "left"), [(False, ["init", "shutdown"]), (True, [])])
@pytest.mark.parametrize(
    ("has", "told"),
    [
        (None, "has no GPU"),
        (ConnectionError("gone"), "the connection to the cluster local is lost"),
        (RuntimeError("of Ray's own"), "of Ray's own"),
    ],
)
def test_a_cluster_that_cannot_be_used_is_left_by_who_has_connected_to_it(
    monkeypatch: pytest.MonkeyPatch, has: Exception | None, told: str, connected: bool, left: list[str]
) -> None:
    ray = StandIn(connected=connected, has=has)
    monkeypatch.setattr(cluster, "_ray", lambda: ray)
    with pytest.raises((EnvironmentProblem, RuntimeError), match=told):
        cluster.Cluster(address="local", device="cuda", count=None, retry=0)
    assert ray.calls == left
