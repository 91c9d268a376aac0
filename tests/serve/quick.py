"""The program ``covos``, for tests: its processes are forked from one that has loaded what they need once for all.

Their networks see small frames.
"""

from __future__ import annotations

import os
from pathlib import Path

from covos.cli import run
from covos.core import process
from covos.core.fresh import fork_server

if __name__ == "__main__":
    # The process that is forked finds modules by this alone, and passes over those that it does not find.
    tests = str(Path(__file__).parents[1])
    os.environ["PYTHONPATH"] = os.pathsep.join([tests, *filter(None, [os.environ.get("PYTHONPATH")])])
    process.CONTEXT = fork_server(["covos.serve.networks", "small_forks"])  # type: ignore[assignment]
    run()
