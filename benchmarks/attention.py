"""The looks of the co-attention: from the subject of a frame into the references, as pictures and as two numbers.

    python benchmarks/attention.py --data DAVIS_ROOT [--model covos-lite] [--sheet FILE.png] [--json FILE]

For the cells (stride 16) that the subject covers in the scored frames of each video, with the references of
`covos segment`:

- entropy: of the attention over all cells of all references, relative to that of looking everywhere alike (1 = it
  looks everywhere, 0 = at one cell);
- on subject: share of the attention that lands on the subject of the references, beside the share of cells that the
  subject covers there, which is what looking everywhere would give.

The sheet has a row for some frames: the frame with its subject and the cell asked from (white), then each reference
with the attention of that cell, red where it is strongest in the row.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from covos.core.device import choose_precision, configure_threads, resolve_device
from covos.core.types import Frame, ImageArray
from covos.data import Video, open_dataset, read_foreground
from covos.engines.choices import DEFAULT_AREA, DEFAULT_REFERENCES
from covos.engines.encoding import FrameEncoder
from covos.engines.find import FindEngine, uniform_references
from covos.masks import contact_sheet, draw_overlay
from covos.models.coattention import CosineCoAttention, Memory, join_memories
from covos.models.lite import CovosLite
from covos.models.registry import build_network, find_model
from covos.training.validate import DatasetSource

STRIDE = 16
COVERED = 0.5
"""A cell belongs to the subject if this share of it does."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Look:
    """The attention of one frame.

    Attributes:
        frame: The query.
        subject: h x w in [0, 1]: what of each cell the subject covers.
        references: Their pictures.
        subjects: R x h x w: the same of each reference.
        maps: h x w x R x h x w, summing to 1 over the last three.
    """

    frame: Frame
    subject: NDArray[np.float32]
    references: tuple[ImageArray, ...]
    subjects: NDArray[np.float32]
    maps: NDArray[np.float32]

    @property
    def asked(self) -> NDArray[np.bool_]:
        """The cells of the subject, h x w."""
        return self.subject > COVERED

    def entropy(self) -> float:
        """The mean over the subject's cells, in [0, 1]."""
        rows = self.maps[self.asked].reshape(int(self.asked.sum()), -1)
        own = -(rows * np.log(np.maximum(rows, 1e-20))).sum(axis=1)
        return float(own.mean() / np.log(rows.shape[1]))

    def on_subject(self) -> float:
        """Share of the attention of the subject's cells that lands on the references' subject."""
        return float((self.maps[self.asked] * self.subjects).sum(axis=(1, 2, 3)).mean())

    def center(self) -> tuple[int, int]:
        """(row, column) of the cell of the subject that is nearest to its centre."""
        cells = np.argwhere(self.asked)
        nearest = np.square(cells - cells.mean(axis=0)).sum(axis=1).argmin()
        return int(cells[nearest][0]), int(cells[nearest][1])


def looks(engine: FindEngine[Any], network: CovosLite, video: Video, *, every: int) -> Iterator[Look]:
    """The attention of every so many annotated frames of a video that are no references and show a subject."""
    count = len(video.frames)
    chosen = uniform_references(count, references=DEFAULT_REFERENCES)
    queries = [k for k in range(1, count - 1, every) if k not in chosen and video.frames[k].annotation is not None]
    source = DatasetSource(video.frames)
    needed = engine.encoder.needed(sorted({*chosen, *queries}), frame_count=count)
    (known,) = engine.remember(engine.encoder.observe(source.select(needed), wanted=chosen))
    memory = join_memories(known.memories)
    pictures = tuple(frame.image for frame in source.select(chosen))
    for observed in engine.encoder.observe(source.select(needed), wanted=queries):
        with engine.encoder.computing():
            v = engine.encoder.encode([observed]).v_BCHW
            attention = attention_of(network.coattention, v, memory)[0].cpu().numpy()
        h, w = v.shape[2:]
        subject = covered(video, observed.frame.index, (h, w))
        if (subject > COVERED).any():
            yield Look(
                frame=observed.frame,
                subject=subject,
                references=pictures,
                subjects=np.stack([covered(video, k, (h, w)) for k in chosen]),
                maps=attention.reshape(h, w, len(chosen), h, w),
            )


