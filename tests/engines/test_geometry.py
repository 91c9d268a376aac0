from __future__ import annotations

import numpy as np
import pytest
import torch

from covos.engines.encoding import to_batch, to_probability, working_size
from covos.engines.find import expected_jaccard, uniform_references


@pytest.mark.parametrize(
    ("size", "expected"),
    [((480, 854), (256, 448)), ((854, 480), (448, 256)), ((1080, 1920), (256, 448)), ((500, 500), (352, 352))],
)
def test_working_size_keeps_aspect_and_area(size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert working_size(size, area=256 * 448, stride=32) == expected


@pytest.mark.parametrize("size", [(1, 1), (16, 4096), (4096, 16), (3, 7), (8000, 8000)])
def test_working_size_of_any_frame_is_usable(size: tuple[int, int]) -> None:
    height, width = working_size(size, area=256 * 448, stride=32)
    assert height % 32 == width % 32 == 0
    assert min(height, width) >= 32
    assert 0.7 < height * width / (256 * 448) < 1.4


def test_batch_and_probability_have_the_right_layout() -> None:
    red = np.zeros((48, 80, 3), np.uint8)
    red[..., 0] = 255
    batch = to_batch([red, red // 5], size=(32, 64), device=torch.device("cpu"))
    assert batch.shape == (2, 3, 32, 64)
    assert batch.dtype == torch.float32
    torch.testing.assert_close(batch[0, :, 0, 0], torch.tensor([1.0, 0.0, 0.0]))
    torch.testing.assert_close(batch[1, :, 0, 0], torch.tensor([0.2, 0.0, 0.0]))


def test_probability_is_the_sigmoid_of_the_interpolated_logit() -> None:
    logit = torch.tensor([[-4.0, 4.0], [-4.0, 4.0]])
    probability = to_probability(logit, size=(4, 8))
    assert probability.dtype == np.float32
    np.testing.assert_allclose(probability[0, [0, -1]], [1 / (1 + np.exp(4)), 1 / (1 + np.exp(-4))], rtol=1e-6)
    np.testing.assert_allclose(probability + probability[:, ::-1], 1, rtol=1e-5)  # the contour lies in the middle


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_a_fine_checkerboard_becomes_grey(factor: int) -> None:
    size = (32 * factor, 64 * factor)
    board = (np.indices(size).sum(axis=0) % 2 * 255).astype(np.uint8)
    batch = to_batch([np.dstack([board] * 3)], size=(32, 64), device=torch.device("cpu"))
    torch.testing.assert_close(batch, torch.full_like(batch, 0.5), atol=1 / 255, rtol=0)


def test_wherever_a_dot_lies_in_a_shrunk_cell_it_counts_by_its_share() -> None:
    image = np.zeros((32 * 4, 64 * 4, 3), np.uint8)
    rows, columns = np.indices((32, 64))
    image[4 * rows + (rows + columns) % 4, 4 * columns + columns % 4] = 255
    batch = to_batch([image], size=(32, 64), device=torch.device("cpu"))
    torch.testing.assert_close(batch, torch.full_like(batch, 1 / 16), atol=1 / 255, rtol=0)


def test_a_slanted_edge_is_smooth_at_the_size_of_the_frame() -> None:
    # Cells of 4 pixels whose logits lie on a plane: its zero is a straight line, and so must the contour be.
    rows, columns = np.mgrid[:24, :32]
    logit = torch.from_numpy((columns - 10.0 - 0.3 * rows).astype(np.float32))
    probability = to_probability(logit, size=(96, 128))
    y, x = np.mgrid[:96, :128]
    plane = (x + 0.5) / 4 - 0.5 - 10 - 0.3 * ((y + 0.5) / 4 - 0.5)
    inner = np.s_[2:-2, 2:-2]  # beyond the centres of the outermost cells there is nothing to go by
    np.testing.assert_allclose(probability[inner], (1 / (1 + np.exp(-plane)))[inner], atol=1e-3)
    starts = (probability > 0.5).argmax(axis=1)[2:-2]
    assert np.abs(np.diff(starts)).max() == 1, "no stairs of whole cells"


def test_extreme_logits_give_finite_probabilities() -> None:
    probability = to_probability(torch.tensor([[-1e4, 1e4]]), size=(1, 2))
    np.testing.assert_allclose(probability, [[0, 1]], atol=1e-6)


@pytest.mark.parametrize(
    ("frames", "references", "expected"),
    [(100, 5, (10, 30, 50, 70, 90)), (3, 5, (0, 1, 2)), (1, 5, (0,)), (10, 1, (5,)), (7, 0, ()), (0, 5, ())],
)
def test_uniform_references(frames: int, references: int, expected: tuple[int, ...]) -> None:
    assert uniform_references(frames, references=references) == expected


@pytest.mark.parametrize("frames", range(1, 40))
def test_uniform_references_are_distinct_and_inside(frames: int) -> None:
    chosen = uniform_references(frames, references=5)
    assert len(set(chosen)) == min(5, frames)
    assert list(chosen) == sorted(chosen)
    assert chosen[0] >= 0
    assert chosen[-1] < frames


def test_expected_jaccard() -> None:
    p = np.array([[0.9, 0.6, 0.2, 0.0]], np.float32)
    assert expected_jaccard(p, p > 0.5) == pytest.approx((0.9 + 0.6) / (2 + 0.2))
    assert expected_jaccard(p, p > 0.95) == pytest.approx(0.1)
    certain = np.array([[1.0, 0.0]], np.float32)
    assert expected_jaccard(certain, certain > 0.5) == 1
