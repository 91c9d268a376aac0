"""Signals: the step is finished, a checkpoint is written, and the run goes on as if nothing had been."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from covos.cli import main
from covos.core.signals import DeferredSignals
from covos.training import task
from covos.training.cosnet import CosnetTask
from seen import Seen

pytestmark = [
    pytest.mark.usefixtures("narrow"),
    pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals"),
]

Run = Callable[..., Seen]
SETTINGS = ("size=[48, 80]", "steps=4", "epochs=0", "validate_every=2", "checkpoint_every=4")


def signalling(function: Callable[..., object], *, call: int, number: int) -> Callable[..., object]:
    """The function, with a signal to this process before its n-th call."""
    calls = []

    def wrapped(*arguments: object, **named: object) -> object:
        calls.append(1)
        if len(calls) == call:
            os.kill(os.getpid(), number)
        return function(*arguments, **named)

    return wrapped


def same(one: Path, other: Path, *, name: str = "last") -> bool:
    first, second = (load_file(folder / f"{name}.safetensors") for folder in (one, other))
    return first.keys() == second.keys() and all(torch.equal(tensor, second[key]) for key, tensor in first.items())


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_in_a_step(
    run: Run,
    tianchi: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    number: int,
    code: int,
) -> None:
    run("cosnet-resnet50", tmp_path / "whole", *SETTINGS)
    sets = [word for setting in SETTINGS for word in ("--set", setting)]
    folder = tmp_path / "parts"
    command = ["train", "cosnet-resnet50", "--data", str(tianchi), "-o", str(folder), "--device", "cpu"]
    command += ["--precision", "fp32", "--workers", "0", "--no-check", *sets]
    original = CosnetTask.losses
    signalled = signalling(original, call=3, number=number)

    def losses(task: CosnetTask, network: torch.nn.Module, *batch: object, **named: object) -> object:
        # A measuring asks for losses, too, in evaluation mode.
        return (signalled if network.training else original)(task, network, *batch, **named)

    monkeypatch.setattr(CosnetTask, "losses", losses)
    assert main(command) == code
    said = capsys.readouterr().err
    assert f"stopped; {folder / 'checkpoint.pt'} is written: the same command goes on from there" in said
    assert torch.load(folder / "checkpoint.pt", weights_only=True)["step"] == 3
    assert {path.name for path in folder.glob("last*")} == set()
    monkeypatch.setattr(CosnetTask, "losses", original)
    assert main(command) == 0
    assert "starts from the checkpoint" in capsys.readouterr().err
    assert same(tmp_path / "whole", folder)


def test_a_signal_while_measuring(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The measurement is cut short, kept in mind, and made when the run goes on: even that after the last step."""
    run("cosnet-resnet50", tmp_path / "whole", *SETTINGS)
    original = task.validate
    for call, step in ((1, 2), (2, 4)):
        monkeypatch.setattr(task, "validate", signalling(original, call=call, number=signal.SIGINT))
        with pytest.raises(KeyboardInterrupt):
            run("cosnet-resnet50", tmp_path / "parts", *SETTINGS)
        assert torch.load(tmp_path / "parts" / "checkpoint.pt", weights_only=True)["step"] == step
    monkeypatch.setattr(task, "validate", original)
    assert run("cosnet-resnet50", tmp_path / "parts", *SETTINGS) == []
    assert same(tmp_path / "whole", tmp_path / "parts")
    assert same(tmp_path / "whole", tmp_path / "parts", name="best")
    scores = [json.loads((tmp_path / name / "best.json").read_text())["scores"] for name in ("whole", "parts")]
    assert scores[0] == scores[1] != {}


def test_outside_the_main_thread_nothing_is_changed() -> None:
    before = signal.getsignal(signal.SIGINT)
    inside = []

    def enter() -> None:
        with DeferredSignals() as signals:
            inside.append((signal.getsignal(signal.SIGINT), signals.number))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert inside == [(before, None)]


def test_the_second_signal_is_the_systems(monkeypatch: pytest.MonkeyPatch) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with DeferredSignals() as signals:
        os.kill(os.getpid(), signal.SIGTERM)
        assert signals.number == signal.SIGTERM
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
        with pytest.raises(SystemExit) as ended:
            signals.take_effect()
    assert ended.value.code == 143
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
