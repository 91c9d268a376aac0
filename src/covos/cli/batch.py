"""``covos batch``: many clips, on all processors of a machine or of a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from covos.cli import existing, groups, options
from covos.cli.grouping import grouped
from covos.cli.terminal import say
from covos.core.errors import CovosError
from covos.core.memory import refuse_small_address_space
from covos.core.progress import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from covos.core.progress import Progress
    from covos.fleet.batch import BatchResult
    from covos.fleet.work import Row

Clips = Annotated[
    list[str],
    typer.Argument(
        metavar="INPUT",
        help="Videos; folders, where each video and each folder of frames is a clip, also in subfolders; quoted globs; "
        "URLs; manifests (.csv, .parquet, .txt).",
    ),
]
Output = Annotated[
    str,
    typer.Option(
        "-o", "--output", metavar="FOLDER", help="Folder, or a URL such as s3://bucket/cut; each clip gets a subfolder."
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        min=1, help="Processes that work side by side; by default one for each GPU, or else for each processor."
    ),
]
Retry = Annotated[
    int, typer.Option(min=0, help="Begin a clip again so many times if it takes too long or its process dies.")
]
Shard = Annotated[
    str | None,
    typer.Option(
        metavar="I/N",
        help="Take the I-th of N parts of the clips, for machines that share a batch. Each part has its own table.",
    ),
]
ClipTimeout = Annotated[
    float | None,
    typer.Option(metavar="SECONDS", help="End a clip that takes longer; it fails, and --retry begins it again."),
]
Ray = Annotated[
    str | None,
    typer.Option(metavar="ADDRESS", help="Work on a Ray cluster: auto, local, HOST:PORT or ray://HOST:10001."),
]
Threads = Annotated[int, typer.Option(min=1, help="With --ray: processors that each worker takes.")]
GpusPerWorker = Annotated[
    float,
    typer.Option(metavar="PART", help="With --ray: part of a GPU that each worker takes; 0.5 puts two on one."),
]
SummaryFile = Annotated[
    str | None,
    typer.Option(
        metavar="FILE", help="Write the table of all clips here, .csv or .parquet; by default batch.csv in the output."
    ),
]


@grouped
def batch(
    inputs: Clips,
    output: Output,
    workers: Workers = None,
    shard: Shard = None,
    retry: Retry = 1,
    clip_timeout: ClipTimeout = None,
    ray: Ray = None,
    threads: Threads = 1,
    gpus_per_worker: GpusPerWorker = 1.0,
    summary: SummaryFile = None,
    formats: options.Formats = None,
    objects: options.Objects = "1",
    overwrite: options.OverwriteRun = False,
    skip_existing: options.SkipExisting = False,
    allow_errors: options.AllowErrors = False,
    quiet: options.Quiet = False,
    *,
    finding: groups.FindOptions,
    following: groups.FollowOptions,
    planned: groups.Planned,
    part: groups.Part,
    rims: groups.Rims,
    composing: groups.Composing,
    machine: groups.Machine,
) -> int:
    """Cut the moving subject out of many videos, side by side; one that fails stops no other.

    The same command goes on where it stopped. A manifest may set the name, prompts, part, label and number of objects
    of each clip.
    """
    refuse_small_address_space()  # before anything large is imported
    fields = groups.plan_fields(finding, planned, part, rims, machine)
    composition = composing.composition()
    existing.refuse_both(overwrite=overwrite, skip=skip_existing)
    from covos.fleet.batch import Batch
    from covos.formats.options import composed_formats
    from covos.formats.table import DEFAULT_FORMATS
    from covos.task import read_objects

    work = Batch(
        inputs,
        output,
        workers=workers,
        shard=shard,
        retry=retry,
        clip_timeout=clip_timeout,
        ray=ray,
        threads=threads,
        gpus_per_worker=gpus_per_worker,
        summary=summary,
        overwrite=overwrite,
        skip_existing=skip_existing,
        trust_prompts=following.trust_prompts,
        task={**groups.task_settings(finding, following), "objects": read_objects(objects)},
        formats=composed_formats(formats or DEFAULT_FORMATS, composition),
        **fields,
    )
    try:
        with _Display(len(work.clips), quiet=quiet) as display:
            result = work.run(listen=display.ended, count=display.counted, note=display.noted)
    except (KeyboardInterrupt, SystemExit, CovosError) as stopped:
        for note in getattr(stopped, "__notes__", ()):
            if note.endswith(work.summary):  # other notes are tracebacks of bugs
                say(note, err=True)
        raise
    if not quiet:
        say(_closing_line(result), err=True)
        for note in _notes(result.rows):
            say(f"note: {note}", err=True)
    return _verdict(result, allow_errors=allow_errors)


class _Display:
    """Shows how many clips are done, with the frames of those that are under way; a context manager."""

    def __init__(self, total: int, *, quiet: bool) -> None:
        from covos.core.progress import Progress

        self._bar: Progress = Progress("batch", total=total, unit="clips", quiet=quiet)
        self._quiet = quiet
        self._frames = 0
        self._under_way: dict[str, int] = {}

    def __enter__(self) -> _Display:
        self._bar.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        self._bar.__exit__(kind, *exception)

    def counted(self, name: str, frames: int) -> None:
        """A clip has so many frames."""
        self._under_way[name] = frames
        self._tell()

    def noted(self, text: str) -> None:
        """Something differs from what was asked for."""
        if not self._quiet:
            say(f"note: {text}", err=True)

    def ended(self, row: Row) -> None:
        """A clip is over."""
        self._under_way.pop(row.name, None)
        self._frames += row.computed
        if not self._quiet:
            say(_line(row), err=True)
        self._tell()  # before the line of the clip is counted: it says both
        self._bar.advance()

    def _tell(self) -> None:
        frames = counted(self._frames + sum(self._under_way.values()), "frame")
        self._bar.describe(f"batch ({frames} so far)")


def _line(row: Row) -> str:
    if row.error is not None:
        what = row.error.what.removeprefix(f"{row.name}: ")  # an input is often named by both
        return f"failed: {row.name}: {what}: {row.error.why}"
    if row.status == "skipped":
        return f"skipped: {row.name}: it is there already"
    warnings = "".join(f"; {text}" for text in row.warnings)
    took = f" in {row.seconds:.1f} s" if row.status != "done before" else ""
    return f"{row.status}: {row.name}: {counted(row.frames, 'frame')}{took}{warnings}"


def _closing_line(result: BatchResult) -> str:
    counts = {
        status: sum(row.status == status for row in result.rows)
        for status in dict.fromkeys(row.status for row in result.rows)
    }
    said = ", ".join(f"{count} {status}" for status, count in counts.items())
    return ": ".join(each for each in (counted(len(result.rows), "clip"), said, result.summary) if each)


def _notes(rows: Sequence[Row]) -> Iterator[str]:
    """Name the results without a subject in any frame, and those of which most frames stand out."""
    from covos.core.errors import listed

    results = [row for row in rows if row.doubtful is not None and row.frames]
    empty = [row.name for row in results if row.empty == row.frames]
    doubtful = [row.name for row in results if 2 * (row.doubtful or 0) > row.frames and row.empty != row.frames]
    for names, one, several in ((empty, "has", "have"), (doubtful, "is", "are")):
        if names:
            verb = one if len(names) == 1 else several
            what = "no subject in any frame" if names is empty else "mostly doubtful"
            yield f"{len(names)} of {counted(len(results), 'result')} {verb} {what}: {listed(names, shown=8)}"


def _verdict(result: BatchResult, *, allow_errors: bool) -> int:
    from covos.core.errors import IncompleteError

    if failed := result.failed:
        first = failed[0].error
        assert first is not None, "a failed clip has an error"
        if len(failed) == len(result.rows):
            if len(failed) > 1:
                first.remedy += f"; {result.summary} has the errors of all {len(failed)} clips"
            raise first
        raise IncompleteError(
            f"{len(failed)} of {len(result.rows)} clips failed",
            why=f"the first: {first.what}: {first.why}",
            fix=first.remedy + f" ({result.summary} says it for each clip); then the same command tries them again",
        )
    damaged = [row.name for row in result.rows if row.status == "damaged"]
    if damaged and not allow_errors:
        from covos.core.errors import listed

        raise IncompleteError(
            f"frames are missing or damaged in {listed(damaged)}",
            why=f"{result.summary} and the reports say which",
            fix="what could be read is done; --allow-errors takes that for success",
        )
    return 0
