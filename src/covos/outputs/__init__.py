"""Write results: one file a format, a folder that overwrites nothing, a report of every frame."""

from covos.outputs.background import BackgroundWriters
from covos.outputs.base import Writer, WriterMaker
from covos.outputs.check import check_output
from covos.outputs.folder import OutputFolder
from covos.outputs.html import HTML
from covos.outputs.journal import Journal
from covos.outputs.loading import load_report
from covos.outputs.project import Inputs, Project, remove_journal
from covos.outputs.record import FrameRecord
from covos.outputs.registry import FORMATS, WRITERS, check_formats, make_writer, needs_probability
from covos.outputs.report import REPORT, Report
from covos.outputs.schema import FrameRow, ReportContent

__all__ = [
    "FORMATS",
    "HTML",
    "REPORT",
    "WRITERS",
    "BackgroundWriters",
    "FrameRecord",
    "FrameRow",
    "Inputs",
    "Journal",
    "OutputFolder",
    "Project",
    "Report",
    "ReportContent",
    "Writer",
    "WriterMaker",
    "check_formats",
    "check_output",
    "load_report",
    "make_writer",
    "needs_probability",
    "remove_journal",
]
