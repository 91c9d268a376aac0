"""Edges that are grown, shrunk, feathered, filled and cleaned; and kept from flickering."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from covos.core.errors import UsageError
from covos.engines.steady import retouched, steady
from covos.masks import edges
from covos.masks.edges import Edges


def disc(size=(100, 160), *, centre=(80, 50), radius=20, identity=1):
    labels = np.zeros(size, np.uint8)
    cv2.circle(labels, centre, radius, identity, -1)
    return labels


def soft(labels, sigma=1.5):
    return cv2.GaussianBlur((labels > 0).astype(np.float32), (0, 0), sigma)


def width_of(mask):
    return int(mask[50].sum())


@pytest.mark.parametrize(("length", "pixels"), [("5", 5), ("5px", 5), (5, 5), ("5%", 5), ("50‰", 5)])
def test_growing_and_shrinking(length, pixels):
    labels = disc()
    for name, sign in (("grow", 1), ("shrink", -1)):
        moved, probability = Edges(**{name: length}).apply(labels, soft(labels))
        assert abs(width_of(moved > 0) - (41 + sign * 2 * pixels)) <= 1
        assert abs(width_of(probability > 0.5) - (width_of(soft(labels) > 0.5) + sign * 2 * pixels)) <= 1
        assert moved.dtype == np.uint8
        assert probability.dtype == np.float32


def test_a_fraction_of_a_pixel_is_a_fraction():
    labels = disc()
    areas = [Edges(grow=radius).apply(labels, soft(labels))[1].sum() for radius in (1, 1.5, 2)]
    assert areas[1] == pytest.approx((areas[0] + areas[2]) / 2, rel=1e-3)


def test_neighbours_do_not_grow_over_one_another():
    labels = disc(centre=(50, 50)) | disc(centre=(100, 50), identity=2)
    grown, _ = Edges(grow=10).apply(labels, soft(labels))
    assert (grown[labels > 0] == labels[labels > 0]).all()
    assert grown[50, 72] == 1
    assert grown[50, 78] == 2
    both, _ = Edges(grow=10, shrink=10).apply(labels, soft(labels))
    assert set(np.unique(both)) == {0, 1, 2}


def test_an_object_at_the_border_does_not_shrink_from_it():
    labels = np.zeros((40, 40), np.uint8)
    labels[:, :20] = 1
    shrunk, probability = Edges(shrink=4).apply(labels, soft(labels))
    assert (shrunk[:, :15] == 1).all()
    assert (shrunk[:, 17:] == 0).all()
    assert probability[0, 0] == pytest.approx(1)


def test_feathering_widens_the_edge_alone():
    labels = disc()
    same, probability = Edges(feather=12).apply(labels, (labels > 0).astype(np.float32))
    np.testing.assert_array_equal(same, labels)
    row = probability[50, :80]
    rising = np.flatnonzero((row > 0.02) & (row < 0.98))
    assert 9 <= len(rising) <= 15
    assert abs(rising.mean() - 59.5) < 1.5, "half of it on each side"


def test_holes_are_filled_and_open_bays_are_not():
    labels = disc(radius=30)
    cv2.circle(labels, (70, 50), 5, 0, -1)
    cv2.circle(labels, (92, 50), 9, 0, -1)
    labels[50:, 78:82] = 0  # a bay
    probability = soft(labels)
    small, filled = Edges(fill_holes=120).apply(labels, probability)
    assert small[50, 70] == 1
    assert small[50, 92] == 0
    assert small[70, 80] == 0
    assert filled[45:56, 65:76].min() == 1, "with its rim"
    assert filled[50, 92] == probability[50, 92]
    every, _ = Edges(fill_holes="all").apply(labels, probability)
    assert every[50, 92] == 1
    assert every[70, 80] == 0


def test_specks_are_removed_with_their_soft_edges():
    labels = disc() | disc(centre=(20, 20), radius=3) | disc(centre=(140, 20), radius=3, identity=2)
    probability = soft(labels)
    probability[80:90, 10:20] = 0.4  # a soft spot without a mask
    kept, cleaned = Edges(min_area="1%").apply(labels, probability)
    np.testing.assert_array_equal(kept, disc())
    assert cleaned[:30, :40].max() < 0.02
    assert cleaned[75:95, 5:25].max() < 0.02
    np.testing.assert_array_equal(cleaned[25:76, 55:106], probability[25:76, 55:106])


@pytest.mark.parametrize("edges", [Edges(), Edges(grow=0, fill_holes="0%", min_area=False)])
def test_nothing_is_nothing(edges):
    assert not edges
    assert edges.settings == {}


def test_empty_and_full_frames_pass():
    every = Edges(grow=3, shrink=2, feather=4, fill_holes="all", min_area=9)
    for value in (0, 1):
        labels = np.full((20, 30), value, np.uint8)
        moved, probability = every.apply(labels, labels.astype(np.float32))
        np.testing.assert_array_equal(moved, labels)
        np.testing.assert_allclose(probability, value, atol=1e-6)


@pytest.mark.parametrize("length", ["-1", "3 m", "", None, "1e400", "nan", "5%%", True, "101%", "2000‰"])
def test_other_sizes_are_refused(length):
    with pytest.raises(UsageError, match=r"grow .* is no length"):
        Edges(grow=length)


@pytest.mark.parametrize(
    ("given", "fix"),
    [
        ({"grow": -1}, "use shrink='1'"),
        ({"shrink": "-0.5%"}, "use grow='0.5%'"),
        ({"grow": "-x"}, "write 3, 3px, 0.5% or 5‰"),
        ({"feather": -1}, "write 3, 3px, 0.5% or 5‰"),
    ],
)
def test_a_length_below_0_names_the_opposite(given, fix):
    with pytest.raises(UsageError, match="is no length") as caught:
        Edges(**given)
    assert caught.value.fix == fix


def test_a_wrong_area_names_its_option_and_what_it_takes():
    with pytest.raises(UsageError, match=r"fill-holes 'lots' is no area") as caught:
        Edges(fill_holes="lots")
    assert caught.value.fix.endswith("or all")
    with pytest.raises(UsageError, match=r"min-area 'all' is no area"):
        Edges(min_area="all")


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"fill_holes": 2_000_000}, "2000000"),
        ({"min_area": "1200000px"}, "1200000"),
        ({"grow": np.int64(3)}, "3"),
        ({"feather": np.float32(0.5)}, "0.5"),
        ({"grow": 1e-05}, "0.00001"),
        ({"grow": 0.1}, "0.1"),
    ],
)
def test_sizes_are_kept_as_they_were_given(given, kept):
    assert getattr(Edges(**given), *given) == kept


def test_a_size_that_no_frame_has_is_refused_by_its_bound():
    with pytest.raises(UsageError, match="up to 4294967296"):
        Edges(fill_holes=1e12)
    with pytest.raises(UsageError, match="up to 1000000"):
        Edges(grow=2_000_000)


def moving(result, *, frames=9):
    """A textured disc that moves over a textured ground; its probability flickers."""
    rng = np.random.default_rng(0)
    ground = cv2.GaussianBlur(rng.integers(0, 255, (96, 160, 3), np.uint8), (0, 0), 2)
    skin = cv2.GaussianBlur(rng.integers(120, 255, (96, 160, 3), np.uint8), (0, 0), 2)
    for index in range(frames):
        labels = disc((96, 160), centre=(40 + 6 * index, 48))
        image = np.where(labels[..., None] > 0, np.roll(skin, 6 * index, axis=1), ground)
        radius = 20 + (3 if index % 2 else -3)
        guess = soft(disc((96, 160), centre=(40 + 6 * index, 48), radius=radius))
        made = result(index, size=(96, 160))
        frame = replace(made.frame, image=image)
        yield replace(made, frame=frame, probability=guess, labels=(guess > 0.5).astype(np.uint8)), labels


def test_edges_are_steadied_along_the_motion(result):
    frames, truth = zip(*moving(result), strict=True)
    out = list(retouched(iter(frames), Edges(smooth_time=1)))
    assert [each.frame.index for each in out] == list(range(9))
    before = [np.mean((each.labels > 0) != (true > 0)) for each, true in zip(frames, truth, strict=True)]
    after = [np.mean((each.labels > 0) != (true > 0)) for each, true in zip(out, truth, strict=True)]
    assert np.mean(after[1:-1]) < 0.75 * np.mean(before[1:-1])
    assert all(((each.probability > 0.5) == (each.labels > 0)).all() for each in out)


def test_what_is_gone_leaves_no_ghost(result):
    (here, _), (there, _) = list(moving(result, frames=2))
    bare = replace(here, probability=np.zeros_like(here.probability), labels=np.zeros_like(here.labels))
    bare = replace(bare, frame=replace(bare.frame, image=np.full_like(here.frame.image, 128)))
    assert steady(bare, [there])[0][40:56, 40:52].max() < 0.2


def test_what_is_solid_gets_no_hole_from_its_neighbours(result):
    """As an eye in the fur, which the frames before and after have taken for background."""
    frames = []
    for index in range(3):
        made = result(index, size=(96, 160))
        matte = disc((96, 160), centre=(80, 48), radius=40).astype(np.float32)
        if index != 1:
            matte[40:56, 72:88] = 0
        labels = (matte > 0.5).astype(np.uint8)
        frames.append(replace(made, probability=matte, labels=labels, matte=matte))
    for values in steady(frames[1], [frames[0], frames[2]]):
        assert values is not None
        assert (values[38:58, 70:90] == 1).all()


def test_frames_of_other_sizes_are_left_apart(result):
    frames = [result(0), result(1), result(2, size=(24, 32)), result(3, size=(24, 32))]
    out = list(retouched(iter(frames), Edges(smooth_time=2)))
    assert [each.frame.size for each in out] == [each.frame.size for each in frames]


def test_a_feather_is_no_wider_than_the_frame() -> None:
    labels = np.zeros((24, 32), np.uint8)
    labels[8:16, 8:20] = 1
    widest, beyond = (Edges(feather=width).apply(labels, labels.astype(np.float32))[1] for width in (24, 100_000))
    assert np.array_equal(widest, beyond)


def test_growing_far_takes_no_disc(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disc of 100,000 pixels, or of a frame's diagonal, takes minutes a frame; the distance says the same."""
    labels = disc((240, 400), centre=(200, 120))
    guess = soft(labels)
    by_disc = edges._largest(guess, 70)
    assert np.abs(edges._reached(guess, 70) - by_disc).mean() < 0.01
    monkeypatch.setattr(edges, "_largest", None)
    for length in (70, 100_000):
        grown, opacity = Edges(grow=length).apply(labels, guess)
        assert ((opacity > 0.5) != (grown > 0)).mean() < 0.01
        shrunk, opacity = Edges(shrink=length).apply(labels, guess)
        assert not shrunk.any()
        assert opacity.max() < 0.5
    assert grown.all()
