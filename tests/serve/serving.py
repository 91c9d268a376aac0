"""A server as users start it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def serving(*options: str) -> Iterator[str]:
    """Run ``covos serve`` on a free port, for a ``with`` block; gives its address."""
    with subprocess.Popen(
        [sys.executable, "-m", "covos", "serve", "--port", "0", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            found = re.search(r"http://127\.0\.0\.1:\d+/", line)
            assert found, line
            yield found[0]
        finally:
            process.terminate()
            try:
                rest, _ = process.communicate(timeout=30)
                assert process.returncode == 0
                assert "Traceback" not in rest, rest
                assert "ERROR" not in rest, rest
            finally:
                process.kill()
