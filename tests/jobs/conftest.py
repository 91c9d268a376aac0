"""What the tests of jobs share."""

from __future__ import annotations

import pytest

import covos
from covos.model import Model


@pytest.fixture(autouse=True, scope="module")
def _small(request: pytest.FixtureRequest) -> None:
    """Networks see small frames; a module whose tests ask how good masks are says ``AT_FULL_SIZE = True``."""
    if not getattr(request.module, "AT_FULL_SIZE", False):
        request.getfixturevalue("small_networks")


@pytest.fixture(scope="module")
def model() -> Model:
    return covos.load_model(device="cpu", precision="fp32")
