"""A batch on a Ray cluster of two nodes; a worker or a node is lost, or taken by others, and no clip waits for it."""

from __future__ import annotations

import json
import random
import runpy
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import covos
from checked_output import check_output
from covos.core.errors import EnvironmentProblem, UsageError
from covos.fleet import cluster as fleet_cluster
from covos.fleet.work import Errand, Row
from loaded import ROOT

ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'covos[ray]'")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # of Ray: files and sockets that it leaves to the end of the process
]


def free_port() -> int:
    """A port that nobody has, and that the system gives to no connection: these take any of its range meanwhile."""
    try:
        first, last = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split())
    except OSError:  # Linux alone says so; others give from here on
        first, last = 32768, 65535
    # Ray gives 10002 and above to workers, and 23000 to 23999 to the servers of clients.
    outside = [port for port in range(4096, 10000) if not first <= port <= last]
    random.Random().shuffle(outside)  # another process that tests chooses, too
    for port in [*outside, 0]:
        with socket.socket() as taken, suppress(OSError):
            taken.bind(("", port))
            return int(taken.getsockname()[1])
    raise AssertionError("no port is free")


@pytest.fixture(scope="module")
def client_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def nodes(client_port: int) -> Iterator[Any]:
    """A cluster of two nodes, each of one processor."""
    from ray.cluster_utils import Cluster

    # Ray's workers give way to all others (a niceness of 15): on a busy machine one loads its libraries for minutes.
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_worker_niceness", "0")
        cluster = Cluster(
            initialize_head=True,
            head_node_args={"num_cpus": 1, "include_dashboard": False, "ray_client_server_port": client_port},
        )
        cluster.add_node(num_cpus=1)
        yield cluster
        cluster.shutdown()


class Together(fleet_cluster.Cluster):
    """Both workers begin before the first clip is handed out; ``sent`` is called with each clip and its node."""

    met = False
    sent: Callable[[Any, str, str], None]

    def placed(self, hands: list[Any]) -> list[Any]:
        came = super().placed(hands)
        self.met = self.met or len(came) == 2
        return came if self.met else []

    def send(self, hand: Any, errand: Errand) -> bool:
        node = ray.get(hand.__ray_call__.remote(lambda self: ray.get_runtime_context().get_node_id()))
        sent = super().send(hand, errand)
        type(self).sent(hand, errand.clip.name, node)
        return sent


