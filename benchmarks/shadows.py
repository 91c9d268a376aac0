"""Score the shadows that `--shadow` keeps: on clips into which a known soft shadow is multiplied.

    python benchmarks/shadows.py --data PICTURES [--clips 8] [--sheet FILE.png]

PICTURES is a data set of pictures with masks, such as DUTS-TE, or a folder of them. Its solid things, cut out by their
masks, stand on a ground that is drawn, or before another of the pictures, which has shadows, dark things and edges of
its own. The shadow is the silhouette laid onto the ground, to one side and behind or before the thing, with a darker
place where the thing touches the ground. It is blurred and multiplied into the light of the ground. The thing moves
over the picture, or stays where it is, or moves while the camera follows it. Alpha is the true one.

An error is that of the darkening, the share of the light that lacks, times 1000: its mean in the shadow's area (where
the true darkening is above 0.05, and alpha below one half) and outside of it. Without ``--shadow`` the error is the
shadow itself. "Kept" is the part of the true darkening that is found. The last half of the frames counts, since the
first ones tell of the ground. A sheet shows the first clips: the frame, the true darkening, the one found.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from contact import write
from covos.core.types import ImageArray, MaskArray, ProbabilityArray
from covos.data import Video, open_collection, read_foreground, read_image
from covos.formats.light import to_light, to_picture
from covos.formats.shadows import Shadows
from covos.masks import contact_sheet
from recorded import keep

SIZE = (270, 480)
FRAMES = 16
SEED = 7
IN_SHADOW = 0.05
"""Least true darkening of the shadow's area."""
LEAST, MOST = 0.04, 0.3
"""Shares of its picture that a thing covers."""
MOTIONS = ("moves", "stays", "followed by the camera")
GROUNDS = ("a drawn ground", "a picture")
Floats = NDArray[np.float32]


class Thing(NamedTuple):
    """A solid thing cut out of a picture: its colours, h x w x 3 uint8, and its alpha, h x w float32."""

    image: ImageArray
    alpha: ProbabilityArray


