"""A small set that was scored with the official code, written to disk and scored here, to the digits recorded."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from covos.evaluation import evaluate
from covos.evaluation.tables import csv_files

RECORDED = 5.1e-7
SIZE = (120, 160)
FRAMES = 6


def save(labels: np.ndarray, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(labels)
    image.putpalette([value for index in range(256) for value in (index, 255 - index, 0)])
    image.save(path)


def draw(*objects: tuple[int, int, int, int, int]) -> np.ndarray:
    labels = np.zeros(SIZE, np.uint8)
    for number, y0, y1, x0, x1 in objects:
        labels[y0:y1, x0:x1] = number
    return labels


@pytest.fixture
def sets(tmp_path: Path) -> Path:
    for t in range(FRAMES):
        truth = ((1, 20, 60, 20 + 2 * t, 60 + 2 * t), (2, 70, 110, 90, 130))
        predicted = ((20, 60, 20 + 3 * t, 60 + 3 * t), (70, 110 - 3 * t, 90, 130))
        name = f"a/{t:05d}.png"
        save(draw(*truth), tmp_path / "truth" / name)
        save(draw((1, *predicted[0]), (2, *predicted[1])), tmp_path / "A" / name)
        save(draw(*truth, (255, 0, 10, 0, 30)), tmp_path / "truth-with-void" / name)
        save(draw((5, *predicted[0]), (3, *predicted[1]), (1, 0, 10, 0, 30)), tmp_path / "B" / name)
    return tmp_path


def test_semi_supervised(sets: Path) -> None:
    found = evaluate(sets / "A", sets / "truth", protocol="davis2017-semi")
    assert found.scores.jf == pytest.approx(0.794056, abs=RECORDED)
    assert found.scores.j.mean == pytest.approx(0.848079, abs=RECORDED)
    assert found.scores.j.recall == 1
    assert found.scores.j.decay == pytest.approx(0.119334, abs=RECORDED)
    assert found.scores.f.mean == pytest.approx(0.740034, abs=RECORDED)
    assert found.scores.f.recall == 1
    assert found.scores.f.decay == pytest.approx(0.265797, abs=RECORDED)
    first, second = found.objects
    assert (first.j_statistics.mean, first.f_statistics.mean) == pytest.approx((0.883657, 0.759375), abs=RECORDED)
    assert (second.j_statistics.mean, second.f_statistics.mean) == pytest.approx((0.8125, 0.720692), abs=RECORDED)
    assert first.frames == ("00001", "00002", "00003", "00004")
    # vos-benchmark's numbers on the same files
    assert 100 * found.scores.jf == pytest.approx(79.405613, abs=RECORDED)
    assert 100 * found.scores.j.mean == pytest.approx(84.807854, abs=RECORDED)
    assert 100 * found.scores.f.mean == pytest.approx(74.003372, abs=RECORDED)


def test_unsupervised(sets: Path) -> None:
    found = evaluate(sets / "B", sets / "truth-with-void", protocol="davis2017-unsup")
    assert found.scores.jf == pytest.approx(0.802619, abs=RECORDED)
    assert found.scores.j.mean == pytest.approx(0.848951, abs=RECORDED)
    assert found.scores.j.recall == 1
    assert found.scores.j.decay == pytest.approx(0.238815, abs=RECORDED)
    assert found.scores.f.mean == pytest.approx(0.756287, abs=RECORDED)
    assert found.scores.f.recall == pytest.approx(0.916667, abs=RECORDED)
    assert found.scores.f.decay == pytest.approx(0.351964, abs=RECORDED)
    assert [(score.object_id, score.proposal) for score in found.objects] == [(1, 5), (2, 3)]
    assert len(found.objects[0].frames) == FRAMES
    # The official rows are in the order of proposals: a_1 is object 2.
    rows = csv_files(found)["per-sequence_results-all.csv"].splitlines()
    assert rows == ["Sequence,J-Mean,F-Mean", "a_1,0.812,0.756", "a_2,0.885,0.756"]
    second, first = found.objects[1], found.objects[0]
    assert (second.j_statistics.mean, second.f_statistics.mean) == pytest.approx((0.8125, 0.756324), abs=RECORDED)
    assert (first.j_statistics.mean, first.f_statistics.mean) == pytest.approx((0.885401, 0.75625), abs=RECORDED)


def test_official_files(sets: Path) -> None:
    files = csv_files(evaluate(sets / "A", sets / "truth", protocol="davis2017-semi"))
    assert files["global_results-all.csv"] == (
        "J&F-Mean,J-Mean,J-Recall,J-Decay,F-Mean,F-Recall,F-Decay\n0.794,0.848,1.000,0.119,0.740,1.000,0.266\n"
    )
    assert files["per-sequence_results-all.csv"] == "Sequence,J-Mean,F-Mean\na_1,0.884,0.759\na_2,0.812,0.721\n"
    assert files["results.csv"] == (
        "sequence    ,obj,  J&F,    J,    F\n"
        "Global score,   , 79.4, 84.8, 74.0\n"
        "a           ,001, 82.2, 88.4, 75.9\n"
        "a           ,002, 76.7, 81.2, 72.1\n"
    )
