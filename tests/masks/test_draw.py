import av
import cv2
import numpy as np
import pytest
from av.video.reformatter import ColorRange, Colorspace

from covos.core.errors import UsageError
from covos.core.types import Planes
from covos.masks import contact_sheet, davis_palette, draw_overlay
from covos.masks.draw import draw_on_planes, drawn_window, outline_thickness, overlay_palette


def two_objects() -> np.ndarray:
    labels = np.zeros((90, 120), np.uint8)
    labels[20:70, 20:60], labels[20:70, 60:100] = 1, 2
    return labels


@pytest.mark.parametrize("grey", [0, 128, 255])
def test_the_tint_is_the_palette_colour(grey: int) -> None:
    image = np.full((90, 120, 3), grey, np.uint8)
    drawn = draw_overlay(image, two_objects(), opacity=0.25)
    for x, identity in ((40, 1), (80, 2)):
        expected = 0.25 * overlay_palette()[identity] + 0.75 * grey
        np.testing.assert_allclose(drawn[45, x], expected, atol=1)
    assert (image == grey).all()


@pytest.mark.parametrize("grey", [0, 60, 128, 200, 255])
@pytest.mark.parametrize("identity", [1, 2, 4, 7, 8, 255])
def test_the_outline_shows_on_any_background(grey: int, identity: int) -> None:
    labels = np.where(two_objects() == 1, np.uint8(identity), np.uint8(0))
    drawn = draw_overlay(np.full((90, 120, 3), grey, np.uint8), labels)
    across = drawn[45, :40].astype(int).max(axis=1)
    assert across.max() - across.min() > 100


@pytest.mark.parametrize("identity", [1, 2, 4, 7, 8, 255])
def test_an_object_of_its_own_colour_is_told_from_it_and_from_its_surroundings(identity: int) -> None:
    """A red car under a red tint."""
    labels = np.where(two_objects() == 1, np.uint8(identity), np.uint8(0))
    for brightness in (0.5, 1.0, 2.0):
        colour = (overlay_palette()[identity] * brightness).clip(0, 255).astype(np.uint8)
        drawn = draw_overlay(np.broadcast_to(colour, (90, 120, 3)).copy(), labels)
        across, subject = drawn[45, :40].astype(int), drawn[45, 40].astype(int)
        assert np.abs(across - subject).max() > 100


def test_what_is_far_from_objects_is_untouched() -> None:
    image = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    labels = two_objects()
    drawn = draw_overlay(image, labels)
    reach = 2 * outline_thickness(labels.shape)
    far = np.ones(labels.shape, bool)
    far[20 - reach : 70 + reach, 20 - reach : 100 + reach] = False
    np.testing.assert_array_equal(drawn[far], image[far])
    np.testing.assert_array_equal(draw_overlay(image, labels, outline=False)[labels == 0], image[labels == 0])


def test_no_object_or_no_opacity_changes_nothing() -> None:
    image = np.random.default_rng(0).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    np.testing.assert_array_equal(draw_overlay(image, np.zeros((9, 12), np.uint8)), image)
    np.testing.assert_array_equal(draw_overlay(image, np.ones((9, 12), np.uint8), opacity=0, outline=False), image)


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (16, 4096)])
def test_any_size(size: tuple[int, int]) -> None:
    drawn = draw_overlay(np.zeros((*size, 3), np.uint8), np.ones(size, np.uint8))
    assert drawn.shape == (*size, 3)
    assert drawn.any()


def test_the_outline_grows_with_the_picture() -> None:
    sizes = [(48, 64), (480, 854), (1080, 1920), (2160, 3840)]
    thick = [outline_thickness(size) for size in sizes]
    assert thick == sorted(set(thick))


def test_wrong_calls() -> None:
    image = np.zeros((4, 5, 3), np.uint8)
    with pytest.raises(UsageError, match="labels"):
        draw_overlay(image, np.zeros((5, 4), np.uint8))
    with pytest.raises(UsageError, match="opacity"):
        draw_overlay(image, np.zeros((4, 5), np.uint8), opacity=1.5)
    with pytest.raises(UsageError, match=r"labels must be H x W uint8, not .* int64"):
        draw_overlay(image, np.zeros((4, 5), np.int64))
    for wrong in image.astype(np.float32), np.zeros((4, 5, 4), np.uint8), np.zeros((4, 5), np.uint8):
        with pytest.raises(UsageError, match="the image must be H x W x 3 uint8, not 4 x 5"):
            draw_overlay(wrong, np.zeros((4, 5), np.uint8))


def colour(value: int, size: tuple[int, int]) -> np.ndarray:
    return np.full((*size, 3), value, np.uint8)


def test_a_sheet_holds_every_cell_in_order() -> None:
    values = [60, 90, 120, 150, 180]
    sheet = contact_sheet([colour(v, (20 + v, 40)) for v in values], columns=2, cell_width=40)
    assert sheet.dtype == np.uint8
    assert sheet.shape[1] == 2 * 40 + 3 * 6
    for value in values:
        assert np.count_nonzero((sheet == value).all(axis=2)) == (20 + value) * 40
    rows = [int(np.argwhere((sheet == value).all(axis=2))[0][0]) for value in values]
    assert rows[0] == rows[1] < rows[2] == rows[3] < rows[4]


