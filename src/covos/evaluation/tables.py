"""Scores as text in columns, for a terminal or a log."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any, Literal

import covos
from covos.core.files import atomic_path
from covos.evaluation.comparison import confidence, difference

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from covos.evaluation.comparison import Difference, Interval
    from covos.evaluation.measures import Statistics
    from covos.evaluation.results import Evaluation, ObjectScore, Scores, SequenceScores


_HEADER = ("sequence", "object", "J&F", "J mean", "recall", "decay", "F mean", "recall", "decay", "flicker")


def table(evaluation: Evaluation) -> str:
    """One line an object, one overall, the rules above and the notes below; values in [0, 1]."""
    objects = [
        (
            score.sequence,
            _object_name(score),
            *numbers(score.jf, score.j_statistics, score.f_statistics, score.flicker),
        )
        for score in evaluation.objects
    ]
    groups = [(f"{name} classes", str(group.objects), *_of(group)) for name, group in evaluation.groups.items()]
    total = ("all", str(len(evaluation.objects)), *_of(evaluation.scores))
    lines = [
        f"predictions  {evaluation.predictions}",
        f"truth        {evaluation.truth}" + (f", subset {evaluation.subset}" if evaluation.subset else ""),
        f"protocol     {evaluation.protocol.name}: {evaluation.protocol.summary}",
        "",
        *columns([_HEADER, *objects], [*groups, total]),
        *[f"note: {note}" for note in evaluation.all_notes],
    ]
    return "\n".join(lines) + "\n"


def comparison_table(evaluations: Sequence[Evaluation], *, names: Sequence[str]) -> str:
    """One line a result, what their differences mean, and J&F of each sequence in each; values in [0, 1].

    Raises:
        UsageError: They were not scored by the same protocol on the same sequences.
    """
    first = evaluations[0]
    differences = [difference(first, other) for other in evaluations[1:]]
    header = ("result", "J&F", "95 % interval", "J mean", "F mean", "flicker", f"to {names[0]}", "95 % interval")
    changes = [("", ""), *((f"{found.value:+.3f}", bounds(found.interval, sign="+")) for found in differences)]
    rows = [
        (name, f"{each.scores.jf:.3f}", bounds(confidence(each)), *_means(each.scores), *change)
        for name, each, change in zip(names, evaluations, changes, strict=True)
    ]
    sequences = [
        (same[0].name, *(f"{sequence.scores.jf:.3f}" for sequence in same))
        for same in zip(*(each.sequences for each in evaluations), strict=True)
    ]
    lines = [
        f"truth        {first.truth}" + (f", subset {first.subset}" if first.subset else ""),
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


def verdict(found: Difference, *, name: str, than: str) -> str:
    """What a difference means, in one line."""
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


def bounds(interval: Interval | None, *, sign: Literal["", "+"] = "") -> str:
    """Both ends of an interval, or a dash."""
    return "-" if interval is None else f"{interval.low:{sign}.3f} to {interval.high:{sign}.3f}"


def _means(scores: Scores) -> tuple[str, str, str]:
    return f"{scores.j.mean:.3f}", f"{scores.f.mean:.3f}", "-" if scores.flicker is None else f"{scores.flicker:.3f}"


def numbers(jf: float, j: Statistics, f: Statistics, flicker: float | None) -> tuple[str, ...]:
    """The numbers of one row, with three digits."""
    values = (jf, j.mean, j.recall, j.decay, f.mean, f.recall, f.decay)
    return (*(f"{value:.3f}" for value in values), "-" if flicker is None else f"{flicker:.3f}")


def columns(*blocks: Sequence[Sequence[str]]) -> list[str]:
    """Rows of cells as aligned lines, with a rule between blocks and below the first row; text left, numbers right."""
    rows = [row for block in blocks for row in block]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    rule = "  ".join("-" * width for width in widths)
    lines = []
    for number, block in enumerate(blocks):
        lines += [rule] if number else []
        for row in block:
            cells = [row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))]
            lines.append("  ".join(cells).rstrip())
            lines += [rule] if len(lines) == 1 else []
    return lines


def _of(scores: Scores) -> tuple[str, ...]:
    return numbers(scores.jf, scores.j, scores.f, scores.flicker)


def _object_name(score: ObjectScore) -> str:
    return str(score.object_id) if score.proposal is None else f"{score.object_id} (as {score.proposal})"


# Scores as the files that other tools of the field write, and frame by frame.


def csv_names(subset: str | None) -> tuple[str, ...]:
    """Names of the files that hold the scores of a subset; ``None`` is the whole set, which is called ``all``."""
    name = "all" if subset is None else subset.rpartition("/")[2]
    kinds = ("global_results", "per-sequence_results", "per-frame_results")
    return (*(f"{kind}-{name}.csv" for kind in kinds), "results.csv")


def csv_files(evaluation: Evaluation) -> dict[str, str]:
    """The content of each file by its name.

    ``global_results-{set}.csv`` and ``per-sequence_results-{set}.csv`` have the form of the DAVIS 2017 evaluation,
    down to its naming of objects: ``name_1`` is the first row, and where proposals are matched rows are ordered by
    proposal, so that ``name_1`` need not be object 1. ``results.csv`` has the form of vos-benchmark.
    ``per-frame_results-{set}.csv`` is of covos, and names objects by their ids.
    """
    contents = (_global(evaluation), _per_sequence(evaluation), _per_frame(evaluation), _benchmark(evaluation))
    return dict(zip(csv_names(evaluation.subset), contents, strict=True))


def write_csv(evaluation: Evaluation, folder: Path) -> list[Path]:
    """Write the files of :func:`csv_files` into a folder, which is made; existing files are replaced.

    Returns:
        The files.

    Raises:
        EnvironmentProblem: The disk is full or not writable; no half-written file is left.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, content in csv_files(evaluation).items():
        with atomic_path(folder / name) as temporary:
            temporary.write_text(content, encoding="utf-8", newline="")
        paths.append(folder / name)
    return paths


