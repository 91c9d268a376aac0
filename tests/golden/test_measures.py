"""The values of the official DAVIS code on drawn masks, to the digits that they were recorded with."""

import numpy as np
import pytest

from covos.evaluation import boundary_f, boundary_map, jaccard, statistics

SIZE = (480, 854)
RECORDED = 5.1e-7  # the values below were printed with six digits


def rectangle(y0: int, y1: int, x0: int, x1: int, *, size: tuple[int, int] = SIZE) -> np.ndarray:
    mask = np.zeros(size, bool)
    mask[y0:y1, x0:x1] = True
    return mask


TRUTH = rectangle(100, 200, 300, 500)
EMPTY = np.zeros(SIZE, bool)
FULL = np.ones(SIZE, bool)
SMALL = rectangle(20, 60, 20, 60, size=(100, 100))

CASES = {
    "identical": (TRUTH, TRUTH, 1, 1),
    "both empty": (EMPTY, EMPTY, 1, 1),
    "both full": (FULL, FULL, 1, 1),
    "prediction empty": (EMPTY, TRUTH, 0, 0),
    "truth empty": (TRUTH, EMPTY, 0, 0),
    "x+4": (rectangle(100, 200, 304, 504), TRUTH, 0.960784, 1),
    "x+8": (rectangle(100, 200, 308, 508), TRUTH, 0.923077, 1),
    "x+9": (rectangle(100, 200, 309, 509), TRUTH, 0.913876, 0.693333),
    "x+12": (rectangle(100, 200, 312, 512), TRUTH, 0.886792, 0.683333),
    "x+20": (rectangle(100, 200, 320, 520), TRUTH, 0.818182, 0.656667),
    "x+8 y+8": (rectangle(108, 208, 308, 508), TRUTH, 0.790831, 0.975),
    "ten inside": (rectangle(110, 190, 310, 490), TRUTH, 0.72, 0),
    "prediction full": (FULL, TRUTH, 0.048790, 0),
    "100x100 (2, 2)": (rectangle(22, 62, 22, 62, size=(100, 100)), SMALL, 0.822323, 0.98125),
    "100x100 y+5": (rectangle(25, 65, 20, 60, size=(100, 100)), SMALL, 0.777778, 0.5),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("form", ["bool", "0/1", "0/255"])
def test_official_j_and_f(case: str, form: str) -> None:
    prediction, truth, j, f = CASES[case]
    if form != "bool":
        scale = 255 if form == "0/255" else 1
        prediction, truth = prediction.astype(np.uint8) * scale, truth.astype(np.uint8) * scale
    assert jaccard(prediction, truth) == pytest.approx(j, abs=RECORDED)
    assert boundary_f(prediction, truth) == pytest.approx(f, abs=RECORDED)


def test_void_is_ignored() -> None:
    half = rectangle(100, 200, 300, 400)
    void = rectangle(100, 200, 400, 500)
    assert (jaccard(half, TRUTH, void=void), boundary_f(half, TRUTH, void=void)) == (1, 1)
    assert (jaccard(half, TRUTH, void=FULL), boundary_f(half, TRUTH, void=FULL)) == (1, 1)


def test_contour_is_half_a_pixel_up_and_left() -> None:
    mask = rectangle(2, 5, 2, 5, size=(6, 6))
    expected = rectangle(1, 5, 1, 5, size=(6, 6)) & ~rectangle(2, 4, 2, 4, size=(6, 6))
    np.testing.assert_array_equal(boundary_map(mask).astype(bool), expected)
    assert boundary_map(mask).sum() == 12


def test_image_border_gives_no_contour() -> None:
    expected = rectangle(2, 3, 2, 6, size=(6, 6)) | rectangle(2, 6, 2, 3, size=(6, 6))
    np.testing.assert_array_equal(boundary_map(rectangle(3, 6, 3, 6, size=(6, 6))).astype(bool), expected)
    assert boundary_map(FULL).sum() == 0


@pytest.mark.parametrize(
    ("length", "recall", "decay"),
    [
        (2, 0.5, 1),
        (3, 0.333333, 0.75),
        (4, 0.5, 0.666667),
        (7, 0.428571, 0.75),
        (10, 0.5, 0.777778),
        (50, 0.5, 0.755102),
        (256, 0.5, 0.749020),
        (257, None, 0.750000),
        (300, 0.5, 0.749164),
        (600, 0.5, 0.749583),
    ],
)
def test_official_statistics(length: int, recall: float | None, decay: float) -> None:
    found = statistics(np.linspace(1, 0, length))
    assert found.mean == pytest.approx(0.5, abs=RECORDED)
    assert found.decay == pytest.approx(decay, abs=RECORDED)
    if recall is not None:
        assert found.recall == pytest.approx(recall, abs=RECORDED)
