"""Shadows: what the subject darkens, told from dark things beside it, in one frame and by the frames before."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from covos.formats.light import to_light, to_picture
from covos.formats.shadows import Shadows

SIZE = (240, 320)
RADIUS = 24


def ground(shade: float, tint: tuple[float, float, float]) -> tuple[Any, Any]:
    """A subject on a plain ground, with a darker patch of some tint below it."""
    y, x = np.mgrid[:120, :160]
    opacity = (np.hypot(x - 80, y - 50) < 22).astype(np.float32)
    image = np.full((120, 160, 3), (150, 140, 130), np.float32)
    light = to_light(image.astype(np.uint8))
    patch = np.hypot((x - 80) / 2, y - 78) < 8
    light[patch] *= np.float32(shade) * np.array(tint, np.float32)
    image = to_picture(light, np.zeros(0, np.uint8))
    image[opacity > 0] = (200, 30, 30)
    return image, opacity


def test_what_the_subject_darkens_is_its_shadow() -> None:
    left = Shadows().of(*ground(0.5, (1, 1, 1)))
    assert left[80, 80] == pytest.approx(0.57, abs=0.08)
    assert left[30, 20] > 0.98
    assert left[50, 115] > 0.95
    assert left.max() <= 1


def test_a_shadow_is_darkest_where_nearly_nothing_is_left_whatever_its_tint() -> None:
    left = Shadows().of(*ground(0.05, (0.5, 0.7, 2.0)))
    assert left[80, 80] < 0.4


def test_ground_of_another_colour_is_no_shadow() -> None:
    assert Shadows().of(*ground(0.7, (0.3, 1.3, 0.3))).min() > 0.9
    assert Shadows().of(*ground(1.0, (1, 1, 1))).min() > 0.98
    nothing = np.zeros((120, 160), np.float32)
    assert Shadows().of(ground(0.5, (1, 1, 1))[0], nothing).min() == 1


# ---- values --------------------------------------------------------------------------------------------------------


def street(*, texture: int = 1) -> NDArray[np.uint8]:
    """Grey ground with fine grain, wider than the frame."""
    grain = np.random.default_rng(texture).normal(0, 9, (SIZE[0], 2 * SIZE[1])).astype(np.float32)
    return np.clip(150 + grain, 0, 255)[..., None].repeat(3, axis=2).astype(np.uint8)


def scene(
    at: float,
    *,
    boxes: tuple[tuple[int, int, int, int], ...] = (),
    shade: float = 0.5,
    pan: int = 0,
    brightness: float = 1.0,
    row: int = 130,
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """A red ball on the street with its shadow on the ground below it, and dark grey boxes that stand there."""
    picture = to_light(street()) * np.float32(brightness)
    for top, left, bottom, right in boxes:
        picture[top:bottom, left:right] *= 0.3
    picture = picture[:, pan : pan + SIZE[1]].copy()
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    picture[np.hypot((x - at) / 1.6, (y - row - RADIUS) * 2) < RADIUS] *= np.float32(shade)
    opacity = (np.hypot(x - at, y - row) < RADIUS).astype(np.float32)
    image = to_picture(np.asarray(picture, np.float32), np.zeros(0, np.uint8))
    image[opacity > 0] = (200, 30, 30)
    return image, opacity


def foot(at: float, row: int = 130) -> tuple[int, int]:
    """The middle of what is seen of the shadow."""
    return row + RADIUS + 6, round(at)


def test_a_dark_thing_beside_the_upper_part_of_the_subject_is_no_shadow() -> None:
    """As a couch or a tree behind somebody: nothing but one frame tells."""
    left = Shadows().of(*scene(160, boxes=((90, 180, 125, 240),)))
    assert left[foot(160)] < 0.7
    assert left[105, 200] > 0.95, "the thing begins at the subject, and not at its foot"


def test_a_dark_thing_away_from_the_subject_is_no_shadow() -> None:
    left = Shadows().of(*scene(160, boxes=((150, 205, 175, 225),)))
    assert left[foot(160)] < 0.7
    assert left[162, 214] > 0.95, "it lies at the foot, and ground lies between"


@pytest.mark.parametrize("brightness", [(1.0,), (0.5,), (1.0, 0.9)])
def test_what_was_as_dark_before_the_subject_came_is_no_shadow(brightness: tuple[float, ...]) -> None:
    """A dark box at the foot, of the ground's own colour, touches the shadow; clouds may come, the exposure waver."""
    box = (140, 200, 190, 230)
    shadows = Shadows()
    for frame in range(12):
        shadows.of(*scene(40 + 3 * frame, boxes=(box,)))
    for place, at in enumerate(range(76, 190, 6)):
        left = shadows.of(*scene(at, boxes=(box,), brightness=brightness[place % len(brightness)]))
    assert left[foot(at)] < 0.7, "the subject has its shadow"
    assert left[174:182, 206:224].min() > 0.9, "the box has none"
    alone = Shadows().of(*scene(at, boxes=(box,)))
    assert alone[174:182, 206:224].min() < 0.7, "it takes the frames before to tell"


