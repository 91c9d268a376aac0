"""What formats share of a frame is worked out once, and the same whoever asks."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from covos.formats import compose
from covos.formats.background_writers import BackgroundWriters
from covos.formats.compose import ComposedResult
from covos.formats.table import make_writer
from covos.runs.folder import OutputFolder


@pytest.fixture
def soft(result):
    """A frame whose subject has a half-transparent rim."""
    hard = result()
    probability = hard.probability.copy()
    probability[10:12] = 0.5
    return replace(hard, probability=probability)


def test_the_colours_of_a_frame_are_estimated_once_for_all_formats(
    soft, info, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    estimate = compose.foreground_colours
    monkeypatch.setattr(compose, "foreground_colours", lambda *pair: calls.append(pair) or estimate(*pair))
    folder = OutputFolder(tmp_path / "out")
    names = ("rgba", "webm", "prores", "green", "matte-video")
    writers = [make_writer(name, folder, info=info(), source_path=tmp_path / "none") for name in names]
    with BackgroundWriters(writers) as background:
        background.write(soft)
        assert len(background.close()) == len(names)
    assert len(calls) == 1


def test_a_result_keeps_its_values(soft) -> None:
    composed = ComposedResult.of(soft)
    assert composed.frame is soft.frame
    assert composed.labels is soft.labels
    assert ComposedResult.of(composed) is composed


def test_one_format_cannot_change_what_the_next_is_given(soft) -> None:
    composed = ComposedResult.of(soft)
    for array in (composed.opacity, composed.alpha, composed.colours, composed.rgba):
        with pytest.raises(ValueError, match="read-only"):
            array[0, 0] = 0


def test_a_hard_mask_takes_the_colours_of_the_source(result) -> None:
    composed = ComposedResult.of(result())
    assert composed.colours is composed.frame.image
    np.testing.assert_array_equal(composed.rgba[..., 3], np.where(composed.labels > 0, 255, 0))


def test_a_result_goes_when_nothing_refers_to_it(result) -> None:
    """Pictures and probabilities are large: they must not wait for a garbage collection."""
    gc.disable()
    try:
        composed = ComposedResult.of(result(0))
        assert composed.fitted is composed
        assert composed.rgba.shape == (48, 64, 4)
        gone = weakref.ref(composed)
        del composed
        assert gone() is None
    finally:
        gc.enable()
