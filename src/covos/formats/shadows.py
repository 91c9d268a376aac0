"""Shadows: how much the subject darkens what is around it, so that another background can be darkened likewise.

In a band around the subject, the light of each place is compared with what it would be without the subject. Best is the
light that the same place had in earlier frames, when the subject was elsewhere: a dark thing that stands there was as
dark then. The pictures are laid over one another for that, so a camera may move. A place that always lay near the
subject would have no less than the brightest light that it was seen in. If no frame tells, it is the light of the
ground farther away. Something darker may be a thing as well then, so less counts: the shadow has to lie at the
subject's foot. In all cases a shadow is of the ground's colour, and begins at the subject. `benchmarks/shadows.py`
measures how much of it is found.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from covos.core.types import ImageArray, MaskArray, ProbabilityArray
from covos.formats.light import Light, softened, to_light
from covos.masks.distance import distance_to

_SMALL = 270
"""Height at which shadows are looked for: they are soft."""
_NEAR = 0.22
"""A shadow lies within this distance of its subject, in heights of the frame."""
_RIM = 0.01
"""Within this distance a pixel may have some of the subject's light, in heights of the frame."""
_FOOT = (0.45, 0.7)
"""Shares of a subject's height, from its top: one frame shows no shadow above the first, and all below the second."""
_DARKEST = 0.25
_NOISE = (0.04, 0.2)
"""Darkening below the first is the grain of the picture, and all of it counts above the second."""
_FAINT = 0.1
"""Darkening below this belongs to a shadow only beside what is darker."""
_PENUMBRA = 0.02
"""Distance over which a shadow fades beyond what is darker than that, in heights of the frame."""
_DARK = 0.4
"""Share of the ground's light below which the colour counts less and less."""
_COLOUR = 0.06
"""Width of the colours that are taken for the same ground, in shares of red, green and blue."""
_SAME_COLOUR = 0.12
"""The same of one place, earlier and now: the light of the sky gives a shadow a colour of its own."""
_EMPTY = 1e-6
_SURE = 3
"""Frames after which the light of a place is known."""
_LASTING = 16
"""Frames over which it is averaged."""
_HINT = 0.01
"""Frames that the brightest light of a place counts for that always lay near the subject: in a shadow, perhaps."""
_OTHER = 0.2
"""Middle deviation of the light from what is known, as a logarithm, above which the frame is of another shot."""
_CORNERS = 200
_LEAST_CORNERS = 12
_GRAIN = 2.0
"""Levels by which frames of a camera that stands still may differ."""
_BETTER = 0.95
"""Share of the difference between two frames that is left by a movement of the camera which is more than a guess."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Scene:
    """A frame at the size at which shadows are looked for.

    Attributes:
        light: h x w x 3 float32.
        grey: h x w uint8, as it is coded.
        subject: h x w bool.
        distance: h x w float32, pixels to the subject; infinite where there is none.
    """

    light: Light
    grey: NDArray[np.uint8]
    subject: MaskArray
    distance: NDArray[np.float32]

    @property
    def height(self) -> int:
        return int(self.light.shape[0])

    @property
    def away(self) -> MaskArray:
        """The pixels on which no shadow of the subject falls."""
        return np.asarray(self.distance > max(_NEAR * self.height, 2.0))


class Shadows:
    """Finds the shadow of the subject in the frames of a clip, as they come.

    It remembers one small picture, the ground without the subject's shadow, however long the clip is.
    """

    def __init__(self) -> None:
        self._before: _Scene | None = None
        self._ground: Light | None = None
        self._known: NDArray[np.float32] | None = None
        """Number of frames that have told of a place, up to `_LASTING`; `_HINT` if it always lay near the subject."""
        self._moving = 0
        """Frames in which the ground may not lie exactly, after the camera has moved."""

    def of(self, image: ImageArray, opacity: ProbabilityArray) -> ProbabilityArray:
        """Return how much light the subject leaves to what is around it in the next frame.

        Args:
            image: The source, H x W x 3 uint8 RGB.
            opacity: H x W float32 in [0, 1].

        Returns:
            H x W float32: the share of the light that is left, 1 where there is no shadow.
        """
        height, width = opacity.shape
        scene = _scene(image, opacity)
        self._lay_over(scene)
        left = np.ones(scene.grey.shape, np.float32)
        if scene.subject.any() and not scene.subject.all():
            left = self._left(scene)
        self._learn(scene)
        self._before = scene
        return np.asarray(cv2.resize(left, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)

    def _left(self, scene: _Scene) -> NDArray[np.float32]:
        height, distance = scene.height, scene.distance
        reach = max(_NEAR * height, 2.0)
        # The ground beside the subject has some of its colour, which is no shadow's.
        free = (distance > max(_RIM * height, 1.0)).astype(np.float32)
        here = _smooth(scene.light, free)
        far = free * np.clip(distance / reach, 0, 1).astype(np.float32) ** 2
        foot = _at_foot(scene)
        darkened = _darkened(here, _mean(scene.light, far, sigma=reach), alike=_COLOUR) * foot
        if self._ground is not None and self._known is not None:
            share = np.minimum(self._known / np.float32(_SURE), 1)
            before = _smooth(self._ground, share)
            least = before
            if self._moving:  # frames do not lie over one another to a pixel
                least = np.asarray(cv2.erode(before, np.ones((5, 5), np.uint8)), np.float32)
            told = _darkened(here, before, alike=_SAME_COLOUR, least=least) * (foot if self._moving else 1)
            darkened = share * told + (1 - share) * np.maximum(darkened, (self._known > 0) * told)
        # None at the end of the band, so that it has no rim.
        darkened *= free * np.clip(2 - 2 * distance / reach, 0, 1)
        darkened *= _begins_at(distance <= max(_RIM * height, 1.0) + 2, darkened)
        # Under the rim, and under the subject where it is soft, it is as it is beside it.
        kept = np.asarray(1 - darkened, np.float32)
        return _mean(kept[..., None], free, sigma=max(0.01 * height, 0.7))[..., 0]

    def _lay_over(self, scene: _Scene) -> None:
        """Bring what is known of the ground to where it lies in a frame, or forget it if that cannot be told."""
        before, ground, known = self._before, self._ground, self._known
        if before is None or ground is None or known is None:
            return
        motion = _motion(before, scene) if before.grey.shape == scene.grey.shape else None
        if motion is None:
            self._ground = self._known = None
            return
        self._moving = max(0, self._moving - 1)
        if not np.array_equal(motion, np.eye(2, 3)):
            size = scene.grey.shape[1], scene.grey.shape[0]
            weighted = cv2.warpAffine(ground * (known > 0)[..., None], motion, size, flags=cv2.INTER_LINEAR)
            whole = cv2.warpAffine((known > 0).astype(np.float32), motion, size, flags=cv2.INTER_LINEAR)
            known = np.asarray(cv2.warpAffine(known, motion, size, flags=cv2.INTER_NEAREST), np.float32)
            known[whole < 0.99] = 0
            ground = np.asarray(weighted / np.maximum(whole, _EMPTY)[..., None], np.float32)
            self._moving = _LASTING
        told = scene.away & (known >= 1)
        if told.any():
            change = np.log(_sum(scene.light)[told] + 1e-2) - np.log(_sum(ground)[told] + 1e-2)
            middle = np.median(change)
            if np.median(np.abs(change - middle)) > _OTHER:
                self._ground = self._known = None
                return
            ground = ground * np.float32(np.exp(middle))  # exposure, and clouds
        self._ground, self._known = ground, known

    def _learn(self, scene: _Scene) -> None:
        """Take the light of all places that are away from the subject, and the brightest of those near it."""
        if self._ground is None or self._known is None:
            self._ground, self._known = scene.light.copy(), np.zeros(scene.grey.shape, np.float32)
        ground, before = self._ground, self._known
        known = np.where(scene.away, np.minimum(np.floor(before) + 1, _LASTING), before).astype(np.float32)
        share = (scene.away / np.maximum(known, 1))[..., None].astype(np.float32)
        ground = np.asarray(ground + share * (scene.light - ground), np.float32)
        near = ~scene.away & (scene.distance > max(2 * _RIM * scene.height, 1.0)) & (before < 1)
        brighter = near & ((before == 0) | (_sum(scene.light) > _sum(ground)))
        ground[brighter], known[brighter] = scene.light[brighter], _HINT
        self._ground, self._known = ground, known


def _scene(image: ImageArray, opacity: ProbabilityArray) -> _Scene:
    height, width = opacity.shape
    scale = min(1.0, _SMALL / height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    light = np.asarray(cv2.resize(to_light(image), size, interpolation=cv2.INTER_AREA), np.float32)
    subject = np.asarray(cv2.resize(opacity, size, interpolation=cv2.INTER_AREA)) > 0.05
    grey = np.asarray(cv2.cvtColor(cv2.resize(image, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY), np.uint8)
    distance = distance_to(subject, exact=True) if subject.any() else np.full(grey.shape, np.inf, np.float32)
    return _Scene(light=light, grey=grey, subject=subject, distance=np.asarray(distance, np.float32))


def _darkened(here: Light, expected: Light, *, alike: float, least: Light | None = None) -> NDArray[np.float32]:
    """Return the share of the expected light that lacks, h x w, where the colour is the same.

    Args:
        here: The light that there is.
        expected: The light without a shadow.
        alike: Width of the colours that count as the same.
        least: Light that has to lack as well; None takes the one expected.
    """
    brightness, without = _sum(here) + 1e-4, _sum(expected) + 1e-4
    apart = _sum(np.abs(here / brightness[..., None] - expected / without[..., None]))
    # A pixel that is nearly black has no colour to compare, as in the deep shadow under a car.
    apart *= np.clip(brightness / (_DARK * without), 0, 1) ** 2
    lacking = 1 - brightness / without
    surely = lacking if least is None else 1 - brightness / (_sum(least) + 1e-4)
    counts = np.clip((surely - _NOISE[0]) / (_NOISE[1] - _NOISE[0]), 0, 1) * np.exp(-((apart / alike) ** 2))
    return np.asarray(np.clip(lacking, 0, 1 - _DARKEST) * counts, np.float32)


def _sum(light: Light) -> NDArray[np.float32]:
    return np.asarray(cv2.transform(light, np.ones((1, 3), np.float32)), np.float32)


def _at_foot(scene: _Scene) -> NDArray[np.float32]:
    """Return how far each place lies at the foot of the part of the subject that is nearest, h x w in [0, 1]."""
    count, parts, boxes, _ = cv2.connectedComponentsWithStats(scene.subject.view(np.uint8))
    _, nearest = cv2.distanceTransformWithLabels(
        (~scene.subject).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    part_of = np.zeros(nearest.max() + 1, np.int32)
    part_of[nearest[scene.subject]] = parts[scene.subject]
    part = part_of[nearest]
    tops, heights = boxes[:, cv2.CC_STAT_TOP], boxes[:, cv2.CC_STAT_HEIGHT]
    down = (np.arange(scene.height)[:, None] - tops[part]) / np.maximum(heights[part], 1)
    assert count > 1, "there is a subject"
    return np.asarray(np.clip((down - _FOOT[0]) / (_FOOT[1] - _FOOT[0]), 0, 1), np.float32)


def _begins_at(subject: MaskArray, darkened: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return 1 in what is darker and hangs together with such a place at the subject, less beside it: a soft rim."""
    _, parts = cv2.connectedComponents((darkened > _FAINT).view(np.uint8))
    touching = np.unique(parts[subject & (parts > 0)])
    kept = (np.isin(parts, touching) & (parts > 0)).astype(np.float32)
    side = 2 * max(2, round(_PENUMBRA * darkened.shape[0])) + 1
    wide = cv2.dilate(kept, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)))
    return softened(np.asarray(wide, np.float32), side / 6)


