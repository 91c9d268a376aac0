"""Accuracy and speed of covos, setting by setting: J and F beside frames a second, on annotated videos.

    python benchmarks/accuracy.py --data DAVIS_ROOT [--model NAME_OR_FILE ...] [--grid] [--plot FILE.svg] [--json FILE]
    python benchmarks/accuracy.py --data DAVIS_ROOT --quality fast balanced best
    python benchmarks/accuracy.py --data DAVIS_ROOT --references 8
    python benchmarks/accuracy.py --data DAVIS_ROOT --worst 12 --sheet FILE.png

The first row is what `covos segment` does. The others differ from it in one thing: the size at which frames are
encoded, the number of references, or the motion, which is left out; `--grid` measures every combination. With
`--quality` the rows are instead what `covos segment --quality` does. J and F are
means over the frames of a sequence, then over sequences, by every so many frames (`--frames`). Speed is that of the
engine from frame to mask, motion and interpolation to the frame's size included, decoding and scoring not: the best
of three rounds over the first frames of the first video, in the same run. The plot joins the sizes of each model.

The sheet shows the worst frames of the first row of one model: picture, truth and prediction with its J.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from accuracy_plot import Point, draw_plot
from covos.core.device import choose_precision, configure_threads, resolve_device
from covos.core.types import FrameResult
from covos.data import Dataset, open_dataset, read_labels
from covos.engines.choices import (
    DEFAULT_AREA,
    DEFAULT_QUALITY,
    DEFAULT_REFERENCES,
    FOUND_AND_FOLLOWED,
    FOUND_FOLLOWED_IN,
    IN_TURN,
    SMALL_FOUND_FOLLOWED_IN,
    VIEWS,
    Finding,
    Quality,
    View,
    apart_of,
)
from covos.engines.encoding import FrameEncoder
from covos.engines.find import FindEngine
from covos.engines.follow import FollowEngine
from covos.engines.surest import find_and_follow
from covos.masks import contact_sheet, draw_overlay
from covos.model import load_model
from covos.models.lite import CovosLite
from covos.models.registry import build_network, find_model
from covos.training.validate import (
    DatasetSource,
    ScoredFrame,
    Validation,
    frames_to_score,
    score_frames,
    score_result,
)
from recorded import keep
from tables import columns_of

SIZES = ((192, 320), (256, 448), (320, 576), (384, 672))
REFERENCES = (0, 1, 2, 5, 8)
SPEED_FRAMES = 24
ROUNDS = 3
ORDINALS = {2: "second", 4: "fourth"}
SHOWN = 480
"""Width of a picture on the sheet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """The settings of the engine.

    Attributes:
        model: A name or a file.
        size: (height, width) whose area frames are encoded at, in their own aspect; None for a network that has a
            size of its own.
        references: Frames that every frame is compared with.
        motion: True gives the network the motion.
        quality: Of this size.
    """

    model: str
    size: tuple[int, int] | None
    references: int = DEFAULT_REFERENCES
    motion: bool = True
    quality: Quality = DEFAULT_QUALITY

    def __str__(self) -> str:
        if self.quality != DEFAULT_QUALITY:
            return f"{self.model}, {self.quality}, {self.references} references"
        size = "own size" if self.size is None else f"{self.size[0]} x {self.size[1]}"
        return f"{self.model}, {size}, {self.references} references" + ("" if self.motion else ", no motion")


def settings(
    model: str, network: Any, *, grid: bool, qualities: Sequence[Quality] = (), references: Sequence[int] = ()
) -> Iterator[Setting]:
    """The settings to measure, the default first; if qualities or numbers of references are asked for, these alone."""
    fixed = network.fixed_size is not None
    default = Setting(model=model, size=None if fixed else (256, 448), motion=network.uses_motion)
    assert fixed or default.size[0] * default.size[1] == DEFAULT_AREA
    if qualities:
        yield from (replace(default, quality=quality) for quality in qualities)
        return
    if references:
        yield from (replace(default, references=count) for count in references)
        return
    seen = [default]
    sizes = (None,) if fixed else SIZES
    motions = (True, False) if isinstance(network, CovosLite) else (network.uses_motion,)
    for size in sizes:
        for count in REFERENCES:
            for motion in motions:
                one = Setting(model=model, size=size, references=count, motion=motion)
                changed = (size != default.size) + (count != default.references) + (motion != default.motion)
                if grid or changed == 1:
                    seen.append(one)
    yield from dict.fromkeys(seen)


def engine_of(encoder: FrameEncoder[Any], setting: Setting) -> FindEngine[Any]:
    """The engine of a setting.

    An engine asks its network about the motion when it is made. It is made with the motion, whatever the setting before
    left: each row then brings frames together with those around them.
    """
    if isinstance(encoder.network, CovosLite):
        encoder.network.uses_motion = True
    return arranged(FindEngine(encoder).at(setting.quality), setting)


