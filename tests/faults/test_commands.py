"""Command lines at random, past the options: a true exit code comes out, and never a bug of ours."""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from covos import cli
from covos import job as jobs
from covos.model import Model, load_model
from covos.plan import Plan
from faults.command_lines import command_lines, make_inputs

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "12"))
CODES = {0, 2, 3, 4, 5}


@pytest.fixture(scope="module")
def quick() -> Iterator[None]:
    """The real model at a small size, loaded once; others are loaded as they are asked for."""
    model = load_model(device="cpu", precision="fp32")
    model.engine.encoder.area = 64 * 96
    load = jobs.load_planned

    def chosen(plan: Plan) -> Model:
        usual = plan.model == "covos-lite" and plan.device in {"auto", "cpu"} and plan.precision in {"auto", "fp32"}
        return model if usual else load(plan)

    with mock.patch.object(jobs, "load_planned", chosen):
        yield


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return make_inputs(tmp_path_factory.mktemp("commands") / "inputs")


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_command_line_ends_in_a_true_exit_code(
    quick: None, inputs: list[str], tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder, numbers = tmp_path_factory.mktemp("run"), itertools.count()

    def out() -> Path:
        return folder / f"out{next(numbers)}"

    line = data.draw(command_lines(inputs, out))
    said, shown = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(shown):
            code = cli.main(line)
        assert code in CODES, (line, said.getvalue())
        assert "bug of ours" not in said.getvalue(), (line, said.getvalue())
        assert code == 0 or "  fix: " in said.getvalue() or line[0] == "doctor", (line, code, said.getvalue())
        assert not [path for path in folder.rglob("*") if ".partial" in path.name]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
