"""Render sprites of hair, fur, spokes, mesh and plumes with exact alpha, for the training of covos-matte.

    pip install mitsuba==3.9.1
    python benchmarks/render_sprites.py --out SPRITES --count 160 --first 0

They make a data set of pictures with masks: ``images/NAME.png`` and ``masks/NAME.png``, 384 x 384. A sprite depends on
its number alone, so a folder may be rendered in parts. One takes 5 to 20 seconds of one core.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import mitsuba as mi
import numpy as np
from numpy.typing import NDArray

SIDE = 384
SAMPLES = 36
Curves = list[NDArray[np.float64]]
"""Control points of each curve: K x 4, x y z and radius."""


def unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return vectors of length 1, N x 3."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)


def strands(
    rng: np.random.Generator,
    roots: NDArray[np.float64],
    along: NDArray[np.float64],
    *,
    length: float,
    radius: float,
    gravity: float,
    curl: float,
    clump: float,
) -> Curves:
    """Grow tapered strands from roots (N x 3) along directions (N x 3)."""
    steps = 7
    heads = roots[rng.integers(len(roots), size=max(1, len(roots) // 25))]
    nearest = np.argmin(np.linalg.norm(roots[:, None] - heads[None], axis=2), axis=1) if clump else None
    phase, turns = rng.uniform(0, 2 * np.pi, len(roots)), rng.uniform(1, 3, len(roots))
    own = length * rng.uniform(0.55, 1.15, len(roots))
    stray = rng.random(len(roots)) < 0.05  # a few stand out
    own[stray] *= rng.uniform(1.1, 1.7, stray.sum())
    side = unit(np.cross(along, unit(rng.normal(size=3))))
    other = np.cross(along, side)
    lean = rng.normal(0, 0.18, (len(roots), 3))
    curves: Curves = []
    tip_of_clump = {}
    for i in range(len(roots)):
        t = np.linspace(0, 1, steps)[:, None]
        path = roots[i] + along[i] * t * own[i] + (lean[i] * own[i]) * t**2
        path = path + np.array([0, -gravity, 0]) * own[i] * t**2
        wave = curl * own[i] * t
        path = (
            path
            + side[i] * np.sin(phase[i] + turns[i] * 5 * t) * wave
            + other[i] * np.cos(phase[i] + turns[i] * 5 * t) * wave
        )
        if nearest is not None and not stray[i]:
            tip = tip_of_clump.setdefault(int(nearest[i]), path)
            path = path * (1 - clump * t**1.5) + tip * clump * t**1.5
        thickness = radius * rng.uniform(0.6, 1.4) * (1 - 0.85 * t**2)
        points = np.concatenate([path, thickness], axis=1)
        # A B-spline does not reach its ends: they are repeated.
        curves.append(np.concatenate([points[:1], points, points[-1:]]))
    return curves


def line(*points: NDArray[np.float64], radius: float) -> NDArray[np.float64]:
    """Return the control points of a thread through points."""
    path = np.concatenate([np.stack(points), np.full((len(points), 1), radius)], axis=1)
    return np.concatenate([path[:1], path[:1], path, path[-1:], path[-1:]])


Shapes = list[tuple[str, Any]]


def fur_ball(rng: np.random.Generator) -> tuple[list[Curves], Shapes]:
    """Balls of fur, combed or not, one to four of them."""
    size = rng.uniform(0.4, 0.62)
    bodies = [(np.zeros(3), size)]
    for _ in range(rng.integers(0, 4)):
        bodies.append((unit(rng.normal(size=3)) * size * rng.uniform(0.7, 1.1), size * rng.uniform(0.25, 0.6)))
    groups: list[Curves] = [[], [], []]
    length, gravity = rng.uniform(0.08, 0.4), rng.uniform(0, 0.5)
    curl, clump = rng.choice([0, 0.02, 0.06]), rng.choice([0, 0.5, 0.85])
    radius = rng.uniform(0.0012, 0.005)
    for centre, r in bodies:
        normals = unit(rng.normal(size=(int(rng.uniform(900, 3500) * (r / size)), 3)))
        comb = unit(normals + rng.uniform(0, 0.9) * unit(rng.normal(size=3)))
        grown = strands(
            rng,
            centre + normals * r * 0.97,
            comb,
            length=length,
            radius=radius,
            gravity=gravity,
            curl=curl,
            clump=clump,
        )
        for curve in grown:
            groups[rng.integers(3)].append(curve)
    return groups, [("sphere", {"center": c.tolist(), "radius": float(r)}) for c, r in bodies]


def long_hair(rng: np.random.Generator) -> tuple[list[Curves], Shapes]:
    """A head with hair in the wind, on shoulders or not."""
    centre, size = np.array([0, 0.3, 0]), rng.uniform(0.25, 0.36)
    normals = unit(rng.normal(size=(rng.integers(500, 1800), 3)))
    normals = normals[(normals[:, 1] > -0.1) & (normals[:, 2] < 0.7)]
    wind = unit(rng.normal(size=3)) * rng.uniform(0, 0.9)
    along = unit(normals * rng.uniform(0.4, 1.0) + wind + [0, rng.uniform(-0.8, 0.2), 0])
    grown = strands(
        rng,
        centre + normals * size,
        along,
        length=rng.uniform(0.5, 1.1),
        radius=rng.uniform(0.0015, 0.004),
        gravity=rng.uniform(0.1, 0.9),
        curl=rng.choice([0.01, 0.05, 0.1]),
        clump=rng.choice([0, 0.6, 0.8]),
    )
    groups: list[Curves] = [[], [], []]
    for curve in grown:
        groups[rng.integers(3)].append(curve)
    body = [
        ("sphere", {"center": centre.tolist(), "radius": float(size)}),
        ("sphere", {"center": [0, -0.55, -0.1], "radius": 0.42}),
    ]
    return groups, body if rng.random() < 0.7 else body[:1]


def wheel(rng: np.random.Generator) -> tuple[list[Curves], Shapes]:
    """One or two wheels with crossed spokes."""
    turns = np.linspace(0, 2 * np.pi, 60)
    groups: list[Curves] = [[], [], []]
    for _ in range(rng.integers(1, 3)):
        middle = np.array([rng.uniform(-0.3, 0.3), rng.uniform(-0.3, 0.3), rng.uniform(-0.2, 0.2)])
        outer, hub = rng.uniform(0.4, 0.75), rng.uniform(0.03, 0.1)
        tilt = mi.ScalarTransform4f().rotate([0, 1, 0], rng.uniform(-60, 60))
        turn = np.array(tilt.matrix)[:3, :3]

        def place(
            angle: float, r: float, depth: float = 0.0, *, turn: Any = turn, middle: Any = middle
        ) -> NDArray[np.float64]:
            return middle + turn @ np.array([r * np.cos(angle), r * np.sin(angle), depth])

        rim = line(*(place(a, outer) for a in turns), radius=rng.uniform(0.012, 0.045))
        groups[0] += [rim, line(*(place(a, hub) for a in turns), radius=hub * 0.5)]
        count, cross, thin = rng.integers(8, 37), rng.uniform(0, 1.2), rng.uniform(0.0015, 0.008)
        for k in range(count):
            a = 2 * np.pi * k / count
            groups[1 + k % 2].append(
                line(place(a + cross * (-1) ** k, hub, 0.05 * (-1) ** k), place(a, outer), radius=thin)
            )
    return groups, []


def mesh(rng: np.random.Generator) -> tuple[list[Curves], Shapes]:
    """A net, in a frame or cut on the bias."""
    count, thin = rng.integers(6, 22), rng.uniform(0.002, 0.012)
    at, wave = np.linspace(-0.7, 0.7, 24), rng.uniform(0, 0.25, 2)
    groups: list[Curves] = [[], [], []]
    diagonal = rng.random() < 0.5
    for k, offset in enumerate(np.linspace(-0.7, 0.7, count)):
        for across in (0, 1):
            x, y = (at, np.full_like(at, offset)) if across else (np.full_like(at, offset), at)
            z = wave[0] * np.sin(3 * x + 2 * y) + wave[1] * np.cos(4 * y)
            if diagonal:
                x, y = (x + y) * 0.7, (x - y) * 0.7
            groups[(k + across) % 3].append(line(*np.stack([x, y, z], axis=1), radius=thin))
    frame = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0], [-1, -1, 0]]) * 0.72
    if not diagonal:
        groups[0] += [line(a, (a + b) / 2, b, radius=0.03) for a, b in pairwise(frame)]
    return groups, []


def plumes(rng: np.random.Generator) -> tuple[list[Curves], Shapes]:
    """Feathers and grasses: stems with many thin barbs, from one foot."""
    groups: list[Curves] = [[], [], []]
    foot = np.array([rng.uniform(-0.3, 0.3), -0.8, 0.0])
    barb, thin = rng.uniform(0.03, 0.25), rng.uniform(0.0012, 0.004)
    for k in range(rng.integers(3, 14)):
        tip = foot + np.array([rng.normal(0, 0.5), rng.uniform(0.8, 1.5), rng.normal(0, 0.3)])
        bend = np.array([rng.normal(0, 0.3), 0, rng.normal(0, 0.3)])
        t = np.linspace(0, 1, 30)[:, None]
        stem = foot + (tip - foot) * t + bend * np.sin(np.pi * t)
        groups[k % 3].append(line(*stem, radius=rng.uniform(0.004, 0.012)))
        where = rng.uniform(0.25, 1, rng.integers(0, 240))
        roots = np.stack([np.interp(where, t[:, 0], stem[:, c]) for c in range(3)], axis=1)
        if len(roots):
            out = unit(rng.normal(size=(len(roots), 3)) * [1, 0.2, 0.5] + [0, 0.7, 0])
            groups[(k + 1) % 3] += strands(
                rng, roots, out, length=barb, radius=thin, gravity=rng.uniform(-0.2, 0.4), curl=0.0, clump=0.0
            )
    return groups, []


KINDS: dict[str, Callable[[np.random.Generator], tuple[list[Curves], Shapes]]] = {
    "fur": fur_ball,
    "hair": long_hair,
    "wheel": wheel,
    "mesh": mesh,
    "plumes": plumes,
}
ORDER = ("fur", "hair", "plumes", "fur", "wheel", "hair", "fur", "mesh", "plumes", "hair")


def colour(rng: np.random.Generator, *, like: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
    """A colour, linear: any at all, or natural shades of fur; or a shade of another."""
    if like is not None:
        return (like * rng.uniform(0.5, 1.6) + rng.uniform(0, 0.04, 3)).clip(0.005, 0.95)
    if rng.random() < 0.5:
        return np.array([0.7, 0.45, 0.28]) ** rng.uniform(0.5, 3) * rng.uniform(0.1, 1.3)
    return rng.uniform(0.02, 0.95, 3) ** rng.uniform(0.6, 2.0)


def material(rng: np.random.Generator, rgb: NDArray[np.float64]) -> dict[str, Any]:
    """A dull or a glossy surface."""
    reflectance = {"type": "rgb", "value": rgb.clip(0, 0.98).tolist()}
    if rng.random() < 0.5:
        return {"type": "twosided", "bsdf": {"type": "diffuse", "reflectance": reflectance}}
    return {
        "type": "twosided",
        "bsdf": {"type": "roughplastic", "diffuse_reflectance": reflectance, "alpha": float(rng.uniform(0.1, 0.4))},
    }


def scene(rng: np.random.Generator, kind: str, folder: Path) -> dict[str, Any]:
    """Everything that a sprite is rendered of."""
    groups, bodies = KINDS[kind](rng)
    base = colour(rng)
    view = unit(np.array([rng.normal(0, 0.35), rng.normal(0, 0.2), -1.0])) * 4.0
    sun = unit(rng.normal(size=3) + np.array([0, 0.6, -0.6]))
    look = mi.ScalarTransform4f().look_at(origin=view.tolist(), target=[0, 0, 0], up=[float(rng.normal(0, 0.15)), 1, 0])
    built: dict[str, Any] = {
        "type": "scene",
        "integrator": {"type": "path", "max_depth": 2, "hide_emitters": True},
        "sensor": {
            "type": "perspective",
            "fov": float(rng.uniform(20, 32)),
            "to_world": look,
            "film": {
                "type": "hdrfilm",
                "width": SIDE,
                "height": SIDE,
                "pixel_format": "rgba",
                "rfilter": {"type": "tent", "radius": 0.75},
            },
            "sampler": {"type": "multijitter", "sample_count": SAMPLES},
        },
        "sky": {
            "type": "constant",
            "radiance": {
                "type": "rgb",
                "value": (rng.uniform(0.2, 0.9) * (1 + rng.normal(0, 0.1, 3))).clip(0.1, 1).tolist(),
            },
        },
        "sun": {
            "type": "directional",
            "direction": (-sun).tolist(),
            "irradiance": {
                "type": "rgb",
                "value": (rng.uniform(0.5, 3.5) * (1 + rng.normal(0, 0.12, 3))).clip(0.1, 4).tolist(),
            },
        },
    }
    for k, group in enumerate(groups):
        if not group:
            continue
        file = folder / f"curves{k}.txt"
        file.write_text(
            "\n\n".join("\n".join(" ".join(f"{v:.5f}" for v in point) for point in curve) for curve in group)
        )
        built[f"curves{k}"] = {
            "type": "bsplinecurve",
            "filename": str(file),
            "bsdf": material(rng, colour(rng, like=base)),
        }
    skin = colour(rng, like=base) if rng.random() < 0.6 else colour(rng)
    for k, (shape, settings) in enumerate(bodies):
        built[f"body{k}"] = {"type": shape, **settings, "bsdf": material(rng, skin)}
    return built


def straight(premultiplied: NDArray[np.float32]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Linear premultiplied RGBA -> sRGB colours, and alpha: as editors mix.

    The colours go on beyond the edge, so that a sprite may be resized, and be cut out by any means.
    """
    alpha = premultiplied[..., 3].clip(0, 1)
    linear = (premultiplied[..., :3] / np.maximum(alpha[..., None], 1e-4)).clip(0, 1)
    srgb = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055).astype(np.float32)
    beyond = np.zeros_like(srgb)
    for sigma in (64, 16, 4, 1.5):
        weight = cv2.GaussianBlur(alpha, (0, 0), sigma)[..., None]
        mean = cv2.GaussianBlur(srgb * alpha[..., None], (0, 0), sigma) / np.maximum(weight, 1e-6)
        near = np.clip(weight * 20, 0, 1)
        beyond = beyond * (1 - near) + mean * near
    own = np.minimum(alpha * 4, 1)[..., None]
    colours = srgb * own + beyond * (1 - own)
    return np.rint(colours.clip(0, 1) * 255).astype(np.uint8), np.rint(alpha * 255).astype(np.uint8)


def main() -> None:
    """Render."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=160)
    parser.add_argument("--first", type=int, default=0)
    chosen = parser.parse_args()
    mi.set_variant("scalar_rgb")
    for folder in ("images", "masks"):
        (chosen.out / folder).mkdir(parents=True, exist_ok=True)
    for number in range(chosen.first, chosen.first + chosen.count):
        kind = ORDER[number % len(ORDER)]
        name = f"{number:04d}-{kind}.png"
        if (chosen.out / "masks" / name).exists():
            continue
        rng = np.random.default_rng(number)
        with tempfile.TemporaryDirectory() as folder:
            picture = np.array(mi.render(mi.load_dict(scene(rng, kind, Path(folder))), seed=number))
        colours, alpha = straight(picture)
        cv2.imwrite(str(chosen.out / "images" / name), colours[..., ::-1])
        cv2.imwrite(str(chosen.out / "masks" / name), alpha)
        print(name, flush=True)


if __name__ == "__main__":
    main()
