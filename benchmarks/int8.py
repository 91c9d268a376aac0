"""covos-lite in 8 bits on this processor: time of its networks, J and F, by the parts that stay in float32.

    pip install nncf
    python benchmarks/int8.py --data DAVIS [--frames 1] [--rounds 30] [--json FILE] [--name TABLE]

NNCF calibrates the graphs on frames of ``train``, after which OpenVINO computes them on one thread. Weights have a
scale for each channel, and use 7 of their 8 bits: without VNNI (AVX2) the processor adds products in 16 bits, which 8
would overflow. The time is that of one frame at 256 x 448 with five references, all ways in turn; J and F are those of
``val_open`` by every so many frames, and beside them stands J of the masks with those of float32.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch

from covos.bench.spent import Spent, median, timed
from covos.data import Dataset, open_dataset
from covos.engines.choices import DEFAULT_AREA, DEFAULT_REFERENCES
from covos.engines.encoding import FrameEncoder
from covos.engines.find import FindEngine
from covos.engines.find_passes import find_subject
from covos.evaluation.measures import jaccard
from covos.models.registry import build_network, find_model
from covos.runtimes.lite import LiteProgram
from covos.runtimes.loading import export_to
from covos.runtimes.sessions import OpenVinoProgram
from covos.runtimes.stages import Program, Programs
from covos.training.validate import DatasetSource, FrameScores, score_frames
from recorded import keep

MODEL = "covos-lite"
STAGES = ("encode", "memorise", "segment")
CALIBRATED = 16
"""First frames of each video that are calibrated on, and with them every fifth call of a stage."""
MOTION, CONTEXT, ATTENTION = r".*/motion/.*", r".*/(context|deep|still)/.*", r".*/coattention/.*"
DEPTHWISE = r".*/filter/filter\.0/.*|.*/dilated\.\d/dilated\.\d\.0/.*|.*/decoder/s\d+/(s\d+\.\d/s\d+\.\d\.0|s2\.0)/.*"

WAYS: dict[str, dict[str, tuple[str, ...]]] = {
    "none": {},
    "all": {"encode": (), "segment": ()},
    "all but the motion": {"encode": (MOTION,), "segment": ()},
    "all but motion, context, co-attention": {"encode": (MOTION, CONTEXT), "segment": (ATTENTION,)},
    "of these, none that are depth-wise": {
        "encode": (MOTION, CONTEXT, DEPTHWISE),
        "segment": (ATTENTION, DEPTHWISE),
    },
    "of these, the encoder's alone": {"encode": (MOTION, CONTEXT, DEPTHWISE)},
}
"""Stages that are computed in 8 bits, each with patterns of what stays in float32 there."""


def engine_of(programs: Programs) -> FindEngine[Any]:
    """The engine that computes covos-lite by these programs."""
    network: Any = LiteProgram(build_network(find_model(MODEL)), programs)  # type: ignore[arg-type]
    cpu = torch.device("cpu")
    return FindEngine(FrameEncoder(network, device=cpu, precision=torch.float32, area=DEFAULT_AREA, batch=1))


def recorded_calls(programs: Programs, dataset: Dataset) -> dict[str, list[tuple[torch.Tensor, ...]]]:
    """Every fifth call of each stage, over the first frames of each video."""
    calls: dict[str, list[tuple[torch.Tensor, ...]]] = {stage: [] for stage in STAGES}

    def recording(stage: str) -> Program:
        def call(*inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
            calls[stage].append(inputs)
            return programs[stage](*inputs)

        return call

    engine = engine_of({stage: recording(stage) for stage in STAGES})
    kept: dict[str, list[tuple[torch.Tensor, ...]]] = {stage: [] for stage in STAGES}
    for video in dataset:
        for _ in find_subject(DatasetSource(video.frames[:CALIBRATED]), engine):
            pass
        for stage, inputs in calls.items():
            kept[stage] += inputs[DEFAULT_REFERENCES::DEFAULT_REFERENCES]
            inputs.clear()
    return kept


def quantised(graph: Path, calls: list[tuple[torch.Tensor, ...]], *, ignored: tuple[str, ...], file: Path) -> Path:
    """Write a graph in 8 bits, calibrated on calls; what matches a pattern stays in float32."""
    import nncf  # type: ignore[import-not-found, unused-ignore]
    import openvino
    from nncf.quantization.advanced_parameters import (  # type: ignore[import-not-found, unused-ignore]
        AdvancedQuantizationParameters,
        OverflowFix,
    )

    nncf.set_log_level(40)
    model = openvino.Core().read_model(graph)
    names = [port.any_name for port in model.inputs]
    changed = nncf.quantize(
        model,
        nncf.Dataset([dict(zip(names, (each.numpy() for each in call), strict=True)) for call in calls]),
        preset=nncf.QuantizationPreset.MIXED,
        subset_size=len(calls),
        ignored_scope=nncf.IgnoredScope(patterns=list(ignored), validate=False),
        advanced_parameters=AdvancedQuantizationParameters(overflow_fix=OverflowFix.ENABLE),
    )
    openvino.save_model(changed, file, compress_to_fp16=False)
    return file


def measured(
    ways: Mapping[str, Programs], calls: Mapping[str, tuple[torch.Tensor, ...]], *, rounds: int
) -> dict[tuple[str, str], float]:
    """Processor milliseconds of a call of each stage, in each way; the median of rounds in which all take turns."""
    spent: dict[tuple[str, str], list[Spent]] = {(way, stage): [] for way in ways for stage in calls}
    for number in range(rounds + 2):
        for (way, stage), found in spent.items():
            each = timed(lambda way=way, stage=stage: ways[way][stage](*calls[stage]))  # type: ignore[misc]
            if number >= 2:
                found.append(each)
    return {key: 1e3 * median(found).processor for key, found in spent.items()}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="DAVIS tree")
    parser.add_argument("--frames", type=int, default=1, help="score every so many frames")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--name", default="parts", help="the name of the table in the file")
    parser.add_argument("--json", type=Path, help="keep the table in this file: see recorded.py")
    options = parser.parse_args()
    if find_spec("nncf") is None:
        print("nothing is measured in 8 bits: NNCF is not installed (pip install nncf)")
        return
    os.environ.setdefault("NNCF_TELEMETRY", "0")
    torch.set_num_threads(1)
    scored = open_dataset(options.data, subset="val_open")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        export_to(folder, entry=find_model(MODEL))
        graphs = {stage: folder / f"{MODEL}.{stage}.onnx" for stage in STAGES}
        exact = {stage: OpenVinoProgram(file, precision=torch.float32) for stage, file in graphs.items()}
        calls = recorded_calls(exact, open_dataset(options.data, subset="train"))
        print(f"calibrated on {len(calls['encode'])} frames of train", flush=True)
        ways: dict[str, Programs] = {}
        for number, (way, parts) in enumerate(WAYS.items()):
            own: dict[str, Program] = dict(exact)
            for stage, ignored in parts.items():
                file = folder / f"{stage}.{number}.xml"
                own[stage] = OpenVinoProgram(
                    quantised(graphs[stage], calls[stage], ignored=ignored, file=file), precision=torch.float32
                )
            ways[way] = own
        positions = DEFAULT_AREA // 256 * DEFAULT_REFERENCES
        full = next(call for call in calls["segment"] if call[-1].shape[1] == positions)
        one = {"encode": calls["encode"][0], "segment": full}
        spent = measured(ways, one, rounds=options.rounds)

    wanted: dict[tuple[str, int], Any] = {}
    rows: list[list[str | float]] = []
    for way, programs in ways.items():
        scores, same = FrameScores(), []
        for each in score_frames(engine_of(programs), scored, references=DEFAULT_REFERENCES, every=options.frames):
            frame, mask = each.result.frame, each.result.labels > 0
            scores.add(each.video.name, frame, mask=mask, truth=each.truth, j=each.j, f=each.f)
            same.append(jaccard(mask, wanted.setdefault((each.video.name, frame.index), mask)))
        found = scores.validation(scored, lacking="no frame was scored")
        times = [spent[way, stage] for stage in one]
        rows.append([way, *times, sum(times), found.j, found.f, (found.j + found.f) / 2, float(np.mean(same))])
        print(f"{way:40}" + "".join(f"{value:9.4f}" for value in rows[-1][1:]), flush=True)
    columns = ["in 8 bits", *(f"{stage}, ms" for stage in one), "both, ms", "J", "F", "J&F", "J with float32"]
    keep(options.json, options.name, columns=columns, rows=rows, digits=[0, 1, 1, 1, 4, 4, 4, 4])


if __name__ == "__main__":
    main()
