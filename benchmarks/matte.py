"""Score and time mattes: those of covos beside a stretched probability, a guided filter, closed-form, shared matting.

    pip install pymatting==1.1.16       # for the last two; without it they are left out
    python benchmarks/render_sprites.py --out SPRITES --first 1000 --count 12
    python benchmarks/matte.py --alphamatting FOLDER --sprites SPRITES --backgrounds PICTURES

Tables, each if its data are given, and the times always:

- pictures with measured alpha (``images``, ``trimaps``, ``alphas``), where a trimap says which pixels are unknown. The
  probability is 1, 0 and, where unknown, 1/2: the same for all methods.
- the same pictures with a mask, as `--matte` sees them: nobody says where the unknown pixels are, and the whole picture
  counts. The mask is alpha > 1/2: rough (opened by 5 x 5 pixels, made four times smaller and larger again, blurred by
  2.5 pixels), rough and hard (a drawn edge along the same contour), or nearly right (blurred by one pixel).
  solve_trimap solves the band that covos-matte has chosen. A single picture begins with that, and has a share of it in
  the answer (see `covos.engines.matting.MatteEngine`); a frame of a video has covos-matte's own. ``--only masks``
  prints this table alone.
- clips that are composed by a seed of sprites that were not trained on, drawn things and pictures. The probability is a
  spoiled mask, as a network would find it; the unknown pixels are the band around its contour, the same for all.
- the same clips as `--matte` sees them: nobody says where the unknown pixels are, and the alpha of the frame counts,
  with the band that covos-matte chooses and all that it takes for sure. ``--only whole`` prints this table alone.
- clips of one kind each: rendered hair, fur and plumes; spokes and mesh; solid things that are soft by their motion
  alone, cut out of PICTURES. ``--only kinds`` prints this table alone.
- colours of the subject where it is mixed, on sprites over pictures, so that they are known: as formats with alpha
  write them, and of pymatting's multi-level estimate, both of the true alpha; and with the alpha found. Sprite and
  background move; dt is how much the error changes from frame to frame (root of the mean square). ``--only colours``
  prints this table alone.

SAD, gradient and connectivity in thousands, MSE and dtSSD times 1000; seconds of one processor, which a busy machine
does not change, a megapixel of the whole frame. ``--sheet FILE`` draws sprites over the example clip, cut out again.
``--fringe FILE`` draws strands that are cut out of a red background, four times as large.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

import covos
from contact import over, write
from covos.core.device import choose_precision
from covos.core.types import ImageArray, MaskArray, ProbabilityArray
from covos.data import open_dataset, read_image
from covos.engines.doubts import without_doubts
from covos.engines.ladder import Ladder
from covos.engines.matting import LEAST_REACH, REACH, MatteEngine, _asked, load_matte_engine
from covos.engines.trimap import solve_band
from covos.evaluation import dt_ssd, matte_errors
from covos.masks.foreground import foreground_colours
from covos.masks.matte import stretched
from covos.masks.soft import soft_edge
from covos.training.registry import load_recipe
from covos.training.scenes.mattes import MatteFrame, MattePools, draw_clip
from masks_of_alpha import blurred, rough_mask
from recorded import keep

EXAMPLE = Path(__file__).parents[1] / "examples" / "car.mp4"
SIZES = {"480p": (480, 854), "1080p": (1080, 1920), "4K": (2160, 3840)}
FRAMES = 5
CLIP_SIDE = 352
COMPOSED = {"drawn_share": 0.25, "hard_share": 0.0, "alike_share": 0.0, "trimap_share": 0.0, "smaller_share": 0.0}
SEED = 2024
_STILL = COMPOSED | {"drawn_share": 0.0, "motion_blur_share": 0.0, "defocus_share": 0.0}
KINDS: dict[str, tuple[tuple[str, ...], dict[str, float]]] = {
    "hair, fur": (("hair", "fur", "plumes"), _STILL),
    "spokes, mesh": (("wheel", "mesh"), _STILL),
    "motion blur": ((), _STILL | {"hard_share": 1.0, "motion_blur_share": 1.0}),
}
"""Words in the names of the sprites, and settings of the clips, by the kind of soft edge."""

Method = Callable[[ImageArray, ProbabilityArray, MaskArray, int], ProbabilityArray]
"""Takes a picture, a probability, the unknown pixels (none of them: they are not told) and the number of the frame."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", default="covos-matte")
    parser.add_argument("--alphamatting", type=Path)
    parser.add_argument("--sprites", type=Path)
    parser.add_argument("--backgrounds", type=Path)
    parser.add_argument("--clips", type=int, default=16)
    parser.add_argument("--quick", action="store_true", help="covos-matte and the probability alone")
    parser.add_argument("--only", choices=("colours", "kinds", "masks", "whole"), help="this table alone")
    parser.add_argument("--sheet", type=Path, help="a picture to write")
    parser.add_argument("--fringe", type=Path, help="a picture to write of strands cut out of red, much enlarged")
    parser.add_argument("--json", type=Path, help="keep the table in this file: see recorded.py")
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    if options.fringe is not None:
        if options.sprites is None:
            parser.error("--fringe shows --sprites")
        _draw_fringe(options.sprites, options.fringe)
    if options.only == "masks":
        if options.alphamatting is None:
            parser.error("masks are scored on --alphamatting")
        _print_masks(options)
        return
    if options.only is not None and (options.sprites is None or options.backgrounds is None):
        parser.error(f"{options.only} are scored on --sprites over --backgrounds")
    if options.only == "colours":
        _print_colours(options)
        return
    methods = _methods(options.weights, quick=options.quick)
    if options.only == "kinds":
        _print_kinds(options, methods)
        return
    if options.only == "whole":
        _print_whole(_clips(options.sprites, options.backgrounds, count=options.clips), methods, options.json)
        return
    if options.alphamatting is not None:
        rows = _pictures(options.alphamatting, methods)
        _print_table("pictures with measured alpha", rows, table="alphamatting", file=options.json)
        _print_masks(options)
    if options.sprites is not None and options.backgrounds is not None:
        clips = _clips(options.sprites, options.backgrounds, count=options.clips)
        title = f"{len(clips)} composed clips of {FRAMES} frames"
        _print_table(title, _moving(clips, methods), table="composed", file=options.json)
        _print_whole(clips, methods, options.json)
        _print_kinds(options, methods)
        _print_colours(options)
    if options.sheet is not None:
        _draw_sheet(options.sprites, options.weights, options.sheet)
    if not options.quick:
        _print_times(options.weights, options.json)


