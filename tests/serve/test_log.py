"""The log of the server: requests, jobs and errors, and nothing of a token."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

pytest.importorskip("fastapi", reason="the extra serve is not installed")

from covos.core.errors import EnvironmentProblem, SourceError, explained
from covos.serve.log import LOG, log_library, log_work, logging_to
from serve.serving import serving

ROOT = Path(__file__).parents[2]


def test_each_request_has_a_line(tmp_path: Path) -> None:
    file = tmp_path / "covos.log"
    file.write_text("of before\n", encoding="utf-8")
    with serving("--root", str(tmp_path / "clips"), "--log", str(file)) as address:
        with urlopen(f"{address}health?token=secret") as answer:
            assert answer.status == 200
        with pytest.raises(HTTPError):
            urlopen(f"{address}api/jobs/none%20such")
    before, begun, *lines = file.read_text(encoding="utf-8").splitlines()
    assert before == "of before"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO begins at http://127\.0\.0\.1:\d+/", begun)
    assert lines[-1].endswith(" INFO ends by=SIGTERM")
    requests = [line.partition(" INFO request ")[2] for line in lines if " INFO request " in line]
    form = r"method=GET path=(\S+|\".*\") status=(\d+) seconds=\d+\.\d{3} client=127\.0\.0\.1:\d+"
    found = [match.groups() for match in (re.fullmatch(form, each) for each in requests) if match]
    assert found == [("/health", "200"), ('"/api/jobs/none such"', "404")]
    assert "secret" not in file.read_text(encoding="utf-8")


def test_a_name_that_is_not_utf_8_costs_no_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LOG, "propagate", False)  # what the test run hears it sends on, in UTF-8
    file = tmp_path / "covos.log"
    with logging_to(str(file)):
        log_work(job="a", stage="finding", status="failed", seconds=1.0, error=ValueError("no clip \udce9.mp4"))
    assert "udce9.mp4" in file.read_text(encoding="utf-8")


def test_a_failed_job_has_its_traceback_and_a_stopped_one_has_none(tmp_path: Path) -> None:
    file = tmp_path / "covos.log"
    try:
        raise ZeroDivisionError("by zero")
    except ZeroDivisionError as error:
        bug = explained(error)
    with logging_to(str(file)):
        log_work(job="a", stage="finding", status="done", seconds=1.25)
        log_work(job="b", stage="tracking", status="failed", seconds=0.5, error=bug)
        log_work(job="e", stage="exporting", status="done", seconds=2.0, format="webm")
        stop = SourceError("it\nends", why="so", fix="")
        log_work(job="c", stage="finding", status="cancelled", seconds=0.0, error=stop)
    log_work(job="d", stage="finding", status="done", seconds=1.0)
    text = file.read_text(encoding="utf-8")
    assert "INFO job job=a stage=finding status=done seconds=1.250\n" in text
    assert "INFO job job=e stage=exporting format=webm status=done seconds=2.000\n" in text
    assert "ERROR job job=b stage=tracking status=failed seconds=0.500 error=" in text
    assert "ZeroDivisionError: by zero" in text
    assert 'status=cancelled seconds=0.000 error="it\\nends: so"\n' in text
    assert text.count("Traceback") == 1
    assert "job=d" not in text


def test_the_library_that_answers_logs_its_errors_there_too(tmp_path: Path) -> None:
    file = tmp_path / "covos.log"
    library = logging.getLogger("uvicorn")
    before = [*library.handlers]
    with logging_to(str(file)):
        log_library()
        library.error("a bug")
    assert "ERROR a bug" in file.read_text(encoding="utf-8")
    assert library.handlers == before


def test_a_log_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentProblem, match="cannot be written"), logging_to(str(tmp_path / "none" / "log")):
        pass


def test_the_image_serves_and_is_asked_how_it_is() -> None:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", "")
    program, verb, *options = json.loads(re.findall(r"^ENTRYPOINT (.*)$", text, re.MULTILINE)[0])
    surface = (ROOT / "tests" / "cli" / "surface.txt").read_text(encoding="utf-8")
    line = next(each for each in surface.splitlines() if each.startswith("covos serve "))
    assert (program, verb) == ("/opt/covos/bin/covos", "serve")
    assert all(each in line.split() or each in line for each in options if each.startswith("--"))
    (health,) = re.findall(r"^HEALTHCHECK .*CMD (.*)$", text, re.MULTILINE)
    command = json.loads(health)
    compile(command[2], "health", "exec")
    assert "http://127.0.0.1:8080/health" in command[2]
    assert "EXPOSE 8080" in text
