"""The site of the documentation, its pages that are made of the code, and the promises of the README."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml

import covos
from loaded import ROOT, load_module

DOCS = ROOT / "docs"


@pytest.mark.thorough  # `make docs` builds it as strictly, for every change (`.github/workflows/check.yml`)
@pytest.mark.skipif(find_spec("mkdocs") is None, reason="mkdocs is not installed: make docs installs it")
def test_the_site_is_built_without_a_warning_and_needs_no_network(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "ignore", "-m", "mkdocs", "build", "--quiet", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    pages = sorted((tmp_path / "site").rglob("*.html"))
    assert len(pages) > len(list(DOCS.glob("*.md")))
    for page in pages:
        fetched = re.findall(
            r"<(?:script|img|link)[^>]+(?:src|href)=\"(https?:[^\"]+)\"", page.read_text(encoding="utf-8")
        )
        assert not fetched, (page.name, fetched)


def test_every_page_has_a_place_in_the_navigation() -> None:
    named = re.findall(r"- (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    assert {page.name for page in DOCS.glob("*.md")} <= set(named)
    assert {f"notebooks/{page.stem}.md" for page in DOCS.glob("notebooks/*.ipynb")} <= set(named)
    assert len(named) == len(set(named))


@pytest.mark.parametrize("room", ["", "models", "training", "evaluation"])
def test_the_pages_of_the_api_have_every_public_name(room: str) -> None:
    module = getattr(covos, room) if room else covos
    # The rooms have pages of their own, and a thing that is public in covos as well is on the page of covos alone.
    left = {"data", "evaluation", "models", "predict", "training", "__version__"}
    if room:
        left = {name for name in module.__all__ if getattr(covos, name, None) is getattr(module, name)}
    every = {f"{module.__name__}.{name}" for name in module.__all__ if name not in left}
    page = (DOCS / (f"api-{room}.md" if room else "api.md")).read_text()
    assert set(re.findall(r"^::: (\S+)$", page, re.MULTILINE)) == every


def test_the_page_of_predict_has_its_functions_and_classes() -> None:
    module = importlib.import_module("covos.predict")
    page = (DOCS / "api-predict.md").read_text()
    named = re.findall(r"^::: covos\.predict\.(\S+)$", page, re.MULTILINE)
    assert sorted(named) == sorted(module.__all__)


def test_messages_are_read_from_the_code(tmp_path: Path) -> None:
    messages = load_module(DOCS / "tools" / "messages.py")
    (tmp_path / "a.py").write_text(
        "raise UsageError(f'{name} is not {kind}', why='a | b' if x else 'c', fix=one_of(name))\n"
        "raise UsageError(what, why='no words', fix='none')\nraise ValueError('of Python')\n"
    )
    assert messages.tables(tmp_path).splitlines()[-1] == r"| ... is not ... | a \| b / c | ... |"
    whole = messages.tables(ROOT / "src" / "covos")
    assert all(title in whole for title in messages.KINDS.values())


def test_a_notebook_becomes_a_page_with_its_pictures() -> None:
    notebooks = load_module(DOCS / "tools" / "notebooks.py")
    page, pictures = notebooks.as_markdown(DOCS / "notebooks" / "segment-and-look.ipynb")
    assert page.startswith("# ")
    assert "```python\n" in page
    assert pictures
    assert all(f"({name})" in page for name in pictures)


def test_figures_of_the_model_and_its_limits_are_those_that_the_script_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    figures = load_module(DOCS / "tools" / "figures.py")
    pages = "".join((DOCS / f"{name}.md").read_text() for name in ("explained", "limits", "formats"))
    assert set(re.findall(r"\(pictures/(\w+)\.webp\)", pages)) == set(figures.FIGURES)
    flow = np.zeros((4, 6, 2), np.float32)
    flow[:, :3, 0] = 2
    drawn = figures._coloured(flow)
    assert (drawn[0, 0] == (255, 0, 0)).all()  # to the right: red
    assert (drawn[0, 5] == 255).all()  # nothing moves: white


def test_pictures_are_small_and_the_film_moves() -> None:
    from PIL import Image

    sizes = {file.name: file.stat().st_size for file in (DOCS / "pictures").iterdir()}
    film = sizes.pop("demo.webp")
    assert film < 1_500_000
    assert max(sizes.values()) < 150_000
    with Image.open(DOCS / "pictures" / "demo.webp") as picture:
        assert picture.n_frames > 20


def test_targets_of_make_that_are_named_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([\w-]+):", makefile, re.MULTILINE))
    places = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS.glob("*.md"), *(ROOT / ".github").rglob("*.*")]
    for place in places:
        named = re.findall(r"(?:`|run: |^)make ([a-z][a-z0-9-]+)", place.read_text(encoding="utf-8"), re.MULTILINE)
        assert set(named) <= targets, (place, named)


WRITTEN = [
    *sorted((ROOT / ".github").rglob("*.yml")),
    *(ROOT / name for name in (".pre-commit-config.yaml", "CITATION.cff")),
]


@pytest.mark.parametrize("file", WRITTEN, ids=lambda file: file.name)
def test_workflows_templates_and_the_citation_can_be_read(file: Path) -> None:
    content: dict[Any, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    for job in content.get("jobs", {}).values():
        assert job["steps"] if "uses" not in job else (ROOT / job["uses"]).is_file()
        # The tests run what they say, with the least that they may do.
        assert content["permissions"] == {"contents": "read"}


def workflow(name: str) -> dict[Any, Any]:
    content: dict[Any, Any] = yaml.safe_load((ROOT / ".github" / "workflows" / name).read_text(encoding="utf-8"))
    return content


def test_a_release_waits_for_the_checks() -> None:
    jobs = workflow("release.yml")["jobs"]
    assert jobs["check"]["uses"] == "./.github/workflows/check.yml"
    assert "workflow_call" in workflow("check.yml")[True]  # YAML takes the word `on` for true
    assert (jobs["build"]["needs"], jobs["publish"]["needs"]) == ("check", "build")


def test_the_links_of_the_package_lead_to_the_repository_that_releases_it(monkeypatch: pytest.MonkeyPatch) -> None:
    hatchling = SimpleNamespace(MetadataHookInterface=object)  # it is there where packages are built
    monkeypatch.setitem(sys.modules, "hatchling.metadata.plugin.interface", hatchling)  # type: ignore[arg-type]
    hook = load_module(ROOT / "hatch_build.py").ProjectHook()
    hook.root = str(ROOT)
    monkeypatch.setenv("REPOSITORY_URL", "https://example.org/someone/covos/")
    metadata: dict[str, Any] = {"version": "1.2.3"}
    hook.update(metadata)
    base = "https://example.org/someone/covos"
    targets = re.findall(r"\]\(([^)]+)\)", metadata["readme"]["text"])
    assert f"{base}/raw/v1.2.3/docs/pictures/demo.webp" in targets
    assert f"{base}/blob/v1.2.3/docs/start.md#without-make" in targets
    assert "https://arxiv.org/abs/2001.06810" in targets
    assert all(target.startswith("https://") for target in targets)
    assert metadata["urls"]["Issues"] == f"{base}/issues"
    monkeypatch.delenv("REPOSITORY_URL")
    hook.update(metadata)
    assert metadata["readme"]["text"] == (ROOT / "README.md").read_text(encoding="utf-8")
    assert metadata["urls"] == {}
    for name, step in (("release.yml", "python -m build"), ("check.yml", "python -m pip wheel --no-deps -w dist .")):
        (env,) = [each["env"] for job in workflow(name)["jobs"].values() for each in job.get("steps", ())
                  if each.get("run") == step]  # fmt: skip
        assert env == {"REPOSITORY_URL": "${{ github.server_url }}/${{ github.repository }}"}


def test_the_package_names_the_systems_that_the_workflow_tests() -> None:
    matrix = workflow("check.yml")["jobs"]["tests"]["strategy"]["matrix"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = {
        each.split(" :: ")[-1].lower() for each in project["classifiers"] if each.startswith(("Operating", "Prog"))
    }
    systems = {"ubuntu-latest": "linux", "macos-latest": "macos", "windows-latest": "windows"}
    assert named == {*(systems[each] for each in matrix["os"]), *matrix["python"]}
