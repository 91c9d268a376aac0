"""``report.json``: what a run did, frame by frame."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from covos._version import __version__
from covos.core.errors import CovosError
from covos.core.files import atomic_path
from covos.core.types import FrameResult, LabelArray, SourceInfo
from covos.masks import present_ids
from covos.media.source import Health
from covos.runs.folder import OutputFolder
from covos.runs.page import HTML, html_report
from covos.runs.quality import KINDS, Watch
from covos.runs.schema import REPORT, SCHEMA, FrameRow, QualityRecord, SourceRecord


class Report:
    """Collects a row for every frame and is written at the end of the run.

    Rows are kept as text, some two hundred bytes each, so that a long video does not fill the memory.

    Args:
        info: Of the source.
        model: Name of the model.
        sha256: Of its weights.
        device: What computed, in words.
        settings: What the user chose; anything that JSON can express.
        card: Of the model, for the page.
    """

    def __init__(
        self,
        *,
        info: SourceInfo,
        model: str,
        sha256: str,
        device: str,
        settings: Mapping[str, Any] | None = None,
        card: Mapping[str, Any] | None = None,
    ) -> None:
        self._info = info
        self._model = {"name": model, "sha256": sha256}
        self._device = device
        self._settings = dict(settings or {})
        self._card = card
        self._rows: list[bytes] = []
        self._count = 0
        self._before: LabelArray | None = None
        self._watch = Watch(size=(info.height, info.width))

    def __len__(self) -> int:
        return self._count

    def add(self, result: FrameResult, *, seconds: float) -> None:
        """Add a frame.

        Args:
            result: Of the frame.
            seconds: That computing it took.
        """
        row = frame_row(result, seconds=seconds, before=self._before)
        self._before = result.labels
        self._count += 1
        self._keep(self._watch.add(row, result))

    def _keep(self, rows: Iterable[FrameRow]) -> None:
        self._rows.extend(_encoded(json.dumps(row, ensure_ascii=False)) for row in rows)

    def save(
        self,
        folder: OutputFolder,
        *,
        health: Health,
        seconds: float,
        resumed: int = 0,
        outputs: Iterable[Path] = (),
        warnings: Iterable[str] = (),
        problem: CovosError | None = None,
    ) -> Path:
        """Write ``report.json``, indented, with one line a frame; and, of a run that is whole, ``report.html``.

        Args:
            folder: Of the run.
            health: How reading the source went.
            seconds: That the run took, wall clock.
            resumed: Frames that an earlier run had computed.
            outputs: What the writers gave on closing.
            warnings: Of the writers.
            problem: What ended the run early.

        Returns:
            The path of ``report.json``.

        Raises:
            EnvironmentProblem: The disk is full or not writable.
        """
        self._keep(self._watch.rest())
        head: dict[str, Any] = {
            "schema": SCHEMA,
            "tool": {"name": "covos", "version": __version__},
            "settings": self._settings,
            # Hashing a long video takes a while, which whoever stops a run does not want to wait for.
            "source": source_record(self._info, hashed=problem is None),
            "health": {
                "decoded": health.decoded,
                "expected": health.expected,
                "missing": health.missing,
                "undecodable": health.undecodable,
                "cut": health.cut,
                "warnings": list(health.warnings),
            },
            "model": self._model,
            "device": self._device,
            "totals": {
                "frames": len(self),
                "seconds": round(seconds, 3),
                "fps": round(len(self) / seconds, 2) if seconds > 0 else None,
                "resumed": resumed,
            },
            "outputs": [path.relative_to(folder.path).as_posix() for path in outputs],
            "warnings": list(warnings),
            "problem": None if problem is None else {"what": problem.what, "why": problem.why, "fix": problem.fix},
            "quality": quality_record(self._watch),
        }
        if problem is None:
            with atomic_path(folder.file(HTML)) as temporary:
                temporary.write_bytes(_encoded(html_report(head, watch=self._watch, card=self._card)))
        target = folder.file(REPORT)
        opening = json.dumps(head, indent=2, ensure_ascii=False, allow_nan=False).removesuffix("\n}")
        with atomic_path(target) as temporary, temporary.open("wb") as file:
            file.write(_encoded(opening) + b',\n  "frames": [')
            for number, row in enumerate(self._rows):
                file.write((b",\n    " if number else b"\n    ") + row)
            file.write(b"\n  ]\n}\n")
        return target


def frame_row(result: FrameResult, *, seconds: float, before: LabelArray | None = None) -> FrameRow:
    """The row of a frame; see `covos.runs.schema.FrameRow`.

    Args:
        result: Of the frame.
        seconds: That computing it took.
        before: Labels of the frame before; None for the first.
    """
    frame, labels = result.frame, result.labels
    objects = present_ids(labels)
    row: FrameRow = {
        "index": frame.index,
        "stem": frame.stem,
        "pts": frame.pts,
        "time": round(frame.time, 6),
        "status": frame.status,
        "objects": objects,
        "area": {},
        "confidence": round(float(result.confidence), 4) if math.isfinite(result.confidence) else None,
        "seconds": round(seconds, 4),
        "box": {},
        "centre": {},
        "overlap": {},
    }
    if result.objects:
        row["states"] = {
            str(each.id): {"state": each.state, "confidence": round(each.confidence, 4)} for each in result.objects
        }
    for identity in objects:
        mask = np.equal(labels, identity).view(np.uint8)
        key, area = str(identity), cv2.countNonZero(mask)
        left, top, wide, high = cv2.boundingRect(mask)
        row["area"][key] = round(area / labels.size, 6)
        row["box"][key] = [left, top, wide, high]
        row["centre"][key] = [round(_mean_place(mask, axis), 1) for axis in (0, 1)]
        if before is not None and before.shape == labels.shape:
            then = np.equal(before, identity).view(np.uint8)
            both = cv2.countNonZero(mask & then)
            row["overlap"][key] = round(both / (area + cv2.countNonZero(then) - both), 4)
    return row


def _mean_place(mask: NDArray[np.uint8], axis: Literal[0, 1]) -> float:
    """Mean column (axis 0 is summed) or row of a mask's pixels."""
    counts = cv2.reduce(mask, axis, cv2.REDUCE_SUM, dtype=cv2.CV_32S).ravel().astype(np.int64)
    return float(counts @ np.arange(len(counts))) / float(counts.sum())


