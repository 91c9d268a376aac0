"""Estimate the time of a training on this machine, from a few of its steps."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from covos.core.device import usable_cpus
from covos.core.errors import InputError
from covos.core.memory import keeping_freed_memory
from covos.core.progress import counted
from covos.data import Dataset, Video
from covos.engines.choices import DEFAULT_REFERENCES
from covos.training.distributed import SINGLE_PROCESS
from covos.training.loop import Objective, take_step
from covos.training.measuring import VALIDATION_STRIDE, validation_losses
from covos.training.memory import GIGA, Memory, peak_memory, restart_peak, total_memory
from covos.training.prepared import Training
from covos.training.recipe import LiteRecipe
from covos.training.registry import make_task
from covos.training.state import TrainingState, make_average
from covos.training.task import Task, to_device
from covos.training.validate import MOST_PICTURES, frames_to_score, part_of_kind

LEAST, MOST = 2, 10
"""Steps of each size that are timed."""
ENOUGH = 2.0
"""Seconds of steps of one size after which no further one is timed."""
PATIENCE = 10.0
"""Seconds after which two steps of a size will do, the first among them."""
MEASURED = 5
"""Frames that are scored to time the measuring."""
SAY_EVERY = 5.0
"""Seconds of steps after which their pace is reported."""

Size = tuple[int, int]
"""(height, width) of the frames of a step; (0, 0) if they are the same for all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeEstimate:
    """The time and the memory that a training takes.

    Attributes:
        steps: Steps in all.
        sizes: Share of the steps of each size of frames, and the seconds of one.
        measuring: Seconds of measuring once.
        measured_after: Steps after which it is measured.
        measured_first: True if the weights that it starts from are measured, too.
        memory: Peak memory of the steps and of measuring.
        gpu_total: Bytes of memory that the GPU has; None without one.
    """

    steps: int
    sizes: dict[Size, tuple[float, float]]
    measuring: float = 0.0
    measured_after: tuple[int, ...] = ()
    measured_first: bool = False
    memory: Memory | None = None
    gpu_total: int | None = None

    @property
    def seconds_per_step(self) -> float:
        """Mean over the sizes."""
        return sum(share * seconds for share, seconds in self.sizes.values())

    @property
    def seconds(self) -> float:
        """Seconds of the whole training."""
        first = self.measuring if self.measured_first else 0.0
        return first + self.left(0, seconds_per_step=self.seconds_per_step)

    def left(self, step: int, *, seconds_per_step: float) -> float:
        """Return the seconds that are left when so many steps are done, at their pace."""
        measurings = sum(number > step for number in self.measured_after)
        return (self.steps - step) * seconds_per_step + measurings * self.measuring

    def __str__(self) -> str:
        each = ", ".join(
            f"{seconds:.2g} s" + (f" at {size[0]} x {size[1]} ({share:.0%} of them)" if size != (0, 0) else "")
            for size, (share, seconds) in self.sizes.items()
        )
        times = len(self.measured_after) + self.measured_first
        said = f"about {spoken(self.seconds)} on this machine: {self.steps:,} steps of {each}"
        if times:
            said += f"; measuring {spoken(self.measuring)}" + (f", {times} times" if times > 1 else "")
        return said

    @property
    def spoken_memory(self) -> str:
        """The peak memory in words; on a GPU, beside what it has."""
        if self.memory is None:
            return "not measured"
        has = "" if self.gpu_total is None else f"; the GPU has {self.gpu_total / GIGA:.1f} GB"
        loaders = "" if self.memory.process is None else "; each loader process takes its own"
        return f"at most {self.memory}{has}{loaders}"


def estimate_time(training: Training, *, tell: Callable[[str], object] = lambda line: None) -> TimeEstimate:
    """Time a few steps of each size, and a little measuring; see how much memory they take.

    A run that starts from weights measures these before its first step. On a slow machine all of it takes minutes:
    ``tell`` is called with a line for each part as it begins, and with the pace of slow steps.

    The network has random weights and is thrown away. torch's generator is put back, so a run that follows draws what
    it would have drawn.
    """
    task = make_task(training.recipe, training.data.train)
    device, precision, validation = training.device, training.precision, training.data.validation
    restart_peak(device)
    with keeping_freed_memory(), torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        network = task.make_network().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        state = TrainingState(network, make_average(network), task.make_optimizer(network), started_from=None)
        for group in state.optimizer.param_groups:
            group["peak"] = 0.0  # random weights must not diverge while they are timed
        objective = Objective(task, network, precision=precision)
        sizes = {}
        parts = list(_parts(task, training.data.train))
        for number, (size, share, part) in enumerate(parts, 1):
            each = f" of {size[0]} x {size[1]}, size {number} of {len(parts)}" if size != (0, 0) else ""
            # A run of a few steps is not looked at for longer than it takes.
            own = max(1, round(share * task.steps))
            tell(f"timing steps{each}: {counted(own, 'step') if own <= LEAST else f'{LEAST} or more'}")
            seconds = _time_steps(part, state, objective, most=own, training=training, tell=tell)
            sizes[size] = share, seconds
        measuring = 0.0
        for number, dataset in enumerate(validation, 1):
            tell(f"timing the measuring of {dataset.name}, set {number} of {len(validation)}")
            measuring += _time_measuring(task, state, dataset, device=device, precision=precision)
        memory = peak_memory(device)
    return TimeEstimate(
        steps=task.steps,
        sizes=sizes,
        measuring=measuring,
        measured_after=tuple(filter(task.measures_after, range(1, task.steps + 1))) if measuring else (),
        measured_first=bool(measuring) and training.start is not None,
        memory=memory,
        gpu_total=total_memory(device),
    )


