"""A whole clip through the engine, against COSNet's own procedure: pair by pair, two encodings a pair."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from covos.core.errors import UsageError
from covos.core.types import Frame, FrameResult
from covos.engines.encoding import FrameEncoder
from covos.engines.find import FindEngine, random_references, uniform_references
from covos.models.choices import Fusion
from covos.models.cosnet.convert import map_tensors
from covos.models.cosnet.network import COSNETS, PALETTE_LEVEL, Cosnet, CosnetFeatures

SIZE = (58, 74)
"""Of the frames and of the network's input, so that nothing is resized."""
VARIANTS = {
    "cosnet_resnet101": {"outputs": 1, "still": True, "contrast": 60},
    "cosnet_resnet50": {"outputs": 3, "still": False, "contrast": 0.3},
}
Variant = tuple[Cosnet, dict[str, Tensor]]


@pytest.fixture(scope="module", params=VARIANTS)
def variant(request: pytest.FixtureRequest, literal: ModuleType) -> Variant:
    """A quarter of the width, as the arithmetic is the same; full ones are compared in ``tests/models``."""
    name: str = request.param
    state = literal.random_state(name.removeprefix("cosnet_"), **VARIANTS[name], base=16)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(COSNETS, name, replace(COSNETS[name], width=16))
        filled, _ = map_tensors(state, path=Path("random"))
    network = Cosnet(replace(filled.config, preprocessing=replace(filled.config.preprocessing, size=SIZE)))
    network.load_state_dict(filled.state_dict())
    return network.eval(), state


def clip(count: int) -> list[Frame]:
    random = np.random.default_rng(0)
    ground = random.integers(0, 255, (4, 5, 3))
    frames = []
    for index in range(count):
        small = np.clip(ground + random.integers(-60, 60, ground.shape), 0, 255).astype(np.uint8)
        image = np.asarray(cv2.resize(small, SIZE[::-1], interpolation=cv2.INTER_LINEAR), np.uint8)
        frames.append(Frame(index=index, stem=f"{index:05}", image=image, pts=index, time_base=Fraction(1, 25)))
    return frames


def engine(network: Cosnet, *, batch: int = 2) -> FindEngine[CosnetFeatures]:
    return FindEngine(
        FrameEncoder(network, device=torch.device("cpu"), precision=torch.float32, area=SIZE[0] * SIZE[1], batch=batch)
    )


def run(network: Cosnet, count: int, chosen: tuple[int, ...], *, fusion: Fusion, batch: int = 2) -> list[FrameResult]:
    made, frames = engine(network, batch=batch), clip(count)
    references = made.remember(made.encoder.observe(frames, wanted=chosen))
    return list(made.stream(made.encoder.observe(frames), references, fusion=fusion))


class Procedure:
    """COSNet's test script in small: for each query and each reference, the whole network once more."""

    def __init__(self, literal: ModuleType, network: Cosnet, state: dict[str, Tensor]) -> None:
        self.literal, self.network, self.state = literal, network, state
        self.how = {"size": SIZE, "align_corners": network.config.align_corners}

    def prepared(self, frame: Frame) -> Tensor:
        pixels = torch.from_numpy(frame.image.astype(np.float32)).permute(2, 0, 1)[None]
        if self.network.config.outputs == 3:
            return pixels / 255
        return pixels.flip(1) - torch.tensor([104.00698793, 116.66876762, 122.67891434])[:, None, None]

    def subject(self, probability: Tensor) -> np.ndarray:
        if self.network.config.outputs == 3:
            probability = (probability.amax(1, keepdim=True) / PALETTE_LEVEL).clamp(max=1)
        return probability[0, 0].numpy()

    def segment(self, query: Frame, references: list[Frame], fusion: Fusion) -> np.ndarray:
        literal, state = self.literal, self.state
        a = self.prepared(query)
        with torch.inference_mode():
            if fusion == "prediction":
                how = {"align_corners": self.how["align_corners"]}
                maps = [self.subject(literal.pair(state, a, self.prepared(r), **how)[0]) for r in references]
                return np.mean(maps, axis=0)
            va = literal.encode(state, a)
            if fusion == "summary":
                zs = [literal.summaries(state, va, literal.encode(state, self.prepared(r)))[0] for r in references]
                z = torch.stack(zs).mean(0)
            else:
                flat = torch.cat([literal.encode(state, self.prepared(r)).flatten(2) for r in references], 2)
                attention = ((state["linear_e.weight"] @ va.flatten(2)).transpose(1, 2) @ flat).softmax(2)
                z = (flat @ attention.transpose(1, 2)).reshape(va.shape)
                z = z * torch.sigmoid(torch.nn.functional.conv2d(z, state["gate.weight"]))
            return self.subject(literal.head(state, "1", z, va, **self.how))


