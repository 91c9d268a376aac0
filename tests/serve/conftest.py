"""A server, once for all tests of the API and of the page.

`test_stopped.py` and `test_log.py` have servers as users start them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from serve.serving import QUICK, serving

pytest.importorskip("fastapi", reason="the extra serve is not installed")


@pytest.fixture(scope="session")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Address and folder of ``covos serve``, with a folder of media."""
    root = tmp_path_factory.mktemp("server")
    media = root / "media"
    media.mkdir()
    rules = ("--media-root", str(media), "--max-upload", "0.002", "--waiting", "3")
    with serving("--root", str(root / "clips"), *rules, program=QUICK) as address:
        yield address, root
