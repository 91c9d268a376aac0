"""Which objects a label map has, and what 255 means in it."""

from __future__ import annotations

import numpy as np
import pytest

from covos.masks import NAMELESS, VOID, objects_in


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((0, 0), []),
        ((0, VOID), [NAMELESS]),
        ((VOID, VOID), [NAMELESS]),
        ((0, 1, VOID), [1]),
        ((7, 3), [3, 7]),
    ],
)
def test_void_alone_is_an_object_and_beside_others_is_none(values: tuple[int, ...], expected: list[int]) -> None:
    labels = np.array([values], np.uint8)
    found = objects_in(labels)
    assert list(found) == expected
    for identity, mask in found.items():
        np.testing.assert_array_equal(mask, labels == (identity or VOID))
