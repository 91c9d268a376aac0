"""Read the masks of a run, or of any file or folder of masks."""

from __future__ import annotations

from pathlib import Path

from covos.formats.reading import MasksRead
from covos.formats.table import read_recognised, readable_formats, unreadable
from covos.runs.schema import REPORT, load_report


def read_masks(path: Path) -> MasksRead:
    """Read masks from a file or folder. What a file is, is told by its content.

    Args:
        path: The output folder of a run, a folder of mask pictures, or a file: COCO, YouTube-VIS or Label Studio
            JSON, CVAT XML, npz.

    Raises:
        AnnotationError: It is missing, damaged, or nothing of this.
        InputError: It is an output folder whose report is damaged.
    """
    if not (path / REPORT).is_file():
        return read_recognised(path)
    outputs = load_report(path).outputs
    for kind in readable_formats():
        if kind.output in outputs:
            return read_recognised(path / kind.output)
    raise unreadable(
        path,
        f"its run wrote {', '.join(outputs) or 'nothing whole'}, of which no masks can be read",
        fix="segment again with -f palette beside the other formats",
    )
