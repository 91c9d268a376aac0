"""Time COSNet's own inference procedure beside that of covos: same weights, same frames, one run.

    python benchmarks/cosnet.py --size 473x473 --references 5

The procedure of COSNet's released code runs the whole network once for each pair of a frame and a reference: two
encodings, the N x N affinity with both of its softmaxes, both heads. covos encodes each frame once, keeps the
references, and computes the branch of the frame alone. The weights are random, with batch norms that fit them; times
do not depend on their values.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from covos.models.coattention import Memory
from covos.models.cosnet import COSNETS, Cosnet, CosnetFeatures
from covos.runtime.threads import configure_threads


def main() -> None:
    """Measure and print."""
    options = _options()
    threads = configure_threads()
    size = (options.size[0], options.size[1])
    network = _network(options.network, size)
    torch.manual_seed(1)
    coarse = torch.rand(1 + options.references, 3, 6, 6)
    frames = nn.functional.interpolate(coarse, size=size, mode="bilinear").to(memory_format=torch.channels_last)
    query, references = frames[:1], list(frames[1:].split(1))
    print(f"{options.network}, {size[0]} x {size[1]}, {options.references} references, {threads} threads, torch "
          f"{torch.__version__}, {options.rounds} rounds, medians")  # fmt: skip
    with torch.inference_mode():
        runs: dict[str, Callable[[], Tensor]] = {"pair by pair, fp32": lambda: _literal(network, query, references)}
        for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
            memories = _memories(network, references, dtype)
            for fusion in network.fusions:
                runs[f"covos {fusion}, {name}"] = lambda f=fusion, d=dtype, m=memories: _ours(network, query, m, f, d)
        seconds, outputs = _measure(runs, rounds=options.rounds)
    baseline = "pair by pair, fp32"
    for name, times in seconds.items():
        ratio = statistics.median(a / b for a, b in zip(seconds[baseline], times, strict=True))
        line = f"{name:24} {statistics.median(times):8.3f} s a frame  {ratio:6.1f} x"
        if "prediction" in name:
            difference = (outputs[name] - outputs[baseline]).abs().max()
            flipped = ((outputs[name] > 0.5) != (outputs[baseline] > 0.5)).float().mean()
            line += f"   largest difference {difference:.1e}, pixels that differ {flipped:.3%}"
        print(line)


def _measure(runs: dict[str, Callable[[], Tensor]], *, rounds: int) -> tuple[dict[str, list[float]], dict[str, Tensor]]:
    """Every run once a round, so that whatever else the machine does falls on all alike; the first round warms up."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    outputs: dict[str, Tensor] = {}
    for index in range(rounds + 1):
        for name, run in runs.items():
            began = time.perf_counter()
            outputs[name] = run()
            if index:
                seconds[name].append(time.perf_counter() - began)
    return seconds, outputs


def _literal(network: Cosnet, query: Tensor, references: Sequence[Tensor]) -> Tensor:
    """The mean of the predictions of all pairs; the first branch, though both are computed, as in the original."""
    prepare = network.config.preprocessing.apply
    total = torch.zeros(())
    for reference in references:
        va, vb = (network.context(network.encoder(prepare(x))) for x in (query, reference))
        shape = va.shape
        a, b = va.reshape(1, shape[1], -1), vb.reshape(1, shape[1], -1)
        affinity = network.coattention.weight(a.transpose(1, 2)) @ b
        for_b = (a @ torch.softmax(affinity, dim=1)).reshape(shape)
        for_a = (b @ torch.softmax(affinity.transpose(1, 2), dim=1)).reshape(shape)
        logits = []
        for z, v, head in ((for_a, va, network.head_a), (for_b, vb, network.head_b)):
            gated = z * torch.sigmoid(network.coattention.gate(z))
            logits.append(
                nn.functional.interpolate(
                    head(gated, v), size=query.shape[2:], mode="bilinear", align_corners=network.config.align_corners
                )
            )
        total = total + torch.sigmoid(logits[0])
    return total / len(references)


def _memories(network: Cosnet, references: Sequence[Tensor], dtype: torch.dtype) -> list[Memory]:
    with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
        return [network.memorise(network.encode(reference)) for reference in references]


def _ours(network: Cosnet, query: Tensor, memories: list[Memory], fusion: str, dtype: torch.dtype) -> Tensor:
    with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
        features: CosnetFeatures = network.encode(query)
        return network.segment(features, memories, fusion=fusion).sigmoid()


def _network(name: str, size: tuple[int, int]) -> Cosnet:
    config = COSNETS[name]
    torch.manual_seed(0)
    network = Cosnet(replace(config, outputs=1, preprocessing=replace(config.preprocessing, size=size)))
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    sample = nn.functional.interpolate(torch.rand(2, 3, 6, 6), size=(96, 96), mode="bilinear")
    with torch.inference_mode():
        network.train()(*(config.preprocessing.apply(x) for x in (sample, sample.flip(3))))
        # The affinity of random features is far larger than that of trained ones, and a softmax of it picks one
        # position, whichever rounding prefers.
        network.coattention.weight.weight *= 0.05
    network.to(memory_format=torch.channels_last)
    return network.eval()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", choices=tuple(COSNETS), default="cosnet_resnet101")
    parser.add_argument("--size", type=lambda text: [int(part) for part in text.split("x")], default=[473, 473])
    parser.add_argument("--references", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args()


if __name__ == "__main__":
    main()
