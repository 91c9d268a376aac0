from __future__ import annotations

import pytest

from covos.core.progress import counted


@pytest.mark.parametrize(("count", "text"), [(0, "0 frames"), (1, "1 frame"), (2, "2 frames")])
def test_one_has_no_s(count: int, text: str) -> None:
    assert counted(count, "frame") == text
