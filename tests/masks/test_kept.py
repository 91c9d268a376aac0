"""The soft answer beside a mask: packed, and given back."""

from __future__ import annotations

import dataclasses
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from covos.core.errors import InputError
from covos.masks.soft import FEWEST, LEAST_EDGE, SURE, SoftMask, edge_deviation, is_of_8_bits, rounded, soft_edge


def edge(size=(60, 90), *, seed=0):
    """A disc with a soft edge, over a background that is nearly sure."""
    noise = np.random.default_rng(seed).random(size, np.float32)
    disc = np.zeros(size, np.float32)
    cv2.circle(disc, (40, 30), 18, 1.0, -1)
    soft = cv2.GaussianBlur(disc, (0, 0), 4)
    return np.clip(soft * 0.996 + 0.002 + 0.002 * noise, 0, 1).astype(np.float32)


@given(seed=st.integers(0, 50), bits=st.sampled_from([8, 16]))
def test_what_comes_back_is_what_was_kept(seed, bits):
    probability = edge(seed=seed)
    mask = probability > 0.5
    kept, restored = SoftMask.and_rounded(probability, mask, bits=bits)
    assert kept == SoftMask.of(probability, mask, bits=bits)
    back = kept.restore(mask)
    assert back.dtype == restored.dtype == np.float32
    np.testing.assert_array_equal(restored, back)
    if bits == 8:
        np.testing.assert_array_equal(rounded(probability, mask), back)
        assert not back[probability < SURE / 255].any(), "what is nearly sure is taken for sure"
    assert ((back > 0.5) == mask).all()
    assert abs(back - probability).max() <= (0.5 / 65535 if bits == 16 else (SURE + 0.5) / 255) + 1e-6
    again = SoftMask.of(back, mask, bits=bits)
    np.testing.assert_array_equal(again.restore(mask), back)


def test_masks_that_are_not_the_probability_above_a_half():
    """Of several objects, one may have a pixel that is not above a half."""
    probability, mask = edge(), np.zeros((60, 90), bool)
    mask[10:50, 30:70] = True
    assert abs(SoftMask.of(probability, mask).restore(mask) - probability).max() < 3 / 255


def test_noise_far_from_the_edge_takes_no_space():
    noisy, mask = edge(), edge() > 0.5
    still = np.where(noisy < 0.01, 0, np.where(noisy > 0.99, 1, noisy)).astype(np.float32)
    assert len(SoftMask.of(noisy, mask).data) < 1.1 * len(SoftMask.of(still, mask).data)
    for bits in (8, 16):
        assert len(SoftMask.of(mask.astype(np.float32), mask, bits=bits).data) < 60


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "5400 bytes are expected, there are 0 or more"),
        (b"nonsense", "incorrect header check"),
        (zlib.compress(bytes(10)), "5400 bytes are expected, there are 10"),
        (zlib.compress(bytes(60 * 90 + 1)), "5400 bytes are expected, there are 5401"),
        (zlib.compress(bytes(10**7)), "5400 bytes are expected, there are 5401 or more"),
    ],
)
def test_damaged_data_are_refused(data, why):
    kept = SoftMask.of(edge(), edge() > 0.5)
    with pytest.raises(InputError, match="soft edge") as caught:
        dataclasses.replace(kept, data=data).restore(edge() > 0.5)
    assert caught.value.why.endswith(why)
    with pytest.raises(InputError, match=r"it is of 90 x 60 pixels, the mask is \(60, 90\)"):
        kept.restore(np.zeros((90, 60), bool))


@pytest.mark.parametrize("bits", [8, 16])
def test_a_part_of_a_frame_keeps_what_the_whole_kept(bits):
    mask = edge() > 0.5
    whole = SoftMask.of(edge(), mask, bits=bits)
    part = whole.cut_to((31, 50), mask)
    assert (part.size, part.bits) == ((31, 50), bits)
    np.testing.assert_array_equal(part.restore(mask[:31, :50]), whole.restore(mask)[:31, :50])


def test_a_probability_that_was_rounded_to_8_bits_is_told_from_one_that_was_not():
    levels = np.arange(256, dtype=np.float32).reshape(16, 16) / 255
    assert is_of_8_bits(levels)
    assert not is_of_8_bits(np.arange(256, dtype=np.float32).reshape(16, 16) / 300)
    assert not is_of_8_bits(np.where(levels == levels[8, 8], levels + 0.001, levels)), "one pixel tells"
    # What is 0 or 1 tells nothing, and a few pixels may have such levels by chance.
    few = np.zeros((16, 16), np.float32)
    few.ravel()[100:] = 1
    few.ravel()[:FEWEST] = 1 / 255
    assert is_of_8_bits(few)
    few[0, 0] = 1
    assert not is_of_8_bits(few)