def test_a_shadow_at_the_subjects_side_is_seen_where_earlier_frames_tell() -> None:
    """As beside a car that is seen from above."""
    shadows = Shadows()
    for frame in range(4):
        image, opacity = scene(40 + 4 * frame, shade=1)
        shadows.of(image, opacity)
    image, opacity = scene(220, shade=1)
    light = to_light(image)
    light[100:125, 236:262] *= np.float32(0.5)
    image = np.where(opacity[..., None] > 0, image, to_picture(light, image))
    assert Shadows().of(image, opacity)[112, 252] > 0.95
    assert shadows.of(image, opacity)[112, 252] < 0.7


def test_a_place_that_always_lay_near_the_subject_has_the_brightest_light_that_it_was_seen_in() -> None:
    """The subject moves on by a little, with a shadow beside its upper part: no place of it was ever far away."""

    def beside(at: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        image, opacity = scene(at, shade=1)
        light = to_light(image)
        light[100:125, at + 16 : at + 38] *= np.float32(0.5)
        return np.where(opacity[..., None] > 0, image, to_picture(light, image)), opacity

    shadows = Shadows()
    shadows.of(*beside(130))
    left = shadows.of(*beside(160))
    assert left[112, 186] < 0.7
    assert left[112, 206] > 0.95, "the ground beside the shadow"
    assert Shadows().of(*beside(160))[112, 186] > 0.95, "one frame does not tell"


def test_a_shadow_is_as_dark_as_it_is_and_ends_softly() -> None:
    left = Shadows().of(*scene(160, shade=0.4))
    assert left[foot(160)] == pytest.approx(0.4, abs=0.1)
    column = left[foot(160)[0], 160:]
    assert np.abs(np.diff(column)).max() < 0.12


def test_a_camera_may_move() -> None:
    box = (140, 300, 180, 330)
    shadows = Shadows()
    for frame in range(40):
        pan = 2 * frame
        left = shadows.of(*scene(60 + 2.8 * frame, boxes=(box,), pan=pan))
    at = 60 + 2.8 * 39
    assert left[foot(at)] < 0.75
    place = slice(300 + 12 - pan, 300 + 26 - pan)
    assert left[150:175, place].min() > 0.85


def test_plain_ground_has_no_corners_and_is_known_all_the_same() -> None:
    """Nothing to track but the subject: the exposure wavers, and the camera stands still."""
    shadows = Shadows()

    def plain(at: float, level: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        image, opacity = scene(at)
        image[opacity == 0] = level
        return image, opacity

    for frame in range(8):
        shadows.of(*plain(40 + 3 * frame, 150 - frame % 4))
    image, opacity = plain(220, 150)
    image[100:125, 236:262][opacity[100:125, 236:262] == 0] = 108
    assert shadows.of(image, opacity)[112, 252] < 0.7


def test_after_a_cut_nothing_is_known_of_before() -> None:
    shadows = Shadows()
    for frame in range(6):
        shadows.of(*scene(40 + 3 * frame))
    image, opacity = scene(220, boxes=((140, 260, 180, 290),))
    dark = np.asarray(image // 4, np.uint8)
    dark[:, ::2] //= 2
    np.testing.assert_array_equal(shadows.of(dark, opacity), Shadows().of(dark, opacity))


def test_a_frame_of_another_size_begins_anew() -> None:
    shadows = Shadows()
    shadows.of(*scene(40))
    image, opacity = scene(220)
    image, opacity = image[:200, :300], opacity[:200, :300]
    np.testing.assert_array_equal(shadows.of(image, opacity), Shadows().of(image, opacity))


def test_black_frames_and_frames_that_are_all_subject_have_no_shadow() -> None:
    shadows = Shadows()
    black: Any = np.zeros((*SIZE, 3), np.uint8)
    for opacity in (np.zeros(SIZE, np.float32), np.ones(SIZE, np.float32), scene(100)[1]):
        assert shadows.of(black, opacity).min() > 0.99
