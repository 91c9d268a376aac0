"""Several results on one ground truth: whether they differ, as values, as text and as JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from covos.core.errors import UsageError, one_of
from covos.core.progress import counted
from covos.evaluation.intervals import FEWEST, LEVEL, Interval, bounds, chance_of, contributions, resampled
from covos.evaluation.layout import Table, TableFormat, check_format, columns, remarks
from covos.evaluation.results import (
    JSON_VERSION,
    LESS_IS_BETTER,
    MEASURES,
    PAPER_MEASURES,
    Evaluation,
    confidence,
    measured,
    number,
    percentage,
)

Verdict: TypeAlias = Literal["too few sequences", "within chance", "beyond chance"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The difference of one result from another on the same sequences.

    Attributes:
        value: The other's J&F less the first's.
        interval: The interval of that difference; None with fewer than `FEWEST` sequences, which tell nothing.
        chance: The chance of a difference at least as large if neither were better: the p of a randomisation test.
        sequences: Number of sequences.
    """

    value: float
    interval: Interval | None
    chance: float
    sequences: int

    @property
    def verdict(self) -> Verdict:
        """The verdict: none with fewer than `FEWEST` sequences, else by p, which is above 5 % or not."""
        if self.sequences < FEWEST:
            return "too few sequences"
        return "beyond chance" if self.chance <= 1 - LEVEL else "within chance"


def difference(first: Evaluation, other: Evaluation) -> Difference:
    """Return the difference of two results in J&F, with its interval under the same draws of sequences.

    Raises:
        UsageError: They were not scored by the same protocol on the same sequences.
    """
    names = [[sequence.name for sequence in each.sequences] for each in (first, other)]
    if first.protocol != other.protocol or names[0] != names[1]:
        raise UsageError(
            f"{first.predictions} and {other.predictions} cannot be compared",
            why="they were not scored by the same protocol on the same sequences",
            fix="score both against one ground truth with one protocol",
        )
    by_class = bool(first.groups)
    interval = None
    if len(first.sequences) >= FEWEST:
        draws = [resampled(each.sequences, "J&F", by_class=by_class) for each in (first, other)]
        interval = Interval.of(draws[1] - draws[0])
    parts = [contributions(each.sequences, by_class=by_class) for each in (first, other)]
    return Difference(
        value=other.scores.jf - first.scores.jf,
        interval=interval,
        chance=chance_of(parts[1] - parts[0]),
        sequences=len(first.sequences),
    )


def differences_from(
    baseline: str | None, evaluations: Sequence[Evaluation], *, names: Sequence[str]
) -> tuple[str, tuple[Difference | None, ...]]:
    """Return the name of the result that the others are compared with, and the difference of each from it.

    Args:
        baseline: That name; None takes the first.
        evaluations: One or more, by one protocol on the same sequences.
        names: A name for each.

    Returns:
        The name, and in the order of the results their differences; None for the baseline itself.

    Raises:
        UsageError: No result is called so, or they were not scored by the same protocol on the same sequences.
    """
    chosen = names[0] if baseline is None else baseline
    if chosen not in names:
        raise UsageError(
            f"{chosen!r} is no result to compare with", why="none of them has this name", fix=one_of(chosen, names)
        )
    at = list(names).index(chosen)
    first = evaluations[at]
    return chosen, tuple(None if index == at else difference(first, each) for index, each in enumerate(evaluations))


def verdicts_of(
    differences: Sequence[Difference | None], *, names: Sequence[str], baseline: str, percent: bool = False
) -> list[str]:
    """Say what each difference from the baseline means, a line each."""
    return [
        describe(found, name=name, than=baseline, percent=percent)
        for found, name in zip(differences, names, strict=True)
        if found is not None
    ]


def describe(found: Difference, *, name: str, than: str, percent: bool = False) -> str:
    """Say in one line what a difference means: its numbers in [0, 1], or in percent as beside a table in percent."""
    scale, digits = (100, 1) if percent else (1, 3)
    value, points = scale * found.value, " points" if percent else ""
    better = f"{name} is {abs(value):.{digits}f}{points} {'better' if value > 0 else 'worse'} than {than}"
    if found.verdict == "too few sequences":
        few = counted(found.sequences, "sequence")
        return f"{better}; {few} cannot tell whether by chance: it takes {FEWEST} at least."
    evidence = f"p = {found.chance:.3f}, 95 % interval {bounds(found.interval, sign='+', percent=percent)}"
    if found.verdict == "within chance":
        return f"{name} and {than} differ by {value:+.{digits}f}{points}, which is within chance ({evidence})."
    return f"{better}, which is beyond chance for sequences like these ({evidence})."


