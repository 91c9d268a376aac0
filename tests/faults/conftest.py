"""What the faults share: a model in a millisecond, and the program whose system calls fail."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from covos.model import Model
from faults.sweep import preloaded
from faults.warm import warm
from stub_model import bright_model


@pytest.fixture(scope="session")
def bright() -> Model:
    warm()
    return bright_model()


@pytest.fixture(scope="session")
def failing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[subprocess.Popen[str]]:
    with preloaded(tmp_path_factory.mktemp("shim")) as process:
        if process is None:
            pytest.skip("system calls are made to fail on Linux, with a C compiler; test_disk_full.py needs neither")
        yield process
