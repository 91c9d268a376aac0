"""Graphics that are fixed to the screen: scoreboards, banners, logos and subtitles; none of them is the subject.

They stand still on the screen while the camera moves the scene below them. A network that takes what the camera
follows for the subject takes them too, unless it has seen many.
"""

from __future__ import annotations

import string
from typing import NamedTuple

import cv2
import numpy as np
from numpy.random import Generator

from covos.core.types import ImageArray
from covos.training.pools import Pool
from covos.training.scenes.cutouts import cut_out_subject
from covos.training.scenes.layers import blend_over
from covos.training.scenes.windows import ByteMask, as_bytes

FONTS = (
    cv2.FONT_HERSHEY_SIMPLEX,
    cv2.FONT_HERSHEY_PLAIN,
    cv2.FONT_HERSHEY_DUPLEX,
    cv2.FONT_HERSHEY_COMPLEX,
    cv2.FONT_HERSHEY_TRIPLEX,
)
LETTERS = np.array(list(string.ascii_letters + string.digits + ":-.!"))
HIDES = 128
"""From this alpha on, the subject below graphics is no longer in the target."""
LOGO_SHARE = (0.07, 0.22)
"""Height of a logo over that of the view."""
Color = tuple[int, int, int]


class Graphics(NamedTuple):
    """The things that lie over all frames of a group, and over the frames beside them."""

    image: ImageArray
    """H x W x 3 uint8 RGB, of the view's size."""
    alpha: ByteMask

    def over(self, view: ImageArray) -> ImageArray:
        """Return a view with the graphics over it."""
        x, y, width, height = cv2.boundingRect(self.alpha)
        box = slice(y, y + height), slice(x, x + width)
        shown = view.copy()
        shown[box] = blend_over(view[box], self.image[box], self.alpha[box])
        return shown

    def hidden(self, subject: ByteMask) -> ByteMask:
        """Return the part of a subject that the graphics leave; under a plate that shines through it is hidden too."""
        return np.where(self.alpha >= HIDES, np.uint8(0), subject)


def draw_graphics(still: Pool | None, *, size: tuple[int, int], rng: Generator) -> Graphics:
    """Draw one to three things that lie over a view of size (height, width); logos are made of still pictures."""
    graphics = Graphics(np.zeros((*size, 3), np.uint8), np.zeros(size, np.uint8))
    kinds = rng.choice(4, size=int(rng.integers(1, 4)), replace=False)
    for kind in kinds.tolist():
        if kind == 0:
            _draw_board(graphics, rng=rng)
        elif kind == 1:
            _draw_banner(graphics, rng=rng)
        elif kind == 2:
            _draw_subtitles(graphics, rng=rng)
        elif still is None or rng.random() < 0.4 or not _draw_cutout(graphics, still, rng=rng):
            _draw_shape(graphics, rng=rng)
    return graphics


def _draw_board(graphics: Graphics, *, rng: Generator) -> None:
    """Draw a scoreboard near a corner: one to three rows of two or three fields."""
    height = graphics.alpha.shape[0]
    row = max(int(height * rng.uniform(0.05, 0.1)), 6)
    rows, fields = int(rng.integers(1, 4)), int(rng.integers(2, 4))
    widths = [int(row * rng.uniform(1.2, 4)) for _ in range(fields)]
    left, top = _corner(graphics, extent=(rows * row, sum(widths)), rng=rng)
    opacity = _opacity(rng)
    for index in range(rows):
        x = left
        for column in widths:
            color = _color(rng)
            box = (x, top + index * row, column, row)
            _fill(graphics, box, color=color, opacity=opacity)
            _write(graphics, _words(rng, letters=(1, 6)), box, color=_contrast(color), rng=rng)
            x += column


