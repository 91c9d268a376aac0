from __future__ import annotations

import torch

from covos.models.lite import CovosLite, MotionBranch


def test_a_new_branch_changes_nothing() -> None:
    torch.manual_seed(0)
    network = CovosLite().eval()
    image, motion = torch.rand(2, 3, 64, 96), torch.rand(2, 4, 16, 24)
    with torch.inference_mode():
        for with_motion, without in zip(network.encode(image, motion), network.encode(image), strict=True):
            torch.testing.assert_close(with_motion, without, rtol=0, atol=0)


def test_a_frame_whose_motion_is_not_known_is_a_picture_alone() -> None:
    torch.manual_seed(0)
    branch = MotionBranch((24, 40, 112), widths=(4, 4, 4)).eval()
    for join in branch.join:
        torch.nn.init.normal_(join.weight)
    for part in branch.parameters():
        torch.nn.init.normal_(part) if part.ndim == 1 else None  # norms with an offset answer to zero, too
    motion = torch.rand(2, 4, 16, 24)
    motion[0] = 0
    with torch.inference_mode():
        pyramid = branch(motion)
    assert [tuple(x.shape) for x in pyramid] == [(2, 24, 16, 24), (2, 40, 8, 12), (2, 112, 4, 6)]
    for x in pyramid:
        assert not x[0].any()
        assert x[1].any()
