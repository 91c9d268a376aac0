from __future__ import annotations

import pickle

import numpy as np
import pytest

from covos.core.errors import UsageError
from covos.training.augment import Chain, Cut, Light, Mirror, Resample, Spoil, Window, stretched


@pytest.fixture
def frame():
    """A picture that shows its own mask: object 3 is bright, object 7 dark, void lies at the left."""
    mask = np.zeros((90, 160), np.uint8)
    mask[20:60, 40:80], mask[50:80, 90:140], mask[:, :20] = 3, 7, 255
    image = np.full((90, 160, 3), 100, np.uint8)
    image[mask == 3], image[mask == 7], image[mask == 255] = 250, 10, 180
    return image, mask


def test_a_window_shows_picture_and_mask_alike(frame):
    image, mask = frame
    for seed in range(20):
        seen, ids = Window(size=(64, 96))(image=image, mask=mask, rng=np.random.default_rng(seed))
        assert (seen.shape, ids.shape, ids.dtype) == ((64, 96, 3), (64, 96), np.uint8)
        assert set(np.unique(ids)) <= {0, 3, 7, 255}, "ids are never mixed"
        grey = seen[..., 0].astype(int)
        for number, value in ((3, 250), (7, 10), (255, 180), (0, 100)):
            if (ids == number).sum() > 100:
                assert np.median(grey[ids == number]) == value


def test_shares_keep_void_out(frame):
    image, mask = frame
    shares = np.where(mask == 255, 255, mask == 3).astype(np.float32)
    for seed in range(20):
        _, ids = Window(size=(64, 96))(image=image, mask=mask, rng=np.random.default_rng(seed))
        _, seen = Window(size=(64, 96))(image=image, mask=shares, rng=np.random.default_rng(seed))
        assert seen.dtype == np.float32
        known = seen[seen != 255]
        assert known.min() >= 0
        assert known.max() <= 1
        assert np.mean((seen == 255) != (ids == 255)) < 0.03
        assert np.mean(((seen > 0.5) & (seen != 255)) != (ids == 3)) < 0.03


def test_the_same_state_draws_the_same(frame):
    image, mask = frame
    drawn = Chain(Window(size=(64, 96)), Light(), Spoil(share=0.5))
    one, two, other = (drawn(image=image, mask=mask, rng=np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one[0], two[0])
    np.testing.assert_array_equal(one[1], two[1])
    assert not np.array_equal(one[1], other[1])
    again = pickle.loads(pickle.dumps(drawn))(image=image, mask=mask, rng=np.random.default_rng(1))
    np.testing.assert_array_equal(again[0], one[0])


def test_cosnets_own_show_picture_and_mask_alike(frame):
    image, mask = frame
    drawn = Chain(Resample(factor=(0.5, 1.5)), Cut(size=(64, 96)), Mirror(share=0.5))
    mirrored = 0
    for seed in range(20):
        seen, ids = drawn(image=image, mask=mask, rng=np.random.default_rng(seed))
        assert (seen.shape, ids.shape) == ((64, 96, 3), (64, 96))
        grey = seen[..., 0].astype(int)
        for number, value in ((3, 250), (7, 10), (255, 180), (0, 100)):
            if (ids == number).sum() > 100:
                assert abs(np.median(grey[ids == number]) - value) < 10
        mirrored += (ids[:, 48:] == 255).sum() > (ids[:, :48] == 255).sum()
    assert 0 < mirrored < 20
    with pytest.raises(UsageError, match=r"90 x 160 has no part of 100 x 96"):
        Cut(size=(100, 96))(image=image, mask=mask, rng=np.random.default_rng(0))
    with pytest.raises(UsageError, match="no range"):
        Resample(factor=(1.3, 0.7))
    with pytest.raises(UsageError, match="no share"):
        Mirror(share=2)


def test_light_and_spoiling_leave_the_mask(frame):
    image, mask = frame
    rng = np.random.default_rng(0)
    for part in (Light(), Spoil(share=1)):
        changed, same = part(image=image, mask=mask, rng=rng)
        assert same is mask
        assert changed.shape == image.shape
        assert not np.array_equal(changed, image)
    assert Spoil(share=0)(image=image, mask=mask, rng=rng)[0] is image


def test_stretched_pictures_use_all_values():
    image = np.random.default_rng(0).integers(40, 200, (6, 8, 3), dtype=np.uint8)
    image[0, 0], image[1, 1, 2] = 40, 199
    found = stretched(image)
    assert (found.dtype, found.min(), found.max()) == (np.uint8, 0, 255)
    want = (image.astype(np.float64) - 40) * 255 / 159
    assert np.abs(found - want).max() <= 0.5 + 1e-4
    flat = np.full((4, 4, 3), 7, np.uint8)
    assert np.array_equal(stretched(flat), flat)


def test_refusals():
    for wrong in (lambda: Window(size=(0, 5)), lambda: Window(size=(8, 8), zoom=(0.9, 0.5)), lambda: Spoil(share=2)):
        with pytest.raises(UsageError):
            wrong()
