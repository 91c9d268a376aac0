"""Draw the figures of explained.md, limits.md and formats.md from the example clips, by the packaged networks.

python docs/tools/figures.py                            # all of them, into docs/pictures
python docs/tools/figures.py coattention motion         # some of them

Everything is computed from the two clips in `examples`. If a figure needs something that they do not have, such as a
moving camera, a clip is changed here, and the page says so.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))

import covos
from attention import attention_of, heated
from contact import write
from covos.core.types import Frame, ImageArray
from covos.engines.choices import DEFAULT_REFERENCES
from covos.engines.find import uniform_references
from covos.engines.follow import step
from covos.engines.motion import FLOW_STRIDE, motion_and_flow
from covos.masks import contact_sheet, draw_overlay
from covos.media.images import read_image
from covos.media.opening import open_source
from covos.models.coattention import join_memories

CARS = ROOT / "examples" / "car.mp4"
BOTTLES = ROOT / "examples" / "bottle.mp4"
PICTURES = ROOT / "docs" / "pictures"
QUERY = 29
"""Frame that shows both cars whole."""
POINTS = {"the red car": (0.56, 0.45), "the other car": (0.26, 0.62), "the road": (0.80, 0.75)}
"""Places to ask from, as shares of the width and the height of that frame."""
PUT_DOWN = 110
"""Frame of the bottles in which a hand puts the left one down."""
POINTS_OF_BOTTLES = {
    "the bottle in the hand": (0.16, 0.58),
    "a bottle that stands": (0.51, 0.60),
    "the hand": (0.18, 0.22),
}
CLOSE = (slice(100, 300), slice(300, 656))
"""Rows and columns of the red car in that frame."""
Size = tuple[int, int]


def main() -> None:
    """Draw what is named, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    # The empty list is what argparse checks when no name is given.
    parser.add_argument("names", nargs="*", choices=[*FIGURES, []], help="figures to draw")
    parser.add_argument("-o", "--output", type=Path, default=PICTURES, help="a folder")
    asked = parser.parse_args()
    model = covos.load_model(runtime="torch")  # the attention is computed here from its modules
    for name in asked.names or FIGURES:
        clip, figure = FIGURES[name]
        file = asked.output / f"{name}.webp"
        with open_source(clip) as source:
            write(file, figure(model, list(source)))
        print(f"{file}: {file.stat().st_size // 1000} kB")


def coattention(
    model: covos.Model, frames: list[Frame], *, query: int, points: Mapping[str, tuple[float, float]]
) -> ImageArray:
    """Draw where places of a frame look in its references: a row for each place."""
    engine, network = model.engine, model.network
    chosen = uniform_references(len(frames), references=DEFAULT_REFERENCES)
    needed = engine.encoder.needed(sorted({*chosen, query}), frame_count=len(frames))
    seen = [frames[index] for index in needed]
    (known,) = engine.remember(engine.encoder.observe(seen, wanted=chosen))
    memory = join_memories(known.memories)
    (observed,) = engine.encoder.observe(seen, wanted=[query])
    with engine.encoder.computing():
        v = engine.encoder.encode([observed]).v_BCHW
        attention = attention_of(network.coattention, v, memory)[0].cpu().numpy()
    rows, columns = v.shape[2:]
    maps = attention.reshape(rows, columns, len(chosen), rows, columns)
    cells, captions = [], []
    for name, (x, y) in points.items():
        at = int(y * rows), int(x * columns)
        heat = maps[at] / maps[at].max()
        cells += [_marked(frames[query].image, at, (rows, columns))]
        cells += [heated(frames[index].image, each) for index, each in zip(chosen, heat, strict=True)]
        captions += [f"frame {query}: {name}", *(f"reference, frame {index}" for index in chosen)]
    return contact_sheet(cells, columns=1 + len(chosen), cell_width=240, captions=captions)


def motion(model: covos.Model, frames: list[Frame]) -> ImageArray:
    """Draw the motion between two frames: as filmed, and with a camera that turns."""
    size = model.engine.encoder.size_of(frames[QUERY])
    before, here = frames[QUERY - 1].image, frames[QUERY].image
    cells, captions = [], []
    for name, image in (("as filmed", here), ("the camera turns", _turned(here))):
        found = motion_and_flow(image, before, size=size)
        # The motion has the length in its third channel, as a share of its 95th percentile.
        strength = found.motion[..., 2] / max(float(found.motion[..., 2].max()), 1e-6)
        # The network's motion goes forward in time, the flow back.
        cells += [image, _coloured(-found.flow), heated(image, np.ascontiguousarray(strength))]
        captions += [f"frame {QUERY}, {name}", "the whole flow", "what moves against the scene"]
    return contact_sheet(cells, columns=3, cell_width=360, captions=captions)


