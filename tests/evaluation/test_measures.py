"""J, F and statistics against the slow reference, on masks of every shape."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from covos.core.errors import UsageError
from covos.evaluation import boundary_f, boundary_map, jaccard, statistics
from covos.evaluation.measures import tolerance_radius
from covos.evaluation.scored_mask import dilate

from .reference import slow_boundary_f, slow_contour, slow_jaccard, slow_statistics


@st.composite
def noise(draw, shape):
    return draw(hnp.arrays(np.bool_, shape, fill=st.just(False)))


@st.composite
def blob(draw, shape):
    """Rectangles added and taken away: contours that touch borders, holes, single pixels."""
    mask = np.zeros(shape, bool)
    for _ in range(draw(st.integers(0, 4))):
        y0, x0 = draw(st.integers(0, shape[0] - 1)), draw(st.integers(0, shape[1] - 1))
        y1, x1 = draw(st.integers(y0 + 1, shape[0])), draw(st.integers(x0 + 1, shape[1]))
        mask[y0:y1, x0:x1] = draw(st.booleans())
    return mask


@st.composite
def scenes(draw):
    shape = (draw(st.integers(1, 20)), draw(st.integers(1, 20)))
    mask = st.one_of(blob(shape), noise(shape))
    return draw(mask), draw(mask), draw(st.one_of(st.none(), mask))


@given(scenes())
def test_jaccard_is_the_formula(scene) -> None:
    prediction, truth, void = scene
    assert jaccard(prediction, truth, void=void) == slow_jaccard(prediction, truth, void)


@given(scenes(), st.sampled_from([0.008, 0.05, 0.1, 1, 2, 5]))
def test_boundary_f_is_the_formula(scene, threshold) -> None:
    prediction, truth, void = scene
    found = boundary_f(prediction, truth, void=void, threshold=threshold)
    assert found == pytest.approx(slow_boundary_f(prediction, truth, void, threshold), abs=1e-12)


@given(scenes())
def test_boundary_map_is_the_formula(scene) -> None:
    edges = boundary_map(scene[0])
    assert {(int(y), int(x)) for y, x in np.argwhere(edges)} == slow_contour(scene[0])
    assert edges.dtype == np.uint8
    assert edges.shape == scene[0].shape


@given(scenes())
def test_arguments_are_left_as_they_were_and_may_be_views(scene) -> None:
    prediction, truth, void = (None if mask is None else np.ascontiguousarray(mask.T).T for mask in scene)
    kept = [None if mask is None else mask.copy() for mask in (prediction, truth, void)]
    expected = jaccard(*scene[:2], void=scene[2]), boundary_f(*scene[:2], void=scene[2])
    assert (jaccard(prediction, truth, void=void), boundary_f(prediction, truth, void=void)) == expected
    for mask, before in zip((prediction, truth, void), kept, strict=True):
        if mask is not None:
            np.testing.assert_array_equal(mask, before)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=700))
def test_statistics_are_the_formula(values) -> None:
    found = statistics(values)
    assert (found.mean, found.recall, found.decay) == pytest.approx(slow_statistics(values), abs=1e-12)


def test_half_is_not_recalled() -> None:
    assert statistics([0.5, 0.5]).recall == 0


@given(scenes(), st.integers(0, 9))
def test_dilation_is_that_with_a_disk(scene, radius: int) -> None:
    mask = scene[0].astype(np.uint8)
    y, x = np.ogrid[-radius : radius + 1, -radius : radius + 1]
    disk = (x * x + y * y <= radius * radius).astype(np.uint8)
    expected = cv2.dilate(np.pad(mask, radius), disk)
    np.testing.assert_array_equal(dilate(mask, radius=radius), expected)


@pytest.mark.parametrize(("radius", "pixels"), [(0, 1), (1, 5), (2, 13), (8, 197)])
def test_disk_is_euclidean(radius: int, pixels: int) -> None:
    assert dilate(np.ones((1, 1), np.uint8), radius=radius).sum() == pixels


@pytest.mark.parametrize(("size", "radius"), [((480, 854), 8), ((480, 910), 9), ((720, 1280), 12), ((1080, 1920), 18)])
def test_tolerance_grows_with_the_diagonal(size: tuple[int, int], radius: int) -> None:
    assert tolerance_radius(*size) == radius
    assert tolerance_radius(*size, threshold=3) == 3


@pytest.mark.parametrize(
    ("mask", "says"),
    [
        (np.zeros((4, 4, 3), np.uint8), r"\(4, 4, 3\)"),
        (np.zeros((4, 4), np.float32), "float32"),
        (np.zeros((4, 5), bool), r"prediction \(4, 5\), ground truth \(4, 4\)"),
    ],
)
@pytest.mark.parametrize("measure", [jaccard, boundary_f])
def test_what_cannot_be_compared_is_refused(measure, mask, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        measure(mask, np.zeros((4, 4), bool))


@pytest.mark.parametrize("values", [[], [0.1, float("nan")]])
def test_statistics_of_nothing_are_refused(values) -> None:
    with pytest.raises(UsageError, match="statistics"):
        statistics(values)
