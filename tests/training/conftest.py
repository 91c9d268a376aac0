from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from covos.masks.label_files import read_label_map
from covos.models.cosnet.network import COSNETS
from covos.training import loop
from covos.training.gather import gather
from covos.training.registry import load_recipe
from on_cpu import training_of
from seen import Seen

TIANCHI = Path(__file__).parents[1] / "fixtures" / "tianchi"

Run = Callable[..., Seen]


@pytest.fixture(autouse=True, scope="module")
def _small(request: pytest.FixtureRequest) -> Iterator[None]:
    """Validations see small frames; a module whose tests ask how good weights are says ``AT_FULL_SIZE = True``."""
    with pytest.MonkeyPatch.context() as patch:
        if not getattr(request.module, "AT_FULL_SIZE", False):
            for module in ("model", "training.follow", "training.prompt", "training.validate"):
                patch.setattr(f"covos.{module}.DEFAULT_AREA", 96 * 128)
        yield


@pytest.fixture
def tianchi() -> Path:
    """Two training videos of 5 and 6 frames."""
    return TIANCHI


@pytest.fixture
def stills(tmp_path: Path) -> Path:
    """Frames of the videos as still pictures with masks."""
    root = tmp_path / "pictures"
    for name in ("images", "masks"):
        (root / name).mkdir(parents=True)
    for number, image in enumerate(sorted((TIANCHI / "JPEGImages" / "600101").iterdir())):
        shutil.copy(image, root / "images" / f"p{number}.jpg")
        labels = read_label_map(TIANCHI / "Annotations" / "600101" / f"{image.stem}.png")
        cv2.imwrite(str(root / "masks" / f"p{number}.png"), np.where(labels > 0, 255, 0).astype(np.uint8))
    return root


@pytest.fixture
def narrow() -> Iterator[None]:
    """COSNets an eighth as wide: the same arithmetic in a moment."""
    with _narrowed():
        yield


@pytest.fixture(scope="module")
def all_narrow() -> Iterator[None]:
    """The same for all tests of a module, and for the runs that these share."""
    with _narrowed():
        yield


@contextmanager
def _narrowed() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, config in COSNETS.items():
            patch.setitem(COSNETS, name, replace(config, width=8, blocks=(1, 1, 1, 1)))
        yield


@pytest.fixture(scope="session")
def run() -> Run:
    """Train by a recipe and collect what the loop says."""

    def train(
        name: str,
        folder: Path,
        *overrides: str,
        data: tuple[Path, ...] = (TIANCHI,),
        weights: Path | None = None,
        workers: int = 0,
        extend: bool = False,
        measure: bool = True,
    ) -> Seen:
        recipe = load_recipe(name, overrides=overrides)
        gathered = gather(
            data, seed=recipe.split_seed, ratio=recipe.ratio, videos=recipe.videos, overfit=recipe.overfit
        )
        seen = Seen()
        data_of_run = gathered if measure else replace(gathered, validation=())
        training = training_of(recipe, data_of_run, start=weights, workers=workers)
        loop.train(training, folder=folder, extend=extend, on_event=seen)
        return seen

    return train
