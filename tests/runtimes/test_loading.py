"""Graphs are made once and kept; a damaged one is made anew, and where nothing can be kept, they are made each time."""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from pathlib import Path

import pytest
import torch
from torch import nn

from covos.core.errors import EnvironmentProblem, UsageError
from covos.core.files import LOCK, exclusive
from covos.models import registry
from covos.models.registry import build_any, find_model
from covos.runtimes import loading
from covos.runtimes.choice import Computing, Runtime, is_installed
from covos.runtimes.graphs import read_graphs
from covos.runtimes.kept import MOST, remove_unused
from covos.runtimes.loading import export_to, graphs_folder, ready
from covos.runtimes.sessions import load_program

pytest.importorskip("onnx")
ENTRY = find_model("covos-matte")
FOUND: Runtime | None = next((name for name in ("onnxruntime", "openvino") if is_installed(name)), None)  # type: ignore[arg-type]
pytestmark = pytest.mark.skipif(FOUND is None, reason="no runtime is installed")


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Path]:
    """The folders that graphs were made in; they are kept in a folder of the test's own."""
    folders: list[Path] = []
    export = loading.export

    def counted(*arguments: object, folder: Path, **others: object) -> object:
        folders.append(folder)
        return export(*arguments, folder=folder, **others)  # type: ignore[arg-type]

    monkeypatch.setattr(loading, "export", counted)
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda *_, **__: str(tmp_path / "caches"))
    return folders


def alpha() -> torch.Tensor:
    computing = Computing(torch.device("cpu"), torch.float32, FOUND or "torch")
    found = ready(build_any(ENTRY), entry=ENTRY, computing=computing)(torch.full((1, 16, 32, 32), 0.5))
    assert isinstance(found, torch.Tensor)
    return found


def test_they_are_made_once(made: list[Path], tmp_path: Path) -> None:
    first = alpha()
    assert torch.equal(alpha(), first)
    assert len(made) == 1
    assert [each.name for each in (tmp_path / "caches" / "graphs").iterdir()] == [graphs_folder(ENTRY).name]
    (graphs_folder(ENTRY) / "covos-matte.solve.onnx").write_bytes(b"not a graph")
    assert torch.equal(alpha(), first)
    assert len(made) == 2
    (graphs_folder(ENTRY) / "covos-matte.graphs.json").write_text("{")
    assert torch.equal(alpha(), first)
    assert len(made) == 3


def test_graphs_that_nobody_uses_are_removed_when_others_are_made(made: list[Path], tmp_path: Path) -> None:
    root = tmp_path / "caches" / "graphs"
    days = {"old": 31, "recent": 29, "left": 2, "being made": 0}
    names = {"old": f"{1:016x}-{2:016x}", "recent": f"{1:016x}-{3:016x}"}
    names |= {"left": f".{names['old']}.abc", "being made": f".{names['recent']}.def"}
    for each, name in names.items():
        (root / name).mkdir(parents=True)
        (root / name / "a.onnx").write_text("")
        aged(root / name, days=days[each])
    (root / "of somebody else").mkdir()
    aged(root / "of somebody else", days=99)
    alpha()
    own = graphs_folder(ENTRY)
    assert {each.name for each in root.iterdir()} == {
        own.name,
        names["recent"],
        names["being made"],
        "of somebody else",
    }
    # A use is noted, so that those in use are never old.
    aged(own, days=40)
    alpha()
    assert len(made) == 1
    assert time.time() - own.stat().st_mtime < 3600


def test_those_used_last_are_kept_where_there_are_many(tmp_path: Path) -> None:
    for number in range(MOST + 3):
        folder = tmp_path / f"{number:016x}-{0:016x}"
        folder.mkdir()
        aged(folder, days=number / 10)
    processes = [threading.Thread(target=remove_unused, args=(tmp_path,)) for _ in range(3)]
    for each in processes:
        each.start()
    for each in processes:
        each.join()
    assert sorted(int(each.name[:16], 16) for each in tmp_path.iterdir()) == list(range(MOST))
    remove_unused(tmp_path / "nothing")


def aged(folder: Path, *, days: float) -> None:
    then = time.time() - days * 24 * 3600
    os.utime(folder, (then, then))


def test_another_release_makes_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    before = graphs_folder(ENTRY)
    assert graphs_folder(ENTRY) == before
    monkeypatch.setattr(loading, "__version__", "99")
    assert graphs_folder(ENTRY) != before
    monkeypatch.undo()
    monkeypatch.setattr(loading, "_code", lambda: "other code")
    assert graphs_folder(ENTRY) != before


def test_where_nothing_can_be_kept_they_are_made_each_time(made: list[Path], tmp_path: Path) -> None:
    (tmp_path / "caches").write_text("a file where the folder should be")
    assert torch.equal(alpha(), alpha())
    assert len(made) == 2
    assert not any(folder.exists() for folder in made)


def test_export_overwrites_only_if_asked(tmp_path: Path) -> None:
    card = export_to(tmp_path / "new", entry=ENTRY)
    assert card.weights_sha256 == ENTRY.card.sha256
    (graph,) = card.graphs
    assert graph.inputs[0].shape == ("B", 16, "H", "W")
    assert graph.difference is not None
    with pytest.raises(UsageError, match="exists"):
        export_to(tmp_path / "new", entry=ENTRY)
    shutil.rmtree(tmp_path / "new")
    (tmp_path / "new").write_text("")
    with pytest.raises(EnvironmentProblem, match="cannot be made"):
        export_to(tmp_path / "new", entry=ENTRY)
    assert read_graphs(ENTRY, tmp_path) is None


def test_two_exports_never_write_to_one_folder(tmp_path: Path) -> None:
    with exclusive(tmp_path / LOCK), pytest.raises(EnvironmentProblem, match="is in use") as refused:
        export_to(tmp_path, entry=ENTRY, overwrite=True)
    assert f"another covos works in it: process {os.getpid()} on " in refused.value.why
    assert refused.value.fix == "wait until it is done, or choose another folder"
    assert not list(tmp_path.glob("*.onnx"))


def test_without_onnx_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(EnvironmentProblem, match=r"covos\[onnx\]"):
        export_to(tmp_path, entry=ENTRY)


def test_a_runtime_that_cannot_be_imported_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, FOUND or "", None)
    with pytest.raises(EnvironmentProblem, match="cannot be loaded"):
        load_program(tmp_path / "any.onnx", runtime=FOUND or "", precision=torch.float32, exact=True)


def test_a_network_that_was_added_has_no_stages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.NETWORKS, "mine", nn.Identity)
    mine = ENTRY.card.model_copy(update={"architecture": "mine"})
    with pytest.raises(UsageError, match="cannot be exported"):
        export_to(tmp_path, entry=registry.ModelEntry(name="mine", path=ENTRY.path, card=mine))
