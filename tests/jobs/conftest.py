"""What the tests of jobs share."""

from __future__ import annotations

import pytest

import covos
from covos.model import Model


@pytest.fixture(scope="module")
def model() -> Model:
    loaded = covos.load_model(device="cpu", precision="fp32")
    loaded.engine.encoder.area = 96 * 128  # small: what is computed does not matter here
    return loaded
