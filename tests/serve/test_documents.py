"""Every request that docs/http.md shows is sent to a server that runs."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from clips import write_clip
from serve.test_api import PATIENCE, upload, wait

PAGE = Path(__file__).parents[2] / "docs" / "http.md"


@pytest.fixture(scope="module")
def client(started: tuple[str, Path]) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=started[0], timeout=PATIENCE) as client:
        yield client


def blocks() -> list[str]:
    """The shell blocks that send requests."""
    every = re.findall(r"```sh\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    found = [each for each in every if "curl" in each]
    assert len(found) == 2
    return found


def run(block: str, folder: Path, *, address: str, job: str) -> str:
    if shutil.which("curl") is None:
        pytest.skip("there is no curl")
    script = block.replace("http://127.0.0.1:8080", address.rstrip("/")).replace("/ID", f"/{job}")
    done = subprocess.run(
        ["bash", "-euc", script], cwd=folder, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixteen frames of the size that the page's places are of, with a square for each object that it shows."""
    path = tmp_path_factory.mktemp("documents") / "clip.mp4"
    pictures = np.full((16, 360, 640, 3), 90, np.uint8)
    for index, image in enumerate(pictures):
        image[100:200, 120 + 5 * index : 220 + 5 * index] = (230, 200, 40)
        image[200:300, 400:520] = (40, 60, 220)
    return write_clip(path, pictures, preset="ultrafast")


def test_the_requests_of_the_page(client: httpx.Client, started: tuple[str, Path], clip: Path, tmp_path: Path) -> None:
    first, edits = blocks()
    shutil.copy(clip, tmp_path / "clip.mp4")
    upload_line, *rest = [line for line in first.splitlines() if line and not line.startswith("SERVER=")]
    job = upload(client, clip)["id"]
    assert wait(client, job)["state"] == "done"
    run("\n".join([first.splitlines()[0], *rest]), tmp_path, address=started[0], job=job)
    assert (tmp_path / "clip-prores.mov").stat().st_size

    # The file itself is sent by the line that the page has for it.
    made = run(f"{first.splitlines()[0]}\n{upload_line}", tmp_path, address=started[0], job=job)
    (other,) = re.findall(r'^\{"id":"([0-9a-f]+)"', made)
    client.delete(f"/api/jobs/{other}")

    run(edits, tmp_path, address=started[0], job=job)
    now = wait(client, job)
    assert [each["id"] for each in now["objects"]] == [1], "2 became a part of 1, came back, and was deleted"
    assert {"background", "ffv1", "matte"} == now["results"].keys()
    assert {each["state"] for each in now["results"].values()} == {"ready"}
    assert now["results"]["background"]["composition"]["light_wrap"] == "0.5%"
    assert now["regions"] == [{"role": "exclude", "box": [0, 0, 100, 40]}]
    assert (now["edges"]["grow"], now["edges"]["fill_holes"]) == ("0.5%", "all")
    client.delete(f"/api/jobs/{job}")


def test_frames_have_their_numbers_in_the_whole_video(
    client: httpx.Client, started: tuple[str, Path], clip: Path
) -> None:
    shutil.copy(clip, started[1] / "media" / "whole.mp4")
    asked = {"path": "whole.mp4", "range": {"start": "f4", "end": "f12", "every": 2}}
    job = client.post("/api/jobs", json=asked).raise_for_status().json()["id"]
    assert wait(client, job)["info"]["start"] == 4
    base = f"/api/jobs/{job}"
    assert client.get(f"{base}/frames/f6?w=64").content == client.get(f"{base}/frames/1?w=64").content
    assert client.get(f"{base}/frames/f5?w=64").status_code == 404, "it is not taken"
    view = client.get(f"{base}/masks", params={"start": "f6", "stop": "f10"}).json()
    assert [each["index"] for each in view["frames"]] == [1, 2]
    box = {"frame": "f6", "box": [400, 200, 520, 300]}
    assert client.post(f"{base}/prompts", json=box).json()["frame"] == 1
    client.delete(base)


def test_a_cut_is_told_and_by_itself_not_doubtful(client: httpx.Client, tmp_path: Path) -> None:
    """Two shots: a square on grey stones moves to the right, another on green leaves is elsewhere."""
    random = np.random.default_rng(3)
    stones = random.integers(60, 120, (96, 128, 1), np.uint8).repeat(3, axis=2)
    leaves = random.integers(0, 90, (96, 128, 3), np.uint8) + np.array([0, 130, 0], np.uint8)
    path = tmp_path / "two.mp4"
    pictures = [(stones if index < 8 else leaves).copy() for index in range(16)]
    for index, image in enumerate(pictures):
        left = 10 + 3 * index if index < 8 else 100 - 3 * index
        image[20:60, left : left + 36] = (230, 200, 40) if index < 8 else (40, 40, 230)
    write_clip(path, pictures, crf="12")
    job = upload(client, path)["id"]
    wait(client, job)
    told = client.get(f"/api/jobs/{job}/timeline").json()
    assert told["cuts"] == [8]
    assert not [each for each in told["reasons"].get("8", ()) if "size away" in each]
    client.delete(f"/api/jobs/{job}")


def test_every_request_is_on_the_page(client: httpx.Client) -> None:
    told = PAGE.read_text("utf-8")
    paths = client.get("/openapi.json").json()["paths"]
    names = {path.rsplit("/", 1)[-1].strip("{}") for path in paths} - {
        "job",
        "number",
        "index",
        "name",
        "upload",
        "info",
    }
    assert [name for name in sorted(names) if f"/{name}" not in told] == []
