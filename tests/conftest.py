"""What all rooms' tests share: one thread, fixed seeds, and a tiny clip."""

from __future__ import annotations

import gc
import multiprocessing
import multiprocessing.forkserver
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from unittest import mock

# Before the libraries start their threads; programs that tests start inherit it. Test workers share the processors.
os.environ["OMP_NUM_THREADS"] = "1"
# OpenCV's copy of IPP computes by the kind of processor, and golden values are without it: a grey level grows.
os.environ["OPENCV_IPP"] = "disabled"
os.environ["OPENCV_LOG_LEVEL"] = "ERROR"  # else each program says so
# Golden values are torch's, and graphs would be made for each model; tests of the runtimes name them.
os.environ["COVOS_RUNTIME"] = "torch"

import cv2
import numpy as np
import pytest
import torch
from hypothesis import settings

from clips import bright_clip
from covos.core import process
from covos.core.fresh import fork_server
from covos.core.limits import Limits, limits, set_limits
from covos.core.types import Frame, FrameResult, SourceInfo
from kept_models import USERS, load_model
from loaded import load_module
from remembered import remember_all
from small import make_small

# A machine that tests may be busy: what takes long is no failure. Every run draws other examples.
settings.register_profile("covos", deadline=None, max_examples=40)
settings.register_profile("thorough", deadline=None, max_examples=400)
settings.load_profile("covos")
torch.set_num_threads(1)
cv2.setNumThreads(1)
# Each worker process would load torch for itself, for seconds. All are forked from one that has loaded what they need,
# whichever of them is the first. `python -m covos`, in tests of processes and of the server, starts them as users do.
if "forkserver" in multiprocessing.get_all_start_methods():
    process.CONTEXT = fork_server(["covos.jobs", "covos.training.lite", "covos.evaluation.evaluator", "small_forks"])
    multiprocessing.forkserver.set_forkserver_preload = lambda _: None  # type: ignore[assignment]
    _begin = multiprocessing.forkserver._forkserver.ensure_running

    def _begin_here() -> None:
        # It finds modules by this alone, and passes over those that it does not find.
        paths = os.pathsep.join([str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])])
        with mock.patch.dict(os.environ, {"PYTHONPATH": paths}):
            _begin()

    multiprocessing.forkserver._forkserver.ensure_running = _begin_here  # type: ignore[method-assign]

MakeClip = Callable[..., Path]


def pytest_collection_finish() -> None:
    """All that the libraries and the tests hold by now stays: no search for garbage needs to go through it again.

    These are half a million objects. A fork that searches them would copy their memory, too.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _seeds() -> None:
    np.random.seed(0)
    torch.default_generator.manual_seed(0)  # torch.manual_seed keeps a stack for each kind of device, for milliseconds


@pytest.fixture(autouse=True, scope="session")
def _kept_models() -> Iterator[None]:
    """A model is loaded once, not for each of the many runs."""
    with pytest.MonkeyPatch.context() as patch:
        for user in USERS:
            patch.setattr(user, "load_model", load_model)
        remember_all(patch.setattr, builders=("build_follower", "build_prompter"))
        # A file that is whole after a cut of the power is not asked here: the disk is not waited for.
        patch.setattr(os, "fsync", lambda _: None)
        yield


@pytest.fixture
def limited() -> Iterator[Callable[..., Limits]]:
    """`covos.core.limits.set_limits`, for the time of a test."""
    before = limits()
    yield set_limits
    set_limits(**asdict(before))


@pytest.fixture(scope="module")
def small_networks() -> Iterator[None]:
    """Networks see small frames: for rooms whose tests ask what becomes of masks, not how good these are."""
    with pytest.MonkeyPatch.context() as patch:
        make_small(patch.setattr, area=96 * 128, readiness=11.0)
        yield


@pytest.fixture(scope="session")
def graphs_of_all(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of caches in which the graphs of the runtimes are kept for all tests, of all processes that test."""
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "caches"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture
def kept_graphs(graphs_of_all: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda *_, **__: str(graphs_of_all))
    return graphs_of_all


