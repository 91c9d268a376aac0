"""The scores of covos on a benchmark, as `covos reproduce davis2016` gives them: J, F, J&F and flicker, by sequence.

    python benchmarks/reproduce.py --data DAVIS [--quality balanced best] [--subset val_open] [--json FILE]

Every frame but the first and the last counts. Each quality makes a table of its own.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import covos
from covos.core.device import configure_threads
from covos.engines.choices import DEFAULT_QUALITY, VIEWS
from covos.evaluation.results import Evaluation
from covos.reproduce import reproduce_davis2016
from covos.task import Find
from recorded import keep
from tables import columns_of


def rows_of(evaluation: Evaluation) -> list[list[str | float]]:
    """Return a row for each measure: a column for each sequence, and the mean."""
    each = [*(sequence.scores for sequence in evaluation.sequences), evaluation.scores]
    measures = {
        "J": [scores.j.mean for scores in each],
        "F": [scores.f.mean for scores in each],
        "J&F": [scores.jf for scores in each],
        "flicker": ["" if scores.flicker is None else scores.flicker for scores in each],
    }
    return [[name, *values] for name, values in measures.items()]


def main() -> None:
    """Print the scores, and keep them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--subset", default="val_open")
    parser.add_argument("--quality", nargs="+", choices=VIEWS, default=[DEFAULT_QUALITY])
    parser.add_argument("--json", type=Path, help="keep the tables in this file: see recorded.py")
    options = parser.parse_args()
    configure_threads(pipeline=True)
    model = covos.load_model()
    for quality in options.quality:
        with tempfile.TemporaryDirectory() as folder:
            done = reproduce_davis2016(
                options.data,
                output=Path(folder) / "masks",
                model=model,
                task=Find(quality=quality),
                subset=options.subset,
            )
        print(f"{quality}\n{done.evaluation.table()}", flush=True)
        name = options.subset if quality == DEFAULT_QUALITY else f"{options.subset}_{quality}"
        keep(
            options.json,
            name,
            columns=columns_of("reproduce.val_open", *(each.name for each in done.evaluation.sequences)),
            rows=rows_of(done.evaluation),
            note=f"Computed by {model.runtime} in {model.precision}.",
        )


if __name__ == "__main__":
    main()
