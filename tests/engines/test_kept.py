"""What is kept of frames for a pass that looks at them again (`covos.engines.kept`)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from covos.engines.follow import FollowEngine
from covos.engines.kept import KeptEncoder
from engines.noise_clip import SIZE, box, observed
from frame_encodings import note_encodings
from random_follower import random_engine


@pytest.fixture(scope="module")
def engine() -> FollowEngine:
    return random_engine(SIZE)


def test_a_frame_is_encoded_once_until_it_is_forgotten(engine: FollowEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    kept, clip = KeptEncoder(engine.encoder), observed(5)
    noted = note_encodings(monkeypatch)

    def encoded() -> list[int]:
        return [index for _, index in noted]

    with kept.computing():
        first = kept.encode(clip[:3])
        assert encoded() == [0, 1, 2]
        again = kept.encode([clip[4], clip[2], clip[0]])
        assert encoded() == [0, 1, 2, 4]
        for one, other in zip(first, again, strict=True):
            assert one.dtype == other.dtype
            # Sixteen bits are three digits.
            torch.testing.assert_close(other[1:], one[[2, 0]], rtol=2e-3, atol=1e-3)
        kept.forget(before=2)
        kept.encode(clip[:3])
    assert encoded() == [0, 1, 2, 4, 0, 1]


def test_logits_are_kept_beside_the_features(engine: FollowEngine) -> None:
    kept = KeptEncoder(engine.encoder)
    logit = torch.linspace(-9, 9, 32).reshape(4, 8)
    kept.note({3: logit})
    noted = kept.noted(3)
    assert noted is not None
    assert noted.dtype == torch.float32
    torch.testing.assert_close(noted, logit, rtol=1e-3, atol=1e-3)
    assert kept.noted(2) is None
    kept.forget(before=4)
    assert kept.noted(3) is None
    assert engine.encoder.noted(3) is None, "others keep nothing"


def test_a_frame_is_kept_without_its_large_picture(engine: FollowEngine) -> None:
    kept = KeptEncoder(engine.encoder)
    (seen,) = observed(1)
    large = np.repeat(np.repeat(seen.frame.image, 3, axis=0), 3, axis=1)
    shown = replace(seen, frame=replace(seen.frame, image=large), small=None)
    kept.show(shown)
    stand_in = kept.shown(0)
    assert stand_in is not None
    assert kept.size_of(stand_in.frame) == kept.size_of(shown.frame)
    assert stand_in.small is not None
    assert stand_in.frame.image.shape == stand_in.small.shape == (*kept.size_of(shown.frame), 3)
    with kept.computing():
        for one, other in zip(kept.encode([stand_in]), engine.encoder.encode([shown]), strict=True):
            torch.testing.assert_close(one, other, atol=1e-3, rtol=2e-3)
    assert kept.shown(1) is None
    recalled = kept.recalled(shown.frame)
    assert recalled.frame is shown.frame
    assert recalled.flow is seen.flow
    alone = kept.recalled(replace(shown.frame, index=1))
    assert alone.small is not None
    assert alone.flow is None, "it was not shown"


def test_following_is_the_same_by_what_is_kept(engine: FollowEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    clip, given = observed(6), {0: {1: box(5, 5)}}
    kept = KeptEncoder(engine.encoder)
    with kept.computing():
        kept.encode(clip)
    encoded = note_encodings(monkeypatch)
    by_kept = list(engine.beside(kept).forward(clip, given, memory=2))
    assert encoded == []
    for one, other in zip(by_kept, engine.forward(clip, given, memory=2), strict=True):
        np.testing.assert_allclose(one.probability, other.probability, atol=0.02)


def test_the_cue_is_taken_from_the_logits_that_are_kept(engine: FollowEngine) -> None:
    clip = observed(3)
    kept = KeptEncoder(engine.encoder)
    references = engine.finder.remember(engine.encoder.observe(each.frame for each in clip))
    bound = engine.beside(kept).within(references[0])
    with kept.computing():
        ((_, found),) = bound.encoded(clip[:1])
        cells = found.cue_B1HW.shape[2:]
        kept.note({1: torch.full(tuple(cells), 4.0)})
        noted = {each.frame.index: features for each, features in bound.encoded(clip)}
    torch.testing.assert_close(noted[0].cue_B1HW, found.cue_B1HW, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(noted[1].cue_B1HW, torch.full_like(found.cue_B1HW, torch.tensor(4.0).sigmoid()))
    assert kept.noted(2) is not None, "what had to be found is kept, too"
