from __future__ import annotations

import json
from pathlib import Path

import pytest

from covos import cli
from covos.models import registry
from covos.models.cards import Card


@pytest.fixture
def two_models(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    entries = []
    for name in ("covos-lite", "covos-other"):
        path = tmp_path / f"{name}.safetensors"
        path.write_bytes(bytes(1_500_000))
        card = Card(
            name=name,
            architecture="lite",
            version="0.1.0",
            commit="",
            recipe={},
            data=({"name": "davis2016", "items": 30, "licence": "CC BY-NC"},),
            scores={"val_open": {"J": 0.75, "F": 0.5, "sequences": {"dog": [0.75, 0.5]}}},
            licence="CC BY-NC",
            parameters=3_300_000,
            sha256="00ff",
        )
        entries.append(registry.ModelEntry(name=name, path=path, card=card))
    monkeypatch.setattr(registry, "list_models", lambda: tuple(entries))


@pytest.mark.usefixtures("two_models")
def test_a_block_for_each_model(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert cli.main(["models", "list"]) == 0
    first, second = capsys.readouterr().out.split("\n\n")
    assert [line.rstrip() for line in first.splitlines()] == [
        "covos-lite (default)",
        "  network     lite, 3.3 M weights",
        "  file        1.5 MB",
        "  score       J 0.750, F 0.500 (val_open)",
        "  trained on  davis2016 (30)",
        "  licence     CC BY-NC",
    ]
    assert second.splitlines()[0] == "covos-other"


def test_embedded_models_are_readable_on_a_narrow_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    assert cli.main(["models", "list"]) == 0
    out = capsys.readouterr().out
    assert all(len(line) <= 60 for line in out.splitlines())
    words = " ".join(out.split())
    for entry in registry.list_models():
        assert entry.card.licence in words, "nothing is cut off"
        assert ", ".join(f"{data['name']} ({data['items']})" for data in entry.card.data) in words


@pytest.mark.usefixtures("two_models")
def test_json_has_the_whole_card(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["models", "list", "--json"]) == 0
    first, second = json.loads(capsys.readouterr().out)
    assert (first["name"], first["default"], second["default"]) == ("covos-lite", True, False)
    assert first["card"]["scores"]["val_open"]["sequences"] == {"dog": [0.75, 0.5]}
    assert Path(first["path"]).name == "covos-lite.safetensors"
