"""Networks give the same by every runtime as by torch, stage by stage, for several objects, references and sizes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from covos.core.device import has_bfloat16
from covos.core.errors import CovosError
from covos.models.coattention import join_memories
from covos.models.follow import Belief, ObjectMemory
from covos.models.object_masks import certainty, with_others
from covos.models.prompt import PromptTensors
from covos.models.registry import build_any, find_model
from covos.models.target import TargetModel
from covos.runtimes import graphs
from covos.runtimes.choice import Computing, Runtime, is_installed
from covos.runtimes.loading import export_to, ready
from random_cosnet import save_cosnet

CPU = torch.device("cpu")
RUNTIMES: tuple[Runtime, ...] = ("openvino", "onnxruntime")
pytest.importorskip("onnx")
pytestmark = pytest.mark.usefixtures("kept_graphs")


@pytest.fixture(params=RUNTIMES)
def runtime(request: pytest.FixtureRequest) -> Runtime:
    if not is_installed(request.param):
        pytest.skip(f"{request.param} is not installed")
    return request.param  # type: ignore[no-any-return]


def pair(name: str | Path, runtime: Runtime) -> tuple[Any, Any]:
    """A network by torch, and by a runtime."""
    entry = find_model(name)
    computing = Computing(CPU, torch.float32)
    there = [
        ready(build_any(entry), entry=entry, computing=computing._replace(runtime=each)) for each in ("torch", runtime)
    ]
    return there[0], there[1]


@pytest.fixture(autouse=True)
def _no_gradients() -> Iterator[None]:
    with torch.inference_mode():
        yield


def assert_like(found: Any, wanted: Any, *, within: float = 1e-4) -> None:
    for a, b in zip(found, wanted, strict=True):
        assert a.shape == b.shape
        assert a.dtype == b.dtype
        torch.testing.assert_close(a, b, atol=within, rtol=within)


def frames(count: int, height: int = 64, width: int = 96) -> tuple[Tensor, Tensor]:
    return torch.rand(count, 3, height, width), torch.randn(count, 4, height // 4, width // 4)


def test_covos_lite(runtime: Runtime) -> None:
    ours, theirs = pair("covos-lite", runtime)
    for size in ((64, 96), (96, 32)):
        shown = frames(3, *size)
        features = ours.encode(*shown)
        assert_like(theirs.encode(*shown), features)
        memories = [ours.memorise(type(features)(*(part[row : row + 1] for part in features))) for row in range(3)]
        assert_like(theirs.memorise(features), ours.memorise(features))
        for known in (memories, memories[:1]):
            wanted = ours.segment(features, known, fusion="group").sigmoid()
            found = theirs.segment(features, known, fusion="group").sigmoid()
            assert (found - wanted).abs().max() < 1e-4
    image, _ = frames(1)
    assert_like(theirs.encode(image), ours.encode(image))


@pytest.mark.parametrize("transposed", [False, True])
def test_cosnet(runtime: Runtime, transposed: bool, tmp_path: Path) -> None:
    ours, theirs = pair(save_cosnet(tmp_path, transposed=transposed).path, runtime)
    assert (theirs.fixed_size, theirs.fusions, theirs.stride) == (ours.fixed_size, ours.fusions, ours.stride)
    features = ours.encode(torch.rand(2, 3, *ours.fixed_size))
    memories = [ours.memorise(ours.encode(torch.rand(1, 3, *ours.fixed_size))) for _ in range(3)]
    for fusion in ours.fusions:
        assert_like(
            [theirs.segment(features, memories, fusion=fusion).sigmoid()],
            [ours.segment(features, memories, fusion=fusion).sigmoid()],
        )


def test_covos_follow(runtime: Runtime) -> None:
    lite, _ = pair("covos-lite", runtime)
    ours, theirs = pair("covos-follow", runtime)
    features = lite.encode(*frames(1))
    cue, flow = torch.randn(1, 1, 32, 48), torch.randn(1, 2, 16, 24)
    assert_like(
        theirs.project(features, cue_B1HW=None, flow_B2HW=None), ours.project(features, cue_B1HW=None, flow_B2HW=None)
    )
    seen = ours.project(features, cue_B1HW=cue, flow_B2HW=flow)
    assert_like(theirs.project(features, cue_B1HW=cue, flow_B2HW=flow), seen)
    for objects, references in ((1, 1), (3, 4)):
        owner = torch.zeros(objects, dtype=torch.long)
        mask = with_others(torch.rand(objects, 1, 16, 24), owner)
        shown = torch.arange(objects) == 0
        memorise = partial(ours.memorise, certainty_P1HW=certainty(mask[:, :1]), given_P=shown)
        latest = memorise(seen, mask, owner)
        assert_like(theirs.memorise(seen, mask, owner, certainty_P1HW=certainty(mask[:, :1]), given_P=shown), latest)
        memory: ObjectMemory = join_memories([latest] * references)
        target = TargetModel(torch.randn(objects, seen.fit_BLD.shape[2]) / 10)
        belief = Belief(mask, target, torch.rand(objects, 2))
        assert_like(
            theirs.find(seen, memory, latest, belief, owner),
            ours.find(seen, memory, latest, belief, owner),
            within=1e-3,
        )


def test_covos_prompt(runtime: Runtime) -> None:
    lite, _ = pair("covos-lite", runtime)
    ours, theirs = pair("covos-prompt", runtime)
    features = lite.encode(*frames(1))
    view = ours.project(features)
    assert_like(theirs.project(features), view)
    clicks = torch.tensor([[[0.2, 0.3, 1.0], [0.7, 0.6, -1.0], [0.0, 0.0, 0.0]]])
    for points in (clicks, clicks[:, :1]):
        for box in (torch.zeros(1, 5), torch.tensor([[0.1, 0.2, 0.6, 0.9, 1.0]])):
            prompt = PromptTensors(points, box, torch.rand(1, 1, 32, 48))
            assert_like([theirs.find(view, prompt).sigmoid()], [ours.find(view, prompt).sigmoid()])


def test_covos_matte(runtime: Runtime) -> None:
    ours, theirs = pair("covos-matte", runtime)
    for tiles in (torch.rand(1, 16, 64, 64), torch.rand(3, 16, 128, 128)):
        assert_like([theirs(tiles)], [ours(tiles)])


def test_affinities_are_exact_whatever_the_precision() -> None:
    if not is_installed("openvino") or not has_bfloat16():
        pytest.skip("needs OpenVINO, and a processor that computes bfloat16")
    entry = find_model("covos-follow")
    network: Any = build_any(entry)
    narrow = ready(build_any(entry), entry=entry, computing=Computing(CPU, torch.bfloat16, "openvino"))
    stages = {stage.name: stage for stage in graphs.kind_of(entry).stages(network)}
    differences = {}
    for name in ("project", "recall"):
        inputs = graphs._samples(stages[name], graphs.COMPARED)
        found, wanted = narrow._programs[name](*inputs), stages[name].call(network, *inputs)
        differences[name] = max(float((a - b).abs().max()) for a, b in zip(found, wanted, strict=True))
    assert differences["recall"] < 1e-4 < differences["project"]


def test_a_graph_that_differs_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if a size of the trace had become a constant, or the exporter got an operator wrong."""
    traced = graphs._trace

    def wrong(stage: Any, network: Any, file: Path) -> None:
        traced(stage, network, file)
        network.answer.bias += 0.1

    monkeypatch.setattr(graphs, "_trace", wrong)
    with torch.inference_mode(False), torch.no_grad(), pytest.raises(CovosError, match="does not give what torch does"):
        export_to(tmp_path, entry=find_model("covos-matte"))
