"""Run-length code against pycocotools, and against damaged input."""

import json
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pycocotools import mask as coco

from covos.core.errors import AnnotationError, UsageError
from covos.masks import RLE, decode, encode

MASKS = hnp.array_shapes(min_dims=2, max_dims=2, max_side=24).flatmap(
    lambda shape: st.one_of(
        hnp.arrays(np.bool_, shape),
        hnp.arrays(np.bool_, shape, fill=st.just(False)),
        hnp.arrays(np.bool_, shape, fill=st.just(True)),
        st.builds(np.full, st.just(shape), st.booleans()),
    )
)


def referee(mask):
    return coco.encode(np.asfortranarray(mask.astype(np.uint8)))


@given(MASKS)
def test_as_pycocotools(mask) -> None:
    ours, theirs = encode(mask), referee(mask)
    assert ours.to_coco() == {"size": theirs["size"], "counts": theirs["counts"].decode()}
    assert ours.area == coco.area(theirs) == mask.sum()
    assert list(ours.bbox) == coco.toBbox(theirs).tolist()
    with warnings.catch_warnings():  # pycocotools is not yet at numpy 2's array protocol
        warnings.simplefilter("ignore", DeprecationWarning)
        np.testing.assert_array_equal(decode(ours), coco.decode(theirs).astype(bool))


@given(MASKS)
def test_round_trips(mask) -> None:
    rle = encode(mask)
    np.testing.assert_array_equal(decode(rle), mask)
    assert decode(rle).dtype == np.bool_
    assert decode(rle).flags.c_contiguous
    through_file = json.loads(json.dumps(rle.to_coco()))
    uncompressed = {"size": list(mask.shape), "counts": rle.counts.tolist()}
    as_bytes = {"size": mask.shape, "counts": rle.to_coco()["counts"].encode()}
    for value in (through_file, uncompressed, as_bytes):
        again = RLE.from_coco(value)
        assert again == rle
        assert hash(again) == hash(rle)


@pytest.mark.parametrize("side", [1, 500])
def test_long_runs(side: int) -> None:
    """Counts of several groups, with large steps up and down between neighbours."""
    mask = np.zeros((3000, side), bool)
    mask[:7] = mask[-1] = mask[100:2900, ::2] = True
    assert encode(mask).to_coco()["counts"].encode() == referee(mask)["counts"]
    assert RLE.from_coco(encode(mask).to_coco()) == encode(mask)


@given(MASKS, st.data())
def test_empty_runs_in_the_middle_are_joined(mask, data) -> None:
    rle = encode(mask)
    counts = rle.counts.tolist()
    place = data.draw(st.integers(0, len(counts) - 1))
    part = data.draw(st.integers(0, counts[place]))
    split = [*counts[:place], part, 0, counts[place] - part, *counts[place + 1 :]]
    assert RLE.from_coco({"size": list(mask.shape), "counts": split}) == rle


def test_different_masks_differ() -> None:
    one, other = np.eye(3, dtype=bool), np.zeros((3, 3), bool)
    assert encode(one) != encode(other)
    assert encode(other) != encode(np.zeros((1, 9), bool))
    assert encode(one) != "a mask"
    assert len({encode(one), encode(one.copy()), encode(other)}) == 2


def test_a_code_cannot_be_changed_by_accident() -> None:
    assert not encode(np.eye(3, dtype=bool)).counts.flags.writeable


@pytest.mark.parametrize("wrong", [np.zeros((2, 2), np.uint8), np.zeros(4, bool), np.zeros((0, 4), bool)])
def test_only_masks_are_encoded(wrong) -> None:
    with pytest.raises(UsageError, match="H x W bool"):
        encode(wrong)


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"size": [2, 2]},
        {"size": [2], "counts": [4]},
        {"size": [2, -2], "counts": [4]},
        {"size": [2, "2"], "counts": [4]},
        {"size": "22", "counts": [4]},
        {"size": [2, 2], "counts": [3]},
        {"size": [2, 2], "counts": [5]},
        {"size": [2, 2], "counts": [-1, 5]},
        {"size": [2, 2], "counts": [1.5, 2.5]},
        {"size": [2, 2], "counts": []},
        {"size": [2, 2], "counts": None},
        {"size": [2, 2], "counts": ""},
        {"size": [2, 2], "counts": "5"},
        {"size": [2, 2], "counts": "é"},
        {"size": [2, 2], "counts": "T"},
        {"size": [2, 2], "counts": "oooooooooooooooooooo1"},
        {"size": [1 << 20, 1 << 20], "counts": [1 << 31]},
    ],
)
def test_what_is_no_mask_is_refused(value) -> None:
    with pytest.raises(AnnotationError):
        RLE.from_coco(value)


@given(st.text(alphabet=st.characters(min_codepoint=40, max_codepoint=120), max_size=30))
def test_any_string_is_a_mask_or_refused(text: str) -> None:
    try:
        rle = RLE.from_coco({"size": [4, 5], "counts": text})
    except AnnotationError:
        return
    assert decode(rle).shape == (4, 5)
    assert RLE.from_coco(rle.to_coco()) == rle
