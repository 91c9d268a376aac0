"""Weights that are none, as a user meets them: ``covos models convert`` and ``-m``, with their exit codes."""

from __future__ import annotations

import builtins
import os
import pickle
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from covos import cli
from covos.core.limits import Limits
from covos.core.records import write_record
from covos.models.cards import Card, card_path, sha256_of
from covos.models.cosnet.network import COSNETS
from covos.models.registry import find_model

State = dict[str, Tensor]
Capture = pytest.CaptureFixture[str]


class Attack:
    """A pickle that makes a folder when it is unpickled."""

    def __init__(self, marker: Path, function: Callable[..., object]) -> None:
        self.marker = str(marker)
        self.function = function

    def __reduce__(self) -> tuple[object, ...]:
        if self.function is builtins.exec:
            return builtins.exec, (f"import os; os.mkdir({self.marker!r})",)
        return self.function, (f"mkdir {self.marker}" if self.function is os.system else self.marker,)


ATTACKS = {"os.mkdir": os.mkdir, "os.system": os.system, "exec": builtins.exec}


@pytest.fixture
def published(literal: ModuleType, monkeypatch: pytest.MonkeyPatch) -> State:
    """COSNet's tensors, at an eighth of the width."""
    monkeypatch.setitem(COSNETS, "cosnet_resnet50", replace(COSNETS["cosnet_resnet50"], width=8))
    state: State = literal.random_state("resnet50", outputs=1, still=True, contrast=0.3, base=8)
    return state


def convert(source: Path, capsys: Capture) -> tuple[int, list[str]]:
    """The exit code of a conversion that must fail, and the three lines that it said. Nothing may be left behind."""
    before = sorted(source.parent.iterdir())
    code = cli.main(["models", "convert", str(source), "-o", str(source.with_name("o.safetensors"))])
    said = capsys.readouterr()
    assert said.out == ""
    assert sorted(source.parent.iterdir()) == before
    lines = said.err.splitlines()
    assert [line[:7] for line in lines] == ["error: ", "  why: ", "  fix: "]
    assert str(source) in lines[0]
    return code, lines


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("form", ["zip", "old", "pickle 2", "pickle 4"])
def test_code_in_a_checkpoint_is_not_run(tmp_path: Path, capsys: Capture, attack: str, form: str) -> None:
    marker, source = tmp_path / "executed", tmp_path / "attack.pth"
    content = {"model": {"w": torch.zeros(1)}, "extra": Attack(marker, ATTACKS[attack])}
    if form.startswith("pickle"):
        source.write_bytes(pickle.dumps(content["extra"], protocol=int(form[-1])))
    else:
        torch.save(content, source, _use_new_zipfile_serialization=form == "zip")
    # The attack is real: whoever loads the file in the usual way runs it.
    pickle.loads(source.read_bytes()) if form.startswith("pickle") else torch.load(source, weights_only=False)
    marker.rmdir()
    code, lines = convert(source, capsys)
    assert code == 3
    if form == "pickle 4":  # torch has never written it, and stops at its first byte
        assert lines[0].endswith("is no PyTorch checkpoint, or is damaged")
    else:
        assert lines[0].endswith("holds code")
        assert "nothing was run" in lines[1]
    assert not marker.exists()


def test_a_text_file_is_told_by_how_it_begins(tmp_path: Path, capsys: Capture) -> None:
    source = tmp_path / "notes.pth"
    source.write_text("hello")
    assert convert(source, capsys) == (
        3,
        [
            f"error: {source} is no PyTorch checkpoint",
            "  why: it begins with 'hello', neither a zip file nor a pickle",
            "  fix: give a file that torch.save wrote, usually a .pth",
        ],
    )


def test_a_download_that_broke_off_is_told_to_be_cut_short(tmp_path: Path, capsys: Capture) -> None:
    source = tmp_path / "cut.pth"
    torch.save({"w": torch.zeros(3000)}, source)
    source.write_bytes(source.read_bytes()[:5000])
    _, lines = convert(source, capsys)
    assert lines[1] == "  why: it ends before its table of contents: it was cut short"