def _draw_banner(graphics: Graphics, *, rng: Generator) -> None:
    """Draw a banner over much of the width, at the bottom or the top, with one or two lines of text."""
    height, width = graphics.alpha.shape
    tall = int(height * rng.uniform(0.08, 0.2))
    wide = int(width * rng.uniform(0.4, 1.0))
    left = int(rng.uniform(0, width - wide))
    margin = int(height * rng.uniform(0.0, 0.1))
    top = height - tall - margin if rng.random() < 0.75 else margin
    color, opacity = _color(rng), _opacity(rng)
    _fill(graphics, (left, top, wide, tall), color=color, opacity=opacity)
    lines = int(rng.integers(1, 3))
    for index in range(lines):
        box = (left, top + index * (tall // lines), wide, tall // lines)
        _write(graphics, _words(rng, letters=(6, 30)), box, color=_contrast(color), rng=rng)


def _draw_subtitles(graphics: Graphics, *, rng: Generator) -> None:
    """Draw one or two lines of text with an outline, in the middle of the bottom."""
    height, width = graphics.alpha.shape
    row = max(int(height * rng.uniform(0.05, 0.09)), 7)
    lines = int(rng.integers(1, 3))
    bottom = height - int(height * rng.uniform(0.02, 0.1))
    color: Color = (255, 255, 255) if rng.random() < 0.7 else (250, 230, 60)
    font = FONTS[int(rng.integers(len(FONTS)))]
    for index in range(lines):
        text = _words(rng, letters=(8, 36))
        scale, thickness = _text_scale(text, font=font, extent=(int(row * 0.7), int(width * 0.9)))
        wide = cv2.getTextSize(text, font, scale, thickness)[0][0]
        origin = ((width - wide) // 2, bottom - (lines - 1 - index) * row)
        glyphs = np.zeros_like(graphics.alpha)
        cv2.putText(glyphs, text, origin, font, scale, 255, thickness, cv2.LINE_AA)
        # Grown, not written with a thicker pen: the letters of a thicker pen lie elsewhere.
        outline = np.asarray(cv2.dilate(glyphs, np.ones((3, 3), np.uint8), iterations=max(row // 14, 1)), np.uint8)
        graphics.image[outline > 0] = 0
        graphics.image[:] = blend_over(graphics.image, np.full_like(graphics.image, color), glyphs)
        np.maximum(graphics.alpha, outline, out=graphics.alpha)


def _draw_cutout(graphics: Graphics, still: Pool, *, rng: Generator) -> bool:
    """Draw the subject of another picture near a corner, as a logo; False if it has none."""
    cutout = cut_out_subject(still.draw(rng))
    if cutout is None:
        return False
    height, width = graphics.alpha.shape
    rows, columns = cutout.alpha.shape
    scale = min(height * rng.uniform(*LOGO_SHARE) / rows, width / 3 / columns)
    tall, wide = max(int(rows * scale), 1), max(int(columns * scale), 1)
    left, top = _corner(graphics, extent=(tall, wide), rng=rng)
    box = slice(top, top + tall), slice(left, left + wide)
    image = cv2.resize(cutout.image, (wide, tall), interpolation=cv2.INTER_AREA)
    alpha = cv2.resize(as_bytes(cutout.alpha), (wide, tall), interpolation=cv2.INTER_AREA)
    graphics.image[box] = np.where(alpha[..., None] > 0, image, graphics.image[box])
    graphics.alpha[box] = np.maximum(graphics.alpha[box], alpha)
    return True


def _draw_shape(graphics: Graphics, *, rng: Generator) -> None:
    """Draw a disk, a ring or a plate of one colour near a corner, with letters."""
    side = max(int(graphics.alpha.shape[0] * rng.uniform(*LOGO_SHARE)), 8)
    wide = int(side * rng.uniform(1.0, 2.0))
    left, top = _corner(graphics, extent=(side, wide), rng=rng)
    color, opacity = _color(rng), _opacity(rng)
    middle, axes = (left + wide // 2, top + side // 2), (wide // 2, side // 2)
    kind = int(rng.integers(3))
    if kind == 2:
        _fill(graphics, (left, top, wide, side), color=color, opacity=opacity)
    else:
        thickness = -1 if kind == 0 else max(side // 6, 2)
        cv2.ellipse(graphics.image, middle, axes, 0, 0, 360, color, thickness)
        cv2.ellipse(graphics.alpha, middle, axes, 0, 0, 360, opacity, thickness)
    _write(graphics, _words(rng, letters=(1, 4)), (left, top, wide, side), color=_contrast(color), rng=rng)


def _corner(graphics: Graphics, *, extent: tuple[int, int], rng: Generator) -> tuple[int, int]:
    """Draw the left and top of a thing of extent (height, width) near a corner of the view."""
    height, width = graphics.alpha.shape
    x, y = int(width * rng.uniform(0.01, 0.08)), int(height * rng.uniform(0.01, 0.08))
    left = x if rng.random() < 0.5 else width - extent[1] - x
    top = y if rng.random() < 0.7 else height - extent[0] - y
    return left, top


def _fill(graphics: Graphics, box: tuple[int, int, int, int], *, color: Color, opacity: int) -> None:
    x, y, width, height = box
    cv2.rectangle(graphics.image, (x, y), (x + width - 1, y + height - 1), color, -1)
    cv2.rectangle(graphics.alpha, (x, y), (x + width - 1, y + height - 1), opacity, -1)


def _write(graphics: Graphics, text: str, box: tuple[int, int, int, int], *, color: Color, rng: Generator) -> None:
    """Write a text into a box (left, top, width, height)."""
    x, y, width, height = box
    font = FONTS[int(rng.integers(len(FONTS)))]
    scale, thickness = _text_scale(text, font=font, extent=(int(height * 0.55), int(width * 0.85)))
    wide, tall = cv2.getTextSize(text, font, scale, thickness)[0]
    origin = x + (width - wide) // 2, y + (height + tall) // 2
    cv2.putText(graphics.image, text, origin, font, scale, color, thickness, cv2.LINE_AA)
    cv2.putText(graphics.alpha, text, origin, font, scale, 255, thickness, cv2.LINE_AA)


def _text_scale(text: str, *, font: int, extent: tuple[int, int]) -> tuple[float, int]:
    """Return scale and thickness with which a text fills a box of extent (height, width)."""
    wide, tall = cv2.getTextSize(text, font, 1.0, 1)[0]
    scale = max(min(extent[0] / max(tall, 1), extent[1] / max(wide, 1)), 0.2)
    return scale, max(round(scale * 1.6), 1)


def _words(rng: Generator, *, letters: tuple[int, int]) -> str:
    """Draw words of so many letters in all, (least, most)."""
    drawn = rng.choice(LETTERS, size=int(rng.integers(letters[0], letters[1] + 1))).tolist()
    for place in range(5, len(drawn) - 1, int(rng.integers(4, 9))):
        drawn[place] = " "
    return "".join(drawn)


def _color(rng: Generator) -> Color:
    red, green, blue = rng.integers(0, 256, size=3).tolist()
    return red, green, blue


def _contrast(color: Color) -> Color:
    return (0, 0, 0) if sum(color) > 384 else (255, 255, 255)


def _opacity(rng: Generator) -> int:
    """Draw how opaque a plate is: opaque, or it shines through, but less than what lies on it."""
    return 255 if rng.random() < 0.5 else int(rng.integers(HIDES + 12, 256))
