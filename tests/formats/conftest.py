"""Fixtures of the tests of formats."""

from __future__ import annotations

import pytest

from covos.core.types import FrameResult
from soft_disc import soft_disc


@pytest.fixture
def soft(result) -> FrameResult:
    return soft_disc(result())
