"""covos beside rembg on annotated videos: J&F, flicker, and the time of a frame.

    python benchmarks/beside_rembg.py --data DAVIS [--subset val_open] [--videos bear camel] [--models u2netp]
                                      [--quality fast balanced] [--stretch-of N]
                                      [--json FILE] [--note TEXT]

rembg takes each frame for itself, by one of its models. Each way reads pictures and writes masks, the model is loaded
before, and `covos.evaluate` scores all masks by the protocol of DAVIS 2016. Processor time is that of all threads; a
busy machine changes it least. Frames a processor second are what one processor does that has nothing else to do.

ISNet takes seconds a frame on a busy machine. With ``--stretch-of N`` three frames in a row are scored of each N, all
three (``davis2016-all``), and rembg computes these alone: flicker compares a mask with its neighbours. covos sees whole
clips, as it needs them, and its time is that of all their frames. The table is ``stretches`` in the file.

Nothing is downloaded. rembg looks for its models in ``~/.u2net`` (``U2NET_HOME``), as ``u2netp.onnx`` and the like, and
`rembg d` fetches them. If rembg itself is not installed, ONNX Runtime computes its models here, by the arithmetic of
its sessions (https://github.com/danielgatis/rembg). If a model is missing, a line says so, and the others are measured.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from covos.bench.rivals import RIVALS, model_file
from covos.bench.spent import timed
from covos.core.device import configure_threads
from covos.engines.choices import VIEWS
from recorded import keep

if TYPE_CHECKING:
    from covos.data import Dataset
    from covos.evaluation.protocols import ProtocolName

IN_A_ROW = 3
"""Frames of a stretch: flicker is of a frame and its two neighbours."""
Masker = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
"""Picture (H, W, 3) in, mask (H, W) of values from 0 to 255 out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """How rembg prepares a picture for a model: the size of its square, and mean and deviation of each channel."""

    side: int
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    deviation: tuple[float, float, float] = (0.229, 0.224, 0.225)