def arranged(engine: FindEngine[Any], setting: Setting) -> FindEngine[Any]:
    """The engine with the motion as it is set; settings of one model share its network."""
    if isinstance(engine.encoder.network, CovosLite):
        engine.encoder.network.uses_motion = setting.motion
    return engine


@dataclass(slots=True, kw_only=True)
class Row:
    """A setting, how it is run, and what was measured."""

    setting: Setting
    engine: FindEngine[Any]
    follower: FollowEngine | None
    found: Validation
    ms: float = float("inf")

    def __str__(self) -> str:
        found, ms = self.found, self.ms
        numbers = f"{(found.j + found.f) / 2:6.3f} {found.j:6.3f} {found.f:6.3f} {ms:6.1f} {1000 / ms:6.1f}"
        each = "  ".join(f"{name} {j:.3f}" for name, (j, _) in found.sequences.items())
        return f"{self.setting!s:52} {numbers}  {each}"

    def cells(self, names: Sequence[str], *, qualities: bool) -> list[str | float]:
        """The columns of the table that is kept: setting, J&F, J, F, J of each sequence, milliseconds of a frame.

        A table of qualities has the quality in place of the setting, and the views in a column of their own.
        """
        found, quality = self.found, self.setting.quality
        head = [f"`{quality}`", views_of(quality)] if qualities else [str(self.setting)]
        each = (found.sequences[name][0] for name in names)
        return [*head, (found.j + found.f) / 2, found.j, found.f, *each, self.ms]

    def point(self) -> Point:
        """On the plot."""
        setting = self.setting
        return Point(
            series=f"{setting.model}, {setting.references} references" + ("" if setting.motion else ", no motion"),
            label=str(setting).split(", ")[1],
            speed=1000 / self.ms,
            score=(self.found.j + self.found.f) / 2,
        )


def views_of(quality: Quality) -> str:
    """The views that a quality looks in, in words."""

    def sizes(*views: View, joined: str) -> str:
        return joined.join(f"{view.height} x {view.width}" for view in views)

    said = sizes(*VIEWS[quality], joined=" and ")
    if quality in IN_TURN:
        said += ", in turn"
    if quality in FOUND_AND_FOLLOWED:
        said += f"; followed in {sizes(FOUND_FOLLOWED_IN, SMALL_FOUND_FOLLOWED_IN, joined=', or ')}"
    apart = apart_of(quality)
    return said if apart == 1 else f"{said}, each {ORDINALS[apart]} frame"


def time_all(rows: Sequence[Row], dataset: Dataset) -> None:
    """Processor milliseconds of a frame in each row, of all threads: the best of several rounds over all rows.

    Whatever else the machine does then slows neighbours of the table alike. What is followed, too, is timed once, over
    all of the first video, with its references and decoding: few frames would have to carry the cost of the references.
    """
    video = dataset.videos[0]
    frames = list(DatasetSource(video.frames[:SPEED_FRAMES]))
    for _ in range(ROUNDS):
        for row in rows:
            if row.follower is not None:
                continue
            engine, references = arranged(row.engine, row.setting), row.setting.references
            known = engine.remember(engine.encoder.observe(frames[: references + 1], wanted=range(references)))
            began = time.process_time()
            for _ in engine.stream(engine.encoder.observe(frames), known):
                pass
            row.ms = min(row.ms, 1000 * (time.process_time() - began) / len(frames))
    for row in rows:
        if row.follower is None:
            continue
        engine, references = arranged(row.engine, row.setting), row.setting.references
        finding = Finding(references=references)
        began = time.process_time()
        for _ in find_and_follow(DatasetSource(video.frames), engine, row.follower, finding=finding):
            pass
        row.ms = 1000 * (time.process_time() - began) / len(video.frames)


def follower_of(setting: Setting) -> FollowEngine | None:
    """What follows the subject from where it was found most surely, at a quality that does so."""
    if setting.quality not in FOUND_AND_FOLLOWED:
        return None
    return load_model(setting.model, runtime="torch").follower()


def score_all(
    engine: FindEngine[Any], follower: FollowEngine | None, dataset: Dataset, *, references: int, every: int
) -> Iterator[ScoredFrame]:
    """Segment and score frames, video by video, as `covos segment` would."""
    if follower is None:
        yield from score_frames(engine, dataset, references=references, every=every)
        return
    finding = Finding(references=references)
    for video in dataset:
        wanted = frames_to_score(video.frames, every=every)
        for each in find_and_follow(DatasetSource(video.frames), engine, follower, finding=finding):
            if isinstance(each, FrameResult) and each.frame.index in wanted:
                yield score_result(video, each)