def _print_whole(clips: list[list[MatteFrame]], methods: dict[str, Method], file: Path | None) -> None:
    ends = {name: methods[name] for name in ("stretched probability", "covos-matte")}
    whole = _moving(clips, ends, whole=True)
    _print_table("composed clips, the alpha of whole frames", whole, table="whole", file=file)


def _print_masks(options: argparse.Namespace) -> None:
    rows = _masked(options.alphamatting, options.weights)
    _print_table("pictures with measured alpha, by a mask", rows, table="masks", file=options.json)


def _print_kinds(options: argparse.Namespace, methods: dict[str, Method]) -> None:
    rows: Rows = {name: {} for name in methods}
    for kind, (words, settings) in KINDS.items():
        clips = _clips(options.sprites, options.backgrounds, count=options.clips, words=words, settings=settings)
        for name, row in _moving(clips, methods).items():
            rows[name] |= {f"SAD, {kind}": row["SAD"], f"dtSSD, {kind}": row["dtSSD"]}
    title = f"by kind, {options.clips} clips of {FRAMES} frames each"
    _print_table(title, rows, table="kinds", file=options.json)


def _print_colours(options: argparse.Namespace) -> None:
    colours = _colours(options.sprites, options.backgrounds, _engine(options.weights))
    _print_table("colours of mixed pixels", colours, table="colours", file=options.json)


def _engine(weights: str, *, still: bool = False) -> MatteEngine:
    device = torch.device("cpu")
    return load_matte_engine(
        weights, ladder=Ladder(device=device, precision=choose_precision(device, "auto")), still=still
    )


def _methods(weights: str, *, quick: bool) -> dict[str, Method]:
    engine = _engine(weights)
    methods: dict[str, Method] = {
        "stretched probability": lambda _image, probability, _unknown, _index: stretched(probability),
    }
    if not quick:
        methods["guided filter"] = lambda image, probability, _unknown, _index: guided_filter(
            image, stretched(probability)
        )
        methods |= _of_trimaps()
    methods["covos-matte"] = lambda image, probability, unknown, index: engine.find(
        image, probability, band=unknown if unknown.any() else None, index=index
    )
    return methods


