"""Several results on one ground truth: whether they differ, as values, as text and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from covos.core.errors import UsageError
from covos.evaluation.intervals import Interval, bounds, resampled
from covos.evaluation.results import JSON_VERSION, Evaluation, columns, confidence, number


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The difference of one result from another on the same sequences.

    Attributes:
        value: The other's J&F less the first's.
        interval: The interval of that difference; None with fewer than two sequences.
    """

    value: float
    interval: Interval | None

    @property
    def is_within_chance(self) -> bool:
        """True if the interval holds 0 (or there is none): with other sequences the order might be the reverse."""
        return self.interval is None or self.interval.low <= 0 <= self.interval.high


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
    interval = None
    if len(first.sequences) > 1:
        draws = [resampled(each.sequences, "J&F", by_class=bool(each.groups)) for each in (first, other)]
        interval = Interval.of(draws[1] - draws[0])
    return Difference(value=other.scores.jf - first.scores.jf, interval=interval)


def verdict(found: Difference, *, name: str, than: str) -> str:
    """Say in one line what a difference means."""
    better = "better" if found.value > 0 else "worse"
    if found.interval is None:
        return f"{name} is {abs(found.value):.3f} {better} than {than}; one sequence cannot tell whether by chance."
    interval = f"95 % interval {bounds(found.interval, sign='+')}"
    if found.is_within_chance:
        return f"{name} and {than} differ by {found.value:+.3f}, which is within chance ({interval} holds 0)."
    return (
        f"{name} is {abs(found.value):.3f} {better} than {than}, which is beyond chance for sequences like these"
        f" ({interval}; with few sequences a rough guide)."
    )


def comparison_table(evaluations: Sequence[Evaluation], *, names: Sequence[str]) -> str:
    """Return results as text: a line each, what their differences mean, and J&F of each sequence in each."""
    first = evaluations[0]
    differences = [difference(first, other) for other in evaluations[1:]]
    header = ("result", "J&F", "95 % interval", "J mean", "F mean", "flicker", f"to {names[0]}", "95 % interval")
    changes = [("", ""), *((f"{found.value:+.3f}", bounds(found.interval, sign="+")) for found in differences)]
    rows = []
    for name, each, change in zip(names, evaluations, changes, strict=True):
        scores = each.scores
        means = (number(scores.j.mean), number(scores.f.mean), number(scores.flicker))
        rows.append((name, number(scores.jf), bounds(confidence(each)), *means, *change))
    sequences = [
        (same[0].name, *(number(sequence.scores.jf) for sequence in same))
        for same in zip(*(each.sequences for each in evaluations), strict=True)
    ]
    lines = [
        f"truth        {first.truth_text}",
        f"protocol     {first.protocol.name}: {first.protocol.summary}",
        "",
        *columns([header, *rows]),
        "",
        *(verdict(found, name=name, than=names[0]) for found, name in zip(differences, names[1:], strict=True)),
        "",
        *columns([("J&F of sequence", *names), *sequences]),
        *[f"note: {name}: {n}" for name, each in zip(names, evaluations, strict=True) for n in each.all_notes],
    ]
    return "\n".join(lines) + "\n"


def comparison_to_json(evaluations: Sequence[Evaluation], *, names: Sequence[str]) -> str:
    """Return several evaluations as JSON, with the difference of each from the first."""
    changes = []
    for name, each in zip(names[1:], evaluations[1:], strict=True):
        found = difference(evaluations[0], each)
        changes.append(
            {
                "result": name,
                "from": names[0],
                "J&F": found.value,
                "interval": None if found.interval is None else [found.interval.low, found.interval.high],
                "within_chance": found.is_within_chance,
            }
        )
    content = {
        "format": "covos-comparison",
        "version": JSON_VERSION,
        "results": [{"name": name, **each.as_dict()} for name, each in zip(names, evaluations, strict=True)],
        "differences": changes,
    }
    return json.dumps(content, indent=1) + "\n"


def result_names(paths: Sequence[Path]) -> list[str]:
    """Return short names for results: the last folders of each path, as many as it takes to tell the paths apart."""
    parts = [path.absolute().parts for path in paths]
    for depth in range(1, max(map(len, parts)) + 1):
        names = ["/".join(each[-depth:]).removeprefix("//") for each in parts]
        if len(set(names)) == len(names):
            return names
    twice = next(path for path in paths if list(paths).count(path) > 1)
    raise UsageError(f"{twice} is given twice", why="a result is compared with others", fix="name each result once")
