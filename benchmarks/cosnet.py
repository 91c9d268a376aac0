"""COSNet's own inference procedure beside that of covos: same weights, same frames, one run.

    python benchmarks/cosnet.py --size 473x473 --references 5

The procedure of COSNet's released code runs the whole network once for each pair of a frame and a reference: two
encodings, the N x N affinity with both of its softmaxes, both heads. covos encodes each frame once, keeps the
references, and computes the branch of the frame alone. The time to encode the references, once a video, is not part of
a frame's time.

Frames are 854 x 480: a disk moves over a ground. Weights are random, with batch norms that fit them, and that is all
that times and memory depend on. Masks need more: random weights give all pixels of a frame nearly the same logit, and
a mask of them is noise in any precision. So the last layer is set to the direction in which the features of this frame
vary most, with a threshold between its two kinds of pixels (Otsu's), and scaled to logits that spread by 4. The mask
then has two sides and a contour, as that of a trained network has, and pixels that differ are counted in it; where the
printed share of pixels between 0.4 and 0.6 is large, that did not work and the count means little. Trained weights may
agree better or worse; how well the network finds things is not measured.

Memory is the peak of a process that runs one mode alone, from when its network stands. The peak of the machine is the
fastest of several products of large matrices in the same arithmetic, on the same threads; operations of the encoder
are counted by torch.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import get_args

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from covos.core.device import configure_threads
from covos.core.types import ImageArray
from covos.engines.encoding import to_batch
from covos.models.choices import Fusion
from covos.models.coattention import Memory
from covos.models.cosnet.network import COSNETS, Cosnet

FRAME = (480, 854)
SPREAD = 4.0
BASELINE = "pair by pair, fp32"
NOTHING = "network alone"
PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}
MODES = (BASELINE, *(f"{fusion}, {name}" for fusion, name in product(get_args(Fusion), PRECISIONS)))


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A network, a query and its references, preprocessed to the network's size."""

    network: Cosnet
    query: Tensor
    references: tuple[Tensor, ...]

    def run(self, mode: str) -> Callable[[], Tensor]:
        """The function that computes the probabilities of the query; references are encoded here, once."""
        if mode == BASELINE:
            return lambda: _literal(self.network, self.query, self.references)
        fusion, precision = mode.split(", ")
        dtype = PRECISIONS[precision]
        with _arithmetic(dtype):
            memories = [self.network.memorise(self.network.encode(reference)) for reference in self.references]
        return lambda: _ours(self.network, self.query, memories, fusion, dtype)


def main() -> None:
    """Measure and print."""
    options = _options()
    threads = configure_threads()
    if options.only:
        _run_alone(options)
        return
    print(f"{options.network}, {options.size[0]} x {options.size[1]}, {options.references} references, "
          f"{threads} threads, torch {torch.__version__}, {options.rounds} rounds, medians")  # fmt: skip
    # Before this process grows: a new one starts with the peak of the one that made it.
    peaks = {mode: _peak_of(mode) for mode in (NOTHING, *MODES)}
    scene = _scene(options)
    with torch.inference_mode():
        seconds, outputs = _measure({mode: scene.run(mode) for mode in MODES}, rounds=options.rounds)
        _print_modes(seconds, outputs, peaks, tolerance=options.tolerance)
        _print_encoder(scene, rounds=options.rounds)


def _print_modes(
    seconds: dict[str, list[float]], outputs: dict[str, Tensor], peaks: dict[str, float], *, tolerance: float
) -> None:
    masks = {mode: output > 0.5 for mode, output in outputs.items()}
    undecided = ((outputs[BASELINE] - 0.5).abs() < 0.1).float().mean()
    print(f"subject: {masks[BASELINE].float().mean():.1%} of the pixels; between 0.4 and 0.6: {undecided:.1%}\n")
    print(f"{'':20} {'s a frame':>9} {'speed':>7} {'peak MiB':>9} {'over network':>13} {'pixels that differ from':>32}")
    print(f"{NOTHING:20} {'':9} {'':7} {peaks[NOTHING]:9.0f} {'':13} {'pair by pair':>16} {'itself in fp32':>15}")
    medians = {mode: statistics.median(times) for mode, times in seconds.items()}
    differ = {mode: _share(masks[mode], masks[BASELINE]) for mode in MODES}
    for mode in MODES:
        ratio = statistics.median(a / b for a, b in zip(seconds[BASELINE], seconds[mode], strict=True))
        own = _share(masks[mode], masks[mode.replace("bf16", "fp32")])
        growth = peaks[mode] - peaks[NOTHING]
        print(f"{mode:20} {medians[mode]:9.3f} {ratio:6.1f}x {peaks[mode]:9.0f} {growth:13.0f} "
              f"{differ[mode]:16.3%} {own:15.3%}")  # fmt: skip
    fastest = min((mode for mode in MODES if differ[mode] <= tolerance), key=medians.__getitem__)
    print(f"\nfastest with at most {tolerance:.1%} of the pixels other than pair by pair: {fastest}")
    exact = (outputs["prediction, fp32"] - outputs[BASELINE]).abs().max()
    print(f"largest difference of a probability, prediction in fp32 and pair by pair: {exact:.1e}")


