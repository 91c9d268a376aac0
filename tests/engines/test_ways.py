"""Values along a flow."""

from __future__ import annotations

import numpy as np
import pytest

from covos.engines.ways import moved, places, spanning, turned_round


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("channels", [(), (3,)])
def test_values_come_from_where_the_flow_leads(dtype: type, channels: tuple[int, ...]) -> None:
    values = np.random.default_rng(0).integers(0, 256, (7, 9, *channels)).astype(dtype)
    way = np.zeros((7, 9, 2), np.float32)
    way[..., 0], way[..., 1] = 2, -1
    found = moved(values, way)
    assert found.dtype == dtype
    rows, columns = np.arange(7)[:, None] - 1, np.arange(9)[None] + 2
    np.testing.assert_array_equal(found, values[rows.clip(0, 6), columns.clip(0, 8)])  # at the edge beyond it


def test_between_two_cells_lies_their_mean() -> None:
    values = np.float32([[0, 8, 16]])
    way = np.zeros((1, 3, 2), np.float32)
    way[..., 0] = 0.5
    np.testing.assert_array_equal(moved(values, way), np.float32([[4, 12, 16]]))


def test_the_flow_itself_stays_as_it_is() -> None:
    way = np.full((4, 5, 2), 3, np.float32)
    at = places(way)
    assert (way == 3).all()
    np.testing.assert_array_equal(at[2, 4], [7, 5])


def test_there_and_back_is_where_it_was() -> None:
    way = np.full((12, 16, 2), 1.25, np.float32)
    np.testing.assert_allclose(spanning(way, turned_round(way)), 0, atol=1e-5)
