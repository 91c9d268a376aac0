"""A file is written under its own name alone: through a link, another would be changed."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from covos.core.errors import UsageError
from covos.core.files import refuse_link

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows lets few users make links")


def test_a_file_and_none_are_fine(tmp_path: Path) -> None:
    refuse_link(tmp_path / "none")
    (tmp_path / "file").touch()
    refuse_link(tmp_path / "file")


def test_each_kind_of_link_is_named(tmp_path: Path) -> None:
    (tmp_path / "theirs").touch()
    (tmp_path / "soft").symlink_to(tmp_path / "theirs")
    (tmp_path / "dangling").symlink_to(tmp_path / "none")
    os.link(tmp_path / "theirs", tmp_path / "hard")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name, why in (
        ("soft", "it is a link"),
        ("dangling", "it is a link"),
        ("hard", "a second name"),
        ("theirs", "a second name"),
        ("folder", "not a regular file"),
        ("pipe", "not a regular file"),
    ):
        with pytest.raises(UsageError) as caught:
            refuse_link(tmp_path / name)
        assert why in caught.value.why, name
