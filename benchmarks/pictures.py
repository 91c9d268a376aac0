"""The accuracy of covos on still pictures: mean absolute error and maximal F-measure, on pictures with masks.

    python benchmarks/pictures.py --data FOLDER [--model NAME_OR_FILE ...] [--quality fast balanced best]
        [--json FILE]

The folder has `images/` and `masks/` (grey, 0 to 255), as DUTS-TE once it is sorted so. Each picture is segmented by
itself, as `covos segment PICTURE` does; its probabilities are scored at the size of the picture. The measures are those
of the literature on salient objects, and are written out in `src/covos/evaluation/saliency.py`. A single picture has no
motion and no other frames, so this is the hardest case of a network that was made for videos. The table that is
kept has one model, quality by quality.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import covos
from covos.core.device import configure_threads
from covos.data import Dataset, open_dataset, read_foreground
from covos.engines.choices import DEFAULT_QUALITY, VIEWS, Quality
from covos.evaluation import Saliency, SaliencyScores
from recorded import keep
from tables import columns_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What a model at a quality was measured to have."""

    model: str
    quality: Quality
    scores: SaliencyScores
    ms: float

    def __str__(self) -> str:
        scores = self.scores
        numbers = f"{scores.mae:7.4f} {scores.max_f:7.4f} {scores.threshold:6.3f} {self.ms:7.1f}"
        return f"{f'{self.model}, {self.quality}':32} {numbers}"

    def cells(self) -> list[str | float]:
        """The columns of the table that is kept."""
        return [f"`{self.quality}`", self.scores.mae, self.scores.max_f]


def measure(model: covos.Model, dataset: Dataset, *, quality: Quality, count: int) -> tuple[SaliencyScores, float]:
    """Scores of the first pictures, and the mean milliseconds of one, with reading it."""
    saliency, seconds = Saliency(), 0.0
    for video in dataset.videos[:count]:
        (record,) = video.frames
        assert record.image is not None
        began = time.perf_counter()
        (result,) = covos.stream(record.image, model=model, quality=quality)
        seconds += time.perf_counter() - began
        saliency.add(result.probability, read_foreground(video, record).probability)
    scores = saliency.scores()
    return scores, 1000 * seconds / scores.pictures


def rows(models: Sequence[str], dataset: Dataset, *, qualities: Sequence[Quality], count: int) -> Iterator[Row]:
    """Measure each model at each quality."""
    for name in models:
        model = covos.load_model(name)
        for quality in qualities:
            scores, ms = measure(model, dataset, quality=quality, count=count)
            yield Row(model=model.name, quality=quality, scores=scores, ms=ms)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", nargs="+", default=["covos-lite"], help="names or .safetensors files")
    parser.add_argument("--quality", nargs="+", choices=VIEWS, default=[DEFAULT_QUALITY])
    parser.add_argument("--pictures", type=int, default=100_000, help="only the first so many")
    parser.add_argument("--json", type=Path, help="keep the table in this file: see recorded.py")
    options = parser.parse_args()
    if options.json and len(options.model) > 1:
        parser.error("the table that is kept has one model: name one, or leave out --json")
    configure_threads()
    dataset = open_dataset(options.data)
    print(f"{options.data}: {min(len(dataset), options.pictures)} pictures")
    print(f"{'':32} {'MAE':>7} {'max F':>7} {'at':>6} {'ms':>7}")
    found: list[Row] = []
    for row in rows(options.model, dataset, qualities=options.quality, count=options.pictures):
        found.append(row)
        print(row, flush=True)
    keep(options.json, "quality", columns=columns_of("pictures.quality"), rows=[row.cells() for row in found])


if __name__ == "__main__":
    main()
