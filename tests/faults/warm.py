"""Load once what each fork of this process would load for itself: most of a small run's time."""

from __future__ import annotations

import contextlib
import io

from covos import cli
from covos.core import pages
from covos.formats.table import FORMATS, load_format


def warm() -> None:
    """Load the formats, the page of a report and the command line. Nothing is run: a fork leaves threads behind."""
    for name in FORMATS:
        load_format(name)
    pages._environment().get_template("report.html")
    with contextlib.redirect_stdout(io.StringIO()):
        assert cli.main(["segment", "--help"]) == 0
