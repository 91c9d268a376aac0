"""Export: write the stages of a network as ONNX graphs, with a card, and compare each with torch.

torch has two exporters. This is the older one, which traces. It writes the encoder of covos-lite in 2 seconds, where
the newer one (``dynamo=True``) takes more than a minute, and it needs no further package than ``onnx``.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from covos._version import __version__
from covos.core.errors import CovosError, EnvironmentProblem, UsageError
from covos.core.files import atomic_path
from covos.core.records import Finite, Record, read_record, write_record
from covos.models.cards import sha256_of
from covos.models.layers import fold_batch_norms
from covos.runtimes.choice import TORCH
from covos.runtimes.cosnet import CosnetProgram, cosnet_stages
from covos.runtimes.follow import FollowProgram, follow_stages
from covos.runtimes.lite import LiteProgram, lite_stages
from covos.runtimes.matte import MatteProgram, matte_stages
from covos.runtimes.prompt import PromptProgram, prompt_stages
from covos.runtimes.stages import Port, Program, Programs, Stage, StageModule, sizes_of

if TYPE_CHECKING:
    from torch import Tensor, nn

    from covos.models.registry import ModelEntry

OPSET = 18
"""Version of ONNX's operators."""
LIMIT = 1e-3
"""Largest difference from torch, of a probability or of another output relative to its largest value, in float32."""
TRACED = sizes_of(frames=2, height=64, width=96, references=2, objects=2)
COMPARED = sizes_of(frames=3, height=96, width=64, references=3, objects=1, points=5)
"""Sizes that differ from those of the trace in every name, or a size would be a constant of the graph unnoticed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of network that can be exported.

    Attributes:
        stages: Gives its stages.
        joined: Makes the network of their programs.
        alone: If true, no two calls of it are made at a time, because each depends on the one before. A runtime then
            keeps the memory of one call.
    """

    stages: Callable[[Any], tuple[Stage, ...]]
    joined: Callable[[Any, Programs], Any]
    alone: bool = False


KINDS: dict[str, Kind] = {
    "lite": Kind(stages=lite_stages, joined=LiteProgram),
    "cosnet_resnet101": Kind(stages=cosnet_stages, joined=CosnetProgram),
    "cosnet_resnet50": Kind(stages=cosnet_stages, joined=CosnetProgram),
    "follow": Kind(stages=follow_stages, joined=FollowProgram, alone=True),
    "prompt": Kind(stages=prompt_stages, joined=PromptProgram, alone=True),
    "matte": Kind(stages=matte_stages, joined=MatteProgram),
}
"""By the architecture of the weights."""


class PortRecord(Record):
    """An input or output of a graph, float32; sizes that are names may be any."""

    name: str
    shape: tuple[int | str, ...]
    meaning: str


class GraphRecord(Record):
    """A graph: its file, beside the card, and what goes in and out.

    ``exact`` graphs are to be computed in float32. ``difference`` from torch is the largest of a probability, or of
    another output relative to its largest value; None if no runtime was there to compare.
    """

    stage: str
    file: str
    sha256: str
    exact: bool
    inputs: tuple[PortRecord, ...]
    outputs: tuple[PortRecord, ...]
    difference: Finite | None


class GraphsCard(Record):
    """Card of the graphs of a model."""

    model: str
    architecture: str
    weights_sha256: str
    licence: str
    covos: str
    torch: str
    opset: int
    graphs: tuple[GraphRecord, ...]


def kind_of(entry: ModelEntry) -> Kind:
    """Return the kind of a model's network.

    Raises:
        UsageError: A network that was added has no stages.
    """
    kind = KINDS.get(entry.card.architecture)
    if kind is None:
        raise UsageError(
            f"{entry.name} cannot be exported",
            why=f"the stages of {entry.card.architecture} are not known",
            fix="use " + TORCH + f"; exported are {', '.join(KINDS)}",
        )
    return kind


def graph_files(entry: ModelEntry, folder: Path, *, stages: tuple[Stage, ...]) -> tuple[Path, ...]:
    """Return the files of an export into a folder: the graphs in the order of the stages, then the card."""
    return (*(folder / f"{entry.name}.{stage.name}.onnx" for stage in stages), card_file(entry, folder))


def card_file(entry: ModelEntry, folder: Path) -> Path:
    """Return the file of the card."""
    return folder / f"{entry.name}.graphs.json"


