"""The program ``covos``, also as ``python -m covos``: it loads the command line, which takes half a second."""

from __future__ import annotations

import sys
from typing import NoReturn


def run() -> NoReturn:
    """Run the command line; Ctrl-C ends it with a word and exit code 130, also while it loads."""
    try:
        from covos.cli import run as run_command_line

        run_command_line()
    except KeyboardInterrupt:  # none comes from a command, which reports it itself
        from covos.core.signals import SIGINT_EXIT

        print("interrupted", file=sys.stderr)
        sys.exit(SIGINT_EXIT)


if __name__ == "__main__":
    run()
