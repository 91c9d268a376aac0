"""The band, its colours, and the tiles of a matte, with networks that hand through what they are told."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from covos.core.types import Frame, FrameResult
from covos.engines import matting
from covos.engines.band import sample_sides, uncertain_band
from covos.engines.ladder import Ladder
from covos.engines.matting import MatteEngine, _enclosed, matted
from covos.engines.tiles import CELL, LARGEST, MARGIN, Patchwork, padded, tiles_over
from covos.models.matte import ANSWERS, BEFORE, GUESS, INPUTS, PROBABILITY, CovosMatte
from starving import above, starve

SIZE = (250, 330)
SUBJECT, BEHIND = np.array([220, 60, 40]), np.array([20, 90, 180])


CPU = torch.device("cpu")


class HandsThrough(nn.Module):
    """Answers with a channel of its input, or with ones."""

    def __init__(self, channel: int | None) -> None:
        super().__init__()
        self.channel, self.tiles = channel, 0

    def forward(self, x_BCHW: Tensor) -> Tensor:
        self.tiles += len(x_BCHW)
        one = torch.ones_like(x_BCHW[:, :1])
        return one if self.channel is None else x_BCHW[:, self.channel : self.channel + 1]


def engine(channel: int | None) -> MatteEngine:
    return MatteEngine(HandsThrough(channel), ladder=Ladder(device=CPU, precision=torch.float32))  # type: ignore[arg-type]


def soft_disc(*, centre: tuple[int, int] = (120, 130), radius: int = 60, blur: float = 4.0) -> np.ndarray:
    disc = np.zeros(SIZE, np.float32)
    cv2.circle(disc, centre, radius, 1.0, -1)
    return np.clip(cv2.GaussianBlur(disc, (0, 0), blur), 0, 1)


def mixed(alpha: np.ndarray) -> np.ndarray:
    return np.rint(alpha[..., None] * SUBJECT + (1 - alpha[..., None]) * BEHIND).astype(np.uint8)


def hard(alpha: np.ndarray) -> np.ndarray:
    return (alpha > 0.5).astype(np.float32)


def test_the_colours_of_both_sides_give_alpha() -> None:
    alpha = soft_disc()
    found = engine(GUESS).find(mixed(alpha), hard(alpha), band=(alpha > 0.01) & (alpha < 0.99))
    assert np.abs(found - alpha).max() < 0.03


def test_outside_the_band_the_probability_is_made_sure() -> None:
    alpha = soft_disc()
    probability = np.where(alpha > 0.5, np.float32(0.97), np.float32(0.04))
    found = engine(None).find(mixed(alpha), probability)
    far = cv2.dilate(hard(alpha), np.ones((41, 41))) == 0
    deep = cv2.erode(hard(alpha), np.ones((41, 41))) == 1
    assert (found[far] == 0).all()
    assert (found[deep] == 1).all()


def test_deep_inside_of_the_subject_a_doubtful_probability_is_no_edge() -> None:
    subject = soft_disc(radius=90)
    probability = hard(subject)
    probability[110:130, 120:140] = 0.7  # an eye, say
    probability[113:128, 212:217] = 0.7  # a few pixels from the edge: it may be one
    probability[110:130, 225:245] = 0.3  # a strand, say
    found = engine(PROBABILITY).find(mixed(subject), probability)
    assert (found[110:130, 120:140] == 1).all()
    for near in (found[113:128, 212:217], found[110:130, 225:245]):
        assert ((near > 0) & (near < 1)).all()


def test_a_doubtful_patch_by_itself_is_a_ghost() -> None:
    probability = soft_disc(centre=(90, 110), radius=40)
    ghost = 0.3 * soft_disc(centre=(250, 150), radius=30)
    tail = np.zeros(SIZE, np.float32)
    tail[105:115, 125:180] = 0.3  # it hangs together with the disc
    found = engine(PROBABILITY).find(mixed(probability), np.maximum(np.maximum(probability, ghost), tail))
    assert not found[:, 210:].any()
    assert found[110, 160] > 0
    # Nor is there one where nothing else is.
    assert not engine(PROBABILITY).find(mixed(probability), ghost).any()


def test_tiles_go_over_into_one_another_and_only_those_with_a_contour_are_seen() -> None:
    network = HandsThrough(None)
    ones = MatteEngine(network, ladder=Ladder(device=CPU, precision=torch.float32))  # type: ignore[arg-type]
    alpha = soft_disc(radius=100)
    band = (alpha > 0.01) & (alpha < 0.99)
    found = ones.find(mixed(alpha), hard(alpha), band=band)
    assert found[band] == pytest.approx(1.0, abs=1e-5)
    assert 1 < network.tiles <= -(-SIZE[0] // CELL) * -(-SIZE[1] // CELL)
    small = soft_disc(centre=(40, 40), radius=20)
    network.tiles = 0
    ones.find(mixed(small), hard(small), band=(small > 0.01) & (small < 0.99), index=5)
    assert network.tiles <= 2


def test_tiles_go_on_in_smaller_groups_when_the_memory_runs_out(monkeypatch: pytest.MonkeyPatch) -> None:
    alpha = soft_disc(radius=100)
    band = np.zeros(SIZE, np.bool_)
    band[10::64, 10::64] = True  # twenty tiles of one size
    expected = engine(GUESS).find(mixed(alpha), hard(alpha), band=band)
    starve(monkeypatch, HandsThrough, "forward", rule=above(1))
    ladder = Ladder(device=CPU, precision=torch.float32)
    starved = MatteEngine(HandsThrough(GUESS), ladder=ladder)  # type: ignore[arg-type]
    for index in range(2):  # what is given up is not tried again
        found = starved.find(mixed(alpha), hard(alpha), band=band, index=2 * index)
        np.testing.assert_array_equal(found, expected)
    taken = [("again", None), ("tiles", 10), ("tiles", 5), ("tiles", 3), ("tiles", 2), ("tiles", 1)]
    assert [(step.kind, step.together) for step in ladder.steps] == taken
    assert "1 tile at a time from here on" in ladder.steps[-1].text
    assert ladder.frames(4) == 4, "the frames were not what was too much"


def test_a_window_without_sure_pixels_takes_the_colours_of_the_nearest_elsewhere() -> None:
    alpha = np.tile(np.linspace(1, 0, SIZE[1], dtype=np.float32), (SIZE[0], 1))
    band = np.zeros(SIZE, np.bool_)
    band[:, 10:-10] = True  # wider than a window
    found = engine(GUESS).find(mixed(alpha), np.where(band, np.float32(0.5), hard(alpha)), band=band)
    assert np.abs(found - alpha)[band].mean() < 0.05


def test_the_alpha_of_the_frame_before_comes_along_with_what_moves() -> None:
    texture = np.random.default_rng(0).integers(0, 255, (*SIZE, 3)).astype(np.uint8)
    picture = cv2.GaussianBlur(texture, (0, 0), 3)
    alpha = soft_disc(centre=(110, 130))
    moved = np.roll(picture, 9, axis=1), np.roll(alpha, 9, axis=1)
    band = (moved[1] > 0.05) & (moved[1] < 0.95)
    remembers = engine(5)
    remembers.remember(picture, alpha, index=3)
    found = remembers.find(moved[0], hard(moved[1]), index=4, band=band)
    assert np.abs(found - moved[1])[band].mean() < 0.08
    # Not the frame before, or none at all: nothing is remembered.
    remembers.remember(picture, alpha, index=3)
    assert remembers.find(moved[0], hard(moved[1]), index=5, band=band)[band].max() == 0


def test_the_band_grows_where_alpha_goes_on_beyond_it() -> None:
    alpha = hard(soft_disc(radius=40))
    spike = alpha.copy()
    spike[118:123, 160:205] = 1
    found = engine(GUESS).find(mixed(spike), alpha)
    reach = np.flatnonzero(found[120] > 0.5).max()
    near = uncertain_band(alpha, reach=4)
    assert reach > np.flatnonzero(near[120]).max() + 4


def test_samples_are_those_of_the_pair_that_explains_the_pixel() -> None:
    side = 128
    image = np.empty((side, side, 3), np.uint8)
    image[:, : side // 2], image[:, side // 2 :] = SUBJECT, BEHIND
    probability = np.zeros((side, side), np.float32)
    probability[:, : side // 2] = 1
    band = np.zeros((side, side), np.bool_)
    band[:, side // 2 - 6 : side // 2 + 6] = True
    sides = sample_sides(image, probability, band)
    assert sides.foreground * 255 == pytest.approx(np.broadcast_to(SUBJECT, sides.foreground.shape), abs=2)
    assert sides.background * 255 == pytest.approx(np.broadcast_to(BEHIND, sides.background.shape), abs=2)
    assert sides.residual.max() < 0.02


def test_a_picture_without_a_band_has_no_sides() -> None:
    image = np.zeros((16, 16, 3), np.uint8)
    band = np.zeros((16, 16), np.bool_)
    assert sample_sides(image, np.ones((16, 16), np.float32), band).told.shape == (0, INPUTS - 7)


def test_an_untrained_network_blends_what_is_known() -> None:
    network = CovosMatte().eval()
    told = torch.rand(2, INPUTS, 64, 64)
    with torch.inference_mode():
        found = network(told)
    known = told[:, [GUESS, PROBABILITY, BEFORE]]
    assert torch.allclose(found[:, 0], known.mean(dim=1), atol=1e-5)


def result(index: int, alpha: np.ndarray, **changes: object) -> FrameResult:
    frame = Frame(index=index, stem=str(index), image=mixed(alpha), pts=index, time_base=Fraction(1, 25))
    made = FrameResult(frame=frame, probability=hard(alpha), labels=hard(alpha).astype(np.uint8), confidence=1.0)
    return replace(made, **changes)  # type: ignore[arg-type]


def test_results_that_have_a_matte_keep_it_and_load_nothing() -> None:
    alpha = soft_disc()
    given = [result(k, alpha, matte=alpha) for k in range(2)]

    def refuse() -> MatteEngine:
        raise AssertionError("a network was loaded")

    assert [each.matte is alpha for each in matted(iter(given), refuse)] == [True, True]  # type: ignore[union-attr]


def test_what_was_kept_is_the_frame_before_for_what_is_new() -> None:
    alpha = soft_disc()
    given = [result(0, alpha, matte=alpha), result(1, alpha)]
    *_, last = matted(iter(given), lambda: engine(5))
    assert isinstance(last, FrameResult)
    assert last.matte is not None
    band = (alpha > 0.3) & (alpha < 0.7)
    assert last.matte[band] == pytest.approx(alpha[band], abs=0.02)


def test_a_picture_that_cannot_be_read_holds_its_matte_with_its_mask() -> None:
    first = result(0, soft_disc())
    unread = replace(first, frame=replace(first.frame, index=1, status="unreadable"))
    found = list(matted(iter([first, unread]), lambda: engine(GUESS)))
    assert found[1].matte is found[0].matte  # type: ignore[union-attr]


def test_a_network_without_numbers_is_told() -> None:
    class Nothing(HandsThrough):
        def forward(self, x_BCHW: Tensor) -> Tensor:
            return super().forward(x_BCHW) * torch.nan

    alpha = soft_disc()
    lost = MatteEngine(Nothing(GUESS), ladder=Ladder(device=CPU, precision=torch.float32))  # type: ignore[arg-type]
    (found,) = matted(iter([result(0, alpha)]), lambda: lost)
    assert isinstance(found, FrameResult)
    assert found.frame.status == "uncomputed"
    assert found.matte is not None
    np.testing.assert_array_equal(found.matte > 0.5, found.probability > 0.5)


def test_tiles_cover_the_band_once_small_ones_where_little_of_it_is() -> None:
    band = np.zeros((300, 420), np.bool_)
    band[:140, :150] = True  # much: large tiles
    band[250, 260:263] = True  # a speck: the smallest
    tiles = tiles_over(band)
    covered = np.zeros(padded(np.zeros(band.shape, np.float32)).shape, np.int64)
    for tile in tiles:
        y, x = tile.y + MARGIN, tile.x + MARGIN
        covered[y : y + tile.height, x : x + tile.width] += 1
    assert covered.max() == 1
    inside = covered[MARGIN : MARGIN + 300, MARGIN : MARGIN + 420]
    assert inside[band].all()
    assert (tiles[0].height, tiles[0].width) == LARGEST
    assert [(tile.y, tile.x) for tile in tiles if (tile.height, tile.width) == (CELL, CELL)][-1] == (224, 256)
    assert sum(tile.area for tile in tiles) < 1.3 * sum(tile.height * tile.width for tile in tiles) + 10000


def test_tiles_lie_on_the_frame_s_grid_wherever_the_band_begins() -> None:
    band = np.zeros((200, 300), np.bool_)
    for shift in range(0, 64, 7):
        band[:] = False
        band[50:120, 40 + shift : 45 + shift] = True
        assert all(tile.y % CELL == 0 and tile.x % CELL == 0 for tile in tiles_over(band))


def test_no_band_has_no_tiles() -> None:
    assert tiles_over(np.zeros((40, 50), np.bool_)) == []


def test_a_patchwork_fades_from_tile_to_tile() -> None:
    size = (40, 100)
    tiles, counts = tiles_over(np.ones(size, np.bool_)), padded(np.ones(size, np.uint8)).view(np.bool_)
    patches = Patchwork(size)
    for tile in tiles:
        patches.add(tile, np.full(counts[tile.outer].shape, 0.25, np.float32), counts[tile.outer])
    assert patches.whole() == pytest.approx(0.25)


def test_a_band_that_grows_leaves_no_step_on_the_grid_of_the_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    alpha = hard(soft_disc(radius=60))
    spike = alpha.copy()
    spike[118:123, 175:225] = 1
    told: list[np.ndarray] = []
    solve = matting._Solving.solve

    def seen(self: matting._Solving, band: np.ndarray) -> np.ndarray:
        told.append(band)
        return solve(self, band)

    monkeypatch.setattr(matting._Solving, "solve", seen)
    monkeypatch.setattr(matting, "with_sharp_edges", lambda found, *_, **__: found)
    noise = np.random.default_rng(0).integers(-30, 30, (*SIZE, 1))
    image = np.clip(mixed(spike) + noise, 0, 255).astype(np.uint8)
    # The samples of colours change wherever their windows reach what is new, in tiles without anything new, too.
    grown = engine(GUESS).find(image, alpha, index=3)
    assert len(told) == 2, "the band grew"
    part = matting._part(alpha > 0)
    nothing = np.zeros_like(alpha[part])
    whole = matting._Solving(image[part], alpha[part], nothing, nothing, run=engine(GUESS)._tiles, colours=False)
    at_once = solve(whole, told[1])
    np.testing.assert_allclose(grown[part], at_once, atol=1e-6)


def test_a_band_does_not_grow_into_the_subject() -> None:
    guide = hard(soft_disc(radius=60))
    band = uncertain_band(guide, reach=4)
    wider = matting._grown(np.ones(SIZE, np.float32), guide, band, reach=4)
    assert wider is not None
    assert (wider & ~band).any()
    assert not (wider & ~band & (guide > 0.5)).any()


def test_a_small_hole_inside_of_the_subject_is_asked_about_and_a_large_one_is_background() -> None:
    guide = hard(soft_disc(radius=100))
    guide[100:120, 100:120] = 0  # a hole in the mask: beyond its band is a patch of sure background
    asked = matting._asked(guide, reach=4)
    assert asked[100:120, 100:120].all()
    guide[80:160, 80:160] = 0  # between an arm and a body, say
    assert not matting._asked(guide, reach=4)[120, 120]
    assert not matting._asked(guide, reach=4)[0, 0]


def test_a_subject_is_the_same_wherever_it_stands_in_a_large_frame() -> None:
    alpha = soft_disc(centre=(90, 120), radius=40)
    band = (alpha > 0.01) & (alpha < 0.99)
    alone = engine(GUESS).find(mixed(alpha), hard(alpha), band=band)
    place = slice(512, 512 + SIZE[0]), slice(384, 384 + SIZE[1])
    large, wide = np.zeros((900, 1000), np.float32), np.zeros((900, 1000), np.bool_)
    large[place], wide[place] = alpha, band
    found = engine(GUESS).find(mixed(large), hard(large), band=wide)
    assert found[place] == pytest.approx(alone, abs=1e-3)
    np.testing.assert_array_equal(found[~wide], hard(large)[~wide])


def test_what_is_enclosed_is_found_as_by_components() -> None:
    rng, some = np.random.default_rng(0), 0
    for _ in range(300):
        behind = rng.random(rng.integers(1, 30, 2)) < rng.random()
        behind = behind.repeat(rng.integers(1, 3), 0).repeat(rng.integers(1, 3), 1)
        most = int(rng.integers(1, 150))
        height, width = behind.shape
        _, parts, facts, _ = cv2.connectedComponentsWithStats(behind.view(np.uint8), connectivity=8)
        wanted = np.zeros_like(behind)
        for number, (left, top, wide, high, area) in enumerate(facts[1:], 1):
            inner = left > 0 and top > 0 and left + wide < width and top + high < height
            wanted |= (parts == number) & bool(inner and area <= most)
        np.testing.assert_array_equal(_enclosed(behind, most=most), wanted)
        some += int(wanted.any())
    assert some > 50


def test_cells_are_folded_as_by_a_convolution() -> None:
    network = CovosMatte().eval()
    nn.init.normal_(network.answer.weight)
    nn.init.normal_(network.answer.bias)  # type: ignore[arg-type]
    x_BCHW = torch.rand(2, INPUTS, 32, 48)
    with torch.inference_mode():
        wanted = network.s4(F.pixel_unshuffle(x_BCHW, 4))
        torch.testing.assert_close(network._first(x_BCHW), wanted)
        answers = F.pixel_shuffle(network.answer(wanted), 4)
        torch.testing.assert_close(network._answers(wanted), answers)
        assert answers.shape == (2, ANSWERS, 32, 48)


def test_a_single_picture_is_solved_by_its_colours_too() -> None:
    truth = soft_disc()
    image, mask = mixed(truth), soft_disc(radius=57, blur=1.0)
    network, ladder = HandsThrough(PROBABILITY), Ladder(device=CPU, precision=torch.float32)
    moving, still = (
        MatteEngine(network, ladder=ladder, still=each).find(image, mask)  # type: ignore[arg-type]
        for each in (False, True)
    )
    assert np.abs(still - truth).mean() < 0.97 * np.abs(moving - truth).mean()
    sure = (moving == 0) | (moving == 1)
    np.testing.assert_array_equal(still[sure & (truth == 0)], 0)


def test_the_network_begins_a_single_picture_with_what_its_colours_say(monkeypatch: pytest.MonkeyPatch) -> None:
    truth = soft_disc()
    image, mask = mixed(truth), soft_disc(radius=57, blur=1.0)
    told: list[np.ndarray] = []

    def solved(_image: np.ndarray, opacity: np.ndarray, band: np.ndarray) -> np.ndarray:
        told.append(np.where(band, np.float32(0.375), opacity > 0.5).astype(np.float32))
        return told[-1]

    monkeypatch.setattr(matting, "solve_band", solved)
    network, ladder = HandsThrough(GUESS), Ladder(device=CPU, precision=torch.float32)
    found = MatteEngine(network, ladder=ladder, still=True).find(image, mask)  # type: ignore[arg-type]
    unsure = (found > 0) & (found < 1)
    assert unsure.any()
    assert np.median(found[unsure]) == pytest.approx(0.375, abs=0.01)
    before = len(told)
    MatteEngine(network, ladder=ladder).find(image, mask)  # type: ignore[arg-type]
    assert len(told) == before, "a frame of a video is not solved so"
