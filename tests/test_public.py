"""The public face of the package: exactly these names, each of which is there."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from types import FunctionType, ModuleType
from typing import get_args, get_type_hints

import pytest

import covos
from covos import evaluation
from covos.core import errors

SOURCES = Path(covos.__file__).parents[1]


def test_all_is_exactly_the_public_names() -> None:
    # In a fresh process: a test that imported covos.media has made `media` an attribute of the package.
    code = "import covos; print(*[name for name in vars(covos) if not name.startswith('_')], *covos.__all__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == set(covos.__all__)
    assert dir(covos) == covos.__all__


def test_all_is_sorted_and_without_repeats() -> None:
    assert covos.__all__ == sorted(set(covos.__all__))


@pytest.mark.parametrize("name", covos.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(covos, name) is not None


def _typed(name: str) -> list[FunctionType | type]:
    """What a public name brings that may have type hints: functions, classes and their methods."""
    value = getattr(covos, name)
    if isinstance(value, ModuleType):
        own = [key for key, each in vars(value).items() if getattr(each, "__module__", "") == value.__name__]
        values = [getattr(value, each) for each in getattr(value, "__all__", own)]
    else:
        values = [value]
    classes = [each for each in values if inspect.isclass(each)]
    inside = [each for kind in classes for key, each in vars(kind).items() if key == "__init__" or key[0] != "_"]
    found = [each.fget if isinstance(each, property) else getattr(each, "__func__", each) for each in values + inside]
    return [each for each in found if inspect.isclass(each) or inspect.isfunction(each)]


@pytest.mark.parametrize("name", covos.__all__)
def test_the_types_of_every_public_name_are_found(name: str) -> None:
    """Tools that read signatures as they run (pydantic, typer, notebooks) ask for them so."""
    for each in _typed(name):
        get_type_hints(each)


def test_a_name_that_is_none() -> None:
    with pytest.raises(AttributeError, match="attribute segmnet"):
        covos.segmnet  # noqa: B018


def test_the_whole_error_tree_is_public() -> None:
    tree = {name for name, value in vars(errors).items() if inspect.isclass(value) and issubclass(value, Exception)}
    assert tree <= set(covos.__all__)


ROOTS = ("Event", "LadderStep", "FrameResult", "PromptedMask", "Segmentation", "TrainingResult")
"""What functions give back, and what they tell those who listen."""
INSIDE = {"held", "composition", "given", "later"}
"""Attributes by which a result is computed, with what the user has passed in."""


def test_all_that_events_and_results_are_made_of_is_public() -> None:
    """A user may want to name each type that comes out: in a signature, in `isinstance`, in `match`."""
    faces = (covos, evaluation, covos.training, covos.data, covos.models)
    public = {id(getattr(face, name)) for face in faces for name in face.__all__}
    roots = [getattr(covos, name) for name in ROOTS]
    todo = [evaluation.Evaluation, *(kind for root in roots for kind in (get_args(root) or (root,)))]
    seen: set[int] = set()
    while todo:
        kind = todo.pop()
        if id(kind) not in seen:
            seen.add(id(kind))
            assert id(kind) in public, kind
            todo += told_by(kind)
    assert {id(each) for each in (covos.Health, covos.RLE, covos.SourceInfo)} <= seen


def told_by(kind: type) -> list[type]:
    """Return the classes of this package that the public attributes of a class are annotated with."""
    module = inspect.getmodule(kind)
    assert module is not None
    homes = dict(vars(module))
    for node in ast.walk(ast.parse(inspect.getsource(module))):  # also what only type checkers import
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("covos."):
            homes |= {each.name: getattr(importlib.import_module(node.module or ""), each.name) for each in node.names}
    stated = {name: str(each) for name, each in vars(kind).get("__annotations__", {}).items()}
    for name, each in vars(kind).items():
        if isinstance(each, property):
            stated[name] = str(inspect.get_annotations(each.fget or told_by).get("return"))
        elif name in stated and type(each).__module__.startswith("covos.") and hasattr(type(each), "__get__"):
            stated[name] = str(inspect.get_annotations(type(each).__get__).get("return"))
    words = {
        word
        for name, text in stated.items()
        if not name.startswith("_") and name not in INSIDE
        for word in re.findall(r"\w+", text)
    }
    found = [homes[word] for word in sorted(words) if inspect.isclass(homes.get(word))]
    return [each for each in found if each.__module__.startswith("covos.")]


def test_type_checkers_see_each_name_once() -> None:
    stub = Path(covos.__file__).with_suffix(".pyi").read_text()
    seen = [alias.asname for node in ast.parse(stub).body if isinstance(node, ast.ImportFrom) for alias in node.names]
    assert sorted(seen) == covos.__all__


FUNCTIONS = ["convert", "correct", "evaluate", "load_model", "load_result", "reproduce_davis2016", "segment", "stream"]
SECOND = {"evaluate": ["truth"], "correct": ["output"]}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_only_the_first_argument_may_be_positional(name: str) -> None:
    _, *others = inspect.signature(getattr(covos, name)).parameters.values()
    positional = [parameter.name for parameter in others if parameter.kind is not parameter.KEYWORD_ONLY]
    assert positional == SECOND.get(name, [])


REACH = """
import sys
import covos
for dotted in sys.argv[1:]:
    value = covos
    for name in dotted.split(".")[1:]:
        if name not in dir(value):
            print(dotted)
            break
        value = getattr(value, name)
