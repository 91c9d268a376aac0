"""Write ``report.json`` and ``report.html``: a row a frame as a run goes by, the rest at its end."""

from __future__ import annotations

import hashlib
import json
import math
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from covos._version import __version__
from covos.core.errors import CovosError
from covos.core.types import FrameResult, LabelArray, SourceInfo
from covos.engines.steps import LadderStep
from covos.formats.compose import ComposedResult
from covos.masks import present_ids
from covos.media.source import Health, MissingFrame
from covos.runs.folder import OutputFolder
from covos.runs.page import HTML, render_report
from covos.runs.quality import KINDS, Watch
from covos.runs.schema import (
    REPORT,
    SCHEMA,
    FollowedObjects,
    FrameRow,
    HealthRecord,
    LookAtRecord,
    MissingRow,
    ModelRecord,
    ProblemRecord,
    QualityRecord,
    ReportContent,
    SourceRecord,
    StateRecord,
    ToolRecord,
    TotalsRecord,
    as_json,
)

_LEAST_AREA = 1e-6
"""Share of the frame that an object covers at least in a report: a pixel of a large frame would be rounded to none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """The origin of results, as a report states it.

    Attributes:
        model: Name of the model.
        sha256: Hash of its weights.
        device: Device that computed, in words.
        settings: Everything that the user chose; anything that JSON can express.
        card: Card of the model (see `covos.models.cards.Card`), for the page.
        steps_down: Steps that were taken because the memory ran out (see `covos.engines.ladder`).
        cuts: Frames with which shots begin, but for the first (see `covos.engines.shots`).
    """

    model: str
    sha256: str
    device: str
    settings: Mapping[str, Any]
    card: Mapping[str, Any] | None = None
    steps_down: tuple[LadderStep, ...] = ()
    cuts: tuple[int, ...] = ()


class Report:
    """Collects a row for every frame and is written at the end of the run.

    Rows are kept as packed text, so that a long video does not fill the memory. A source that
    the user has not ``named``, but somebody's report, is not hashed: the report may name any file of this machine.
    """

    def __init__(self, *, info: SourceInfo, origin: Origin, named: bool = True) -> None:
        self._info = info
        self._origin = origin
        self._named = named
        self._rows = PackedRows()
        self._count = 0
        self._followed = FollowedObjects(origin.settings)
        self._before: LabelArray | None = None
        self.objects: set[int] = set()
        """Ids of all objects so far, those that are followed and not seen among them."""
        self._watch = Watch(size=(info.height, info.width), cuts=origin.cuts)

    def __len__(self) -> int:
        return self._count

    def add(self, result: FrameResult, *, seconds: float) -> None:
        """Add a frame, which took some seconds to compute."""
        row = frame_row(result, seconds=seconds, before=self._before)
        self._before = result.labels
        self.objects.update(row.objects, row.states)
        self._followed.add(row)
        self._count += 1
        self._keep(self._watch.add(row, ComposedResult.of(result).fitted))

    def _keep(self, rows: Iterable[FrameRow]) -> None:
        for row in rows:
            self._rows.append(_encoded(json.dumps(as_json(row), ensure_ascii=False)))

    def complete(self) -> None:
        """Take the last frames, which wait for those after them; `save` does so, too."""
        self._keep(self._watch.rest())

    def save(
        self,
        folder: OutputFolder,
        *,
        health: Health,
        seconds: float,
        resumed: int = 0,
        outputs: Iterable[Path] = (),
        warnings: Iterable[str] = (),
        notes: Iterable[str] = (),
        problem: CovosError | None = None,
        steps_down: Iterable[LadderStep] = (),
    ) -> Path:
        """Write ``report.json``, indented, with one line a frame; and, of a run that is whole, ``report.html``.

        Args:
            folder: Folder of the run.
            health: The course of reading the source.
            seconds: Time that the run took, wall clock.
            resumed: Number of frames that an earlier run had computed.
            outputs: Paths that the writers gave on closing.
            warnings: Warnings of the writers.
            notes: Their notes.
            problem: The error that ended the run early.
            steps_down: Steps that were taken in this run, after those of its origin.

        Returns:
            The path of ``report.json``.
        """
        self.complete()
        steps = (*self._origin.steps_down, *steps_down)
        content = ReportContent(
            schema=SCHEMA,
            tool=ToolRecord(name="covos", version=__version__),
            settings=dict(self._origin.settings),
            # Hashing a long video takes a while. Whoever stops a run does not want to wait for it.
            source=SourceRecord.of(
                self._info,
                sha256=_sha256(Path(self._info.file or self._info.path)) if problem is None and self._named else None,
                folder=folder.path,
            ),
            health=HealthRecord(**asdict(health), missing=health.missing),
            model=ModelRecord(name=self._origin.model, sha256=self._origin.sha256),
            device=self._origin.device,
            totals=TotalsRecord(
                frames=len(self),
                seconds=round(seconds, 3),
                fps=round(len(self) / seconds, 2) if seconds > 0 else None,
                resumed=resumed,
            ),
            outputs=tuple(path.relative_to(folder.path).as_posix() for path in outputs),
            warnings=tuple(warnings),
            notes=tuple(notes),
            problem=None if problem is None else ProblemRecord.of(problem),
            quality=self.quality,
            degraded=bool(steps),
            steps_down=steps,
            cuts=self._origin.cuts,
            missing=tuple(self._missing(each) for each in health.lost),
            frames=(),  # they are text already, and follow at the end of the file
        )
        if problem is None:
            with folder.whole(HTML) as temporary:
                temporary.write_bytes(_encoded(render_report(content, watch=self._watch, card=self._origin.card)))
        head = {name: value for name, value in as_json(content).items() if name != "frames"}
        opening = json.dumps(head, indent=2, ensure_ascii=False, allow_nan=False).removesuffix("\n}")
        with folder.whole(REPORT) as temporary, temporary.open("wb") as file:
            file.write(_encoded(opening) + b',\n  "frames": [')
            for number, row in enumerate(self._rows):
                file.write((b",\n    " if number else b"\n    ") + row)
            file.write(b"\n  ]\n}\n")
        return folder.path / REPORT

    @property
    def notes(self) -> tuple[str, ...]:
        """Facts about the objects that were followed."""
        return tuple(self._followed.notes())

    @property
    def quality(self) -> QualityRecord:
        """Findings that stand out in the frames; complete after `complete` or `save`."""
        return _quality(self._watch)

    def _missing(self, lost: MissingFrame) -> MissingRow:
        time = round(float(lost.pts * self._info.time_base), 6)
        return MissingRow(after=lost.after, pts=lost.pts, time=time, status="missing", why=lost.why)


class PackedRows:
    """Lines of text, of which few are unpacked at a time: they are alike, and pack well."""

    _TOGETHER = 256

    def __init__(self) -> None:
        self._packed: list[bytes] = []
        self._latest: list[bytes] = []

    def append(self, row: bytes) -> None:
        """Add a line, without its end."""
        self._latest.append(row)
        if len(self._latest) == self._TOGETHER:
            self._packed.append(zlib.compress(b"\n".join(self._latest), 1))
            self._latest = []

    def __iter__(self) -> Iterator[bytes]:
        for packed in self._packed:
            yield from zlib.decompress(packed).split(b"\n")
        yield from self._latest


def frame_row(result: FrameResult, *, seconds: float, before: LabelArray | None = None) -> FrameRow:
    """Measure a frame's masks: its row, before it is flagged; ``before`` holds the labels of the frame before."""
    frame, labels = result.frame, result.labels
    objects = present_ids(labels)
    area, box, centre, overlap = {}, {}, {}, {}
    for identity in objects:
        mask = np.equal(labels, identity).view(np.uint8)
        left, top, width, height = cv2.boundingRect(mask)
        box[identity] = left, top, width, height
        window = np.s_[top : top + height, left : left + width]
        mask = mask[window]
        pixels = cv2.countNonZero(mask)
        area[identity] = max(_LEAST_AREA, round(pixels / labels.size, 6))
        centre[identity] = round(_mean_place(mask, 0, left), 1), round(_mean_place(mask, 1, top), 1)
        if before is not None and before.shape == labels.shape:
            then = np.equal(before, identity).view(np.uint8)
            both = cv2.countNonZero(mask & then[window])
            overlap[identity] = round(both / (pixels + cv2.countNonZero(then) - both), 4)
    optional: dict[str, Any] = {}
    if frame.source_index is not None:
        optional["source_index"] = frame.source_index
    if frame.file is not None:
        optional["file"] = frame.file
    if result.between:
        optional["between"] = True
    if frame.source_size is not None:
        optional["size"] = frame.size
    if result.objects:
        optional["states"] = {
            each.id: StateRecord(state=each.state, confidence=round(each.confidence, 4)) for each in result.objects
        }
    return FrameRow(
        index=frame.index,
        stem=frame.stem,
        pts=frame.pts,
        time=round(frame.time, 6),
        status=frame.status,
        objects=objects,
        area=area,
        confidence=round(float(result.confidence), 4) if math.isfinite(result.confidence) else None,
        seconds=round(seconds, 4),
        box=box,
        centre=centre,
        overlap=overlap,
        **optional,
    )


