"""Commands whose system calls fail: a program, run with ``shim.c`` preloaded.

It runs each order of its standard input, one JSON object a line, in a fork: ``{"argv": [...], "below": folder, "kind":
name or null, "at": n, "error": number, "lasting": bool}``. It answers with a line ``{"code": exit code or null, "said":
stderr, "counts": calls of each kind, "struck": calls that failed, "signal": number}``. An error of -1 ends the process.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import io
import json
import os
import sys
from typing import Any
from unittest import mock

import torch

from covos import cli
from covos.model import Model
from faults.warm import warm
from stub_model import bright_model

KINDS = ("write", "rename", "fsync", "mkdir", "open", "any")


def run(order: dict[str, Any], model: Model, answer: int) -> None:
    before = set(sys.modules)
    shim = ctypes.CDLL(None)
    shim.fault_count.restype = shim.fault_struck.restype = ctypes.c_long
    kind = -1 if order["kind"] is None else KINDS.index(order["kind"])
    said = io.StringIO()
    shim.fault_arm(os.fsencode(order["below"]), kind, ctypes.c_long(order["at"]), order["error"], order["lasting"])
    with mock.patch("covos.job.load_planned", return_value=model), contextlib.redirect_stderr(said):
        code = cli.main(order["argv"])
    found = {
        "code": code,
        "said": said.getvalue(),
        "counts": {name: shim.fault_count(number) for number, name in enumerate(KINDS)},
        "struck": shim.fault_struck(),
        "loaded": [name for name in sys.modules if name not in before],
    }
    os.write(answer, json.dumps(found).encode())


def main() -> None:
    torch.set_num_threads(1)
    model = bright_model()
    warm()
    gc.collect()  # a decoder among the garbage would wait, in a fork, for threads that the fork does not have
    for line in sys.stdin:
        reader, writer = os.pipe()
        if not (child := os.fork()):
            try:
                run(json.loads(line), model, writer)
            finally:
                os._exit(70)
        os.close(writer)
        with os.fdopen(reader, "rb") as pipe:
            said = json.loads(pipe.read() or b'{"code": null}')
        status = os.waitpid(child, 0)[1]
        for name in said.pop("loaded", ()):  # so that the next fork need not load it
            with contextlib.suppress(Exception):
                importlib.import_module(name)
        print(json.dumps({**said, "signal": os.WTERMSIG(status)}), flush=True)


if __name__ == "__main__":
    main()
