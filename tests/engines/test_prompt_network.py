from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch

from covos.core.errors import UsageError
from covos.core.types import Box, Frame, Point
from covos.engines.encoding import FrameEncoder
from covos.engines.motion import Observed
from covos.engines.prompt import NetworkPrompter, as_prompt, with_points
from covos.models.lite import CovosLite, Features
from covos.models.prompt import CovosPrompt, PromptFeatures

SIZE = (48, 70)


@pytest.fixture
def prompter() -> NetworkPrompter:
    torch.manual_seed(0)
    encoder: FrameEncoder[Features] = FrameEncoder(
        CovosLite().eval(), device=torch.device("cpu"), precision=torch.float32, area=64 * 96, batch=1
    )
    return NetworkPrompter(encoder, CovosPrompt().eval())


def observed(index: int = 0) -> Observed:
    image = np.random.default_rng(index).integers(0, 256, (*SIZE, 3), np.uint8)
    frame = Frame(index=index, stem=f"{index}", image=image, pts=index, time_base=Fraction(1, 25))
    return Observed(frame=frame, motion=None)


def test_a_mask_has_the_size_of_the_frame(prompter: NetworkPrompter) -> None:
    frame = observed()
    for points, box, previous in (
        ([Point(x=10, y=20)], None, None),
        ([], Box(x0=5, y0=5, x1=60, y1=40), None),
        ([Point(x=10, y=20), Point(x=69, y=47, positive=False)], None, np.ones(SIZE, np.bool_)),
        ([], None, np.ones(SIZE, np.bool_)),
    ):
        mask = prompter.mask(frame, points=points, box=box, previous=previous)
        assert mask.shape == SIZE
        assert mask.dtype == np.bool_


def test_a_frame_is_encoded_once_however_often_it_is_clicked_on(
    prompter: NetworkPrompter, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded: list[int] = []
    original = CovosPrompt.project

    def project(self: CovosPrompt, features: Features) -> PromptFeatures:
        encoded.append(len(features.v_BCHW))
        return original(self, features)

    monkeypatch.setattr(CovosPrompt, "project", project)
    first, second = observed(0), observed(1)
    clicks = [Point(x=10, y=20)]
    once = prompter.mask(first, points=clicks, box=None, previous=None)
    for frame in (first, observed(0)):
        again = prompter.mask(frame, points=clicks, box=None, previous=None)
        np.testing.assert_array_equal(once, again)
    assert len(encoded) == 1
    moving = replace(first, motion=np.ones((16, 24, 4), np.float32))
    prompter.mask(moving, points=clicks, box=None, previous=None)
    assert len(encoded) == 2, "what moves in a frame changes its features"
    prompter.mask(second, points=clicks, box=None, previous=None)
    back = prompter.mask(first, points=clicks, box=None, previous=None)
    np.testing.assert_array_equal(once, back)
    assert len(encoded) == 4


@pytest.mark.parametrize("full", [True, False])
def test_a_mask_agrees_with_all_points(prompter: NetworkPrompter, full: bool) -> None:
    mask = np.full(SIZE, full)
    points = [
        Point(x=0, y=0), Point(x=2, y=0, positive=False), Point(x=69.4, y=47), Point(x=30, y=20, positive=False)
    ]  # fmt: skip
    changed = with_points(mask, points)
    for point in points:
        assert changed[int(point.y), int(point.x)] == point.positive
    assert changed[30, 50] == full, "far from all points nothing changes"
    assert 2 < int((changed != mask).sum()) < 100
    asked = prompter.mask(observed(), points=points, box=None, previous=mask)
    assert all(asked[int(point.y), int(point.x)] == point.positive for point in points)


def test_positions_become_shares_of_the_frame() -> None:
    previous = np.zeros((10, 20), np.bool_)
    previous[:, :10] = True
    prompt = as_prompt(
        [Point(x=0, y=0), Point(x=19, y=9, positive=False)],
        Box(x0=5, y0=0, x1=20, y1=5),
        previous,
        size=(10, 20),
        encoded=(32, 64),
        device=torch.device("cpu"),
    )
    torch.testing.assert_close(prompt.point_BK3, torch.tensor([[[0.025, 0.05, 1.0], [0.975, 0.95, -1.0]]]))
    torch.testing.assert_close(prompt.box_B5, torch.tensor([[0.25, 0.0, 1.0, 0.5, 1.0]]))
    assert prompt.previous_B1HW.shape == (1, 1, 16, 32)
    assert float(prompt.previous_B1HW[0, 0, :, :12].min()) == 1
    assert not prompt.previous_B1HW[0, 0, :, 20:].any()


def test_a_thin_mask_is_shown_by_its_share_of_the_cells() -> None:
    previous = np.zeros((128, 192), np.bool_)
    previous[:, 3::4] = True
    prompt = as_prompt([], None, previous, size=(128, 192), encoded=(64, 96), device=torch.device("cpu"))
    torch.testing.assert_close(prompt.previous_B1HW, torch.full((1, 1, 32, 48), 0.25))


def test_nothing_shown_and_masks_of_another_size_are_refused(prompter: NetworkPrompter) -> None:
    with pytest.raises(UsageError, match="nothing is shown on frame 3"):
        prompter.mask(observed(3), points=[], box=None, previous=None)
    with pytest.raises(UsageError, match="does not have the frame's size"):
        prompter.mask(observed(), points=[], box=None, previous=np.ones((4, 4), np.bool_))
