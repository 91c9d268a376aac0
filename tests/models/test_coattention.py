"""The one-call attention against the formulas of the paper, written out position by position."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from covos.models import coattention
from covos.models.coattention import BilinearCoAttention, CosineCoAttention, Memory, join_memories


def flat(x: Tensor) -> Tensor:
    return x[0].flatten(1).T


def gated(module: BilinearCoAttention | CosineCoAttention, summary: Tensor) -> Tensor:
    gate = summary @ module.gate.weight[0, :, 0, 0]
    if module.gate.bias is not None:
        gate = gate + module.gate.bias
    return summary * torch.sigmoid(gate)[:, None]


def literal(module: CosineCoAttention, query: Tensor, references: list[Tensor], extras: list[Tensor]) -> list[Tensor]:
    """Z, match and extra by explicit affinities, for a batch of one."""
    reference = torch.cat([flat(x) for x in references])
    extra = torch.cat([flat(x) for x in extras])

    def project(conv: torch.nn.Conv2d, x: Tensor) -> Tensor:
        return x @ conv.weight[:, :, 0, 0].T + conv.bias

    q, k = project(module.key, flat(query)), project(module.key, reference)
    cosine = (q / q.norm(dim=1, keepdim=True)) @ (k / k.norm(dim=1, keepdim=True)).T
    attention = (cosine * module.log_scale.exp()).softmax(dim=1)
    z = gated(module, attention @ project(module.value, reference))
    read = (z, (attention * cosine).sum(1, keepdim=True), attention @ extra)
    return [x.T.reshape(1, -1, *query.shape[2:]) for x in read]


@pytest.mark.parametrize("count", [1, 3])
def test_cosines_equal_the_formulas(count: int) -> None:
    torch.manual_seed(0)
    module = CosineCoAttention(16, key_channels=8)
    query = torch.randn(1, 16, 5, 7)
    references = [torch.randn(1, 16, 5, 7) for _ in range(count)]
    extras = [torch.rand(1, 2, 5, 7) for _ in range(count)]
    memory = join_memories([module.memorise(v, e) for v, e in zip(references, extras, strict=True)])
    with torch.inference_mode():
        read = module(query, memory)
        expected = literal(module, query, references, extras)
    for got, want in zip(read, expected, strict=True):
        torch.testing.assert_close(got, want, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("count", [1, 3])
def test_the_published_affinity_equals_the_formulas(count: int) -> None:
    torch.manual_seed(0)
    module = BilinearCoAttention(16)
    query = torch.randn(1, 16, 5, 7)
    references = torch.cat([flat(torch.randn(1, 16, 5, 7)) for _ in range(count)])
    with torch.inference_mode():
        got = module.summarise(query, Memory(references[None], references[None]))
        attention = (flat(query) @ module.weight.weight.T @ references.T).softmax(dim=1)
        want = gated(module, attention @ references)
    torch.testing.assert_close(flat(got), want, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("transposed", [False, True])
def test_both_frames_of_a_pair_equal_the_formulas(transposed: bool) -> None:
    """S = A W B'; the paper normalises it over the positions that are read, the variant over those that read."""
    torch.manual_seed(0)
    module = BilinearCoAttention(16, transposed=transposed)
    assert set(dict(module.named_parameters())) == {"gate.weight", "weight.weight"}, "the checkpoints have no bias"
    a, b = torch.randn(1, 16, 5, 7), torch.randn(1, 16, 5, 7)
    with torch.inference_mode():
        of_a, of_b = module.between(a, b)
        affinity = flat(a) @ module.weight.weight.T @ flat(b).T
        if transposed:
            reads_a, reads_b = affinity.T.softmax(dim=1), affinity.softmax(dim=1)
        else:
            reads_a, reads_b = affinity.softmax(dim=1), affinity.T.softmax(dim=1)
        torch.testing.assert_close(flat(of_a), gated(module, reads_a @ flat(b)), atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(flat(of_b), gated(module, reads_b @ flat(a)), atol=1e-5, rtol=1e-5)
        memory = Memory(flat(b)[None], flat(b)[None])
        torch.testing.assert_close(module.summarise(a, memory), of_a, atol=1e-5, rtol=1e-5)


def test_a_training_and_a_graph_read_what_a_run_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three ways to compute one attention: fused, with gradients; in blocks; as one product, for an export."""
    torch.manual_seed(0)
    module = CosineCoAttention(16, key_channels=8)
    query, reference = torch.randn(2, 16, 5, 7), torch.randn(2, 16, 5, 7)
    memory = module.memorise(reference, torch.rand(2, 1, 5, 7))
    trained = module(query, memory)
    assert trained.summary_BCHW.requires_grad
    with torch.no_grad():
        monkeypatch.setattr(coattention, "BLOCK", 4 * 5 * 7)
        run = module(query, memory)
        monkeypatch.setattr(torch.jit, "is_tracing", lambda: True)
        exported = module(query, memory)
    for one, other, third in zip(trained, run, exported, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(third, other, atol=1e-5, rtol=1e-5)


def test_the_order_of_references_does_not_matter() -> None:
    torch.manual_seed(0)
    module = CosineCoAttention(16, key_channels=8)
    query = torch.randn(1, 16, 4, 4)
    memories = [module.memorise(torch.randn(1, 16, 4, 4), torch.rand(1, 1, 4, 4)) for _ in range(3)]
    forward, backward = module(query, join_memories(memories)), module(query, join_memories(memories[::-1]))
    for one, other in zip(forward, backward, strict=True):
        torch.testing.assert_close(one, other)


def test_a_match_is_found_where_it_is() -> None:
    """A sharp temperature and one equal position: the read value is that position's."""
    torch.manual_seed(0)
    module = CosineCoAttention(16, key_channels=16)
    with torch.no_grad():
        module.log_scale.fill_(4.6)
    reference = torch.randn(1, 16, 6, 6)
    extra = torch.zeros(1, 1, 6, 6)
    extra[..., 2, 3] = 1
    query = torch.randn(1, 16, 6, 6)
    query[..., 5, 0] = reference[..., 2, 3]
    read = module(query, module.memorise(reference, extra))
    assert read.extra_BEHW[0, 0, 5, 0] > 0.9
    assert read.match_B1HW[0, 0].argmax() == 5 * 6 + 0


def test_beyond_its_limit_a_larger_scale_sharpens_nothing() -> None:
    module = CosineCoAttention(16, key_channels=16)
    query, reference = torch.randn(1, 16, 6, 6), torch.randn(1, 16, 6, 6)
    memory = module.memorise(reference, torch.rand(1, 1, 6, 6))
    with torch.inference_mode():
        module.log_scale.fill_(5.0)
        capped = module(query, memory)
        module.log_scale.fill_(12.0)
        for got, want in zip(module(query, memory), capped, strict=True):
            torch.testing.assert_close(got, want)


@pytest.mark.parametrize("extra", [0, 1])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_no_matrix_of_all_pairs_is_built(extra: int, layout: torch.memory_format) -> None:
    """Every reading is one that torch's fused kernel takes; it falls back in silence where it is allowed to."""
    module, published = CosineCoAttention(16, key_channels=8), BilinearCoAttention(16)
    query, reference = (torch.randn(2, 16, 5, 7).to(memory_format=layout) for _ in range(2))
    memory = module.memorise(reference, torch.rand(2, extra, 5, 7))
    features = reference.flatten(2).transpose(1, 2)
    with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
        assert module(query, memory).extra_BEHW.shape == (2, extra, 5, 7)
        assert published.between(query, reference)[1].shape == query.shape
        assert published.summarise(query, Memory(features, features)).shape == query.shape


@pytest.mark.parametrize("block", [1, 100, 2**20])
def test_blocks_of_any_size_give_what_the_fused_kernel_gives(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without gradients a CPU attends block by block; three queries share a memory of two references."""
    monkeypatch.setattr(coattention, "BLOCK", block)
    torch.manual_seed(0)
    module = CosineCoAttention(16, key_channels=8)
    query = torch.randn(3, 16, 5, 7)
    with torch.no_grad():
        memories = [module.memorise(torch.randn(1, 16, 5, 7), torch.rand(1, 2, 5, 7)) for _ in range(2)]
    memory = Memory(*(part.expand(3, -1, -1) for part in join_memories(memories)))
    fused = module(query, memory)
    with torch.inference_mode():
        in_blocks = module(query, memory)
        with torch.autocast("cpu", torch.bfloat16):
            narrow = module(query, memory)
    for got, rounded, want in zip(in_blocks, narrow, fused, strict=True):
        torch.testing.assert_close(got, want)
        torch.testing.assert_close(rounded.float(), want, atol=0.05, rtol=0.05)


@pytest.mark.parametrize(("learning", "blocks"), [(False, 1), (True, 0)])
def test_a_run_on_a_cpu_attends_in_blocks_and_a_training_by_the_fused_kernel(
    learning: bool, blocks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[int] = []
    attend = coattention._attend_in_blocks
    monkeypatch.setattr(coattention, "_attend_in_blocks", lambda *a, **k: (called.append(1), attend(*a, **k))[1])
    module = CosineCoAttention(16, key_channels=8)
    reference = torch.randn(1, 16, 5, 7)
    with torch.set_grad_enabled(learning):
        module(reference, module.memorise(reference, torch.rand(1, 2, 5, 7)))
    assert len(called) == blocks


@pytest.mark.parametrize(("block", "rows"), [(1, 1), (40, 1), (70, 2), (2**20, 21)])
def test_no_block_has_more_cells_than_it_may(block: int, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """One row of the affinities is the least; there are 21 queries and 35 keys of 8 channels."""
    shapes: list[torch.Size] = []
    softmax = torch.softmax
    monkeypatch.setattr(coattention, "BLOCK", block)
    monkeypatch.setattr(torch, "softmax", lambda x, dim: (shapes.append(x.shape), softmax(x, dim=dim))[1])
    query, keys = torch.randn(1, 21, 8), torch.randn(1, 35, 8)
    with torch.no_grad():
        coattention._attend_in_blocks(query, keys, (keys,), precision=torch.float32)
    assert shapes[0] == (rows, 35)


def test_values_and_their_shares_are_narrow_and_affinities_are_not() -> None:
    torch.manual_seed(0)
    query, keys, values = torch.randn(1, 21, 8), torch.randn(1, 35, 8), torch.randn(1, 35, 4)
    with torch.no_grad():
        (read,) = coattention._attend_in_blocks(query, keys, (values,), precision=torch.bfloat16)
        shares = torch.softmax(query @ keys.transpose(1, 2), dim=2).bfloat16()
        torch.testing.assert_close(read, (shares @ values.bfloat16()).float(), atol=0.0, rtol=1e-2)
        exact = coattention._attend_in_blocks(query, keys, (values,), precision=torch.float32)[0]
    assert read.dtype == torch.float32
    assert not torch.equal(read, exact)


def test_the_precision_of_a_frame_is_that_of_the_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[torch.dtype] = []
    attend = coattention._attend_in_blocks

    def spied(*parts: Tensor, precision: torch.dtype) -> tuple[Tensor, ...]:
        asked.append(precision)
        return attend(*parts, precision=precision)

    monkeypatch.setattr(coattention, "_attend_in_blocks", spied)
    module = CosineCoAttention(16, key_channels=8).bfloat16()
    reference = torch.randn(1, 16, 5, 7).bfloat16()
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        module(reference, module.memorise(reference, torch.rand(1, 2, 5, 7).bfloat16()))
    assert asked == [torch.bfloat16]
