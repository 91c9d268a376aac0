"""The memory of a whole run at 854 x 480, by each runtime: it is what `covos.runs.room` says, and it does not grow.

Each run is a process of its own, with the networks of a user: the other tests compute by torch, in small frames.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from covos.runs.room import memory_needed
from covos.runtimes.choice import is_installed

pytestmark = [
    pytest.mark.thorough,
    pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell the memory in this way"),
]
HEIGHT, WIDTH = 480, 854
FRAMES = 130
SPARE = 1.25
"""Heaps and buffers differ from run to run; docs/resume.md has what was measured."""
GROWTH = 70.0
"""MB after frame 40. A picture of each of the 90 frames behind it would be 106."""


@pytest.fixture(scope="module")
def benchmark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """Its graphs lie in a folder of caches of their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("caches")))
        patch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
        yield import_module("memory")


@pytest.fixture(scope="module")
def large_clip(benchmark: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("memory") / "clip.mp4"
    benchmark.write_clip(path, height=HEIGHT, width=WIDTH, frames=FRAMES)
    return path


@pytest.mark.parametrize("objects", [0, 1], ids=["found", "followed"])
@pytest.mark.parametrize("runtime", ["openvino", "torch", "onnxruntime"])
def test_a_run_takes_what_is_said_and_does_not_grow(
    runtime: Any, objects: int, benchmark: ModuleType, large_clip: Path, info
) -> None:
    if not is_installed(runtime):
        pytest.skip(f"{runtime} is not installed")
    benchmark.make_graphs(runtime)
    taken = benchmark.measured(large_clip, runtime=runtime, objects=objects)
    said = memory_needed(info(height=HEIGHT, width=WIDTH), objects=objects) / benchmark.MEGABYTE
    assert 0.4 * said < taken.run < SPARE * said, f"{taken}: the run is said to take {said:.0f} MB"
    assert taken.growth < GROWTH, taken
