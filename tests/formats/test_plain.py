"""The plain alpha of a result with a matte: each soft format can leave the matte out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from covos.core.types import FrameResult
from covos.formats.compose import ComposedResult
from covos.formats.table import FORMATS, check_formats, load_format, make_writer, plain_formats
from covos.runs.folder import OutputFolder

SOFT = tuple(name for name in FORMATS if not load_format(name).labels_only)
VALUED = ("matte=16,invert", "prores=premultiplied,each", "background=#ff0000,wrap=2%,tiff", "blur=2%,invert")


def matted(soft: FrameResult) -> FrameResult:
    return replace(soft, matte=((soft.probability - np.float32(0.1)) / np.float32(0.8)).clip(0, 1) ** 4)


def written(folder: Path, name: str, made: FrameResult, info) -> list[bytes]:
    writer = make_writer(name, OutputFolder(folder), info=info, source_path=folder / "none")
    writer.write(made)
    writer.close()
    return [path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()]


@pytest.mark.parametrize("name", [*SOFT, *VALUED])
def test_a_format_leaves_the_matte_out(tmp_path: Path, soft: FrameResult, info, name: str) -> None:
    if "exr" in name:
        pytest.importorskip("OpenEXR")
    (asked,) = check_formats(plain_formats([name]))
    assert plain_formats([asked]) == (asked,), "it says so once"
    made = matted(soft)
    found = written(tmp_path / "plain", asked, made, info())
    assert found == written(tmp_path / "without", name, soft, info())
    assert found != written(tmp_path / "with", name, made, info())


def test_hard_formats_have_none_to_leave_out() -> None:
    assert plain_formats(["palette", "sheet=24", "rgba"]) == ("palette", "sheet=24", "rgba=plain")


def test_formats_share_what_is_worked_out_without_the_matte(soft: FrameResult) -> None:
    composed = ComposedResult.of(matted(soft))
    assert composed.plain is composed.plain
    assert composed.plain.matte is None
    assert ComposedResult.of(soft).plain.matte is None
