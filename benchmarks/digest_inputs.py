"""The inputs of `digest.py`, the same at every call: clips with sound, frames, masks, data sets, and a prediction."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

EXAMPLE = Path(__file__).parents[1] / "examples" / "car.mp4"
WIDTH, HEIGHT = 426, 240
FIRST, LAST = 22, 33
"""Frames of the example in the short clip: two cars pass each other."""
WHITE = (60, 6, 142, 160), (34, 90, 136, 240)
RED = (179, 108, 269, 240), (173, 35, 253, 176)
"""Left, top, right and bottom of each car in the first and the last frame of the short clip."""
PALETTE = [0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0]

FAST = {"movflags": "+faststart"}
"""The index first, so that a file that is cut off can be read up to there."""

Picture = NDArray[np.uint8]


def make_inputs(root: Path) -> None:
    """Write all inputs under a folder."""
    root.mkdir(parents=True)
    write_clip(root / "clip.mp4", FIRST, LAST)
    write_clip(root / "long.mp4", 0, 59)
    (root / "cut.mp4").write_bytes((root / "long.mp4").read_bytes()[:90_000])
    (root / "noise.mp4").write_bytes(np.random.default_rng(0).bytes(4000))
    with av.open(str(root / "clip.mp4")) as clip:
        pictures: list[Any] = [frame.to_ndarray(format="rgb24") for frame in clip.decode(video=0)]
    truths = [labels(number / (len(pictures) - 1)) for number in range(len(pictures))]
    (root / "frames").mkdir()
    for number, picture in enumerate(pictures[:6]):
        Image.fromarray(picture).save(root / "frames" / f"shot_{number:03}.png")
    Image.fromarray(pictures[5]).save(root / "one.png")
    Image.fromarray(cv2.GaussianBlur(pictures[0], (0, 0), 9)).save(root / "beach.png")
    write_masks(root, truths)
    write_data(root / "data", pictures, truths)
    write_predictions(root, truths)


def write_clip(path: Path, first: int, last: int) -> None:
    """Some frames of the example at 240 rows, with the sound that belongs to them, packet by packet."""
    with av.open(str(EXAMPLE)) as source, av.open(str(path), "w", options=FAST) as target:
        video, sound = source.streams.video[0], source.streams.audio[0]
        out = target.add_stream("libx264", rate=Fraction(25, 2), options={"crf": "16", "threads": "1"})
        out.width, out.height, out.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        copied = target.add_stream_from_template(sound)
        begin, end = Fraction(first * 2, 25), Fraction((last + 1) * 2, 25)
        number = 0
        for packet in source.demux(video, sound):
            if packet.stream is sound:
                if packet.pts is not None and packet.dts is not None and begin <= packet.pts * packet.time_base < end:
                    shift = round(begin / packet.time_base)
                    packet.pts, packet.dts, packet.stream = packet.pts - shift, packet.dts - shift, copied
                    target.mux(packet)
                continue
            frame: Any
            for frame in packet.decode():
                if first <= number <= last:
                    small = frame.reformat(WIDTH, HEIGHT, format="yuv420p", interpolation="AREA")
                    small.pts, small.time_base = number - first, Fraction(2, 25)
                    small.pict_type = av.video.frame.PictureType.NONE
                    target.mux(out.encode(small))
                number += 1
        target.mux(out.encode(None))


def labels(share: float, *, shift: int = 0) -> Picture:
    """Ids at a share of the way through the short clip: 1 the white car, 2 the red one, as rounded boxes."""
    drawn = np.zeros((HEIGHT, WIDTH), np.uint8)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    for number, (start, end) in enumerate((WHITE, RED), start=1):
        left, top, right, bottom = (a + share * (b - a) for a, b in zip(start, end, strict=True))
        x, y = (columns - shift - (left + right) / 2) / (right - left), (rows - (top + bottom) / 2) / (bottom - top)
        drawn[x**4 + y**4 < 1 / 16] = number
    return drawn


def write_palette(path: Path, ids: Picture) -> None:
    """A palette picture, its folder made if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(ids)
    picture.putpalette(PALETTE + [0] * (768 - len(PALETTE)))
    picture.save(path)