"""
"""Says which of the names that it is given cannot be reached by `import covos` alone: a package also has the modules in
it, but only once one of the names before has brought them, so what it promises counts."""


def test_names_of_the_documents_are_reached_by_import_covos_alone() -> None:
    # In a fresh process, as a reader's is: a test that imported covos.predict has made it an attribute of the package.
    # A longer name, such as covos.engines.motion, says where code lies, and is not meant to be called.
    root = Path(__file__).parents[1]
    text = "".join(page.read_text(encoding="utf-8") for page in [root / "README.md", *(root / "docs").glob("*.md")])
    text = re.sub(r"^from covos\.\S+ import", "", text, flags=re.MULTILINE)  # it brings the module that it names
    named = set(re.findall(r"(?<![\w./-])covos\.[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*(?!\w*/)", text)) - {"covos.json"}
    public = sorted(name for name in named if name.split(".")[1] in covos.__all__)
    assert {"covos.predict.predict", "covos.evaluation.flicker", "covos.correct"} <= set(public)
    done = subprocess.run([sys.executable, "-c", REACH, *public], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


BEFORE = """
import ast, importlib, pkgutil, sys
from pathlib import Path
import covos
for place in sys.argv[1:]:
    package = importlib.import_module(place)
    for module in pkgutil.iter_modules(package.__path__, f"{place}."):
        if module.name != "covos.__main__":
            importlib.import_module(module.name)
    promised = {}
    for node in ast.parse(Path(package.__file__).with_suffix(".pyi").read_text()).body:
        for each in node.names if isinstance(node, ast.ImportFrom) else ():
            home = importlib.import_module("." * node.level + (node.module or ""), package.__spec__.parent)
            promised[each.asname] = getattr(home, each.name)
    assert sorted(promised) == sorted(package.__all__) == sorted(dir(package)), place
    for name, thing in promised.items():
        if getattr(package, name) is not thing:
            print(place, name)
"""
"""Says which names of lazy packages are not what their stubs promise, once all modules in them are loaded."""
LAZY = sorted(str(stub.parent.relative_to(SOURCES)).replace("/", ".") for stub in SOURCES.rglob("__init__.pyi"))


def test_a_lazy_package_gives_what_its_stub_promises_whatever_was_imported_before() -> None:
    assert {"covos", "covos.evaluation", "covos.models", "covos.training"} <= set(LAZY)
    done = subprocess.run([sys.executable, "-c", BEFORE, *LAZY], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_installed_version_is_that_of_the_source() -> None:
    assert version("covos") == covos.__version__
    assert re.fullmatch(r"\d+\.\d+\.\d+", covos.__version__)


def test_the_package_says_that_it_is_typed() -> None:
    assert Path(covos.__file__).with_name("py.typed").is_file()