COLUMNS = ("J&F", "J", "F", "flicker", "processor ms a frame", "frames a processor second")
INPUTS = {
    "u2netp": Inputs(side=320),
    "isnet-general-use": Inputs(side=1024, mean=(0.5, 0.5, 0.5), deviation=(1.0, 1.0, 1.0)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A way, and what was measured: scores, and processor milliseconds of a frame."""

    name: str
    jf: float
    j: float
    f: float
    flicker: float
    each: float

    def cells(self) -> list[str | float]:
        """Its columns."""
        return [self.name, self.jf, self.j, self.f, self.flicker, self.each, 1000 / self.each]


def missing(model: str) -> str:
    """Say what is not there to compute a model of rembg; empty if nothing is missing."""
    file = model_file(model)
    if not file.is_file():
        return f"its model is not there: {file}"
    return "" if find_spec("onnxruntime") else "onnxruntime is not installed"


def masker(model: str) -> Masker:
    """Return what makes masks by a model: rembg itself, or its arithmetic if it is not installed."""
    if find_spec("rembg") is None:
        return _by_onnxruntime(model_file(model), INPUTS[model])
    os.environ["MODEL_CHECKSUM_DISABLED"] = "1"  # it would fetch a model whose hash is not that of its own list
    from rembg import new_session, remove

    session = new_session(model, providers=["CPUExecutionProvider"])
    return lambda image: np.asarray(remove(image, session=session, only_mask=True))


def _by_onnxruntime(file: Path, inputs: Inputs) -> Masker:
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(os.environ.get("OMP_NUM_THREADS", "0"))
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    mean, deviation = (np.array(value, np.float32) for value in (inputs.mean, inputs.deviation))

    def mask(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        height, width = image.shape[:2]
        small = np.asarray(Image.fromarray(image).resize((inputs.side, inputs.side), Image.Resampling.LANCZOS))
        bright = small / max(float(small.max()), 1e-6)
        found = session.run(None, {name: ((bright - mean) / deviation).astype(np.float32).transpose(2, 0, 1)[None]})
        answer = found[0][0, 0]
        least, most = float(answer.min()), float(answer.max())
        spread = (answer - least) / max(most - least, 1e-6)
        enlarged = Image.fromarray((spread * 255).astype(np.uint8)).resize((width, height), Image.Resampling.LANCZOS)
        return np.asarray(enlarged)

    return mask


def write_masks(dataset: Dataset, mask: Masker, folder: Path) -> Dataset:
    """Write the masks of all frames, each for itself: ``folder/<video>/<frame>.png``; return the data set."""
    from covos.core.ahead import prefetch
    from covos.masks import write_label_map
    from covos.training.validate import DatasetSource

    for video in dataset:
        (folder / video.name).mkdir(parents=True)
        for record, frame in zip(video.frames, prefetch(DatasetSource(video.frames)), strict=True):
            write_label_map(folder / video.name / f"{record.stem}.png", (mask(frame.image) > 127).astype(np.uint8))
    return dataset


def stretches_of(dataset: Dataset, of: int) -> Dataset:
    """Return three frames in a row of each ``of``, each three as a video of its own: ``camel-6``."""
    parts = tuple(
        replace(video, name=f"{video.name}-{first}", frames=video.frames[first : first + IN_A_ROW])
        for video in dataset
        for first in range(of // 2, len(video.frames) - IN_A_ROW + 1, of)
    )
    return replace(dataset, videos=parts)


def measured(name: str, dataset: Dataset, make: Callable[[Path], Dataset]) -> Row:
    """Make masks in a folder, and score those of a data set; ``make`` returns the one that it worked on."""
    import covos

    with tempfile.TemporaryDirectory() as root:
        folder = Path(root) / "masks"
        made: list[Dataset] = []
        spent = timed(lambda: made.append(make(folder)))
        written = folder / "Annotations" if (folder / "Annotations").is_dir() else folder
        if made[0] is not dataset:
            written = _parted(written, made[0], dataset, Path(root) / "parts")
        scores = covos.evaluate(written, dataset, protocol=_protocol(dataset)).scores
    assert scores.flicker is not None, "there are videos of three frames and more"
    return Row(
        name=name,
        jf=scores.jf,
        j=scores.j.mean,
        f=scores.f.mean,
        flicker=scores.flicker,
        each=1000 * spent.processor / _count(made[0]),
    )


def _parted(written: Path, whole: Dataset, parts: Dataset, target: Path) -> Path:
    """Link the masks of whole videos into a folder of each stretch."""
    owners = {record: video.name for video in whole for record in video.frames}
    for part in parts:
        (target / part.name).mkdir(parents=True)
        for record in part.frames:
            name = f"{record.stem}.png"
            os.link(written / owners[record] / name, target / part.name / name)
    return target


def _protocol(dataset: Dataset) -> ProtocolName:
    """A stretch of three has no ends to drop."""
    return "davis2016-all" if all(len(video.frames) == IN_A_ROW for video in dataset) else "davis2016"


def _count(dataset: Dataset) -> int:
    return sum(len(video.frames) for video in dataset)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--subset", default="val_open")
    parser.add_argument("--videos", nargs="+", help="of the subset, these alone")
    parser.add_argument("--models", nargs="+", choices=RIVALS, default=RIVALS, help="of rembg")
    parser.add_argument("--quality", nargs="+", choices=VIEWS, default=["balanced"], help="of covos")
    parser.add_argument("--stretch-of", type=int, default=0, metavar="N", help="score three frames in a row of each N")
    parser.add_argument("--json", type=Path, help="keep the table in this file, after each way: see recorded.py")
    parser.add_argument("--note", default="", help="sentences for that file, such as on the build of a model")
    asked = parser.parse_args(arguments)

    configure_threads(pipeline=True)
    import covos
    from covos.predict import predict
    from covos.task import Find

    dataset = covos.data.open_dataset(asked.data, subset=asked.subset)
    if asked.videos:
        dataset = dataset.subset(asked.videos)
    scored = stretches_of(dataset, asked.stretch_of) if asked.stretch_of else dataset
    model = covos.load_model(device="cpu")
    said = (
        f"{_count(scored)} frames, scored by {_protocol(scored)}; covos by {model.runtime} in {model.precision}, "
        f"rembg {_release()}by ONNX Runtime in float32. {asked.note}"
    ).strip()
    rows: list[Row] = []

    def add(row: Row) -> None:
        rows.append(row)
        print(f"scored: {row.name}", file=sys.stderr, flush=True)
        # After each: whoever stops it has what was measured until then.
        keep(
            asked.json,
            "stretches" if asked.stretch_of else "scores",
            columns=["", *COLUMNS],
            rows=[each.cells() for each in rows],
            digits=[0, 3, 3, 3, 4, 1, 1],
            note=said,
        )

    for quality in asked.quality:
        task = Find(quality=quality)

        def make(folder: Path, task: Find = task) -> Dataset:
            predict(dataset, output=folder, model=model, task=task, follow=False)
            return dataset

        add(measured(f"covos, {quality}", scored, make))
    for rival in asked.models:
        if lack := missing(rival):
            print(f"rembg {rival}: not measured, {lack}", flush=True)
            continue
        mask = masker(rival)
        add(measured(f"rembg {rival}", scored, lambda folder, mask=mask: write_masks(scored, mask, folder)))
    print(f"{asked.subset}, {len(dataset.videos)} videos, {said}")
    print(f"{'':24} {'J&F':>6} {'J':>6} {'F':>6} {'flicker':>8} {COLUMNS[4]:>21} {COLUMNS[5]:>28}")
    for row in rows:
        scores = f"{row.jf:6.3f} {row.j:6.3f} {row.f:6.3f} {row.flicker:8.4f}"
        print(f"{row.name:24} {scores} {row.each:21.1f} {1000 / row.each:28.1f}")


def _release() -> str:
    return f"{version('rembg')} " if find_spec("rembg") else ""


if __name__ == "__main__":
    main()
