"""Batch: many clips, each in a folder of its own, on all processors of a machine or of a cluster."""

from __future__ import annotations

import os
import reprlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from inspect import signature
from pathlib import Path
from typing import Any

from covos.core.arguments import checked
from covos.core.errors import CovosError, UsageError, one_of
from covos.core.numbered import as_folder, refuse_pattern
from covos.core.places import path_text
from covos.core.remote import is_remote
from covos.engines.choices import AUTO
from covos.fleet.clips import read_clips
from covos.fleet.hands import Hands
from covos.fleet.manifests import Clip
from covos.fleet.parts import Part, is_table
from covos.fleet.places import joined, plain, refuse_unusable
from covos.fleet.processes import Processes, choose_workers
from covos.fleet.summary import SUMMARY, Summary
from covos.fleet.work import Row, Settings, cut_off, errands
from covos.formats.options import refuse_idle
from covos.plan import Plan
from covos.task import choose_task

_NO_CLIP = Clip(input="-", name="-")


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchResult:
    """The outcome of a batch.

    Attributes:
        rows: One for each clip, in order.
        summary: The table of these rows: a path, or a URL.
    """

    rows: tuple[Row, ...]
    summary: str

    @property
    def failed(self) -> tuple[Row, ...]:
        """The rows of clips that have no result."""
        return tuple(row for row in self.rows if row.status == "failed")