def test_a_mask_by_hand_gets_the_edge_of_a_network():
    """Thresholded, it is the mask again; far from the contour it is sure, and so is the middle of a drawn strand."""
    mask = np.zeros((480, 640), np.bool_)
    cv2.circle(canvas := mask.view(np.uint8), (320, 240), 90, 1, -1)
    canvas[100, 20:200] = 1  # a strand
    canvas[240, 280:360] = 0  # a scratch
    soft = soft_edge(mask)
    np.testing.assert_array_equal(soft > 0.5, mask)
    assert soft[100, 100] == 1
    assert soft[240, 320] == 0
    assert soft[240, 415] == pytest.approx(0, abs=1e-4)
    assert soft[270, 320] == pytest.approx(1, abs=1e-4)
    assert 3 <= np.count_nonzero((soft[300, 320:] > 0.01) & (soft[300, 320:] < 0.99)) <= 8
    assert soft.dtype == np.float32
    for value in (0, 1):
        np.testing.assert_array_equal(soft_edge(np.full((4, 4), value, np.bool_)), value)


@pytest.mark.parametrize("width", range(1, 10))
def test_a_strand_of_any_width_is_sure_in_its_middle_and_soft_at_its_sides(width):
    mask = np.zeros((1080, 160), np.bool_)
    mask[100:900, 80 : 80 + width] = True
    across = soft_edge(mask)[500, 80 : 80 + width]
    assert across.max() > 0.9
    np.testing.assert_allclose(across, across[::-1], atol=0.02)
    if width >= 3:
        assert across[0] < 0.75
    assert (np.diff(across)[: (width - 1) // 2] > 0).all(), "it rises to the middle"


@pytest.mark.parametrize("slope", [0.2, 0.7])
def test_a_contour_goes_on_beyond_the_border_as_it_is_there(slope):
    rows, columns = np.indices((120, 160))
    mask = columns > 3 + slope * abs(rows - 60)
    wider = np.pad(mask, 30, mode="edge")  # frames of both heights have edges of one width
    np.testing.assert_allclose(soft_edge(wider)[30:-30, 30:-30], soft_edge(mask), atol=1e-3)


@pytest.mark.parametrize("slope", [0.1, 0.37, 0.62, 0.93])
@pytest.mark.parametrize("height", [270, 480, 1080])
def test_a_slanted_contour_has_no_steps(slope, height):
    """The lines at which alpha is a quarter, a half and three quarters run straight, as the contour that was drawn."""
    rows, columns = np.indices((height, 200))
    across = (columns - 100 - slope * (rows - height / 2)) / np.hypot(1, slope)
    mask = across > 0
    soft = soft_edge(mask)
    np.testing.assert_array_equal(soft > 0.5, mask)
    seen = slice(height // 2 - 40, height // 2 + 40)
    for level in (0.25, 0.75):
        crossings = []
        for row, place in zip(soft[seen], across[seen], strict=True):
            at = int(np.argmax(row > level))
            part = (level - row[at - 1]) / (row[at] - row[at - 1])
            crossings.append(place[at - 1] + part * (place[at] - place[at - 1]))
        assert np.std(crossings) < 0.15


def test_a_drawn_edge_grows_with_the_frame():
    """`tests/jobs/test_seed_edges.py` compares its width with those that the network finds."""
    for height in (270, 432, 1080):
        mask = np.zeros((height, 100), np.bool_)
        mask[:, 50:] = True
        across = soft_edge(mask)[height // 2]
        # The whole of 4p(1 - p) across the integral of a Gaussian.
        whole = 4 / np.sqrt(np.pi) * edge_deviation(height)
        assert (4 * across * (1 - across)).sum() == pytest.approx(whole, abs=0.5)
    assert edge_deviation(270) == LEAST_EDGE
    assert edge_deviation(1080) == pytest.approx(1.8)


def test_corners_and_rough_contours_are_no_strands():
    """A disc does not fit into them either; taken for strands, they would be hard dots on a soft edge."""
    mask = np.zeros((480, 640), np.bool_)
    mask[100:300, 100:300] = True
    mask[98:100, 150:300:7] = True
    soft = soft_edge(mask)
    assert soft[100:103, 100:103].min() < 0.6
    assert soft[98, 150:300:7].max() < 0.6
