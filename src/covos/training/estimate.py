"""How long a training will take on this machine, from a few of its steps."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from covos.data import Dataset
from covos.engines.defaults import DEFAULT_REFERENCES
from covos.errors import InputError
from covos.runtime.threads import usable_cpus
from covos.training.base import Recipe
from covos.training.checkpoint import State
from covos.training.distributed import ALONE
from covos.training.ema import make_average
from covos.training.keeper import LOG_EVERY, VALIDATION_STRIDE
from covos.training.lite.recipe import LiteRecipe
from covos.training.loop import Objective, take_step
from covos.training.task import Task

LEAST, MOST = 2, 10
"""Steps of each size that are timed."""
ENOUGH = 2.0
"""Seconds of steps of one size after which no further one is timed."""
MEASURED = 5
"""Frames that are scored to time the measuring."""

Size = tuple[int, int]
"""(height, width) of the frames of a step; (0, 0) if they are the same for all."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Estimate:
    """What a training takes.

    Attributes:
        steps: Seconds of each step; before anything was timed, anything that is in proportion to them.
        sizes: Of each size of frames, the number of steps and the seconds of one.
        measuring: Seconds that measuring takes.
        measured_after: Numbers of the steps that are measured after.
    """

    steps: NDArray[np.float64]
    sizes: dict[Size, tuple[int, float]]
    measuring: float = 0.0
    measured_after: tuple[int, ...] = ()

    @property
    def seconds(self) -> float:
        """In all."""
        return float(self.steps.sum()) + self.measuring * len(self.measured_after)

    def left(self, step: int, *, seconds_per_step: float) -> float:
        """Seconds that are left.

        Args:
            step: Steps done, at least 1.
            seconds_per_step: Mean of the last `LOG_EVERY` steps: what was estimated is corrected by what they took.
        """
        recent = float(self.steps[max(step - LOG_EVERY, 0) : step].mean())
        measurings = sum(number > step for number in self.measured_after)
        return float(self.steps[step:].sum()) * seconds_per_step / recent + measurings * self.measuring

    def __str__(self) -> str:
        parts = [
            f"{count:,} step{'s' if count > 1 else ''} of {seconds:.2g} s"
            + (f" at {size[0]} x {size[1]}" if size != (0, 0) else "")
            for size, (count, seconds) in self.sizes.items()
        ]
        if self.measured_after:
            times = len(self.measured_after)
            parts.append(f"{spoken(self.measuring)} of measuring" + (f", {times} times" if times > 1 else ""))
        return f"about {spoken(self.seconds)} on this machine: {', '.join(parts)}"


def by_size(recipe: Recipe, *, steps: int) -> Estimate:
    """An estimate without timing: each step in proportion to its pixels. Good for `Estimate.left`."""
    sizes = _sizes(recipe, steps)
    cost = np.array([max(height * width, 1) for height, width in sizes], np.float64)
    return Estimate(steps=cost, sizes={})


def estimate(
    task: Task, *, validation: Dataset | None, device: torch.device, precision: torch.dtype, workers: int
) -> Estimate:
    """Time a few steps of each size, and a little measuring.

    The network has random weights and is thrown away. torch's generator is put back, so a run that follows draws what
    it would have drawn.

    Args:
        task: What is trained, by one process.
        validation: What is measured on.
        device: Where to compute.
        precision: Of the arithmetic.
        workers: Loader processes.
    """
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        network = task.make_network().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        state = State(network, make_average(network), task.make_optimizer(network), started_from=None)
        objective = Objective(task, network, precision=precision)
        sizes = _sizes(task.recipe, task.steps)
        timed = {}
        for size in dict.fromkeys(sizes):
            numbers = (step for step, own in enumerate(sizes) if own == size)
            timed[size] = _time_steps(numbers, task, state, objective, device=device, workers=workers)
        measuring = 0.0
        if validation is not None:
            measuring = _time_measuring(task, state, validation, device=device, precision=precision)
    return Estimate(
        steps=np.array([timed[size] for size in sizes], np.float64),
        sizes={size: (sizes.count(size), seconds) for size, seconds in timed.items()},
        measuring=measuring,
        measured_after=tuple(_measured_after(task)) if measuring else (),
    )


def spoken(seconds: float) -> str:
    """As people say it: ``40 s``, ``5 min``, ``2 h 10 min``, ``3 d 4 h``."""
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 24 * 60:
        return f"{minutes // 60} h {minutes % 60} min"
    hours = round(seconds / 3600)
    return f"{hours // 24} d {hours % 24} h"


def _sizes(recipe: Recipe, steps: int) -> list[Size]:
    if isinstance(recipe, LiteRecipe):
        return [recipe.framing_at(step)[0] for step in range(steps)]
    return [(0, 0)] * steps


def _time_steps(
    numbers: Iterator[int], task: Task, state: State, objective: Objective, *, device: torch.device, workers: int
) -> float:
    """Seconds of a step of one size, the first left out: it brings memory and kernels up."""
    batches = task.batches()
    loading, computing = [], []
    for number in numbers:
        state.step = number
        began = time.perf_counter()
        batch = batches[number]
        loaded = time.perf_counter()
        take_step(state, objective, batch.to(device), task, team=ALONE, stopping=lambda: False)
        if device.type != "cpu":
            torch.accelerator.synchronize()
        loading.append(loaded - began)
        computing.append(time.perf_counter() - loaded)
        count = len(computing) - 1
        if count >= MOST or (count >= LEAST and sum(computing[1:]) > ENOUGH):
            break
    load, compute = (float(np.mean(part[1:] or part)) for part in (loading, computing))
    if not workers:
        return load + compute
    # Beside a GPU loading is hidden; on the processor it takes its share of the cores.
    return max(compute, load / workers) if device.type != "cpu" else compute + load / usable_cpus()


def _time_measuring(
    task: Task, state: State, validation: Dataset, *, device: torch.device, precision: torch.dtype
) -> float:
    """Seconds of one measuring, from the beginning of the first video that can be scored."""
    videos = [video for video in validation if video.kind == "video" and len(video.frames) > 2]
    if not videos:
        return 0.0
    count = MEASURED * VALIDATION_STRIDE + 1
    first = replace(videos[0], frames=videos[0].frames[:count])
    part = replace(validation, videos=(first,))
    began = time.perf_counter()
    try:
        task.measure(state.average, part, device=device, precision=precision, every=VALIDATION_STRIDE)
    except InputError:  # none of these frames is annotated; the whole video may be
        return 0.0
    seconds = time.perf_counter() - began
    return seconds * sum(_encoded(len(video.frames)) for video in videos) / _encoded(len(first.frames))


def _encoded(frames: int) -> int:
    """Frames of a video that are encoded to measure on it."""
    return -(-(frames - 2) // VALIDATION_STRIDE) + min(DEFAULT_REFERENCES, frames)


def _measured_after(task: Task) -> Iterator[int]:
    every = task.recipe.validate_every
    for step in range(1, task.steps + 1):
        if step == task.steps or (every and step % every == 0) or task.epoch_after(step) is not None:
            yield step
