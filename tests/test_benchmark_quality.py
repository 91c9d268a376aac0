"""The measures of what a report's confidence is worth: `benchmarks/quality.py` and `benchmarks/confidence.py`."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from covos.model import load_model
from covos.runs.schema import FrameRow, as_json

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def quality(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(FOLDER)
    return import_module("quality")


def test_the_order_alone_counts_for_the_rank_correlation(quality: ModuleType) -> None:
    j = np.array([0.2, 0.5, 0.6, 0.9])
    assert quality.rank_correlation(j**3, j) == pytest.approx(1)
    assert quality.rank_correlation(1 - j, j) == pytest.approx(-1)
    assert quality.rank_correlation(np.array([1.0, 3, 2, 4]), j) == pytest.approx(0.8)
    assert np.isnan(quality.rank_correlation(np.ones(4), j))


def test_the_error_of_a_bin_is_that_of_its_means(quality: ModuleType) -> None:
    # In the first bin the errors cancel out, in the last they do not; a confidence of 1 has its place.
    confidence, j = np.array([0.05, 0.05, 0.95, 1.0]), np.array([0.0, 0.1, 0.85, 0.9])
    assert quality.calibration_error(confidence, j) == pytest.approx(0.2 / 4)


def test_recall_at_a_precision_of_one_half(quality: ModuleType) -> None:
    j = np.array([0.1, 0.9, 0.9, 0.3, 0.2, 0.9, 0.9, 0.9, 0.9, 0.4])
    confidence = np.linspace(0.1, 1, 10)
    # 1 of 1, 1 of 2, 1 of 3, 2 of 4, 3 of 5, 3 of 6, 3 of 7 and so on: never again one half.
    assert quality.recall_at_precision(confidence, j, below=0.5) == pytest.approx(3 / 4)
    assert quality.recall_at_precision(confidence, 1 - j, below=0.5) == pytest.approx(1)
    assert np.isnan(quality.recall_at_precision(confidence, j, below=0.05))


def test_frames_of_one_confidence_are_found_together(quality: ModuleType) -> None:
    j = np.array([0.1, 0.9, 0.9, 0.9])
    assert quality.recall_at_precision(np.full(4, 0.5), j, below=0.5) == 0
    assert quality.recall_at_precision(np.array([0.5, 0.5, 0.9, 0.9]), j, below=0.5) == 1


def test_sequences_without_an_order_have_no_part_in_the_mean(quality: ModuleType) -> None:
    rows = [
        {"sequence": name, "confidence": confidence, "j": j, "given": False}
        for name, confidence, j in (
            ("a", 0.5, 0.4),
            ("a", 0.9, 0.9),
            ("b", 0.9, 0.8),
            ("b", 0.9, 0.7),
            ("b", None, 0.0),
        )
    ]
    printed = quality.confidence_lines(rows)
    assert "mean of the sequences' 1.000" in printed
    assert "of the 1 masks below 0.5" in printed, "masks without a confidence are left out"
    assert quality.confidence_lines(rows[-1:]) == "no confidence"


def row(index: int, **of_objects: dict[int, Any]) -> FrameRow:
    """The row of a frame, by attribute and object."""
    return FrameRow(
        index=index,
        stem=f"{index:05}",
        pts=index,
        time=index / 25,
        status="ok",
        objects=sorted(of_objects["area"]),
        confidence=0.5,
        seconds=0.0,
        **of_objects,  # type: ignore[arg-type]
    )


def test_each_followed_object_is_judged_by_itself(quality: ModuleType) -> None:
    """One of two is lost in the second frame, with a confidence of its own; the other is as it was."""
    states = {1: {"state": "present", "confidence": 0.95}, 2: {"state": "lost", "confidence": 0.4}}
    box, centre = {1: (5, 5, 10, 10), 2: (30, 30, 10, 10)}, {1: (9.5, 9.5), 2: (34.5, 34.5)}
    both = row(0, area={1: 0.02, 2: 0.02}, box=box, centre=centre, states=states)
    one = row(1, area={1: 0.02}, box={1: box[1]}, centre={1: centre[1]}, states=states)
    rows = []
    for identity in (1, 2):
        for each in (both, one):
            own = quality.alone(each, identity)
            assert own.objects == [identity for _ in own.area]
            assert own.confidence == (0.95 if identity == 1 else 0.4)
            j = float(identity == 1)
            given = each is both
            rows.append({**as_json(own), "sequence": f"clip {identity}", "size": [60, 80], "j": j, "given": given})
    table = quality.table(rows)
    assert table.startswith("2 masks, mean J 0.500, 50.0% of them below 0.5"), "given masks are not judged"
    flags = {line.split()[0]: line.split()[1] for line in table.splitlines()[2:]}
    assert (flags["lost"], flags["uncertain"], flags["empty"]) == ("1", "0", "1"), "an empty mask is not uncertain"
    assert "mean 0.675" in quality.confidence_lines(rows)
    assert [line.split() for line in quality.sequence_lines(rows).splitlines()[1:]] == [
        ["clip", "1", "1", "1.000", "1.000", "0.950"],
        ["clip", "2", "1", "0.000", "0.000", "0.400"],
    ]


@pytest.fixture
def confidence(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(FOLDER)
    return import_module("confidence")


def test_the_fit_finds_the_scale_of_a_confidence_that_is_too_high(confidence: ModuleType) -> None:
    signals = np.linspace(-4, 4, 200)[:, None]
    j = 1 / (1 + np.exp(-(signals[:, 0] - 1)))
    weights = confidence.fit(signals, j)
    assert weights == pytest.approx([1, -1], abs=0.05)
    assert confidence.estimated(signals, weights) == pytest.approx(j, abs=0.01)


def test_each_measured_frame_has_its_signals(confidence: ModuleType) -> None:
    ground = np.random.default_rng(0).integers(0, 90, (90, 160, 3)).astype(np.uint8)
    images = np.stack([ground] * 7)
    truth = np.zeros((7, 90, 160), bool)
    for k in range(7):
        truth[k, 30:60, 20 + 8 * k : 50 + 8 * k] = True
    images[truth] = np.tile((220, 150, 60), (truth.sum(), 1)) + np.tile(ground[30:60, :30].reshape(-1, 3) // 3, (7, 1))
    watcher = confidence.Watcher(load_model("covos-lite", device="cpu"))
    cases = list(watcher.cases(("moved", confidence._frames(list(images)), list(truth), range(7))))
    assert len(cases) == 2, "five of the frames are references"
    for case in cases:
        assert np.isfinite(case.signals).all()
        assert case.j > 0.5
        assert case.signals.moving > 0
        assert 0 < case.signals.agreement < 1
        assert -1 <= case.signals.match <= 1
        assert case.signals.border == 0
