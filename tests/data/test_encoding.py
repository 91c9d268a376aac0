from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from covos.core.errors import AnnotationError
from covos.data.encoding import detect_encoding


@pytest.mark.parametrize(
    ("values", "encoding"),
    [((0, 255), "binary"), ((0, 1), "ids"), ((0, 1, 2, 255), "ids"), ((0, 32), "ids"), ((0, 17, 119, 255), "soft")],
)
def test_grey_files_are_judged_by_their_values(tree, values, encoding):
    path = tree.grey("a.png", np.repeat(np.array([values], np.uint8), 4, axis=0).repeat(4, axis=1))
    assert detect_encoding([path], root=tree.root) == encoding


@pytest.mark.parametrize(("ids", "encoding"), [((1, 2), "ids"), ((200,), "ids"), ((255,), "binary"), ((1, 255), "ids")])
def test_palette_files_are_ids_unless_all_is_255(tree, ids, encoding):
    assert detect_encoding([tree.labels("a.png", ids)], root=tree.root) == encoding


@pytest.mark.parametrize(
    ("colour", "encoding"), [((128, 0, 0), "ids"), ((255, 255, 255), "binary"), ((99, 99, 99), "soft")]
)
def test_colour_files(tree, colour, encoding):
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[2:5] = colour
    assert detect_encoding([tree.grey("a.png", pixels)], root=tree.root) == encoding


def test_bits_are_binary(tree):
    path = tree.text("a.png", "")
    Image.fromarray(np.eye(8, dtype=bool)).save(path)
    assert detect_encoding([path], root=tree.root) == "binary"


def test_empty_and_broken_files_do_not_decide(tree):
    empty = tree.grey("empty.png", np.zeros((4, 4), np.uint8))
    broken = tree.text("broken.png", "not a picture")
    assert detect_encoding([], root=tree.root) == "ids"
    assert detect_encoding([empty, broken], root=tree.root) == "ids"
    assert detect_encoding([empty, broken, tree.binary("a.png")], root=tree.root) == "binary"


def test_one_soft_file_among_binary_ones_makes_them_soft(tree):
    assert detect_encoding([tree.binary("a.png"), tree.soft("b.png")], root=tree.root) == "soft"


def test_kinds_that_exclude_one_another_are_refused(tree):
    with pytest.raises(AnnotationError, match=r"a\.png looks like binary, .*b\.png like ids"):
        detect_encoding([tree.binary("a.png"), tree.labels("b.png", (1, 2))], root=tree.root)


def test_no_more_than_a_few_of_many_files_are_opened(tree, monkeypatch):
    path = tree.grey("empty.png", np.zeros((4, 4), np.uint8))
    opened = []
    monkeypatch.setattr("covos.data.encoding.open_mask", lambda path: opened.append(path) or Image.open(path))
    assert detect_encoding([path] * 10_000, root=tree.root) == "ids"
    assert len(opened) <= 72