def _mean_place(mask: NDArray[np.uint8], axis: Literal[0, 1], first: int) -> float:
    """Mean column (axis 0 is summed) or row of a mask's pixels; the first one of the mask has a number."""
    counts = cv2.reduce(mask, axis, cv2.REDUCE_SUM, dtype=cv2.CV_32S).ravel().astype(np.int64)
    return float(counts @ np.arange(first, first + len(counts))) / float(counts.sum())


def _quality(watch: Watch) -> QualityRecord:
    return QualityRecord(
        suspicious=watch.suspicious,
        flags={kind: watch.kinds[kind] for kind in KINDS if watch.kinds[kind]},
        look_at_first=tuple(
            LookAtRecord(
                index=seen.row.index,
                **({} if seen.row.source_index is None else {"source_index": seen.row.source_index}),
                stem=seen.row.stem,
                time=seen.row.time,
                suspicion=round(seen.suspicion, 3),
                reasons=tuple(flag.text for flag in seen.flags),
            )
            for seen in watch.first()
        ),
    )


def _sha256(path: Path) -> str | None:
    if not path.is_file():  # a folder, a pattern; a device would have no end
        return None
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:  # moved away since: the report is worth more than the hash
        return None


def _encoded(text: str) -> bytes:
    # File names that are not UTF-8 hold lone surrogates; as backslash escapes they are JSON, and come back the same.
    return text.encode("utf-8", "backslashreplace")
