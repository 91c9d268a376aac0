"""A batch on a Ray cluster of two nodes; a worker is lost, and no clip."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import covos
from checked_output import check_output
from covos.core.errors import EnvironmentProblem

ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'covos[ray]'")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # of Ray: files and sockets that it leaves to the end of the process
]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    cluster.add_node(num_cpus=1)
    yield cluster.address
    cluster.shutdown()


def test_clips_are_worked_on_by_all_nodes_and_a_lost_worker_costs_one_attempt(
    make_clip, tmp_path: Path, address: str
) -> None:
    from covos.fleet import cluster

    clips = [make_clip(name, frames=4) for name in ("a.mp4", "b.mp4", "c.mp4")]
    lost: list[str] = []

    class Losing(cluster.Cluster):
        def send(self, hand, errand) -> bool:
            sent = super().send(hand, errand)
            if errand.clip.name == "c" and not lost:
                lost.append(errand.clip.name)
                ray.kill(hand)
            return sent

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cluster, "Cluster", Losing)
        result = covos.batch(clips, tmp_path / "out", ray=address, formats=("palette",), device="cpu")
    assert [row.status for row in result.rows] == ["done"] * 3
    assert [row.attempts for row in result.rows] == [1, 1, 2]
    for row in result.rows:
        assert check_output(Path(row.folder)) == []


def test_a_cluster_that_is_not_there_is_told(clip: Path, tmp_path: Path) -> None:
    with pytest.raises(EnvironmentProblem, match="cannot be reached"):
        covos.batch(clip, tmp_path / "out", ray="127.0.0.1:1")
