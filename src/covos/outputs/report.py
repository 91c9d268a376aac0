"""``report.json``: what a run did, frame by frame."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from covos import __version__
from covos.errors import CovosError
from covos.media import Health
from covos.outputs.folder import OutputFolder
from covos.outputs.schema import SCHEMA, FrameRow, SourceRecord
from covos.runtime.atomic import atomic_path
from covos.types import FrameResult, SourceInfo

REPORT = "report.json"


class Report:
    """Collects a row for every frame and is written at the end of the run.

    Rows are kept as text, some two hundred bytes each, so that a long video does not fill the memory.

    Args:
        info: Of the source.
        model: Name of the model.
        sha256: Of its weights.
        device: What computed, in words.
        settings: What the user chose; anything that JSON can express.
    """

    def __init__(
        self, *, info: SourceInfo, model: str, sha256: str, device: str, settings: Mapping[str, Any] | None = None
    ) -> None:
        self._info = info
        self._model = {"name": model, "sha256": sha256}
        self._device = device
        self._settings = dict(settings or {})
        self._rows: list[bytes] = []

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, result: FrameResult, *, seconds: float) -> None:
        """Add a frame.

        Args:
            result: Of the frame.
            seconds: That computing it took.
        """
        self._rows.append(_encoded(json.dumps(frame_row(result, seconds=seconds), ensure_ascii=False)))

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
        """Write the report: indented, with one line a frame.

        Args:
            folder: Of the run.
            health: How reading the source went.
            seconds: That the run took, wall clock.
            resumed: Frames that an earlier run had computed.
            outputs: What the writers gave on closing.
            warnings: Of the writers.
            problem: What ended the run early.

        Returns:
            The path of the report.

        Raises:
            EnvironmentProblem: The disk is full or not writable.
        """
        head = {
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
        }
        target = folder.file(REPORT)
        opening = json.dumps(head, indent=2, ensure_ascii=False, allow_nan=False).removesuffix("\n}")
        with atomic_path(target) as temporary, temporary.open("wb") as file:
            file.write(_encoded(opening) + b',\n  "frames": [')
            for number, row in enumerate(self._rows):
                file.write((b",\n    " if number else b"\n    ") + row)
            file.write(b"\n  ]\n}\n")
        return target


def frame_row(result: FrameResult, *, seconds: float) -> FrameRow:
    """The row of a frame; see `covos.outputs.schema.FrameRow`."""
    frame, labels = result.frame, result.labels
    counts = np.bincount(labels.ravel(), minlength=1)
    objects = [int(identity) for identity in np.flatnonzero(counts) if identity]
    return {
        "index": frame.index,
        "stem": frame.stem,
        "pts": frame.pts,
        "time": round(frame.time, 6),
        "status": frame.status,
        "objects": objects,
        "area": {str(identity): round(int(counts[identity]) / labels.size, 6) for identity in objects},
        "confidence": round(float(result.confidence), 4) if math.isfinite(result.confidence) else None,
        "seconds": round(seconds, 4),
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
