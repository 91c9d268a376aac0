"""Answers of the backward pass, kept in a file until the forward pass meets them: memory stays flat.

A frame takes some kilobytes: log-odds in 8 bits, deflated.
"""

from __future__ import annotations

import json
import tempfile
import zlib
from dataclasses import asdict
from types import TracebackType
from typing import Self

import numpy as np
import torch

from covos.engines.follower import Answer
from covos.types import ObjectStatus

STEP = 0.125
"""Of the log-odds: an eighth changes a probability by 0.03 at most. The range is then +-15.9."""


class Spool:
    """Answers by frame, in a temporary file; a context manager."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="covos-")  # noqa: SIM115 - closed by __exit__
        self._places: dict[int, tuple[int, int]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def __len__(self) -> int:
        return len(self._places)

    def put(self, answer: Answer) -> None:
        """Keep an answer; one of the same frame is replaced."""
        steps = (answer.log_odds / STEP).round().clamp(-127, 127).to(torch.int8).cpu().numpy()
        head = {"shape": steps.shape, "objects": [asdict(status) for status in answer.objects]}
        content = json.dumps(head).encode() + b"\n" + zlib.compress(steps.tobytes(), 1)
        self._file.seek(0, 2)
        self._places[answer.index] = self._file.tell(), len(content)
        self._file.write(content)

    def get(self, index: int) -> Answer | None:
        """The answer for a frame; None if there is none."""
        if index not in self._places:
            return None
        start, length = self._places[index]
        self._file.seek(start)
        head, steps = self._file.read(length).split(b"\n", 1)
        described = json.loads(head)
        values = np.frombuffer(zlib.decompress(steps), np.int8).reshape(described["shape"])
        return Answer(
            index=index,
            log_odds=torch.from_numpy(values.astype(np.float32)) * STEP,
            objects=tuple(ObjectStatus(**each) for each in described["objects"]),
        )
