"""The program ``covos``, for tests: its processes are forked from one that has loaded what they need once for all."""

from __future__ import annotations

from covos.cli import run
from covos.core import process
from covos.core.fresh import fork_server

if __name__ == "__main__":
    process.CONTEXT = fork_server(["covos.serve.networks"])  # type: ignore[assignment]
    run()