def comparison_table(
    evaluations: Sequence[Evaluation],
    *,
    names: Sequence[str],
    format: TableFormat = "text",
    baseline: str | None = None,
) -> str:
    """Return results as text: a line each, what their differences mean, and J&F of each sequence in each.

    As Markdown and LaTeX the numbers are percentages, all measures of each result are there, and the best are bold.
    `covos evaluate` prints this table where it is given several predictions.

    Args:
        evaluations: One or more, by one protocol on the same sequences.
        names: A name for each.
        format: ``"text"``, ``"markdown"`` or ``"latex"``.
        baseline: Name of the result that the others are compared with; None takes the first.

    Raises:
        UsageError: They were not scored by the same protocol on the same sequences, the format is unknown, or no result
            is called so.
    """
    check_format(format)
    baseline, differences = differences_from(baseline, evaluations, names=names)
    verdicts = verdicts_of(differences, names=names, baseline=baseline, percent=format != "text")
    notes = [f"{name}: {n}" for name, each in zip(names, evaluations, strict=True) for n in each.all_notes]
    first = evaluations[0]
    if format == "text":
        lines = [
            f"truth        {first.truth_text}",
            f"protocol     {first.protocol.name}: {first.protocol.summary}",
            "",
            *columns(_results(evaluations, names=names, baseline=baseline, differences=differences)),
            "",
            *verdicts,
            "",
            *columns([("J&F of sequence", *names), *_by_sequence(evaluations, number)]),
            *[f"note: {note}" for note in notes],
        ]
    else:
        values = [measured(each.scores) for each in evaluations]
        rows: list[tuple[str, ...]] = [(name, *map(percentage, own)) for name, own in zip(names, values, strict=True)]
        whole = Table(header=("result", *PAPER_MEASURES), blocks=(rows,), best=_best(rows))
        sequences = Table(header=("J&F of sequence", *names), blocks=(_by_sequence(evaluations, percentage),))
        said = [f"Against {first.truth_text}; in percent", first.rules_text, *verdicts, *notes]
        lines = [*remarks(said, format), *whole.laid_out(format), "", *sequences.laid_out(format)]
    return "\n".join(lines) + "\n"


def _results(
    evaluations: Sequence[Evaluation],
    *,
    names: Sequence[str],
    baseline: str,
    differences: Sequence[Difference | None],
) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [("result", "J&F", "95 % interval", *MEASURES[1:], f"to {baseline}", "95 % interval")]
    for name, each, found in zip(names, evaluations, differences, strict=True):
        jf, *others = map(number, measured(each.scores))
        change = ("", "") if found is None else (f"{found.value:+.3f}", bounds(found.interval, sign="+"))
        rows.append((name, jf, bounds(confidence(each)), *others, *change))
    return rows


def _by_sequence(evaluations: Sequence[Evaluation], show: Callable[[float | None], str]) -> list[tuple[str, ...]]:
    return [
        (same[0].name, *(show(sequence.scores.jf) for sequence in same))
        for same in zip(*(each.sequences for each in evaluations), strict=True)
    ]


def _best(rows: Sequence[tuple[str, ...]]) -> frozenset[tuple[int, int]]:
    """Return the cells that are best in their column as they are printed: several, where they are equal.

    None is where all are equal, as in the column of a single result.
    """
    best = set()
    for column, name in enumerate(MEASURES, 1):
        printed = {row: float(cells[column]) for row, cells in enumerate(rows) if cells[column] != "-"}
        if len(set(printed.values())) > 1:
            # A decay below 0 says that the first frames were worse, not that the result is better than a steady one.
            rank = {row: -abs(value) if name in LESS_IS_BETTER else value for row, value in printed.items()}
            best |= {(row, column) for row, value in rank.items() if value == max(rank.values())}
    return frozenset(best)


def comparison_to_json(evaluations: Sequence[Evaluation], *, names: Sequence[str], baseline: str | None = None) -> str:
    """Return several evaluations as JSON, with the difference of each from the baseline.

    Args:
        evaluations: As for `comparison_table`.
        names: A name for each.
        baseline: Name of the result that the others are compared with; None takes the first.

    Raises:
        UsageError: They were not scored by the same protocol on the same sequences, or no result is called so.
    """
    baseline, differences = differences_from(baseline, evaluations, names=names)
    changes = [
        {
            "result": name,
            "from": baseline,
            "J&F": found.value,
            "interval": None if found.interval is None else [found.interval.low, found.interval.high],
            "p": found.chance,
            "verdict": found.verdict,
        }
        for name, found in zip(names, differences, strict=True)
        if found is not None
    ]
    content = {
        "format": "covos-comparison",
        "version": JSON_VERSION,
        "results": [{"name": name, **each.as_dict()} for name, each in zip(names, evaluations, strict=True)],
        "differences": changes,
    }
    return json.dumps(content, indent=1) + "\n"


def result_names(paths: Sequence[Path]) -> list[str]:
    """Return short names for results: the last folders of each path, as many as it takes to tell the paths apart."""
    # One folder has many spellings. Links are left as they are: their names are those of results.
    parts = [Path(os.path.abspath(path)).parts for path in paths]  # noqa: PTH100
    for depth in range(1, max(map(len, parts)) + 1):
        names = ["/".join(each[-depth:]).removeprefix("//") for each in parts]
        if len(set(names)) == len(names):
            return names
    twice = next(path for path, own in zip(paths, parts, strict=True) if parts.count(own) > 1)
    raise UsageError(f"{twice} is given twice", why="a result is compared with others", fix="name each result once")
