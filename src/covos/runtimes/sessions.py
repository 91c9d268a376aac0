"""Sessions: graphs that are loaded into OpenVINO or ONNX Runtime, on the processor.

Both compute each call on as many threads as torch does.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from covos.core.device import calls_at_once
from covos.core.errors import EnvironmentProblem
from covos.runtimes.choice import TORCH
from covos.runtimes.stages import Program, Stage

_CORE: list[Any] = []
"""OpenVINO itself, once it was asked for: it looks for its devices when it is made."""


class OpenVinoProgram:
    """A graph in OpenVINO, in float32 or bfloat16; threads may share it."""

    def __init__(self, file: Path, *, precision: torch.dtype, stage: Stage | None = None, alone: bool = False) -> None:
        import openvino

        self._stage = stage

        if not _CORE:
            _CORE.append(openvino.Core())
        self._compiled: Any = _CORE[0].compile_model(
            str(file),
            "CPU",
            {
                "INFERENCE_PRECISION_HINT": "bf16" if precision == torch.bfloat16 else "f32",
                "INFERENCE_NUM_THREADS": torch.get_num_threads() * calls_at_once(),
                "PERFORMANCE_HINT": "LATENCY",
                "NUM_STREAMS": 1 if alone else calls_at_once(),  # each holds memory of its own
                # Pinned, they would wait for the processor on which something else decodes or writes.
                "ENABLE_CPU_PINNING": False,
            },
        )
        self._own = threading.local()

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Compute; see `covos.runtimes.stages.Program`."""
        if not hasattr(self._own, "request"):
            self._own.request = self._compiled.create_infer_request()
        try:
            found = self._own.request.infer([_array(each) for each in inputs], share_inputs=True, share_outputs=True)
            # Copied: the next call writes to the same place.
            outputs = tuple(torch.from_numpy(np.array(found[output])) for output in self._compiled.outputs)
            if self._stage is not None:
                refuse_stale(self._stage, inputs, outputs)
        except BaseException:
            del self._own.request  # one that has failed may give what an earlier call has left
            raise
        return outputs


class OnnxProgram:
    """A graph in ONNX Runtime, in float32; threads may share it."""

    def __init__(self, file: Path) -> None:
        # It would write an id of this machine to the folder of caches, and report that it is used.
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
        import onnxruntime

        options = onnxruntime.SessionOptions()
        # One pool for all calls, each of which computes on the thread that makes it, too.
        options.intra_op_num_threads = (torch.get_num_threads() - 1) * calls_at_once() + 1
        # Threads that wait by asking again and again take the processor from those that decode and write.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        self._session: Any = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        self._names = [port.name for port in self._session.get_inputs()]

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Compute; see `covos.runtimes.stages.Program`."""
        arrays = {name: _array(each) for name, each in zip(self._names, inputs, strict=True)}
        return tuple(torch.from_numpy(found) for found in self._session.run(None, arrays))


def _array(tensor: Tensor) -> NDArray[np.float32]:
    return np.ascontiguousarray(tensor.detach().to(torch.float32).numpy())


def refuse_stale(stage: Stage, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> None:
    """Refuse outputs of other sizes than the inputs make: OpenVINO gives those of an earlier call.

    Raises:
        MemoryError: They are; it happens where OpenVINO could not have the memory for new ones.
    """
    known: dict[str, int] = {}
    for port, value in zip(stage.inputs, inputs, strict=True):
        known |= {name: value.shape[axis] for axis, name in port.dynamic.items()}
    for port, value in zip(stage.outputs, outputs, strict=True):
        wanted = {axis: known[name] for axis, name in port.dynamic.items() if name in known}
        if any(value.shape[axis] != size for axis, size in wanted.items()):
            raise MemoryError(f"OpenVINO could not have the memory for the outputs of {stage.name}")


def load_program(
    file: Path, *, runtime: str, precision: torch.dtype, exact: bool, stage: Stage | None = None, alone: bool = False
) -> Program:
    """Load a graph into a runtime, ``"openvino"`` or ``"onnxruntime"``; one that is exact in float32.

    Outputs are compared with a stage, if it is given. One that is ``alone`` is not called twice at a time.

    Raises:
        EnvironmentProblem: The runtime is installed, and cannot be loaded.
    """
    try:
        if runtime == "onnxruntime":
            return OnnxProgram(file)
        return OpenVinoProgram(file, precision=torch.float32 if exact else precision, stage=stage, alone=alone)
    except ImportError as error:
        raise EnvironmentProblem(
            f"the runtime {runtime} cannot be loaded",
            why=" ".join(str(error).split()),
            fix="install it again, or use " + TORCH,
        ) from error