def write_masks(root: Path, truths: list[Picture]) -> None:
    """Masks to follow, and prompt files."""
    write_palette(root / "first.png", truths[0])
    write_palette(root / "later.png", truths[6])
    for number, name in ((1, "white"), (2, "red")):
        Image.fromarray(np.where(truths[0] == number, 255, 0).astype(np.uint8)).save(root / f"{name}.png")
    Image.fromarray(np.where(truths[6] == 1, 255, 0).astype(np.uint8)).save(root / "white6.png")
    write_palette(root / "small.png", truths[0][::2, ::2])
    write_palette(root / "empty.png", np.zeros_like(truths[0]))
    prompts = {
        "masks": [{"file": "white.png", "frame": 0, "object": 1}],
        "points": [{"frame": 0, "object": 2, "positive": [[224, 180], [224, 200]], "negative": [[300, 180]]}],
        "boxes": [{"frame": 6, "object": 3, "box": [170, 60, 266, 208]}],
    }
    (root / "prompts.json").write_text(json.dumps(prompts))
    (root / "prompts.toml").write_text(
        "[[points]]\nframe = 0\nobject = 4\npositive = [[100.5, 80]]\n"
        "[[boxes]]\nframe = 0\nbox = [179, 108, 269, 240]\n"
    )
    (root / "wrong.json").write_text(json.dumps({"boxes": [{"frame": 0, "boxx": [1, 2, 3, 4]}]}))


def write_data(root: Path, pictures: list[Picture], truths: list[Picture]) -> None:
    """A DAVIS tree, a TIANCHI tree and a folder of pictures with masks: small frames, sequences cut differently."""

    def write(picture: Path, mask: Path | None, number: int, *, size: tuple[int, int], flip: bool, one: bool) -> None:
        image, ids = pictures[number], truths[number]
        if flip:
            image, ids = image[:, ::-1], ids[:, ::-1]
        picture.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA)).save(picture, quality=90)
        if mask is not None:
            small: Any = cv2.resize(np.ascontiguousarray(ids), size, interpolation=cv2.INTER_NEAREST_EXACT)
            write_palette(mask, (small > 0).astype(np.uint8) if one else small)

    davis, tianchi, stills = root / "davis", root / "tianchi", root / "pictures"
    for name, numbers, flip in (("one", range(6), False), ("two", range(5, 11), True), ("held", range(6, 12), False)):
        for place, number in enumerate(numbers):
            image, mask = (davis / kind / "480p" / name / f"{place:05}" for kind in ("JPEGImages", "Annotations"))
            image, mask = image.with_suffix(".jpg"), mask.with_suffix(".png")
            write(image, mask, number, size=(214, 120), flip=flip, one=False)
    (davis / "ImageSets" / "480p").mkdir(parents=True)
    (davis / "ImageSets" / "480p" / "train.txt").write_text("one\ntwo\n")
    (davis / "ImageSets" / "480p" / "val.txt").write_text("held\n")
    for name, numbers in (("600101", range(4)), ("600102", range(4, 8)), ("600103", range(7, 12))):
        for place, number in enumerate(numbers):
            known = name != "600103" or place == 0
            image, mask = (tianchi / kind / name / f"{place:05}" for kind in ("JPEGImages", "Annotations"))
            image, mask = image.with_suffix(".jpg"), mask.with_suffix(".png")
            write(image, mask if known else None, number, size=(160, 90), flip=False, one=False)
    (tianchi / "ImageSets").mkdir()
    (tianchi / "ImageSets" / "train.txt").write_bytes(b"600101\r\n600102\r\n")
    (tianchi / "ImageSets" / "test.txt").write_text("600103\n")
    for number in range(0, 12, 3):
        image, mask = stills / "images" / f"p{number}.jpg", stills / "masks" / f"p{number}.png"
        write(image, mask, number, size=(160, 90), flip=number % 2 == 1, one=True)


def write_predictions(root: Path, truths: list[Picture]) -> None:
    """Truth and prediction of two sequences: shifted, with a lost frame, ids changed over, noise of a fixed seed."""
    noise = np.random.default_rng(7)
    for sequence, step in (("cars", 1), ("back", -1)):
        for place, truth in enumerate(truths[::step]):
            number = place if step == 1 else len(truths) - 1 - place
            predicted = labels(number / (len(truths) - 1), shift=3 + place)
            if place == 4:
                predicted[:] = 0
            spots = cv2.resize((noise.random((12, 20)) < 0.05).astype(np.uint8), (WIDTH, HEIGHT))
            predicted[(spots > 0) & (predicted == 0)] = 2
            write_palette(root / "truth" / sequence / f"{place:05}.png", truth)
            write_palette(root / "predicted" / sequence / f"{place:05}.png", predicted)
            write_palette(root / "other" / sequence / f"{place:05}.png", (3 - truth) * (truth > 0))
