"""A server, once for all tests of the API and of the page.

`test_stopped.py` and `test_log.py` have servers as users start them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from covos.plan import Plan
from covos.serve.rules import Rules
from serve.serving import QUICK, begun, serving

if TYPE_CHECKING:
    from covos.serve.desk import Desk

pytest.importorskip("fastapi", reason="the extra serve is not installed")


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A desk with a clip, which begins no process."""
    from covos.serve.desk import Desk

    desk = Desk(Rules(root=tmp_path / "clips"), plan=Plan(source="clip"))
    clip = desk._clips["one"] = begun(tmp_path / "clips" / "one")
    clip.change(state="done")
    yield desk
    desk.close()


@pytest.fixture(scope="session")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Address and folder of ``covos serve``, with a folder of media."""
    root = tmp_path_factory.mktemp("server")
    media = root / "media"
    media.mkdir()
    rules = ("--media-root", str(media), "--max-upload", "0.002", "--waiting", "3")
    with serving("--root", str(root / "clips"), *rules, program=QUICK) as address:
        yield address, root