def test_code_in_weights_that_call_themselves_safetensors_is_not_run(
    tmp_path: Path, clip: Path, capsys: Capture
) -> None:
    """With a card that fits."""
    marker, source = tmp_path / "executed", tmp_path / "attack.safetensors"
    source.write_bytes(pickle.dumps(Attack(marker, os.mkdir), protocol=2))
    card = Card(
        name="mine", architecture="lite", version="0", commit="", recipe={}, data=(), scores={}, licence="none",
        sha256=sha256_of(source),
    )  # fmt: skip
    write_record(card, card_path(source))
    code, said = segment(source, clip, capsys)
    assert code == 3
    assert "cannot be read as weights" in said
    assert said.count("\n") == 3
    assert not marker.exists()


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.999])
def test_a_cut_checkpoint(published: State, tmp_path: Path, capsys: Capture, share: float, old: bool) -> None:
    source = tmp_path / "cut.pth"
    torch.save(published, source, _use_new_zipfile_serialization=not old)
    source.write_bytes(source.read_bytes()[: int(share * source.stat().st_size)])
    code, lines = convert(source, capsys)
    assert code == 3
    assert "damaged" in lines[0]


HARMS: dict[str, tuple[Callable[[State], object], str]] = {
    "another network": (lambda s: (s.clear(), s.update({"fc.weight": torch.zeros(2, 2)})), "no checkpoint of COSNet"),
    "another depth": (lambda s: s.update({"encoder.layer3.35.conv1.weight": torch.zeros(1)}), "another network"),
    "another shape": (lambda s: s.update({"gate.weight": torch.zeros(1, 16, 1, 1)}), "does not fit cosnet_resnet50"),
    "NaN": (lambda s: s["linear_e.weight"].view(-1)[3:4].fill_(torch.nan), "numbers that are none"),
    "infinity": (lambda s: s["encoder.bn1.running_var"][:1].fill_(torch.inf), "numbers that are none"),
    "infinity in float32": (
        lambda s: s.update({"gate.weight": torch.full((1, 32, 1, 1), 1e300, dtype=torch.float64)}),
        "numbers that are none",
    ),
    "sparse": (lambda s: s.update({"x": torch.eye(3).to_sparse()}), "no weights"),
    "quantised": (
        lambda s: s.update({"x": torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8)}),
        "no weights",
    ),
    "complex": (lambda s: s.update({"x": torch.ones(3, dtype=torch.complex64)}), "no weights"),
    "without numbers": (lambda s: s.update({"x": torch.ones(3, device="meta")}), "no weights"),
    "stretched": (lambda s: s.update({"x": torch.ones(1).expand(2**40)}), "too large"),
    "two of one name": (lambda s: s.update({"module.gate.weight": s["gate.weight"]}), "two tensors of one name"),
}


@pytest.mark.filterwarnings("ignore:.*quantiz:UserWarning", "ignore:.*quantiz:DeprecationWarning")
@pytest.mark.parametrize("harm", HARMS)
def test_what_does_not_fit(published: State, tmp_path: Path, capsys: Capture, harm: str) -> None:
    damage, reason = HARMS[harm]
    damage(published)
    torch.save(published, tmp_path / "bad.pth")
    code, lines = convert(tmp_path / "bad.pth", capsys)
    assert code == 3
    assert reason in lines[0]


def test_a_program_is_no_checkpoint(tmp_path: Path, capsys: Capture) -> None:
    with zipfile.ZipFile(tmp_path / "script.pth", "w") as archive:  # what torch tells a TorchScript file by
        for name in ("data.pkl", "constants.pkl", "version"):
            archive.writestr(f"script/{name}", pickle.dumps({}) if name != "version" else b"3\n")
    code, lines = convert(tmp_path / "script.pth", capsys)
    assert code == 3
    assert "TorchScript" in lines[1]


