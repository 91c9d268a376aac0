"""The command line is tested in this process, by networks that see small frames: a run takes a third of the time."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True, scope="module")
def _small(request: pytest.FixtureRequest) -> None:
    """A module whose tests ask how good masks are says ``AT_FULL_SIZE = True``."""
    if not getattr(request.module, "AT_FULL_SIZE", False):
        request.getfixturevalue("small_networks")
