"""Write results: one file a format, a folder that overwrites nothing, a report of every frame."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from covos.outputs.registry import FORMATS, WRITERS, check_formats, make_writer, probability_bits

if TYPE_CHECKING:
    from covos.outputs.background import BackgroundWriters
    from covos.outputs.base import Writer, WriterMaker
    from covos.outputs.check import check_output
    from covos.outputs.folder import OutputFolder
    from covos.outputs.frame_mask import FrameMask
    from covos.outputs.html import HTML
    from covos.outputs.journal import Journal
    from covos.outputs.loading import load_report
    from covos.outputs.project import Inputs, Project, remove_journal
    from covos.outputs.readers import MasksRead, ReadFrame, read_masks
    from covos.outputs.record import FrameRecord
    from covos.outputs.report import REPORT, Report
    from covos.outputs.schema import FrameRow, ReportContent

__all__ = [
    "FORMATS",
    "HTML",
    "REPORT",
    "WRITERS",
    "BackgroundWriters",
    "FrameMask",
    "FrameRecord",
    "FrameRow",
    "Inputs",
    "Journal",
    "MasksRead",
    "OutputFolder",
    "Project",
    "ReadFrame",
    "Report",
    "ReportContent",
    "Writer",
    "WriterMaker",
    "check_formats",
    "check_output",
    "load_report",
    "make_writer",
    "probability_bits",
    "read_masks",
    "remove_journal",
]

_HOMES = {
    "HTML": "html",
    "REPORT": "report",
    "BackgroundWriters": "background",
    "FrameMask": "frame_mask",
    "FrameRecord": "record",
    "FrameRow": "schema",
    "Inputs": "project",
    "Journal": "journal",
    "MasksRead": "readers",
    "OutputFolder": "folder",
    "Project": "project",
    "ReadFrame": "readers",
    "Report": "report",
    "ReportContent": "schema",
    "Writer": "base",
    "WriterMaker": "base",
    "check_output": "check",
    "load_report": "loading",
    "read_masks": "readers",
    "remove_journal": "project",
}


def __getattr__(name: str) -> object:
    """Load the rest on first use: the help of the command line needs the names of the formats and nothing else."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"covos.outputs.{_HOMES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return __all__
