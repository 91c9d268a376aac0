from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest

from covos import cli
from covos.cli import checks
from covos.models import registry


@pytest.fixture(autouse=True)
def _own_temporary_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def test_this_installation_is_healthy(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code = cli.main(["doctor", "--json"])
    found = {check["name"]: check for check in json.loads(capsys.readouterr().out)}
    assert {name: check["found"] for name, check in found.items() if not check["ok"]} == {}
    assert code == 0
    assert {"torch", "av", "FFmpeg encoders", "device", "weights", "write and read a video"} <= set(found)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_check_is_shown_and_the_others_run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "ENCODERS", ("libx264", "no-such-codec"))
    assert cli.main(["doctor"]) == 5
    captured = capsys.readouterr()
    assert "FAIL" in captured.out
    assert "no-such-codec" in captured.out
    assert "write and read a mask" in captured.out
    assert captured.err.splitlines()[1] == "  why: FFmpeg encoders"


def test_damaged_weights_are_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    entry = registry.find_model(registry.DEFAULT_MODEL)
    damaged = tmp_path / "covos-lite.safetensors"
    damaged.write_bytes(entry.path.read_bytes()[:-1] + b"\x00")
    broken = registry.ModelEntry(name=entry.name, path=damaged, card=entry.card)
    monkeypatch.setattr(registry, "list_models", lambda: (broken,))
    (weights,) = [check for check in checks.run_checks() if check.name == "weights"]
    assert not weights.ok
    assert "damaged" in weights.found


def test_missing_weights_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "list_models", tuple)
    (weights,) = [check for check in checks.run_checks() if check.name == "weights"]
    assert (weights.ok, "covos-lite is missing" in weights.found) == (False, True)
