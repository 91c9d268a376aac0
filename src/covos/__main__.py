"""``python -m covos``: the command line."""

from __future__ import annotations

from covos.cli import run

if __name__ == "__main__":
    run()