class Batch:
    """Clips that are to be worked through. Iterate over it for their rows, as they end, or call `run`.

    A clip that fails stops no other. The same batch goes on where it stopped: finished clips are recognised, clips that
    were begun are finished, and failed ones are tried again.

    Args:
        inputs: See `covos.fleet.clips.read_clips`.
        output: A folder, or a URL that fsspec knows; each clip has a folder below it.
        workers: Processes; None takes what fits the machine or the cluster.
        shard: ``"I/N"`` takes the I-th of N parts of the clips, for machines that share a batch; see
            `covos.fleet.parts.Part`. The table has the part in its name. None takes all clips.
        retry: How often a clip is begun again whose worker died, or that took too long.
        clip_timeout: Seconds after which a clip that is still at work fails, and its worker is ended; None waits.
        ray: Address of a Ray cluster, as ``ray.init`` takes it; None works on this machine.
        threads: Processors that each worker takes of a cluster.
        gpus_per_worker: Part of a GPU that each worker takes of a cluster, above 0 and up to 1: 0.5 puts two on one.
        summary: A ``.csv`` or ``.parquet`` file for the table; None puts ``batch.csv`` into the output.
        overwrite: If true, earlier results of these clips are replaced, but for what this batch itself has made: if it
            was stopped, or clips have failed, the same batch goes on.
        skip_existing: If true, finished results are left as they are, whatever they were made with.
        trust_prompts: If true, prompt files may name masks outside their folders.
        task: Arguments of `covos.task.choose_task` for all clips, such as ``{"references": 8}``.
        **plan: Fields of `Plan` for all clips, such as ``formats=("prores",)``; not its source and task.

    Raises:
        SourceError: An input stands for nothing.
        InputError: A manifest cannot be read, or names files that are not there or cannot be read.
        UsageError: A setting is wrong, two clips would share a folder, or a URL of the output keeps no files.
        EnvironmentProblem: A URL cannot be reached, or a package is missing for it.
    """

    def __init__(
        self,
        inputs: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
        output: str | os.PathLike[str],
        *,
        workers: int | None = None,
        shard: str | None = None,
        retry: int = 1,
        clip_timeout: float | None = None,
        ray: str | None = None,
        threads: int = 1,
        gpus_per_worker: float = 1.0,
        summary: str | os.PathLike[str] | None = None,
        overwrite: bool = False,
        skip_existing: bool = False,
        trust_prompts: bool = False,
        task: Mapping[str, Any] | None = None,
        **plan: Any,
    ) -> None:
        if overwrite and skip_existing:
            raise UsageError(
                "overwrite and skip_existing together",
                why="one replaces what exists, the other leaves it",
                fix="give one",
            )
        for name, value, least in (("workers", workers, 1), ("retry", retry, 0), ("threads", threads, 1)):
            if value is not None and value < least:
                raise UsageError(f"{name} = {value}", why=f"it is at least {least}", fix="give a larger number")
        if clip_timeout is not None and not clip_timeout > 0:
            raise UsageError(
                f"clip_timeout = {clip_timeout}", why="it is a number of seconds above 0", fix="give a larger number"
            )
        if not 0 < gpus_per_worker <= 1:
            raise UsageError(
                f"gpus_per_worker = {gpus_per_worker:g}",
                why="a worker computes on one GPU, or on a part of one",
                fix="give a number above 0 and up to 1, such as 0.5",
            )
        if gpus_per_worker < 1 and ray is None:
            raise UsageError(
                "gpus_per_worker without a cluster",
                why="it is Ray that shares out the GPUs of a cluster",
                fix="on one machine, workers beyond the number of its GPUs share these: set workers",
            )
        part = None if shard is None else Part.read(shard)
        if refused := {"source", "task"} & set(plan):
            raise UsageError(f"{', '.join(refused)} for a batch", why="each clip has its own", fix="leave it out")
        _refuse_unknown(plan)
        self._settings = Settings(
            plan=plan, task=task or {}, overwrite=overwrite, skip=skip_existing, trust_prompts=trust_prompts
        )
        # A setting that is wrong is refused before anything begins.
        usual = self._settings.planned(_NO_CLIP, source="-")
        refuse_pattern(output, fix=as_folder)
        place = path_text(output, what="the output")
        target = joined(place, SUMMARY) if summary is None else path_text(summary, what="the summary")
        for each in dict.fromkeys((place, target)):
            refuse_unusable(each)
        clips = read_clips(
            [inputs] if isinstance(inputs, str | os.PathLike) else inputs,
            check=lambda clip: self._settings.faults(clip, folder=joined(place, clip.name)),
            leave=lambda match: plain(match) == plain(place) or is_table(plain(match), plain(target)),
        )
        self.clips = clips if part is None else tuple(clip for clip in clips if part.has(clip.name))
        self._errands = errands(self.clips, output=place, settings=self._settings)
        # What was begun may have formats that show more, and a job knows these.
        soft = usual.edges.soft_options
        if soft and any(not is_remote(each.folder) and not Path(each.folder).exists() for each in self._errands):
            refuse_idle(usual.formats, soft)
        self._summary = Summary(
            target if part is None else part.table(target),
            [each.row for each in self._errands],
            # Of all clips: the tables of parts have the same columns, and can be joined.
            carried=[name for clip in clips for name in clip.carried],
            manifests=dict.fromkeys(clip.manifest for clip in clips if clip.manifest is not None),
            overwrites=overwrite,
        )
        self._workers, self._ray, self._threads, self._gpu_share = workers, ray, threads, gpus_per_worker
        self._retry, self._limit = retry, clip_timeout

    @property
    def summary(self) -> str:
        """The table of all clips: a path, or a URL."""
        return self._summary.place

    def run(
        self,
        *,
        listen: Callable[[Row], None] = lambda _: None,
        count: Callable[[str, int], None] = lambda *_: None,
        note: Callable[[str], None] = lambda _: None,
    ) -> BatchResult:
        """Work through all clips, and return what became of them.

        Args:
            listen: Called with the row of each clip, as it ends.
            count: Called with the name of a clip and the number of its frames that are done, now and then; not on a
                cluster.
            note: Called with what differs from what was asked for, in words: a cluster with room for fewer workers, or
                for none, so that the batch waits.

        Raises:
            CovosError: The model cannot be loaded, the workers cannot be had, or the summary cannot be written.
        """
        with self._summary:
            own = self._summary.own
            hands = self._hands(count, note)
            try:
                for row in hands.run([replace(each, is_own=each.clip.name in own) for each in self._errands]):
                    self._summary.add(row)
                    listen(row)
            except (KeyboardInterrupt, SystemExit, CovosError) as end:
                for row in hands.late:
                    self._summary.add(row)
                    listen(row)
                for errand in hands.begun:
                    self._summary.add(cut_off(errand))
                # A model that cannot be loaded ends the batch before there is anything to go on from.
                if not isinstance(end, CovosError) or any(
                    row.over or row.frames for row in self._summary.rows.values()
                ):
                    end.add_note(self._summary.cut_short())
                raise
        return BatchResult(rows=tuple(self._summary.rows.values()), summary=self._summary.place)

    def _hands(self, count: Callable[[str, int], None], note: Callable[[str], None]) -> Hands[Any]:
        device = str(self._settings.plan.get("device", AUTO))
        if self._ray is not None:
            from covos.fleet.cluster import Cluster

            return Cluster(
                address=self._ray,
                device=device,
                count=self._workers,
                threads=self._threads,
                gpu_share=self._gpu_share,
                precision=str(self._settings.plan.get("precision", AUTO)),
                runtime=str(self._settings.plan.get("runtime", AUTO)),
                note=note,
                retry=self._retry,
                limit=self._limit,
            )
        follows = any(map(self._settings.follows, self.clips))
        most = self._workers or choose_workers(device, follows=follows)
        return Processes(
            device=device, count=min(most, len(self.clips)), listen=count, retry=self._retry, limit=self._limit
        )


def _refuse_unknown(settings: Mapping[str, Any]) -> None:
    """Refuse what is no field of the plan of a clip; a UsageError, which says where it belongs."""
    known = [name for name in Plan.model_fields if name not in {"source", "task"}]
    for name, value in settings.items():
        if name in signature(choose_task).parameters:
            said = f"task={{{name!r}: {reprlib.repr(value)}}}"
            raise UsageError(f"{name}= for a batch", why="it is a setting of the task", fix=f"write {said}")
        if name not in known:
            raise UsageError(
                f"unknown setting {name!r}", why="neither a batch nor a plan has it", fix=one_of(name, known)
            )


@checked()
def batch(
    inputs: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    output: str | os.PathLike[str],
    *,
    listen: Callable[[Row], None] = lambda _: None,
    **settings: Any,
) -> BatchResult:
    """Cut the moving subject out of many clips, each into a folder of its own.

    Args:
        inputs: Folders, patterns, URLs and manifests; see `covos.fleet.clips.read_clips`.
        output: A folder, or a URL that fsspec knows.
        listen: Called with the row of each clip, as it ends.
        **settings: See `Batch`.

    Raises:
        CovosError: See `Batch` and `Batch.run`. A clip that fails raises nothing: see `BatchResult.failed`.
    """
    return Batch(inputs, output, **settings).run(listen=listen)