def _print_encoder(scene: Scene, *, rounds: int) -> None:
    with FlopCounterMode(display=False) as counter:
        scene.network.encode(scene.query)
    operations = counter.get_total_flops()
    for name, dtype in PRECISIONS.items():
        with _arithmetic(dtype):
            taken, _ = _measure({name: lambda: scene.network.encode(scene.query)}, rounds=rounds)
        fastest = min(taken[name])
        rate, peak = operations / fastest, _machine_peak(dtype)
        print(
            f"encoder, {name}: {fastest:.3f} s at best for {operations / 1e9:.0f} G operations, "
            f"{rate / 1e9:.0f} G a second; a product of matrices {peak / 1e9:.0f}: {rate / peak:.0%}"
        )


def _machine_peak(dtype: torch.dtype, *, size: int = 2048, tries: int = 10) -> float:
    """Operations a second of the fastest product of two large matrices."""
    a, b = (torch.rand(size, size).to(dtype) for _ in range(2))
    taken, _ = _measure({"product": lambda: a @ b}, rounds=tries)
    return 2 * size**3 / min(taken["product"])


def _share(one: Tensor, other: Tensor) -> float:
    return float((one != other).float().mean())


def _measure(runs: dict[str, Callable[[], object]], *, rounds: int) -> tuple[dict[str, list[float]], dict[str, Tensor]]:
    """Every run once a round, so that whatever else the machine does falls on all alike; the first round warms up."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    outputs = {}
    for index in range(rounds + 1):
        for name, run in runs.items():
            began = time.perf_counter()
            outputs[name] = run()
            if index:
                seconds[name].append(time.perf_counter() - began)
    return seconds, outputs


def _peak_of(mode: str) -> float:
    """MiB, of a process that runs this mode alone."""
    command = [sys.executable, *sys.argv, "--only", mode]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def _run_alone(options: argparse.Namespace) -> None:
    scene = _scene(options)
    with suppress(OSError):  # Linux can forget the peak of building the network; elsewhere it stays in
        Path("/proc/self/clear_refs").write_text("5")
    if options.only != NOTHING:
        with torch.inference_mode():
            scene.run(options.only)()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10))


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


def _ours(network: Cosnet, query: Tensor, memories: list[Memory], fusion: str, dtype: torch.dtype) -> Tensor:
    with _arithmetic(dtype):
        return network.segment(network.encode(query), memories, fusion=fusion).sigmoid()


def _arithmetic(dtype: torch.dtype) -> torch.autocast:
    return torch.autocast("cpu", dtype, enabled=dtype != torch.float32)


def _scene(options: argparse.Namespace) -> Scene:
    size = (options.size[0], options.size[1])
    network = _network(options.network, size)
    images = _frames(options.references + 1)
    query, *references = to_batch(images, size=size, device=torch.device("cpu")).split(1)
    with torch.inference_mode():
        _set_last_layer(network, query, references)
    return Scene(network=network, query=query, references=tuple(references))


def _frames(count: int) -> list[ImageArray]:
    """A disk with a texture of its own that moves over a smooth ground."""
    height, width = FRAME
    random = np.random.default_rng(0)
    ground, texture = (cv2.resize(random.integers(a, b, (8, 14, 3), dtype=np.uint8), (width, height),
                                  interpolation=cv2.INTER_CUBIC) for a, b in ((0, 160), (96, 256)))  # fmt: skip
    images = []
    for index in range(count):
        disk = np.zeros(FRAME, np.uint8)
        cv2.circle(disk, (200 + 450 * index // max(count - 1, 1), 240), 110, 1, -1)
        images.append(np.where(disk[..., None] > 0, texture, ground))
    return images


def _set_last_layer(network: Cosnet, frame: Tensor, references: Sequence[Tensor]) -> None:
    """Choose the classifier by the features that it sees in this frame; see the top of this file."""
    seen: list[Tensor] = []
    hook = network.head_a.classifier.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    memories = [network.memorise(network.encode(reference)) for reference in references]
    network.segment(network.encode(frame), memories, fusion="summary")
    hook.remove()
    features = seen[0][0].flatten(1).T.double()
    mean = features.mean(dim=0)
    direction = torch.linalg.svd(features - mean, full_matrices=False).Vh[0]
    along = (features - mean) @ direction
    low, high = along.min(), along.max()
    levels = (255 * (along - low) / (high - low)).byte().numpy()
    level, _ = cv2.threshold(levels, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    threshold = low + (level + 0.5) / 255 * (high - low)
    gain = SPREAD / along.std()
    for head in (network.head_a, network.head_b):
        head.classifier.weight.copy_((gain * direction).reshape(1, -1, 1, 1))
        head.classifier.bias.fill_(float(-gain * (mean @ direction + threshold)))


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
    parser.add_argument("--tolerance", type=float, default=0.001, help="share of pixels that may differ")
    parser.add_argument("--only", choices=(NOTHING, *MODES), help="run one mode, once, and print its peak memory")
    return parser.parse_args()


if __name__ == "__main__":
    main()