def write_sheet(path: Path, worst: Sequence[ScoredFrame]) -> None:
    """A row a frame: picture, truth, prediction."""
    cells, captions = [], []
    for scored in worst:
        frame, video = scored.result.frame, scored.video
        truth = read_labels(video, video.frames[frame.index])
        truth = ((truth != 0) & (truth != 255)).astype(np.uint8)
        cells += [frame.image, draw_overlay(frame.image, truth), draw_overlay(frame.image, scored.result.labels)]
        captions += [f"{video.name} {frame.stem}", "truth", f"J {scored.j:.3f}  F {scored.f:.3f}"]
    Image.fromarray(contact_sheet(cells, columns=3, cell_width=SHOWN, captions=captions)).save(path)


def means(frames: Sequence[tuple[str, float, float]]) -> Validation:
    """Over the frames of each sequence, then over sequences."""
    sequences = {}
    for name in dict.fromkeys(name for name, _, _ in frames):
        own = np.array([(j, f) for other, j, f in frames if other == name])
        sequences[name] = (float(own[:, 0].mean()), float(own[:, 1].mean()))
    return Validation.over(sequences)


def keep_rows(rows: Sequence[Row], name: str, *, file: Path | None) -> None:
    """Keep the table of this name."""
    names = list(rows[0].found.sequences)
    qualities = name == "quality"
    keep(
        file,
        name,
        columns=columns_of("accuracy.quality" if qualities else "accuracy.parts", *names),
        rows=[row.cells(names, qualities=qualities) for row in rows],
        digits=[0, *[0] * qualities, *[3] * (3 + len(names)), 0 if qualities else 1],
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--subset", default="val_open")
    parser.add_argument("--model", action="append", help="a name or a .safetensors file; several are compared")
    parser.add_argument("--frames", type=int, default=5, help="score every so many frames")
    parser.add_argument("--grid", action="store_true", help="every combination, not one change at a time")
    parser.add_argument("--quality", nargs="+", choices=VIEWS, default=(), help="measure these instead")
    parser.add_argument("--references", nargs="+", type=int, default=(), help="measure these numbers instead")
    parser.add_argument("--rows", type=int, default=1000, help="only the first so many of each model")
    parser.add_argument("--plot", type=Path, help="write the curve here, an .svg file")
    parser.add_argument("--json", type=Path, help="keep the table in this file: see recorded.py")
    parser.add_argument("--worst", type=int, default=12, help="frames on the sheet")
    parser.add_argument("--sheet", type=Path, help="write the worst frames here, and measure no other row")
    options = parser.parse_args()
    if options.sheet and len(options.model or ()) > 1:
        parser.error("a sheet is of one model")

    configure_threads()
    device = resolve_device("auto")
    precision = choose_precision(device, "auto")
    dataset = open_dataset(options.data, subset=options.subset)
    rows: list[Row] = []
    for model in options.model or ["covos-lite"]:
        network = build_network(find_model(model))
        network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        chosen = list(
            settings(model, network, grid=options.grid, qualities=options.quality, references=options.references)
        )
        for setting in chosen[: 1 if options.sheet else options.rows]:
            area = setting.size[0] * setting.size[1] if setting.size else DEFAULT_AREA
            encoder: FrameEncoder[Any] = FrameEncoder(network, device=device, precision=precision, area=area, batch=4)
            engine, follower = engine_of(encoder, setting), follower_of(setting)
            scores: list[tuple[str, float, float]] = []
            worst: list[ScoredFrame] = []
            found = score_all(engine, follower, dataset, references=setting.references, every=options.frames)
            for scored in found:
                scores.append((scored.video.name, scored.j, scored.f))
                if options.sheet:
                    worst = sorted([*worst, scored], key=lambda each: each.j)[: options.worst]
            rows.append(Row(setting=setting, engine=engine, follower=follower, found=means(scores)))
            print(f"scored: {setting}", file=sys.stderr, flush=True)
            if options.sheet:
                write_sheet(options.sheet, worst)
    time_all(rows, dataset)
    print(f"{device}, {precision}, {options.subset}, every {options.frames}th frame")
    print(f"{'':52} {'J&F':>6} {'J':>6} {'F':>6} {'ms':>6} {'1/s':>6}  J by sequence")
    print(*rows, sep="\n")
    keep_rows(
        rows,
        "quality" if options.quality else "references" if options.references else "grid" if options.grid else "parts",
        file=options.json,
    )
    if options.plot:
        options.plot.write_text(draw_plot([row.point() for row in rows], title=f"{options.subset} on {device}"))


if __name__ == "__main__":
    main()