def memory(model: covos.Model, frames: list[Frame]) -> ImageArray:
    """Draw what is remembered of a followed car, and where one of its places looks there."""
    last = 42
    engine = model.follower()
    mask = _first_mask(model, frames[18])
    current = engine.new_pass(memory=5)
    masks: dict[int, NDArray[np.bool_]] = {}
    for observed in engine.encoder.observe(frames[18 : last + 1]):
        ((_, features),) = engine.encoded([observed])
        index = observed.frame.index
        if index == last:
            break
        found = step(current, observed.frame, features, {18: {1: mask}} if index == 18 else {})
        large = cv2.resize(found.log_odds[0].float().cpu().numpy(), observed.frame.image.shape[1::-1])
        masks[index] = mask if index == 18 else large > 0
    remembered, _ = current.bank.of([1])
    with torch.inference_mode():
        affinity = current.network.affinity(features, remembered.key_BMK)[0].float().cpu().numpy()
    rows, columns = features.context_BChw.shape[2:]
    at = int(0.18 * rows), int(0.49 * columns)
    indices = [*current.bank.given, *(kept.index for kept in current.bank.middle)]
    assert current.bank.latest is not None
    indices += [current.bank.latest.index] if current.bank.latest.index not in indices else []
    heat = affinity.reshape(rows, columns, len(indices), rows, columns)[at]
    cells, captions = [_marked(frames[last].image, at, (rows, columns))], [f"frame {last}: the roof of the red car"]
    for index, each in zip(indices, heat / heat.max(), strict=True):
        shown = cv2.findContours(masks[index].astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0]
        picture = heated(frames[index].image, each)
        cv2.drawContours(picture, shown, -1, (255, 255, 255), 2)
        cells.append(picture)
        kind = "given" if index in current.bank.given else "latest" if index == indices[-1] else "between"
        captions.append(f"frame {index}: {kind}")
    return contact_sheet(cells, columns=4, cell_width=320, captions=captions)


def _first_mask(model: covos.Model, frame: Frame) -> NDArray[np.bool_]:
    """Return the mask of the red car of a frame, by a click on it."""
    height, width = frame.size
    result = covos.segment([frame.image], points=[(int(0.53 * width), int(0.75 * height))], model=model)
    return result[0].mask


def _marked(image: ImageArray, at: Size, cells: Size) -> ImageArray:
    """Return a picture with one of its cells in white."""
    height, width = image.shape[:2]
    first = round(at[1] * width / cells[1]), round(at[0] * height / cells[0])
    last = round((at[1] + 1) * width / cells[1]), round((at[0] + 1) * height / cells[0])
    marked = image.copy()
    cv2.rectangle(marked, first, last, (255, 255, 255), -1)
    cv2.rectangle(marked, first, last, (0, 0, 0), 3)
    return marked


def _turned(image: ImageArray) -> ImageArray:
    """Return a picture as of a camera that turned by a degree, and went eight pixels to the side."""
    height, width = image.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), 1.0, 1.01)
    turn[0, 2] += 8
    return np.asarray(cv2.warpAffine(image, turn, (width, height), borderMode=cv2.BORDER_REFLECT), np.uint8)


def _coloured(flow: NDArray[np.float32]) -> ImageArray:
    """Draw a flow: its direction as a hue, its length as the saturation."""
    length, angle = cv2.cartToPolar(flow[..., 0], flow[..., 1])
    full = max(float(np.percentile(length, 99)), FLOW_STRIDE / 2)
    wheel = np.dstack([angle * 90 / np.pi, 255 * np.minimum(length / full, 1), np.full_like(length, 255)])
    return cv2.cvtColor(wheel.astype(np.uint8), cv2.COLOR_HSV2RGB)


def limits(model: covos.Model, frames: list[Frame]) -> ImageArray:
    """Draw where it goes wrong: every second frame of the clip, and changes of it that take away what helps."""
    part = [frame.image for frame in frames[12:48:2]]
    cases: dict[str, tuple[int, list[ImageArray]]] = {
        "it works: frame 30": (9, part),
        "upside down: a shadow is taken along": (9, [np.ascontiguousarray(image[::-1]) for image in part]),
        "it fills the frame: most is missing": (9, [_close(image) for image in part]),
        "a picture in the picture is the subject": (9, [_inset(image, number) for number, image in enumerate(part)]),
        "seven per cent of the light: coarse": (9, [_dark(image, number) for number, image in enumerate(part)]),
    }
    found: dict[int, covos.Segmentation] = {}
    cells = []
    for index, images in cases.values():
        if id(images) not in found:
            found[id(images)] = covos.segment(images, model=model)
        cells.append(draw_overlay(_lit(images[index]), found[id(images)][index].labels))
    return contact_sheet(cells, columns=3, cell_width=360, captions=list(cases))


def _close(image: ImageArray) -> ImageArray:
    """Return what a long lens sees: a piece of the picture, three times as large."""
    return np.ascontiguousarray(image[190:268, 50:188].repeat(3, axis=0).repeat(3, axis=1))