def _motion(before: _Scene, after: _Scene) -> NDArray[np.float64] | None:
    """Return the motion of the camera from one frame to the next, 2 x 3; None if it cannot be told.

    It is none at all where that fits about as well: laying over one another blurs.
    """
    ground = (before.distance > 2) & (after.distance > 2)
    still = np.eye(2, 3)
    if not ground.any():
        return None
    height, width = after.grey.shape

    def differs(one: NDArray[np.uint8], other: NDArray[np.uint8] = after.grey) -> float:
        change = one[ground].astype(np.float32) - other[ground]
        return float(np.abs(change - np.median(change)).mean())  # whatever the exposure does

    error, found = differs(before.grey), _tracked(before, after)
    if found is None:
        # Plain ground has no corners, and things that move may have most of them. A camera that stands still changes
        # less than a step by a pixel would.
        step = min(differs(np.roll(before.grey, 1, axis=axis), before.grey) for axis in (0, 1))
        return still if error <= max(step, _GRAIN) else None
    moved = cv2.warpAffine(before.grey, found, (width, height), borderMode=cv2.BORDER_REPLICATE)
    return found if differs(np.asarray(moved, np.uint8)) < _BETTER * error else still


def _tracked(before: _Scene, after: _Scene) -> NDArray[np.float64] | None:
    """Return the motion of most corners of the ground; None if they do not agree on one."""
    ground = ((before.distance > 2) * np.uint8(255)).astype(np.uint8)
    corners: Any
    corners = cv2.goodFeaturesToTrack(before.grey, _CORNERS, 0.01, 5, mask=ground)
    if corners is None:
        return None
    found, status, _ = cv2.calcOpticalFlowPyrLK(before.grey, after.grey, corners, None)  # type: ignore[call-overload]
    told = status[:, 0] > 0
    if told.sum() < _LEAST_CORNERS:
        return None
    motion: Any
    motion, inliers = cv2.estimateAffinePartial2D(corners[told], found[told], ransacReprojThreshold=1.0)
    return None if motion is None or inliers.sum() * 2 < told.sum() else np.asarray(motion, np.float64)


def _smooth(light: Light, weight: NDArray[np.float32]) -> Light:
    """Average away the grain."""
    return _mean(light, weight, sigma=max(0.008 * light.shape[0], 0.5))


def _mean(light: Light, weight: NDArray[np.float32], *, sigma: float) -> Light:
    """Average the light near by, by weight; where none is, by what is farther away."""
    weight = np.asarray(weight + _EMPTY, np.float32)
    spread = softened(np.asarray(light * weight[..., None], np.float32), sigma).reshape(light.shape)
    return np.asarray(spread / softened(weight, sigma)[..., None], np.float32)