def quality_record(watch: Watch) -> QualityRecord:
    """What the report says of frames that stand out."""
    return {
        "suspicious": watch.suspicious,
        "flags": {kind: watch.kinds[kind] for kind in KINDS if watch.kinds[kind]},
        "look_at_first": [
            {
                "index": seen.row["index"],
                "stem": seen.row["stem"],
                "time": seen.row["time"],
                "suspicion": round(seen.suspicion, 3),
                "reasons": [flag.text for flag in seen.flags],
            }
            for seen in watch.first()
        ],
    }


def source_record(info: SourceInfo, *, hashed: bool = True) -> SourceRecord:
    """What the report says of a source."""
    return {
        "path": info.path,
        "kind": info.kind,
        "height": info.height,
        "width": info.width,
        "frame_count": info.frame_count,
        "frame_rate": None if info.frame_rate is None else str(info.frame_rate),
        "duration": info.duration,
        "time_base": str(info.time_base),
        "rotation": info.rotation,
        "has_audio": info.has_audio,
        "codec": info.codec,
        "pixel_aspect": str(info.pixel_aspect),
        "sha256": _sha256(Path(info.path)) if hashed else None,
    }


def _sha256(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:  # a folder, a pattern, or moved away since: the report is worth more than the hash
        return None


def _encoded(text: str) -> bytes:
    # File names that are not UTF-8 hold lone surrogates; as backslash escapes they are JSON, and come back the same.
    return text.encode("utf-8", "backslashreplace")
