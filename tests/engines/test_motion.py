from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

import cv2
import numpy as np
import pytest
import torch

from covos.core.types import Frame
from covos.engines.motion import flow_alone, motion_and_flow, motion_batch, observe, residual_motion, with_neighbours

SIZE = (128, 224)


def texture(seed: int, *, size: tuple[int, int] = SIZE) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(0, 255, (*size, 3), dtype=np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), 2.5)


def scene(camera: float, own: float) -> np.ndarray:
    """A textured scene shifted by ``camera`` pixels, before it a textured square that moved by ``own`` more."""
    shift = np.array([[1, 0, camera], [0, 1, 0.4 * camera]])
    ground = cv2.warpAffine(texture(0), shift, SIZE[::-1], borderMode=cv2.BORDER_REFLECT)
    shift[0, 2] += own
    mask = np.zeros(SIZE, np.float32)
    mask[44:84, 80:130] = 1
    subject, mask = (cv2.warpAffine(x, shift, SIZE[::-1]) for x in (texture(1), mask))
    return np.where(mask[..., None] > 0.5, subject, ground).astype(np.uint8)


INSIDE = slice(14, 18), slice(23, 29)
"""Of the square, at a quarter of the size."""


@pytest.mark.parametrize("camera", [0.0, 3.0, -6.0])
def test_the_motion_of_the_camera_is_taken_out(camera: float) -> None:
    motion = residual_motion(scene(camera, 4.0), scene(0.0, 0.0), size=SIZE)
    assert motion.shape == (32, 56, 4)
    assert motion.dtype == np.float32
    assert motion[..., 0][INSIDE].mean() > 0.7, "to the right, near full scale"
    assert abs(motion[..., 1][INSIDE].mean()) < 0.2
    beyond = motion[2:8, 4:52, 2]
    assert np.median(beyond) < 0.15, "the scene rests"


def test_the_sign_is_that_of_time() -> None:
    assert residual_motion(scene(0, -4.0), scene(0, 0), size=SIZE)[..., 0][INSIDE].mean() < -0.5


def test_nothing_that_moves_is_not_blown_up() -> None:
    motion = residual_motion(scene(2.0, 0.0), scene(0.0, 0.0), size=SIZE)
    assert np.median(motion[..., 2]) < 0.1
    assert motion[0, 0, 3] < 0.3
    assert not residual_motion(scene(0, 0), scene(0, 0), size=SIZE).any()


def test_two_shots_share_no_motion() -> None:
    assert not residual_motion(scene(0, 0), 255 - np.zeros_like(scene(0, 0)), size=SIZE).any()


def test_flicker_finer_than_the_flow_sees_changes_nothing() -> None:
    board = np.indices((2 * SIZE[0], 2 * SIZE[1])).sum(axis=0) % 2 * 2 - 1

    def large(own: float, flicker: int) -> np.ndarray:
        calm = cv2.resize(scene(0, own), board.shape[::-1], interpolation=cv2.INTER_NEAREST) * 0.5 + 64
        return np.round(calm + flicker * board[..., None]).astype(np.uint8)

    calm = residual_motion(large(4.0, 0), large(0.0, 0), size=SIZE)
    found = residual_motion(large(4.0, 40), large(0.0, -40), size=SIZE)
    assert calm[..., 0][INSIDE].mean() > 0.7
    assert found[..., 0][INSIDE].mean() > 0.7
    assert np.abs(found - calm).mean() < 0.05


def test_values_stay_in_their_range() -> None:
    for seed in range(10):
        motion = residual_motion(texture(seed), texture(seed + 1), size=SIZE)
        assert np.isfinite(motion).all()
        assert np.abs(motion[..., :3]).max() <= 2
        assert 0 <= motion[..., 3].min() <= motion[..., 3].max() < 1


def frames(indices: Iterable[int]) -> Iterable[Frame]:
    for index in indices:
        yield Frame(index=index, stem=f"{index:05}", image=scene(0, 4.0 * index), pts=index, time_base=Fraction(1, 25))


