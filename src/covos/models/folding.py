"""Batch norms folded into the convolutions before them: the same function with fewer passes over memory."""

from __future__ import annotations

from itertools import pairwise

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


def fold_batch_norms(network: nn.Module) -> None:
    """Fold, in place, each batch norm that follows a convolution in a `torch.nn.Sequential`.

    For running only: in evaluation mode a batch norm is an affine map of each channel, which the convolution before it
    can do itself. The results are those of before, up to rounding; the names of the parameters are not.

    Args:
        network: In evaluation mode.
    """
    for part in network.modules():
        if not isinstance(part, nn.Sequential):
            continue
        for index, (layer, norm) in enumerate(pairwise(list(part))):
            if isinstance(layer, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                part[index], part[index + 1] = fuse_conv_bn_eval(layer, norm), nn.Identity()