@pytest.fixture(autouse=True)
def _scheduling() -> Iterator[None]:
    """A test that leaves its thread a real-time one can stop the machine: all that is started later is one, too."""
    of_thread: Callable[[int], int] = getattr(os, "sched_getscheduler", lambda _: 0)  # Linux alone has it
    before = of_thread(0)
    yield
    assert of_thread(0) == before


@pytest.fixture
def make_clip(tmp_path: Path) -> MakeClip:
    """Write a clip of a bright square that moves over dark noise."""

    def make(name: str = "clip.mp4", **how: int) -> Path:
        return bright_clip(tmp_path / name, **how)

    return make


@pytest.fixture
def clip(make_clip: MakeClip) -> Path:
    """Eight frames of 48 x 64."""
    return make_clip()


@pytest.fixture(scope="session")
def literal() -> ModuleType:
    """COSNet written out from its formulas, see ``tests/models/literal_cosnet.py``; tests have no package."""
    module: ModuleType = load_module(Path(__file__).parent / "models" / "literal_cosnet.py")
    return module


@pytest.fixture(scope="session")
def random_follower(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of a covos-follow for the package's covos-lite: random, but they always see the object somewhere."""
    from covos.models.cards import Card
    from covos.models.checkpoints import save_weights
    from covos.models.follow import CovosFollow
    from covos.models.registry import find_model

    torch.manual_seed(0)
    network = CovosFollow()
    torch.nn.init.constant_(network.decoder.judge[2].bias, 5.0)
    # By chance the logits are between -0.16 and -0.02: the object is then nowhere. So it is in a part of the frame.
    network.decoder.logit.bias.data += 0.09
    path = tmp_path_factory.mktemp("weights") / "follow.safetensors"
    card = Card(
        name="covos-follow",
        architecture="follow",
        version="0",
        commit="",
        recipe={"encoder_sha256": find_model("covos-lite").card.sha256},
        data=(),
        scores={},
        licence="none",
    )
    save_weights(path, network, card=card)
    return path


MakeInfo = Callable[..., SourceInfo]
MakeResult = Callable[..., FrameResult]


def source_info(**changes: object) -> SourceInfo:
    """Return the facts of a small clip, with changes."""
    values: dict[str, object] = {
        "path": "clip.mp4",
        "kind": "video",
        "height": 48,
        "width": 64,
        "frame_count": 5,
        "frame_rate": Fraction(25),
        "duration": 0.2,
        "time_base": Fraction(1, 25),
    }
    return SourceInfo(**{**values, **changes})


@pytest.fixture
def info() -> MakeInfo:
    return source_info


@pytest.fixture
def result() -> MakeResult:
    def make(
        index: int = 0,
        *,
        stem: str | None = None,
        pts: int | None = None,
        size: tuple[int, int] = (48, 64),
        ids: tuple[int, ...] = (1,),
        confidence: float = 0.9,
        time_base: Fraction = Fraction(1, 25),
    ) -> FrameResult:
        labels = np.zeros(size, np.uint8)
        for place, identity in enumerate(ids):
            labels[size[0] // 4 : size[0] // 2, 4 + 12 * place + index % 4 : 12 + 12 * place + index % 4] = identity
        image = np.random.default_rng(index).integers(0, 90, (*size, 3), dtype=np.uint8)
        frame = Frame(
            index=index,
            stem=f"{index:05d}" if stem is None else stem,
            image=image,
            pts=index if pts is None else pts,
            time_base=time_base,
        )
        probability = (labels > 0).astype(np.float32)
        return FrameResult(frame=frame, probability=probability, labels=labels, confidence=confidence)

    return make


def tree(folder: Path) -> list[str]:
    """Every file below a folder, except covos's own list."""
    return sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".covos-files"
    )


@pytest.fixture(name="tree")
def _tree() -> Callable[[Path], list[str]]:
    return tree


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Ctrl-C is an error here, also if the tests were started in the background, where shells let it be ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
