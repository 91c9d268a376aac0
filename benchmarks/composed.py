"""The worth of the references and of the motion where nothing else helps: J on clips that are composed for it.

    python benchmarks/composed.py --data ROOT [--data ROOT ...] [--model covos-lite] [--sheet FILE.png]

ROOT holds still pictures with masks, a data set or a folder of data sets; the clips are composed of those that no
training draws (`covos.training.pools`), and are described in `scenes_composed`. In ``shared`` clips only
the references tell the subject from what stands beside it, in ``moving`` ones only the motion. J is the mean over the
frames of a clip, then over clips. A sheet shows the first clips with the subject tinted.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from covos.core.device import choose_precision, configure_threads, resolve_device
from covos.data import open_collection
from covos.engines.choices import DEFAULT_AREA
from covos.engines.encoding import FrameEncoder
from covos.engines.find import FindEngine, uniform_references
from covos.evaluation import jaccard
from covos.masks import contact_sheet, draw_overlay
from covos.models.lite import CovosLite
from covos.models.registry import build_network, find_model
from covos.training.pools import only_held_back
from scenes_composed import KINDS, ComposedClip, compose_clips, fingerprint

REFERENCES = (0, 1, 2, 5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """The settings of the engine."""

    references: int
    motion: bool

    def __str__(self) -> str:
        return f"{self.references} references, motion {'on' if self.motion else 'off'}"


SETTINGS = tuple(Setting(references=n, motion=motion) for motion in (True, False) for n in REFERENCES)


def measure_clips(
    network: CovosLite,
    clips: Sequence[ComposedClip],
    *,
    setting: Setting,
    device: torch.device,
    precision: torch.dtype,
) -> dict[str, float]:
    """J of each clip, by name; the network's `uses_motion` is left as it was."""
    before = network.uses_motion
    network.uses_motion = setting.motion
    encoder: FrameEncoder[Any] = FrameEncoder(network, device=device, precision=precision, area=DEFAULT_AREA, batch=4)
    engine = FindEngine(encoder)
    scores = {}
    try:
        for clip in clips:
            count = len(clip.frames)
            positions = uniform_references(count, references=setting.references) if setting.references else ()
            wanted = [clip.frames[k].index for k in positions]
            known = engine.remember(engine.encoder.observe(clip.frames, wanted=wanted))
            results = engine.stream(engine.encoder.observe(clip.frames), known)
            scores[clip.name] = float(
                np.mean([jaccard(r.labels > 0, t) for r, t in zip(results, clip.truth, strict=True)])
            )
    finally:
        network.uses_motion = before
    return scores


def by_kind(scores: dict[str, float], clips: Sequence[ComposedClip]) -> dict[str, float]:
    """The mean of each kind."""
    return {kind: float(np.mean([scores[clip.name] for clip in clips if clip.kind == kind])) for kind in KINDS}


def sheet(clips: Sequence[ComposedClip], *, each: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """The first clips of each kind, one a row."""
    shown = [clip for kind in KINDS for clip in [clip for clip in clips if clip.kind == kind][:each]]
    cells = [
        draw_overlay(frame.image, truth.astype(np.uint8), opacity=0.35)
        for clip in shown
        for frame, truth in zip(clip.frames, clip.truth, strict=True)
    ]
    captions = [f"{clip.name} {frame.stem}" for clip in shown for frame in clip.frames]
    return contact_sheet(cells, columns=len(clips[0].frames), cell_width=224, captions=captions)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, action="append", required=True)
    parser.add_argument("--model", default="covos-lite", help="a name or a .safetensors file")
    parser.add_argument("--clips", type=int, default=24, help="of each kind")
    parser.add_argument("--sheet", type=Path, help="write a picture of the clips here, and measure nothing")
    parser.add_argument("--json", type=Path, help="write the numbers here, clip by clip")
    options = parser.parse_args()

    configure_threads()
    datasets = only_held_back(dataset for root in options.data for dataset in open_collection(root))
    clips = compose_clips(datasets, count=options.clips)
    print(f"{len(clips)} clips, fingerprint {fingerprint(clips)}")
    if options.sheet:
        Image.fromarray(sheet(clips, each=6)).save(options.sheet)
        return
    device = resolve_device("auto")
    precision = choose_precision(device, "auto")
    network = build_network(find_model(options.model))
    if not isinstance(network, CovosLite):
        raise SystemExit(f"{options.model} is not a covos-lite")
    network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    print(f"{options.model}, {device}, {precision}\n{'':28}" + "".join(f"{kind:>9}" for kind in KINDS))
    rows = {}
    for setting in SETTINGS:
        scores = measure_clips(network, clips, setting=setting, device=device, precision=precision)
        means = by_kind(scores, clips)
        rows[str(setting)] = {"means": means, "clips": scores}
        print(f"{setting!s:28}" + "".join(f"{means[kind]:9.3f}" for kind in KINDS), flush=True)
    if options.json:
        content = {"model": options.model, "fingerprint": fingerprint(clips), "settings": rows}
        options.json.write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    main()