def test_captions_are_drawn_within_their_cell() -> None:
    cells = [colour(200, (30, 100)), colour(100, (60, 50))]
    plain = contact_sheet(cells, columns=2, cell_width=100, captions=["", ""])
    named = contact_sheet(cells, columns=2, cell_width=100, captions=["x" * 300, "日本"])
    changed = np.argwhere((plain != named).any(axis=2))
    assert plain.shape == named.shape
    left = changed[changed[:, 1] < 6 + 100 + 3]
    right = changed[changed[:, 1] > 6 + 100 + 3]
    assert len(left) > 50
    assert len(right) > 5
    assert left[:, 1].max() <= 6 + 100
    assert left[:, 0].min() >= 6 + 30


def test_wrong_sheets() -> None:
    for arguments in ({"columns": 0, "cell_width": 5}, {"columns": 1, "cell_width": 0}):
        with pytest.raises(ValueError, match="no sheet"):
            contact_sheet([colour(0, (2, 2))], **arguments)
    with pytest.raises(ValueError, match="no sheet"):
        contact_sheet([], columns=1, cell_width=4)
    with pytest.raises(ValueError, match="2 captions for 1 cells"):
        contact_sheet([colour(0, (2, 2))], columns=1, cell_width=4, captions=["a", "b"])


def test_nothing_is_drawn_beyond_the_window() -> None:
    image = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    changed = (draw_overlay(image, two_objects()) != image).any(axis=2)
    window = drawn_window(two_objects())
    assert changed[window].any()
    changed[window] = False
    assert not changed.any()
    assert not np.zeros((90, 120))[drawn_window(np.zeros((90, 120), np.uint8))].size


def coded(image: np.ndarray, matrix: int) -> Planes:
    made = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(
        format="yuv420p", dst_colorspace=Colorspace(matrix), dst_color_range=ColorRange.MPEG
    )
    rows = made.to_ndarray()
    height, width = image.shape[:2]
    blue, red = (rows[height:].reshape(2, height // 2, width // 2)[place].copy() for place in (0, 1))
    return Planes(luma=rows[:height].copy(), blue=blue, red=red, matrix=matrix)


def ramp(*, size: tuple[int, int] = (90, 120)) -> np.ndarray:
    """A picture without edges: those are not what is compared."""
    rows, columns = np.mgrid[: size[0], : size[1]]
    return np.stack([60 + rows, 200 - rows, 50 + columns], axis=2).astype(np.uint8)


@pytest.mark.parametrize("matrix", [Colorspace.ITU709, Colorspace.ITU601])
@pytest.mark.parametrize("at", [0, 1])
def test_planes_are_drawn_on_as_the_picture_is(matrix: int, at: int) -> None:
    labels = np.zeros((90, 120), np.uint8)
    labels[20 + at : 70, 20 + at : 60], labels[20 + at : 70, 60 : 100 + at] = 1, 10
    image = ramp()
    planes, wanted = coded(image, matrix), coded(draw_overlay(image, labels), matrix)
    draw_on_planes(planes, labels)
    np.testing.assert_allclose(planes.luma.astype(int), wanted.luma, atol=2)
    for plane, other in ((planes.blue, wanted.blue), (planes.red, wanted.red)):
        # Where chroma is coded, neighbours count as well, which is seen at edges alone.
        apart = np.abs(plane.astype(int) - other)
        assert np.percentile(apart, 90) <= 2
        assert apart.mean() < 1.5


def test_planes_stay_as_they_are_far_from_objects_and_without_any() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    planes, before = coded(noise, Colorspace.ITU601), coded(noise, Colorspace.ITU601)
    draw_on_planes(planes, np.zeros((90, 120), np.uint8))
    draw_on_planes(planes, two_objects(), opacity=0.0)  # the outline alone
    reach = 2 * outline_thickness((90, 120)) + 1
    far = np.ones((90, 120), bool)
    far[20 - reach : 70 + reach, 20 - reach : 100 + reach] = False
    np.testing.assert_array_equal(planes.luma[far], before.luma[far])
    assert (planes.luma != before.luma).any()
    for plane, other in ((planes.blue, before.blue), (planes.red, before.red)):
        np.testing.assert_array_equal(plane[far[::2, ::2]], other[far[::2, ::2]])
        np.testing.assert_array_equal(plane[18:28, 14:26], other[18:28, 14:26])  # within an object


def test_twelve_objects_of_an_overlay_are_told_apart() -> None:
    assert np.array_equal(overlay_palette()[:8], davis_palette()[:8])
    levels = overlay_palette()[1:13].astype(np.float32)[None] / 255
    lab = cv2.cvtColor(levels, cv2.COLOR_RGB2LAB)[0]
    apart = np.linalg.norm(lab[:, None] - lab[None], axis=2)[np.triu_indices(12, 1)]
    assert apart.min() > 25  # of CIE 1976; 2 are just seen
