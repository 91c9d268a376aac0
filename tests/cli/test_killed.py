"""A run that is killed goes on."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from checked_output import check_output
from covos.cli import main


def run(*arguments: object) -> int:
    return main(["segment", *(str(argument) for argument in arguments), "--device", "cpu", "--precision", "fp32"])


@pytest.mark.skipif(sys.platform == "win32", reason="signals as POSIX has them")
def test_a_killed_run_goes_on_with_the_same_command(
    make_clip: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from stopped import stopped  # it needs POSIX, too

    clip, out = make_clip(frames=20), tmp_path / "out"
    options = ("--device", "cpu", "--precision", "fp32")
    killed = stopped("segment", clip, "-o", out, *options, record=12, number=signal.SIGKILL)
    assert (killed.end, killed.answer) == ("died", "SIGKILL")
    assert run(clip, "-o", out) == 0
    (last,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("20 frames, ")]
    assert int(last.split()[2]) >= 8
    assert check_output(out) == []
    assert run(clip, "-o", tmp_path / "whole", "-q") == 0
    for mask in (tmp_path / "whole" / "masks").iterdir():
        assert (out / "masks" / mask.name).read_bytes() == mask.read_bytes()
