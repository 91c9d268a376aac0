"""Layers: pictures that lie in a scene one above the other, and what is seen of them through a window.

Each layer is warped once, from its own pixels straight to the view, and only where it is seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from covos.core.types import ImageArray
from covos.training.scenes.cutouts import Cutout, placement
from covos.training.scenes.windows import ByteMask, as_bytes

PictureArray: TypeAlias = NDArray[np.uint8]
"""H x W x 4 uint8: RGB, and how much of each pixel is covered. OpenCV warps four channels faster than three."""
Matrix: TypeAlias = NDArray[np.float64]
"""2 x 3 float64: the affine map of (x, y) in pixels."""

IDENTITY: Matrix = np.eye(2, 3)
IDENTITY.flags.writeable = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Layer:
    """A picture that lies somewhere in a scene.

    Attributes:
        picture: RGB, and how opaque each pixel is. Of the ground, which lies below all and is opaque: how much of
            each pixel the subject covers.
        matrix: The map from its pixels to those of the scene.
        is_subject: True if what is seen of it is the subject. The ground says that pixel by pixel.
        endless: True if its reflection lies beyond its border, False if nothing does.
    """

    picture: PictureArray
    matrix: Matrix
    is_subject: bool = False
    endless: bool = False

    def moved(self, step: Matrix) -> Layer:
        """Return the layer where a step of the scene takes it."""
        return replace(self, matrix=after(step, self.matrix))


def as_picture(image: ImageArray, cover: ByteMask | None = None) -> PictureArray:
    """Return an RGB image with what is covered of it; nothing is by default."""
    picture = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2RGBA), np.uint8)
    picture[..., 3] = 0 if cover is None else cover
    return picture


def ground(picture: PictureArray) -> Layer:
    """Return the layer that lies below all: its pixels are those of the scene."""
    return Layer(picture=picture, matrix=IDENTITY, endless=True)


def after(second: Matrix, first: Matrix) -> Matrix:
    """Return the map that does the first, then the second."""
    linear = second[:, :2] @ first
    linear[:, 2] += second[:, 2]
    return np.asarray(linear, np.float64)


def undone(matrix: Matrix) -> Matrix:
    """Return the inverse of a map."""
    return np.asarray(cv2.invertAffineTransform(matrix), np.float64)


def place_cutout(
    cutout: Cutout, *, shape: Sequence[int], height_share: float, center: NDArray[np.float64], is_subject: bool
) -> Layer:
    """Place a cut-out in a scene of this shape; height and center (x, y) are shares of the scene.

    It is smaller if it would be wider than the scene, and may hang over the border. It is no sharper than the scene:
    that must not give it away.
    """
    rows, columns = cutout.alpha.shape
    scale = min(height_share * shape[0] / rows, shape[1] / columns)
    picture = as_picture(cutout.image, as_bytes(cutout.alpha))
    if scale < 1:
        picture = _shrunk(picture, max(round(rows * scale), 1), max(round(columns * scale), 1))
    # A transparent rim of its own colours: between its border and the nothing beyond no other colour is mixed in.
    picture = np.asarray(cv2.copyMakeBorder(picture, 1, 1, 1, 1, cv2.BORDER_REPLICATE), np.uint8)
    picture[[0, -1], :, 3] = picture[:, [0, -1], 3] = 0
    matrix = placement(picture.shape, center=center * (shape[1], shape[0]), scale=max(scale, 1.0))
    return Layer(picture=picture, matrix=matrix, is_subject=is_subject)


def compose(layers: Sequence[Layer], window: Matrix, *, size: tuple[int, int]) -> PictureArray:
    """Return what is seen of layers, and how much of each pixel the subject covers.

    Args:
        layers: From the `ground` to the one on top.
        window: The map from the view's pixels to those of the scene.
        size: (height, width) of the view.
    """
    below, *above = layers
    here = _prepared(below, window)
    view = _warped(here, here.matrix, size)
    for layer in above:
        _draw_over(view, _prepared(layer, window))
    return view


def image_of(picture: PictureArray) -> ImageArray:
    """Return the RGB image of a picture."""
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGBA2RGB), np.uint8)


def draw_into(scene: PictureArray, layers: Iterable[Layer]) -> PictureArray:
    """Return a picture of a scene with layers over it that stand still in it."""
    view = scene.copy()
    for layer in layers:
        _draw_over(view, _prepared(layer, IDENTITY))
    return view


def blend_over(below: NDArray[np.uint8], above: NDArray[np.uint8], alpha: ByteMask) -> NDArray[np.uint8]:
    """Return a picture with another of the same shape over it, as opaque as its alpha says."""
    weight = alpha.astype(np.float32) * np.float32(1 / 255)
    return np.asarray(cv2.blendLinear(above, below, weight, 1 - weight), np.uint8)


def _prepared(layer: Layer, window: Matrix) -> Layer:
    """Return a layer with the map from the view's pixels to its own; halved until no warp skips pixels."""
    matrix = after(undone(layer.matrix), window)
    picture = layer.picture
    stride = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    while stride >= 2 and min(picture.shape[:2]) >= 4:
        rows, columns = picture.shape[0] // 2, picture.shape[1] // 2
        # The middle of the first pixel is at 0, its corner at -0.5.
        x, y = columns / picture.shape[1], rows / picture.shape[0]
        matrix = after(np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2]]), matrix)
        picture = _shrunk(picture, rows, columns)
        stride /= 2
    return replace(layer, picture=picture, matrix=matrix)


def _draw_over(view: PictureArray, layer: Layer) -> None:
    """Draw a layer over a view within the box that it is seen in; what it covers is the subject if it is."""
    box = _seen_box(layer, view.shape)
    if box is None:
        return
    rows, columns = box
    corner = np.array([[1.0, 0.0, columns.start], [0.0, 1.0, rows.start]])
    size = rows.stop - rows.start, columns.stop - columns.start
    shown = _warped(layer, after(layer.matrix, corner), size)
    alpha = shown[..., 3].copy()
    shown[..., 3] = 255 if layer.is_subject else 0
    view[box] = blend_over(view[box], shown, alpha)


def _seen_box(layer: Layer, shape: tuple[int, ...]) -> tuple[slice, slice] | None:
    """Return the rows and columns of a view of this shape that show a layer; None if none do."""
    height, width = shape[:2]
    if layer.endless:
        return slice(0, height), slice(0, width)
    bottom, right = layer.picture.shape[:2]
    corners = np.array([[-1, -1, 1], [right, -1, 1], [-1, bottom, 1], [right, bottom, 1]], np.float64)
    seen = corners @ undone(layer.matrix).T
    left, top = np.maximum(np.floor(seen.min(axis=0)).astype(int), 0).tolist()
    end_x, end_y = np.minimum(np.ceil(seen.max(axis=0)).astype(int) + 1, (width, height)).tolist()
    return (slice(top, end_y), slice(left, end_x)) if top < end_y and left < end_x else None


def _warped(layer: Layer, matrix: Matrix, size: tuple[int, int]) -> PictureArray:
    border = cv2.BORDER_REFLECT_101 if layer.endless else cv2.BORDER_CONSTANT
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(layer.picture, matrix, size[::-1], flags=flags, borderMode=border), np.uint8)


def _shrunk(picture: PictureArray, rows: int, columns: int) -> PictureArray:
    return np.asarray(cv2.resize(picture, (columns, rows), interpolation=cv2.INTER_AREA), np.uint8)
