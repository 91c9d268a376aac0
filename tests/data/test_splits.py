from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covos.core.errors import UsageError
from covos.data import Dataset, Video


def dataset_of(names) -> Dataset:
    videos = tuple(Video(name=name, frames=()) for name in names)
    return Dataset(name="d", layout="tianchi", root=Path("d"), videos=videos)


def names(dataset):
    return [video.name for video in dataset]


@given(count=st.integers(2, 60), ratio=st.floats(0.01, 0.99), seed=st.integers(0, 99))
def test_the_parts_are_disjoint_and_whole(count, ratio, seed):
    whole = dataset_of(f"{number:06}" for number in range(count))
    train, val = whole.split(ratio, seed=seed)
    assert len(train) == min(max(round(ratio * count), 1), count - 1)
    assert sorted(names(train) + names(val)) == names(whole)


def test_the_division_does_not_depend_on_the_order_of_files():
    order = [f"{number:06}" for number in range(20)]
    train, val = dataset_of(order).split(seed=3)
    again, rest = dataset_of(reversed(order)).split(seed=3)
    assert (set(names(train)), set(names(val))) == (set(names(again)), set(names(rest)))
    assert names(train) == sorted(names(train)), "in the data set's order"
    assert set(names(dataset_of(order).split(seed=4)[1])) != set(names(val))


def test_the_division_is_the_same_on_every_machine():
    _, val = dataset_of("abcdefghij").split(0.7, seed=0)
    assert names(val) == ["a", "b", "j"]


def test_a_random_subset_grows():
    whole = dataset_of(f"{number:06}" for number in range(20))
    few, more = (whole.random(count, seed=1) for count in (3, 8))
    assert len(few) == 3
    assert set(names(few)) < set(names(more))
    assert names(whole.random(20, seed=1)) == names(whole)


def test_names_that_are_no_utf8_are_divided_as_others_are():
    odd = os.fsdecode(b"caf\xe9")
    whole = dataset_of([odd, *"abcdefg"])
    train, val = whole.split(0.5, seed=0)
    assert sorted(names(train) + names(val)) == sorted(names(whole))
    assert odd in names(whole.random(8, seed=0))


def test_refusals():
    for ratio in (0, 1, -0.5, 80, "a", [0.8, 0.2]):
        with pytest.raises(UsageError, match="between 0 and 1"):
            dataset_of("ab").split(ratio, seed=0)
    with pytest.raises(UsageError, match="cannot split 1 video into"):
        dataset_of("a").split(seed=0)
    for count in (0, 3):
        with pytest.raises(UsageError, match="the data set has 2"):
            dataset_of("ab").random(count, seed=0)
