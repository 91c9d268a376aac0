"""``covos reproduce``: segment and score a whole benchmark."""

from __future__ import annotations

from typing import TYPE_CHECKING

from covos.cli import groups, options
from covos.cli.grouping import grouped
from covos.cli.terminal import say, say_lines
from covos.cli.verdict import refuse_damaged
from covos.core.memory import refuse_small_address_space
from covos.core.progress import counted

if TYPE_CHECKING:
    from covos.evaluation import Evaluation


@grouped
def reproduce(
    benchmark: options.Benchmark,
    data: options.BenchmarkData,
    output: options.ContinuedFolder,
    subset: options.BenchmarkVideos = None,
    allow_errors: options.AllowErrors = False,
    quiet: options.Quiet = False,
    *,
    finding: groups.FindOptions,
    machine: groups.Machine,
) -> None:
    """Segment and score a whole benchmark, and print the row beside published ones.

    The same command goes on where it stopped.
    """
    refuse_small_address_space()
    from covos.cli.progress import JobDisplay
    from covos.core.device import configure_threads
    from covos.core.numbered import as_folder, refuse_pattern
    from covos.models.registry import find_model
    from covos.reproduce import open_davis2016, reproduce_davis2016
    from covos.runs.predicted import REPORTS

    refuse_pattern(output, fix=as_folder)
    find_model(finding.model)
    open_davis2016(data, subset=subset)
    from covos.model import load_model  # brings torch: what is wrong is refused before

    threads = configure_threads()
    loaded = load_model(finding.model, device=machine.device, precision=machine.precision, runtime=machine.runtime)
    task = finding.find()
    with JobDisplay(quiet=quiet) as display:
        done = reproduce_davis2016(
            data,
            output=output,
            model=loaded,
            task=task,
            subset=subset,
            workers=threads,
            listen=display,
        )
    if done.reused and not quiet:
        say(f"{counted(len(done.reused), 'sequence')} already done: {', '.join(done.reused)}", err=True)
    say_lines(done.evaluation.table() + "\n")
    say_lines(_rows(done.evaluation, model=loaded.name, subset=done.subset))
    if not allow_errors:
        refuse_damaged(list(done.damaged.items()), report=f"its report in {output / REPORTS}")


def _rows(evaluation: Evaluation, *, model: str, subset: str | None) -> str:
    """Our row above the published ones, in percent; a dash where a paper does not say."""
    from covos.evaluation.protocols import DAVIS2016_VAL

    scores = evaluation.scores
    ours = (scores.jf * 100, scores.j.mean * 100, scores.f.mean * 100)
    count = len(evaluation.sequences)
    lines: list[tuple[str, ...]] = [("method", "J&F", "J", "F", "source")]
    lines.append(
        (model, *(f"{value:.1f}" for value in ours), f"this run, {counted(count, 'sequence')} of {subset or 'no list'}")
    )
    for row in DAVIS2016_VAL:
        shown = ("-" if value is None else f"{value:.1f}" for value in (row.jf, row.j, row.f))
        lines.append((row.method, *shown, row.source))
    widths = [max(len(line[column]) for line in lines) for column in range(5)]
    text = "\n".join(
        f"{line[0]:<{widths[0]}}  " + "  ".join(f"{line[c]:>{widths[c]}}" for c in (1, 2, 3)) + f"  {line[4]}"
        for line in lines
    )
    note = (
        ""
        if subset == "val"
        else f"\nThe published rows are for the 20 sequences of val, not for {subset or 'this tree'}."
    )
    return f"{text}{note}\n"
