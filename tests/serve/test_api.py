"""The HTTP API of a server that runs: from an upload to a download, and what it refuses."""

from __future__ import annotations

import io
import json
import re
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import av
import cv2
import httpx
import numpy as np
import pytest
from PIL import Image

from covos.masks import RLE, decode, encode

PATIENCE = 120.0


@pytest.fixture(scope="module")
def client(started: tuple[str, Path]) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=started[0], timeout=PATIENCE) as client:
        yield client


def upload(client: httpx.Client, path: Path, *, name: str = "") -> dict[str, Any]:
    with path.open("rb") as file:
        answer = client.post("/api/jobs", files={"file": (name or path.name, file)})
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == f"/api/jobs/{answer.json()['id']}"
    job: dict[str, Any] = answer.json()
    return job


def wait(client: httpx.Client, job: str) -> dict[str, Any]:
    """Wait until nothing is done for a job, and return it."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        now: dict[str, Any] = client.get(f"/api/jobs/{job}").json()
        making = any(made["state"] == "making" for made in now["results"].values())
        if now["stage"] is None and now["state"] not in {"queued", "running"} and not making:
            return now
        time.sleep(0.05)
    raise AssertionError(now)


def heard(client: httpx.Client, job: str) -> list[tuple[str, dict[str, Any]]]:
    """Return all events of a job until nothing is done for it."""
    told, kind = [], ""
    with client.stream("GET", f"/api/jobs/{job}/events", params={"until": "done"}) as stream:
        for line in stream.iter_lines():
            if line.startswith("event: "):
                kind = line.removeprefix("event: ")
            elif line.startswith("data: "):
                told.append((kind, json.loads(line.removeprefix("data: "))))
    return told


def labels_at(client: httpx.Client, job: str, index: int) -> np.ndarray:
    view = client.get(f"/api/jobs/{job}/masks", params={"start": index, "stop": index + 1}).json()
    labels = np.zeros(view["size"], np.uint8)
    for each in view["frames"][0]["objects"]:
        labels[decode(RLE.from_coco({"size": view["size"], "counts": each["counts"]}))] = each["id"]
    return labels


@pytest.fixture
def job(client: httpx.Client, make_clip: Callable[..., Path]) -> Iterator[str]:
    """A clip of eight frames whose subject is found; deleted after the test."""
    identity = upload(client, make_clip())["id"]
    assert wait(client, identity)["state"] == "done"
    yield identity
    client.delete(f"/api/jobs/{identity}")


def test_a_story(client: httpx.Client, job: str, tmp_path: Path) -> None:
    """Upload, look, correct, follow, undo, rename, download: what an editor does."""
    base = f"/api/jobs/{job}"
    found = client.get(base).json()
    assert (found["info"]["width"], found["info"]["height"], found["info"]["frame_count"]) == (64, 48, 8)
    assert [each["name"] for each in found["objects"]] == ["object 1"]
    before = labels_at(client, job, 3)

    # A new object: the square, which is at columns 6 to 21 and rows 12 to 27 of frame 3.
    asked = {"frame": 3, "object": None, "box": [6, 12, 22, 28]}
    prompted = client.post(f"{base}/prompts", json=asked).json()
    assert prompted["object"] == 2
    mask = decode(RLE.from_coco(prompted["mask"]))
    square = np.zeros_like(mask)
    square[12:28, 6:22] = True
    assert (mask & square).sum() / (mask | square).sum() > 0.8
    np.testing.assert_array_equal(labels_at(client, job, 3) == 2, mask)

    assert client.post(f"{base}/track", json={"start": 3, "direction": "both"}).status_code == 202
    assert wait(client, job)["revision"] == 2
    for index in (0, 7):
        where = labels_at(client, job, index) == 2
        assert where[20, 2 * index + 8], f"the square is followed to frame {index}"
    timeline = client.get(f"{base}/timeline").json()
    assert timeline["times"] == pytest.approx([index / 25 for index in range(8)])
    assert timeline["prompted"]["2"] == [3]
    assert timeline["objects"]["2"] == [[0, 8, "present"]]

    for _ in range(2):
        assert client.post(f"{base}/undo").status_code == 200
    np.testing.assert_array_equal(labels_at(client, job, 3), before)
    for _ in range(2):
        client.post(f"{base}/redo")
    again = client.patch(f"{base}/objects/2", json={"name": "square", "hidden": True}).json()
    assert again["objects"][1] | {"color": ""} == {"id": 2, "name": "square", "hidden": True, "color": ""}
    assert client.patch(f"{base}/objects/2", json={"hidden": False}).json()["objects"][1]["hidden"] is False

    assert client.post(f"{base}/results/ffv1").status_code == 202
    assert wait(client, job)["results"]["ffv1"]["state"] == "ready"
    content = client.get(f"{base}/results/ffv1")
    assert "attachment" in content.headers["content-disposition"]
    assert "clip-ffv1.mkv" in content.headers["content-disposition"]
    with av.open(io.BytesIO(content.content)) as video:
        pictures = [each.to_ndarray(format="rgba") for each in video.decode(video=0)]
    assert len(pictures) == 8
    np.testing.assert_array_equal(pictures[3][..., 3] > 127, labels_at(client, job, 3) > 0)


def test_brush_confirm_merge_delete(client: httpx.Client, job: str) -> None:
    base = f"/api/jobs/{job}"
    drawn = np.zeros((48, 64), np.bool_)
    drawn[30:40, 40:60] = True
    asked = {"frame": 2, "object": None, "mask": encode(drawn).to_coco()}
    assert client.post(f"{base}/prompts", json=asked).json()["object"] == 2
    np.testing.assert_array_equal(labels_at(client, job, 2) == 2, drawn)
    assert client.post(f"{base}/confirm", json={"frame": 2}).status_code == 200
    assert client.get(f"{base}/timeline").json()["confirmed"] == [2]
    # What was confirmed bounds a track, and stays.
    confirmed = labels_at(client, job, 2)
    square = np.zeros((48, 64), np.bool_)
    square[12:28, 10:26] = True
    client.post(f"{base}/prompts", json={"frame": 5, "object": 2, "mask": encode(square).to_coco()})
    client.post(f"{base}/track", json={"start": 5})
    wait(client, job)
    np.testing.assert_array_equal(labels_at(client, job, 2), confirmed)
    assert not (labels_at(client, job, 1) == 2).any(), "frames beyond a confirmed one are not followed to"
    assert (labels_at(client, job, 4) == 2).any()
    # A correction of one object there says that the frame was not right.
    client.post(f"{base}/prompts", json={"frame": 2, "object": 2, "mask": encode(square).to_coco()})
    assert client.get(f"{base}/timeline").json()["confirmed"] == []
    assert client.post(f"{base}/undo").status_code == 200
    assert client.get(f"{base}/timeline").json()["confirmed"] == [2]
    # Taking it back is an edit as well.
    assert client.delete(f"{base}/confirm", params={"frame": "f2"}).status_code == 200
    assert client.get(f"{base}/timeline").json()["confirmed"] == []
    again = client.delete(f"{base}/confirm", params={"frame": 2})
    assert again.status_code == 409
    assert "is not confirmed" in again.text
    assert client.post(f"{base}/undo").status_code == 200
    assert client.get(f"{base}/timeline").json()["confirmed"] == [2]
    one = client.post(f"{base}/objects/2/merge", json={"into": 1}).json()
    assert [each["id"] for each in one["objects"]] == [1]
    assert (labels_at(client, job, 2)[drawn] == 1).all()
    assert client.delete(f"{base}/objects/1").json()["objects"] == []
    assert not labels_at(client, job, 2).any()
    client.post(f"{base}/undo")
    assert (labels_at(client, job, 2)[drawn] == 1).all()


def test_edges_show_in_masks_and_downloads(client: httpx.Client, job: str) -> None:
    base = f"/api/jobs/{job}"
    drawn = np.zeros((48, 64), np.bool_)
    drawn[20:24, 30:34] = True
    client.delete(f"{base}/objects/1")
    client.post(f"{base}/prompts", json={"frame": 0, "object": 1, "mask": encode(drawn).to_coco()})
    assert (labels_at(client, job, 0) > 0).sum() == 16
    assert client.patch(f"{base}/edges", json={"grow": "2"}).json()["edges"]["grow"] == "2"
    grown = (labels_at(client, job, 0) > 0).sum()
    assert grown > 40
    client.post(f"{base}/results/palette")
    wait(client, job)
    with zipfile.ZipFile(io.BytesIO(client.get(f"{base}/results/palette").content)) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".png"))
        assert len(names) == 8
        assert (np.asarray(Image.open(archive.open(names[0]))) > 0).sum() == grown
    assert client.patch(f"{base}/edges", json={"glow": "2"}).status_code == 400
    assert client.patch(f"{base}/edges", json={"grow": "much"}).status_code == 400


def test_a_download_is_of_the_masks_of_now(client: httpx.Client, started: tuple[str, Path], job: str) -> None:
    base = f"/api/jobs/{job}"
    client.post(f"{base}/results/npz")
    told = heard(client, job)
    assert told[-1] == ("done", {})
    assert told[-2][1]["results"]["npz"]["state"] == "ready"
    assert {content["stage"] for kind, content in told if kind == "progress"} <= {"exporting"}
    files = started[1] / "clips" / job / "results"
    assert any(files.rglob("*.npz"))
    client.post(f"{base}/prompts", json={"frame": 0, "object": 1, "box": [0, 12, 16, 28]})
    assert client.get(base).json()["results"] == {}
    problem_of(client.get(f"{base}/results/npz"), 404)
    assert not any(files.rglob("*.npz"))
    # One that cannot be made says why, in the stream and to whoever fetches it.
    (files / "coco").write_text("no folder")
    client.post(f"{base}/results/coco")
    failed = heard(client, job)[-2][1]["results"]["coco"]
    assert failed["state"] == "failed"
    assert client.get(f"{base}/results/coco").json()["title"] == failed["error"]["what"]
    (files / "coco").unlink()
    client.post(f"{base}/results/coco")
    assert heard(client, job)[-2][1]["results"]["coco"]["state"] == "ready"


def test_the_example_is_begun_like_any_clip(client: httpx.Client) -> None:
    begun = client.post("/api/jobs", json={"example": True})
    assert begun.status_code == 201
    job = client.get(begun.headers["location"]).json()
    assert job["name"] == "car.mp4"
    assert client.delete(f"/api/jobs/{job['id']}").status_code == 204


def test_a_part_is_all_there_is(client: httpx.Client, make_clip: Callable[..., Path]) -> None:
    """Of frames 2, 4 and 6, all of which count from 0; and downloads of a part of these."""
    with make_clip().open("rb") as file:
        sent = client.post("/api/jobs", files={"file": ("clip.mp4", file)}, data={"start": "f2", "every": "2"})
    job = wait(client, sent.json()["id"])
    info, base = job["info"], f"/api/jobs/{job['id']}"
    assert (info["frame_count"], info["start"], info["every"]) == (3, 2, 2)
    picture = cv2.imdecode(np.frombuffer(client.get(f"{base}/frames/1").content, np.uint8), cv2.IMREAD_COLOR)
    assert picture[20, 9].mean() > 120 > picture[20, 27].mean(), "the square of frame 4"
    prompted = client.post(f"{base}/prompts", json={"frame": 1, "box": [8, 12, 24, 28]}).json()
    assert decode(RLE.from_coco(prompted["mask"]))[20, 10]
    client.post(f"{base}/track", json={"start": 1})
    wait(client, job["id"])
    assert [bool(labels_at(client, job["id"], index)[20, 4 * index + 12]) for index in range(3)] == [True] * 3
    timeline = client.get(f"{base}/timeline").json()
    assert timeline["prompted"]["2"] == [1]
    assert timeline["times"] == pytest.approx([0.08, 0.16, 0.24])

    problem_of(client.post(f"{base}/results/coco", json={"range": {"start": "f90"}}), 400)
    client.post(f"{base}/results/coco", json={"range": {"start": "f4"}})
    assert wait(client, job["id"])["results"]["coco"]["range"]["start"] == "f4"
    written = client.get(f"{base}/results/coco").json()
    assert sorted(each["file_name"] for each in written["images"])[0].startswith("00004")
    assert len(written["images"]) == 2

    whole = client.post("/api/jobs", json={"job": job["id"], "range": {"end": "f3"}})
    client.delete(base)
    assert wait(client, whole.json()["id"])["info"]["frame_count"] == 3, "it does not need the other job"
    client.delete(f"/api/jobs/{whole.json()['id']}")


def test_the_subject_stays_out_of_a_region(client: httpx.Client, job: str) -> None:
    base = f"/api/jobs/{job}"
    before = labels_at(client, job, 3)
    left, _, width, _ = cv2.boundingRect((before == 1).astype(np.uint8))
    cut = left + width // 2
    box = [0, 0, cut, 48]
    told = client.put(f"{base}/regions", json={"regions": [{"role": "exclude", "box": box}]}).json()
    assert told["regions"] == [{"role": "exclude", "box": box}]
    after = labels_at(client, job, 3)
    assert not after[:, :cut].any()
    np.testing.assert_array_equal(after[:, cut:], before[:, cut:])
    client.post(f"{base}/results/npz")
    wait(client, job)
    with np.load(io.BytesIO(client.get(f"{base}/results/npz").content)) as arrays:
        assert any(array.ndim == 3 and not array[3, :, :cut].any() for array in arrays.values())
    client.put(f"{base}/regions", json={"regions": [{"role": "within", "box": box}]})
    np.testing.assert_array_equal(labels_at(client, job, 3)[:, :cut], before[:, :cut])
    assert not labels_at(client, job, 3)[:, cut:].any()
    other = np.zeros((48, 64), np.bool_)
    other[40:44, 60:64] = True
    client.post(f"{base}/prompts", json={"frame": 3, "object": None, "mask": encode(other).to_coco()})
    client.put(f"{base}/regions", json={"regions": []})
    np.testing.assert_array_equal(labels_at(client, job, 3) == 1, (before == 1) & ~other)
    for _ in range(4):
        client.post(f"{base}/undo")
    np.testing.assert_array_equal(labels_at(client, job, 3), before)
    problem_of(client.put(f"{base}/regions", json={"regions": [{"box": [0, 0, 65, 48]}]}), 400)


def test_pictures_and_the_video(client: httpx.Client, job: str) -> None:
    base = f"/api/jobs/{job}"
    answer = client.get(f"{base}/frames/5")
    assert answer.headers["content-type"] == "image/jpeg"
    assert "immutable" in answer.headers["cache-control"]
    picture = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape == (48, 64, 3)
    assert picture[20, 18].mean() > 120 > picture[20, 50].mean(), "the square of frame 5, not of another"
    assert cv2.imdecode(np.frombuffer(client.get(f"{base}/frames/5?w=32").content, np.uint8), 1).shape == (24, 32, 3)
    webp = client.get(f"{base}/frames/5?kind=webp")
    assert webp.headers["content-type"] == "image/webp"
    small = cv2.imdecode(np.frombuffer(webp.content, np.uint8), 1)
    assert small.shape == picture.shape
    assert client.get(f"{base}/frames/5?kind=bmp").status_code == 422
    assert client.get(f"{base}/frames/8").status_code == 404
    assert client.get(f"{base}/frames/5?w=99999").status_code == 422
    end = time.monotonic() + PATIENCE
    while (video := client.get(f"{base}/proxy", headers={"range": "bytes=0-99"})).status_code == 404:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert (video.status_code, len(video.content)) == (206, 100)
    with av.open(io.BytesIO(client.get(f"{base}/proxy").content)) as proxy:
        assert [float(frame.time) for frame in proxy.decode(video=0)] == pytest.approx([i / 25 for i in range(8)])


def test_events(client: httpx.Client, started: tuple[str, Path], make_clip: Callable[..., Path]) -> None:
    job = upload(client, make_clip(frames=24))["id"]
    told: dict[str, list[dict[str, Any]]] = {}
    with client.stream("GET", f"/api/jobs/{job}/events") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        kind = ""
        for line in stream.iter_lines():
            if line.startswith("event: "):
                kind = line.removeprefix("event: ")
            elif line.startswith("data: "):
                told.setdefault(kind, []).append(json.loads(line.removeprefix("data: ")))
                if kind == "job" and told["job"][-1]["state"] == "done" and told["job"][-1]["stage"] is None:
                    client.delete(f"/api/jobs/{job}")
            if kind == "end":
                break
    frames = {index for each in told["masks"] for index in range(each["from"], each["to"])}
    assert frames == set(range(24))
    assert told["progress"][-1]["done"] == 24
    assert client.get(f"/api/jobs/{job}").status_code == 404


def test_stop_keeps_what_is_done(client: httpx.Client, make_clip: Callable[..., Path]) -> None:
    job = upload(client, make_clip(frames=40))["id"]
    while len(client.get(f"/api/jobs/{job}/masks?stop=40").json()["frames"]) < 4:  # before, it looks for cuts
        time.sleep(0.02)
    client.post(f"/api/jobs/{job}/cancel")
    stopped = wait(client, job)
    assert stopped["state"] in {"cancelled", "done"}, stopped
    if stopped["state"] == "cancelled":  # unless it was done by then
        kept = client.get(f"/api/jobs/{job}/masks?stop=40").json()["frames"]
        assert 4 <= len(kept) < 40
        assert client.post(f"/api/jobs/{job}/retry").status_code == 202
        assert wait(client, job)["state"] == "done"
    assert len(client.get(f"/api/jobs/{job}/masks?stop=40").json()["frames"]) == 40
    assert client.post(f"/api/jobs/{job}/retry").status_code == 409
    client.delete(f"/api/jobs/{job}")


def test_files_by_path(client: httpx.Client, started: tuple[str, Path], make_clip: Callable[..., Path]) -> None:
    media = started[1] / "media"
    make_clip("shot.mp4").rename(media / "shot.mp4")
    (media / "away").symlink_to("/etc")
    job = client.post("/api/jobs", json={"path": "shot.mp4"})
    assert job.status_code == 201
    assert wait(client, job.json()["id"])["name"] == "shot.mp4"
    client.delete(f"/api/jobs/{job.json()['id']}")
    assert (media / "shot.mp4").is_file(), "a file of the server's own is not deleted with its job"
    for path in ("none.mp4", "../clips", "/etc/passwd", "away/passwd", "..", "\0"):
        assert client.post("/api/jobs", json={"path": path}).status_code in {404, 422}, path


@pytest.mark.parametrize("name", ["../../evil.mp4", "/etc/x.mp4", "a\\b.mp4", "é <b>.mp4", ".mp4", "x" * 300 + ".mp4"])
def test_names_of_strangers_are_no_paths(
    client: httpx.Client, started: tuple[str, Path], make_clip: Callable[..., Path], name: str
) -> None:
    job = upload(client, make_clip(), name=name)
    assert "/" not in job["name"]
    assert "\\" not in job["name"]
    files = {path.relative_to(started[1] / "clips").parts[0] for path in (started[1] / "clips").rglob("*")}
    assert job["id"] in files
    assert not list(started[1].glob("*evil*"))
    client.delete(f"/api/jobs/{job['id']}")


def problem_of(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    content: dict[str, Any] = answer.json()
    assert content["status"] == status
    assert all(content[each] for each in ("title", "detail", "fix"))
    return content


def test_what_is_refused(client: httpx.Client, started: tuple[str, Path], job: str, tmp_path: Path) -> None:
    base = f"/api/jobs/{job}"
    problem_of(client.get("/api/jobs/none"), 404)
    problem_of(client.get("/nothing"), 404)
    problem_of(client.post("/api/jobs", content=b"x"), 400)
    problem_of(client.post("/api/jobs", files={"other": b"x"}), 400)
    told = problem_of(client.post("/api/jobs", files={"file": ("x.mp4", b"no video")}), 422)
    assert told["title"].startswith("x.mp4"), "the client's own name, and no path of the server"
    assert str(started[1]) not in json.dumps(told)
    problem_of(client.post("/api/jobs", json={}), 400)
    problem_of(client.post("/api/jobs", files={"file": ("x.mp4", b"\0" * 4_000_000)}), 413)
    problem_of(client.post(f"{base}/prompts", content=b"{", headers={"content-type": "application/json"}), 422)
    problem_of(client.post(f"{base}/prompts", json={"frame": 99, "points": [[1, 1]]}), 400)
    problem_of(client.post(f"{base}/prompts", json={"frame": 0, "points": [[640, 1]]}), 400)
    told = problem_of(client.post(f"{base}/prompts", json={"frame": 0, "points": [["x", 1]]}), 422)
    assert "it should be a number" in told["detail"]
    problem_of(client.post(f"{base}/prompts", json={"frame": 0}), 400)
    wrong = {"frame": 0, "mask": {"size": [2, 2], "counts": "04"}}
    problem_of(client.post(f"{base}/prompts", json=wrong), 400)
    problem_of(client.post(f"{base}/prompts", json=wrong | {"mask": {"size": [48, 64], "counts": "~~"}}), 422)
    one = {"frame": 0, "object": 1, "kind": "point"}
    told = problem_of(client.delete(f"{base}/prompts", params=one), 400)
    assert told["title"] == "a point is taken back without its place"
    problem_of(client.delete(f"{base}/prompts", params=one | {"x": 1, "y": 1}), 404)
    problem_of(client.delete(f"{base}/prompts", params=one | {"kind": "stroke"}), 422)
    problem_of(client.delete(f"{base}/prompts", params=one | {"kind": "box", "frame": 99}), 400)
    problem_of(client.post(f"{base}/track", json={"start": 0}), 409)
    problem_of(client.post(f"{base}/undo"), 400)
    problem_of(client.post(f"{base}/redo"), 400)
    problem_of(client.delete(f"{base}/objects/9"), 404)
    problem_of(client.post(f"{base}/objects/1/merge", json={"into": 1}), 400)
    problem_of(client.get(f"{base}/results/webm"), 404)
    problem_of(client.post(f"{base}/results/wabm"), 404)
    problem_of(client.put(base), 405)
    problem_of(client.delete("/api/jobs/none"), 404)
    assert not list((started[1] / "clips").glob(".upload-*")), "nothing of what was refused stays"


def test_strangers(client: httpx.Client, started: tuple[str, Path]) -> None:
    """Pages of other sites, other names of this address."""
    problem_of(client.get("/api/jobs", headers={"host": "evil.example"}), 400)
    problem_of(client.post("/api/jobs", json={"example": True}, headers={"origin": "https://evil.example"}), 403)
    problem_of(client.post("/api/jobs", json={"example": True}, headers={"sec-fetch-site": "cross-site"}), 403)
    own = started[0].rstrip("/")
    problem_of(client.post("/api/jobs/none/undo", headers={"origin": own, "sec-fetch-site": "same-origin"}), 404)
    page = client.get("/")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "unsafe" not in page.headers["content-security-policy"]
    assert page.headers["x-content-type-options"] == "nosniff"
    assert "access-control-allow-origin" not in page.headers


def test_an_endless_body(started: tuple[str, Path]) -> None:
    """Bytes are counted as they come, whatever the head says of them."""
    host, port = started[0].removeprefix("http://").rstrip("/").split(":")
    head = f"POST /api/jobs HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: multipart/form-data; boundary=b\r\n"
    part = '--b\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n'
    with socket.create_connection((host, int(port)), timeout=PATIENCE) as connection:
        connection.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
        connection.sendall(f"{len(part):x}\r\n{part}\r\n".encode())
        block = b"10000\r\n" + b"\0" * 0x10000 + b"\r\n"
        answered = b""
        try:
            for _ in range(400):
                connection.sendall(block)
        except OSError:
            pass
        answered = connection.recv(4096)
    assert b" 413 " in answered


def test_many_at_once(client: httpx.Client, make_clip: Callable[..., Path]) -> None:
    """Three may wait: whoever comes after is told when to come again, and the server lives."""
    clip = make_clip(frames=120).read_bytes()

    def send(_: int) -> httpx.Response:
        return client.post("/api/jobs", files={"file": ("clip.mp4", clip)})

    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(send, range(12)))
    told = [answer.status_code for answer in answers]
    assert set(told) <= {201, 429}
    assert told.count(429) > 0
    assert told.count(201) >= 3
    waits = {(answer.headers["retry-after"], answer.json()["fix"]) for answer in answers if answer.status_code == 429}
    assert waits == {("30", "try again in 30 seconds")}
    places = [each["place"] for each in client.get("/api/jobs").json()["jobs"] if each["place"]]
    assert sorted(places) == list(range(1, len(places) + 1))
    for answer in answers:
        if answer.status_code == 201:
            client.delete(f"/api/jobs/{answer.json()['id']}")
    assert client.get("/health").json()["status"] == "ok"


def test_numbers_and_the_description(client: httpx.Client) -> None:
    client.get("/api/jobs/none")
    text = client.get("/metrics").text
    assert 'covos_http_request_duration_seconds_count{method="GET",route="/api/jobs/{job}",status="404"}' in text
    assert "covos_queue_jobs" in text
    described = client.get("/openapi.json").json()
    assert {"/api/jobs", "/api/jobs/{job}/prompts", "/api/jobs/{job}/results/{name}"} <= described["paths"].keys()
    assert client.get("/api/info").json()["limits"]["waiting"] == 3


def test_the_program_in_the_documents(
    started: tuple[str, Path], make_clip: Callable[..., Path], tmp_path: Path
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "http.md").read_text()
    (program,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert "http://127.0.0.1:8080" in program
    make_clip()
    program = program.replace("http://127.0.0.1:8080", started[0])
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True, timeout=PATIENCE)
    with av.open(str(tmp_path / "subject.webm")) as video:
        assert sum(1 for _ in video.decode(video=0)) == 8