def size_of(_: Frame) -> tuple[int, int]:
    return SIZE


def test_each_frame_is_seen_beside_its_predecessor_and_the_first_beside_its_successor() -> None:
    seen = list(observe(frames(range(4)), size_of=size_of))
    assert [each.frame.index for each in seen] == [0, 1, 2, 3]
    for each in seen:
        assert each.motion is not None
        assert each.motion[..., 0][14:18, 23 + each.frame.index : 26 + each.frame.index].mean() > 0.5


def test_wanted_frames_have_the_same_motion_as_in_the_whole_stream() -> None:
    whole = {each.frame.index: each.motion for each in observe(frames(range(8)), size_of=size_of)}
    for wanted in ((0,), (0, 1), (3,), (2, 3, 6), (7,)):
        needed = with_neighbours(wanted, frame_count=8)
        seen = list(observe(frames(needed), size_of=size_of, wanted=wanted))
        assert [each.frame.index for each in seen] == list(wanted)
        for each in seen:
            np.testing.assert_array_equal(each.motion, whole[each.frame.index])


def test_a_frame_without_a_neighbour_has_no_motion() -> None:
    assert [each.motion for each in observe(frames([3, 9]), size_of=size_of)] == [None, None]
    assert with_neighbours([0], frame_count=1) == (0,)


def test_a_batch_holds_zeros_where_nothing_is_known() -> None:
    motion = np.ones((32, 56, 4), np.float32)
    batch = motion_batch([None, motion], size=SIZE, device=torch.device("cpu"))
    assert batch is not None
    assert batch.shape == (2, 4, 32, 56)
    assert not batch[0].any()
    assert (batch[1] == 1).all()
    assert motion_batch([None, None], size=SIZE, device=torch.device("cpu")) is None


@pytest.mark.parametrize(("x", "y"), [(8.0, 0.0), (-6.0, 4.0)])
def test_the_flow_leads_back_to_the_neighbour_in_cells(x: float, y: float) -> None:
    before = texture(0)
    after = cv2.warpAffine(before, np.array([[1, 0, x], [0, 1, y]]), SIZE[::-1], borderMode=cv2.BORDER_REFLECT)
    found = motion_and_flow(after, before, size=SIZE)
    assert found.flow.shape == (32, 56, 2)
    assert found.flow.dtype == np.float32
    middle = found.flow[6:-6, 6:-6].reshape(-1, 2)
    np.testing.assert_allclose(np.median(middle, axis=0), [-x / 4, -y / 4], atol=0.15)
    np.testing.assert_array_equal(found.motion, residual_motion(after, before, size=SIZE))
    np.testing.assert_array_equal(found.flow, flow_alone(after, before, size=SIZE))


def test_two_shots_share_no_flow() -> None:
    assert not motion_and_flow(scene(0, 0), 255 - np.zeros_like(scene(0, 0)), size=SIZE).flow.any()
    assert not flow_alone(scene(0, 0), 255 - np.zeros_like(scene(0, 0)), size=SIZE).any()


def test_a_frame_has_flow_to_its_predecessor_alone() -> None:
    first, second, third = observe(frames(range(3)), size_of=size_of)
    assert first.motion is not None
    assert first.flow is None, "its motion is that to its successor"
    for before, here in ((first, second), (second, third)):
        expected = motion_and_flow(here.frame.image, before.frame.image, size=SIZE).flow
        assert here.flow is not None
        np.testing.assert_array_equal(here.flow, expected)


def test_motion_that_was_found_at_another_size_is_resized() -> None:
    motion = np.random.default_rng(0).normal(size=(32, 56, 4)).astype(np.float32)
    batch = motion_batch([motion, None], size=(192, 320), device=torch.device("cpu"))
    assert batch is not None
    expected = cv2.resize(motion, (80, 48), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_array_equal(batch[0].permute(1, 2, 0).numpy(), expected)
    assert not batch[1].any()