@pytest.mark.parametrize("fusion", ["summary", "prediction", "group"])
def test_a_clip_equals_the_pair_by_pair_procedure(literal: ModuleType, variant: Variant, fusion: Fusion) -> None:
    network, state = variant
    frames, chosen = clip(6), uniform_references(6, references=3)
    procedure = Procedure(literal, network, state)
    results = run(network, 6, chosen, fusion=fusion)
    assert [result.frame.index for result in results] == list(range(6))
    different = 0
    for frame, result in zip(frames, results, strict=True):
        others = [frames[index] for index in chosen if index != frame.index]
        want = procedure.segment(frame, others, fusion)
        assert want.std() > 0.005
        assert np.abs(result.probability - want).max() < 1e-4
        different += int((result.labels != (want > 0.5)).sum())
    assert different <= 6 * SIZE[0] * SIZE[1] * 1e-4


def test_a_network_of_one_size_has_one_quality(variant: Variant) -> None:
    network, _ = variant
    assert len(engine(network).at("balanced").encoders) == 1
    for quality in ("fast", "best"):
        with pytest.raises(UsageError, match=f"quality '{quality}'"):
            engine(network).at(quality)  # type: ignore[arg-type]


def test_the_default_is_the_paper(variant: Variant) -> None:
    network, _ = variant
    made, frames = engine(network), clip(4)
    references = made.remember(made.encoder.observe(frames[:3]))
    default = list(made.stream(made.encoder.observe(frames), references))
    summary = list(made.stream(made.encoder.observe(frames), references, fusion="summary"))
    for one, other in zip(default, summary, strict=True):
        np.testing.assert_array_equal(one.probability, other.probability)


def test_each_frame_is_encoded_once(variant: Variant, monkeypatch: pytest.MonkeyPatch) -> None:
    network, _ = variant
    encoded = []
    original = Cosnet.encode

    def counting(self: Cosnet, image: Tensor, motion: Tensor | None) -> CosnetFeatures:
        assert motion is None, "the published network sees pictures alone"
        encoded.append(image.shape[0])
        return original(self, image)

    monkeypatch.setattr(Cosnet, "encode", counting)
    run(network, 7, (1, 3, 5), fusion="summary")
    assert sum(encoded) == 7


def test_batch_size_changes_nothing(variant: Variant) -> None:
    network, _ = variant
    for fusion in network.fusions:
        alone = run(network, 5, (1, 3), fusion=fusion, batch=1)
        together = run(network, 5, (1, 3), fusion=fusion, batch=4)
        for one, other in zip(alone, together, strict=True):
            np.testing.assert_allclose(one.probability, other.probability, atol=1e-4)


def test_a_clip_of_one_frame_is_its_own_reference(literal: ModuleType, variant: Variant) -> None:
    network, state = variant
    (frame,) = clip(1)
    chosen = uniform_references(1, references=5)
    assert chosen == (0,)
    (result,) = run(network, 1, chosen, fusion="summary")
    want = Procedure(literal, network, state).segment(frame, [frame], "summary")
    assert np.abs(result.probability - want).max() < 1e-4


@pytest.mark.parametrize("frames", [1, 2, 4, 5, 6, 80])
def test_random_references(frames: int) -> None:
    chosen = random_references(frames, references=5, seed=3)
    assert len(chosen) == min(5, frames)
    assert list(chosen) == sorted(set(chosen))
    assert all(0 <= index < frames for index in chosen)
    assert chosen == random_references(frames, references=5, seed=3)


def test_random_references_depend_on_the_seed() -> None:
    assert len({random_references(80, references=5, seed=seed) for seed in range(10)}) > 5
