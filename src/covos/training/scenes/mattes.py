"""Short clips whose alpha is known exactly: things with soft edges that move over other pictures.

A thing is drawn, or cut out of a picture with a matte or a mask. It moves, is blurred by its motion or out of focus,
and is mixed with a picture that moves by itself. The mask that the network starts from is that alpha, spoiled.

Shape legend: H, W are those of a window: a tile, and what is around it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from covos.core.types import ImageArray, MaskArray, ProbabilityArray
from covos.data import Dataset, Video, read_foreground
from covos.engines.band import FarColours, uncertain_band
from covos.masks.foreground import foreground_colours
from covos.training.pools import Pool, make_pool, without_held_back
from covos.training.recipe import MatteRecipe
from covos.training.scenes import pictures
from covos.training.scenes.cutouts import Cutout, LayerArray, as_layer, log_uniform
from covos.training.scenes.light import recolour
from covos.training.scenes.strands import draw_thing
from covos.training.scenes.windows import seen_through, window_matrix

LEVELS = 16
"""A set whose masks have more levels than this holds mattes; others have masks, smoothed at most."""
LOOKED_AT = 8
"""Masks of a set that are looked at."""
SOFT = (25, 230)
"""Levels of alpha between which a pixel is worth looking at."""
SHAVED = 2
"""Pixels that are taken off the edge of a thing with a hard mask: nobody knows how much of them is background."""
MOST_SUBFRAMES = 8
"""Moments that a frame with motion blur is the mean of."""
LEAST_BAND = 0.04
"""Share of a window that the band covers, at least, if a few tries bring one."""
TRIES = 3
SPARSE = 0.35
"""Share of the trimaps in which only spots of what is sure are marked."""

Floats = NDArray[np.float32]


class Thing(NamedTuple):
    """Something to be matted."""

    layer: LayerArray
    """Its colours multiplied by alpha, and alpha."""
    solid: bool
    """True if it was cut out with a hard mask: its colours are real."""
    enlarge: bool
    """True if it may be shown larger than it is: a drawn thing has no noise that would grow."""


class MatteFrame(NamedTuple):
    """A frame of a clip."""

    image: ImageArray
    """H x W x 3 uint8 RGB."""
    alpha: ProbabilityArray
    """H x W float32."""
    probability: ProbabilityArray
    """H x W float32: what the network starts from."""
    band: MaskArray
    """H x W bool: pixels whose alpha is asked for."""
    far: FarColours
    """Colours of both sides that lie beyond the window."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MattePools:
    """The pictures that clips are made of: those with mattes, those with hard masks, and backgrounds."""

    soft: Pool | None
    hard: Pool | None
    behind: Pool

    @classmethod
    def of(cls, datasets: Sequence[Dataset]) -> MattePools:
        """Pool data sets, without the pictures that are held back for measuring."""
        datasets = without_held_back(datasets)
        soft = [each for each in datasets if has_mattes(each)]
        hard = [each for each in datasets if each not in soft]
        behind = make_pool(hard, kind="image") or make_pool(hard, kind="video") or make_pool(soft, kind="image")
        assert behind is not None, "the data sets hold annotated frames"
        return cls(soft=make_pool(soft, kind="image"), hard=make_pool(hard, kind="image"), behind=behind)


