"""Load once what each fork of this process would load for itself: most of a small run's time."""

from __future__ import annotations

import contextlib
import io

import filelock  # noqa: F401
import numpy.ma  # noqa: F401 - medians load it
from PIL import Image

from covos import cli
from covos.cli import prompting  # noqa: F401 - the verb loads it, and with it all that is large; here it is once for all
from covos.core import pages
from covos.formats.table import FORMATS, load_format
from covos.isolation import run_isolated  # noqa: F401
from covos.media import live_sink, live_video  # noqa: F401
from covos.results import loading  # noqa: F401
from covos.work import choice, find, follow, steer  # noqa: F401


def warm() -> None:
    """Load the formats, those of pictures, the page of a report and the command line.

    Nothing is run: a fork leaves threads behind.
    """
    for name in FORMATS:
        load_format(name)
    templates = pages._environment()
    for name in templates.list_templates():
        templates.get_template(name)
    Image.init()
    with contextlib.redirect_stdout(io.StringIO()):
        assert cli.main(["segment", "--help"]) == 0