def test_a_zip_that_grows(tmp_path: Path, capsys: Capture, limited: Callable[..., Limits]) -> None:
    """Torch packs without compression; a file that is packed with it may be any size inside."""
    torch.save({"w": torch.zeros(100_000)}, tmp_path / "flat.pth")
    with zipfile.ZipFile(tmp_path / "flat.pth") as flat, zipfile.ZipFile(tmp_path / "bomb.pth", "w") as bomb:
        for part in flat.infolist():
            bomb.writestr(part.filename, flat.read(part), zipfile.ZIP_DEFLATED)
    (tmp_path / "flat.pth").unlink()
    assert (tmp_path / "bomb.pth").stat().st_size < 10_000
    limited(weights=100_000)
    code, lines = convert(tmp_path / "bomb.pth", capsys)
    assert code == 3
    assert "unpacked" in lines[1]


def weights_with(harm: Callable[[State], object], folder: Path) -> Path:
    """A copy of covos-lite with other tensors and a card that fits the file."""
    entry, path = find_model("covos-lite"), folder / "mine.safetensors"
    state = load_file(entry.path)
    harm(state)
    save_file(state, path)
    write_record(entry.card.model_copy(update={"sha256": sha256_of(path)}), card_path(path))
    return path


def segment(weights: Path, clip: Path, capsys: Capture) -> tuple[int, str]:
    out = weights.with_name("out")
    code = cli.main(["segment", str(clip), "-m", str(weights), "-o", str(out), "--device", "cpu", "-q"])
    assert not out.exists()
    return code, capsys.readouterr().err


LOADED: dict[str, tuple[Callable[[State], object], str]] = {
    "NaN": (lambda s: s["still.bias"].fill_(torch.nan), "NaN or infinity in still.bias"),
    "a tensor too few": (lambda s: s.pop("still.bias"), "still.bias is missing"),
    "another network": (lambda s: (s.clear(), s.update({"fc.weight": torch.zeros(2, 2)})), "does not fit CovosLite"),
}


@pytest.mark.parametrize("harm", LOADED)
def test_weights_that_do_not_fit_are_not_used(tmp_path: Path, clip: Path, capsys: Capture, harm: str) -> None:
    damage, reason = LOADED[harm]
    code, said = segment(weights_with(damage, tmp_path), clip, capsys)
    assert code == 3
    assert reason in said


def test_damaged_weights_are_not_used(tmp_path: Path, clip: Path, capsys: Capture) -> None:
    path = weights_with(lambda _: None, tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    code, said = segment(path, clip, capsys)
    assert code == 3
    assert "is damaged" in said
    write_record(find_model("covos-lite").card.model_copy(update={"sha256": sha256_of(path)}), card_path(path))
    code, said = segment(path, clip, capsys)
    assert code == 3
    assert "cannot be read as weights" in said


def test_weights_of_another_network_than_the_card_says(tmp_path: Path, clip: Path, capsys: Capture) -> None:
    path = weights_with(lambda _: None, tmp_path)
    card = find_model("covos-lite").card
    other = card.model_copy(update={"architecture": "cosnet_resnet50", "sha256": sha256_of(path)})
    write_record(other, card_path(path))
    code, said = segment(path, clip, capsys)
    assert code == 3
    assert "does not fit Cosnet" in said


def test_weights_of_any_size_are_not_read(
    tmp_path: Path, clip: Path, capsys: Capture, limited: Callable[..., Limits]
) -> None:
    weights = weights_with(lambda _: None, tmp_path)
    limited(weights=1000)
    code, said = segment(weights, clip, capsys)
    assert code == 3
    assert "more than 1000 bytes" in said
    assert "--limit weights=" in said


def test_a_published_checkpoint_is_to_be_converted_first(tmp_path: Path, clip: Path, capsys: Capture) -> None:
    torch.save({"w": torch.zeros(1)}, tmp_path / "theirs.pth")
    code, said = segment(tmp_path / "theirs.pth", clip, capsys)
    assert code == 3
    assert "covos models convert" in said
