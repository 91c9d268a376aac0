"""Gated co-attention: what a frame has in common with other frames of its video.

Lu et al., *See More, Know More: Unsupervised Video Object Segmentation with Co-Attention Siamese Networks*
(COSNet), CVPR 2019, section 3.1. In the paper the affinity of a frame a (the query) and b (a reference) is
S = (Va^T W) Vb (eq. 2), normalised over b's positions (eq. 6), and the summary Za = Vb softmax(S) is multiplied by
a gate sigmoid(w_f Za + b_f) (eqs. 9 and 10). This is scaled dot-product attention with q = W^T Va and k = v = Vb, so a
fused kernel needs no N x N matrix, and several references are one longer sequence of keys (the group form of the
journal version, PAMI 2020).

Attention is directed, and the affinity is one matrix: for b the same S is normalised over a's positions, so b's
queries are Vb and a's keys W^T Va. `BilinearCoAttention.between` gives both.

COSNet's variant for TIANCHI multiplies by the affinity where the paper multiplies by its transpose: Za = Vb softmax(S),
normalised over a's positions, and Zb = Va softmax(S^T). The frames of a pair are equally large, so the product exists,
and weights that were trained with it need it. In words of attention, the queries of Za are Vb, its keys W^T Va, and its
values Vb. It is an option of `BilinearCoAttention`, for checkpoints of that variant.

Two affinities are offered: the published one (`BilinearCoAttention`), and cosines (`CosineCoAttention`).

Shape legend: B batch, C channels, H height, W width, N = H W positions, M positions of all references together,
K key channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BLOCK = 2**20
"""Cells of the affinity matrix that `_attend_in_blocks` has in memory: 4 MiB, about what a cache holds."""


MemoryT = TypeVar("MemoryT", bound=tuple[Tensor, ...])
"""A named tuple of keys and values, whose second dimension is the positions."""


def join_memories(memories: Sequence[MemoryT]) -> MemoryT:
    """Return one memory that holds the positions of all, in the given order."""
    return type(memories[0])(*(torch.cat(parts, dim=1) for parts in zip(*memories, strict=True)))


class Memory(NamedTuple):
    """References, ready to be read from. Memories of several frames are joined by `join_memories`."""

    keys_BMK: Tensor
    values_BMC: Tensor


class Readout(NamedTuple):
    """Readout of a query from the references."""

    summary_BCHW: Tensor
    """The gated summary Z."""
    match_B1HW: Tensor
    """Expected affinity under the attention, in [-1, 1]: is this position in the references at all?"""
    extra_BEHW: Tensor
    """The attention applied to the extra value channels that the memory was given (E of them)."""


def flatten_positions(x_BCHW: Tensor) -> Tensor:
    """B x C x H x W -> B x N x C."""
    return x_BCHW.flatten(2).transpose(1, 2)


class BilinearCoAttention(nn.Module):
    """Gated co-attention by the published affinity: unnormalised, scale 1.

    Args:
        channels: Channels C of the features V.
        transposed: If true, summaries are multiplied by the affinity as COSNet's variant for TIANCHI does it.
    """

    def __init__(self, channels: int, *, transposed: bool = False) -> None:
        super().__init__()
        self.transposed = transposed
        self.gate = nn.Conv2d(channels, 1, 1, bias=False)
        self.weight = nn.Linear(channels, channels, bias=False)

    def summarise(self, v_BCHW: Tensor, memory: Memory) -> Tensor:
        """Return the gated summary of a query, B x C x H x W; nothing of size N x M is kept.

        Keys and values of the memory are the features of the references; transposed, those of one, of the query's size.
        """
        projected = self.weight(flatten_positions(v_BCHW))
        keys, values = memory
        read = _attend(keys, projected, values) if self.transposed else _attend(projected, keys, values)
        return _gated(self.gate, read, v_BCHW)

    def between(self, a_BCHW: Tensor, b_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        """Return the gated summaries of both frames of a pair of one size, from one affinity: B x C x H x W each.

        W is applied to a. The first is the summary of a by b, the second that of b by a.
        """
        a, b = flatten_positions(a_BCHW), flatten_positions(b_BCHW)
        projected = self.weight(a)
        if self.transposed:
            of_a, of_b = _attend(b, projected, b), _attend(projected, b, a)
        else:
            of_a, of_b = _attend(projected, b, b), _attend(b, projected, a)
        return _gated(self.gate, of_a, a_BCHW), _gated(self.gate, of_b, b_BCHW)


class CosineCoAttention(nn.Module):
    """Gated co-attention by cosines: one projection to fewer channels for queries and keys, and one temperature.

    Features of a short training have affinities of very unlike sizes, and their softmax is diffuse or saturated.
    Cosines with one learned temperature are neither (as in STCN, NeurIPS 2021, section 4, and CLIP).

    Args:
        channels: Channels C of the features V.
        key_channels: Channels K of queries and keys.
    """

    def __init__(self, channels: int, *, key_channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.gate = nn.Conv2d(channels, 1, 1)
        self.key = nn.Conv2d(channels, key_channels, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        # exp(2.3) = 10: the sharpness at which a cosine of 0.9 outweighs one of 0.6 twenty-fold.
        self.log_scale = nn.Parameter(torch.tensor(2.3))

    def keys(self, v_BCHW: Tensor) -> Tensor:
        """Return the keys of features, which serve as queries too: B x N x K float32 of length 1."""
        # In float32: the norm of a bf16 vector has three digits, and the temperature multiplies its error.
        return F.normalize(flatten_positions(self.key(v_BCHW)).float(), dim=2)

    @property
    def temperature(self) -> Tensor:
        """Scale of the cosines before the softmax."""
        return self.log_scale.exp().clamp(max=100.0)

    def memorise(self, v_BCHW: Tensor, extra_BEHW: Tensor) -> Memory:
        """Turn a reference's features into keys and values.

        Further channels are carried from the references to the query (E may be 0), such as the probability that a
        position belongs to the subject.
        """
        keys = self.keys(v_BCHW)
        values = torch.cat([flatten_positions(self.value(v_BCHW)), flatten_positions(extra_BEHW)], dim=2)
        return Memory(keys, values.to(keys.dtype))

    def forward(self, v_BCHW: Tensor, memory: Memory) -> Readout:
        """Read what the references, of M >= 1 positions, hold for each position of the query."""
        keys, values = memory
        # The scale must be a number for the fused kernels, so the learned one multiplies the query.
        temperature = self.temperature
        query = self.keys(v_BCHW) * temperature
        if v_BCHW.device.type == "cpu" and not torch.is_grad_enabled():
            read, mean_key = _attend_in_blocks(query, keys, (values, keys), precision=v_BCHW.dtype)
        else:
            # A pass for each: keys beside the values would widen the padding of both (see `_attend`), which is slower
            # and takes more memory.
            read, mean_key = _attend(query, keys, values), _attend(query, keys, keys)
        # <q, sum_j a_j k_j> is the expected affinity, without an N x M matrix.
        match = (query * mean_key).sum(dim=2, keepdim=True) / temperature
        summary, extra = read[..., : self.channels], read[..., self.channels :]
        return Readout(_gated(self.gate, summary, v_BCHW), _as_map(match, v_BCHW), _as_map(extra, v_BCHW))


def _gated(gate: nn.Conv2d, z_BNC: Tensor, like_BCHW: Tensor) -> Tensor:
    z = _as_map(z_BNC, like_BCHW)
    return z * torch.sigmoid(gate(z))


def _as_map(x_BNC: Tensor, like_BCHW: Tensor) -> Tensor:
    batch, _, channels = x_BNC.shape
    return x_BNC.transpose(1, 2).reshape(batch, channels, *like_BCHW.shape[2:])


def _attend(query_BNK: Tensor, keys_BMK: Tensor, values_BMC: Tensor) -> Tensor:
    """Average the values by softmax(query keys'): B x N x C, by a kernel that keeps no N x M matrix.

    The fused kernel is taken only if there is a dimension for heads, if queries, keys and values are equally wide (the
    narrower ones are filled up with zeros, which changes no product), and if the channels of a position lie together.
    """
    width = max(keys_BMK.shape[2], values_BMC.shape[2])
    query, keys, values = (_laid_out(part, width).unsqueeze(1) for part in (query_BNK, keys_BMK, values_BMC))
    return F.scaled_dot_product_attention(query, keys, values, scale=1.0).squeeze(1)[..., : values_BMC.shape[2]]


def _attend_in_blocks(
    query_BNK: Tensor, keys_BMK: Tensor, values: Sequence[Tensor], *, precision: torch.dtype
) -> tuple[Tensor, ...]:
    """Average several float32 values, B x M x C each, by one softmax(query keys') of `BLOCK` cells at a time.

    Keys and values may be those of one memory that all queries share, with a first dimension of 1.

    Faster on CPUs than `_attend`: one softmax serves all values, nothing is filled up with zeros, a memory that a batch
    shares is not copied, and the products with the values use the processor's instructions for narrow numbers.
    Affinities stay float32, so with bfloat16 it is the more exact of the two.
    """
    rows = max(BLOCK // keys_BMK.shape[1], 1)
    if torch.jit.is_tracing():  # type: ignore[attr-defined, no-untyped-call]
        # For an exported graph, whose runtime has a kernel of its own; it works for any number of queries.
        attention = torch.softmax(query_BNK @ keys_BMK.transpose(1, 2), dim=2)
        return tuple(attention @ value for value in values)
    with torch.autocast("cpu", enabled=False):
        read: list[tuple[Tensor, ...]] = []
        for b, query in enumerate(query_BNK):
            keys = keys_BMK[b % len(keys_BMK)].T
            narrow = [value[b % len(value)].to(precision) for value in values]
            shares = (torch.softmax(part @ keys, dim=1).to(precision) for part in query.split(rows))
            blocks = [[weights @ value for value in narrow] for weights in shares]
            read.append(tuple(torch.cat(parts).float() for parts in zip(*blocks, strict=True)))
        return tuple(torch.stack(frames) for frames in zip(*read, strict=True))


def _laid_out(x_BNC: Tensor, width: int) -> Tensor:
    # Copied only where it must be: a memory that many queries share is one for all of them.
    missing = width - x_BNC.shape[2]
    padded = F.pad(x_BNC, (0, missing)) if missing else x_BNC
    return padded if padded.stride(2) == 1 else padded.contiguous()
