"""Drawn things whose alpha is known exactly: strands of hair and fur, spokes, mesh and leaves.

They are drawn without smoothing at a multiple of their size, and averaged: each pixel holds what covers it.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from covos.training.scenes.cutouts import LayerArray, log_uniform

FINER = 4
"""Things are drawn so many times larger than they are shown."""
SHIFT = 3
"""Bits behind the point of the coordinates that are drawn at."""

Points = NDArray[np.float64]


def draw_thing(side: int, *, rng: Generator) -> LayerArray:
    """Draw a thing into a square of this side: side x side x 4 uint8, colours multiplied by alpha."""
    canvas = np.zeros((side * FINER, side * FINER, 4), np.uint8)
    kind: Callable[..., None] = _KINDS[int(rng.choice(len(_KINDS), p=_CHANCES))]
    kind(canvas, rng=rng)
    return np.asarray(cv2.resize(canvas, (side, side), interpolation=cv2.INTER_AREA), np.uint8)


def _colours(rng: Generator, *, count: int) -> NDArray[np.float64]:
    """Draw shades of one colour, count x 4; the last channel is 255."""
    base = rng.uniform(0, 255, 3)
    if rng.random() < 0.5:  # of hair: from black to fair
        base = np.array([235, 190, 140]) * rng.uniform(0.05, 1.1) ** np.array([0.9, 1.1, 1.3])
    shades = base * rng.uniform(0.6, 1.35, (count, 1)) + rng.normal(0, 8, (count, 3))
    return np.concatenate([np.clip(shades, 0, 255), np.full((count, 1), 255.0)], axis=1)


def _line(canvas: LayerArray, points: Points, colour: NDArray[np.float64], width: float) -> None:
    fixed = np.rint(points * (FINER << SHIFT)).astype(np.int32)
    thick = max(1, round(width * FINER))
    cv2.polylines(canvas, [fixed], False, colour.tolist(), thick, cv2.LINE_8, SHIFT)


def _filled(canvas: LayerArray, points: Points, colour: NDArray[np.float64]) -> None:
    cv2.fillPoly(canvas, [np.rint(points * (FINER << SHIFT)).astype(np.int32)], colour.tolist(), cv2.LINE_8, SHIFT)


def _blob(side: int, *, rng: Generator) -> Points:
    """Draw a smooth closed contour about the middle, 90 x 2."""
    turn = np.linspace(0, 2 * np.pi, 90, endpoint=False)
    radius = np.full(90, rng.uniform(0.12, 0.3) * side)
    for wave in range(2, 6):
        radius *= 1 + rng.normal(0, 0.25 / wave) * np.cos(wave * turn + rng.uniform(0, 6.3))
    stretched = np.array([rng.uniform(0.6, 1.4), rng.uniform(0.6, 1.4)])
    middle = side / 2 + rng.normal(0, 0.05 * side, 2)
    around = np.stack([np.cos(turn), np.sin(turn)], axis=1) * radius[:, None] * stretched
    return np.asarray(middle + around, np.float64)


def _curve(start: Points, by: Points, bend: Points) -> Points:
    """Return a parabola from a start along a way, bent towards another at its end; 12 x 2."""
    t = np.linspace(0, 1, 12)[:, None]
    return start + by * t + bend * t**2


def _strand(canvas: LayerArray, path: Points, colour: NDArray[np.float64], width: float) -> None:
    """Draw a strand that is thin at its end."""
    for first, share in ((0, 1.0), (4, 0.75), (8, 0.5)):
        _line(canvas, path[first : first + 5], colour, width * share)


def _hair(canvas: LayerArray, *, rng: Generator) -> None:
    side = canvas.shape[0] // FINER
    contour = _blob(side, rng=rng)
    middle = contour.mean(axis=0)
    colours = _colours(rng, count=24)
    fur = rng.random() < 0.5
    count = int(rng.integers(150, 700)) if fur else int(rng.integers(40, 260))
    length = log_uniform((5, 40), rng=rng) if fur else log_uniform((30, 130), rng=rng)
    width, clumps = log_uniform((0.3, 1.8), rng=rng), int(rng.integers(6, 40))
    wind, gravity = rng.normal(0, 0.5, 2), rng.uniform(0, 0.8)
    leans = rng.normal(0, 0.5, (clumps, 2))
    if rng.random() < 0.85:
        _filled(canvas, contour, colours[0])
    for _ in range(count):
        place = int(rng.integers(len(contour)))
        root = middle + (contour[place] - middle) * rng.uniform(0.7, 1.0)
        out = (contour[place] - middle) / max(float(np.linalg.norm(contour[place] - middle)), 1e-6)
        clump = leans[place * clumps // len(contour)]
        own = length * rng.uniform(0.5, 1.3)
        way = (out + 0.6 * clump + rng.normal(0, 0.25, 2) + wind) * own
        bend = np.array([rng.normal(0, 0.25), gravity + rng.normal(0, 0.2)]) * own
        _strand(canvas, _curve(root, way, bend), colours[int(rng.integers(24))], width * rng.uniform(0.6, 1.4))


def _spokes(canvas: LayerArray, *, rng: Generator) -> None:
    side = canvas.shape[0] // FINER
    colours = _colours(rng, count=4)
    colours[1:3] = _colours(rng, count=2)
    middle, outer = side / 2 + rng.normal(0, 0.05 * side, 2), rng.uniform(0.25, 0.45) * side
    axes = np.array([1.0, rng.uniform(0.4, 1.0)]) * outer
    hub, thin, count = rng.uniform(0.05, 0.18), log_uniform((0.4, 2.5), rng=rng), int(rng.integers(12, 37))
    turn = np.linspace(0, 2 * np.pi, 80)
    rim = middle + np.stack([np.cos(turn), np.sin(turn)], 1) * axes
    _line(canvas, rim, colours[0], rng.uniform(2, 10))
    cross = rng.uniform(0, 1.2)
    for k in range(count):
        a, b = 2 * np.pi * k / count + cross * (-1) ** k, 2 * np.pi * k / count
        ends = np.array([[np.cos(a) * hub, np.sin(a) * hub], [np.cos(b), np.sin(b)]]) * axes + middle
        _line(canvas, ends, colours[1 + k % 2], thin)
    _filled(canvas, middle + (rim - middle) * hub, colours[3])


def _mesh(canvas: LayerArray, *, rng: Generator) -> None:
    side = canvas.shape[0] // FINER
    colours = _colours(rng, count=6)
    step, thin = log_uniform((5, 30), rng=rng), log_uniform((0.5, 4), rng=rng)
    reach = rng.uniform(0.2, 0.45) * side
    angle, skew, wave = rng.uniform(0, np.pi), rng.uniform(0.6, 1.4), rng.uniform(0, 6)
    along = np.linspace(-reach, reach, 24)
    turned = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    for across in (False, True):
        for offset in np.arange(-reach, reach + 1, step):
            bent = offset + wave * np.sin(along / reach * 3 + offset * 0.02)
            line = np.stack([along, bent * skew] if across else [bent, along * skew], axis=1)
            _line(canvas, line @ turned.T + side / 2, colours[int(rng.integers(6))], thin)


def _leaves(canvas: LayerArray, *, rng: Generator) -> None:
    side = canvas.shape[0] // FINER
    colours = _colours(rng, count=12)
    foot = np.array([side / 2, side * rng.uniform(0.7, 0.95)])
    for _ in range(int(rng.integers(2, 9))):
        stem = _curve(
            foot, np.array([rng.normal(0, 0.25), -rng.uniform(0.3, 0.8)]) * side, rng.normal(0, 0.15, 2) * side
        )
        _line(canvas, stem, colours[0], rng.uniform(0.6, 3))
        long = log_uniform((4, 40), rng=rng)
        wide = long * rng.uniform(0.1, 0.5)
        for at in rng.integers(2, 12, int(rng.integers(3, 30))):
            turn = rng.uniform(0, 2 * np.pi)
            t = np.linspace(0, np.pi, 9)
            half = np.stack([(1 - np.cos(t)) / 2 * long, np.sin(t) * wide / 2], axis=1)
            leaf = np.concatenate([half, half[::-1] * (1, -1)])
            turned = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
            _filled(canvas, leaf @ turned.T + stem[at], colours[int(rng.integers(1, 12))])


_KINDS = (_hair, _spokes, _mesh, _leaves)
_CHANCES = (0.6, 0.15, 0.1, 0.15)
