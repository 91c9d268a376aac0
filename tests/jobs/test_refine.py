from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import covos
from covos.cli import main
from covos.core.errors import UsageError
from covos.engines.find import expected_jaccard
from covos.engines.refining import fitted_by_crf
from covos.masks.soft import soft_edge
from covos.media.opening import open_source
from covos.model import Model
from covos.models.choices import Refinement
from covos.models.cosnet.crf import crf_filter

EXAMPLE = Path(__file__).parents[2] / "examples" / "car.mp4"
CPU = ["--device", "cpu", "--precision", "fp32"]


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three small pictures of the example, lossless, in a folder."""
    folder = tmp_path_factory.mktemp("frames")
    with open_source(EXAMPLE) as source:
        for frame in source.select((24, 32, 40)):
            Image.fromarray(frame.image[::3, ::3]).save(folder / f"{frame.index:05}.png")
    return folder


def partly(probability: np.ndarray) -> int:
    """Count the pixels that are partly transparent where an opacity is made of a probability."""
    return int(np.count_nonzero((probability > 0.1) & (probability < 0.9)))


def test_the_networks_probability_is_refined_and_then_thresholded(model: Model, frames: Path) -> None:
    refine: Refinement = "crf"
    plain = list(covos.stream(frames, model=model))
    refined = list(covos.stream(frames, model=model, refine=refine))
    kept = covos.segment(frames, model=model, refine=refine)
    assert kept.origin.settings["refine"] == refine
    for one, other, mask in zip(plain, refined, kept, strict=True):
        sharp = crf_filter(one.frame.image, one.probability)
        expected = fitted_by_crf(one.frame.image, one.probability)
        np.testing.assert_array_equal(expected > 0.5, sharp > 0.5)
        # The marginals go from 0 to 1 within a pixel; an edge for soft formats is as wide as a drawn one.
        assert partly(expected) > 1.3 * partly(sharp)
        assert partly(expected) > 0.7 * partly(soft_edge(sharp > 0.5))
        np.testing.assert_array_equal(other.probability, expected)
        np.testing.assert_array_equal(other.labels, expected > 0.5)
        np.testing.assert_array_equal(mask.labels, other.labels)
        assert (other.labels != one.labels).any()
        # The confidence stays that of the network in the mask, not of the filter in itself.
        assert other.confidence == mask.confidence == expected_jaccard(one.probability, other.labels > 0)


def test_an_unknown_refinement_is_refused_before_the_first_frame(model: Model, tmp_path: Path) -> None:
    for call in (covos.stream, covos.segment):
        with pytest.raises(UsageError, match="unknown refinement 'sharpen'"):
            call(EXAMPLE, model=model, refine="sharpen")
    assert main(["segment", str(EXAMPLE), "-o", str(tmp_path / "out"), "--refine", "sharpen"]) == 2
    assert not (tmp_path / "out").exists()


def test_the_command_writes_refined_masks_and_says_so(frames: Path, tmp_path: Path) -> None:
    masks = {}
    for refine in ("none", "crf"):
        out = tmp_path / refine
        assert main(["segment", str(frames), "-o", str(out), "-f", "palette", "--refine", refine, *CPU, "-q"]) == 0
        assert json.loads((out / "report.json").read_text())["settings"]["refine"] == refine
        masks[refine] = (out / "masks" / "00032.png").read_bytes()
    assert masks["none"] != masks["crf"]


def test_a_benchmark_is_not_mixed_with_another_refinement(frames: Path, tmp_path: Path) -> None:
    root, out = tmp_path / "davis", tmp_path / "out"
    for kind, suffix in (("JPEGImages", "jpg"), ("Annotations", "png")):
        folder = root / kind / "480p" / "cars"
        folder.mkdir(parents=True)
        for path in frames.iterdir():
            picture = Image.open(path)
            mask = picture.convert("L").point(lambda value: 255 if value > 128 else 0)
            (picture if suffix == "jpg" else mask).save(folder / f"{path.stem}.{suffix}")
    (root / "ImageSets" / "480p").mkdir(parents=True)
    (root / "ImageSets" / "480p" / "val.txt").write_text("cars\n")
    report = out / "reports" / "cars.json"
    line = ["reproduce", "davis2016", "--data", str(root), "-o", str(out), *CPU, "-q", "--refine"]
    assert main([*line, "crf"]) == 0
    before = report.stat().st_mtime_ns
    assert json.loads(report.read_text())["settings"]["refine"] == "crf"
    assert main([*line, "none"]) == 2
    assert main([*line, "crf"]) == 0
    assert report.stat().st_mtime_ns == before