def _of_trimaps() -> dict[str, Method]:
    """Return the methods that take a trimap and no probability."""

    def by(estimate: Any) -> Method:
        def find(image: ImageArray, probability: ProbabilityArray, unknown: MaskArray, _index: int) -> ProbabilityArray:
            trimap = np.where(unknown, 0.5, np.rint(probability))
            if not (trimap == 1).any() or not (trimap == 0).any():
                return stretched(probability)
            return np.asarray(estimate(image, trimap), np.float32).clip(0, 1)

        return find

    methods: dict[str, Any] = {}
    try:
        from pymatting import estimate_alpha_cf, estimate_alpha_sm

        methods["closed form (pymatting)"] = lambda image, trimap: estimate_alpha_cf(image / 255.0, trimap)
        methods["shared matting (pymatting)"] = lambda image, trimap: estimate_alpha_sm(image / 255.0, trimap)
    except ImportError:
        print("pymatting is not installed: no closed-form and shared matting")
    methods["covos.solve_trimap"] = lambda image, trimap: covos.solve_trimap(image, trimap.astype(np.float32))
    return {name: by(estimate) for name, estimate in methods.items()}


def guided_filter(image: ImageArray, probability: ProbabilityArray) -> ProbabilityArray:
    """He et al., *Guided Image Filtering*, ECCV 2010, with the brightness as the guide."""
    guide = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    side = (2 * max(4, image.shape[0] // 60) + 1,) * 2
    mean_guide, mean = cv2.blur(guide, side), cv2.blur(probability, side)
    variance = cv2.blur(guide * guide, side) - mean_guide**2
    slope = (cv2.blur(guide * probability, side) - mean_guide * mean) / (variance + 1e-4)
    offset = mean - slope * mean_guide
    return np.clip(cv2.blur(slope, side) * guide + cv2.blur(offset, side), 0, 1).astype(np.float32)


Rows = dict[str, dict[str, float]]


def _score(found: ProbabilityArray, truth: ProbabilityArray, unknown: MaskArray, seconds: float) -> dict[str, float]:
    errors = matte_errors(found, truth, where=unknown)
    return {
        "SAD": errors.sad / 1e3,
        "MSE": errors.mse * 1e3,
        "Grad": errors.grad / 1e3,
        "Conn": errors.conn / 1e3,
        "s/MP": seconds / truth.size * 1e6,
    }


def _read_pictures(folder: Path) -> Iterator[tuple[ImageArray, ProbabilityArray, NDArray[np.uint8]]]:
    """Yield pictures with their measured alpha and their trimap."""
    for file in sorted((folder / "images").iterdir()):
        image = cv2.cvtColor(cv2.imread(str(file)), cv2.COLOR_BGR2RGB)
        truth, trimap = (
            cv2.imread(str(next((folder / part).glob(f"{file.stem}.*"))), cv2.IMREAD_GRAYSCALE)
            for part in ("alphas", "trimaps")
        )
        yield image, truth.astype(np.float32) / 255, trimap


def _masked(folder: Path, weights: str) -> Rows:
    """Score what is made of a mask alone, on whole pictures."""
    engines = _engine(weights), _engine(weights, still=True)
    rows: dict[str, dict[str, list[float]]] = {}
    for number, (image, truth, _) in enumerate(_read_pictures(folder)):
        rough = rough_mask(truth)
        masks = {"rough": rough, "hard": soft_edge(rough > 0.5), "nearly right": blurred(truth > 0.5, 1.0)}
        for kind, mask in masks.items():
            for name, (found, seconds) in _found_by_mask(image, mask, *engines, index=3 * number).items():
                score = _score(found, truth, np.ones_like(truth, np.bool_), seconds)
                row = rows.setdefault(name, {})
                for column in ("SAD", "MSE", "Grad"):
                    row.setdefault(f"{column}, {kind}", []).append(score[column])
                row.setdefault("s/MP", []).append(score["s/MP"])
    return {name: {column: statistics.fmean(each) for column, each in row.items()} for name, row in rows.items()}


def _found_by_mask(
    image: ImageArray, mask: ProbabilityArray, engine: MatteEngine, still: MatteEngine, *, index: int
) -> dict[str, tuple[ProbabilityArray, float]]:
    """Return alpha and the seconds that it took, by the way that it is found."""
    reach = max(LEAST_REACH, REACH * image.shape[0])
    began = time.process_time()
    matte = engine.find(image, mask, index=index)
    between = time.process_time()
    guide = without_doubts(mask, reach=reach)
    band = _asked(guide, reach=reach)
    solved = solve_band(image, guide, band)
    after = time.process_time()
    both = still.find(image, mask, index=index)
    taken = between - began, after - between, time.process_time() - after
    return {
        "the mask, hard": ((mask > 0.5).astype(np.float32), 0.0),
        "stretched probability": (stretched(mask), 0.0),
        "covos-matte, a frame of a video": (matte, taken[0]),
        "covos.solve_trimap in its band": (solved, taken[1]),
        "covos-matte, a single picture": (both, taken[2]),
    }


def _pictures(folder: Path, methods: dict[str, Method]) -> Rows:
    scores: dict[str, list[dict[str, float]]] = {name: [] for name in methods}
    for number, (image, alpha, trimap) in enumerate(_read_pictures(folder)):
        unknown = (trimap > 5) & (trimap < 250)
        probability = np.where(unknown, 0.5, trimap / 255.0).astype(np.float32)
        for name, method in methods.items():
            if not scores[name]:  # compiled and warm
                method(image[::4, ::4].copy(), probability[::4, ::4].copy(), unknown[::4, ::4].copy(), -9)
            began = time.process_time()
            found = method(image, probability, unknown, 2 * number)
            found = np.where(unknown, found, probability).astype(np.float32)
            scores[name].append(_score(found, alpha, unknown, time.process_time() - began))
    return {name: _mean(rows) for name, rows in scores.items()}


def _clips(
    sprites: Path,
    backgrounds: Path,
    *,
    count: int,
    words: tuple[str, ...] = (),
    settings: dict[str, float] = COMPOSED,
) -> list[list[MatteFrame]]:
    """Draw clips of the sprites whose names have one of some words, or of all."""
    recipe = load_recipe("matte", settings=settings)
    every = open_dataset(sprites)
    chosen = every.subset([v.name for v in every if not words or any(word in v.name for word in words)])
    pools = MattePools.of([chosen, open_dataset(backgrounds)])
    return [
        draw_clip(pools, frames=FRAMES, side=CLIP_SIDE, recipe=recipe, rng=np.random.default_rng((SEED, number)))  # type: ignore[arg-type]
        for number in range(count)
    ]


def _moving(clips: list[list[MatteFrame]], methods: dict[str, Method], *, whole: bool = False) -> Rows:
    rows: Rows = {}
    for name, method in methods.items():
        scores: list[dict[str, float]] = []
        for number, clip in enumerate(clips):
            found = []
            for index, frame in enumerate(clip):
                began = time.process_time()
                told = np.zeros_like(frame.band) if whole else frame.band
                alpha = method(frame.image, frame.probability, told, 100 * number + index)
                if not whole:
                    alpha = np.where(frame.band, alpha, stretched(frame.probability)).astype(np.float32)
                found.append(alpha)
                counts = np.ones_like(frame.band) if whole else frame.band
                scores.append(_score(alpha, frame.alpha, counts, time.process_time() - began))
            flicker = dt_ssd(
                found, [f.alpha for f in clip], where=[np.ones_like(f.band) if whole else f.band for f in clip]
            )
            for row in scores[-len(clip) :]:
                row["dtSSD"] = flicker * 1e3
        rows[name] = _mean(scores)
    return rows


def _colours(sprites: Path, backgrounds: Path, engine: MatteEngine) -> Rows:
    """Score estimates of the subject's own colours where a pixel is mixed; the error counts as much as it is seen."""
    estimates: dict[str, Callable[[ImageArray, ProbabilityArray], Any]] = {
        "the source's own, nothing estimated": lambda image, _alpha: image,
        "covos": foreground_colours,
    }
    try:
        from pymatting import estimate_foreground_ml

        estimates["multi-level (pymatting)"] = lambda image, alpha: 255 * estimate_foreground_ml(image / 255.0, alpha)
    except ImportError:
        print("pymatting is not installed: no multi-level estimate")
    estimates["covos, alpha of covos-matte"] = foreground_colours
    pictures = [video.frames[0] for video in open_dataset(backgrounds)]
    scores: dict[str, list[dict[str, float]]] = {name: [] for name in estimates}
    for number, name in enumerate(sorted(path.name for path in (sprites / "masks").iterdir())):
        own = cv2.cvtColor(cv2.imread(str(sprites / "images" / name)), cv2.COLOR_BGR2RGB).astype(np.float32)
        true = cv2.imread(str(sprites / "masks" / name), cv2.IMREAD_GRAYSCALE).astype(np.float32) / 255
        behind = cv2.resize(read_image(pictures[7 * number % len(pictures)]), own.shape[1::-1])
        # The sprite goes one way and the background the other, by whole pixels: colours that change are wrong.
        clip = [
            (np.roll(own, 3 * index, axis=1), np.roll(true, 3 * index, axis=1), np.roll(behind, -2 * index, axis=1))
            for index in range(3)
        ]
        for kind, estimate in estimates.items():
            found = engine if "covos-matte" in kind else None
            scores[kind].append(_colour_errors(clip, estimate, engine=found, first=10 * number))
    return {name: _mean(rows) for name, rows in scores.items()}


def _colour_errors(
    clip: list[tuple[Any, Any, Any]],
    estimate: Callable[[ImageArray, ProbabilityArray], Any],
    *,
    engine: MatteEngine | None,
    first: int,
) -> dict[str, float]:
    """Score an estimate on frames of (colours, alpha, background); the alpha is the true one, or that of an engine."""
    errors, taken, changes = [], 0.0, []
    before: Any = None
    for index, (own, true, behind) in enumerate(clip):
        image = np.rint(true[..., None] * own + (1 - true[..., None]) * behind).astype(np.uint8)
        alpha = true
        if engine is not None:
            mask = cv2.morphologyEx((true > 0.4).astype(np.uint8), cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
            guide = np.clip(cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 2.5), 0, 1)
            alpha = engine.find(image, guide, index=first + index)
        began = time.process_time()
        colours = np.asarray(estimate(image, alpha), np.float32)
        taken += time.process_time() - began
        mixed = (true > 0) & (true < 1)
        error = true[..., None] * (colours - own) / 255
        errors.append(error[mixed])
        still = np.roll(error, -3 * index, axis=1)  # where the sprite is in the first frame
        if before is not None:
            changes.append(float(np.sqrt((((still - before)[np.roll(mixed, -3 * index, axis=1)]) ** 2).mean())))
        before = still
    error = np.concatenate(errors)
    return {
        "MAE": float(np.abs(error).mean()) * 1e3,
        "MSE": float((error**2).mean()) * 1e3,
        "dt": statistics.fmean(changes) * 1e3,
        "s/MP": taken / sum(true.size for _, true, _ in clip) * 1e6,
    }


def _mean(rows: list[dict[str, float]]) -> dict[str, float]:
    return {key: statistics.fmean(row[key] for row in rows) for key in rows[0]}


def _print_table(title: str, rows: Rows, *, table: str = "", file: Path | None = None) -> None:
    columns = list(next(iter(rows.values())))
    print(f"\n{title}\n\n| | " + " | ".join(columns) + " |")
    print("|---" + "|--:" * len(columns) + "|")
    for name, row in rows.items():
        print(f"| {name} | " + " | ".join(f"{row[key]:.3f}" for key in columns) + " |", flush=True)
    values: list[list[str | float]] = [[name, *(row[key] for key in columns)] for name, row in rows.items()]
    keep(file, table, columns=["", *columns], rows=values, digits=[0] + [2] * len(columns))


def _draw_sheet(sprites: Path, weights: str, file: Path) -> None:
    """Draw a row of each kind: the picture, cut out by the probability, and by the matte, over several grounds."""
    road = next(covos.stream(EXAMPLE)).frame.image
    behind = cv2.resize(road, None, fx=1.3, fy=1.3, interpolation=cv2.INTER_CUBIC)[-384:, :384]
    rows = []
    for kind, streak in (("hair", 0), ("wheel", 0), ("fur", 0), ("fur", 14)):
        name = next(path.name for path in sorted((sprites / "masks").iterdir()) if kind in path.name)
        colours = cv2.cvtColor(cv2.imread(str(sprites / "images" / name)), cv2.COLOR_BGR2RGB).astype(np.float32)
        alpha = cv2.imread(str(sprites / "masks" / name), cv2.IMREAD_GRAYSCALE).astype(np.float32)[..., None] / 255
        layer = np.concatenate([colours * alpha, alpha], axis=2)
        engine, found, probability, image = _engine(weights), alpha[..., 0], alpha[..., 0], behind
        for index in range(3):  # it moves by a few pixels
            moved = np.mean([np.roll(layer, 4 * index + k, axis=1) for k in range(streak + 1)], axis=0)
            image = np.rint(moved[..., :3] + (1 - moved[..., 3:]) * behind).astype(np.uint8)
            # As a network finds it: no strands, and a contour that is a little soft.
            mask = cv2.morphologyEx((moved[..., 3] > 0.4).astype(np.uint8), cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
            probability = np.clip(cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 2.5), 0, 1)
            found = engine.find(image, probability, index=index)
        tiles = [image]
        for opacity, grounds in ((stretched(probability), ("checks",)), (found, ("checks", "white", "black"))):
            tiles += [over(image, opacity, ground) for ground in grounds]
        rows.append(np.hstack([tile[40:-40, 40:-40] for tile in tiles]))
    sheet = cv2.resize(np.vstack(rows), None, fx=0.75, fy=0.75, interpolation=cv2.INTER_AREA)
    write(file, sheet)


def _draw_fringe(sprites: Path, file: Path) -> None:
    """Draw strands before red over green, white and black: with the source's colours, with those found, as they are."""
    tiles = []
    for kind in ("hair", "fur"):
        name = next(path.name for path in sorted((sprites / "masks").iterdir()) if kind in path.name)
        own = cv2.cvtColor(cv2.imread(str(sprites / "images" / name)), cv2.COLOR_BGR2RGB).astype(np.float32)
        alpha = cv2.imread(str(sprites / "masks" / name), cv2.IMREAD_GRAYSCALE).astype(np.float32) / 255
        share = alpha[..., None]
        behind = np.array([220, 30, 40], np.float32) + 30 * np.sin(np.arange(alpha.shape[1]) / 9)[None, :, None]
        image = np.rint((share * own + (1 - share) * behind).clip(0, 255)).astype(np.uint8)
        rows, columns = np.nonzero((alpha > 0.05) & (alpha < 0.95))
        top, left = (max(0, int(np.percentile(each, 15)) - 40) for each in (rows, columns))
        shown = []
        for colours in (image, foreground_colours(image, alpha), own):
            laid = [share * colours + (1 - share) * np.array(ground) for ground in ((0, 200, 60), (255,) * 3, (0,) * 3)]
            shown.append(np.hstack([each[top : top + 64, left : left + 88] for each in laid]))
        tiles.append(np.vstack(shown))
    sheet = np.hstack(tiles).clip(0, 255).astype(np.uint8)
    write(file, np.asarray(cv2.resize(sheet, None, fx=4, fy=4, interpolation=cv2.INTER_NEAREST), np.uint8))


def _print_times(weights: str, file: Path | None) -> None:
    """Time the matte on the example clip, made larger, and then its colours."""
    results = [result for result, _ in zip(covos.stream(EXAMPLE), range(24), strict=False)][16:]
    print("\n| size | unknown pixels | ms a frame | ms a frame, colours |\n|---|--:|--:|--:|")
    rows: list[list[str | float]] = []
    for name, (height, width) in SIZES.items():
        engine, share = _engine(weights), 0.0
        times: list[list[float]] = []
        for index, result in enumerate(results):
            image = cv2.resize(result.frame.image, (width, height), interpolation=cv2.INTER_CUBIC)
            probability = cv2.resize(result.probability, (width, height), interpolation=cv2.INTER_LINEAR)
            began = time.process_time()
            found: NDArray[np.float32] = engine.find(image, probability, index=index)
            between = time.process_time()
            foreground_colours(image, found)
            times.append([1e3 * (between - began), 1e3 * (time.process_time() - between)])
            share = float(((found > 0) & (found < 1)).mean())
        matte, colours = (statistics.median(column) for column in list(zip(*times[1:], strict=True)))
        rows.append([name, matte, colours])
        print(f"| {name} | {share:.1%} | {matte:.0f} | {colours:.0f} |", flush=True)
    keep(file, "sizes", columns=["size", "ms", "ms, colours"], rows=rows, digits=[0, 0, 0])


if __name__ == "__main__":
    main()