def spoken(seconds: float) -> str:
    """Return a time as people say it: ``40 s``, ``5 min``, ``2 h 10 min``, ``3 d 4 h``."""
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 24 * 60:
        return f"{minutes // 60} h {minutes % 60} min"
    hours = round(seconds / 3600)
    return f"{hours // 24} d {hours % 24} h"


def _parts(task: Task[Any], datasets: Sequence[Dataset]) -> Iterator[tuple[Size, float, Task[Any]]]:
    """Yield each size of frames, its share of the steps, and a task of that size alone."""
    recipe = task.recipe
    if isinstance(recipe, LiteRecipe):
        for crop, chance in zip(recipe.crops, recipe.crop_chances, strict=True):
            if chance:
                own = recipe.model_copy(update={"crops": (crop,), "crop_chances": (1.0,)})
                yield crop, chance, make_task(own, datasets)
    else:
        yield (0, 0), 1.0, task


def _time_steps(
    task: Task[Any],
    state: TrainingState,
    objective: Objective,
    *,
    most: int,
    training: Training,
    tell: Callable[[str], object],
) -> float:
    """Return the seconds of a step; where time allows, the first is left out: it brings memory and kernels up.

    ``most`` steps are timed at most.
    """
    device, batches = training.device, task.batches()
    loading, computing = [], []
    told = time.perf_counter()
    for number in range(most):
        state.step = number
        began = time.perf_counter()
        batch = batches[number]
        loaded = time.perf_counter()
        take_step(state, objective, to_device(batch, device), task, group=SINGLE_PROCESS, stopping=lambda: False)
        if device.type != "cpu":
            torch.accelerator.synchronize()
        loading.append(loaded - began)
        computing.append(time.perf_counter() - loaded)
        if (now := time.perf_counter()) - told > SAY_EVERY:
            told = now
            tell(f"  step {number + 1}: {loading[-1] + computing[-1]:.1f} s")
        count = len(computing) - 1
        enough = count >= MOST or (count >= LEAST and sum(computing[1:]) > ENOUGH)
        if enough or (count and sum(computing) > PATIENCE):
            break
    first = 1 if len(computing) > LEAST else 0
    load, compute = (float(np.mean(part[first:])) for part in (loading, computing))
    if not training.workers:
        return load + compute
    # Beside a GPU loading is hidden; on the processor it takes its share of the cores.
    return max(compute, load / training.workers) if device.type != "cpu" else compute + load / usable_cpus()


def _time_measuring(
    task: Task[Any], state: TrainingState, validation: Dataset, *, device: torch.device, precision: torch.dtype
) -> float:
    """Return the seconds of one measuring: its losses, some pictures, and the beginning of the first video."""
    began = time.perf_counter()
    if (moving := part_of_kind(validation, "video")) is not None:
        validation_losses(task, state.average, moving, device=device, precision=precision)
    seconds = time.perf_counter() - began
    if (still := part_of_kind(validation, "image")) is not None:
        some = replace(still, videos=still.videos[:MEASURED])
        began = time.perf_counter()
        task.measure_pictures(state.average, some, device=device, precision=precision)
        seconds += (time.perf_counter() - began) * min(len(still), MOST_PICTURES) / len(some)
    return seconds + _time_videos(task, state, validation, device=device, precision=precision)


def _time_videos(
    task: Task[Any], state: TrainingState, validation: Dataset, *, device: torch.device, precision: torch.dtype
) -> float:
    """Return the seconds of scoring the videos, from the beginning of the first that can be scored."""
    videos = [video for video in validation if video.kind == "video" and _scored(video)]
    if not videos:
        return 0.0
    # Long enough for a scored frame, and for one after the annotation that is followed.
    count = max(MEASURED * VALIDATION_STRIDE + 1, _scored(videos[0])[:2][-1] + 2)
    first = replace(videos[0], frames=videos[0].frames[:count])
    part = replace(validation, videos=(first,))
    began = time.perf_counter()
    try:
        task.measure(state.average, part, device=device, precision=precision, every=VALIDATION_STRIDE)
    except InputError:  # these frames show no object; others may
        return 0.0
    seconds = time.perf_counter() - began
    return seconds * sum(map(_encoded, videos)) / _encoded(first)


def _scored(video: Video) -> list[int]:
    return frames_to_score(video.frames, every=VALIDATION_STRIDE)


def _encoded(video: Video) -> int:
    """Return the number of frames of a video that are encoded to measure on it."""
    return len(_scored(video)) + min(DEFAULT_REFERENCES, len(video.frames))