class ShadowFrame(NamedTuple):
    """A frame of a clip."""

    image: ImageArray
    """H x W x 3 uint8 RGB."""
    alpha: ProbabilityArray
    """H x W float32."""
    darkening: Floats
    """H x W float32: the share of the ground's light that the shadow takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sun:
    """The light that makes a shadow.

    Attributes:
        lean: Columns that a place of the shadow lies to the side, for each row that the thing is high.
        length: Height of the shadow over that of the thing; below zero it falls before the thing.
        strength: Darkening of the shadow.
        contact: Darkening where the thing touches the ground.
        blur: Of the shadow, in rows.
        tint: Shares of the darkening in red, green and blue: a shadow has the light of the sky.
    """

    lean: float
    length: float
    strength: float
    contact: float
    blur: float
    tint: tuple[float, float, float] = (1.0, 0.98, 0.94)

    @classmethod
    def draw(cls, rng: Generator) -> Sun:
        """Draw one."""
        return cls(
            lean=float(rng.uniform(-0.35, 0.35)),
            length=float(rng.choice([-1, 1]) * rng.uniform(0.1, 0.4)),
            strength=float(rng.uniform(0.3, 0.6)),
            contact=float(rng.uniform(0.3, 0.6)),
            blur=float(rng.uniform(2, 6)),
        )

    def darkening(self, alpha: ProbabilityArray) -> Floats:
        """Return what the shadow of a thing takes of the light: H x W float32."""
        rows, columns = (np.flatnonzero((alpha > 0.5).any(axis)) for axis in (1, 0))
        foot, width, height = int(rows[-1]), int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1
        # A point (x, y) of the thing, (foot - y) above the ground, casts its shadow at foot - length (foot - y).
        matrix = np.array([[1, -self.lean, self.lean * foot], [0, self.length, foot * (1 - self.length)]])
        cast = cv2.warpAffine(alpha, matrix, alpha.shape[::-1], flags=cv2.INTER_AREA)
        standing = np.flatnonzero((alpha[max(0, foot - height // 8) : foot + 1] > 0.5).any(0))
        touched = np.zeros_like(alpha)
        centre = (int(standing.mean()), foot - 1)
        cv2.ellipse(touched, centre, (max(3, int(np.ptp(standing)) // 2), max(2, width // 16)), 0, 0, 360, 1.0, -1)
        soft = cv2.GaussianBlur(cast, (0, 0), self.blur) * self.strength
        dark = cv2.GaussianBlur(touched, (0, 0), self.blur) * self.contact
        return np.asarray(1 - (1 - soft) * (1 - dark), np.float32)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="pictures with masks")
    parser.add_argument("--clips", type=int, default=8, help="of each kind")
    parser.add_argument("--sheet", type=Path, help="a picture to write")
    parser.add_argument("--json", type=Path, help="keep the table in this file: see recorded.py")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    pictures = [video for dataset in open_collection(options.data) for video in dataset]
    things = list(_things(pictures, count=options.clips))
    rows: list[list[str | float]] = []
    shown: list[ImageArray] = []
    for ground in GROUNDS:
        for motion in MOTIONS:
            scores = []
            for number, thing in enumerate(things):
                rng = np.random.default_rng((SEED, number))
                behind = read_image(pictures[int(rng.integers(len(pictures)))].frames[0])
                clip = compose(thing, behind if ground == "a picture" else None, motion=motion, rng=rng)
                found = keep_shadows(clip)
                scores.append(score(clip, found))
                if number < 4:
                    shown += [clip[-1].image, _drawn(clip[-1].darkening, clip[-1]), _drawn(found[-1], clip[-1])]
            columns = [statistics.fmean(column) for column in zip(*scores, strict=True)]
            rows.append([f"{motion}, {ground}", *columns])
            print(f"{rows[-1][0]:40}" + "".join(f"{each:9.1f}" for each in columns), flush=True)
    names = [
        "the subject",
        "in the shadow, without",
        "with `--shadow`",
        "kept, %",
        "outside, without",
        "with `--shadow`",
    ]
    keep(options.json, "kept", columns=names, rows=rows, digits=[0, 0, 0, 0, 1, 1])
    if options.sheet is not None:
        write(options.sheet, contact_sheet(shown, columns=6, cell_width=240))


def keep_shadows(clip: Sequence[ShadowFrame]) -> list[Floats]:
    """Return the darkening that is found in each frame."""
    shadows = Shadows()
    return [np.asarray(1 - shadows.of(frame.image, frame.alpha), np.float32) for frame in clip]


def score(clip: Sequence[ShadowFrame], found: Sequence[Floats]) -> list[float]:
    """Return the columns of the table: errors without and with what is found, the part that is kept, both outside."""
    scores = []
    for frame, own in list(zip(clip, found, strict=True))[len(clip) // 2 :]:
        seen = frame.alpha < 0.5
        inside, outside = seen & (frame.darkening > IN_SHADOW), seen & (frame.darkening <= IN_SHADOW)
        true, told = frame.darkening[inside], own[inside]
        kept = 100 * float(np.minimum(true, told).sum() / true.sum())
        wrong = np.abs(own - frame.darkening)[outside]
        means = (1e3 * float(each.mean()) for each in (true, np.abs(told - true), frame.darkening[outside], wrong))
        without, with_it, *beyond = means
        scores.append((without, with_it, kept, *beyond))
    return [statistics.fmean(column) for column in zip(*scores, strict=True)]


def compose(thing: Thing, picture: ImageArray | None, *, motion: str, rng: Generator) -> list[ShadowFrame]:
    """Compose a clip of a thing with its shadow on a ground that is drawn, or before a picture."""
    wide = (SIZE[0], 2 * SIZE[1])
    ground = _drawn_ground(wide, rng) if picture is None else _filling(picture, wide)
    sun, height, width = Sun.draw(rng), *SIZE
    scale = rng.uniform(0.35, 0.55) * height / thing.alpha.shape[0]
    scale = min(scale, 0.4 * width / thing.alpha.shape[1])
    size = max(8, round(thing.alpha.shape[1] * scale)), max(8, round(thing.alpha.shape[0] * scale))
    image, alpha = (cv2.resize(each, size, interpolation=cv2.INTER_AREA) for each in thing)
    top = int(rng.uniform(0.72, 0.85) * height) - size[1]
    way = rng.uniform(0.3, 0.5) * width * rng.choice([-1, 1])
    clip = []
    for index in range(FRAMES):
        gone = index / (FRAMES - 1) - 0.5
        step = round(gone * way) if motion != "stays" else 0
        camera = step if motion == MOTIONS[2] else 0
        left = (width - size[0]) // 2 + step - camera
        first = width // 2 + camera
        here = ground[:, first : first + width]
        laid, colours = np.zeros(SIZE, np.float32), np.zeros((*SIZE, 3), np.uint8)
        rows, columns = slice(top, top + size[1]), slice(max(0, left), min(width, left + size[0]))
        part = slice(columns.start - left, columns.stop - left)
        laid[rows, columns], colours[rows, columns] = alpha[:, part], image[:, part]
        darkening = sun.darkening(laid)
        light = to_light(np.ascontiguousarray(here)) * (1 - darkening[..., None] * np.array(sun.tint, np.float32))
        mixed = laid[..., None] * to_light(colours) + (1 - laid[..., None]) * light
        noisy = to_picture(np.asarray(mixed, np.float32), colours) + rng.normal(0, 2, (*SIZE, 3))
        seen = np.asarray(darkening * np.float32(np.mean(sun.tint)), np.float32)
        clip.append(ShadowFrame(np.clip(noisy, 0, 255).astype(np.uint8), laid, seen))
    return clip


def _things(pictures: Sequence[Video], *, count: int) -> Iterator[Thing]:
    """Yield solid things that stand free in their pictures."""
    for video in pictures:
        mask = read_foreground(video, video.frames[0]).probability > 0.5
        if count and _stands_free(mask):
            rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
            box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
            # The pixels at the edge of a mask have some of the old background.
            inner = cv2.erode(mask.view(np.uint8), np.ones((3, 3), np.uint8)).astype(np.float32)
            count -= 1
            yield Thing(read_image(video.frames[0])[box], np.ascontiguousarray(cv2.blur(inner, (3, 3))[box]))


def _stands_free(mask: MaskArray) -> bool:
    rim = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
    number, _, facts, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8))
    return bool(LEAST < mask.mean() < MOST and not rim.any() and facts[1:number, 4].max() > 0.95 * mask.sum())


def _drawn_ground(size: tuple[int, int], rng: Generator) -> ImageArray:
    """Draw a ground of one colour with grain, lighter and darker places, and some dark flat things that lie on it."""
    colour = rng.uniform(90, 190) * (1 + rng.uniform(-0.12, 0.12, 3))
    slow = cv2.resize(rng.normal(0, 1, (6, 20)), size[::-1], interpolation=cv2.INTER_CUBIC)
    image = colour * (1 + 0.06 * slow + 0.05 * rng.normal(0, 1, size))[..., None]
    for _ in range(6):
        centre = int(rng.uniform(0, size[1])), int(rng.uniform(0.5, 1) * size[0])
        mask = np.zeros(size, np.uint8)
        cv2.ellipse(mask, centre, (int(rng.uniform(8, 40)), int(rng.uniform(4, 16))), 0, 0, 360, 1, -1)
        image[mask > 0] *= rng.uniform(0.5, 0.8)
    return np.clip(image, 0, 255).astype(np.uint8)


def _filling(picture: ImageArray, size: tuple[int, int]) -> ImageArray:
    """Return a picture that fills a size, mirrored to the side where it is too narrow."""
    height, width = size
    scaled = cv2.resize(picture, (round(picture.shape[1] * height / picture.shape[0]), height))
    both = np.hstack([scaled, scaled[:, ::-1]])
    return np.ascontiguousarray(np.tile(both, (1, -(-width // both.shape[1]), 1))[:, :width])


def _drawn(darkening: Floats, frame: ShadowFrame) -> ImageArray:
    """Draw a darkening: black where no light is left, and the thing in red."""
    grey = np.rint(255 * (1 - darkening))[..., None].repeat(3, axis=2)
    return np.where(frame.alpha[..., None] > 0.5, (200, 40, 40), grey).astype(np.uint8)


if __name__ == "__main__":
    main()
