"""Files that never end, or never begin: a device, a pipe, a socket, a folder, wherever a file is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from attacks.results import Run, written_run
from covos.core.errors import CovosError
from covos.masks import read_label_map
from covos.media.images import read_image
from covos.models.cards import read_card
from covos.training.registry import load_recipe

KINDS = pytest.mark.parametrize("endless", ["device", "pipe", "socket", "folder"], indirect=True)


@KINDS
def test_as_a_mask(covos: Run, clip: Path, endless: Path, tmp_path: Path) -> None:
    code, said = covos("segment", clip, "-o", tmp_path / "out", "--mask", endless)
    assert code == 3
    assert "cannot read the mask" in said
    assert not (tmp_path / "out").exists()


@KINDS
@pytest.mark.parametrize("suffix", ["json", "toml"])
def test_as_a_prompt_file(covos: Run, clip: Path, endless: Path, tmp_path: Path, suffix: str) -> None:
    named = endless.rename(tmp_path / f"p.{suffix}")
    code, said = covos("segment", clip, "-o", tmp_path / "out", "--prompts", named)
    assert code == 3
    assert "cannot be read" in said


@KINDS
def test_as_a_mask_that_a_prompt_file_names(covos: Run, clip: Path, endless: Path, tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text(json.dumps({"masks": [{"file": endless.name}]}))
    code, said = covos("segment", clip, "-o", tmp_path / "out", "--prompts", tmp_path / "p.json", "--trust-prompts")
    assert code == 3
    assert "cannot read the mask" in said


@KINDS
def test_as_a_checkpoint_and_as_weights(covos: Run, clip: Path, endless: Path, tmp_path: Path) -> None:
    code, said = covos("models", "convert", endless, "-o", tmp_path / "net.safetensors")
    assert code == 3
    assert "cannot be read" in said
    weights = endless.rename(tmp_path / "w.safetensors")
    (tmp_path / "w.json").write_text("{}")
    code, _ = covos("segment", clip, "-o", tmp_path / "out", "-m", weights)
    assert code in {2, 3}


@KINDS
def test_as_masks_to_convert(covos: Run, endless: Path, tmp_path: Path) -> None:
    code, said = covos("convert", endless, "-o", tmp_path / "out", "-f", "coco")
    assert code == 3
    assert "cannot read masks" in said


@KINDS
def test_as_a_report_and_a_card_and_a_recipe_and_a_picture(endless: Path, tmp_path: Path) -> None:
    for read in (read_label_map, read_image, load_recipe):
        named = tmp_path / "x.toml"
        if not named.is_symlink():
            named.symlink_to(endless)
        with pytest.raises(CovosError):
            read(named)
    (tmp_path / "net.json").symlink_to(endless)
    with pytest.raises(CovosError, match="not a model card"):
        read_card(tmp_path / "net.safetensors")


@KINDS
def test_as_the_source_that_a_report_names(covos: Run, endless: Path, tmp_path: Path) -> None:
    run = written_run(tmp_path / "run", source=endless)
    code, _ = covos("convert", run, "-o", tmp_path / "masks", "-f", "coco")
    assert code == 0  # it needs no pictures, and opens none
    code, said = covos("convert", run, "-o", tmp_path / "out", "-f", "overlay")
    assert code == 3
    assert "regular file" in said or "no images" in said


def test_as_a_report(covos: Run, tmp_path: Path) -> None:
    run = written_run(tmp_path / "run", source=tmp_path / "a.mp4")
    (run / "report.json").unlink()
    (run / "report.json").symlink_to("/dev/zero")
    code, _ = covos("convert", run, "-o", tmp_path / "out", "-f", "coco")
    assert code in {0, 3}