def attention_of(module: CosineCoAttention, v_BCHW: Tensor, memory: Memory) -> Tensor:
    """The matrix that the module never builds, B x N x M float32, of a query's features; its rows sum to 1."""
    query = module.keys(v_BCHW) * module.temperature
    with torch.autocast(v_BCHW.device.type, enabled=False):
        return (query.float() @ memory.keys_BMK.float().transpose(1, 2)).softmax(dim=2)


def covered(video: Video, index: int, cells: tuple[int, int]) -> NDArray[np.float32]:
    """The share of each cell that the annotated subject covers."""
    return read_foreground(video, video.frames[index], size=cells).probability


def row(look: Look) -> list[ImageArray]:
    """A row of the sheet."""
    height, width = look.frame.size
    at = look.center()
    truth = cv2.resize(look.subject, (width, height)) > COVERED
    query = draw_overlay(look.frame.image, truth.astype(np.uint8), opacity=0.35)
    rows, columns = look.subject.shape
    corner = round(at[1] * width / columns), round(at[0] * height / rows)
    opposite = round((at[1] + 1) * width / columns), round((at[0] + 1) * height / rows)
    cv2.rectangle(query, corner, opposite, (255, 255, 255), -1)
    heat = look.maps[at] / look.maps[at].max()
    return [query, *(heated(image, one) for image, one in zip(look.references, heat, strict=True))]


def heated(image: ImageArray, heat: NDArray[np.float32]) -> ImageArray:
    """A grey picture under a map in [0, 1]."""
    large = cv2.resize(heat, image.shape[1::-1], interpolation=cv2.INTER_CUBIC).clip(0, 1)
    colours = cv2.cvtColor(cv2.applyColorMap((large * 255).astype(np.uint8), cv2.COLORMAP_JET), cv2.COLOR_BGR2RGB)
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    # What is not looked at stays a picture.
    weight = (0.75 * np.sqrt(large))[..., None]
    return np.asarray(grey * (1 - weight) + colours * weight, np.uint8)


def main() -> None:
    """Print the numbers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--subset", default="val_open")
    parser.add_argument("--model", default="covos-lite")
    parser.add_argument("--frames", type=int, default=5, help="ask every so many frames")
    parser.add_argument("--rows", type=int, default=2, help="frames of each video on the sheet")
    parser.add_argument("--sheet", type=Path, help="write the pictures here")
    parser.add_argument("--json", type=Path, help="write the numbers here")
    options = parser.parse_args()

    configure_threads()
    device = resolve_device("auto")
    precision = choose_precision(device, "auto")
    network = build_network(find_model(options.model))
    if not isinstance(network, CovosLite):
        raise SystemExit(f"{options.model} is not a covos-lite")
    network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    encoder: FrameEncoder[Any] = FrameEncoder(network, device=device, precision=precision, area=DEFAULT_AREA, batch=1)
    engine = FindEngine(encoder)
    numbers, cells, captions = {}, [], []
    print(f"{options.model}, {device}, {precision}\n{'':20} {'entropy':>8} {'on subject':>11} {'everywhere':>11}")
    for video in open_dataset(options.data, subset=options.subset):
        seen = list(looks(engine, network, video, every=options.frames))
        if not seen:
            continue
        measured = [(look.entropy(), look.on_subject(), float(look.subjects.mean())) for look in seen]
        numbers[video.name] = dict(
            zip(("entropy", "on_subject", "everywhere"), np.mean(measured, axis=0).tolist(), strict=True)
        )
        print(
            f"{video.name:20} " + "{entropy:8.3f} {on_subject:11.3f} {everywhere:11.3f}".format(**numbers[video.name])
        )
        for look in seen[:: -(-len(seen) // options.rows)]:
            cells += row(look)
            said = f"entropy {look.entropy():.2f}, on subject {look.on_subject():.2f}"
            captions += [f"{video.name} {look.frame.stem}: {said}", *("reference" for _ in look.references)]
    mean = {name: float(np.mean([own[name] for own in numbers.values()])) for name in next(iter(numbers.values()))}
    print(f"{'mean':20} " + "{entropy:8.3f} {on_subject:11.3f} {everywhere:11.3f}".format(**mean))
    if options.sheet:
        columns = len(cells) // sum(caption != "reference" for caption in captions)
        Image.fromarray(contact_sheet(cells, columns=columns, cell_width=300, captions=captions)).save(options.sheet)
    if options.json:
        options.json.write_text(json.dumps({"model": options.model, "mean": mean, "videos": numbers}, indent=2) + "\n")


if __name__ == "__main__":
    main()
