"""The report as a web page."""

from __future__ import annotations

from covos.evaluation.report.page import html_page, write_html

__all__ = ["html_page", "write_html"]
