"""The networks alone, without a video."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

import torch

from covos.bench.spent import Spent, median, timed
from covos.bench.ways import Way
from covos.models.follow import Belief, ObjectMemory
from covos.models.object_masks import certainty, with_others
from covos.models.registry import DEFAULT_MODEL, build_matter, find_matter
from covos.models.target import TargetModel
from covos.runtimes.loading import ready

if TYPE_CHECKING:
    from covos.model import Model

PARTS: Final = ("find", "follow", "matte")
"""Names of the pieces of work of `works`."""


def works(model: Model, *, size: tuple[int, int]) -> dict[str, Callable[[], object]]:
    """Return the networks' work, by name.

    ``find`` is a frame of covos-lite with five references, ``follow`` the first step of following three objects with
    seven frames in the memory, beside the frame, and ``matte`` eight tiles.

    Args:
        model: One of covos-lite's architecture, on the processor.
        size: (height, width) of the encoded frame.
    """
    height, width = size
    torch.manual_seed(0)
    ladder, network = model.engine.encoder.ladder, model.network
    image = torch.rand(1, 3, height, width).contiguous(memory_format=torch.channels_last)
    motion = torch.randn(1, 4, height // 4, width // 4)
    follower: Any = model.follower().network
    entry = find_matter()
    matter = ready(build_matter(entry), entry=entry, computing=model.computing)
    tiles = torch.rand(8, 16, 128, 128).contiguous(memory_format=torch.channels_last)
    objects = torch.zeros(3, dtype=torch.long)
    mask = with_others(torch.rand(3, 1, height // 4, width // 4), objects)
    with ladder.computing():
        features = network.encode(image, motion)
        memories = [network.memorise(features)] * 5
        seen = follower.project(features, cue_B1HW=torch.randn(1, 1, height // 2, width // 2), flow_B2HW=None)
        sure, given = certainty(mask[:, :1]), torch.ones(3, dtype=torch.bool)
        latest = follower.memorise(seen, mask, objects, certainty_P1HW=sure, given_P=given)
        memory = ObjectMemory(latest.key_BMK.repeat(1, 7, 1), latest.value_PMC.repeat(1, 7, 1))
        belief = Belief(mask, TargetModel(torch.randn(3, seen.fit_BLD.shape[2]) / 10), torch.ones(3, 2))

    def find() -> None:
        with ladder.computing():
            network.segment(network.encode(image, motion), memories, fusion="group")

    def follow() -> None:
        with ladder.computing():
            shown = follower.project(features, cue_B1HW=None, flow_B2HW=None)
            follower.find(shown, memory, latest, belief, objects)
            follower.memorise(shown, mask, objects, certainty_P1HW=sure, given_P=given)

    def solve() -> None:
        with ladder.computing():
            matter(tiles)

    return {"find": find, "follow": follow, "matte": solve}


def measure_networks(
    ways: Sequence[Way], *, size: tuple[int, int], rounds: int, model: str = DEFAULT_MODEL
) -> dict[tuple[Way, str], Spent]:
    """Measure the networks alone in each way, in turn: the median of so many rounds, by way and name of the work.

    The threads are those of the process (see `covos.core.device.configure_threads`).
    """
    from covos.model import load_model

    every = {
        way: works(load_model(model, device="cpu", precision=way.precision, runtime=way.runtime), size=size)
        for way in ways
    }
    spent: dict[tuple[Way, str], list[Spent]] = {(way, name): [] for way in ways for name in PARTS}
    for number in range(rounds + 1):
        for way, parts in every.items():
            for name, work in parts.items():
                found = timed(work)
                if number:  # the first round makes what the others find
                    spent[way, name].append(found)
    return {key: median(found) for key, found in spent.items()}
