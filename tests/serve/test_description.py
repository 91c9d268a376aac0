"""The API keeps what its own description says: schemathesis asks, along ``/openapi.json``."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

pytest.importorskip("schemathesis", reason="schemathesis is not installed: pip install schemathesis")
HERE = Path(__file__).parent


@pytest.mark.slow
def test_the_server_keeps_what_its_description_says(started: tuple[str, Path], tmp_path: Path, clip: Path) -> None:
    shutil.copy(HERE / "schemathesis.toml", tmp_path)
    program = Path(sys.executable).with_name("schemathesis")
    environment = {**os.environ, "SCHEMATHESIS_HOOKS": "schemathesis_hooks", "PYTHONPATH": str(HERE)}
    with httpx.Client(base_url=started[0], timeout=120) as client:
        shutil.copy(clip, started[1] / "media" / "small.mp4")
        client.post("/api/jobs", json={"path": "small.mp4"}).raise_for_status()
        result = subprocess.run(
            [program, "run", f"{started[0]}openapi.json"],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        for job in client.get("/api/jobs").json()["jobs"]:
            client.delete(f"/api/jobs/{job['id']}")
        for upload in (started[1] / "clips").glob("sent-*"):  # each test finds the server empty
            shutil.rmtree(upload)
        assert client.get("/health").json()["status"] == "ok"
    assert result.returncode == 0, result.stdout[-20_000:]