def test_clips_are_worked_on_by_all_nodes_alike_and_a_lost_worker_costs_one_attempt(
    make_clip, tmp_path: Path, nodes: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips = [make_clip(name, frames=2) for name in ("a.mp4", "b.mp4", "c.mp4")]
    lost: list[str] = []
    used: set[str] = set()
    head = nodes.head_node.node_id

    class Choosing(fleet_cluster.Actor):
        """A machine of its own on each node: their processors would choose differently."""

        def begun(self) -> dict[str, str]:
            first = ray.get_runtime_context().get_node_id() == head
            return {"precision": "bf16" if first else "fp32", "runtime": "torch"}

    class Losing(Together):
        @staticmethod
        def sent(hand: Any, clip: str, node: str) -> None:
            used.add(node)
            if clip == "c" and not lost:
                lost.append(clip)
                ray.kill(hand)

    monkeypatch.setattr(fleet_cluster, "Actor", Choosing)
    monkeypatch.setattr(fleet_cluster, "Cluster", Losing)
    result = covos.batch(clips, tmp_path / "out", ray=nodes.address, formats=("palette",), device="cpu")
    assert len(used) == 2
    assert [row.status for row in result.rows] == ["done"] * 3
    assert [row.attempts for row in result.rows] == [1, 1, 2]
    for row in result.rows:
        assert check_output(Path(row.folder)) == []
    # All compute as the first one chose.
    settings = [json.loads((Path(row.folder) / "covos.json").read_text())["settings"] for row in result.rows]
    assert len({each["precision"] for each in settings}) == 1
    assert not any("runtime" in each for each in settings)


@pytest.mark.thorough  # the batch meets it as it meets the loss of a worker
def test_the_clip_of_a_node_that_is_lost_goes_to_the_other(
    make_clip, tmp_path: Path, nodes: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips = [make_clip(name, frames=2) for name in ("a.mp4", "b.mp4", "c.mp4")]
    (second,) = nodes.worker_nodes
    lost: dict[Any, str] = {}

    class Losing(Together):
        @staticmethod
        def sent(hand: Any, clip: str, node: str) -> None:
            if node == second.node_id:
                lost[hand] = clip
                nodes.remove_node(second, allow_graceful=False)

        def answered(self, hands: list[Any]) -> list[Any]:
            # The loss is told while the other is at its clip, so that a third worker is asked for.
            return super().answered([hand for hand in hands if hand in lost] or hands)

    monkeypatch.setattr(fleet_cluster, "Cluster", Losing)
    try:
        result = covos.batch(clips, tmp_path / "out", ray=nodes.address, formats=("palette",), device="cpu")
    finally:
        nodes.add_node(num_cpus=1)
    assert [row.status for row in result.rows] == ["done"] * 3
    assert {row.name: row.attempts for row in result.rows} == {name: 1 + (name in lost.values()) for name in "abc"}
    assert len(lost) == 1


@pytest.fixture
def light(monkeypatch: pytest.MonkeyPatch) -> type:
    """An actor that loads no network and computes nothing: for tests that ask who works, not what becomes of a clip."""

    class Light:
        def __init__(self, *_: Any) -> None:
            pass

        def begun(self) -> dict[str, str]:
            return {"precision": "fp32", "runtime": "torch"}

        def run(self, errand: Errand) -> Row:
            return replace(errand.row, status="done", attempts=errand.attempts + 1)

    monkeypatch.setattr(fleet_cluster, "Actor", Light)
    return Light


@pytest.mark.usefixtures("light")
def test_clips_do_not_wait_for_a_processor_that_another_program_has(make_clip, tmp_path: Path, nodes: Any) -> None:
    class Other:
        def here(self) -> bool:
            return True

    clips = [make_clip(name, frames=2) for name in ("a.mp4", "b.mp4", "c.mp4")]
    ray.init(nodes.address, log_to_driver=False, logging_level="error")
    try:
        other = ray.remote(num_cpus=1)(Other).remote()
        assert ray.get(other.here.remote())
        result = covos.batch(clips, tmp_path / "out", ray=nodes.address, formats=("palette",), device="cpu")
    finally:
        ray.shutdown()
    assert [(row.status, row.attempts) for row in result.rows] == [("done", 1)] * 3


def test_the_example_works_on_a_cluster(
    tmp_path: Path, nodes: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--output", str(tmp_path), "--start", "18", "--end", "22", "--ray", nodes.address]
    monkeypatch.setattr(sys, "argv", ["batch.py", *words])
    runpy.run_path(str(ROOT / "examples" / "batch.py"), run_name="__main__")
    said = capsys.readouterr().out
    assert "first: done, 2 frames" in said
    assert "second: done, 2 frames" in said


def test_a_cluster_that_is_not_there_is_told(clip: Path, tmp_path: Path) -> None:
    with pytest.raises(EnvironmentProblem, match="cannot be reached"):
        covos.batch(clip, tmp_path / "out", ray="127.0.0.1:1")


def test_workers_share_a_gpu(
    make_clip, tmp_path: Path, nodes: Any, light: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    class OnGpu(light):  # type: ignore[misc]
        """Ray gives it a part of a GPU, which is none here."""

        def __init__(self, computing: dict[str, str], *_: Any) -> None:
            assert computing["device"] == "cuda"

    gpus: set[tuple[int, ...]] = set()

    class Sharing(fleet_cluster.Cluster):
        met = False

        def placed(self, hands: list[Any]) -> list[Any]:
            assert (self.count, self._takes["GPU"]) == (2, 0.5)
            came = super().placed(hands)
            self.met = self.met or len(came) == 2
            return came if self.met else []

        def send(self, hand: Any, errand: Errand) -> bool:
            gpus.add(tuple(ray.get(hand.__ray_call__.remote(lambda self: ray.get_gpu_ids()))))
            return super().send(hand, errand)

    node = nodes.add_node(num_cpus=2, num_gpus=1)
    monkeypatch.setattr(fleet_cluster, "Actor", OnGpu)
    monkeypatch.setattr(fleet_cluster, "Cluster", Sharing)
    clips = [make_clip(name, frames=2) for name in ("a.mp4", "b.mp4")]
    try:
        result = covos.batch(clips, tmp_path / "out", ray=nodes.address, gpus_per_worker=0.5, formats=("palette",))
    finally:
        nodes.remove_node(node)
    assert [row.status for row in result.rows] == ["done"] * 2
    assert gpus == {(0,)}


@pytest.mark.parametrize(("part", "address"), [(0.0, "auto"), (1.5, "auto"), (0.5, None)])
def test_a_part_of_a_gpu_that_no_worker_can_take(part: float, address: str | None, clip: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="gpus_per_worker"):
        covos.batch(clip, tmp_path / "out", ray=address, gpus_per_worker=part)


def test_a_cluster_through_its_client_server(clip: Path, tmp_path: Path, nodes: Any, client_port: int) -> None:
    pytest.importorskip("grpc", reason="Ray's client is not installed: pip install 'ray[client]'")
    address = f"ray://127.0.0.1:{client_port}"
    for left in (2, 1, 0):
        try:
            result = covos.batch(clip, tmp_path / "out", ray=address, formats=("palette",), device="cpu")
        except EnvironmentProblem as error:
            # Ray's own server for a client dies now and then, without a word in its logs; the same command goes on.
            if not left or "the connection to the cluster" not in error.what:
                raise
        else:
            break
    assert [row.status for row in result.rows] == ["done"]
    for row in result.rows:
        assert check_output(Path(row.folder)) == []