def _inset(image: ImageArray, number: int) -> ImageArray:
    """Return a grey picture with noise, in which this one is small."""
    noise = np.random.default_rng(number).normal(0, 4, image.shape)
    whole = np.clip(np.median(image.reshape(-1, 3), axis=0) + noise, 0, 255).astype(np.uint8)
    small = cv2.resize(image, None, fx=0.16, fy=0.16, interpolation=cv2.INTER_AREA)
    whole[200 : 200 + small.shape[0], 300 : 300 + small.shape[1]] = small
    return whole


def _dark(image: ImageArray, number: int) -> ImageArray:
    """Return a picture with a fourteenth of the light, and the noise of a camera."""
    noise = np.random.default_rng(number).normal(0, 3, image.shape)
    return np.clip(image * 0.07 + noise, 0, 255).astype(np.uint8)


def backgrounds(model: covos.Model, frames: list[Frame]) -> ImageArray:
    """Draw the cars before other backgrounds: a picture, with their shadow, with light around the edges, and blur."""
    first = 15  # some frames before the one that is shown tell how light the ground is without the cars
    result = covos.segment(CARS, range=range(first, QUERY + 1), matte=True, model=model)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write(folder / "sand.png", _sand(frames[QUERY].size))
        write(folder / "sky.png", _sky(frames[QUERY].size))

        def shown(**wishes: object) -> ImageArray:
            output = folder / "cut"
            composition = covos.Composition.model_validate(wishes)
            result.save(output, formats=["background=png"], composition=composition, overwrite=True)
            return read_image(output / "background" / f"{QUERY:05d}.png")

        sand, sky = str(folder / "sand.png"), str(folder / "sky.png")
        whole = [frames[QUERY].image, shown(background=sand), shown(background=sand, shadow=True)]
        near = [shown(background=sky), shown(background=sky, light_wrap="2%"), shown(background="blur")]
    cells = [*whole, *(each[CLOSE] for each in near[:2]), near[2]]
    captions = ["the source", "before a picture", "--shadow", "before a bright picture", "--light-wrap 2%", "blur"]
    return contact_sheet(cells, columns=3, cell_width=420, captions=captions)


def _sand(size: Size) -> ImageArray:
    """Return a picture of sand with ripples, seen from above."""
    rng = np.random.default_rng(3)
    rows, columns = np.indices(size)
    grain = rng.normal(0, 7, size) + 9 * cv2.resize(
        rng.normal(0, 1, (12, 20)), size[::-1], interpolation=cv2.INTER_CUBIC
    )
    ripples = 7 * np.sin(rows / 7 + 2 * np.sin(columns / 90) + 3 * np.sin(columns / 37 + rows / 80))
    return np.clip(np.array([214, 188, 140]) + (grain + ripples)[..., None], 0, 255).astype(np.uint8)


def _sky(size: Size) -> ImageArray:
    """Return a picture of a bright sky."""
    down = np.linspace(0, 1, size[0])[:, None, None]
    return np.broadcast_to(np.rint((1 - down) * [196, 224, 250] + down * [255, 252, 240]), (*size, 3)).astype(np.uint8)


def bottles(model: covos.Model, frames: list[Frame]) -> ImageArray:
    """Draw the bottles that covos finds, and under them the one that it follows after a click."""
    shown = {20: "nothing moves", PUT_DOWN: "a bottle is put down", 135: "it stands", 160: "the hand is gone"}
    found = covos.segment(BOTTLES, model=model)
    click = tuple(
        round(share * side)
        for share, side in zip(
            POINTS_OF_BOTTLES["the bottle in the hand"], frames[PUT_DOWN].image.shape[1::-1], strict=True
        )
    )
    followed = covos.segment(BOTTLES, points={PUT_DOWN: [click]}, model=model)
    cells = [draw_overlay(frames[index].image, each[index].labels) for each in (found, followed) for index in shown]
    captions = [f"frame {index}: {text}" for index, text in shown.items()]
    captions += [f"frame {index}, after a click" for index in shown]
    return contact_sheet(cells, columns=len(shown), cell_width=300, captions=captions)


def _lit(image: ImageArray) -> ImageArray:
    """Return a picture that can be seen on a page: a dark one is shown four times as bright."""
    return image if image.mean() > 30 else np.clip(image.astype(np.int32) * 4, 0, 255).astype(np.uint8)


Figure = Callable[[covos.Model, list[Frame]], ImageArray]
FIGURES: dict[str, tuple[Path, Figure]] = {
    "coattention": (CARS, partial(coattention, query=QUERY, points=POINTS)),
    "coattention_bottles": (BOTTLES, partial(coattention, query=PUT_DOWN, points=POINTS_OF_BOTTLES)),
    "motion": (CARS, motion),
    "limits": (CARS, limits),
    "bottles": (BOTTLES, bottles),
    "memory": (CARS, memory),
    "backgrounds": (CARS, backgrounds),
}

if __name__ == "__main__":
    main()
