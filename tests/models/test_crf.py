from __future__ import annotations

import numpy as np
import pytest
import torch

from covos.models.cosnet import crf
from covos.models.cosnet.crf import COSNET_KERNELS, STEPS, PairwiseKernel, PermutohedralLattice, crf_filter, dense_crf

KERNELS = {
    "cosnet": COSNET_KERNELS,
    "three": (*COSNET_KERNELS, PairwiseKernel(weight=4, sxy=6, srgb=15), PairwiseKernel(weight=3, sxy=9, srgb=4)),
    "spatial": COSNET_KERNELS[:1],
}


def scene(
    height: int = 24, width: int = 32, *, seed: int = 0, contrast: float = 80, noise: float = 3, doubt: float = 0.5
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A picture of a slanted bar on a shaded ground, with noise; a soft, shifted guess of the bar; the bar."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    place = x - width / 2 + (y - height / 2) / 3
    bar = np.abs(place) < width / 6
    ground = np.array([80, 100, 100]) + 30 * (y / height)[..., None]
    image = ground + contrast * bar[..., None] * np.array([1, 0.3, -0.6]) + rng.normal(0, noise, (height, width, 3))
    guess = 1 / (1 + np.exp(-((width / 6 - np.abs(place + 2)) / 2 + rng.normal(0, doubt, bar.shape))))
    return np.clip(image, 0, 255).astype(np.uint8), guess.astype(np.float32), bar


def literal_crf(
    image: np.ndarray, probability: np.ndarray, kernels: tuple[PairwiseKernel, ...], steps: int
) -> np.ndarray:
    """Mean field for two labels with every N x N kernel written out, in float64."""
    height, width, _ = image.shape
    y, x = np.mgrid[:height, :width].astype(np.float64)
    p = probability.astype(np.float64).ravel()
    unary = -np.log(np.clip(np.stack((1 - p, p)), 1e-5, 1))
    pairwise = []
    for kernel in kernels:
        features = [y / kernel.sxy, x / kernel.sxy]
        if kernel.srgb is not None:
            features += [image[..., c] / kernel.srgb for c in range(3)]
        f = np.stack([feature.ravel() for feature in features], axis=1)
        k = np.exp(-((f[:, None] - f[None]) ** 2).sum(axis=2) / 2)
        n = k.sum(axis=1)
        pairwise.append(k / np.sqrt(n[:, None] * n[None]))
    potts = 1 - np.eye(2)
    q = np.exp(-unary) / np.exp(-unary).sum(axis=0)
    for _ in range(steps):
        energy = unary + sum(w.weight * potts @ q @ k for w, k in zip(kernels, pairwise, strict=True))
        q = np.exp(-(energy - energy.min(axis=0)))
        q /= q.sum(axis=0)
    return q[1].reshape(height, width)


def filtered_by_us(image: np.ndarray, guess: np.ndarray, *, kernels=COSNET_KERNELS, steps: int = STEPS) -> np.ndarray:
    return dense_crf(torch.tensor(image), torch.tensor(guess), kernels=kernels, steps=steps).numpy()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", KERNELS)
def test_marginals_and_labels_are_those_of_the_explicit_crf(name: str, seed: int) -> None:
    image, guess, _ = scene(seed=seed)
    exact = literal_crf(image, guess, KERNELS[name], STEPS)
    ours = filtered_by_us(image, guess, kernels=KERNELS[name])
    np.testing.assert_allclose(ours, exact, atol=1e-3)
    np.testing.assert_array_equal(ours > 0.5, exact > 0.5)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("steps", [1, STEPS])
def test_on_a_picture_of_little_contrast_it_is_close_to_the_explicit_crf(seed: int, steps: int) -> None:
    # Noise as strong as the edge: the labels of some pixels hang on the last per cent of a sum.
    image, guess, bar = scene(seed=seed, contrast=15, noise=6, doubt=1)
    exact = literal_crf(image, guess, COSNET_KERNELS, steps)
    ours = filtered_by_us(image, guess, steps=steps)
    assert np.abs(ours - exact).mean() < 0.02
    assert ((ours > 0.5) != (exact > 0.5)).mean() < 0.02
    # Weak kernels, so that the marginals are not driven to 0 and 1 and show every error of the sums.
    weak = (PairwiseKernel(weight=1, sxy=1), PairwiseKernel(weight=2, sxy=8, srgb=10))
    exact = literal_crf(image, guess, weak, steps)
    ours = filtered_by_us(image, guess, kernels=weak, steps=steps)
    np.testing.assert_allclose(ours, exact, atol=0.1)
    decided = np.abs(exact - 0.5) > 0.1
    np.testing.assert_array_equal(ours[decided] > 0.5, exact[decided] > 0.5)
    assert ((exact > 0.5) != bar).mean() < ((guess > 0.5) != bar).mean()


def test_it_finds_the_edge_of_the_picture() -> None:
    image, guess, bar = scene()
    assert ((guess > 0.5) != bar).sum() > 50
    np.testing.assert_array_equal(crf_filter(image, guess) > 0.5, bar)


def test_nothing_is_made_of_nothing() -> None:
    image, _, _ = scene()
    empty, full = np.zeros((24, 32), np.float32), np.ones((24, 32), np.float32)
    assert crf_filter(image, empty).max() < 0.01
    assert crf_filter(image, full).min() > 0.99


def test_two_runs_agree_to_the_bit() -> None:
    image, guess, _ = scene(60, 90, contrast=15, noise=6, doubt=1)
    np.testing.assert_array_equal(crf_filter(image, guess), crf_filter(image, guess))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_gpu_agrees_with_the_cpu_and_with_itself() -> None:
    image, guess, _ = scene(60, 90, contrast=15, noise=6, doubt=1)
    once, again = (crf_filter(image, guess, device=torch.device("cuda")) for _ in range(2))
    np.testing.assert_array_equal(once, again)
    assert np.abs(once - crf_filter(image, guess)).mean() < 1e-3


def test_other_devices_leave_it_to_the_cpu() -> None:
    image, guess, _ = scene()
    np.testing.assert_array_equal(crf_filter(image, guess, device=torch.device("meta")), crf_filter(image, guess))


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (3, 2)])
def test_odd_sizes(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    image, guess = rng.integers(0, 256, (*size, 3), dtype=np.uint8), rng.random(size, dtype=np.float32)
    exact = literal_crf(image, guess, COSNET_KERNELS, STEPS)
    np.testing.assert_allclose(crf_filter(image, guess), exact, atol=0.02)


def test_a_large_picture_is_reduced_and_its_result_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    original = crf.dense_crf

    def watching(image: torch.Tensor, probability: torch.Tensor) -> torch.Tensor:
        seen.append(tuple(image.shape[:2]))
        assert image.shape[:2] == probability.shape
        return original(image, probability)

    monkeypatch.setattr(crf, "dense_crf", watching)
    monkeypatch.setattr(crf, "MAX_PIXELS", 1000)
    image, guess, bar = scene(96, 128)
    refined = crf_filter(image, guess)
    ((height, width),) = seen
    assert height * width <= 1000
    assert width / height == pytest.approx(128 / 96, rel=0.1)
    assert refined.shape == guess.shape
    assert refined.dtype == np.float32
    assert 0 <= refined.min() <= refined.max() <= 1
    assert ((refined > 0.5) != bar).mean() < ((guess > 0.5) != bar).mean() / 2


@pytest.mark.parametrize("dimensions", [1, 2, 3, 5])
def test_the_lattice_sums_like_a_gaussian(dimensions: int) -> None:
    rng = np.random.default_rng(dimensions)
    points = torch.tensor(rng.uniform(0, 4, (600, dimensions)).astype(np.float32))
    values = torch.tensor(rng.random(600, dtype=np.float32))
    lattice = PermutohedralLattice(points)
    kernel = torch.exp(-(torch.cdist(points.double(), points.double()) ** 2) / 2)
    exact = (kernel @ values.double()) / kernel.sum(1)
    ours = lattice.filter(values) / lattice.filter(torch.ones(600))
    assert (ours - exact).abs().mean() < 0.25 * (values - exact).abs().mean()
    assert float(torch.corrcoef(torch.stack((ours, exact.float())))[0, 1]) > 0.95


def test_the_lattice_is_linear_and_does_not_mind_the_order_of_the_points() -> None:
    rng = np.random.default_rng(0)
    points = torch.tensor(rng.normal(0, 2, (200, 5)).astype(np.float32))
    one, other = torch.tensor(rng.random((2, 200), dtype=np.float32))
    lattice = PermutohedralLattice(points)
    torch.testing.assert_close(lattice.filter(2 * one - other), 2 * lattice.filter(one) - lattice.filter(other))
    order = torch.tensor(rng.permutation(200))
    torch.testing.assert_close(PermutohedralLattice(points[order]).filter(one[order]), lattice.filter(one)[order])


def test_points_too_far_apart_are_refused() -> None:
    with pytest.raises(ValueError, match="more than can be numbered"):
        PermutohedralLattice(torch.tensor([[0.0] * 5, [1e5] * 5]))
