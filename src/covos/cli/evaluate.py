"""`covos evaluate`: score predicted masks."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from covos.cli import existing, options
from covos.cli.terminal import say, say_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from covos.evaluation import Evaluation


def evaluate(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PRED",
            help="Folders or videos of predicted masks. Without --gt, give two: the second is the ground truth.",
            show_default=False,
        ),
    ],
    protocol: Annotated[
        str,
        typer.Option(help="davis2016, davis2016-all, davis2017-semi, davis2017-unsup or youtube-vos."),
    ],
    truth: Annotated[
        str | None,
        typer.Option("--gt", metavar="TRUTH", help="Ground truth, also shards; needed for several predictions."),
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option(metavar="PRED", help="Compare the others with this prediction.", show_default="the first"),
    ] = None,
    subset: Annotated[
        str | None,
        typer.Option(metavar="LIST", help="Name of a list in the data set's ImageSets, such as val; no path."),
    ] = None,
    ratio: options.Ratio = None,
    split_seed: options.SplitSeed = None,
    json: Annotated[Path | None, typer.Option("--json", help="Write everything, frame by frame, to this file.")] = None,
    csv: Annotated[
        Path | None, typer.Option("--csv", metavar="FOLDER", help="Write the official CSV files to this folder.")
    ] = None,
    html: Annotated[Path | None, typer.Option("--html", help="Write a report with plots and pictures.")] = None,
    format: Annotated[
        Literal["text", "markdown", "latex"],
        typer.Option(
            "-f", "--format", help="Layout of the printed table; markdown and latex have percentages, as papers do."
        ),
    ] = "text",
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes that score a sequence each; by default as many as processors.")
    ] = None,
    overwrite: options.Overwrite = False,
    skip_existing: options.SkipExisting = False,
    quiet: options.NoProgress = False,
) -> None:
    """Score predicted masks against ground truth, with the numbers of the official code."""
    from covos.core.device import usable_cpus
    from covos.evaluation import evaluate as score
    from covos.evaluation import get_protocol
    from covos.evaluation.comparison import comparison_table, result_names

    rules = get_protocol(protocol)
    predictions, annotated = _roles(paths, truth)
    names = result_names(predictions)
    chosen = _baseline(baseline, predictions, names)
    _refuse_file_name(csv)
    folders = {} if csv is None else _csv_folders(csv, names)
    outputs = _outputs(json, html, folders.values(), subset)
    if existing.skips(outputs, overwrite=overwrite, skip=skip_existing, quiet=quiet):
        return
    existing.refuse_existing(outputs, overwrite=overwrite)
    evaluations = [
        _scored(
            partial(
                score,
                path,
                annotated,
                protocol=rules.name,
                subset=subset,
                ratio=ratio,
                seed=split_seed,
                workers=workers or usable_cpus(),
            ),
            title=f"score {path}",
            quiet=quiet,
        )
        for path in predictions
    ]
    if len(names) == 1:
        say_lines(evaluations[0].table(format))
    else:
        say_lines(comparison_table(evaluations, names=names, format=format, baseline=chosen))
    _write(evaluations, names, baseline=chosen, json=json, html=html, folders=folders)
    written = [str(path) for path in (json, html, *folders.values()) if path is not None]
    if written and not quiet:
        say(f"written: {', '.join(written)}", err=True)


def _roles(paths: Sequence[str], truth: str | None) -> tuple[list[Path], str]:
    from covos.core.errors import UsageError

    if truth is not None:
        return [Path(each) for each in paths], truth
    if len(paths) != 2:
        raise UsageError(
            "which path is the ground truth?" if len(paths) > 2 else "there is no ground truth to score against",
            why=f"without --gt, two paths are taken, PRED and GT; {len(paths)} given",
            fix="name it: covos evaluate PRED... --gt GT --protocol P",
        )
    return [Path(paths[0])], paths[1]


def _baseline(given: str | None, predictions: Sequence[Path], names: Sequence[str]) -> str | None:
    """Return the name of the prediction that the others are compared with, before anything is scored."""
    from covos.core.errors import UsageError, one_of

    if given is None:
        return None
    if len(predictions) < 2:
        raise UsageError(
            f"--baseline {given}", why="one prediction has nothing to be compared with", fix="give several, and --gt"
        )
    for path, name in zip(predictions, names, strict=True):
        if given == name or Path(given).absolute() == path.absolute():
            return name
    raise UsageError(f"--baseline {given}", why="it is none of the predictions", fix=one_of(given, names))


def _refuse_file_name(csv: Path | None) -> None:
    from covos.core.errors import UsageError

    if csv is not None and (csv.suffix.lower() == ".csv" or csv.is_file()):
        folder = csv.with_suffix("") if csv.suffix.lower() == ".csv" else csv
        while folder.is_file():
            folder = folder.with_name(f"{folder.name}-csv")
        raise UsageError(
            f"--csv {csv} " + ("is a file that exists" if csv.is_file() else "names a file"),
            why="the official scores are several files, and go into a folder",
            fix=f"give a folder: --csv {folder}",
        )


def _csv_folders(csv: Path, names: Sequence[str]) -> dict[str, Path]:
    return {name: csv if len(names) == 1 else csv / name.replace("/", "-") for name in names}


def _outputs(json: Path | None, html: Path | None, folders: Iterable[Path], subset: str | None) -> list[Path]:
    from covos.evaluation.tables import csv_names

    files = [path for path in (json, html) if path is not None]
    return files + [folder / name for folder in folders for name in csv_names(subset)]


def _scored(score: Callable[..., Evaluation], *, title: str, quiet: bool) -> Evaluation:
    from covos.core.progress import Progress

    with ExitStack() as stack:
        shown: list[Progress] = []

        def progress(done: int, total: int) -> None:
            if done == 0:
                shown.append(stack.enter_context(Progress(title, total=total, unit="sequences", quiet=quiet)))
            else:
                shown[0].advance()

        return score(progress=progress)


def _write(
    evaluations: Sequence[Evaluation],
    names: Sequence[str],
    *,
    baseline: str | None,
    json: Path | None,
    html: Path | None,
    folders: dict[str, Path],
) -> None:
    from covos.core.files import atomic_path
    from covos.evaluation.comparison import comparison_to_json
    from covos.evaluation.page import write_html
    from covos.evaluation.tables import write_csv

    for path in (json, html):
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
    if json is not None:
        single = len(evaluations) == 1
        content = (
            evaluations[0].to_json() if single else comparison_to_json(evaluations, names=names, baseline=baseline)
        )
        with atomic_path(json) as temporary:
            temporary.write_text(content, encoding="utf-8")
    for evaluation, folder in zip(evaluations, folders.values(), strict=False):
        write_csv(evaluation, folder)
    if html is not None:
        write_html(evaluations, html, names=names, baseline=baseline)
