"""The folder that ``covos open`` works in, while another covos has the usual one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from covos.core.errors import EnvironmentProblem
from covos.core.files import LOCK, exclusive, is_held
from covos.serve.clip import RECORD
from covos.serve.places import PAGE
from covos.serve.roots import choose_root
from covos.serve.to_open import ToOpen
from serve.serving import begun


@pytest.fixture
def usual(tmp_path: Path) -> Path:
    folder = tmp_path / "covos-clips"
    folder.mkdir()
    return folder


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    file = tmp_path / "clip.mp4"
    file.write_bytes(b"1234567")
    return file


def worked_on(root: Path, clip: Path) -> None:
    """Leave work on a file in a folder."""
    known = begun(root / "one", source=clip)
    known.change(modified=clip.stat().st_mtime_ns, state="done")


def test_the_usual_folder_is_taken_while_it_is_free(usual: Path, clip: Path) -> None:
    assert choose_root(usual, ToOpen(path=clip), fresh=False) == usual
    worked_on(usual, clip)
    assert choose_root(usual, ToOpen(path=clip), fresh=False) == usual


def test_a_second_one_works_beside_the_first(usual: Path, clip: Path) -> None:
    second = usual.with_name("covos-clips-2")
    with exclusive(usual / LOCK):
        assert is_held(usual / LOCK)
        assert choose_root(usual, ToOpen(path=clip), fresh=False) == second
        second.mkdir()
        with exclusive(second / LOCK):
            assert choose_root(usual, ToOpen(path=clip), fresh=False) == usual.with_name("covos-clips-3")
    assert not is_held(usual / LOCK)


def test_work_of_before_is_found_again_wherever_it_is(usual: Path, clip: Path) -> None:
    second = usual.with_name("covos-clips-2")
    worked_on(second, clip)
    assert choose_root(usual, ToOpen(path=clip), fresh=False) == second
    assert choose_root(usual, ToOpen(path=clip), fresh=True) == usual
    clip.write_bytes(b"another")
    assert choose_root(usual, ToOpen(path=clip), fresh=False) == usual, "the file is another now"


def test_the_same_clip_twice_leads_to_its_page(usual: Path, clip: Path) -> None:
    worked_on(usual, clip)
    (usual / PAGE).write_text("http://127.0.0.1:1234/\n", "utf-8")
    with exclusive(usual / LOCK):
        with pytest.raises(EnvironmentProblem, match=r"your work on clip\.mp4 is open in another covos") as refused:
            choose_root(usual, ToOpen(path=clip), fresh=False)
        assert "http://127.0.0.1:1234/" in refused.value.fix
        assert "--fresh" in refused.value.fix
        assert choose_root(usual, ToOpen(path=clip), fresh=True) == usual.with_name("covos-clips-2")


def test_of_two_works_the_newest_that_no_other_has_goes_on(usual: Path, clip: Path) -> None:
    third = usual.with_name("covos-clips-3")  # a second one was deleted
    for place, root in enumerate([usual, third]):
        worked_on(root, clip)
        for record in root.glob(f"*/{RECORD}"):
            os.utime(record, (1000 + place, 1000 + place))
    assert choose_root(usual, ToOpen(path=clip), fresh=False) == third
    with exclusive(third / LOCK):
        assert choose_root(usual, ToOpen(path=clip), fresh=False) == usual
        with exclusive(usual / LOCK), pytest.raises(EnvironmentProblem, match="open in another covos"):
            choose_root(usual, ToOpen(path=clip), fresh=False)