def has_mattes(dataset: Dataset) -> bool:
    """Return True if the masks of a set of pictures are mattes: of many levels, not of two or a few."""
    stills = [video for video in dataset if video.kind == "image" and video.annotated]
    looked_at = stills[:: max(1, len(stills) // LOOKED_AT)][:LOOKED_AT]
    levels = [len(np.unique(np.rint(read_foreground(v, v.annotated[0]).probability * 255))) for v in looked_at]
    return bool(levels) and float(np.median(levels)) > LEVELS


def draw_clip(pools: MattePools, *, frames: int, side: int, recipe: MatteRecipe, rng: Generator) -> list[MatteFrame]:
    """Draw a clip of square windows of this side, with something to find in it."""
    for _ in range(TRIES):
        clip = _draw_clip(pools, frames=frames, side=side, recipe=recipe, rng=rng)
        if all(float(frame.band.mean()) > LEAST_BAND for frame in clip):
            break
    return clip


def _draw_clip(pools: MattePools, *, frames: int, side: int, recipe: MatteRecipe, rng: Generator) -> list[MatteFrame]:
    thing = _draw_thing(pools, recipe=recipe, rng=rng)
    picture = _background(pools, rng=rng)
    if recipe.alike_share and rng.random() < recipe.alike_share:
        picture = _alike(picture, thing.layer, share=float(rng.uniform(0.5, 1)))
    path = _Path.draw(thing, side=side, rng=rng)
    view = _Path.draw_view(picture.shape, side=side, rng=rng)
    shutter = float(rng.uniform(0.3, 1.0)) if rng.random() < recipe.motion_blur_share else 0.0
    disc = _disc(float(rng.uniform(1, 6))) if rng.random() < recipe.defocus_share else None
    tint = rng.uniform(0.75, 1.25) * rng.uniform(0.92, 1.08, 3)
    spoiling, guide = _Spoiling.draw(rng), _Guide.draw(recipe, rng=rng)
    drawn = []
    for index in range(frames):
        layer = path.layer(thing.layer, index, shutter=shutter, side=side)
        if disc is not None:
            layer = np.asarray(cv2.filter2D(layer, -1, disc, borderType=cv2.BORDER_REFLECT_101), np.float32)
        alpha = np.clip(layer[..., 3] / 255, 0, 1).astype(np.float32)
        behind = view.seen(picture, index, side=side).astype(np.float32)
        mixed = (layer[..., :3] * tint).clip(0, 255) + behind * (1 - alpha[..., None])
        image = spoiling.apply(np.clip(mixed, 0, 255), rng=rng)
        probability, band = guide.of(alpha, rng=rng)
        far = FarColours(spoiling.shade(_seen_colour(layer) * tint), spoiling.shade(behind.mean(axis=(0, 1))))
        drawn.append(MatteFrame(image, alpha, probability, band, far))
    return drawn


def _seen_colour(layer: Floats) -> NDArray[np.float64]:
    """Return the mean colour of a thing, in 0..255."""
    total = layer.reshape(-1, 4).sum(axis=0, dtype=np.float64)
    return np.asarray(total[:3] * 255 / max(total[3], 1.0), np.float64)


def _draw_thing(pools: MattePools, *, recipe: MatteRecipe, rng: Generator) -> Thing:
    draw = rng.random() - recipe.drawn_share
    if draw >= 0 and pools.hard is not None and draw < recipe.hard_share:
        thing = Thing(_layer_of(pools.hard.draw(rng), soft=False), True, False)
    elif draw >= 0 and pools.soft is not None:
        thing = Thing(_layer_of(pools.soft.draw(rng), soft=True), False, False)
    else:
        thing = Thing(draw_thing(recipe.drawn_side, rng=rng), False, True)
    if thing.solid:
        return thing
    photo = pictures.read_image(pools.behind.draw(rng).frames[0])
    if rng.random() >= recipe.texture_share:
        return thing._replace(layer=_shaded(thing.layer, photo, strength=float(rng.uniform(0, 0.8))))
    height, width = thing.layer.shape[:2]
    colours = np.asarray(cv2.resize(photo, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    alpha = np.asarray(cv2.extractChannel(thing.layer, 3), np.float32) / 255
    mixed = cv2.cvtColor(recolour(colours, rng=rng), cv2.COLOR_RGB2RGBA).astype(np.float32) * alpha[..., None]
    mixed[..., 3] = alpha * 255
    return thing._replace(layer=np.rint(mixed).astype(np.uint8))


def _shaded(layer: LayerArray, photo: ImageArray, *, strength: float) -> LayerArray:
    """Return a thing with the light and shade of a picture: drawn and rendered things are smoother than real ones."""
    grey = np.asarray(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY), np.float32)
    shade = cv2.resize(grey / max(float(grey.mean()), 1.0), layer.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    factor = 1 + strength * (shade - 1)
    alpha = layer[..., 3]
    shaded = np.minimum(layer[..., :3] * factor[..., None], alpha[..., None])
    return np.dstack([shaded, alpha]).astype(np.uint8)


def _spots(shape: tuple[int, ...], *, rng: Generator) -> MaskArray:
    spots = np.zeros(shape[:2], np.uint8)
    for _ in range(int(rng.integers(2, 14))):
        centre = rng.integers(0, shape[1]), rng.integers(0, shape[0])
        axes = rng.integers(3, 30, 2)
        cv2.ellipse(
            spots,
            (int(centre[0]), int(centre[1])),
            (int(axes[0]), int(axes[1])),
            float(rng.uniform(0, 180)),
            0,
            360,
            1,
            -1,
        )
    return spots > 0


_LAYERS = pictures.ReadBefore(most_bytes=400 * 2**20)


def _layer_of(picture: Video, *, soft: bool) -> LayerArray:
    """Return the subject of a still picture, with nothing of its background.

    A matte gives the subject's own colours where they are mixed. A hard mask is made smaller and its edge smooth.
    """

    def make() -> tuple[NDArray[np.generic], ...]:
        record = picture.annotated[0]
        image, alpha = pictures.read_image(record), pictures.read_foreground(picture, record).probability
        if soft:
            return (as_layer(Cutout(foreground_colours(image, alpha), alpha)),)
        shaved = cv2.erode(alpha, np.ones((2 * SHAVED + 1, 2 * SHAVED + 1), np.uint8))
        return (as_layer(Cutout(image, np.asarray(cv2.GaussianBlur(shaved, (0, 0), 0.7), np.float32))),)

    (layer,) = _LAYERS.read("layer", picture.annotated[0].annotation, make)
    return np.asarray(layer, np.uint8)


def _background(pools: MattePools, *, rng: Generator) -> ImageArray:
    picture = recolour(pictures.read_image(pools.behind.draw(rng).frames[0]), rng=rng)
    draw = rng.random()
    if draw < 0.06:  # a wall or a screen
        return np.ascontiguousarray(np.broadcast_to(rng.integers(0, 256, 3).astype(np.uint8), picture.shape))
    if draw < 0.45:  # out of focus
        return np.asarray(cv2.GaussianBlur(picture, (0, 0), log_uniform((0.7, 8), rng=rng)), np.uint8)
    return picture


def _alike(picture: ImageArray, layer: LayerArray, *, share: float) -> ImageArray:
    """Return a background whose colours are like a thing's: colour does not separate the two, only a mask does."""
    own = layer[layer[..., 3] > 250][:, :3].astype(np.float32)
    if len(own) < 16:  # too thin to have a colour
        return picture
    mean, spread = (getattr(picture.astype(np.float32), name)(axis=(0, 1)) for name in ("mean", "std"))
    scale = 1 + share * (np.clip(own.std(axis=0) / np.maximum(spread, 1), 0.1, 1) - 1)
    moved = (picture - mean) * scale + mean + share * (own.mean(axis=0) - mean)
    return np.asarray(np.clip(np.rint(moved), 0, 255), np.uint8)


@dataclass(frozen=True, slots=True)
class _Path:
    """A way through the window: at the time t it is seen through the start, turned, grown and moved by t."""

    start: NDArray[np.float64]
    """2 x 3 from the window's pixels to the picture's."""
    step: NDArray[np.float64]
    """(x, y) pixels of the window a frame."""
    turn: float
    growth: float

    @classmethod
    def draw(cls, thing: Thing, *, side: int, rng: Generator) -> _Path:
        """Draw the way of a thing, a soft part of which is near the middle of the window."""
        alpha = cv2.extractChannel(thing.layer, 3)
        soft = np.flatnonzero((alpha > SOFT[0]) & (alpha < SOFT[1]))
        place = int(soft[rng.integers(len(soft))]) if len(soft) else alpha.size // 2
        spot = np.array([place % alpha.shape[1], place // alpha.shape[1]], np.float64)
        scale = log_uniform((0.4, 1.5 if thing.enlarge else 1.0), rng=rng)
        jitter = rng.uniform(-0.25, 0.25, 2) * side
        turn = float(rng.uniform(-40, 40))
        center = spot + jitter / scale
        window = window_matrix(
            center=center, extent=(side / scale, side / scale), degrees=turn, flip=rng.random() < 0.5, size=(side, side)
        )
        return cls._moving(window, most=14.0, rng=rng)

    @classmethod
    def draw_view(cls, shape: Sequence[int], *, side: int, rng: Generator) -> _Path:
        """Draw the way of a background."""
        scale = log_uniform((0.7, 1.8), rng=rng)
        extent = min(side / scale, min(shape[:2]) * 1.0)
        center = np.array([rng.uniform(0.2, 0.8) * shape[1], rng.uniform(0.2, 0.8) * shape[0]])
        window = window_matrix(
            center=center,
            extent=(extent, extent),
            degrees=rng.uniform(-15, 15),
            flip=rng.random() < 0.5,
            size=(side, side),
        )
        return cls._moving(window, most=8.0, rng=rng)

    @classmethod
    def _moving(cls, window: NDArray[np.float64], *, most: float, rng: Generator) -> _Path:
        angle = rng.uniform(0, 2 * np.pi)
        speed = log_uniform((0.15, most), rng=rng) if rng.random() < 0.85 else 0.0
        return cls(
            window,
            speed * np.array([np.cos(angle), np.sin(angle)]),
            float(rng.normal(0, 1.2)),
            float(rng.normal(0, 0.01)),
        )

    def at(self, time: float, *, side: int) -> NDArray[np.float64]:
        angle, grown = np.deg2rad(self.turn * time), np.exp(self.growth * time)
        turned = grown * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        middle = np.full(2, (side - 1) / 2)
        offset = middle - turned @ middle - self.step * time
        linear = self.start[:, :2] @ turned
        return np.concatenate([linear, (self.start[:, :2] @ offset + self.start[:, 2])[:, None]], axis=1)

    def seen(self, picture: ImageArray, time: float, *, side: int) -> ImageArray:
        return seen_through(picture, self.at(time, side=side), size=(side, side))

    def layer(self, layer: LayerArray, index: int, *, shutter: float, side: int) -> Floats:
        """Return a layer as it is seen while the shutter is open: H x W x 4 float32, alpha in 0..255."""
        way = float(np.hypot(*self.step)) * shutter
        count = int(np.clip(way / 1.5, 1, MOST_SUBFRAMES)) if shutter else 1
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        total = np.zeros((side, side, 4), np.float32)
        for part in range(count):
            time = index + shutter * ((part + 0.5) / count - 0.5)
            cv2.accumulate(cv2.warpAffine(layer, self.at(time, side=side), (side, side), flags=flags), total)
        return total / np.float32(count)


def _disc(radius: float) -> Floats:
    """Return the kernel of a lens that is out of focus: a disc that sums to 1."""
    reach = int(np.ceil(radius))
    grid = np.arange(-reach, reach + 1)
    kernel = np.clip(radius + 0.5 - np.hypot(grid, grid[:, None]), 0, 1)
    return np.asarray(kernel / kernel.sum(), np.float32)


@dataclass(frozen=True, slots=True)
class _Spoiling:
    """Light, noise and coding of a clip."""

    gain: NDArray[np.float64]
    bias: float
    noise: float
    quality: int | None

    @classmethod
    def draw(cls, rng: Generator) -> _Spoiling:
        return cls(
            rng.uniform(0.75, 1.2) * rng.uniform(0.94, 1.06, 3),
            float(rng.uniform(-12, 12)),
            float(rng.uniform(0.5, 8)) if rng.random() < 0.6 else 0.0,
            int(rng.integers(40, 96)) if rng.random() < 0.5 else None,
        )

    def shade(self, colour: NDArray[np.floating]) -> Floats:
        """Return a colour, in 0..255, in this light: 1 x 1 x 3 float32 in [0, 1]."""
        return np.asarray((colour * self.gain + self.bias).clip(0, 255) / 255, np.float32).reshape(1, 1, 3)

    def apply(self, mixed: NDArray[np.floating], *, rng: Generator) -> ImageArray:
        values = mixed * self.gain + self.bias
        if self.noise:
            values = values + rng.standard_normal(values.shape, np.float32) * np.float32(self.noise)
        image = np.clip(values, 0, 255).astype(np.uint8)
        if self.quality is None:
            return image
        _, code = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, self.quality])
        return np.ascontiguousarray(np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR), np.uint8)[..., ::-1])


@dataclass(frozen=True, slots=True)
class _Guide:
    """A way to spoil an alpha into what the network starts from, much the same for all frames of a clip.

    Either a mask with its contour moved, made coarse and blurred, as networks give it (Yu et al., *Mask Guided
    Matting*, CVPR 2021); or a trimap, in which the probability of all that is not sure is one half; or an alpha as the
    network itself finds it in a smaller picture, off here and there.
    """

    trimap: bool
    smaller: bool
    sparse: bool
    least: float
    size: int
    coarse: int
    blur: float
    reach: float

    @classmethod
    def draw(cls, recipe: MatteRecipe, *, rng: Generator) -> _Guide:
        kind = rng.random()
        return cls(
            kind < recipe.trimap_share,
            kind >= 1 - recipe.smaller_share,
            rng.random() < SPARSE,
            float(rng.uniform(0.05, 0.95)),
            round(log_uniform((1, 16), rng=rng)),
            int(rng.choice([1, 2, 4, 8])),
            log_uniform((0.5, 4), rng=rng),
            log_uniform((5, 20), rng=rng),
        )

    def of(self, alpha: ProbabilityArray, *, rng: Generator) -> tuple[ProbabilityArray, MaskArray]:
        if self.trimap:
            return self._trimap(alpha, rng=rng)
        if self.smaller:
            return self._smaller(alpha, rng=rng)
        mask = (alpha > np.clip(self.least + rng.normal(0, 0.1), 0.02, 0.98)).astype(np.uint8)
        size = max(1, self.size + int(rng.integers(-2, 3)))
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
        change = rng.choice([cv2.MORPH_ERODE, cv2.MORPH_DILATE, cv2.MORPH_OPEN, cv2.MORPH_CLOSE])
        soft = np.asarray(cv2.morphologyEx(mask, int(change), disc), np.float32)
        height, width = alpha.shape
        if self.coarse > 1:
            small = cv2.resize(soft, (width // self.coarse, height // self.coarse), interpolation=cv2.INTER_AREA)
            soft = np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
        soft = np.clip(cv2.GaussianBlur(soft, (0, 0), self.blur), 0, 1).astype(np.float32)
        return soft, uncertain_band(soft, reach=self.reach)

    def _trimap(self, alpha: ProbabilityArray, *, rng: Generator) -> tuple[ProbabilityArray, MaskArray]:
        sure = []
        for side in (alpha > 0.98, alpha < 0.02):
            size = 2 * max(1, round(self.reach * rng.uniform(0.3, 1.2))) + 1
            disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
            sure.append(cv2.erode(side.astype(np.uint8), disc, borderType=cv2.BORDER_REPLICATE) > 0)
        if self.sparse:  # only a few spots are known, also of what is plain to see
            sure = [side & _spots(alpha.shape, rng=rng) for side in sure]
        probability = np.full(alpha.shape, 0.5, np.float32)
        probability[sure[0]], probability[sure[1]] = 1, 0
        return probability, ~(sure[0] | sure[1])

    def _smaller(self, alpha: ProbabilityArray, *, rng: Generator) -> tuple[ProbabilityArray, MaskArray]:
        factor = min(max(self.coarse, 2), 4)
        height, width = alpha.shape
        small = np.asarray(
            cv2.resize(alpha, (width // factor, height // factor), interpolation=cv2.INTER_AREA), np.float32
        )
        # Off by a smooth field, most where it is soft; harder or softer than it is.
        field = cv2.resize(
            rng.standard_normal((5, 5)).astype(np.float32), small.shape[::-1], interpolation=cv2.INTER_CUBIC
        )
        soft = np.sqrt(np.clip(small * (1 - small), 0, None)) + 0.05 * (rng.random() < 0.5)
        contrast = log_uniform((0.8, 1.6), rng=rng)
        small = np.clip((small - 0.5) * contrast + 0.5 + rng.uniform(0, 0.5) * field * soft, 0, 1)
        rough = np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
        unsure = ((small > 0.02) & (small < 0.98)).astype(np.uint8)
        unsure = cv2.dilate(unsure, np.ones((3, 3), np.uint8))
        band = cv2.resize(unsure, (width, height), interpolation=cv2.INTER_NEAREST) > 0
        return np.where(band, rough, np.rint(rough)).astype(np.float32), band