def _global(evaluation: Evaluation) -> str:
    scores = evaluation.scores
    values = (
        scores.jf,
        *(scores.j.mean, scores.j.recall, scores.j.decay),
        *(scores.f.mean, scores.f.recall, scores.f.decay),
    )
    names = ("J&F-Mean", "J-Mean", "J-Recall", "J-Decay", "F-Mean", "F-Recall", "F-Decay")
    return _rows(names, [f"{value:.3f}" for value in values])


def _per_sequence(evaluation: Evaluation) -> str:
    return _rows(
        ("Sequence", "J-Mean", "F-Mean"),
        *(
            (f"{sequence.name}_{row}", f"{score.j_statistics.mean:.3f}", f"{score.f_statistics.mean:.3f}")
            for sequence in evaluation.sequences
            for row, score in enumerate(sorted(sequence.objects, key=_official_order), start=1)
        ),
    )


def _official_order(score: ObjectScore) -> int:
    return score.object_id if score.proposal is None else score.proposal


def _per_frame(evaluation: Evaluation) -> str:
    return _rows(
        ("Sequence", "Object", "Frame", "J", "F"),
        *(
            (score.sequence, score.object_id, frame, f"{j:.6f}", f"{f:.6f}")
            for score in evaluation.objects
            for frame, j, f in zip(score.frames, score.j, score.f, strict=True)
        ),
    )


def _rows(*rows: Sequence[object]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _benchmark(evaluation: Evaluation) -> str:
    width = max(len("Global score"), *(len(sequence.name) for sequence in evaluation.sequences))
    scores = evaluation.scores
    rows = [
        f"{'sequence':<{width}},{'obj':>3}, {'J&F':>4}, {'J':>4}, {'F':>4}",
        f"{'Global score':<{width}},{'':>3}, {100 * scores.jf:.1f}, {100 * scores.j.mean:.1f}, "
        f"{100 * scores.f.mean:.1f}",
    ]
    rows += [
        f"{score.sequence:<{width}},{score.object_id:03}, {100 * score.jf:>4.1f}, "
        f"{100 * score.j_statistics.mean:>4.1f}, {100 * score.f_statistics.mean:>4.1f}"
        for score in evaluation.objects
    ]
    return "\n".join(rows) + "\n"


# Scores as JSON.

VERSION = 1


def to_json(evaluation: Evaluation) -> str:
    """One evaluation as JSON; numbers are in [0, 1] and not rounded."""
    return json.dumps(as_dict(evaluation), indent=1) + "\n"


def comparison_to_json(evaluations: Sequence[Evaluation], *, names: Sequence[str]) -> str:
    """Several evaluations as JSON, with the difference of each from the first.

    Raises:
        UsageError: They were not scored by the same protocol on the same sequences.
    """
    differences = [(name, difference(evaluations[0], each)) for name, each in zip(names, evaluations, strict=True)]
    content = {
        "format": "covos-comparison",
        "version": VERSION,
        "results": [{"name": name, **as_dict(each)} for name, each in zip(names, evaluations, strict=True)],
        "differences": [
            {
                "result": name,
                "from": names[0],
                "J&F": found.value,
                "interval": _interval(found.interval),
                "within_chance": found.is_within_chance,
            }
            for name, found in differences[1:]
        ],
    }
    return json.dumps(content, indent=1) + "\n"


def as_dict(evaluation: Evaluation) -> dict[str, Any]:
    """One evaluation as plain values, ready for JSON."""
    return {
        "format": "covos-evaluation",
        "version": VERSION,
        "covos": covos.__version__,
        "protocol": evaluation.protocol.name,
        "rules": evaluation.protocol.summary,
        "predictions": evaluation.predictions,
        "truth": evaluation.truth,
        "subset": evaluation.subset,
        "summary": {
            "sequences": len(evaluation.sequences),
            "objects": len(evaluation.objects),
            "frames": evaluation.frames,
            **_scores(evaluation.scores),
            "J&F-Interval": _interval(confidence(evaluation)),
        },
        "groups": {name: {"objects": group.objects, **_scores(group)} for name, group in evaluation.groups.items()},
        "sequences": [_sequence(sequence) for sequence in evaluation.sequences],
        "notes": list(evaluation.notes),
    }


def _interval(interval: Interval | None) -> list[float] | None:
    return None if interval is None else [interval.low, interval.high]


def _sequence(sequence: SequenceScores) -> dict[str, Any]:
    height, width = sequence.size
    return {
        "name": sequence.name,
        "height": height,
        "width": width,
        **_scores(sequence.scores),
        "objects": [_object(score) for score in sequence.objects],
        "notes": list(sequence.notes),
    }


def _object(score: ObjectScore) -> dict[str, Any]:
    return {
        "id": score.object_id,
        "proposal": score.proposal,
        "seen": score.seen,
        "J&F": score.jf,
        **_statistics("J", score.j_statistics),
        **_statistics("F", score.f_statistics),
        "flicker": score.flicker,
        "frames": list(score.frames),
        "J": score.j.tolist(),
        "F": score.f.tolist(),
    }


def _scores(scores: Scores) -> dict[str, Any]:
    return {
        "J&F": scores.jf,
        **_statistics("J", scores.j),
        **_statistics("F", scores.f),
        "flicker": scores.flicker,
    }


def _statistics(measure: str, values: Statistics) -> dict[str, float]:
    return {f"{measure}-Mean": values.mean, f"{measure}-Recall": values.recall, f"{measure}-Decay": values.decay}
