"""Calls that look right are refused with the way to write them."""

from __future__ import annotations

import pytest
from torch.utils.data import DataLoader

from covos import data
from covos.core.errors import UsageError


@pytest.fixture
def video(tianchi):
    return data.open_dataset(tianchi, subset="train")[0]


def test_a_picture_is_of_a_frame_alone(video):
    first = video.annotated[0]
    for given in ((video, first), (video,), (first.image,), (0,)):
        with pytest.raises(UsageError, match=r"read_image\(video.frame\(0\)\)"):
            data.read_image(*given)
    with pytest.raises(UsageError, match=r"Video, FrameRecord"):
        data.read_image(video, first)


def test_a_sheet_is_returned_not_written(video, tmp_path):
    with pytest.raises(UsageError, match=r'preview\(video\).save\("sheet.png"\)'):
        data.preview(video, tmp_path / "out.png")
    assert not (tmp_path / "out.png").exists()


def of_other_names(picture, target):
    return picture, target


def of_three(image, mask, depth):
    return image, mask


class Flip:
    def __call__(self, image, mask):
        return image, mask


@pytest.mark.parametrize(
    ("transform", "said"),
    [
        (of_other_names, r"of_other_names\(picture, target\) cannot be called"),
        (of_three, "depth"),
        (3, "transform=3 is no transform"),
        (Flip, "Flip is a class"),
    ],
)
@pytest.mark.parametrize("kind", [data.FrameDataset, data.PairDataset, data.GroupDataset])
def test_a_transform_takes_image_and_mask(video, kind, transform, said):
    with pytest.raises(UsageError, match=said):
        kind(video, transform=transform)
    assert len(kind(video, transform=Flip()))


def test_the_numbers_of_one_video(video):
    found = data.statistics(video)
    assert (found.videos, found.frames, found.name) == (1, len(video), video.name)
    assert found.subject_area == data.statistics(_alone(video)).subject_area
    with pytest.raises(UsageError):
        data.statistics([video])


def _alone(video):
    return data.Dataset(name="one", layout="tianchi", root=video.frames[0].image.parent, videos=(video,))


@pytest.mark.parametrize("batch", [1, 2])
def test_a_loader_is_told_what_it_takes(video, tianchi, batch):
    for thing in (video, data.open_dataset(tianchi)):
        with pytest.raises(UsageError, match="FrameDataset"):
            next(iter(DataLoader(thing, batch_size=batch)))
