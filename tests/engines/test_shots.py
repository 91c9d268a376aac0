"""Cuts are found, and each frame is compared with references of its own shot."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import covos
from covos.core.types import Frame, FrameResult, ImageArray, SourceInfo
from covos.engines.find import FindEngine, uniform_references
from covos.engines.find_passes import find_subject, look_for_cuts, references_of
from covos.engines.looks import Look
from covos.engines.shots import CutDetector, Shots
from covos.media.source import Health, Source

HEIGHT, WIDTH = 96, 128


def scene(seed: int, *, shift: int = 0) -> ImageArray:
    """A coloured texture, seen by a camera that has turned by so many pixels."""
    draw = np.random.default_rng(seed)
    spots = draw.integers(0, 255, (HEIGHT // 8, WIDTH // 8, 3), dtype=np.uint8)
    wide = cv2.resize(spots, (2 * WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    return np.ascontiguousarray(wide[:, shift : shift + WIDTH] // 3 + draw.integers(0, 160, 3, dtype=np.uint8))


def shot(seed: int, count: int) -> list[ImageArray]:
    """A square that moves before a scene that moves the other way."""
    made = [scene(seed, shift=index).copy() for index in range(count)]
    for index, image in enumerate(made):
        image[30:66, 10 + 4 * index : 46 + 4 * index] = (240, 210, 30)
    return made


class Pictures(Source):
    """A source of pictures, which counts how often each was read by its index."""

    def __init__(self, images: list[ImageArray]) -> None:
        self._images = images
        self.selected: list[int] = []
        self.info = SourceInfo(
            path="pictures",
            kind="frames",
            height=HEIGHT,
            width=WIDTH,
            frame_count=len(images),
            frame_rate=Fraction(25),
            duration=None,
            time_base=Fraction(1, 25),
        )

    @property
    def health(self) -> Health:
        return Health(decoded=len(self._images), expected=len(self._images))

    def _read_all(self) -> Iterator[Frame]:
        return map(self._frame, range(len(self._images)))

    def _read_some(self, indices: tuple[int, ...]) -> Iterator[Frame]:
        for index in indices:
            self.selected.append(index)
            yield self._frame(index)

    def _frame(self, index: int) -> Frame:
        return Frame(index=index, stem=f"{index:05}", image=self._images[index], pts=index, time_base=Fraction(1, 25))


def found_cuts(images: list[ImageArray]) -> tuple[int, ...]:
    looking = look_for_cuts(Pictures(images), "auto")
    while True:
        try:
            next(looking)
        except StopIteration as end:
            shots: Shots = end.value
            return shots.cuts


def test_a_cut_is_found_and_nothing_else() -> None:
    assert found_cuts([*shot(0, 5), *shot(1, 1), *shot(2, 6)]) == (5, 6)
    fast = [scene(3, shift=8 * index) for index in range(12)]
    assert found_cuts(fast) == ()
    flash = shot(4, 6)
    flash[3] = np.minimum(flash[3].astype(int) + 90, 255).astype(np.uint8)
    assert found_cuts(flash) == ()
    dark = [image // 2 if index > 2 else image for index, image in enumerate(shot(5, 6))]
    assert found_cuts(dark) == ()


def test_a_light_that_flashes_twice_cuts_nothing() -> None:
    steady, lit = shot(0, 12), shot(1, 12)
    assert found_cuts([*steady[:5], lit[0], steady[5], lit[1], *steady[6:]]) == ()
    assert found_cuts([*steady[:5], lit[0], steady[5], lit[1], steady[6], lit[2], *steady[7:]]) == ()


def test_bars_and_a_caption_that_stay_hide_no_cut() -> None:
    images = [*shot(0, 5), *shot(1, 5)]
    for image in images:
        image[:14] = image[-14:] = 0
        image[20:26, 70:120] = 255
    assert found_cuts(images) == (5,)


def test_a_black_picture_is_a_shot_of_its_own() -> None:
    black = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    assert found_cuts([*shot(0, 4), black, black, *shot(1, 4)]) == (4, 6)


def test_what_goes_on_as_it_was_is_no_cut() -> None:
    """A frame counts as changed beside those just before it: where each changes as much, there is no one cut."""
    detector = CutDetector()
    detector.take(Look.at(scene(0)))
    mixed = [cv2.addWeighted(scene(0), 1 - k / 4, scene(1), k / 4, 0) for k in range(1, 5)]
    assert not any(detector.take(Look.at(np.asarray(image, np.uint8))) for image in mixed)


@given(
    count=st.integers(1, 3000),
    cuts=st.sets(st.integers(1, 2999), max_size=6),
    references=st.integers(0, 7),
    window=st.none() | st.integers(7, 300),
    seed=st.none() | st.integers(0, 9),
)
def test_references_lie_in_the_shot_and_around_the_frame(
    count: int, cuts: set[int], references: int, window: int | None, seed: int | None
) -> None:
    shots = Shots(frame_count=count, cuts=tuple(sorted(each for each in cuts if each < count)), window=window)
    spans = shots.spans(references, seed=seed)
    bounds = (0, *shots.cuts, count)
    assert [span.start for span in spans] == [0, *(span.stop for span in spans[:-1])]
    assert spans[-1].stop == count
    for span in spans:
        first = max(each for each in bounds if each <= span.start)
        end = min(each for each in bounds if each > span.start)
        assert span.start < span.stop <= end
        assert all(first <= each < end for each in span.references)
        assert len(set(span.references)) == len(span.references) == min(references, end - first)
        if window is not None and references:
            assert span.references[-1] - span.references[0] <= window
            near = min(abs(each - at) for each in span.references for at in (span.start, span.stop - 1))
            assert near <= window


def test_a_short_clip_without_cuts_has_the_references_of_before() -> None:
    ((start, stop, references),) = Shots(frame_count=80, window=250).spans(5)
    assert (start, stop, references) == (0, 80, uniform_references(80, references=5))


@pytest.fixture(scope="module")
def engine() -> FindEngine[Any]:
    """The network of covos-lite, which looks at small pictures."""
    return FindEngine(covos.load_model(device="cpu", precision="fp32").engine.encoder.scaled(0.1))


def test_each_reference_is_read_once_forward_and_is_the_same_backward(engine: FindEngine[Any]) -> None:
    source = Pictures(shot(0, 24))
    shots = Shots(frame_count=24, cuts=(7,), window=6)
    engine = engine.cut_at(shots.cuts)
    forward = references_of(source, engine, shots, references=2)
    there = [forward(index) for index in range(24)]
    every = sorted({index for span in shots.spans(2) for index in span.references})
    assert [index for index in source.selected if index in every] == every
    back = references_of(source, engine, shots, references=2)
    for index in reversed(range(24)):
        (one,), (other,) = back(index), there[index]
        assert one.indices == other.indices == next(s.references for s in shots.spans(2) if s.start <= index < s.stop)
        assert all(map(same_features, one.features, other.features))


def same_features(one: tuple[object, ...], other: tuple[object, ...]) -> bool:
    return all(bool((a == b).all()) for a, b in zip(one, other, strict=True))  # type: ignore[attr-defined]


def test_a_shot_is_segmented_as_if_it_stood_alone(engine: FindEngine[Any]) -> None:
    def results(images: list[ImageArray], shots: Shots | None) -> list[FrameResult]:
        return list(find_subject(Pictures(images), engine, shots=shots))

    one, other = shot(0, 4), shot(1, 6)
    alone = [*results(one, None), *results(other, None)]
    together = results([*one, *other], Shots(frame_count=10, cuts=(4,)))
    assert all(np.array_equal(a.labels, b.labels) for a, b in zip(alone, together, strict=True))
    assert all(np.array_equal(a.probability, b.probability) for a, b in zip(alone, together, strict=True))
    mixed = results([*one, *other], None)
    assert not all(np.array_equal(a.probability, b.probability) for a, b in zip(alone, mixed, strict=True))


def fading(before: list[ImageArray], after: list[ImageArray], length: int) -> list[ImageArray]:
    shares = (np.arange(length) + 1) / (length + 1)
    within = zip(before[-length:], after[:length], shares, strict=True)
    mixed = [cv2.addWeighted(one, 1 - share, other, share, 0).astype(np.uint8) for one, other, share in within]
    return [*before[:-length], *mixed, *after[length:]]


@pytest.mark.parametrize("length", [8, 16])
def test_a_fade_from_one_shot_to_another_is_one_cut_in_its_middle(length: int) -> None:
    (cut,) = found_cuts(fading(shot(0, 30), shot(1, 30), length))
    assert abs(cut - (30 - length / 2)) < length / 2


def test_a_fade_through_black_parts_the_two_shots() -> None:
    black = [np.zeros_like(scene(0))] * 24
    cuts = found_cuts(fading(fading(shot(0, 30), black, 10), shot(1, 30), 10))
    assert cuts
    assert all(20 <= cut <= 46 for cut in cuts)


def test_light_that_changes_by_and_by_is_no_fade() -> None:
    lights = np.linspace(0.4, 1.0, 40)
    images = [(image * light).astype(np.uint8) for image, light in zip(shot(0, 40), lights, strict=True)]
    assert found_cuts(images) == ()


def test_a_single_picture_is_seen_in_every_view_of_its_quality() -> None:
    quality = covos.load_model("covos-lite").engine.at("balanced")
    assert quality.in_turn
    picture = [shot(0, 1)[0]]
    (both,) = find_subject(Pictures(picture), quality)
    (small,) = find_subject(Pictures(picture), FindEngine(quality.encoders[0]))
    (large,) = find_subject(Pictures(picture), FindEngine(quality.encoders[1]))
    assert not np.array_equal(small.probability, large.probability)
    between = np.clip(both.probability, *np.sort([small.probability, large.probability], axis=0))
    assert np.abs(between - both.probability).mean() < 0.01
    assert np.abs(small.probability - both.probability).max() > 0.01
