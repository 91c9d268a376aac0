"""Gated co-attention: what a frame has in common with other frames of its video.

Lu et al., *See More, Know More: Unsupervised Video Object Segmentation with Co-Attention Siamese Networks*
(COSNet), CVPR 2019, section 3.1. In the paper the affinity of a frame a (the query) and b (a reference) is
S = (Va^T W) Vb (eq. 2), normalised over b's positions (eq. 6), and the summary Za = Vb softmax(S) is multiplied by
a gate sigmoid(w_f Za + b_f) (eqs. 9 and 10). That is scaled dot-product attention with q = W^T Va and k = v = Vb,
so a fused kernel needs no N x N matrix, and several references are one longer sequence of keys (the group form of the
journal version, PAMI 2020).

Attention is directed, and the affinity is one matrix: for b the same S is normalised over a's positions, so b's
queries are Vb and a's keys W^T Va. `CoAttention.between` gives both.

Two affinities are offered:

- `bilinear`: the published one; unnormalised, scale 1.
- `cosine`: one projection to fewer channels for queries and keys alike, normalised to length 1, with a learned
  temperature. Features of a short training have affinities of very unlike sizes, and their softmax is diffuse or
  saturated; cosines with one temperature are neither (as in STCN, NeurIPS 2021, section 4, and CLIP).

Shape legend: B batch, C channels, H height, W width, N = H W positions, M positions of all references together,
K key channels.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Affinity = Literal["bilinear", "cosine"]


class Memory(NamedTuple):
    """References, ready to be read from. Memories of several frames are joined by `join`."""

    keys_BMK: Tensor
    values_BMC: Tensor

    @staticmethod
    def join(memories: list[Memory]) -> Memory:
        """One memory that holds the positions of all, in the given order."""
        return Memory(
            torch.cat([m.keys_BMK for m in memories], dim=1), torch.cat([m.values_BMC for m in memories], dim=1)
        )


class Readout(NamedTuple):
    """What a query found in the references."""

    summary_BCHW: Tensor
    """The gated summary Z."""
    match_B1HW: Tensor
    """Expected affinity under the attention, in [-1, 1] for `cosine`: is this position in the references at all?"""
    extra_BEHW: Tensor
    """The attention applied to the extra value channels that the memory was given (E of them)."""


def flatten_positions(x_BCHW: Tensor) -> Tensor:
    """B x C x H x W -> B x N x C."""
    return x_BCHW.flatten(2).transpose(1, 2)


class CoAttention(nn.Module):
    """Gated co-attention of a query with a memory of references, as one `scaled_dot_product_attention`.

    Args:
        channels: Channels C of the features V.
        affinity: See the module's text.
        key_channels: Channels K of queries and keys; C for `bilinear`.
    """

    def __init__(self, channels: int, *, affinity: Affinity, key_channels: int) -> None:
        super().__init__()
        self.affinity = affinity
        self.channels = channels
        self.gate = nn.Conv2d(channels, 1, 1, bias=affinity == "cosine")
        if affinity == "bilinear":
            if key_channels != channels:
                raise ValueError(f"the bilinear affinity has as many key channels as channels: {channels}")
            self.weight = nn.Linear(channels, channels, bias=False)
        else:
            self.key = nn.Conv2d(channels, key_channels, 1)
            self.value = nn.Conv2d(channels, channels, 1)
            # exp(2.3) = 10: the sharpness at which a cosine of 0.9 outweighs one of 0.6 twenty-fold.
            self.log_scale = nn.Parameter(torch.tensor(2.3))

    def _keys(self, v_BCHW: Tensor) -> Tensor:
        if self.affinity == "bilinear":
            return flatten_positions(v_BCHW)
        # In float32: the norm of a bf16 vector has three digits, and the temperature multiplies its error.
        return F.normalize(flatten_positions(self.key(v_BCHW)).float(), dim=2)

    def memorise(self, v_BCHW: Tensor, extra_BEHW: Tensor) -> Memory:
        """Turn a reference's features into keys and values.

        Args:
            v_BCHW: Features of the reference.
            extra_BEHW: Further channels to carry from the references to the query (E may be 0), such as the
                probability that a position belongs to the subject.
        """
        keys = self._keys(v_BCHW)
        value = v_BCHW if self.affinity == "bilinear" else self.value(v_BCHW)
        values = torch.cat([flatten_positions(value), flatten_positions(extra_BEHW)], dim=2)
        return Memory(keys, values.to(keys.dtype))

    def forward(self, v_BCHW: Tensor, memory: Memory) -> Readout:
        """Read what the references hold for each position of the query.

        Args:
            v_BCHW: Features of the query.
            memory: From `memorise`, with M >= 1 positions.
        """
        height, width = v_BCHW.shape[2:]
        if self.affinity == "bilinear":
            query, scale = self.weight(flatten_positions(v_BCHW)), 1.0
        else:
            # The scale must be a number for the fused kernels, so the learned one multiplies the query.
            query, scale = self._keys(v_BCHW) * self.log_scale.exp().clamp(max=100.0), 1.0
        # The keys ride along as values: <q, sum_j a_j k_j> is the expected affinity, without an N x M matrix.
        ride = torch.cat([memory.values_BMC, memory.keys_BMK], dim=2)
        read = F.scaled_dot_product_attention(query, memory.keys_BMK, ride, scale=scale)
        channels, keys = self.channels, memory.keys_BMK.shape[2]
        match = (query * read[..., -keys:]).sum(dim=2, keepdim=True)
        if self.affinity == "cosine":
            match = match / self.log_scale.exp().clamp(max=100.0)

        def as_map(x_BNC: Tensor) -> Tensor:
            return x_BNC.transpose(1, 2).reshape(x_BNC.shape[0], x_BNC.shape[2], height, width)

        summary = as_map(read[..., :channels])
        gated = summary * torch.sigmoid(self.gate(summary))
        return Readout(gated, as_map(match), as_map(read[..., channels:-keys]))

    def summarise(self, v_BCHW: Tensor, memory: Memory) -> Tensor:
        """The gated summary alone, by the published affinity; nothing of size N x M is kept.

        Args:
            v_BCHW: Features of the query.
            memory: From `memorise`, without extra channels.

        Returns:
            B x C x H x W.
        """
        query = self.weight(flatten_positions(v_BCHW))
        return self._gated(_attend(query, memory.keys_BMK, memory.values_BMC), v_BCHW)

    def between(self, a_BCHW: Tensor, b_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        """The gated summaries of both frames of a pair, from one affinity.

        Args:
            a_BCHW: Features of the frame that W is applied to.
            b_BCHW: Features of the other, of the same size.

        Returns:
            What a found in b, and what b found in a; B x C x H x W each.
        """
        a, b = flatten_positions(a_BCHW), flatten_positions(b_BCHW)
        projected = self.weight(a)
        return self._gated(_attend(projected, b, b), a_BCHW), self._gated(_attend(b, projected, a), b_BCHW)

    def _gated(self, z_BNC: Tensor, like_BCHW: Tensor) -> Tensor:
        z = z_BNC.transpose(1, 2).reshape(like_BCHW.shape)
        gated: Tensor = z * torch.sigmoid(self.gate(z))
        return gated


def _attend(query_BNK: Tensor, keys_BMK: Tensor, values_BMC: Tensor) -> Tensor:
    # With a dimension for heads: without it torch takes the path that builds the N x M matrix.
    query, keys, values = (part.unsqueeze(1) for part in (query_BNK, keys_BMK, values_BMC))
    return F.scaled_dot_product_attention(query, keys, values, scale=1.0).squeeze(1)
