"""The parts of the benchmarks that can be wrong without anyone noticing."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from importlib import util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from covos.core.types import Frame, Point
from covos.data import open_dataset
from covos.model import load_model
from covos.models.registry import build_network, find_model
from covos.training.registry import load_recipe

FOLDER = Path(__file__).parents[1] / "benchmarks"
SHARED = {
    "accuracy_plot", "comparison", "contact", "corrections_page", "damage_inputs", "digest_api", "digest_inputs",
    "digest_values", "identity", "masks_of_alpha", "recorded", "render_sprites", "scenes_composed",
    "scenes_crowds", "scenes_staged", "scenes_touching", "scenes_twins", "tables",
}  # fmt: skip
"""Modules of the benchmarks that are no benchmark by themselves."""


@pytest.fixture
def module(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = util.spec_from_file_location(f"benchmark_{request.param}", FOLDER / f"{request.param}.py")
    assert spec is not None
    assert spec.loader is not None
    if request.param == "render_sprites":
        pytest.importorskip("mitsuba", reason="the renderer is not installed: pip install --group render")
    found = util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, found)
    monkeypatch.syspath_prepend(FOLDER)
    spec.loader.exec_module(found)
    return found


@pytest.mark.parametrize("module", ["ablations"], indirect=True)
def test_a_plan_gives_each_variant_each_seed(module: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "variants.toml"
    path.write_text(
        'base = "lite-finetune"\nweights = "covos-lite"\nsteps = 7\nseeds = [3, 4]\n'
        "[set]\ncrops = [[64, 96]]\ncrop_chances = [1.0]\n[variants.base]\n[variants.still]\nmotion_share = 0.0\n"
        '[variants.fresh]\nbase = "lite"\nweights = ""\nsteps = 9\n'
    )
    runs = module.plan(path)
    assert [run.name for run in runs] == [f"{name}-seed{k}" for k in (3, 4) for name in ("base", "still", "fresh")]
    recipes = {run.name: load_recipe(run.recipe, overrides=run.overrides) for run in runs}
    still = recipes["still-seed4"]
    assert (still.steps, still.seed, still.crops, still.motion_share) == (7, 4, ((64, 96),), 0.0)
    assert still.validate_every == 0
    assert recipes["base-seed3"].motion_share == load_recipe("lite-finetune").motion_share
    assert recipes["fresh-seed3"].steps == 9
    assert [run.weights for run in runs[:3]] == ["covos-lite", "covos-lite", ""]
    path.write_text("steps = 7\nvariant = 1\n")
    with pytest.raises(SystemExit, match="unknown: variant"):
        module.plan(path)


@pytest.mark.parametrize("module", ["ablations"], indirect=True)
def test_the_table_has_means_and_deviations(module: ModuleType) -> None:
    def result(variant: str, seed: int, j: float) -> dict[str, object]:
        return {"variant": variant, "seed": seed, "scores": dict.fromkeys(module.COLUMNS, 0.5) | {"J": j}}

    lines = list(module.table([result("a", 0, 0.6), result("b", 0, 0.9), result("a", 1, 0.8)]))
    assert lines[2].startswith("| a | 2 | 0.700 ± 0.141 | 0.500 ± 0.000 |")
    assert lines[3].startswith("| b | 1 | 0.900 | 0.500 |")


@pytest.mark.parametrize("module", ["attention"], indirect=True)
def test_attention_that_looks_everywhere_and_at_one_cell(module: ModuleType) -> None:
    subject = np.zeros((3, 4), np.float32)
    subject[1, 1:4] = 1
    subjects = np.zeros((2, 3, 4), np.float32)
    subjects[0, 0, 0] = subjects[1, 2, 2] = 1
    maps = np.full((3, 4, 2, 3, 4), 1 / 24, np.float32)
    frame = Frame(index=0, stem="0", image=np.zeros((48, 64, 3), np.uint8), pts=0, time_base=Fraction(1))
    look = module.Look(frame=frame, subject=subject, references=(), subjects=subjects, maps=maps)
    assert look.center() == (1, 2)
    assert look.entropy() == pytest.approx(1)
    assert look.on_subject() == pytest.approx(2 / 24)
    maps[:] = 0
    maps[..., 1, 2, 2] = 1
    assert look.entropy() == pytest.approx(0)
    assert look.on_subject() == pytest.approx(1)


@pytest.mark.parametrize("module", ["accuracy"], indirect=True)
def test_qualities_are_measured_instead_of_the_settings(module: ModuleType) -> None:
    lite = build_network(find_model("covos-lite"))
    rows = list(module.settings("covos-lite", lite, grid=False, qualities=("fast", "balanced")))
    assert [row.quality for row in rows] == ["fast", "balanced"]
    assert rows[1] == next(module.settings("covos-lite", lite, grid=False))
    assert [str(row) for row in rows] == ["covos-lite, fast, 5 references", "covos-lite, 256 x 448, 5 references"]


@pytest.mark.parametrize("module", ["pictures"], indirect=True)
def test_pictures_are_scored_by_their_masks(module: ModuleType, tmp_path: Path) -> None:
    y, x = np.mgrid[:64, :96]
    for name, radius in (("a", 14), ("b", 20)):
        disk = (y - 32) ** 2 + (x - 48) ** 2 < radius**2
        for kind, picture in (("images", np.where(disk[..., None], [230, 90, 30], 70)), ("masks", disk * 255)):
            (tmp_path / kind).mkdir(exist_ok=True)
            Image.fromarray(picture.astype(np.uint8)).save(tmp_path / kind / f"{name}.png")
    model = load_model(device="cpu", precision="fp32")
    scores, milliseconds = module.measure(model, open_dataset(tmp_path), quality="fast", count=9)
    assert (scores.pictures, milliseconds > 0) == (2, True)
    assert 0 <= scores.mae < 0.5 < scores.max_f <= 1


@pytest.mark.parametrize("module", ["house"], indirect=True)
def test_circles_and_imports_that_go_up_are_found(module: ModuleType, tmp_path: Path) -> None:
    files = {
        "__init__": "",
        "api": "from covos import low",
        "low/__init__": "",
        "low/one": "from covos.low import two\ndef f():\n    from ..low import three",
        "low/two": "def f():\n    import covos.api",
        "low/three": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .one import f",
    }
    for name, text in files.items():
        path = tmp_path / "src" / "covos" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    contract = 'type = "layers"\ncontainers = ["covos"]\nlayers = ["api", "low"]'
    (tmp_path / "pyproject.toml").write_text(f"[[tool.importlinter.contracts]]\n{contract}\n")
    modules = module.modules_of(tmp_path / "src" / "covos")
    edges = module.edges_of(modules, {name: module.ast.parse(path.read_text()) for name, path in modules.items()})
    assert edges == {
        ("covos.api", "covos.low"): {"load"},
        ("covos.low.one", "covos.low.two"): {"load"},
        ("covos.low.one", "covos.low.three"): {"function"},
        ("covos.low.two", "covos.api"): {"function"},
        ("covos.low.three", "covos.low.one"): {"types"},
    }
    assert module.circles(list(edges)) == [["covos.low.one", "covos.low.three"]]
    assert module.circles([edge for edge, kinds in edges.items() if "types" not in kinds]) == []
    assert module.upward(list(edges), tmp_path) == [("covos.low.two", "covos.api")]


@pytest.mark.parametrize("module", ["trace"], indirect=True)
def test_a_point_is_found_in_what_holds_it(module: ModuleType) -> None:
    point = Point(x=module.X, y=module.Y)
    for value in (point, (module.X, module.Y, 1), f"{module.X},{module.Y}@3:1", {"a": [[(point,)]]}):
        assert module.holds(value, depth=4)
    for value in (replace(point, x=1.0), [module.X], f"{module.X}", [[[[[point]]]]], None):
        assert not module.holds(value, depth=4)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell it in this way")
@pytest.mark.parametrize("module", ["batch"], indirect=True)
def test_the_time_of_a_process_that_has_ended_counts(module: ModuleType) -> None:
    with module.Family() as family:
        subprocess.run([sys.executable, "-c", "import time\nwhile time.process_time() < 0.6: pass"], check=True)
    assert family.seconds > 0.3


@pytest.mark.parametrize("module", sorted(path.stem for path in FOLDER.glob("*.py")), indirect=True)
def test_what_a_benchmark_imports_is_there(module: ModuleType) -> None:
    assert module.__doc__
    assert callable(getattr(module, "main", None)) or module.__name__.removeprefix("benchmark_") in SHARED


def test_make_bench_runs_every_benchmark_and_gives_data_to_those_that_need_it() -> None:
    lines = (FOLDER.parent / "Makefile").read_text().splitlines()
    calls = [line.partition("benchmarks/")[2] for line in lines if line.startswith("\t$(BIN)/python benchmarks/")]
    there = {path.name for path in FOLDER.glob("*.py")} - {
        "ablations.py",
        "digest.py",
        "mutants.py",
        *(f"{name}.py" for name in SHARED),
    }
    assert {call.split()[0] for call in calls} == there
    needing = {name for name in there if re.search(r'"--data", .*required=True', (FOLDER / name).read_text())}
    assert needing >= {"accuracy.py", "composed.py"}
    assert not [call for call in calls if call.split()[0] in needing and "--data" not in call]
