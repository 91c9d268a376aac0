"""Write results: one file a format, a folder that overwrites nothing, a report of every frame."""

from covos.outputs.background import BackgroundWriters
from covos.outputs.base import Writer, WriterMaker
from covos.outputs.check import check_output
from covos.outputs.folder import OutputFolder
from covos.outputs.frame_mask import FrameMask
from covos.outputs.loading import load_report
from covos.outputs.readers import MasksRead, ReadFrame, read_masks
from covos.outputs.registry import FORMATS, WRITERS, check_formats, make_writer
from covos.outputs.report import Report
from covos.outputs.schema import FrameRow, ReportContent

__all__ = [
    "FORMATS",
    "WRITERS",
    "BackgroundWriters",
    "FrameMask",
    "FrameRow",
    "MasksRead",
    "OutputFolder",
    "ReadFrame",
    "Report",
    "ReportContent",
    "Writer",
    "WriterMaker",
    "check_formats",
    "check_output",
    "load_report",
    "make_writer",
    "read_masks",
]
