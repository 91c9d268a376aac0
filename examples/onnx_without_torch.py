"""Segment a clip without torch and without covos: numpy, PyAV, Pillow and ONNX Runtime.

    covos export covos-lite -o graphs
    python examples/onnx_without_torch.py graphs clip.mp4 masks

Each frame is compared with five others, as covos does it. The motion, which covos finds by optical flow, stays unknown
here. Masks of 0 and 255 are written, one for each frame, at its size.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import onnxruntime
from PIL import Image

REFERENCES = 5


def frames(clip: str) -> Iterator[tuple[np.ndarray, tuple[int, int]]]:
    """Yield each frame as 1 x 3 x H x W float32 RGB in [0, 1], with its own width and height."""
    with av.open(clip) as container:
        for frame in container.decode(video=0):
            aspect = frame.width / frame.height
            # As many pixels as the network was trained with, sides that are multiples of 32.
            width = max(round(math.sqrt(256 * 448 * aspect) / 32), 1) * 32
            height = max(round(math.sqrt(256 * 448 / aspect) / 32), 1) * 32
            small = frame.reformat(width, height, "rgb24", interpolation="AREA").to_ndarray()
            yield small.transpose(2, 0, 1)[None].astype(np.float32) / 255, (frame.width, frame.height)


def segment(graphs: str, clip: str, masks: str) -> None:
    """Write a mask for each frame."""
    paths = [Path(graphs) / f"covos-lite.{stage}.onnx" for stage in ("encode", "memorise", "segment")]
    encode, memorise, decode = (onnxruntime.InferenceSession(path) for path in paths)

    def encoded(image: np.ndarray) -> dict[str, np.ndarray]:
        motion = np.zeros((1, 4, image.shape[2] // 4, image.shape[3] // 4), np.float32)
        found = encode.run(None, {"image": image, "motion": motion})
        return dict(zip(("v", "still", "s8", "s4", "s16", "s2"), found, strict=True))

    count = sum(1 for _ in frames(clip))
    chosen = {(2 * part + 1) * count // (2 * REFERENCES) for part in range(REFERENCES)}
    memory = {}
    for index, (image, _) in enumerate(frames(clip)):
        if index in chosen:
            own = encoded(image)
            memory[index] = memorise.run(None, {"v": own["v"], "still": own["still"]})
    Path(masks).mkdir(parents=True, exist_ok=True)
    for index, (image, size) in enumerate(frames(clip)):
        own = encoded(image)
        # With itself a frame has everything in common.
        others = [known for reference, known in memory.items() if reference != index or len(memory) == 1]
        keys, values = (np.concatenate(parts, axis=1) for parts in zip(*others, strict=True))
        inputs = {name: own[name] for name in ("v", "still", "s8", "s4", "s2")}
        (logit,) = decode.run(None, {**inputs, "keys": keys, "values": values})
        full = np.asarray(Image.fromarray(logit[0, 0]).resize(size, Image.Resampling.BILINEAR))
        Image.fromarray((full > 0).astype(np.uint8) * 255).save(Path(masks) / f"{index:05d}.png")


if __name__ == "__main__":
    segment(*sys.argv[1:])
