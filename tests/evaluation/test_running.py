"""Workers change nothing; memory does not grow with the clip; what is done once is done once."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from covos.evaluation import evaluate, evaluator, get_protocol, scored_mask
from covos.evaluation.mask_trees import ReadMasks
from covos.evaluation.objects import LabelMasks
from covos.evaluation.pairing import Pair
from covos.evaluation.scoring import score_sequence


@pytest.fixture
def sets(tmp_path: Path, masks) -> Path:
    for number in range(3):
        masks.write(tmp_path / "gt" / f"s{number}", masks.moving(4 + number))
        masks.write(tmp_path / "pred" / f"s{number}", masks.moving(4 + number, speed=3))
    return tmp_path


def test_workers_change_nothing(sets: Path) -> None:
    one = evaluate(sets / "pred", sets / "gt", protocol="davis2017-semi", workers=1)
    three = evaluate(sets / "pred", sets / "gt", protocol="davis2017-semi", workers=3)
    assert one.to_json() == three.to_json()


@pytest.mark.slow
def test_processes_change_nothing(sets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluator, "_THREADS", 1)
    monkeypatch.setattr(evaluator, "_FRAMES_A_PROCESS", 0)
    one = evaluate(sets / "pred", sets / "gt", protocol="davis2017-semi", workers=1)
    two = evaluate(sets / "pred", sets / "gt", protocol="davis2017-semi", workers=2)
    assert one.to_json() == two.to_json()


def test_progress_counts_sequences(sets: Path) -> None:
    seen = []
    evaluate(sets / "pred", sets / "gt", protocol="davis2016", progress=lambda done, total: seen.append((done, total)))
    assert seen == [(0, 3), (1, 3), (2, 3), (3, 3)]


class Endless:
    """Frames that are drawn when they are asked for."""

    def __init__(self, count: int, *, speed: int) -> None:
        self.name = self.where = "endless"
        self.stems = tuple(f"{index:05d}" for index in range(count))
        self._speed = speed

    def read(self, stems):
        for stem in stems:
            labels = np.zeros((200, 300), np.uint8)
            x = int(stem) * self._speed % 200
            labels[40:120, x : x + 60] = 1
            yield ReadMasks(stem=stem, where=stem, masks=LabelMasks(labels))


def peak(count: int, protocol: str) -> int:
    pair = Pair(truth=Endless(count, speed=2), prediction=Endless(count, speed=3), seen={})
    tracemalloc.start()
    try:
        score_sequence(pair, protocol=get_protocol(protocol))
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("protocol", ["davis2016", "davis2017-semi", "davis2017-unsup"])
def test_memory_does_not_grow_with_the_clip(protocol: str) -> None:
    peak(10, protocol)  # imports and caches
    short, long = peak(50, protocol), peak(650, protocol)
    assert long - short < 600 * 300  # bytes; a mask has 60,000


def test_contours_are_taken_once_a_proposal_and_once_an_object(monkeypatch: pytest.MonkeyPatch, in_memory) -> None:
    labels = np.zeros((40, 60), np.uint8)
    for number in range(5):
        labels[5:30, 11 * number : 11 * number + 9] = number + 1
    counted = []
    monkeypatch.setattr(scored_mask, "edges", lambda binary, real=scored_mask.edges: counted.append(1) or real(binary))
    clip = in_memory([labels] * 3)
    found = score_sequence(Pair(truth=clip, prediction=clip, seen={}), protocol=get_protocol("davis2017-unsup"))
    assert found.scores.jf == 1
    assert len(counted) == 3 * (5 + 5)
