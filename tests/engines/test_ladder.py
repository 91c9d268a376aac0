"""Engines that run out of memory go on with less, and give what they give with enough."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from functools import partial

import numpy as np
import pytest
import torch

from covos.core.errors import is_out_of_memory
from covos.core.types import Frame, FrameResult, Point
from covos.engines.apart import Divider
from covos.engines.discover import DiscoveryPass
from covos.engines.encoding import FrameEncoder
from covos.engines.find import FindEngine
from covos.engines.follow import FollowEngine
from covos.engines.grabcut import GrabCutPrompter
from covos.engines.ladder import Ladder
from covos.engines.motion import Observed
from covos.engines.prompt import NetworkPrompter
from covos.models.follow import CovosFollow, FollowConfig
from covos.models.lite import CovosLite
from covos.models.prompt import CovosPrompt
from remembered import KEPT
from starving import above, always, at, out_of_memory, starve

SIZE = (64, 96)
FRAMES = 10
CPU = torch.device("cpu")
MakeLadder = Callable[[], Ladder]


@pytest.fixture(scope="module")
def networks() -> tuple[CovosLite, CovosFollow, CovosPrompt]:
    torch.manual_seed(0)
    follow = CovosFollow(FollowConfig(mask=(4, 4, 4), value=8, widths=(8, 8, 8), context=8)).eval()
    torch.nn.init.constant_(follow.decoder.judge[2].bias, 5.0)  # so that it always sees the object
    made = CovosLite().eval(), follow, CovosPrompt().eval()
    for each in made:
        KEPT.add(each)  # what is starved is so before it is asked what it remembers
    return made


@pytest.fixture
def encoder(networks) -> FrameEncoder:
    return encoder_of(networks[0])


def encoder_of(network: CovosLite) -> FrameEncoder:
    # A second processor below stands in for the one below a GPU.
    ladder = Ladder(device=CPU, precision=torch.float32, below=CPU)
    return FrameEncoder(network, device=CPU, precision=torch.float32, area=SIZE[0] * SIZE[1], batch=4, ladder=ladder)


@pytest.fixture(scope="module")
def found(networks) -> list[FrameResult]:
    """The subject that is found with enough memory."""
    return find(encoder_of(networks[0]))


@pytest.fixture(scope="module")
def followed(networks) -> list[FrameResult]:
    """The objects that are followed with enough memory."""
    return follow(encoder_of(networks[0]), networks[1])


def observed(count: int = FRAMES) -> Iterator[Observed]:
    noise = np.random.default_rng(0).integers(0, 255, (*SIZE, 3), dtype=np.uint8)
    for index in range(count):
        image = np.roll(noise, index, axis=1)
        frame = Frame(index=index, stem=f"{index:05}", image=image, pts=index, time_base=Fraction(1, 25))
        yield Observed(frame=frame, motion=None, small=frame.image)


def find(encoder: FrameEncoder) -> list[FrameResult]:
    engine = FindEngine(encoder)
    return list(engine.stream(observed(), engine.remember(list(observed())[::4])))


def box(left: int) -> np.ndarray:
    mask = np.zeros(SIZE, bool)
    mask[20:40, left : left + 20] = True
    return mask


def follow(encoder: FrameEncoder, network: CovosFollow) -> list[FrameResult]:
    engine = FollowEngine(encoder, network)
    given = {0: {1: box(4), 2: box(30), 3: box(60)}}
    return list(engine.forward(observed(), given, memory=2))


def back(encoder: FrameEncoder, network: CovosFollow) -> list[torch.Tensor]:
    engine, frames = FollowEngine(encoder, network), list(observed())
    given = {FRAMES - 1: {1: box(4), 2: box(30)}}
    passed = engine.backward([frames[5:], frames[:5]], given, memory=2)
    return [prediction.log_odds for _, prediction in passed]


def assert_alike(ours: list[FrameResult], theirs: list[FrameResult]) -> None:
    assert [each.frame.index for each in ours] == [each.frame.index for each in theirs] == list(range(FRAMES))
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one.probability, other.probability, atol=1e-4)
        # Random weights hardly tell two objects apart, and the last bits decide which of two remembered places is best.
        assert (one.labels != other.labels).mean() < 1e-2


def kinds(encoder: FrameEncoder) -> list[str]:
    return [step.kind for step in encoder.ladder.steps]


OTHERS = ("processor", "python", "onednn")  # `test_what_says_that_there_is_no_memory` has them without a network


@pytest.mark.parametrize("kind", ["gpu", *(pytest.param(kind, marks=pytest.mark.thorough) for kind in OTHERS)])
def test_finding_in_smaller_batches(encoder, found, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    calls = starve(monkeypatch, CovosLite, "encode", rule=above(1), kind=kind)
    assert_alike(find(encoder), found)
    assert [(step.kind, step.together) for step in encoder.ladder.steps] == [
        ("again", None),
        ("frames", 2),
        ("frames", 1),
    ]
    assert encoder.together == 1
    assert "1 frame at a time from here on" in encoder.ladder.steps[-1].text
    # The references, three failures, and each frame once: what is given up is not tried again.
    assert calls[0] == 3 + 3 + FRAMES - 3


@pytest.mark.parametrize("call", range(1, 8))
def test_a_shortage_that_passes_is_tried_again(encoder, found, monkeypatch: pytest.MonkeyPatch, call: int) -> None:
    starve(monkeypatch, CovosLite, "encode", rule=at(call))
    for one, other in zip(find(encoder), found, strict=True):
        np.testing.assert_array_equal(one.probability, other.probability)
    assert kinds(encoder) == (["again"] if call <= 6 else [])
    assert encoder.together == 4


def test_from_a_gpu_to_the_processor(encoder, networks, found, monkeypatch: pytest.MonkeyPatch) -> None:
    lite = networks[0]
    moved_after = 3
    starve(monkeypatch, CovosLite, "encode", rule=lambda call, network, _: network is lite and call > moved_after)
    assert_alike(find(encoder), found)
    assert kinds(encoder) == ["again", "frames", "frames", "processor"]
    assert encoder.network is not lite, "others may still use the network where it is"
    assert encoder.network is encoder.network
    assert "on the processor" in encoder.ladder.steps[-1].text


def test_the_ladder_ends(encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    starve(monkeypatch, CovosLite, "encode", rule=always, kind="processor")
    with pytest.raises(MemoryError, match="can't allocate memory"):
        find(encoder)
    assert kinds(encoder) == ["again", "processor"]


def test_other_errors_are_not_taken_for_it(encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("size mismatch")

    monkeypatch.setattr(CovosLite, "encode", broken)
    with pytest.raises(RuntimeError, match="size mismatch"):
        find(encoder)
    assert not encoder.ladder.steps


def test_following_in_smaller_batches(encoder, networks, followed, monkeypatch: pytest.MonkeyPatch) -> None:
    behind = back(encoder, networks[1])
    starve(monkeypatch, CovosLite, "encode", rule=above(1))
    assert_alike(follow(encoder, networks[1]), followed)
    assert kinds(encoder) == ["again", "frames"]  # two together, while two wait
    other = encoder.fresh()
    assert not other.ladder.steps
    for one, theirs in zip(back(other, networks[1]), behind, strict=True):
        torch.testing.assert_close(one, theirs, atol=1e-3, rtol=1e-3)
    assert kinds(other) == ["again", "frames"]  # two together, while two wait


@pytest.mark.parametrize("method", ["find", "memorise"])
@pytest.mark.parametrize("most", [1, 2])
def test_following_smaller_groups(
    encoder, networks, followed, monkeypatch: pytest.MonkeyPatch, method: str, most: int
) -> None:
    owners = 4 if method == "find" else 2
    starve(monkeypatch, CovosFollow, method, rule=lambda _call, _network, each: len(each[owners]) > most)
    assert_alike(follow(encoder, networks[1]), followed)
    assert kinds(encoder) == ["again", *["objects"] * (3 - most)]
    assert encoder.ladder.objects(3) == most
    assert encoder.together == 4, "the frames were not what was too much"


@pytest.mark.parametrize("call", [1, 2, 5, 9])
@pytest.mark.parametrize("method", ["find", "memorise"])
def test_a_step_that_fails_is_taken_back(
    encoder, networks, followed, monkeypatch: pytest.MonkeyPatch, method: str, call: int
) -> None:
    starve(monkeypatch, CovosFollow, method, rule=at(call))
    for one, other in zip(follow(encoder, networks[1]), followed, strict=True):
        np.testing.assert_array_equal(one.labels, other.labels)
        np.testing.assert_array_equal(one.probability, other.probability)
        assert one.objects == other.objects
    assert kinds(encoder) == ["again"]


def test_following_moves_to_the_processor(encoder, networks, followed, monkeypatch: pytest.MonkeyPatch) -> None:
    starve(monkeypatch, CovosFollow, "find", rule=lambda call, network, _: network is networks[1] and call > 3)
    assert_alike(follow(encoder, networks[1]), followed)
    assert kinds(encoder)[-1] == "processor"


@pytest.mark.parametrize("network", ["lite", "prompt"])
def test_prompting(encoder, networks, monkeypatch: pytest.MonkeyPatch, network: str) -> None:
    (first, *_) = observed(1)
    shown = {"points": [Point(x=30, y=30)], "box": None, "previous": None}
    expected = [
        NetworkPrompter(encoder, networks[2]).mask(first, **shown),
        GrabCutPrompter(encoder).mask(first, **shown),
    ]
    if network == "lite":
        starve(monkeypatch, CovosLite, "encode", rule=lambda _call, each, _: each is networks[0])
    else:
        starve(monkeypatch, CovosPrompt, "find", rule=lambda _call, each, _: each is networks[2])
    found = [
        NetworkPrompter(encoder, networks[2]).mask(first, **shown),
        GrabCutPrompter(encoder).mask(first, **shown),
    ]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)
    assert kinds(encoder) == ["again", "processor"]


def test_discovering(encoder, networks, monkeypatch: pytest.MonkeyPatch) -> None:
    def discover(encoder: FrameEncoder) -> list[int]:
        engine = FollowEngine(encoder, networks[1])
        (references,) = engine.finder.remember(list(observed())[::4])
        divider = Divider(networks[2], ladder=encoder.ladder)
        discovery = DiscoveryPass(engine, references, most=3, memory=2, divider=divider)
        done = list(discovery.run(observed()))
        assert done == list(range(FRAMES))
        return [each.first for each in discovery.found()]

    expected = discover(encoder)
    starve(monkeypatch, CovosLite, "encode", rule=above(2))
    assert discover(encoder) == expected
    assert kinds(encoder) == ["again", "frames"]


def test_a_ladder_for_each_video(encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    starve(monkeypatch, CovosLite, "encode", rule=lambda _call, network, _: network is encoder._network)
    find(encoder)
    assert kinds(encoder)[-1] == "processor"
    fresh = encoder.fresh()
    assert fresh.network is encoder._network, "the next video tries the GPU again"
    assert fresh.together == 4


def test_what_says_that_there_is_no_memory() -> None:
    import cv2

    for kind in ("gpu", "processor", "python", "onednn"):
        assert is_out_of_memory(out_of_memory(kind))
    with pytest.raises(cv2.error) as caught:
        cv2.resize(np.zeros((2, 2, 3), np.uint8), (1 << 20, 1 << 20))
    assert is_out_of_memory(caught.value)
    assert is_out_of_memory(OSError(12, "Cannot allocate memory"))
    assert not is_out_of_memory(OSError(28, "No space left on device"))
    assert not is_out_of_memory(ValueError("can't allocate memory"))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_true_gpu_runs_out(networks, monkeypatch: pytest.MonkeyPatch) -> None:
    device = torch.device("cuda")
    lite, network = networks[0].to(device), networks[1].to(device)
    try:
        encoder = FrameEncoder(lite, device=device, precision=torch.float32, area=SIZE[0] * SIZE[1], batch=4)
        expected = follow(encoder, network)
        starve(monkeypatch, CovosFollow, "find", rule=lambda call, each, _: each is network and call > 3)
        assert_alike(follow(encoder, network), expected)
        assert encoder.device.type == "cpu"
        assert kinds(encoder)[-1] == "processor"
    finally:
        networks[0].to("cpu"), networks[1].to("cpu")


def test_two_threads_that_run_short_at_once_take_one_step() -> None:
    ladder = Ladder(device=torch.device("cpu"), precision=torch.float32)
    together = threading.Barrier(2, timeout=10)

    def short(failed: list[bool]) -> str:
        if not failed:
            failed.append(True)
            together.wait()  # both are at it
            raise MemoryError("no room")
        return "done"

    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(ladder.run, partial(short, []), frames=4) for _ in range(2)]
        assert [each.result(10) for each in waiting] == ["done", "done"]
    assert [step.kind for step in ladder.steps] == ["again"]


def test_once_the_memory_ran_out_one_call_is_made_at_a_time() -> None:
    ladder = Ladder(device=torch.device("cpu"), precision=torch.float32)
    inside, most = 0, 0
    lock = threading.Lock()

    def work(failed: list[bool]) -> None:
        nonlocal inside, most
        if not failed:
            failed.append(True)
            raise MemoryError("no room")
        with lock:
            inside += 1
            most = max(most, inside)
        time.sleep(0.01)
        with lock:
            inside -= 1

    ladder.run(partial(work, []))
    with ThreadPoolExecutor(3) as pool:
        for each in [pool.submit(ladder.run, partial(work, [True])) for _ in range(6)]:
            each.result(10)
    assert most == 1


def test_a_step_waits_for_the_call_of_another_thread() -> None:
    ladder = Ladder(device=torch.device("cpu"), precision=torch.float32)
    begun, go_on = threading.Event(), threading.Event()
    seen: list[int] = []

    def long() -> None:
        begun.set()
        assert go_on.wait(10)
        seen.append(len(ladder.steps))

    def short(failed: list[bool]) -> None:
        if not failed:
            failed.append(True)
            threading.Timer(0.05, go_on.set).start()
            raise MemoryError("no room")

    with ThreadPoolExecutor(2) as pool:
        other = pool.submit(ladder.run, long)
        assert begun.wait(10)
        pool.submit(ladder.run, partial(short, [])).result(10)
        other.result(10)
    assert seen == [0]
    assert [step.kind for step in ladder.steps] == ["again"]
