"""Frames with those around them."""

from __future__ import annotations

from covos.masks.window import Window

SMALL, LARGE = (4, 6), (8, 12)


def around(
    indices: list[int], *, reach: int = 2, cuts: tuple[int, ...] = (), sizes: list[tuple[int, int]] | None = None
) -> list[tuple[int, list[tuple[int, int]]]]:
    window = Window[int](reach, cuts=cuts)
    given = zip(indices, sizes or [SMALL] * len(indices), strict=True)
    return [
        *(ready for index, size in given for ready in window.push(index, index=index, size=size)),
        *window.end(),
    ]


def test_each_frame_comes_once_with_those_on_both_sides() -> None:
    assert around([0, 1, 2, 3]) == [
        (0, [(1, 1), (2, 2)]),
        (1, [(1, 0), (1, 2), (2, 3)]),
        (2, [(2, 0), (1, 1), (1, 3)]),
        (3, [(2, 1), (1, 2)]),
    ]
    assert around([0, 1], reach=0) == [(0, []), (1, [])]
    assert around([]) == []


def test_frames_that_lack_count() -> None:
    assert around([0, 2, 3, 7]) == [(0, [(2, 2)]), (2, [(2, 0), (1, 3)]), (3, [(1, 2)]), (7, [])]


def test_a_frame_of_another_shot_or_size_is_not_around() -> None:
    assert around([0, 1, 2], cuts=(1,)) == [(0, []), (1, [(1, 2)]), (2, [(1, 1)])]
    assert around([0, 1, 2, 3], sizes=[SMALL, LARGE, LARGE, SMALL]) == [(0, []), (1, [(1, 2)]), (2, [(1, 1)]), (3, [])]


def test_a_frame_is_given_as_soon_as_no_further_one_counts() -> None:
    window = Window[int](1, cuts=(2,))
    assert list(window.push(0, index=0, size=SMALL)) == []
    assert list(window.push(1, index=1, size=SMALL)) == [(0, [(1, 1)])]
    assert list(window.push(2, index=2, size=SMALL)) == [(1, [(1, 0)])]
    assert list(window.push(9, index=9, size=SMALL)) == [(2, [])]