def export(
    entry: ModelEntry, network: nn.Module, *, folder: Path, load: Callable[[Path], Program] | None
) -> GraphsCard:
    """Write the stages of a network to a folder; existing files are replaced.

    Args:
        entry: Its model, whose kind is known.
        network: With its weights, in evaluation mode, on the processor; its batch norms are folded.
        folder: Exists.
        load: Loads a graph in float32, to compare it with torch; None compares nothing.

    Raises:
        EnvironmentProblem: The package ``onnx`` is not installed, or the disk is full.
        CovosError: A graph does not give what torch does.
    """
    _require_onnx()
    fold_batch_norms(network)
    stages = kind_of(entry).stages(network)
    graphs = []
    for stage, file in zip(stages, graph_files(entry, folder, stages=stages), strict=False):
        with atomic_path(file) as temporary:
            _trace(stage, network, temporary)
        difference = None if load is None else _compared(stage, network, load(file), file=file)
        graphs.append(
            GraphRecord(
                stage=stage.name,
                file=file.name,
                sha256=sha256_of(file),
                exact=stage.exact,
                inputs=_records(stage.inputs),
                outputs=_records(stage.outputs),
                difference=difference,
            )
        )
    card = GraphsCard(
        model=entry.name,
        architecture=entry.card.architecture,
        weights_sha256=entry.card.sha256,
        licence=entry.card.licence,
        covos=__version__,
        torch=torch.__version__,
        opset=OPSET,
        graphs=tuple(graphs),
    )
    write_record(card, card_file(entry, folder))
    return card


def read_graphs(entry: ModelEntry, folder: Path) -> dict[str, Path] | None:
    """Return the graphs of a model in a folder, by stage; None if there are none, or a file is damaged."""
    file = card_file(entry, folder)
    if not file.is_file():
        return None
    try:
        card = read_record(GraphsCard, file, what=f"{file} is not the card of graphs", fix="remove it")
        graphs = {graph.stage: (folder / graph.file, graph.sha256) for graph in card.graphs}
        whole = all(path.is_file() and sha256_of(path) == digest for path, digest in graphs.values())
    except (CovosError, OSError):
        return None
    return {stage: path for stage, (path, _) in graphs.items()} if whole else None


def _require_onnx() -> None:
    try:
        import onnx  # noqa: F401
    except ImportError as error:
        raise EnvironmentProblem(
            "graphs cannot be written",
            why="the package onnx is not installed",
            fix="pip install 'covos[onnx]' or 'covos[openvino]'",
        ) from error


def _records(ports: tuple[Port, ...]) -> tuple[PortRecord, ...]:
    return tuple(PortRecord(name=port.name, shape=port.sizes, meaning=port.meaning) for port in ports)


def _samples(stage: Stage, sizes: Mapping[str, int]) -> tuple[Tensor, ...]:
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        return tuple(port.filled(sizes) for port in stage.inputs)


def _trace(stage: Stage, network: nn.Module, file: Path) -> None:
    ports = {port.name: port.dynamic for port in (*stage.inputs, *stage.outputs)}
    with warnings.catch_warnings(), torch.no_grad():
        # It warns of sizes that become constants: those of strides may. The comparison finds all that may not.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            StageModule(stage, network).eval(),
            _samples(stage, TRACED),
            str(file),
            input_names=[port.name for port in stage.inputs],
            output_names=[port.name for port in stage.outputs],
            dynamic_axes={name: axes for name, axes in ports.items() if axes},
            opset_version=OPSET,
            dynamo=False,
        )


@torch.inference_mode()
def _compared(stage: Stage, network: nn.Module, program: Program, *, file: Path) -> float:
    """Return the difference of a graph from torch, see `GraphRecord`; refuse one that is too large."""
    inputs = _samples(stage, COMPARED)
    largest = 0.0
    for port, wanted, found in zip(stage.outputs, stage.call(network, *inputs), program(*inputs), strict=True):
        if wanted.shape != found.shape:
            difference = float("inf")
        elif port.is_logit:
            difference = float((wanted.sigmoid() - found.sigmoid()).abs().max())
        else:
            difference = float((wanted - found).abs().max() / wanted.abs().max().clamp(min=1))
        # Not a number is no agreement.
        if not difference < LIMIT:
            raise CovosError(
                f"{file.name} does not give what torch does",
                why=f"the output {port.name} differs by {difference:.2g}",
                fix="use " + TORCH + ", and report it with the releases of torch, onnx and the runtime",
            )
        largest = max(largest, difference)
    return largest
